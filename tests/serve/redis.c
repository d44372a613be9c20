/* Starting and stopping redis-server (redis.h). */
#include "serve/redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

bool redis_is_installed(void) {
    return access("/usr/bin/redis-server", X_OK) == 0 ||
           access("/usr/local/bin/redis-server", X_OK) == 0;
}

static void run_server(const redis *r) {
    const int sink = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(sink, 0);
    dup2(sink, 1);
    dup2(sink, 2);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--save", "",
           "--appendonly", "no", "--enable-debug-command", "yes", "--dir", r->folder,
           "--requirepass", r->password ? r->password : "", (char *)NULL);
    _exit(127);
}

redisContext *redis_dial(const redis *r) {
    redisContext *const c = redisConnectUnix(r->socket);
    if (c && !c->err) {
        if (r->password) freeReplyObject(redisCommand(c, "AUTH %s", r->password));
        return c;
    }
    if (c) redisFree(c);
    return NULL;
}

static bool answers(const redis *r) {
    redisContext *const c = redis_dial(r);
    if (!c) return false;
    redisReply *const reply = redisCommand(c, "PING");
    const bool fine = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply) freeReplyObject(reply);
    redisFree(c);
    return fine;
}

void redis_start(redis *r) {
    const struct timespec pause = {.tv_nsec = 5000000};
    if (!r->folder) {
        r->folder = support_folder();
        snprintf(r->socket, sizeof r->socket, "%.150s/redis.sock", r->folder);
        snprintf(r->url, sizeof r->url, "redis+unix://%s", r->socket);
    }
    unlink(r->socket);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) run_server(r);
    for (int k = 0; k < 2000 && !answers(r); k++) nanosleep(&pause, NULL);
    assert_true(answers(r));
}

void redis_kill(redis *r) {
    if (r->pid <= 0) return;
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    r->pid = 0;
}

void redis_remove(redis *r) {
    redis_kill(r);
    support_remove(r->folder);
    free(r->folder);
    r->folder = NULL;
}

void redis_do(const redis *r, const char *format, ...) {
    redisContext *const c = redis_dial(r);
    va_list args;
    va_start(args, format);
    redisReply *const reply = redisvCommand(c, format, args);
    va_end(args);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s", reply->str);
    freeReplyObject(reply);
    redisFree(c);
}
