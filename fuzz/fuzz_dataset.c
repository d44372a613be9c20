/* Fuzz target: a good dataset with changes that the input says, and every checksum set right
 * again, so that what stands behind them is reached: whatever still opens is read to its
 * last row, whose ids must be within their tables. Three bytes are one change: section,
 * place, and what to do there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/dataset_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { SECTIONS_MAX = 128, PATH_BYTES = 64 };

typedef struct mutable_section {
    hn_section is;
    uint8_t *bytes;
    bool gone;
} mutable_section;

static struct {
    char folder[PATH_BYTES], good[PATH_BYTES + 8], changed[PATH_BYTES + 8];
    hn_config *config;
    hn_pack *pack;
    size_t record_bytes;
} base;

static const char *const config_text =
    "log: log.csv\ntables: {users: {files: users.csv, key: user, side: user}}\n"
    "split: {by: column, validation: day == 3, test: day == 4}\nscenario: {column: tab, values: "
    "[a, b]}\n"
    "tasks: {y: y, z: z}\nuser: user\ntrain: {block_rows: 64}\n"
    "features:\n  user: id\n  tags: {kind: list}\n  age: number\n  likes: {kind: list, share: "
    "tags, max_length: 3}\n"
    "  price: {kind: number, scaling: buckets, buckets: 4}\n  city: {kind: id, hash: 3}\n"
    "  r: {kind: rate, key: [user, tab], fold: day}\n  q: {kind: rate, key: city, past: day, "
    "scaling: zscore}\n";

static void write_text(const char *name, const char *text) {
    char path[PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/%s", base.folder, name);
    FILE *const file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) abort();
}

static void write_log(void) {
    char text[8000] = "user,day,tab,tags,price,y,z\n";
    for (int i = 0; i < 150; i++) {
        char line[64];
        snprintf(line, sizeof line, "u%d,%d,%c,t%d|t%d,%d.5,%d,%s\n", i * 7 % 11, 1 + i % 4,
                 "ab"[i % 3 == 0], i % 5, i % 3, i % 9, i % 2, i % 6 ? "1" : "");
        strcat(text, line);
    }
    write_text("log.csv", text);
    write_text("users.csv", "user,age,city,likes\nu0,30,c1,t1|t2\nu1,,c2,\nu2,50,,t4\n");
}

/* Made once; removed by the system with its folder for temporary files. */
static void make_base(void) {
    hn_pool *pool;
    if (base.pack) return;
    snprintf(base.folder, sizeof base.folder, "/tmp/hinet-fuzz-XXXXXX");
    if (!mkdtemp(base.folder)) abort();
    snprintf(base.good, sizeof base.good, "%s/good", base.folder);
    snprintf(base.changed, sizeof base.changed, "%s/bad", base.folder);
    write_log();
    if (hn_config_parse(&base.config, config_text, strlen(config_text), "fuzz.yaml", base.folder,
                        NULL, 0, NULL) != HN_OK ||
        hn_pool_create(&pool, 1, NULL) != HN_OK ||
        hn_dataset_prepare(base.good, base.config, NULL, pool, NULL, NULL) != HN_OK ||
        hn_pack_open(&base.pack, base.good, "DATA", NULL) != HN_OK)
        abort();
    hn_pool_free(pool);
    const hn_section *shape;
    if (hn_pack_find(&shape, base.pack, "dataset/shape", HN_PACK_U64, NULL) != HN_OK) abort();
    base.record_bytes = ((const uint64_t *)shape->bytes)[1];
}

static size_t copy_sections(mutable_section sections[SECTIONS_MAX]) {
    const size_t n = hn_pack_sections(base.pack);
    if (n > SECTIONS_MAX) abort();
    for (size_t i = 0; i < n; i++) {
        sections[i] = (mutable_section){.is = *hn_pack_section(base.pack, i)};
        sections[i].bytes = malloc(sections[i].is.n_bytes + 1);
        if (sections[i].is.n_bytes > 0)
            memcpy(sections[i].bytes, sections[i].is.bytes, sections[i].is.n_bytes);
    }
    return n;
}

/* Changes a byte, shortens a section by elements, or takes it away. */
static void change(mutable_section *section, uint8_t place, uint8_t what) {
    const uint64_t n = section->is.n_bytes;
    if (what == 0xff) {
        section->gone = true;
    } else if (what >= 0xf8 && section->is.dims == 1 && section->is.dim[0] >= what - 0xf7u) {
        section->is.dim[0] -= what - 0xf7u;
        section->is.n_bytes = section->is.dim[0] * hn_pack_type_bytes(section->is.type);
    } else if (n > 0) {
        section->bytes[(uint64_t)place * 2654435761u % n] ^= what;
    }
}

static mutable_section *named(mutable_section *sections, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(sections[i].is.name, name) == 0) return &sections[i];
    abort();
}

/* The checksums of the blocks, as far as these still lie in their section. */
static void set_block_checksums(mutable_section *sections, size_t n) {
    const mutable_section *const rows = named(sections, n, "dataset/rows"), *const blocks = named(
                                                                                sections, n,
                                                                                "dataset/blocks");
    for (uint64_t b = 0; b < blocks->is.n_bytes / sizeof(hn_block_entry); b++) {
        hn_block_entry entry;
        memcpy(&entry, blocks->bytes + b * sizeof entry, sizeof entry);
        const uint64_t all = rows->is.n_bytes;
        if (entry.rows > 1000 || entry.offset > all || entry.offset % 8 ||
            entry.rows * base.record_bytes > all - entry.offset)
            continue;
        const uint64_t left = all - entry.offset - entry.rows * base.record_bytes;
        if (entry.n_list_ids > left / 4) continue;
        const uint8_t *const records = rows->bytes + entry.offset;
        const void *const lists = records + entry.rows * base.record_bytes;
        entry.checksum =
            hn_block_checksum(records, entry.rows * base.record_bytes, lists, entry.n_list_ids * 4);
        memcpy(blocks->bytes + b * sizeof entry, &entry, sizeof entry);
    }
}

static void write_changed(const mutable_section *sections, size_t n) {
    hn_packer *packer;
    if (hn_packer_open(&packer, base.changed, "DATA", NULL) != HN_OK) abort();
    for (size_t i = 0; i < n; i++)
        if (!sections[i].gone)
            hn_packer_add(packer, sections[i].is.name, sections[i].is.type, sections[i].is.dims,
                          sections[i].is.dim, sections[i].bytes);
    if (hn_packer_commit(packer, NULL) != HN_OK) abort();
}

static void check_rows(const hn_rows *rows, const hn_layout *layout) {
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *const input = &layout->inputs[i];
        for (int32_t r = 0; r < rows->rows; r++) {
            if (rows->scenario[r] >= layout->scenarios) abort();
            if (input->kind == HN_INPUT_ID &&
                rows->ids[r * layout->ids + input->slot] >= layout->tables[input->table].rows)
                abort();
            if (input->kind != HN_INPUT_LIST) continue;
            const uint32_t *const begin = &rows->list_begin[r * layout->lists + input->slot];
            for (uint32_t k = begin[0]; k < begin[1]; k++)
                if (rows->list_ids[k] >= layout->tables[input->table].rows) abort();
        }
    }
}

static hn_status read_split(const hn_dataset *dataset, hn_split split, hn_error *err) {
    hn_batcher *batcher;
    HN_TRY(hn_batcher_create(&batcher, dataset, split, 17, 2, 1, err));
    hn_status status;
    const hn_rows *rows;
    hn_batcher_start(batcher, 1);
    while ((status = hn_batcher_next(&rows, batcher, err)) == HN_OK && rows)
        check_rows(rows, hn_schema_layout(hn_dataset_schema(dataset)));
    hn_batcher_free(batcher);
    return status;
}

static void read_changed(void) {
    hn_dataset *dataset = NULL;
    hn_error err = {0};
    hn_status status = hn_dataset_open(&dataset, base.changed, base.config, &err);
    if ((status == HN_OK) != (dataset != NULL)) abort();
    for (int s = 0; s < HN_SPLITS && status == HN_OK; s++)
        status = read_split(dataset, (hn_split)s, &err);
    if (status != HN_OK && (err.text[0] == '\0' || status != HN_BAD_DATA)) abort();
    hn_dataset_close(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static mutable_section sections[SECTIONS_MAX];
    make_base();
    const size_t n_sections = copy_sections(sections);
    for (size_t i = 0; i + 3 <= n && i < 60; i += 3)
        change(&sections[bytes[i] % n_sections], bytes[i + 1], bytes[i + 2]);
    set_block_checksums(sections, n_sections);
    write_changed(sections, n_sections);
    read_changed();
    for (size_t i = 0; i < n_sections; i++) free(sections[i].bytes);
    return 0;
}
