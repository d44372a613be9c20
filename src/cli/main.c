/* The program: finds the command, parses its options, sets up signals and progress, runs
 * it, and turns its status into an exit code. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static volatile int stop;

/* The first request asks for an orderly stop; the second ends the program at once. */
static void on_stop(int signal_number) {
    (void)signal_number;
    if (stop) _exit(hn_status_exit_code(HN_INTERRUPTED));
    stop = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a closed pipe, a limit of size: seen where it is written */
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

static int report_failure(hn_status status, const hn_error *err) {
    fprintf(stderr, "hinet: %s\n", err->text[0] ? err->text : hn_status_text(status));
    return hn_status_exit_code(status);
}

static hn_status unknown_command(const char *word, hn_error *err) {
    const char *names[64];
    size_t n = 0;
    for (; n < cli_n_commands && n < sizeof names / sizeof *names; n++)
        names[n] = cli_commands[n].name;
    const char *const near = cli_nearest(word, names, n);
    if (near) return cli_fail(err, HN_USAGE, "\"%s\" is no command; did you mean %s?", word, near);
    return cli_fail(err, HN_USAGE, "\"%s\" is no command; see hinet --help", word);
}

static const cli_command *find_command(const char *name) {
    for (size_t k = 0; k < cli_n_commands; k++)
        if (strcmp(cli_commands[k].name, name) == 0) return &cli_commands[k];
    return NULL;
}

static hn_status print_help(const cli_command *command, hn_error *err) {
    char *const text = command ? cli_help_command(command) : cli_help_all();
    const hn_status status =
        text ? cli_print(text, err) : cli_fail(err, HN_NO_MEMORY, "no memory for the help");
    free(text);
    return status;
}

static hn_status run_command(const cli_command *command, int argc, const char *const *argv,
                             hn_error *err) {
    cli_options options;
    hn_status status = cli_options_parse(&options, command, argc, argv, err);
    if (status != HN_OK) return status;
    cli_progress progress;
    cli_progress_start(&progress, options.quiet);
    hn_run run = hn_run_default();
    run.threads = options.threads;
    run.memory_bytes = options.memory;
    run.stop = &stop;
    run.log = cli_progress_log;
    run.progress = cli_progress_show;
    run.user = &progress;
    catch_signals();
    status = options.help ? print_help(command, err) : command->run(&options, &run, err);
    cli_progress_end(&progress);
    cli_options_free(&options);
    return status;
}

int main(int argc, char **argv) {
    hn_error err = {0};
    hn_status status;
    if (argc < 2) {
        char *const text = cli_help_all();
        fputs(text ? text : "usage: hinet COMMAND\n", stderr);
        free(text);
        return hn_status_exit_code(HN_USAGE);
    }
    const char *const word = argv[1];
    const cli_command *const command = find_command(word);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        status = cli_print("hinet " HN_VERSION, &err);
    else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        status = print_help(NULL, &err);
    else if (!command)
        status = unknown_command(word, &err);
    else
        status = run_command(command, argc - 2, (const char *const *)argv + 2, &err);
    return status == HN_OK ? 0 : report_failure(status, &err);
}
