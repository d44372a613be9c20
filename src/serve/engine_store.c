/* The engine and the feature store: which keys a request names, one fetch for all of them, and
 * their cells behind what the request itself gave. */
#include <string.h>

#include "base/config_options.h"
#include "base/memory.h"
#include "serve/engine.h"

typedef struct stored_table {
    int32_t table, key_field;
    int32_t *fields; /* [columns] */
    int32_t columns;
} stored_table;

typedef struct noted {
    const char *text; /* NULL: none, or an absent one */
    size_t n;
} noted;

struct hn_engine_store {
    hn_store_reader *reader;
    hn_arena arena;
    stored_table *tables;
    int32_t n, rows;
    /* [1 + rows][tables]; what all rows share comes first */
    noted *notes;
    int32_t *key_of; /* index into keys; -1: none of its own */
    size_t notes_capacity, key_of_capacity;
    hn_store_key *keys;
    size_t n_keys, keys_capacity;
    int32_t late; /* columns */
};

/* ---- Life ---------------------------------------------------------------------------------- */

void hn_engine_store_free(struct hn_engine_store *store) {
    if (!store) return;
    hn_store_reader_free(store->reader);
    hn_free(store->notes);
    hn_free(store->key_of);
    hn_free(store->keys);
    hn_arena_free(&store->arena);
    hn_free(store);
}

static hn_status add_table(struct hn_engine_store *s, hn_store_table *out, const hn_engine *engine,
                           int32_t table, hn_error *err) {
    const hn_request *const q = engine->request;
    const int32_t fields = hn_request_fields(q);
    stored_table *const t = &s->tables[s->n];
    *t = (stored_table){.table = table, .key_field = hn_request_key_field(q, table)};
    t->fields = hn_arena_alloc(&s->arena, (size_t)fields + 1, sizeof *t->fields);
    const char **const columns = hn_arena_alloc(&s->arena, (size_t)fields + 1, sizeof *columns);
    if (!t->fields || !columns) return hn_no_memory(err, "the feature store's columns");
    for (int32_t f = 0; f < fields; f++) {
        if (hn_request_field_table(q, f) != table || !hn_request_is_read(q, f)) continue;
        columns[t->columns] = hn_request_field_column(q, f);
        t->fields[t->columns++] = f;
    }
    *out = (hn_store_table){engine->bundle->config->tables[table].name, columns, t->columns};
    s->n += t->columns > 0;
    return HN_OK;
}

static hn_status make(struct hn_engine_store *s, const hn_engine *engine, hn_store *store,
                      const hn_strings *names, hn_error *err) {
    const hn_config *const config = engine->bundle->config;
    const size_t most = (size_t)config->n_tables + 1;
    s->tables = hn_arena_alloc(&s->arena, most, sizeof *s->tables);
    hn_store_table *const tables = hn_arena_alloc(&s->arena, most, sizeof *tables);
    if (!s->tables || !tables) return hn_no_memory(err, "the feature store's columns");
    for (int32_t t = 0; t < config->n_tables; t++)
        if (names->n == 0 || hn_strings_find(names, config->tables[t].name) >= 0)
            HN_TRY(add_table(s, &tables[s->n], engine, t, err));
    return hn_store_reader_create(&s->reader, store, tables, s->n, err);
}

hn_status hn_engine_attach_store(hn_engine *engine, hn_store *store, const hn_strings *names,
                                 hn_error *err) {
    struct hn_engine_store *const s = hn_alloc_zero(1, sizeof *s);
    if (!s) return hn_no_memory(err, "the feature store's columns");
    hn_status status = make(s, engine, store, names, err);
    if (status == HN_OK) status = hn_engine_store_rows(s, 0, err);
    if (status != HN_OK || s->n == 0)
        hn_engine_store_free(s);
    else
        engine->store = s;
    return status;
}

/* ---- Keys ---------------------------------------------------------------------------------- */

void hn_engine_store_begin(struct hn_engine_store *s) {
    s->rows = 0;
    s->n_keys = 0;
    s->late = 0;
    memset(s->notes, 0, (size_t)s->n * sizeof *s->notes);
}

hn_status hn_engine_store_rows(struct hn_engine_store *s, int32_t rows, hn_error *err) {
    const size_t tables = (size_t)s->n, n = (1 + (size_t)rows) * tables;
    HN_TRY(hn_grow(&s->notes, &s->notes_capacity, n + 1, sizeof *s->notes, err));
    HN_TRY(hn_grow(&s->key_of, &s->key_of_capacity, n + 1, sizeof *s->key_of, err));
    memset(s->notes + tables, 0, (n - tables) * sizeof *s->notes);
    for (size_t i = 0; i < n; i++) s->key_of[i] = -1;
    s->rows = rows;
    return HN_OK;
}

hn_status hn_engine_store_note(struct hn_engine_store *s, int32_t row, int32_t field,
                               const char *text, size_t n) {
    for (int32_t t = 0; t < s->n; t++)
        if (s->tables[t].key_field == field)
            s->notes[(1 + row) * s->n + t] = (noted){n > 0 ? text : NULL, n};
    return HN_OK;
}

static bool same(const noted *a, const hn_store_key *b) {
    return a->n == b->key_bytes && memcmp(a->text, b->key, a->n) == 0;
}

/* A key for the row (-1: for all) and table, unless that of the row before is the same. */
static hn_status add_key(struct hn_engine_store *s, int32_t row, int32_t t, hn_error *err) {
    const size_t at = (size_t)(1 + row) * (size_t)s->n + (size_t)t;
    const noted *const note = &s->notes[at];
    if (!note->text) return HN_OK;
    const int32_t before = row > 0 ? s->key_of[at - (size_t)s->n] : -1;
    if (before >= 0 && same(note, &s->keys[before])) {
        s->key_of[at] = before;
        return HN_OK;
    }
    HN_TRY(hn_grow(&s->keys, &s->keys_capacity, s->n_keys + 1, sizeof *s->keys, err));
    s->keys[s->n_keys] = (hn_store_key){.table = t, .key = note->text, .key_bytes = note->n};
    s->key_of[at] = (int32_t)s->n_keys++;
    return HN_OK;
}

/* ---- Cells --------------------------------------------------------------------------------- */

static hn_status fill_row(hn_engine *engine, int32_t row, int32_t t, hn_error *err) {
    const struct hn_engine_store *const s = engine->store;
    const int32_t k = s->key_of[(1 + row) * s->n + t];
    if (k < 0 || !s->keys[k].cells) return HN_OK;
    for (int32_t c = 0; c < s->tables[t].columns; c++)
        HN_TRY(hn_request_fill(engine->request, row, s->tables[t].fields[c], s->keys[k].cells[c],
                               s->keys[k].cell_bytes[c], err));
    return HN_OK;
}

static void count_late(struct hn_engine_store *s) {
    for (int32_t t = 0; t < s->n; t++) {
        bool late = false;
        for (size_t k = 0; k < s->n_keys; k++) late |= s->keys[k].table == t && s->keys[k].late;
        s->late += late ? s->tables[t].columns : 0;
    }
}

hn_status hn_engine_store_fetch(hn_engine *engine, int64_t deadline_ns, hn_error *err) {
    struct hn_engine_store *const s = engine->store;
    for (int32_t t = 0; t < s->n; t++)
        for (int32_t row = -1; row < s->rows; row++) HN_TRY(add_key(s, row, t, err));
    if (s->n_keys == 0) return HN_OK;
    hn_store_fetch(s->reader, s->keys, (int32_t)s->n_keys, deadline_ns);
    count_late(s);
    for (int32_t t = 0; t < s->n; t++)
        for (int32_t row = -1; row < s->rows; row++) HN_TRY(fill_row(engine, row, t, err));
    return HN_OK;
}

int32_t hn_engine_late(const hn_engine *engine) { return engine->store ? engine->store->late : 0; }

bool hn_engine_row_late(const hn_engine *engine, int32_t row) {
    const struct hn_engine_store *const s = engine->store;
    for (int32_t t = 0; s && t < s->n; t++) {
        const int32_t k = s->key_of[(1 + row) * s->n + t];
        if (k >= 0 && s->keys[k].late) return true;
    }
    return false;
}

static void add_cell(hn_text *out, const hn_engine *engine, int32_t field, const char *text,
                     size_t n, bool comma) {
    if (comma) hn_text_bytes(out, ",", 1);
    hn_json_add_text(out, hn_request_field_name(engine->request, field));
    hn_text_bytes(out, ":", 1);
    if (text)
        hn_json_add_string(out, text, n);
    else
        hn_json_add_text(out, NULL);
}

void hn_engine_add_stored(hn_text *out, const hn_engine *engine, int32_t row, bool comma) {
    const struct hn_engine_store *const s = engine->store;
    for (int32_t t = 0; s && t < s->n; t++) {
        const int32_t k = s->key_of[(1 + row) * s->n + t];
        for (int32_t c = 0; k >= 0 && s->keys[k].cells && c < s->tables[t].columns; c++) {
            const int32_t field = s->tables[t].fields[c];
            if (!hn_request_filled(engine->request, row, field)) continue;
            add_cell(out, engine, field, s->keys[k].cells[c], s->keys[k].cell_bytes[c], comma);
            comma = true;
        }
    }
}
