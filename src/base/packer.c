/* Writing packs: sections one after another through an atomic writer, checksummed on
 * the way, then the directory in name order, then the header in its place. Errors are
 * sticky; commit reports the first. The format is drawn in pack.h. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/pack.h"
#include "base/pack_format.h"

typedef struct pack_entry {
    char *name;
    hn_pack_type type;
    int32_t dims;
    uint64_t dim[HN_PACK_DIMS];
    uint64_t offset, n_bytes, xxh3;
} pack_entry;

struct hn_packer {
    char *path;
    hn_writer *writer;
    char kind[4];
    pack_entry *entries;
    size_t n, capacity;
    hn_arena names;
    XXH3_state_t *hash; /* of the section begun last */
    bool inside;        /* between begin and end */
    hn_status status;   /* of the first failure */
    hn_error error;
};

static void release(hn_packer *packer) {
    hn_free(packer->path);
    hn_free(packer->entries);
    hn_arena_free(&packer->names);
    XXH3_freeState(packer->hash);
    hn_free(packer);
}

hn_status hn_packer_open(hn_packer **out, const char *path, const char kind[4], hn_error *err) {
    static const uint8_t header[PACK_HEADER_BYTES];
    *out = NULL;
    hn_packer *const packer = hn_alloc_zero(1, sizeof *packer);
    if (!packer) return hn_no_memory(err, path);
    memcpy(packer->kind, kind, 4);
    packer->path = hn_strdup(path);
    packer->hash = XXH3_createState();
    const hn_status status = packer->path && packer->hash
                                 ? hn_writer_open(&packer->writer, path, err)
                                 : hn_no_memory(err, path);
    if (status != HN_OK) {
        release(packer);
        return status;
    }
    hn_writer_write(packer->writer, header, sizeof header); /* its place; written by commit */
    *out = packer;
    return HN_OK;
}

/* ---- Sections -------------------------------------------------------------------- */

static void misused(hn_packer *packer, const char *name, const char *what) {
    if (packer->status == HN_OK)
        packer->status =
            hn_fail(&packer->error, HN_FAILED, "%s: section '%s' %s", packer->path, name, what);
}

/* Zeros up to the next multiple of 64. */
static void pad(hn_packer *packer) {
    static const uint8_t zeros[PACK_ALIGN];
    const uint64_t at = hn_writer_offset(packer->writer);
    hn_writer_write(packer->writer, zeros, (size_t)(pack_align(at) - at));
}

void hn_packer_begin(hn_packer *packer, const char *name, hn_pack_type type) {
    if (packer->inside) misused(packer, name, "begins before the one before it has ended");
    const size_t length = strlen(name);
    if (length == 0 || length > PACK_NAME_MAX)
        misused(packer, name, "has too short or long a name");
    if (hn_pack_type_bytes(type) == 0) misused(packer, name, "has an unknown type");
    if (packer->status != HN_OK) return;
    packer->status = hn_grow(&packer->entries, &packer->capacity, packer->n + 1,
                             sizeof *packer->entries, &packer->error);
    char *const copy = hn_arena_strdup(&packer->names, name);
    if (packer->status == HN_OK && !copy)
        packer->status = hn_no_memory(&packer->error, packer->path);
    if (packer->status != HN_OK) return;
    pad(packer);
    packer->entries[packer->n++] = (pack_entry){
        .name = copy, .type = type, .dims = 1, .offset = hn_writer_offset(packer->writer)};
    XXH3_64bits_reset(packer->hash);
    packer->inside = true;
}

void hn_packer_append(hn_packer *packer, const void *bytes, size_t n) {
    if (!packer->inside) misused(packer, "?", "is appended to before it has begun");
    if (packer->status != HN_OK || n == 0) return;
    XXH3_64bits_update(packer->hash, bytes, n);
    hn_writer_write(packer->writer, bytes, n);
    packer->entries[packer->n - 1].n_bytes += n;
}

/* Ends the section and gives its entry, NULL after a failure. */
static pack_entry *end_section(hn_packer *packer) {
    if (!packer->inside) misused(packer, "?", "ends before it has begun");
    if (packer->status != HN_OK) return NULL;
    pack_entry *const last = &packer->entries[packer->n - 1];
    last->xxh3 = XXH3_64bits_digest(packer->hash);
    packer->inside = false;
    return last;
}

void hn_packer_end(hn_packer *packer) {
    pack_entry *const last = end_section(packer);
    if (!last) return;
    const size_t size = hn_pack_type_bytes(last->type);
    if (last->n_bytes % size != 0) misused(packer, last->name, "ends within an element");
    last->dim[0] = last->n_bytes / size;
}

void hn_packer_add(hn_packer *packer, const char *name, hn_pack_type type, int32_t dims,
                   const uint64_t *dim, const void *bytes) {
    uint64_t n = hn_pack_type_bytes(type);
    bool fits = dims >= 0 && dims <= HN_PACK_DIMS;
    for (int32_t i = 0; fits && i < dims; i++) fits = !__builtin_mul_overflow(n, dim[i], &n);
    if (!fits || n > SIZE_MAX / 2) misused(packer, name, "has an impossible shape");
    hn_packer_begin(packer, name, type);
    if (packer->status != HN_OK) return;
    hn_packer_append(packer, bytes, (size_t)n);
    pack_entry *const last = end_section(packer);
    if (!last) return;
    last->dims = dims;
    for (int32_t i = 0; i < dims; i++) last->dim[i] = dim[i];
}

void hn_packer_add_text(hn_packer *packer, const char *name, const char *text) {
    const uint64_t length = strlen(text);
    hn_packer_add(packer, name, HN_PACK_BYTES, 1, &length, text);
}

/* ---- Directory and header ----------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp(((const pack_entry *)a)->name, ((const pack_entry *)b)->name);
}

static void sort_entries(hn_packer *packer) {
    if (packer->n == 0) return;
    qsort(packer->entries, packer->n, sizeof *packer->entries, compare_names);
    for (size_t i = 1; i < packer->n; i++)
        if (strcmp(packer->entries[i - 1].name, packer->entries[i].name) == 0)
            misused(packer, packer->entries[i].name, "was written twice");
}

typedef struct directory {
    hn_packer *packer;
    uint64_t bytes;
} directory;

static void put(directory *to, const void *bytes, size_t n) {
    XXH3_64bits_update(to->packer->hash, bytes, n);
    hn_writer_write(to->packer->writer, bytes, n);
    to->bytes += n;
}

static void put_entry(directory *to, const pack_entry *entry) {
    const uint16_t name_bytes = (uint16_t)strlen(entry->name);
    const uint8_t type_dims[2] = {(uint8_t)entry->type, (uint8_t)entry->dims};
    const uint64_t place[3] = {entry->offset, entry->n_bytes, entry->xxh3};
    put(to, &name_bytes, sizeof name_bytes);
    put(to, type_dims, sizeof type_dims);
    put(to, entry->dim, (size_t)entry->dims * sizeof *entry->dim);
    put(to, place, sizeof place);
    put(to, entry->name, name_bytes);
}

static void write_header(hn_packer *packer, uint64_t directory_offset, uint64_t directory_bytes) {
    uint8_t header[PACK_HEADER_BYTES] = {0};
    const uint32_t version = PACK_VERSION;
    const uint64_t directory_xxh3 = XXH3_64bits_digest(packer->hash);
    const uint64_t file_bytes = directory_offset + directory_bytes;
    memcpy(header, PACK_MAGIC, PACK_MAGIC_BYTES);
    memcpy(header + PACK_AT_VERSION, &version, sizeof version);
    memcpy(header + PACK_AT_KIND, packer->kind, sizeof packer->kind);
    memcpy(header + PACK_AT_DIRECTORY_OFFSET, &directory_offset, sizeof directory_offset);
    memcpy(header + PACK_AT_DIRECTORY_BYTES, &directory_bytes, sizeof directory_bytes);
    memcpy(header + PACK_AT_DIRECTORY_XXH3, &directory_xxh3, sizeof directory_xxh3);
    memcpy(header + PACK_AT_FILE_BYTES, &file_bytes, sizeof file_bytes);
    const uint64_t header_xxh3 = XXH3_64bits(header, PACK_AT_HEADER_XXH3);
    memcpy(header + PACK_AT_HEADER_XXH3, &header_xxh3, sizeof header_xxh3);
    hn_writer_write_at(packer->writer, 0, header, sizeof header);
}

static void finish(hn_packer *packer) {
    if (packer->inside) misused(packer, packer->entries[packer->n - 1].name, "has not ended");
    sort_entries(packer);
    pad(packer);
    const uint64_t offset = hn_writer_offset(packer->writer);
    directory to = {packer, 0};
    XXH3_64bits_reset(packer->hash);
    for (size_t i = 0; i < packer->n; i++) put_entry(&to, &packer->entries[i]);
    write_header(packer, offset, to.bytes);
}

hn_status hn_packer_commit(hn_packer *packer, hn_error *err) {
    hn_status status = packer->status;
    if (status == HN_OK) {
        finish(packer);
        status = packer->status;
    }
    if (status != HN_OK) {
        hn_fail(err, status, "%s", packer->error.text);
        hn_packer_abandon(packer);
        return status;
    }
    status = hn_writer_commit(packer->writer, err);
    release(packer);
    return status;
}

void hn_packer_abandon(hn_packer *packer) {
    if (!packer) return;
    hn_writer_abandon(packer->writer);
    release(packer);
}
