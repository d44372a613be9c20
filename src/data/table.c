/* Reading side tables: every row digested, kept in memory and found by the hash of its key.
 * What the config's own columns say of a table's rows is computed here, once for each row,
 * so that a log row only looks it up. Saving and loading are in table_io.c. */
#include <stdio.h>

#include "base/memory.h"
#include "data/budget.h"
#include "data/parse.h"

typedef struct output {
    hn_parsed parsed;
    hn_error err;
} output;

typedef struct builder {
    const hn_config_table *table;
    int32_t at; /* its index */
    const hn_sources *sources;
    const hn_refs *refs;
    const hn_run *run;
    const hn_paths *paths;
    hn_arena *arena;
    output *outputs; /* [n_outputs] */
    int32_t n_outputs;
    size_t file;   /* files begun */
    bool *present; /* [refs] some file has the column */
    hn_strings columns;
    uint8_t *kinds;
    int32_t slots;
    size_t rows;
    hn_slot *slot;
    uint64_t *lists, *keys, *ref_values, *where; /* where: file << 40 | line */
    size_t slot_capacity, lists_capacity, keys_capacity, ref_capacity, where_capacity, n_lists;
} builder;

enum { LINE_BITS = 40 };

/* ---- What to read ------------------------------------------------------------------------ */

static hn_status plan_refs(builder *b, hn_parse_plan *plan, hn_error *err) {
    for (int32_t i = 0; i < b->refs->n; i++) {
        const hn_ref *const ref = &b->refs->items[i];
        const char *const qualified = hn_ref_in_table(ref, b->table->name);
        const char *const name = qualified ? qualified : ref->column;
        int32_t column = name ? hn_columns_find(&plan->file->columns, name) : HN_COLUMN_NONE;
        if (column >= 0) b->present[i] = true;
        if (column < 0) column = plan->columns + 1;
        const hn_use use = {.column = column, .kind = HN_USE_REF, .to = i};
        HN_TRY(hn_parse_plan_add(plan, &use, err));
    }
    return HN_OK;
}

static hn_status plan_columns(builder *b, hn_parse_plan *plan, hn_error *err) {
    const int32_t key = hn_columns_find(&plan->file->columns, b->table->key);
    if (key < 0)
        return hn_columns_lack(&plan->file->columns, b->table->key, key, "the key of table",
                               b->table->name, err);
    const hn_use use = {.column = key, .kind = HN_USE_KEY};
    HN_TRY(hn_parse_plan_add(plan, &use, err));
    for (int32_t i = 0; i < b->sources->n; i++)
        if (b->sources->items[i].table == b->at)
            HN_TRY(hn_parse_plan_source(plan, &b->sources->items[i], err));
    HN_TRY(plan_refs(b, plan, err));
    return hn_parse_plan_finish(plan, err);
}

static hn_status keep_columns(builder *b, const hn_strings *names, hn_error *err) {
    if (b->columns.n > 0) return HN_OK;
    b->columns.items = hn_arena_alloc(b->arena, (size_t)names->n, sizeof *b->columns.items);
    for (int32_t i = 0; i < names->n && b->columns.items; i++) {
        b->columns.items[i] = hn_arena_strdup(b->arena, names->items[i]);
        if (!b->columns.items[i]) return hn_no_memory(err, "the columns of a table");
        b->columns.n++;
    }
    return b->columns.items ? HN_OK : hn_no_memory(err, "the columns of a table");
}

static hn_status open_file(void *user, hn_text_file *file, hn_error *err) {
    builder *const b = user;
    hn_parse_plan *const plan = hn_alloc_zero(1, sizeof *plan);
    if (!plan) return hn_no_memory(err, file->path);
    file->plan = plan;
    *plan = (hn_parse_plan){.file = file,
                            .source = &b->table->source,
                            .refs = b->refs,
                            .columns = file->columns.names.n,
                            .slots = b->slots,
                            .keys = 1,
                            .key_needed = true,
                            .keep_bad = true};
    HN_TRY(keep_columns(b, &file->columns.names, err));
    return plan_columns(b, plan, err);
}

static void close_file(void *user, hn_text_file *file) {
    (void)user;
    hn_parse_plan_free(file->plan);
}

/* ---- Rows ----------------------------------------------------------------------------------- */

static void parse_chunk(void *user, hn_chunk *chunk) {
    builder *const b = user;
    output *const out = &b->outputs[chunk->slot];
    hn_parse(&out->parsed, chunk->file->plan, chunk->text, chunk->n, &out->err);
    chunk->lines = out->parsed.feeds;
}

/* Like hn_grow, but held to the memory limit. */
static hn_status reserve(const builder *b, void *array_address, size_t *capacity, size_t need,
                         size_t size, hn_error *err) {
    if (need <= *capacity) return HN_OK;
    char what[120];
    snprintf(what, sizeof what, "table \"%.80s\"", b->table->name);
    HN_TRY(hn_budget_need(b->run, (need > 2 * *capacity ? need : 2 * *capacity) * size, what, err));
    return hn_grow(array_address, capacity, need, size, err);
}

static hn_status reserve_all(builder *b, const hn_parsed *parsed, hn_error *err) {
    const size_t rows = b->rows + parsed->rows, slots = (size_t)b->slots, refs = (size_t)b->refs->n;
    if (rows > INT32_MAX || b->n_lists + parsed->n_lists > UINT32_MAX)
        return hn_fail(err, HN_BAD_DATA,
                       "table \"%.80s\" has more than 2^31 rows or 2^32 list values, the most that "
                       "is possible",
                       b->table->name);
    HN_TRY(reserve(b, &b->slot, &b->slot_capacity, rows * slots, sizeof *b->slot, err));
    HN_TRY(reserve(b, &b->keys, &b->keys_capacity, rows, sizeof *b->keys, err));
    HN_TRY(reserve(b, &b->ref_values, &b->ref_capacity, rows * refs, sizeof *b->ref_values, err));
    HN_TRY(reserve(b, &b->where, &b->where_capacity, rows, sizeof *b->where, err));
    return reserve(b, &b->lists, &b->lists_capacity, b->n_lists + parsed->n_lists, sizeof *b->lists,
                   err);
}

static void append(builder *b, const hn_parsed *parsed, uint64_t lines_before) {
    const size_t slots = (size_t)b->slots, refs = (size_t)b->refs->n, n = parsed->rows;
    if (n == 0) return;
    hn_slot *const slot = b->slot + b->rows * slots;
    if (slots > 0) memcpy(slot, parsed->slots, n * slots * sizeof *slot);
    for (size_t s = 0; s < slots; s++)
        for (size_t r = 0; r < n && b->kinds[s] == HN_SOURCE_LIST; r++)
            slot[r * slots + s].list.begin += (uint32_t)b->n_lists;
    if (parsed->n_lists > 0)
        memcpy(b->lists + b->n_lists, parsed->lists, parsed->n_lists * sizeof *b->lists);
    memcpy(b->keys + b->rows, parsed->keys, n * sizeof *b->keys);
    memcpy(b->ref_values + b->rows * refs, parsed->refs, n * refs * sizeof *b->ref_values);
    for (size_t r = 0; r < n; r++)
        b->where[b->rows + r] =
            (uint64_t)(b->file - 1) << LINE_BITS | (lines_before + parsed->lines[r] + 1);
    b->n_lists += parsed->n_lists;
    b->rows += n;
}

static hn_status emit(void *user, const hn_chunk *chunk, hn_error *err) {
    builder *const b = user;
    const output *const out = &b->outputs[chunk->slot];
    const hn_bads *const bads = &out->parsed.bads;
    if (chunk->first) b->file++;
    if (bads->n > 0)
        return hn_fail(err, HN_BAD_DATA, "%s:%llu:%llu: %s", chunk->file->path,
                       (unsigned long long)(chunk->file->lines + bads->items[0].line + 1),
                       (unsigned long long)bads->items[0].column, bads->items[0].text);
    if (out->parsed.status != HN_OK) {
        if (err) *err = out->err;
        return out->parsed.status;
    }
    HN_TRY(reserve_all(b, &out->parsed, err));
    append(b, &out->parsed, chunk->file->lines);
    return HN_OK;
}

static uint64_t rows_so_far(const void *user) { return ((const builder *)user)->rows; }

/* ---- The finished table -------------------------------------------------------------------- */

static hn_status duplicate(const builder *b, size_t first, size_t second, hn_error *err) {
    const uint64_t mask = (UINT64_C(1) << LINE_BITS) - 1;
    return hn_fail(err, HN_BAD_DATA,
                   "%s:%llu: this row has the same \"%.60s\" as the row at %s:%llu; expected each "
                   "key of table \"%.60s\" once",
                   b->paths->paths[b->where[second] >> LINE_BITS],
                   (unsigned long long)(b->where[second] & mask), b->table->key,
                   b->paths->paths[b->where[first] >> LINE_BITS],
                   (unsigned long long)(b->where[first] & mask), b->table->name);
}

static hn_status make_index(hn_side_table *table, const builder *b, hn_error *err) {
    uint64_t size = 16;
    while (size < 2 * (uint64_t)b->rows) size *= 2;
    HN_TRY(hn_budget_need(b->run, size * sizeof(uint32_t), "the index of a table", err));
    uint32_t *const index = hn_alloc(size, sizeof *index);
    if (!index) return hn_no_memory(err, "the index of a table");
    table->index = index;
    table->index_size = size;
    memset(index, 0xff, size * sizeof *index);
    for (size_t r = 0; r < b->rows; r++) {
        uint64_t at = b->keys[r] & (size - 1);
        for (; index[at] != UINT32_MAX; at = (at + 1) & (size - 1))
            if (b->keys[index[at]] == b->keys[r]) return duplicate(b, index[at], r, err);
        index[at] = (uint32_t)r;
    }
    return HN_OK;
}

/* From rows of references to an array for each that the table has. */
static hn_status keep_refs(hn_side_table *table, const builder *b, hn_error *err) {
    const size_t n = (size_t)b->refs->n;
    table->refs = hn_arena_alloc(b->arena, n, sizeof *table->refs);
    if (!table->refs) return hn_no_memory(err, "the columns of a table");
    table->n_refs = b->refs->n;
    for (size_t i = 0; i < n; i++) {
        if (!b->present[i]) continue;
        uint64_t *const values = hn_alloc(b->rows, sizeof *values);
        if (!values) return hn_no_memory(err, "the columns of a table");
        for (size_t r = 0; r < b->rows; r++) values[r] = b->ref_values[r * n + i];
        table->refs[i] = values;
    }
    return HN_OK;
}

static hn_status finish(hn_side_table *table, builder *b, hn_error *err) {
    *table = (hn_side_table){.rows = (uint32_t)b->rows,
                             .slots = b->slots,
                             .kinds = b->kinds,
                             .slot = b->slot,
                             .lists = b->lists,
                             .n_lists = b->n_lists,
                             .keys = b->keys,
                             .columns = b->columns};
    b->slot = NULL;
    b->lists = NULL;
    table->name = hn_arena_strdup(b->arena, b->table->name);
    hn_status status = table->name ? HN_OK : hn_no_memory(err, "a table");
    if (status == HN_OK) status = make_index(table, b, err);
    if (status == HN_OK) status = keep_refs(table, b, err);
    b->keys = NULL; /* the table's from here */
    return status;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static hn_status prepare(builder *b, hn_error *err) {
    const size_t slots = (size_t)(b->slots = b->sources->table_slots[b->at]);
    b->kinds = hn_arena_alloc(b->arena, slots > 0 ? slots : 1, 1);
    b->present = hn_alloc_zero((size_t)b->refs->n, sizeof *b->present);
    b->outputs = hn_alloc_zero((size_t)b->n_outputs, sizeof *b->outputs);
    if (!b->kinds || !b->present || !b->outputs) return hn_no_memory(err, "a table");
    for (int32_t i = 0; i < b->sources->n; i++)
        if (b->sources->items[i].table == b->at)
            b->kinds[b->sources->items[i].slot] = (uint8_t)b->sources->items[i].kind;
    return HN_OK;
}

static void free_builder(builder *b) {
    for (int32_t i = 0; i < b->n_outputs && b->outputs; i++) hn_parsed_free(&b->outputs[i].parsed);
    hn_free(b->outputs);
    hn_free(b->present);
    hn_free(b->slot);
    hn_free(b->lists);
    hn_free(b->keys);
    hn_free(b->ref_values);
    hn_free(b->where);
}

static hn_status read_table(hn_side_table *out, hn_arena *arena, const hn_config *config,
                            int32_t at, const hn_sources *sources, const hn_refs *refs,
                            hn_pool *pool, const hn_run *run, hn_error *err) {
    hn_paths paths = {0};
    const int32_t slots = hn_chunk_slots(pool, run);
    builder b = {.table = &config->tables[at],
                 .at = at,
                 .sources = sources,
                 .refs = refs,
                 .run = run,
                 .paths = &paths,
                 .arena = arena,
                 .n_outputs = slots};
    hn_status status = hn_source_paths(&paths, config, &b.table->source, err);
    if (status == HN_OK) status = prepare(&b, err);
    if (status == HN_OK) {
        const hn_chunk_job job = {.source = &b.table->source,
                                  .paths = paths.paths,
                                  .n_paths = paths.n,
                                  .phase = "tables",
                                  .open = open_file,
                                  .close = close_file,
                                  .parse = parse_chunk,
                                  .emit = emit,
                                  .rows = rows_so_far,
                                  .user = &b};
        status = hn_chunks_read(NULL, &job, slots, pool, run, err);
    }
    if (status == HN_OK) status = finish(out, &b, err);
    free_builder(&b);
    hn_paths_free(&paths);
    return status;
}

hn_status hn_side_tables_read(hn_side_tables **out, const hn_config *config,
                              const hn_sources *sources, hn_pool *pool, const hn_run *run,
                              hn_error *err) {
    *out = NULL;
    hn_refs refs;
    HN_TRY(hn_refs_create(&refs, config, err));
    hn_side_tables *const tables = hn_alloc_zero(1, sizeof *tables);
    hn_status status = tables ? HN_OK : hn_no_memory(err, "the tables");
    if (status == HN_OK) {
        tables->items = hn_alloc_zero((size_t)config->n_tables, sizeof *tables->items);
        if (!tables->items) status = hn_no_memory(err, "the tables");
    }
    for (int32_t t = 0; t < config->n_tables && status == HN_OK; t++) {
        tables->n = t + 1;
        status = read_table(&tables->items[t], &tables->arena, config, t, sources, &refs, pool, run,
                            err);
    }
    hn_refs_free(&refs);
    if (status != HN_OK) {
        hn_side_tables_free(tables);
        return status;
    }
    *out = tables;
    return HN_OK;
}

/* Memory of ours was never const. */
static void free_const(const void *memory) { hn_free((void *)(uintptr_t)memory); }

void hn_side_tables_free(hn_side_tables *tables) {
    if (!tables) return;
    for (int32_t t = 0; t < tables->n && !tables->pack; t++) {
        const hn_side_table *const table = &tables->items[t];
        free_const(table->slot);
        free_const(table->lists);
        free_const(table->keys);
        free_const(table->index);
        for (int32_t i = 0; i < table->n_refs; i++) free_const(table->refs[i]);
    }
    hn_free(tables->items);
    hn_arena_free(&tables->arena);
    hn_free(tables);
}

int32_t hn_side_table_find(const hn_side_table *table, uint64_t key_hash) {
    if (key_hash == HN_HASH_MISSING) return HN_TABLE_ROW_NONE;
    const uint64_t mask = table->index_size - 1;
    for (uint64_t at = key_hash & mask; table->index[at] != UINT32_MAX; at = (at + 1) & mask)
        if (table->keys[table->index[at]] == key_hash) return (int32_t)table->index[at];
    return HN_TABLE_ROW_NONE;
}
