/* The grammar of delimited text against a reader that goes character by character over the
 * whole text: random hostile texts, chunks of every small size, one to four threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/chunk.h"
#include "reading.h"

static hn_error err;

/* ---- The slow and obvious reader ------------------------------------------------------ */

typedef struct place {
    size_t line, column;
} place;

typedef struct oracle {
    const char *text;
    size_t n, at;
    const char *delimiter;
    int quote; /* -1: none */
    int columns;
    hn_text rows;
    uint64_t good, bad;
    place bads[64];
    bool fatal;
    place fatal_at;
} oracle;

static bool at_text(const oracle *o, size_t at, const char *what) {
    return strlen(what) <= o->n - at && memcmp(o->text + at, what, strlen(what)) == 0;
}

static bool at_row_end(const oracle *o, size_t at) {
    if (at >= o->n || o->text[at] == '\n') return true;
    return o->text[at] == '\r' && (at + 1 == o->n || o->text[at + 1] == '\n');
}

static place place_of(const oracle *o, size_t at) {
    place p = {1, 1};
    for (size_t i = 0; i < at; i++) {
        p.column++;
        if (o->text[i] == '\n') p = (place){p.line + 1, 1};
    }
    return p;
}

typedef struct oracle_row {
    char cells[64][512];
    int n;
    bool bad;
    size_t bad_at;
} oracle_row;

static void fault(oracle_row *row, size_t at) {
    if (!row->bad) row->bad_at = at;
    row->bad = true;
}

static void put(char cell[512], char c) {
    const size_t n = strlen(cell);
    assert_true(n < 510);
    cell[n] = c == '\0' ? '0' : c;
    cell[n + 1] = '\0';
}

/* Reads one field; true when it was the row's last. */
static bool oracle_field(oracle *o, oracle_row *row) {
    char trash[512] = "", *cell = row->n < 64 ? row->cells[row->n] : trash;
    row->n++;
    cell[0] = '\0';
    if (o->at < o->n && (unsigned char)o->text[o->at] == o->quote) {
        const size_t opened = o->at++;
        for (;;) {
            if (o->at == o->n) {
                fault(row, opened);
                for (size_t i = opened; i + 1 < o->n; i++) o->fatal |= o->text[i] == '\n';
                o->fatal_at = place_of(o, opened);
                return true;
            }
            const char c = o->text[o->at++];
            if ((unsigned char)c != o->quote)
                put(cell, c);
            else if (o->at < o->n && (unsigned char)o->text[o->at] == o->quote)
                put(cell, o->text[o->at++]);
            else
                break;
        }
        if (!at_row_end(o, o->at) && !at_text(o, o->at, o->delimiter)) fault(row, o->at);
        while (o->at < o->n && o->text[o->at] != '\n' && !at_text(o, o->at, o->delimiter)) o->at++;
    } else {
        for (; !at_row_end(o, o->at) && !at_text(o, o->at, o->delimiter); o->at++)
            put(cell, o->text[o->at]);
    }
    if (o->at < o->n && o->text[o->at] == '\r' && at_row_end(o, o->at)) o->at++;
    if (o->at == o->n) return true;
    if (o->text[o->at] == '\n') {
        o->at++;
        return true;
    }
    o->at += strlen(o->delimiter);
    return false;
}

static void oracle_emit(oracle *o, const oracle_row *row) {
    if (row->bad) {
        if (o->bad < 64) o->bads[o->bad] = place_of(o, row->bad_at);
        o->bad++;
        return;
    }
    hn_text_add(&o->rows, "%llu 0 - 1 %s 0 ()", (unsigned long long)o->good, reading_hash(NULL));
    for (int c = 0; c < o->columns; c++) hn_text_add(&o->rows, " %s", reading_hash(row->cells[c]));
    hn_text_add(&o->rows, "\n");
    o->good++;
}

static void oracle_read(oracle *o) {
    static oracle_row row;
    while (o->at < o->n) {
        if (at_row_end(o, o->at)) { /* an empty line */
            o->at += o->text[o->at] == '\r';
            o->at += o->at < o->n;
            continue;
        }
        size_t surplus = o->n;
        bool last = false;
        row.n = 0;
        row.bad = false;
        while (!last) {
            if (row.n == o->columns) surplus = o->at;
            last = oracle_field(o, &row);
        }
        size_t end = o->at;
        if (end > 0 && o->text[end - 1] == '\n') end--;
        if (row.n > o->columns) fault(&row, surplus);
        if (row.n <
            o->columns) { /* the column of a short row is only known to lie in its last field */
            if (!row.bad) row.bad_at = SIZE_MAX;
            row.bad = true;
        }
        if (row.bad && row.bad_at == SIZE_MAX) {
            if (o->bad < 64) o->bads[o->bad] = (place){place_of(o, end).line, 0};
            o->bad++;
            continue;
        }
        oracle_emit(o, &row);
    }
}

/* ---- Comparison -------------------------------------------------------------------------- */

typedef struct shape {
    const char *delimiter, *quote;
    int columns;
    bool header;
} shape;

static const shape shapes[] = {
    {",", "\"", 2, false},  {"\t", "\"", 1, false}, {"::", "\"", 2, false}, {"::", "", 2, false},
    {":,:", "'", 3, false}, {",", "", 2, false},    {",", "\"", 3, true},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static hn_config *config_of(const char *dir, const shape *s) {
    char yaml[1000], columns[100] = "";
    for (int c = 0; c < s->columns && !s->header; c++)
        sprintf(columns + strlen(columns), "%sc%d", c > 0 ? ", " : "", c);
    snprintf(
        yaml, sizeof yaml,
        "log: {files: log.csv, delimiter: '%s', quote: '%s', columns: [%s], bad_rows: 1000000}\n"
        "tasks: {y: nothing}\nfeatures: {c0: id}\nsplit: {by: random, validation: 0, test: 0}\n",
        s->delimiter[0] == '\t' ? "auto" : s->delimiter, s->quote[0] == '\'' ? "''" : s->quote,
        columns);
    if (s->delimiter[0] == '\t') {
        char *const automatic = strstr(yaml, "'auto'");
        memcpy(automatic, "\"\\t\"  ", 6);
    }
    hn_config *const config = reading_config(dir, yaml);
    config->tasks[0].label = (hn_predicate){0}; /* labels are not the matter here */
    return config;
}

/* Mostly structure, little content: what hurts. */
static size_t random_text(char *out, size_t most, const shape *s, uint64_t seed) {
    static const char letters[] = "ab1\"\"\"\n\n\r,,::\t'\xc3\xa9|";
    size_t n = 0;
    const size_t wanted = hn_random(seed, HN_STREAM_TEST, 0) % most;
    const bool tame = hn_random(seed, HN_STREAM_TEST, 1) % 2;
    if (s->header)
        n = (size_t)sprintf(out, "%sc0,c1,\"c2\"%s", seed % 3 == 0 ? "\xef\xbb\xbf" : "",
                            seed % 2 ? "\r\n" : "\n");
    else if (seed % 5 == 0)
        n = (size_t)sprintf(out, "\xef\xbb\xbf");
    for (uint64_t i = 2; n < wanted; i++) {
        const uint64_t r = hn_random(seed, HN_STREAM_TEST, i);
        if (tame && r % 8 == 0) { /* a whole row that is right */
            for (int c = 0; c < s->columns; c++)
                n += (size_t)sprintf(out + n, "%s%s%.*s%s", c > 0 ? s->delimiter : "", s->quote,
                                     (int)(r >> (8 * c + 8)) & 3, "a\nb", s->quote);
            out[n++] = '\n';
        } else {
            out[n++] = letters[(r >> 32) % (sizeof letters - 1)];
            if (out[n - 1] == '"' && seed % 3 == 1 && r % 16 != 0) out[n - 1] = 'q';
        }
    }
    return n;
}

static void assert_bads(const oracle *o, const reading *r, const char *text) {
    assert_int_equal(r->counts.bad, o->bad);
    for (int32_t i = 0; i < r->counts.n_examples; i++) {
        unsigned long long line, column;
        assert_int_equal(
            sscanf(r->counts.examples[i].text, "log.csv:%llu:%llu: found", &line, &column), 2);
        if (line != o->bads[i].line || (o->bads[i].column > 0 && column != o->bads[i].column))
            print_error("%s\nexpected %zu:%zu in:\n%s\n", r->counts.examples[i].text,
                        o->bads[i].line, o->bads[i].column, text);
        assert_int_equal(line, o->bads[i].line);
        if (o->bads[i].column > 0) assert_int_equal(column, o->bads[i].column);
    }
    assert_int_equal(r->counts.n_examples, o->bad < 20 ? o->bad : 20);
}

/* How often each outcome was met: a comparison of nothing proves nothing. */
static uint64_t met_good, met_bad, met_fatal;

static void compare(const char *dir, const shape *s, const hn_config *config, const char *text,
                    size_t n, size_t chunk, hn_pool *pool, uint64_t seed) {
    reading_sources sources = {0};
    static const char *const names[] = {"c0", "c1", "c2"};
    for (int c = 0; c < s->columns; c++) reading_add(&sources, config, HN_SOURCE_HASH, names[c]);
    const size_t mark = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    oracle o = {.text = text + mark,
                .n = n - mark,
                .delimiter = s->delimiter,
                .columns = s->columns,
                .quote = s->quote[0] ? (unsigned char)s->quote[0] : -1};
    if (s->header) o.at = (size_t)(strchr(o.text, '\n') - o.text) + 1;
    hn_text_bytes(&o.rows, "", 0);
    oracle_read(&o);
    met_fatal += o.fatal;
    met_good += o.fatal ? 0 : o.good;
    met_bad += o.fatal ? 0 : o.bad;
    reading r = {.options.scoring = false};
    hn_chunk_bytes_set(chunk);
    const hn_status status = reading_log(&r, config, &sources.sources, NULL, pool, NULL, &err);
    (void)dir;
    if (o.fatal) {
        char where[64];
        snprintf(where, sizeof where, "log.csv:%zu:%zu:", o.fatal_at.line, o.fatal_at.column);
        assert_fails(HN_BAD_DATA, "never closed", status);
        if (!strstr(err.text, where)) print_error("%s\nexpected %s\n", err.text, where);
        assert_non_null(strstr(err.text, where));
    } else {
        if (status != HN_OK)
            print_error("seed %llu, chunk %zu: %s\n%s\n", (unsigned long long)seed, chunk, err.text,
                        text);
        assert_ok(status);
        if (strcmp(r.rows.text, o.rows.text) != 0)
            print_error("seed %llu, chunk %zu, delimiter %s, quote %s, text:\n%s\n",
                        (unsigned long long)seed, chunk, s->delimiter, s->quote, text);
        assert_string_equal(r.rows.text, o.rows.text);
        assert_int_equal(r.counts.rows, o.good + o.bad);
        assert_int_equal(r.counts.bytes, n);
        assert_bads(&o, &r, text);
    }
    hn_text_free(&o.rows);
    reading_free(&r);
}

static void random_texts_read_as_by_hand(void **state) {
    (void)state;
    enum { TEXTS = 2500 };
    char *const dir = support_folder();
    char path[4096], text[1200];
    snprintf(path, sizeof path, "%s/log.csv", dir);
    reading_file(dir, "log.csv", "");
    hn_pool *pools[4] = {NULL};
    hn_config *configs[SHAPES];
    for (int i = 0; i < 4; i++) assert_ok(hn_pool_create(&pools[i], i + 1, &err));
    for (int i = 0; i < SHAPES; i++) configs[i] = config_of(dir, &shapes[i]);
    for (uint64_t seed = 0; seed < TEXTS; seed++) {
        const shape *const s = &shapes[seed % SHAPES];
        const size_t n = random_text(text, seed % 4 == 0 ? 1000 : 90, s, seed);
        text[n] = '\0';
        support_write(path, text, n);
        const size_t odd = 1 + hn_random(seed, HN_STREAM_TEST, 1000000) % 150;
        const size_t chunks[] = {1, 2, 3, odd, 64, 5000};
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
            compare(dir, s, configs[seed % SHAPES], text, n, chunks[c], pools[(seed + c) % 4],
                    seed);
    }
    print_message("%llu good rows, %llu bad ones, %llu texts with a quote never closed\n",
                  (unsigned long long)met_good, (unsigned long long)met_bad,
                  (unsigned long long)met_fatal);
    assert_true(met_good > 10000 && met_bad > 10000 && met_fatal > 100);
    for (int i = 0; i < SHAPES; i++) hn_config_free(configs[i]);
    for (int i = 0; i < 4; i++) hn_pool_free(pools[i]);
    hn_chunk_bytes_set(0);
    support_remove(dir);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_texts_read_as_by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
