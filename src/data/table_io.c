/* Side tables in a pack (a dataset or a bundle), and back: sections "tables" (how many
 * tables and references) and, for table t, "tables/t/name", "kinds", "slots", "lists",
 * "keys", "index" and "ref/i" for each reference that the table has. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/digest.h"

enum { SECTION_NAME = 64 };

/* ---- Saving ------------------------------------------------------------------------------- */

static const char *section(char out[SECTION_NAME], int32_t table, const char *what) {
    snprintf(out, SECTION_NAME, "tables/%d/%s", table, what);
    return out;
}

static void add_array(hn_packer *packer, int32_t table, const char *what, hn_pack_type type,
                      uint64_t n, const void *bytes) {
    char name[SECTION_NAME];
    hn_packer_add(packer, section(name, table, what), type, 1, &n, bytes);
}

static void save_table(const hn_side_table *table, int32_t t, hn_packer *packer) {
    char name[SECTION_NAME];
    hn_packer_add_text(packer, section(name, t, "name"), table->name);
    const uint64_t slots[2] = {table->rows, (uint64_t)table->slots};
    add_array(packer, t, "kinds", HN_PACK_U8, (uint64_t)table->slots, table->kinds);
    hn_packer_add(packer, section(name, t, "slots"), HN_PACK_U64, 2, slots, table->slot);
    add_array(packer, t, "lists", HN_PACK_U64, table->n_lists, table->lists);
    add_array(packer, t, "keys", HN_PACK_U64, table->rows, table->keys);
    add_array(packer, t, "index", HN_PACK_U32, table->index_size, table->index);
    for (int32_t i = 0; i < table->n_refs; i++) {
        char what[SECTION_NAME / 2];
        snprintf(what, sizeof what, "ref/%d", i);
        if (table->refs[i]) add_array(packer, t, what, HN_PACK_U64, table->rows, table->refs[i]);
    }
}

void hn_side_tables_save(const hn_side_tables *tables, hn_packer *packer) {
    const uint32_t counts[2] = {(uint32_t)tables->n,
                                tables->n > 0 ? (uint32_t)tables->items[0].n_refs : 0};
    const uint64_t two = 2;
    hn_packer_add(packer, "tables", HN_PACK_U32, 1, &two, counts);
    for (int32_t t = 0; t < tables->n; t++) save_table(&tables->items[t], t, packer);
}

/* ---- Loading -------------------------------------------------------------------------------- */

enum { TABLES_MAX = 1024, REFS_MAX = 4096 };

static hn_status wrong(hn_pack *pack, int32_t t, const char *what, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA,
                   "%s: section \"tables/%d/%s\" does not fit the others; the file was not made by "
                   "this program",
                   hn_pack_path(pack), t, what);
}

static hn_status find(const hn_section **out, hn_pack *pack, int32_t t, const char *what,
                      hn_pack_type type, int32_t dims, hn_error *err) {
    char name[SECTION_NAME];
    HN_TRY(hn_pack_find(out, pack, section(name, t, what), type, err));
    return (*out)->dims == dims ? HN_OK : wrong(pack, t, what, err);
}

/* An array of exactly `n`. */
static hn_status find_array(const void **out, hn_pack *pack, int32_t t, const char *what,
                            hn_pack_type type, uint64_t n, hn_error *err) {
    const hn_section *found;
    HN_TRY(find(&found, pack, t, what, type, 1, err));
    *out = found->bytes;
    return found->dim[0] == n ? HN_OK : wrong(pack, t, what, err);
}

static hn_status check_lists(const hn_side_table *table, hn_pack *pack, int32_t t, hn_error *err) {
    const size_t slots = (size_t)table->slots;
    for (size_t s = 0; s < slots; s++) {
        if (table->kinds[s] > HN_SOURCE_LIST) return wrong(pack, t, "kinds", err);
        if (table->kinds[s] != HN_SOURCE_LIST) continue;
        for (size_t r = 0; r < table->rows; r++) {
            const hn_slot *const slot = &table->slot[r * slots + s];
            if ((uint64_t)slot->list.begin + slot->list.length > table->n_lists)
                return wrong(pack, t, "slots", err);
        }
    }
    return HN_OK;
}

/* Searching ends at a free place, so there must be one. */
static hn_status check_index(const hn_side_table *table, hn_pack *pack, int32_t t, hn_error *err) {
    const uint64_t size = table->index_size;
    uint64_t used = 0;
    for (uint64_t i = 0; i < size; i++) {
        if (table->index[i] == UINT32_MAX) continue;
        if (table->index[i] >= table->rows) return wrong(pack, t, "index", err);
        used++;
    }
    return size > 0 && (size & (size - 1)) == 0 && used < size ? HN_OK
                                                               : wrong(pack, t, "index", err);
}

static hn_status load_refs(hn_side_tables *tables, hn_side_table *table, hn_pack *pack, int32_t t,
                           hn_error *err) {
    table->refs = hn_arena_alloc(&tables->arena, (size_t)table->n_refs + 1, sizeof *table->refs);
    if (!table->refs) return hn_no_memory(err, "the tables");
    for (int32_t i = 0; i < table->n_refs; i++) {
        char what[SECTION_NAME / 2], name[SECTION_NAME];
        const void *values;
        snprintf(what, sizeof what, "ref/%d", i);
        if (!hn_pack_has(pack, section(name, t, what))) continue;
        HN_TRY(find_array(&values, pack, t, what, HN_PACK_U64, table->rows, err));
        table->refs[i] = values;
    }
    return HN_OK;
}

static hn_status load_table(hn_side_tables *tables, int32_t t, int32_t n_refs, hn_pack *pack,
                            hn_error *err) {
    hn_side_table *const table = &tables->items[t];
    const hn_section *slots, *lists, *index, *name;
    const void *bytes;
    HN_TRY(find(&slots, pack, t, "slots", HN_PACK_U64, 2, err));
    if (slots->dim[0] > INT32_MAX || slots->dim[1] > INT32_MAX) return wrong(pack, t, "slots", err);
    table->rows = (uint32_t)slots->dim[0];
    table->slots = (int32_t)slots->dim[1];
    table->slot = slots->bytes;
    table->n_refs = n_refs;
    HN_TRY(find_array(&bytes, pack, t, "kinds", HN_PACK_U8, slots->dim[1], err));
    table->kinds = bytes;
    HN_TRY(find_array(&bytes, pack, t, "keys", HN_PACK_U64, slots->dim[0], err));
    table->keys = bytes;
    HN_TRY(find(&lists, pack, t, "lists", HN_PACK_U64, 1, err));
    table->lists = lists->bytes;
    table->n_lists = lists->dim[0];
    HN_TRY(find(&index, pack, t, "index", HN_PACK_U32, 1, err));
    table->index = index->bytes;
    table->index_size = index->dim[0];
    HN_TRY(find(&name, pack, t, "name", HN_PACK_BYTES, 1, err));
    table->name = hn_arena_strndup(&tables->arena, name->bytes, name->n_bytes);
    if (!table->name) return hn_no_memory(err, "the tables");
    HN_TRY(check_lists(table, pack, t, err));
    HN_TRY(check_index(table, pack, t, err));
    return load_refs(tables, table, pack, t, err);
}

static hn_status load_counts(uint32_t counts[2], hn_pack *pack, hn_error *err) {
    const hn_section *found;
    HN_TRY(hn_pack_find(&found, pack, "tables", HN_PACK_U32, err));
    if (found->dims != 1 || found->dim[0] != 2)
        return hn_fail(err, HN_BAD_DATA, "%s: section \"tables\" has not the two numbers expected",
                       hn_pack_path(pack));
    memcpy(counts, found->bytes, 2 * sizeof *counts);
    if (counts[0] > TABLES_MAX || counts[1] > REFS_MAX)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: section \"tables\" tells of %u tables; at most %d are possible",
                       hn_pack_path(pack), counts[0], TABLES_MAX);
    return HN_OK;
}

hn_status hn_side_tables_load(hn_side_tables **out, hn_pack *pack, hn_error *err) {
    uint32_t counts[2];
    *out = NULL;
    HN_TRY(load_counts(counts, pack, err));
    hn_side_tables *const tables = hn_alloc_zero(1, sizeof *tables);
    if (!tables) return hn_no_memory(err, "the tables");
    tables->pack = pack;
    tables->items = hn_alloc_zero(counts[0], sizeof *tables->items);
    hn_status status = tables->items ? HN_OK : hn_no_memory(err, "the tables");
    for (int32_t t = 0; t < (int32_t)counts[0] && status == HN_OK; t++) {
        tables->n = t + 1;
        status = load_table(tables, t, (int32_t)counts[1], pack, err);
    }
    if (status != HN_OK) {
        hn_side_tables_free(tables);
        return status;
    }
    *out = tables;
    return HN_OK;
}
