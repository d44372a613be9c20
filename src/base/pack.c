/* Reading packs: nothing of the file is believed before it was checked. Opening checks
 * the header, the directory and that the sections tile the file without gap or overlap;
 * a section's own checksum is checked when it is first asked for, so that opening stays
 * cheap. Every byte of a pack is under one of these checks. Writing is in packer.c. */
#include "base/pack.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/pack_format.h"

typedef struct pack_entry {
    hn_section section;
    uint64_t offset, xxh3;
    bool verified;
} pack_entry;

struct hn_pack {
    char *path;
    hn_map map;
    pack_entry *entries; /* [n], in name order */
    size_t n, capacity;
    hn_arena names;
    uint64_t directory_offset, directory_bytes;
};

size_t hn_pack_type_bytes(hn_pack_type type) {
    switch (type) {
    case HN_PACK_BYTES:
    case HN_PACK_U8: return 1;
    case HN_PACK_U16: return 2;
    case HN_PACK_U32:
    case HN_PACK_I32:
    case HN_PACK_F32: return 4;
    case HN_PACK_U64:
    case HN_PACK_I64:
    case HN_PACK_F64: return 8;
    }
    return 0;
}

static const char *type_name(hn_pack_type type) {
    static const char *const names[] = {"bytes", "uint8", "uint16",  "uint32", "uint64",
                                        "int32", "int64", "float32", "float64"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* The sentence for content that is wrong. */
#define DAMAGED(pack, err, format, ...)                              \
    hn_fail(err, HN_BAD_DATA,                                        \
            "%s: " format "; the file is damaged, make it again or " \
            "restore a copy",                                        \
            (pack)->path, __VA_ARGS__)

static uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t load32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint16_t load16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- Header ------------------------------------------------------------------ */

static hn_status check_identity(const hn_pack *pack, const char kind[4], hn_error *err) {
    const uint8_t *const header = pack->map.bytes;
    if (pack->map.n < PACK_HEADER_BYTES || memcmp(header, PACK_MAGIC, PACK_MAGIC_BYTES) != 0)
        return hn_fail(
            err, HN_BAD_DATA,
            "%s: is not a file of hinet's (its magic bytes are missing); is the path right?",
            pack->path);
    const uint64_t sum = load64(header + PACK_AT_HEADER_XXH3);
    if (XXH3_64bits(header, PACK_AT_HEADER_XXH3) != sum)
        return DAMAGED(pack, err, "the %s's checksum is wrong", "header");
    const uint32_t version = load32(header + PACK_AT_VERSION);
    if (version != PACK_VERSION)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: has format version %u; this program reads version %d: use the version "
                       "of hinet that wrote it",
                       pack->path, (unsigned)version, (int)PACK_VERSION);
    if (memcmp(header + PACK_AT_KIND, kind, 4) != 0)
        return hn_fail(err, HN_BAD_DATA, "%s: is of kind '%.4s'; expected '%.4s'", pack->path,
                       (const char *)header + PACK_AT_KIND, kind);
    return HN_OK;
}

static bool all_zero(const uint8_t *bytes, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (bytes[i] != 0) return false;
    return true;
}

static hn_status check_header(hn_pack *pack, const char kind[4], hn_error *err) {
    HN_TRY(check_identity(pack, kind, err));
    const uint8_t *const header = pack->map.bytes;
    const uint64_t file_bytes = load64(header + PACK_AT_FILE_BYTES);
    if (file_bytes != pack->map.n)
        return DAMAGED(pack, err, "has %zu bytes, its header says %llu", pack->map.n,
                       (unsigned long long)file_bytes);
    if (!all_zero(header + PACK_AT_ZERO, PACK_HEADER_BYTES - PACK_AT_ZERO))
        return DAMAGED(pack, err, "bytes %d to 63 of the header are not zero", (int)PACK_AT_ZERO);
    const uint64_t offset = load64(header + PACK_AT_DIRECTORY_OFFSET);
    const uint64_t bytes = load64(header + PACK_AT_DIRECTORY_BYTES);
    if (offset < PACK_HEADER_BYTES || offset % PACK_ALIGN != 0 || offset > file_bytes ||
        bytes != file_bytes - offset)
        return DAMAGED(pack, err, "the directory (%llu bytes at %llu) does not end the file",
                       (unsigned long long)bytes, (unsigned long long)offset);
    if (XXH3_64bits(pack->map.bytes + offset, bytes) != load64(header + PACK_AT_DIRECTORY_XXH3))
        return DAMAGED(pack, err, "the %s's checksum is wrong", "directory");
    pack->directory_offset = offset;
    pack->directory_bytes = bytes;
    return HN_OK;
}

/* ---- Directory ----------------------------------------------------------------- */

typedef struct cursor {
    const uint8_t *at;
    uint64_t left;
} cursor;

/* The next n bytes, or NULL when fewer are left. */
static const uint8_t *take(cursor *from, uint64_t n) {
    if (n > from->left) return NULL;
    const uint8_t *const at = from->at;
    from->at += n, from->left -= n;
    return at;
}

/* dim[0] × … × the type's size must be the section's bytes, without overflow. */
static hn_status check_shape(const hn_pack *pack, const hn_section *section, hn_error *err) {
    uint64_t bytes = hn_pack_type_bytes(section->type);
    bool overflows = false;
    for (int32_t i = 0; i < section->dims; i++)
        overflows |= __builtin_mul_overflow(bytes, section->dim[i], &bytes);
    if (overflows || bytes != section->n_bytes)
        return DAMAGED(pack, err, "section '%s' has %llu bytes, which is not its shape's size",
                       section->name, (unsigned long long)section->n_bytes);
    return HN_OK;
}

static hn_status check_place(const hn_pack *pack, const pack_entry *entry, hn_error *err) {
    const uint64_t bytes = entry->section.n_bytes, offset = entry->offset;
    if (offset % PACK_ALIGN != 0)
        return DAMAGED(pack, err, "section '%s' starts at %llu, which is not aligned",
                       entry->section.name, (unsigned long long)offset);
    if (offset < PACK_HEADER_BYTES || offset > pack->directory_offset ||
        bytes > pack->directory_offset - offset)
        return DAMAGED(pack, err, "section '%s' (%llu bytes at %llu) lies outside the file",
                       entry->section.name, (unsigned long long)bytes, (unsigned long long)offset);
    return HN_OK;
}

static hn_status parse_name(hn_pack *pack, pack_entry *entry, cursor *from, uint16_t n,
                            hn_error *err) {
    const uint8_t *const name = take(from, n);
    if (!name) return DAMAGED(pack, err, "the directory ends within entry %zu", pack->n);
    if (n == 0 || n > PACK_NAME_MAX || memchr(name, 0, n))
        return DAMAGED(pack, err, "entry %zu of the directory has an impossible name", pack->n);
    entry->section.name = hn_arena_strndup(&pack->names, (const char *)name, n);
    if (!entry->section.name) return hn_no_memory(err, pack->path);
    if (pack->n > 0 && strcmp(entry[-1].section.name, entry->section.name) >= 0)
        return DAMAGED(pack, err, "section '%s' comes twice or out of order", entry->section.name);
    return HN_OK;
}

static hn_status parse_entry(hn_pack *pack, pack_entry *entry, cursor *from, hn_error *err) {
    const uint8_t *const fixed = take(from, 4);
    const uint8_t dims = fixed ? fixed[3] : 0;
    const uint8_t *const dim = fixed ? take(from, 8 * (uint64_t)dims) : NULL;
    const uint8_t *const place = dim ? take(from, 24) : NULL;
    if (!place) return DAMAGED(pack, err, "the directory ends within entry %zu", pack->n);
    if (hn_pack_type_bytes((hn_pack_type)fixed[2]) == 0 || dims > HN_PACK_DIMS)
        return DAMAGED(pack, err, "entry %zu has type %d and %d dimensions", pack->n, (int)fixed[2],
                       (int)dims);
    entry->section.type = (hn_pack_type)fixed[2];
    entry->section.dims = dims;
    for (int i = 0; i < dims; i++) entry->section.dim[i] = load64(dim + 8 * i);
    entry->offset = load64(place);
    entry->section.n_bytes = load64(place + 8);
    entry->xxh3 = load64(place + 16);
    HN_TRY(parse_name(pack, entry, from, load16(fixed), err));
    HN_TRY(check_shape(pack, &entry->section, err));
    HN_TRY(check_place(pack, entry, err));
    entry->section.bytes = pack->map.bytes + entry->offset;
    return HN_OK;
}

static hn_status parse_directory(hn_pack *pack, hn_error *err) {
    cursor from = {pack->map.bytes + pack->directory_offset, pack->directory_bytes};
    while (from.left > 0) {
        HN_TRY(hn_grow(&pack->entries, &pack->capacity, pack->n + 1, sizeof *pack->entries, err));
        memset(&pack->entries[pack->n], 0, sizeof *pack->entries);
        HN_TRY(parse_entry(pack, &pack->entries[pack->n], &from, err));
        pack->n++;
    }
    return HN_OK;
}

/* Empty sections share their offset with the next one, and come first. */
static int compare_places(const void *a, const void *b) {
    const pack_entry *const x = *(const pack_entry *const *)a;
    const pack_entry *const y = *(const pack_entry *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->section.n_bytes != y->section.n_bytes)
        return x->section.n_bytes < y->section.n_bytes ? -1 : 1;
    return 0;
}

/* Each section starts where the one before ends, rounded up, with zeros between. */
static hn_status check_tiling(const hn_pack *pack, const pack_entry *const *places, hn_error *err) {
    uint64_t end = PACK_HEADER_BYTES;
    for (size_t i = 0; i <= pack->n; i++) {
        const uint64_t begin = i < pack->n ? places[i]->offset : pack->directory_offset;
        const char *const name = i < pack->n ? places[i]->section.name : "(directory)";
        if (begin < end) return DAMAGED(pack, err, "section '%s' overlaps the one before it", name);
        if (begin != pack_align(end) || !all_zero(pack->map.bytes + end, begin - end))
            return DAMAGED(pack, err, "there are foreign bytes before section '%s'", name);
        if (i < pack->n) end = begin + places[i]->section.n_bytes;
    }
    return HN_OK;
}

static hn_status check_places(const hn_pack *pack, hn_error *err) {
    const pack_entry **const places = hn_alloc(pack->n, sizeof *places);
    if (!places) return hn_no_memory(err, pack->path);
    for (size_t i = 0; i < pack->n; i++) places[i] = &pack->entries[i];
    if (pack->n > 0) qsort(places, pack->n, sizeof *places, compare_places);
    const hn_status status = check_tiling(pack, places, err);
    hn_free(places);
    return status;
}

/* ---- The interface ---------------------------------------------------------------- */

static hn_status open_checked(hn_pack *pack, const char *path, const char kind[4], hn_error *err) {
    pack->path = hn_strdup(path);
    if (!pack->path) return hn_no_memory(err, path);
    HN_TRY(hn_map_open(&pack->map, path, err));
    HN_TRY(check_header(pack, kind, err));
    HN_TRY(parse_directory(pack, err));
    return check_places(pack, err);
}

hn_status hn_pack_open(hn_pack **out, const char *path, const char kind[4], hn_error *err) {
    *out = NULL;
    hn_pack *const pack = hn_alloc_zero(1, sizeof *pack);
    if (!pack) return hn_no_memory(err, path);
    const hn_status status = open_checked(pack, path, kind, err);
    if (status != HN_OK)
        hn_pack_close(pack);
    else
        *out = pack;
    return status;
}

void hn_pack_close(hn_pack *pack) {
    if (!pack) return;
    hn_map_close(&pack->map);
    hn_arena_free(&pack->names);
    hn_free(pack->entries);
    hn_free(pack->path);
    hn_free(pack);
}

const char *hn_pack_path(const hn_pack *pack) { return pack->path; }
size_t hn_pack_sections(const hn_pack *pack) { return pack->n; }
const hn_section *hn_pack_section(const hn_pack *pack, size_t i) {
    return &pack->entries[i].section;
}

static pack_entry *find_entry(const hn_pack *pack, const char *name) {
    size_t begin = 0, end = pack->n;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        const int order = strcmp(pack->entries[middle].section.name, name);
        if (order == 0) return &pack->entries[middle];
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

bool hn_pack_has(const hn_pack *pack, const char *name) { return find_entry(pack, name) != NULL; }

hn_status hn_pack_find(const hn_section **out, hn_pack *pack, const char *name, hn_pack_type type,
                       hn_error *err) {
    *out = NULL;
    pack_entry *const found = find_entry(pack, name);
    if (!found)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: has no section '%s'; was it written by another version?", pack->path,
                       name);
    if (found->section.type != type)
        return hn_fail(err, HN_BAD_DATA, "%s: section '%s' is %s; expected %s", pack->path, name,
                       type_name(found->section.type), type_name(type));
    if (!found->verified && hn_fault_hit(HN_FAULT_READ))
        return hn_fail(err, HN_IO_FAILED, "%s: section '%s' cannot be read", pack->path, name);
    if (!found->verified &&
        XXH3_64bits(found->section.bytes, found->section.n_bytes) != found->xxh3)
        return DAMAGED(pack, err, "section '%s' has a wrong checksum", name);
    found->verified = true;
    *out = &found->section;
    return HN_OK;
}
