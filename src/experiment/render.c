/* The table as text, CSV, Markdown and LaTeX, from its JSON. Text, Markdown and LaTeX have a row a
 * model and a column a cell; CSV has a row for each model and cell, and one for their mean. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "experiment/table.h"

/* ---- What all forms say ------------------------------------------------------------------ */

static double number_at(const json_t *object, const char *key) {
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_at(const json_t *object, const char *key) {
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

/* "-" where it is not defined. */
static void format_number(char out[64], double value, const char *format) {
    if (isnan(value))
        snprintf(out, 64, "-");
    else if (strcmp(format, "%.4f") == 0)
        snprintf(out, 64, "%.4f", value);
    else if (strcmp(format, "%+.4f") == 0)
        snprintf(out, 64, "%+.4f", value);
    else
        snprintf(out, 64, "%.0f", value);
}

static void format_spread(char out[140], const json_t *spread, const char *between) {
    char mean[64], sd[64];
    format_number(mean, number_at(spread, "mean"), "%.4f");
    format_number(sd, number_at(spread, "sd"), "%.4f");
    if (isnan(number_at(spread, "sd")))
        snprintf(out, 140, "%s", mean);
    else
        snprintf(out, 140, "%s%s%s", mean, between, sd);
}

static void format_difference(char out[220], const json_t *difference) {
    char mean[64], low[64], high[64];
    const double d = number_at(difference, "mean");
    if (isnan(d)) {
        snprintf(out, 220, "%s", difference ? "-" : "");
        return;
    }
    format_number(mean, d, "%+.4f");
    format_number(low, number_at(difference, "low"), "%+.4f");
    format_number(high, number_at(difference, "high"), "%+.4f");
    if (isnan(number_at(difference, "low")))
        snprintf(out, 220, "%s", mean);
    else
        snprintf(out, 220, "%s [%s, %s]", mean, low, high);
}

static void format_p(char out[64], const json_t *difference) {
    const double p = number_at(difference, "p_holm");
    if (isnan(p))
        snprintf(out, 64, "%s", json_is_object(difference) ? "-" : "");
    else if (p < 0.001)
        snprintf(out, 64, "<0.001");
    else
        snprintf(out, 64, "%.3f", p);
}

static void format_count(char out[64], double n) {
    static const char units[] = " kMG";
    int unit = 0;
    while (n >= (unit == 0 ? 9999.5 : 999.5) && unit < 3) n /= 1000, unit++;
    if (isnan(n))
        snprintf(out, 64, "-");
    else if (unit == 0)
        snprintf(out, 64, "%.0f", n);
    else
        snprintf(out, 64, "%.3g%c", n, units[unit]);
}

/* "3", or "2 of 3" where runs have failed or are missing. */
static void format_seeds(char out[64], const json_t *row) {
    const int done = (int)number_at(row, "done"), failed = (int)number_at(row, "failed");
    if (failed == 0)
        snprintf(out, 64, "%d", done);
    else
        snprintf(out, 64, "%d (%d failed)", done, failed);
}

static bool has_method(const json_t *models, const char *method) {
    size_t m;
    const json_t *row;
    json_array_foreach(models, m, row) {
        const json_t *const difference = json_object_get(row, "difference");
        if (strcmp(text_at(difference, "method"), method) == 0) return true;
    }
    return false;
}

/* Of the differences of all rows. */
static void add_note(hn_text *out, const json_t *table, const json_t *models) {
    const bool seeds = has_method(models, HN_OVER_SEEDS), users = has_method(models, HN_BY_USER);
    if (!seeds && !users) return;
    hn_text_add(out,
                "Test AUC, mean ± standard deviation over seeds. Differences are of the mean AUC "
                "to %s: paired, %.6g %% intervals (%s%s%s), p by Holm's correction.\n",
                text_at(json_array_get(models, 0), "name"), 100 * number_at(table, "confidence"),
                seeds ? HN_OVER_SEEDS : "", seeds && users ? "; where one seed is in common, " : "",
                users ? HN_BY_USER : "");
}

/* ---- A grid, whatever is between its cells ----------------------------------------------- */

typedef struct form {
    hn_grid *grid; /* text */
    hn_text *out;  /* else */
    const char *between, *end, *start;
    bool latex, first;
} form;

static void add_latex(hn_text *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr("&%$#_{}", *c))
            hn_text_add(out, "\\%c", *c);
        else if (*c == '\\')
            hn_text_add(out, "\\textbackslash{}");
        else if (*c == '~' || *c == '^')
            hn_text_add(out, "\\%c{}", *c);
        else if (*c == '<' || *c == '>')
            hn_text_add(out, "$%c$", *c);
        else if (strncmp(c, "±", strlen("±")) == 0) {
            hn_text_add(out, "$\\pm$");
            c += strlen("±") - 1;
        } else
            hn_text_add(out, "%c", *c);
    }
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* An underscore within a word is only itself. */
static void add_markdown(hn_text *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        const bool inner = *c == '_' && c > text && is_word(c[-1]) && is_word(c[1]);
        hn_text_add(out, !inner && strchr("\\`*_<|", *c) ? "\\%c" : "%c", *c);
    }
}

static void take_markdown(hn_text *out, hn_text *text) {
    if (text->text) add_markdown(out, text->text);
    out->failed |= text->failed;
    hn_text_free(text);
}

/* What ends the row before takes [...] for a distance, and a star for its own. */
static bool goes_on_from_a_row(const form *f, const char *text) {
    return f->latex && f->first && (text[0] == '[' || text[0] == '*');
}

static void put(form *f, const char *text) {
    if (f->grid) {
        hn_grid_cell(f->grid, "%s", text);
        return;
    }
    hn_text_add(f->out, "%s%s", f->first ? f->start : f->between,
                goes_on_from_a_row(f, text) ? "{}" : "");
    f->first = false;
    if (f->latex)
        add_latex(f->out, text);
    else
        add_markdown(f->out, text);
}

static void end_row(form *f) {
    if (!f->grid) hn_text_add(f->out, "%s", f->end);
    f->first = true;
}

static void put_heads(form *f, const json_t *cells) {
    size_t c;
    const json_t *cell;
    put(f, "model");
    json_array_foreach(cells, c, cell) {
        char name[500];
        snprintf(name, sizeof name, "%.200s/%.200s", text_at(cell, "scenario"),
                 text_at(cell, "task"));
        put(f, name);
    }
    static const char *const heads[] = {"mean",  "rank",       "difference", "p",
                                        "seeds", "parameters", "seconds"};
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) put(f, heads[k]);
    end_row(f);
}

static void put_model(form *f, const json_t *row, size_t cells) {
    char text[220];
    put(f, text_at(row, "name"));
    const json_t *const figures = json_object_get(row, "cells");
    for (size_t c = 0; c < cells; c++) {
        const json_t *const auc = json_object_get(json_array_get(figures, c), "auc");
        format_number(text, number_at(auc, "mean"), "%.4f");
        put(f, text);
    }
    format_spread(text, json_object_get(row, "auc"), " ± ");
    put(f, text);
    format_number(text, number_at(row, "rank"), "%d");
    put(f, text);
    format_difference(text, json_object_get(row, "difference"));
    put(f, text);
    format_p(text, json_object_get(row, "difference"));
    put(f, text);
    format_seeds(text, row);
    put(f, text);
    format_count(text, number_at(row, "parameters") + number_at(row, "table_parameters"));
    put(f, text);
    format_number(text, number_at(row, "seconds"), "%d");
    put(f, text);
    end_row(f);
}

static size_t columns_of(const json_t *data) {
    return json_array_size(json_object_get(data, "cells")) + 8;
}

static void put_rows(form *f, const json_t *data) {
    const json_t *const cells = json_object_get(data, "cells"), *const models =
                                                                    json_object_get(data, "models");
    size_t m;
    const json_t *row;
    json_array_foreach(models, m, row) put_model(f, row, json_array_size(cells));
}

/* ---- Text -------------------------------------------------------------------------------- */

static void add_failures(hn_text *out, const json_t *table, const char *bullet) {
    const json_t *const failed = json_object_get(table, "failed");
    size_t k;
    const json_t *failure;
    if (json_array_size(failed) == 0) return;
    hn_text_add(out, "\nFailed (they are tried again by the same command):\n%s",
                bullet[0] == '-' ? "\n" : "");
    json_array_foreach(failed, k, failure) {
        hn_text_add(out, "%s%s: %s, ", bullet, text_at(failure, "data"), text_at(failure, "model"));
        if (json_object_get(failure, "trial"))
            hn_text_add(out, "trial %d", (int)number_at(failure, "trial") + 1);
        else
            hn_text_add(out, "seed %lld",
                        (long long)json_integer_value(json_object_get(failure, "seed")));
        hn_text_add(out, ": %s\n", text_at(failure, "error"));
    }
}

void hn_table_text(hn_text *out, const json_t *table) {
    size_t d;
    const json_t *data;
    json_array_foreach(json_object_get(table, "data"), d, data) {
        form f = {.grid = hn_grid_create((int32_t)columns_of(data)), .first = true};
        hn_text_add(out, "%s%s\n", d > 0 ? "\n" : "", text_at(data, "name"));
        put_heads(&f, json_object_get(data, "cells"));
        put_rows(&f, data);
        hn_grid_render(f.grid, out);
        add_note(out, table, json_object_get(data, "models"));
    }
    add_failures(out, table, "  ");
}

/* ---- Markdown and LaTeX ------------------------------------------------------------------ */

void hn_table_markdown(hn_text *out, const json_t *table) {
    size_t d;
    const json_t *data;
    json_array_foreach(json_object_get(table, "data"), d, data) {
        form f = {.out = out, .start = "| ", .between = " | ", .end = " |\n", .first = true};
        hn_text note = {0};
        hn_text_add(out, "%s## ", d > 0 ? "\n" : "");
        add_markdown(out, text_at(data, "name"));
        hn_text_add(out, "\n\n");
        put_heads(&f, json_object_get(data, "cells"));
        hn_text_add(out, "|");
        for (size_t k = 0; k < columns_of(data); k++)
            hn_text_add(out, k == 0 ? " --- |" : " ---: |");
        hn_text_add(out, "\n");
        put_rows(&f, data);
        hn_text_add(out, "\n");
        add_note(&note, table, json_object_get(data, "models"));
        take_markdown(out, &note);
    }
    hn_text failures = {0};
    add_failures(&failures, table, "- ");
    take_markdown(out, &failures);
}

void hn_table_latex(hn_text *out, const json_t *table) {
    size_t d;
    const json_t *data;
    json_array_foreach(json_object_get(table, "data"), d, data) {
        form f = {.out = out,
                  .start = "",
                  .between = " & ",
                  .end = " \\\\\n",
                  .latex = true,
                  .first = true};
        hn_text note = {0};
        hn_text_add(out, "%s%% ", d > 0 ? "\n" : "");
        add_latex(out, text_at(data, "name"));
        hn_text_add(out, "\n\\begin{tabular}{l*{%zu}{r}}\n\\hline\n", columns_of(data) - 1);
        put_heads(&f, json_object_get(data, "cells"));
        hn_text_add(out, "\\hline\n");
        put_rows(&f, data);
        hn_text_add(out, "\\hline\n\\end{tabular}\n");
        add_note(&note, table, json_object_get(data, "models"));
        if (note.text) hn_text_add(out, "%% %s", note.text);
        hn_text_free(&note);
    }
}

/* ---- CSV --------------------------------------------------------------------------------- */

static void csv_text(hn_text *out, const char *text) {
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        hn_text_add(out, "%s", text);
        return;
    }
    hn_text_add(out, "\"");
    for (const char *c = text; *c != '\0'; c++) hn_text_add(out, *c == '"' ? "\"\"" : "%c", *c);
    hn_text_add(out, "\"");
}

static void csv_number(hn_text *out, double value) {
    hn_text_add(out, ",");
    if (!isnan(value)) hn_text_add(out, "%.10g", value);
}

static void csv_row(hn_text *out, const json_t *data, const json_t *row, const char *scenario,
                    const char *task, const json_t *figures) {
    static const char *const spreads[] = {"auc", "gauc", "log_loss"};
    static const char *const differences[] = {"mean", "low", "high", "p", "p_holm"};
    static const char *const costs[] = {
        "rank", "done", "failed", "parameters", "table_parameters", "seconds"};
    const json_t *const difference = json_object_get(figures, "difference");
    csv_text(out, text_at(data, "name"));
    hn_text_add(out, ",");
    csv_text(out, text_at(row, "name"));
    hn_text_add(out, ",");
    csv_text(out, scenario);
    hn_text_add(out, ",");
    csv_text(out, task);
    for (size_t k = 0; k < sizeof spreads / sizeof *spreads; k++) {
        csv_number(out, number_at(json_object_get(figures, spreads[k]), "mean"));
        csv_number(out, number_at(json_object_get(figures, spreads[k]), "sd"));
    }
    for (size_t k = 0; k < sizeof differences / sizeof *differences; k++)
        csv_number(out, number_at(difference, differences[k]));
    for (size_t k = 0; k < sizeof costs / sizeof *costs; k++)
        csv_number(out, number_at(row, costs[k]));
    hn_text_add(out, "\n");
}

void hn_table_csv(hn_text *out, const json_t *table) {
    size_t d, m, c;
    const json_t *data, *row, *cell;
    hn_text_add(out, "data,model,scenario,task,auc,auc_sd,gauc,gauc_sd,log_loss,log_loss_sd,"
                     "difference,low,high,p,p_holm,rank,done,failed,parameters,table_parameters,"
                     "seconds\n");
    json_array_foreach(json_object_get(table, "data"), d, data) {
        const json_t *const cells = json_object_get(data, "cells");
        json_array_foreach(json_object_get(data, "models"), m, row) {
            const json_t *const figures = json_object_get(row, "cells");
            json_array_foreach(cells, c, cell)
                csv_row(out, data, row, text_at(cell, "scenario"), text_at(cell, "task"),
                        json_array_get(figures, c));
            csv_row(out, data, row, "mean", "", row);
        }
    }
}

/* ---- Files ------------------------------------------------------------------------------- */

static hn_status write_file(hn_text *text, const char *dir, const char *name, hn_error *err) {
    hn_writer *writer = NULL;
    char *const path = hn_path_join(dir, name);
    hn_status status = path && !text->failed ? HN_OK : hn_no_memory(err, "the table");
    if (status == HN_OK) status = hn_writer_open(&writer, path, err);
    if (status == HN_OK) {
        if (text->length > 0) hn_writer_write(writer, text->text, text->length);
        status = hn_writer_commit(writer, err);
    }
    hn_free(path);
    hn_text_free(text);
    return status;
}

static void table_json(hn_text *out, const json_t *table) {
    char *const text = json_dumps(table, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    hn_text_add(out, "%s\n", text ? text : "null");
    if (text) release(text);
}

hn_status hn_table_write(const json_t *table, const char *dir, hn_error *err) {
    static const struct {
        const char *name;
        void (*make)(hn_text *out, const json_t *table);
    } forms[] = {{"table.txt", hn_table_text},
                 {"table.csv", hn_table_csv},
                 {"table.json", table_json},
                 {"table.md", hn_table_markdown},
                 {"table.tex", hn_table_latex}};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        hn_text text = {0};
        forms[k].make(&text, table);
        HN_TRY(write_file(&text, dir, forms[k].name, err));
    }
    return HN_OK;
}
