/* The block writer: one block in memory for each split, written out when it is full. */
#include "data/dataset_write.h"

#include <string.h>

#include "base/memory.h"

typedef struct open_block {
    uint8_t *records; /* [block_rows] */
    size_t rows;
    uint32_t *list_ids;
    size_t n_list_ids, list_capacity;
} open_block;

struct hn_block_writer {
    hn_packer *packer;
    hn_record record;
    size_t block_rows;
    open_block open[HN_SPLITS];
    hn_block_entry *entries;
    size_t n, capacity;
    uint64_t offset;
};

hn_status hn_block_writer_create(hn_block_writer **out, hn_packer *packer, const hn_record *record,
                                 int32_t block_rows, hn_error *err) {
    *out = NULL;
    hn_block_writer *const writer = hn_alloc_zero(1, sizeof *writer);
    if (!writer) return hn_no_memory(err, "blocks of a dataset");
    writer->packer = packer;
    writer->record = *record;
    writer->block_rows = (size_t)block_rows;
    for (int32_t s = 0; s < HN_SPLITS; s++) {
        writer->open[s].records = hn_alloc(writer->block_rows, record->bytes);
        if (writer->open[s].records) continue;
        hn_block_writer_free(writer);
        return hn_no_memory(err, "blocks of a dataset");
    }
    hn_packer_begin(packer, "dataset/rows", HN_PACK_BYTES);
    *out = writer;
    return HN_OK;
}

void hn_block_writer_free(hn_block_writer *writer) {
    if (!writer) return;
    for (int32_t s = 0; s < HN_SPLITS; s++) {
        hn_free(writer->open[s].records);
        hn_free(writer->open[s].list_ids);
    }
    hn_free(writer->entries);
    hn_free(writer);
}

static hn_status flush(hn_block_writer *writer, hn_split split, hn_error *err) {
    open_block *const open = &writer->open[split];
    if (open->rows == 0) return HN_OK;
    const size_t record_bytes = open->rows * writer->record.bytes,
                 list_bytes = open->n_list_ids * 4;
    const size_t zeros = (8 - list_bytes % 8) % 8;
    static const uint8_t zero[8];
    HN_TRY(
        hn_grow(&writer->entries, &writer->capacity, writer->n + 1, sizeof *writer->entries, err));
    writer->entries[writer->n++] = (hn_block_entry){
        split, open->rows, writer->offset, open->n_list_ids,
        hn_block_checksum(open->records, record_bytes, open->list_ids, list_bytes)};
    hn_packer_append(writer->packer, open->records, record_bytes);
    if (list_bytes > 0) hn_packer_append(writer->packer, open->list_ids, list_bytes);
    if (zeros > 0) hn_packer_append(writer->packer, zero, zeros);
    writer->offset += record_bytes + list_bytes + zeros;
    open->rows = open->n_list_ids = 0;
    return HN_OK;
}

static uint32_t end_of_lists(const hn_record *record, const uint8_t *records, size_t row) {
    uint32_t end;
    memcpy(&end, records + row * record->bytes + record->list_end + (size_t)(record->lists - 1) * 4,
           sizeof end);
    return end;
}

/* Takes rows [begin, begin + n) of the packed ones; their list ends now count from the
 * block's first list id. */
static hn_status take_lists(open_block *open, const hn_record *record, const hn_packed *rows,
                            size_t begin, size_t n, hn_error *err) {
    const uint32_t first = begin > 0 ? end_of_lists(record, rows->records, begin - 1) : 0;
    const uint32_t last = end_of_lists(record, rows->records, begin + n - 1);
    const size_t before = open->n_list_ids;
    if (before + (last - first) > UINT32_MAX)
        return hn_fail(err, HN_BAD_DATA,
                       "the lists of a block have more than %u values; set max_length or a "
                       "smaller train.block_rows",
                       UINT32_MAX);
    HN_TRY(hn_grow(&open->list_ids, &open->list_capacity, before + (last - first), 4, err));
    if (last > first)
        memcpy(open->list_ids + before, rows->list_ids + first, (size_t)(last - first) * 4);
    open->n_list_ids += last - first;
    for (size_t i = open->rows - n; i < open->rows; i++) {
        uint8_t *const ends = open->records + i * record->bytes + record->list_end;
        for (int32_t l = 0; l < record->lists; l++) {
            uint32_t end;
            memcpy(&end, ends + l * 4, sizeof end);
            end = (uint32_t)(end - first + before);
            memcpy(ends + l * 4, &end, sizeof end);
        }
    }
    return HN_OK;
}

hn_status hn_block_writer_add(hn_block_writer *writer, hn_split split, const hn_packed *rows,
                              hn_error *err) {
    open_block *const open = &writer->open[split];
    const hn_record *const record = &writer->record;
    for (size_t at = 0; at < rows->rows;) {
        const size_t room = writer->block_rows - open->rows, left = rows->rows - at;
        const size_t n = left < room ? left : room;
        memcpy(open->records + open->rows * record->bytes, rows->records + at * record->bytes,
               n * record->bytes);
        open->rows += n;
        if (record->lists > 0) HN_TRY(take_lists(open, record, rows, at, n, err));
        at += n;
        if (open->rows == writer->block_rows) HN_TRY(flush(writer, split, err));
    }
    return HN_OK;
}

hn_status hn_block_writer_finish(hn_block_writer *writer, hn_error *err) {
    for (int32_t s = 0; s < HN_SPLITS; s++) HN_TRY(flush(writer, (hn_split)s, err));
    hn_packer_end(writer->packer);
    const uint64_t dim[2] = {writer->n, HN_BLOCK_ENTRY_WORDS};
    hn_packer_add(writer->packer, "dataset/blocks", HN_PACK_U64, 2, dim, writer->entries);
    return HN_OK;
}
