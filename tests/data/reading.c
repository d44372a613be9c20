/* The helpers of the tests of reading; see reading.h. */
#include "reading.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hn_config *reading_config(const char *dir, const char *yaml) {
    hn_config *config = NULL;
    hn_error err = {0};
    assert_ok(hn_config_parse(&config, yaml, strlen(yaml), "test.yaml", dir, NULL, 0, &err));
    return config;
}

void reading_file(const char *dir, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    support_write(path, text, strlen(text));
}

static int32_t find_table(const hn_config *config, const char *column, const char **rest) {
    *rest = column;
    for (int32_t t = 0; t < config->n_tables; t++) {
        const size_t n = strlen(config->tables[t].name);
        if (strncmp(column, config->tables[t].name, n) != 0 || column[n] != '.') continue;
        *rest = column + n + 1;
        return t;
    }
    return -1;
}

void reading_add(reading_sources *to, const hn_config *config, hn_source_kind kind,
                 const char *column) {
    hn_sources *const s = &to->sources;
    s->items = to->items;
    s->table_slots = to->table_slots;
    s->tables = config->n_tables;
    assert_true(s->n < READING_SOURCES);
    hn_source *const source = &to->items[s->n++];
    const char *rest;
    static char bar[] = "|";
    *source = (hn_source){
        .kind = kind, .delimiter = kind == HN_SOURCE_LIST ? bar : NULL, .max_length = 3};
    source->table = find_table(config, column, &rest);
    source->column = (char *)(uintptr_t)rest;
    source->slot = source->table < 0 ? s->log_slots++ : to->table_slots[source->table]++;
}

static void add_slot(hn_text *out, hn_source_kind kind, const hn_slot *slot,
                     const uint64_t *lists) {
    switch (kind) {
    case HN_SOURCE_HASH: hn_text_add(out, " %016" PRIx64, slot->hash); break;
    case HN_SOURCE_NUMBER:
        hn_text_add(out, " %.17g", isnan(slot->number) ? (double)NAN : slot->number);
        break;
    case HN_SOURCE_LIST:
        hn_text_add(out, " [");
        for (uint32_t i = 0; i < slot->list.length; i++)
            hn_text_add(out, " %016" PRIx64, lists[slot->list.begin + i]);
        hn_text_add(out, " ]");
    }
}

/* ordinal scenario labels weight user split (table rows) slots …, then the line. */
static hn_status take_block(void *user, const hn_impressions *b, hn_error *err) {
    reading *const r = user;
    if (++r->blocks == r->fail_block) return hn_fail(err, HN_FAILED, "the caller has had enough");
    for (int32_t i = 0; i < b->rows; i++) {
        hn_text_add(&r->rows, "%" PRIu64 " %d ", b->ordinal[i],
                    b->scenario[i] == HN_SCENARIO_UNKNOWN ? -1 : b->scenario[i]);
        for (int32_t t = 0; t < b->tasks; t++) {
            const uint8_t label = b->labels[i * b->tasks + t];
            hn_text_add(&r->rows, "%c", label == HN_LABEL_ABSENT ? '-' : '0' + label);
        }
        hn_text_add(&r->rows, " %g %016" PRIx64 " %d (", (double)b->weights[i], b->user[i],
                    b->split[i]);
        for (int32_t t = 0; t < b->tables; t++)
            hn_text_add(&r->rows, "%s%d", t > 0 ? " " : "", b->table_rows[i * b->tables + t]);
        hn_text_add(&r->rows, ")");
        for (int32_t s = 0; s < r->sources->n; s++)
            if (r->sources->items[s].table < 0)
                add_slot(
                    &r->rows, r->sources->items[s].kind,
                    &b->slots[(size_t)i * (size_t)b->log_slots + (size_t)r->sources->items[s].slot],
                    b->lists);
        if (b->sampling) hn_text_add(&r->rows, " s%g", (double)b->sampling[i]);
        if (b->identity)
            hn_text_add(&r->rows, " #%016" PRIx64 "%016" PRIx64, b->identity[2 * i],
                        b->identity[2 * i + 1]);
        if (b->line) hn_text_add(&r->rows, " <%.*s>", (int)b->line_bytes[i], b->line[i]);
        hn_text_add(&r->rows, "\n");
    }
    return HN_OK;
}

static hn_status take_header(void *user, const char *text, size_t n, const char *delimiter,
                             hn_error *err) {
    reading *const r = user;
    (void)err;
    assert_int_equal(r->blocks, 0);
    hn_text_add(&r->header, "%.*s (%s)\n", (int)n, text, delimiter);
    return HN_OK;
}

hn_status reading_log(reading *r, const hn_config *config, const hn_sources *sources,
                      const hn_side_tables *tables, hn_pool *pool, const hn_run *run,
                      hn_error *err) {
    r->sources = sources;
    r->options.block = take_block;
    r->options.header = take_header;
    r->options.user = r;
    hn_text_bytes(&r->rows, "", 0);
    hn_text_bytes(&r->header, "", 0);
    return hn_log_read(&r->counts, config, sources, tables, &r->options, pool, run, err);
}

void reading_free(reading *r) {
    hn_text_free(&r->rows);
    hn_text_free(&r->header);
    hn_log_counts_free(&r->counts);
    *r = (reading){0};
}

const char *reading_hash(const char *text) {
    static char buffers[8][20];
    static int next;
    char *const buffer = buffers[next++ % 8];
    sprintf(buffer, "%016" PRIx64,
            text && text[0] ? hn_cell_hash(text, strlen(text)) : HN_HASH_MISSING);
    return buffer;
}

void reading_table(hn_text *out, const hn_side_table *table) {
    for (uint32_t r = 0; r < table->rows; r++) {
        hn_text_add(out, "%016" PRIx64, table->keys[r]);
        for (int32_t s = 0; s < table->slots; s++)
            add_slot(out, table->kinds[s],
                     &table->slot[(size_t)r * (size_t)table->slots + (size_t)s], table->lists);
        for (int32_t i = 0; i < table->n_refs; i++)
            if (table->refs[i]) hn_text_add(out, " r%d=%" PRIx64, i, table->refs[i][r]);
        hn_text_add(out, "\n");
    }
}
