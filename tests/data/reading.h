/* What the tests of reading share: a folder with a config, and a transcript of all that a
 * read gives out, one line of text for each row, so that two reads are compared as strings. */
#ifndef HN_TESTS_DATA_READING_H
#define HN_TESTS_DATA_READING_H

#include "base/report.h"
#include "data/digest.h"
#include "support.h"

/* A config from YAML, with paths relative to `dir`. */
hn_config *reading_config(const char *dir, const char *yaml);
/* Writes `text` into dir/name. */
void reading_file(const char *dir, const char *name, const char *text);

enum { READING_SOURCES = 32 };
typedef struct reading_sources {
    hn_sources sources;
    hn_source items[READING_SOURCES];
    int32_t table_slots[8];
} reading_sources;
/* Adds a source; "t.column" is of the config's table t. Slots are numbered in this order. */
void reading_add(reading_sources *to, const hn_config *config, hn_source_kind kind,
                 const char *column);

typedef struct reading {
    hn_text rows;   /* the transcript */
    hn_text header; /* what the header callback got, delimiter included */
    int64_t blocks;
    hn_log_counts counts;
    hn_log_options options; /* files, scoring, keep_lines: set before reading */
    int64_t fail_block;     /* the block callback fails at this block (from 1) */
    const hn_sources *sources;
} reading;
hn_status reading_log(reading *out, const hn_config *config, const hn_sources *sources,
                      const hn_side_tables *tables, hn_pool *pool, const hn_run *run,
                      hn_error *err);
void reading_free(reading *r);

/* The pieces of a transcript's line, for expectations. */
const char *
reading_hash(const char *text); /* as the transcript writes the hash; static buffers, 8 in turn */
/* A table's rows in the same manner. */
void reading_table(hn_text *out, const hn_side_table *table);

#endif
