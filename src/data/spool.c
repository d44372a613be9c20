/* The spool of spool.h. A block lies in memory or in the file as its arrays one after another,
 * those of wider elements first, so that every array is aligned in the buffer it is read into. */
#include "data/spool.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { PARTS = 10, WRITE_AT_ONCE = 1 << 17, SHELF_BYTES = 8 << 20 };

typedef struct block_entry {
    uint8_t *kept;   /* in memory; NULL: in the file … */
    uint64_t offset; /* … from here */
    uint64_t first_row;
    uint64_t n_lists;
    int32_t rows;
    bool sampled;
} block_entry;

/* Kept blocks stand on shelves, one behind the other: large allocations cost less. */
typedef struct shelf {
    struct shelf *next;
    size_t used, bytes;
    uint8_t *memory;
} shelf;

struct hn_spool {
    char *dir;
    int fd;
    block_entry *blocks;
    size_t n, capacity;
    uint64_t rows, bytes; /* bytes: in the file */
    shelf *shelves;       /* the last one first */
    uint64_t shelf_bytes, keep_bytes;
    size_t most_bytes;
    int32_t log_slots, tables, tasks;
    uint64_t *dropped;
};

typedef struct spool_parts { /* the arrays of a block in file order */
    const void *from[PARTS];
    size_t bytes[PARTS];
    size_t total;
} spool_parts;

/* Sizes from the shape; the pointers are filled by whoever has them. */
static spool_parts measure(const hn_spool *spool, const block_entry *entry) {
    const size_t rows = (size_t)entry->rows;
    spool_parts p = {.bytes = {rows * (size_t)spool->log_slots * sizeof(hn_slot), rows * 8,
                               rows * 8, entry->n_lists * 8, rows * (size_t)spool->tables * 4,
                               rows * 4, entry->sampled ? rows * 4 : 0, rows * 2,
                               rows * (size_t)spool->tasks, rows}};
    for (int32_t i = 0; i < PARTS; i++) p.total += p.bytes[i];
    return p;
}

hn_status hn_spool_create(hn_spool **out, const char *dir, hn_error *err) {
    *out = NULL;
    hn_spool *const spool = hn_alloc_zero(1, sizeof *spool);
    if (!spool) return hn_no_memory(err, "the spool");
    spool->fd = -1;
    spool->dir = hn_strdup(dir);
    const hn_status status =
        spool->dir ? hn_temp_open(&spool->fd, dir, err) : hn_no_memory(err, "the spool");
    if (status != HN_OK) {
        spool->fd = -1;
        hn_spool_free(spool);
        return status;
    }
    *out = spool;
    return HN_OK;
}

void hn_spool_free(hn_spool *spool) {
    if (!spool) return;
    if (spool->fd >= 0) close(spool->fd);
    for (shelf *s = spool->shelves, *next; s; s = next) {
        next = s->next;
        hn_free(s->memory);
        hn_free(s);
    }
    hn_free(spool->blocks);
    hn_free(spool->dropped);
    hn_free(spool->dir);
    hn_free(spool);
}

void hn_spool_keep(hn_spool *spool, uint64_t bytes) { spool->keep_bytes = bytes; }

/* ---- Writing: the parts are cut into pieces that the workers write ------------------------- */

typedef struct piece {
    const uint8_t *from;
    size_t n;
    uint64_t offset; /* in the block's memory or in the file */
} piece;

typedef struct writing {
    const hn_spool *spool;
    uint8_t *kept; /* where the block goes in memory; NULL: to the file */
    piece *pieces;
    hn_status *status; /* of each piece */
    hn_error *errors;
} writing;

static void write_piece(void *user, int64_t item, int32_t worker) {
    (void)worker;
    const writing *const w = user;
    const piece *const p = &w->pieces[item];
    if (w->kept) {
        memcpy(w->kept + p->offset, p->from, p->n);
        return;
    }
    w->status[item] =
        hn_fd_write_at(w->spool->fd, p->from, p->n, p->offset, w->spool->dir, &w->errors[item]);
}

static size_t cut(piece *pieces, const spool_parts *parts, uint64_t offset) {
    size_t n = 0;
    for (int32_t i = 0; i < PARTS; i++) {
        for (size_t at = 0; at < parts->bytes[i]; at += WRITE_AT_ONCE) {
            const size_t left = parts->bytes[i] - at;
            pieces[n++] = (piece){(const uint8_t *)parts->from[i] + at,
                                  left < WRITE_AT_ONCE ? left : WRITE_AT_ONCE, offset + at};
        }
        offset += parts->bytes[i];
    }
    return n;
}

static hn_status write_parts(const hn_spool *spool, const block_entry *entry,
                             const spool_parts *parts, hn_pool *pool, hn_error *err) {
    const size_t most = parts->total / WRITE_AT_ONCE + PARTS;
    writing w = {.spool = spool, .kept = entry->kept};
    w.pieces = hn_alloc(most, sizeof *w.pieces);
    w.status = hn_alloc_zero(most, sizeof *w.status);
    w.errors = hn_alloc_zero(most, sizeof *w.errors);
    hn_status status = w.pieces && w.status && w.errors ? HN_OK : hn_no_memory(err, "the spool");
    if (status == HN_OK) {
        const size_t n = cut(w.pieces, parts, entry->kept ? 0 : entry->offset);
        hn_pool_run(pool, (int64_t)n, write_piece, &w);
        for (size_t i = 0; i < n && status == HN_OK; i++)
            if (w.status[i] != HN_OK) status = hn_fail(err, w.status[i], "%s", w.errors[i].text);
    }
    hn_free(w.pieces);
    hn_free(w.status);
    hn_free(w.errors);
    return status;
}

static hn_status check_shape(hn_spool *spool, const hn_impressions *block, hn_error *err) {
    if (spool->n == 0) {
        spool->log_slots = block->log_slots;
        spool->tables = block->tables;
        spool->tasks = block->tasks;
    }
    if (spool->log_slots == block->log_slots && spool->tables == block->tables &&
        spool->tasks == block->tasks)
        return HN_OK;
    return hn_fail(err, HN_FAILED, "blocks of the log have different shapes");
}

static hn_status add_shelf(hn_spool *spool, size_t bytes, hn_error *err) {
    shelf *const added = hn_alloc_zero(1, sizeof *added);
    if (!added) return hn_no_memory(err, "the spool");
    added->bytes = bytes;
    added->memory = hn_alloc(bytes, 1);
    if (!added->memory) {
        hn_free(added);
        return hn_no_memory(err, "the spool");
    }
    added->next = spool->shelves;
    spool->shelves = added;
    spool->shelf_bytes += bytes;
    return HN_OK;
}

/* Finds the block its place: in memory when it may be there. */
static hn_status place(hn_spool *spool, block_entry *entry, size_t bytes, hn_error *err) {
    const size_t room = (bytes + HN_ALIGN - 1) / HN_ALIGN * HN_ALIGN;
    const shelf *const last = spool->shelves;
    entry->offset = spool->bytes;
    if (!last || last->bytes - last->used < room) {
        const uint64_t left = spool->keep_bytes - spool->shelf_bytes;
        const size_t wanted = left < SHELF_BYTES ? (size_t)left : SHELF_BYTES;
        if (left < room) return HN_OK;
        HN_TRY(add_shelf(spool, wanted < room ? room : wanted, err));
    }
    entry->kept = spool->shelves->memory + spool->shelves->used;
    spool->shelves->used += room;
    return HN_OK;
}

static void count_block(hn_spool *spool, const block_entry *entry, size_t bytes) {
    spool->n++;
    spool->rows += (uint64_t)entry->rows;
    if (!entry->kept) spool->bytes += bytes;
    if (bytes > spool->most_bytes) spool->most_bytes = bytes;
}

hn_status hn_spool_add(hn_spool *spool, const hn_impressions *block, hn_pool *pool, hn_error *err) {
    HN_TRY(check_shape(spool, block, err));
    if (block->rows == 0) return HN_OK;
    HN_TRY(hn_grow(&spool->blocks, &spool->capacity, spool->n + 1, sizeof *spool->blocks, err));
    block_entry *const entry = &spool->blocks[spool->n];
    *entry = (block_entry){.first_row = spool->rows,
                           .n_lists = block->n_lists,
                           .rows = block->rows,
                           .sampled = block->sampling != NULL};
    spool_parts p = measure(spool, entry);
    const void *const from[PARTS] = {
        block->slots,   block->ordinal,  block->user,     block->lists,  block->table_rows,
        block->weights, block->sampling, block->scenario, block->labels, block->split};
    memcpy(p.from, from, sizeof from);
    HN_TRY(place(spool, entry, p.total, err));
    HN_TRY(write_parts(spool, entry, &p, pool, err));
    count_block(spool, entry, p.total);
    return HN_OK;
}

/* ---- Reading --------------------------------------------------------------------- */

int64_t hn_spool_blocks(const hn_spool *spool) { return (int64_t)spool->n; }
uint64_t hn_spool_rows(const hn_spool *spool) { return spool->rows; }
uint64_t hn_spool_first_row(const hn_spool *spool, int64_t block) {
    return spool->blocks[block].first_row;
}
size_t hn_spool_block_bytes(const hn_spool *spool) { return spool->most_bytes; }

void hn_spool_drop(hn_spool *spool, uint64_t *bits) {
    hn_free(spool->dropped);
    spool->dropped = bits;
}

static void mark_dropped(uint8_t *split, const hn_spool *spool, const block_entry *entry) {
    for (int32_t i = 0; spool->dropped && i < entry->rows; i++) {
        const uint64_t row = entry->first_row + (uint64_t)i;
        if (spool->dropped[row / 64] >> (row % 64) & 1) split[i] = HN_NO_SPLIT;
    }
}

hn_status hn_spool_read(hn_spool_buffer *out, const hn_spool *spool, int64_t block, hn_error *err) {
    const block_entry *const entry = &spool->blocks[block];
    const spool_parts p = measure(spool, entry);
    uint8_t *at[PARTS + 1] = {entry->kept};
    if (!entry->kept) {
        HN_TRY(hn_grow(&out->bytes, &out->capacity, p.total, 1, err));
        HN_TRY(hn_fd_read_at(spool->fd, out->bytes, p.total, entry->offset, spool->dir, err));
        at[0] = out->bytes;
    }
    for (int32_t i = 0; i < PARTS; i++) at[i + 1] = at[i] + p.bytes[i];
    mark_dropped(at[9], spool, entry); /* of a kept block: the same marks every time */
    out->first_row = entry->first_row;
    out->block = (hn_impressions){.rows = entry->rows,
                                  .log_slots = spool->log_slots,
                                  .tables = spool->tables,
                                  .tasks = spool->tasks,
                                  .slots = (const void *)at[0],
                                  .ordinal = (const void *)at[1],
                                  .user = (const void *)at[2],
                                  .lists = (const void *)at[3],
                                  .n_lists = entry->n_lists,
                                  .table_rows = (const void *)at[4],
                                  .weights = (const void *)at[5],
                                  .sampling = entry->sampled ? (const void *)at[6] : NULL,
                                  .scenario = (const void *)at[7],
                                  .labels = at[8],
                                  .split = at[9]};
    return HN_OK;
}

void hn_spool_buffer_free(hn_spool_buffer *buffer) {
    hn_free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}
