/* The connection (store_link.h): hiredis makes commands and takes answers apart; the
 * waiting is ours, so that it has a limit. */
#include "serve/store_link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    PAUSE_FIRST_MS = 10,
    PAUSE_DOUBLINGS = 7, /* 1.28 s */
    CONNECT_MS = 1000,
    READER_KEEPS_BYTES = 1 << 20, /* of its buffer, from answer to answer */
    ANSWER_BYTES_MAX = 64 << 20,
};

int64_t hn_store_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void hn_store_link_init(hn_store_link *link, const hn_store_target *target) {
    *link = (hn_store_link){.target = target};
}

static void disconnect(hn_store_link *link) {
    if (link->redis) redisFree(link->redis);
    link->redis = NULL;
    link->connecting = link->unsent = false;
    link->greetings = 0;
}

void hn_store_link_close(hn_store_link *link) { disconnect(link); }

void hn_store_link_fail(hn_store_link *link, const char *why) {
    if (why != link->why) snprintf(link->why, sizeof link->why, "%s", why);
    disconnect(link);
    const int32_t doublings = link->failures < PAUSE_DOUBLINGS ? link->failures : PAUSE_DOUBLINGS;
    link->retry_ns = hn_store_now_ns() + ((int64_t)PAUSE_FIRST_MS << doublings) * 1000000;
    link->failures++;
    link->errors++;
}

static bool fail_redis(hn_store_link *link) {
    char why[sizeof link->why];
    snprintf(why, sizeof why, "%s", link->redis->errstr);
    hn_store_link_fail(link, why);
    return false;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* The events that came until the limit; 0: none. A limit that is past looks once. */
static short wait_for(const hn_store_link *link, short events, int64_t limit_ns) {
    struct pollfd p = {.fd = link->redis->fd, .events = events};
    for (;;) {
        int64_t left = limit_ns - hn_store_now_ns();
        if (left < 0) left = 0;
        const struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        const int n = ppoll(&p, 1, &time, NULL);
        if (n > 0) return p.revents;
        if (n == 0 || errno != EINTR) return 0;
    }
}

/* hiredis writes without MSG_NOSIGNAL; the signal of a peer that went away must not end the
 * process of whoever uses this library. */
static int write_quietly(redisContext *redis, int *done) {
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const int result = redisBufferWrite(redis, done);
    const int error = errno;
    const struct timespec now = {0};
    if (result != REDIS_OK && error == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return result;
}

static bool send_some(hn_store_link *link) {
    int done = 0;
    if (!link->unsent) return true;
    if (write_quietly(link->redis, &done) != REDIS_OK) return fail_redis(link);
    link->unsent = !done;
    return true;
}

/* ---- Connecting ---------------------------------------------------------------------------- */

static bool start(hn_store_link *link) {
    const hn_store_target *const t = link->target;
    link->redis =
        t->path ? redisConnectUnixNonBlock(t->path)
                : redisConnectNonBlock(t->addresses[link->address++ % t->n_addresses], t->port);
    if (!link->redis) {
        hn_store_link_fail(link, "no memory for a connection");
        return false;
    }
    if (link->redis->err) return fail_redis(link);
    link->redis->reader->maxbuf = READER_KEEPS_BYTES;
    link->connecting = true;
    link->connect_by_ns = hn_store_now_ns() + (int64_t)CONNECT_MS * 1000000;
    return true;
}

static bool greet(hn_store_link *link) {
    const hn_store_target *const t = link->target;
    char db[16];
    snprintf(db, sizeof db, "%d", (int)t->db);
    const char *auth[3] = {"AUTH", t->user ? t->user : t->password, t->password};
    const char *select[2] = {"SELECT", db};
    if (t->password && !hn_store_link_append(link, t->user ? 3 : 2, auth, NULL)) return false;
    if (t->db > 0 && !hn_store_link_append(link, 2, select, NULL)) return false;
    link->greetings = (t->password != NULL) + (t->db > 0);
    return true;
}

/* The connection is being made. */
static bool finish(hn_store_link *link, int64_t limit_ns) {
    int error = 0;
    socklen_t n = sizeof error;
    if (wait_for(link, POLLOUT, limit_ns) == 0) {
        if (hn_store_now_ns() >= link->connect_by_ns)
            hn_store_link_fail(link, "the connection was not made in time");
        return false;
    }
    if (getsockopt(link->redis->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0) error = errno;
    if (error) {
        hn_store_link_fail(link, strerror(error));
        return false;
    }
    link->connecting = false;
    link->connections++;
    return greet(link);
}

/* An idle connection has nothing to say: the end, or bytes that nobody asked for, end it. */
static bool is_quiet(const hn_store_link *link) {
    char byte;
    return recv(link->redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool hn_store_link_ready(hn_store_link *link, int64_t limit_ns) {
    if (link->redis && !link->connecting) {
        if (is_quiet(link)) return true;
        disconnect(link); /* closed while idle: no failure */
    }
    if (link->redis) return finish(link, 0);
    if (hn_store_now_ns() < link->retry_ns) return false;
    return start(link) && finish(link, limit_ns);
}

/* ---- Commands and answers -------------------------------------------------------------------- */

bool hn_store_link_append(hn_store_link *link, int argc, const char **argv, const size_t *bytes) {
    if (!link->redis || redisAppendCommandArgv(link->redis, argc, argv, bytes) != REDIS_OK) {
        hn_store_link_fail(link, "no memory for a command");
        return false;
    }
    return link->unsent = true;
}

bool hn_store_link_append_formatted(hn_store_link *link, const char *command, size_t bytes) {
    if (!link->redis || redisAppendFormattedCommand(link->redis, command, bytes) != REDIS_OK) {
        hn_store_link_fail(link, "no memory for a command");
        return false;
    }
    return link->unsent = true;
}

/* The answer to AUTH or SELECT. */
static bool take_greeting(hn_store_link *link, redisReply *reply) {
    const bool fine = reply->type != REDIS_REPLY_ERROR;
    link->greetings--;
    if (!fine) hn_store_link_fail(link, reply->str);
    freeReplyObject(reply);
    return fine;
}

/* `*out` NULL: none is whole yet. */
static bool take_reply(redisReply **out, hn_store_link *link) {
    void *reply;
    *out = NULL;
    do {
        reply = NULL;
        if (redisGetReplyFromReader(link->redis, &reply) != REDIS_OK) return fail_redis(link);
        if (!reply) return true;
    } while (link->greetings > 0 && take_greeting(link, reply));
    if (!link->redis) return false;
    link->failures = 0;
    *out = reply;
    return true;
}

static bool read_some(hn_store_link *link) {
    if (redisBufferRead(link->redis) != REDIS_OK) return fail_redis(link);
    if (link->redis->reader->len <= ANSWER_BYTES_MAX) return true;
    hn_store_link_fail(link, "an answer is larger than 64 MiB");
    return false;
}

redisReply *hn_store_link_reply(hn_store_link *link, int64_t limit_ns) {
    redisReply *reply;
    while (link->redis) {
        if (!take_reply(&reply, link) || reply) return reply;
        if (!send_some(link)) return NULL;
        const short events =
            wait_for(link, (short)(POLLIN | (link->unsent ? POLLOUT : 0)), limit_ns);
        if (events == 0) {
            hn_store_link_fail(link, "no answer in time");
            return NULL;
        }
        if (events & ~POLLOUT && !read_some(link)) return NULL;
    }
    return NULL;
}

redisReply *hn_store_link_reply_now(hn_store_link *link) {
    redisReply *reply = NULL;
    if (!link->redis || !take_reply(&reply, link) || reply) return reply;
    if (!send_some(link)) return NULL;
    if (wait_for(link, POLLIN, 0) != 0 && read_some(link)) (void)take_reply(&reply, link);
    return reply;
}
