/* The platform of platform.h. */
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/report.h"
#include "base/rng.h"

static uint64_t draw(uint64_t salt, uint64_t *counter, uint64_t n) {
    return hn_random(salt, HN_STREAM_TEST, (*counter)++) % n;
}

/* Small numbers are likelier, so that counts differ. */
static uint64_t draw_skewed(uint64_t salt, uint64_t *counter, uint64_t n) {
    const uint64_t a = draw(salt, counter, n), b = draw(salt, counter, n);
    return a * b / n;
}

/* Into a text of `size` bytes, which must be enough. */
__attribute__((format(printf, 3, 4))) static void put(char *to, size_t size, const char *format,
                                                      ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(to, size, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < size);
}
#define PUT(to, ...) put(to, sizeof(to), __VA_ARGS__)

static void make_row(platform_row *row, uint64_t salt, uint64_t *c) {
    memset(row, 0, sizeof *row);
    if (draw(salt, c, 20) > 0) PUT(row->user, "u%d", (int)draw_skewed(salt, c, PLATFORM_USERS + 5));
    if (draw(salt, c, 50) > 0) PUT(row->item, "i%d", (int)draw_skewed(salt, c, PLATFORM_ITEMS + 9));
    PUT(row->tab, "%c", (int)('a' + draw_skewed(salt, c, 3)));
    PUT(row->day, "%d", 1 + (int)draw(salt, c, 7));
    if (draw(salt, c, 10) > 0) PUT(row->price, "%.2f", (double)draw(salt, c, 900) / 7 - 20);
    row->n_tags = (int32_t)draw(salt, c, PLATFORM_LIST);
    for (int32_t i = 0; i < row->n_tags; i++)
        PUT(row->tags[i], "t%d", (int)draw_skewed(salt, c, 12));
    const bool liked = row->user[1] % 2 == row->item[1] % 2;
    if (draw(salt, c, 15) > 0) PUT(row->click, "%d", draw(salt, c, 10) < (liked ? 6u : 2u));
    if (draw(salt, c, 4) > 0) PUT(row->buy, "%d", draw(salt, c, 10) < 1);
}

static void make_tables(platform *p) {
    uint64_t c = 0;
    for (int i = 0; i < PLATFORM_USERS; i++) {
        platform_user *const user = &p->user[i];
        PUT(user->user, "u%d", i);
        if (draw(77, &c, 8) > 0) PUT(user->age, "%d", 15 + (int)draw(77, &c, 50));
        if (draw(77, &c, 8) > 0) PUT(user->city, "c%d", (int)draw(77, &c, 9));
        user->n_hobbies = (int32_t)draw(77, &c, PLATFORM_LIST);
        for (int32_t k = 0; k < user->n_hobbies; k++)
            PUT(user->hobbies[k], "t%d", (int)draw(77, &c, 15));
    }
    for (int i = 0; i < PLATFORM_ITEMS; i++) {
        platform_item *const item = &p->item[i];
        PUT(item->item, "i%d", i);
        if (draw(78, &c, 9) > 0) PUT(item->category, "k%d", (int)draw(78, &c, 7));
        if (draw(78, &c, 9) > 0) PUT(item->cost, "%.1f", (double)draw(78, &c, 400) / 10);
    }
}

static void add_list(hn_text *text, char values[][8], int32_t n) {
    for (int32_t i = 0; i < n; i++) hn_text_add(text, "%s%s", i ? "|" : "", values[i]);
}

static void write_text(const platform *p, const char *name, hn_text *text) {
    char *const path = platform_path(p, name);
    support_write(path, text->text, text->length);
    hn_text_free(text);
    free(path);
}

static void write_files(platform *p) {
    hn_text text = {0};
    hn_text_add(&text, "user,item,tab,day,price,tags,click,buy\n");
    for (int32_t i = 0; i < p->rows; i++) {
        platform_row *const r = &p->row[i];
        hn_text_add(&text, "%s,%s,%s,%s,%s,", r->user, r->item, r->tab, r->day, r->price);
        add_list(&text, r->tags, r->n_tags);
        hn_text_add(&text, ",%s,%s\n", r->click, r->buy);
    }
    write_text(p, "log.csv", &text);
    hn_text_add(&text, "user,age,city,hobbies\n");
    for (int32_t i = 0; i < PLATFORM_USERS; i++) {
        platform_user *const u = &p->user[i];
        hn_text_add(&text, "%s,%s,%s,", u->user, u->age, u->city);
        add_list(&text, u->hobbies, u->n_hobbies);
        hn_text_add(&text, "\n");
    }
    write_text(p, "users.csv", &text);
    hn_text_add(&text, "item,category,cost\n");
    for (int32_t i = 0; i < PLATFORM_ITEMS; i++)
        hn_text_add(&text, "%s,%s,%s\n", p->item[i].item, p->item[i].category, p->item[i].cost);
    write_text(p, "items.csv", &text);
}

platform *platform_create(int32_t rows, uint64_t salt, int32_t threads) {
    platform *const p = calloc(1, sizeof *p);
    hn_error err = {0};
    assert_non_null(p);
    assert_true(rows <= PLATFORM_ROWS_MAX);
    p->folder = support_folder();
    p->rows = rows;
    uint64_t c = 0;
    for (int32_t i = 0; i < rows; i++) make_row(&p->row[i], salt, &c);
    make_tables(p);
    write_files(p);
    assert_ok(hn_pool_create(&p->pool, threads, &err));
    return p;
}

void platform_free(platform *p) {
    hn_pool_free(p->pool);
    support_remove(p->folder);
    free(p->folder);
    free(p);
}

char *platform_path(const platform *p, const char *name) {
    char *const path = malloc(strlen(p->folder) + strlen(name) + 2);
    assert_non_null(path);
    sprintf(path, "%s/%s", p->folder, name);
    return path;
}

hn_config *platform_config(const platform *p, const char *features, const char *more) {
    hn_text text = {0};
    hn_error err = {0};
    hn_config *config;
    hn_text_add(&text,
                "log: log.csv\n"
                "tables:\n"
                "  users: {files: users.csv, key: user, side: user}\n"
                "  items: {files: items.csv, key: item, side: item}\n"
                "split: {by: column, validation: day == 6, test: day == 7}\n"
                "scenario: {column: tab, values: [a, b, c]}\n"
                "tasks: {click: click, buy: buy}\n"
                "user: user\n"
                "features:\n%s%s",
                features, more);
    assert_ok(
        hn_config_parse(&config, text.text, text.length, "test.yaml", p->folder, NULL, 0, &err));
    hn_text_free(&text);
    return config;
}

const platform_user *platform_user_of(const platform *p, const platform_row *row) {
    for (int32_t i = 0; i < PLATFORM_USERS; i++)
        if (strcmp(p->user[i].user, row->user) == 0) return &p->user[i];
    return NULL;
}

const platform_item *platform_item_of(const platform *p, const platform_row *row) {
    for (int32_t i = 0; i < PLATFORM_ITEMS; i++)
        if (strcmp(p->item[i].item, row->item) == 0) return &p->item[i];
    return NULL;
}

hn_split platform_split(const platform_row *row) {
    return row->day[0] == '7' ? HN_TEST : row->day[0] == '6' ? HN_VALIDATION : HN_TRAIN;
}

hn_dataset *platform_dataset(const platform *p, const hn_config *config, const hn_run *run) {
    hn_error err = {0};
    hn_dataset *dataset;
    char *const path = platform_path(p, "data");
    assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, run, &err));
    assert_ok(hn_dataset_open(&dataset, path, config, &err));
    free(path);
    return dataset;
}

/* ---- Reading back -------------------------------------------------------------------------- */

typedef struct taken { /* one row, with lists of its own */
    uint64_t ordinal, user;
    uint16_t scenario;
    float weight;
    uint32_t *id;
    float *value;
    uint8_t *label;
    uint32_t *list; /* length, ids, length, ids … */
} taken;

static int by_ordinal(const void *a, const void *b) {
    const taken *const x = a, *const y = b;
    return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static void *copy_of(const void *from, size_t n, size_t size) {
    void *const to = calloc(n + 1, size);
    assert_non_null(to);
    if (n > 0) memcpy(to, from, n * size);
    return to;
}

static uint32_t *copy_lists(const hn_rows *rows, size_t r, size_t lists) {
    const uint32_t begin = rows->list_begin[r * lists], end = rows->list_begin[(r + 1) * lists];
    uint32_t *const to = calloc(end - begin + lists + 1, sizeof *to), *at = to;
    assert_non_null(to);
    for (size_t l = 0; l < lists; l++) {
        const uint32_t from = rows->list_begin[r * lists + l],
                       n = rows->list_begin[r * lists + l + 1] - from;
        *at++ = n;
        for (uint32_t i = 0; i < n; i++) *at++ = rows->list_ids[from + i];
    }
    return to;
}

static taken take(const hn_rows *rows, size_t r, const hn_layout *layout) {
    const size_t ids = (size_t)layout->ids, values = (size_t)layout->values,
                 tasks = (size_t)layout->tasks;
    return (taken){rows->ordinal[r],
                   rows->user[r],
                   rows->scenario[r],
                   rows->weights[r],
                   copy_of(rows->ids + r * ids, ids, 4),
                   copy_of(rows->values + r * values, values, 4),
                   copy_of(rows->labels + r * tasks, tasks, 1),
                   copy_lists(rows, r, (size_t)layout->lists)};
}

static platform_rows put_together(taken *row, size_t n, const hn_layout *layout) {
    const size_t ids = (size_t)layout->ids, values = (size_t)layout->values,
                 tasks = (size_t)layout->tasks, lists = (size_t)layout->lists;
    size_t list_ids = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0, at = 0; l < lists; l++)
            list_ids += row[i].list[at], at += row[i].list[at] + 1;
    platform_rows out = {.memory = {calloc(n + 1, 2), calloc(n * ids + 1, 4),
                                    calloc(n * values + 1, 4), calloc(n * lists + 1, 4),
                                    calloc(list_ids + 1, 4), calloc(n * tasks + 1, 1),
                                    calloc(n + 1, 4), calloc(n + 1, 8), calloc(n + 1, 8)}};
    uint16_t *const scenario = out.memory[0];
    uint32_t *const id = out.memory[1], *const begin = out.memory[3], *const list = out.memory[4];
    float *const value = out.memory[2], *const weight = out.memory[6];
    uint8_t *const label = out.memory[5];
    uint64_t *const ordinal = out.memory[7], *const user = out.memory[8];
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        scenario[i] = row[i].scenario, weight[i] = row[i].weight;
        ordinal[i] = row[i].ordinal, user[i] = row[i].user;
        memcpy(id + i * ids, row[i].id, ids * 4);
        memcpy(value + i * values, row[i].value, values * 4);
        memcpy(label + i * tasks, row[i].label, tasks);
        for (size_t l = 0, at = 0; l < lists; l++) {
            const uint32_t length = row[i].list[at++];
            begin[i * lists + l] = (uint32_t)end;
            memcpy(list + end, row[i].list + at, length * 4);
            end += length, at += length;
        }
        free(row[i].id), free(row[i].value), free(row[i].label), free(row[i].list);
    }
    begin[n * lists] = (uint32_t)end;
    out.rows =
        (hn_rows){(int32_t)n, scenario, id, value, begin, list, label, weight, ordinal, user};
    return out;
}

platform_rows platform_read(const hn_dataset *dataset, hn_split split) {
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(dataset));
    const size_t n = hn_dataset_rows(dataset, split);
    taken *const row = calloc(n + 1, sizeof *row);
    hn_error err = {0};
    hn_batcher *batcher;
    size_t done = 0;
    assert_non_null(row);
    assert_ok(hn_batcher_create(&batcher, dataset, split, 37, 3, 1, &err));
    for (;;) {
        const hn_rows *rows;
        assert_ok(hn_batcher_next(&rows, batcher, &err));
        if (!rows) break;
        for (int32_t r = 0; r < rows->rows; r++) row[done++] = take(rows, (size_t)r, layout);
    }
    assert_int_equal(done, n);
    hn_batcher_free(batcher);
    qsort(row, n, sizeof *row, by_ordinal);
    const platform_rows out = put_together(row, n, layout);
    free(row);
    return out;
}

void platform_rows_free(platform_rows *rows) {
    for (size_t i = 0; i < sizeof rows->memory / sizeof *rows->memory; i++) free(rows->memory[i]);
    memset(rows, 0, sizeof *rows);
}

const hn_input *platform_input(const hn_layout *layout, const char *name) {
    for (int32_t i = 0; i < layout->n_inputs; i++)
        if (strcmp(layout->inputs[i].name, name) == 0) return &layout->inputs[i];
    fail_msg("no input %s", name);
    return NULL;
}
