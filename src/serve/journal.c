/* JSON log lines, and the datagram by which a service manager learns that the server is ready.
 * That protocol is one datagram to $NOTIFY_SOCKET and declared stable (sd_notify(3)), so it is
 * written out here rather than taken with a library. */
#include "serve/journal.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

static void add_name(hn_text *fields, const char *name) {
    hn_text_add(fields, "%s\"%s\":", fields->length > 0 ? "," : "", name);
}

void hn_journal_text(hn_text *fields, const char *name, const char *value) {
    add_name(fields, name);
    hn_json_add_text(fields, value);
}

void hn_journal_number(hn_text *fields, const char *name, double value) {
    add_name(fields, name);
    hn_text_add(fields, "%.15g", value);
}

void hn_journal(const hn_run *run, hn_log_level level, const char *event, const char *fields) {
    if (!run || !run->log) return;
    struct timespec now;
    struct tm parts;
    char time[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
    hn_text line = {0};
    hn_text_add(&line, "{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"event\":\"%s\"", time,
                (int)(now.tv_nsec / 1000000), level == HN_LOG_WARNING ? "warning" : "info", event);
    if (fields && fields[0]) hn_text_add(&line, ",%s", fields);
    hn_text_add(&line, "}");
    if (!line.failed) run->log(run->user, level, line.text);
    hn_text_free(&line);
}

bool hn_journal_may(hn_journal_rate *rate, int64_t a_second, int64_t *suppressed) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (rate->second != now.tv_sec) { /* a lost race lets a few more through */
        rate->second = now.tv_sec;
        rate->taken = 0;
    }
    if (rate->taken++ >= a_second) {
        rate->suppressed++;
        return false;
    }
    *suppressed = atomic_exchange(&rate->suppressed, 0);
    return true;
}

void hn_notify(const char *state) {
    const char *const path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof name.sun_path) return;
    memcpy(name.sun_path, path, strlen(path));
    if (path[0] == '@') name.sun_path[0] = '\0'; /* an abstract socket */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&name, n);
    close(fd);
}
