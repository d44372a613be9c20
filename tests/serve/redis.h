/* A real redis-server of the test's own, on a Unix socket in a folder of its own, that can be
 * stopped, killed and started again. */
#ifndef HN_TESTS_SERVE_REDIS_H
#define HN_TESTS_SERVE_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct redis {
    char *folder;
    char socket[200], url[220];
    const char *password; /* NULL: none */
    pid_t pid;
} redis;

bool redis_is_installed(void);
/* Starts with no keys and waits until it answers. */
void redis_start(redis *r);
void redis_kill(redis *r);
/* Kills it and removes the folder. */
void redis_remove(redis *r);
redisContext *redis_dial(const redis *r);
/* A command whose answer must not be an error. */
void redis_do(const redis *r, const char *format, ...);

#endif
