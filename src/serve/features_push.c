/* `hinet features push`: reads a table as its config says, with the reader of training, and
 * writes its rows into Redis (layout: store.h, docs/feature-store.md). Workers make the
 * commands of a window of chunks; this thread sends them in order, a bounded number ahead of
 * their answers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/pool.h"
#include "serve/features_rows.h"
#include "serve/store_link.h"

enum {
    AHEAD_COMMANDS = 8192, /* sent before their answers have come */
    AHEAD_BYTES = 4 << 20,
    ANSWER_SECONDS = 30,
    CONNECT_SECONDS = 5,
};

typedef struct sent {
    size_t file;   /* of the table's paths */
    uint64_t line; /* 1-based */
    size_t bytes;
} sent;

typedef struct pusher {
    hn_feature_format format;
    const hn_config_table *table;
    const hn_paths *paths;
    hn_store_target target;
    hn_store_link link;
    hn_feature_rows *slots;
    int32_t n_slots;
    size_t file; /* files begun */
    sent *ahead; /* [AHEAD_COMMANDS] a ring */
    size_t first, n_ahead, ahead_bytes;
    uint64_t rows, commands, bytes_sent, bytes_read;
} pusher;

/* ---- Reading --------------------------------------------------------------------------------- */

static hn_status open_file(void *user, hn_text_file *file, hn_error *err) {
    pusher *const p = user;
    const int32_t key = hn_columns_find(&file->columns, p->table->key);
    if (key < 0)
        return hn_columns_lack(&file->columns, p->table->key, key, "the key of table",
                               p->table->name, err);
    hn_feature_format *const format = hn_arena_alloc(&file->arena, 1, sizeof *format);
    if (!format) return hn_no_memory(err, file->path);
    *format = p->format;
    format->key = key;
    file->plan = format;
    return HN_OK;
}

static void close_file(void *user, hn_text_file *file) { (void)user, (void)file; }

static void parse_chunk(void *user, hn_chunk *chunk) {
    hn_feature_rows *const out = &((pusher *)user)->slots[chunk->slot];
    hn_feature_rows_make(out, chunk->file->plan, &chunk->file->columns, chunk->text, chunk->n);
    chunk->lines = out->lines;
}

static uint64_t rows_so_far(const void *user) { return ((const pusher *)user)->rows; }

/* ---- Sending ------------------------------------------------------------------------------- */

static hn_status fail_at(const pusher *p, const sent *where, const char *what, hn_error *err) {
    return hn_fail(err, HN_IO_FAILED,
                   "%s:%" PRIu64 ": the row could not be written to the store: %.300s",
                   p->paths->paths[where->file], where->line, what);
}

/* Waits for answers until at most so many commands and bytes are without one. */
static hn_status take_answers(pusher *p, size_t commands, size_t bytes, hn_error *err) {
    while (p->n_ahead > commands || p->ahead_bytes > bytes) {
        const sent *const oldest = &p->ahead[p->first];
        redisReply *const reply =
            hn_store_link_reply(&p->link, hn_store_now_ns() + ANSWER_SECONDS * INT64_C(1000000000));
        if (!reply) return fail_at(p, oldest, p->link.why, err);
        const hn_status status =
            reply->type == REDIS_REPLY_ERROR ? fail_at(p, oldest, reply->str, err) : HN_OK;
        freeReplyObject(reply);
        if (status != HN_OK) return status;
        p->first = (p->first + 1) % AHEAD_COMMANDS;
        p->n_ahead--;
        p->ahead_bytes -= oldest->bytes;
    }
    return HN_OK;
}

static hn_status send_command(pusher *p, const char *command, size_t bytes, uint64_t line,
                              hn_error *err) {
    if (p->n_ahead == AHEAD_COMMANDS || p->ahead_bytes > AHEAD_BYTES)
        HN_TRY(take_answers(p, AHEAD_COMMANDS / 2, AHEAD_BYTES / 2, err));
    const sent now = {p->file - 1, line, bytes};
    if (!hn_store_link_append_formatted(&p->link, command, bytes))
        return fail_at(p, &now, p->link.why, err);
    p->ahead[(p->first + p->n_ahead++) % AHEAD_COMMANDS] = now;
    p->ahead_bytes += bytes;
    p->bytes_sent += bytes;
    p->commands++;
    return HN_OK;
}

static hn_status emit(void *user, const hn_chunk *chunk, hn_error *err) {
    pusher *const p = user;
    const hn_feature_rows *const rows = &p->slots[chunk->slot];
    const uint64_t before = chunk->file->lines + 1;
    if (chunk->first) p->file++;
    size_t begin = 0;
    for (size_t k = 0; k < rows->n; k++) {
        const hn_feature_command *const c = &rows->items[k];
        HN_TRY(send_command(p, rows->commands.text + begin, c->end - begin, before + c->line, err));
        begin = c->end;
    }
    p->rows += rows->rows;
    if (rows->status == HN_BAD_DATA)
        return hn_fail(err, HN_BAD_DATA, "%s:%" PRIu64 ":%" PRIu64 ": %s", chunk->file->path,
                       before + rows->bad_line, rows->bad_column, rows->bad);
    return rows->status == HN_OK ? HN_OK : hn_fail(err, rows->status, "%s", rows->bad);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static hn_status find_table(const hn_config_table **out, const hn_config *config, const char *name,
                            hn_error *err) {
    const char *names[64] = {NULL};
    size_t n = 0;
    for (int32_t t = 0; t < config->n_tables; t++) {
        *out = &config->tables[t];
        if (strcmp((*out)->name, name) == 0) return HN_OK;
        if (n < sizeof names / sizeof *names) names[n++] = (*out)->name;
    }
    const char *const path = config->path ? config->path : "the config";
    if (n == 0)
        return hn_fail(err, HN_USAGE, "\"%.100s\" is no table of %s, which has none", name, path);
    const char *const near = hn_did_you_mean(name, names, n);
    return hn_fail(err, HN_USAGE, "\"%.100s\" is no table of %s; %s%s%s", name, path,
                   near ? "did you mean " : "expected one like ", near ? near : names[0],
                   near ? "?" : "");
}

static hn_status connect_store(pusher *p, const char *url, hn_error *err) {
    HN_TRY(hn_store_target_open(&p->target, url, err));
    hn_store_link_init(&p->link, &p->target);
    const int64_t limit = hn_store_now_ns() + CONNECT_SECONDS * INT64_C(1000000000);
    const char *ping[] = {"PING"};
    for (int32_t tries = 0; tries <= p->target.n_addresses; tries++) {
        p->link.retry_ns = 0;
        if (!hn_store_link_ready(&p->link, limit) || !hn_store_link_append(&p->link, 1, ping, NULL))
            continue;
        redisReply *const reply = hn_store_link_reply(&p->link, limit);
        if (!reply) continue;
        const bool fine = reply->type != REDIS_REPLY_ERROR;
        if (!fine) snprintf(p->link.why, sizeof p->link.why, "%s", reply->str);
        freeReplyObject(reply);
        if (fine) return HN_OK;
        break;
    }
    return hn_fail(err, HN_IO_FAILED,
                   "the store cannot be reached: %s; expected a Redis server there", p->link.why);
}

static hn_status read_table(pusher *p, const hn_config *config, const hn_run *run, hn_error *err) {
    hn_paths paths = {0};
    hn_pool *pool = NULL;
    HN_TRY(hn_source_paths(&paths, config, &p->table->source, err));
    p->paths = &paths;
    hn_status status = hn_pool_create(&pool, run ? run->threads : 0, err);
    if (status == HN_OK) {
        p->n_slots = hn_chunk_slots(pool, run);
        p->slots = hn_alloc_zero((size_t)p->n_slots, sizeof *p->slots);
        p->ahead = hn_alloc(AHEAD_COMMANDS, sizeof *p->ahead);
        if (!p->slots || !p->ahead) status = hn_no_memory(err, "the rows of a table");
    }
    if (status == HN_OK) {
        const hn_chunk_job job = {.source = &p->table->source,
                                  .paths = paths.paths,
                                  .n_paths = paths.n,
                                  .phase = "push",
                                  .open = open_file,
                                  .close = close_file,
                                  .parse = parse_chunk,
                                  .emit = emit,
                                  .rows = rows_so_far,
                                  .user = p};
        status = hn_chunks_read(&p->bytes_read, &job, p->n_slots, pool, run, err);
    }
    /* Of a table with a bad row, what came before it is written. */
    if (status == HN_OK || status == HN_BAD_DATA) {
        const hn_status last = take_answers(p, 0, 0, status == HN_OK ? err : NULL);
        if (status == HN_OK) status = last;
    }
    hn_pool_free(pool);
    hn_paths_free(&paths);
    p->paths = NULL;
    return status;
}

static hn_status report(hn_report **out, const pusher *p, const char *prefix, double seconds,
                        hn_error *err) {
    hn_text text = {0};
    const double rate = seconds > 0 ? (double)p->rows / seconds : 0;
    hn_text_add(&text,
                "Wrote %" PRIu64 " rows of table %s to %s:%s:KEY in %.2f s: %.0f rows/s\n"
                "%" PRIu64 " bytes read, %" PRIu64 " bytes in %" PRIu64 " commands sent\n",
                p->rows, p->table->name, prefix, p->table->name, seconds, rate, p->bytes_read,
                p->bytes_sent, p->commands);
    json_t *const json =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f}", "table", p->table->name, "prefix",
                  prefix, "rows", (json_int_t)p->rows, "bytes_read", (json_int_t)p->bytes_read,
                  "bytes_sent", (json_int_t)p->bytes_sent, "commands", (json_int_t)p->commands,
                  "seconds", seconds, "rows_per_second", rate);
    return hn_report_create(out, json, &text, err);
}

hn_status hn_features_push(hn_report **out, const hn_config *config, const char *table,
                           const char *url, const hn_features_options *options, const hn_run *run,
                           hn_error *err) {
    static const hn_features_options defaults = {0};
    const hn_features_options *const o = options ? options : &defaults;
    const char *const prefix = o->prefix ? o->prefix : "hinet";
    pusher p = {0};
    *out = NULL;
    HN_TRY(find_table(&p.table, config, table, err));
    hn_text keys = {0};
    hn_text_add(&keys, "%s:%s:", prefix, table);
    p.format = (hn_feature_format){
        .source = &p.table->source, .prefix = keys.text, .expire_seconds = o->expire_seconds};
    hn_status status =
        keys.failed ? hn_no_memory(err, "the keys of a table") : connect_store(&p, url, err);
    const int64_t begun = hn_store_now_ns();
    if (status == HN_OK) status = read_table(&p, config, run, err);
    if (status == HN_OK)
        status = report(out, &p, prefix, (double)(hn_store_now_ns() - begun) * 1e-9, err);
    for (int32_t k = 0; k < p.n_slots && p.slots; k++) hn_feature_rows_free(&p.slots[k]);
    hn_free(p.slots);
    hn_free(p.ahead);
    hn_store_link_close(&p.link);
    hn_store_target_close(&p.target);
    hn_text_free(&keys);
    return status;
}
