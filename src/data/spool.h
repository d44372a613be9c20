/* The spool: the digested log, its first blocks in memory and the others in an unnamed
 * temporary file, so that a log (or a pipe) is read once and fitted and encoded from here,
 * block by block, by any worker. */
#ifndef HN_DATA_SPOOL_H
#define HN_DATA_SPOOL_H

#include "data/digest.h"

typedef struct hn_spool hn_spool;
hn_status hn_spool_create(hn_spool **out, const char *dir, hn_error *err);
void hn_spool_free(hn_spool *spool);
/* Blocks that are added from now on are kept in memory while all of those take at most so
 * many bytes. None is before this is called; to be called once. */
void hn_spool_keep(hn_spool *spool, uint64_t bytes);
/* Appends the rows of a block (without identities and lines). */
hn_status hn_spool_add(hn_spool *spool, const hn_impressions *block, hn_pool *pool, hn_error *err);
int64_t hn_spool_blocks(const hn_spool *spool);
uint64_t hn_spool_rows(const hn_spool *spool);
uint64_t hn_spool_first_row(const hn_spool *spool, int64_t block);
/* Memory that reading the largest block takes. */
size_t hn_spool_block_bytes(const hn_spool *spool);

/* Rows whose bit is set (by number in the spool) are read with HN_NO_SPLIT: nobody counts
 * or encodes them. The bits are owned by the spool from then on. */
void hn_spool_drop(hn_spool *spool, uint64_t *bits);

typedef struct hn_spool_buffer { /* zero-initialise; one for each block read at a time */
    hn_impressions block;        /* what was read, until the next read; may be the spool's */
    uint64_t first_row;
    uint8_t *bytes;
    size_t capacity;
} hn_spool_buffer;
hn_status hn_spool_read(hn_spool_buffer *out, const hn_spool *spool, int64_t block, hn_error *err);
void hn_spool_buffer_free(hn_spool_buffer *buffer);

/* One pass over a spool: window after window of blocks, each window read by all workers.
 * As many blocks at once as keep the workers busy and the memory limit allows. */
typedef struct hn_pass {
    hn_spool_buffer *blocks; /* [n] of the current window */
    int32_t n;
    int64_t first; /* number of its first block */
    int32_t most;
    const hn_spool *spool;
    hn_pool *pool;
    const hn_run *run;
    const char *phase; /* for progress */
    double started;
    hn_status *statuses;
    hn_error *errors;
} hn_pass;
/* `worker_bytes`: what the caller allocates for each block in flight besides. */
hn_status hn_pass_open(hn_pass *out, const hn_spool *spool, hn_pool *pool, const hn_run *run,
                       const char *phase, uint64_t worker_bytes, hn_error *err);
/* The next window; n is 0 at the end. HN_INTERRUPTED when the run is asked to stop. */
hn_status hn_pass_next(hn_pass *pass, hn_error *err);
void hn_pass_close(hn_pass *pass);

#endif
