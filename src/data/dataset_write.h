/* Writing a dataset's rows: each split's rows are cut into blocks in the order they come. */
#ifndef HN_DATA_DATASET_WRITE_H
#define HN_DATA_DATASET_WRITE_H

#include "data/record.h"

typedef struct hn_block_writer hn_block_writer;
/* Begins the section "dataset/rows" of the packer. */
hn_status hn_block_writer_create(hn_block_writer **out, hn_packer *packer, const hn_record *record,
                                 int32_t block_rows, hn_error *err);
void hn_block_writer_free(hn_block_writer *writer);
hn_status hn_block_writer_add(hn_block_writer *writer, hn_split split, const hn_packed *rows,
                              hn_error *err);
/* Writes what is left and the directory "dataset/blocks". */
hn_status hn_block_writer_finish(hn_block_writer *writer, hn_error *err);

/* An entry of the directory, as it lies in the file. */
typedef struct hn_block_entry {
    uint64_t split, rows;
    uint64_t offset;     /* in "dataset/rows"; a multiple of 8 */
    uint64_t n_list_ids; /* after the records */
    uint64_t checksum;
} hn_block_entry;
enum { HN_BLOCK_ENTRY_WORDS = 5 };

#endif
