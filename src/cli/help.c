/* Help, made from the command and option tables, and the nearest name for a word that is
 * in no table. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { NAME_COLUMN = 22, LINE_WIDTH = 80 };

/* Options with their argument at the left, the meaning wrapped at the right. */
static void add_option(FILE *out, cli_option option) {
    const char *const argument = cli_option_argument(option);
    char name[64];
    snprintf(name, sizeof name, "--%s%s%s", cli_option_name(option), argument ? " " : "",
             argument ? argument : "");
    int column = fprintf(out, "  %-*s", NAME_COLUMN, name);
    for (const char *word = cli_option_help(option); *word;) {
        const int length = (int)strcspn(word, " ");
        if (column + 1 + length > LINE_WIDTH)
            column = fprintf(out, "\n  %-*s", NAME_COLUMN, "") - 1;
        column += fprintf(out, " %.*s", length, word);
        word += length;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

static void add_exit_codes(FILE *out) {
    fputs("Exit codes:\n", out);
#define X(symbol, code, meaning) fprintf(out, "  %3d  %s\n", code, meaning);
    HN_STATUS_MAP(X)
#undef X
}

static void add_all(FILE *out) {
    fputs("hinet " HN_VERSION ": multi-scenario, multi-task ranking with HiNet.\n\n"
          "usage: hinet COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n",
          out);
    for (size_t k = 0; k < cli_n_commands; k++)
        fprintf(out, "  %-10s %s\n", cli_commands[k].name, cli_commands[k].summary);
    fputs("\nhinet COMMAND --help tells about a command and shows an example.\n"
          "hinet --version prints the version.\n\n"
          "Data goes to standard output; progress, messages and errors to standard error.\n\n",
          out);
    add_exit_codes(out);
}

static void add_command(FILE *out, const cli_command *command) {
    fprintf(out, "usage: hinet %s\n\n%s\nOptions:\n", command->usage, command->description);
    for (int k = 0; k < CLI_OPTIONS; k++)
        if (command->options & UINT64_C(1) << k) add_option(out, (cli_option)k);
    fprintf(out, "\nExample:\n%s\n", command->example);
    add_exit_codes(out);
}

static char *written(const cli_command *command) {
    char *text = NULL;
    size_t n;
    FILE *const out = open_memstream(&text, &n);
    if (!out) return NULL;
    if (command)
        add_command(out, command);
    else
        add_all(out);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

char *cli_help_all(void) { return written(NULL); }
char *cli_help_command(const cli_command *command) { return written(command); }

/* ---- Did you mean ---------------------------------------------------------------------- */

enum { WORD_MAX = 31 };

static int least(int a, int b, int c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

/* Edits (insertions, deletions, substitutions) from one word to the other. */
static int edits(const char *a, const char *b) {
    const int n = (int)strlen(a), m = (int)strlen(b);
    int row[WORD_MAX + 1];
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int substituted =
                diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, substituted);
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *names, size_t n) {
    const int length = (int)strlen(word);
    int best = 1 + (length > 2 ? length / 3 : 0); /* more edits than this are another word */
    const char *nearest = NULL;
    if (length == 0 || length > WORD_MAX) return NULL;
    for (size_t k = 0; k < n; k++) {
        const int distance = strlen(names[k]) <= WORD_MAX ? edits(word, names[k]) : WORD_MAX;
        const bool begins = length >= 2 && strncmp(names[k], word, (size_t)length) == 0;
        if (distance < best || (distance == best && !nearest) || (begins && !nearest)) {
            best = distance;
            nearest = names[k];
        }
    }
    return nearest;
}
