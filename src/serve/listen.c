/* Listening sockets from their address as text: TCP ("HOST:PORT", "[V6]:PORT") and Unix
 * ("unix:/path", mode 0600). A Unix socket that a dead server left behind is replaced. */
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"

enum { BACKLOG = 1024, HOST_BYTES = 256 };
static const char unix_prefix[] = "unix:";

int64_t hn_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool is_unix(const char *address) {
    return strncmp(address, unix_prefix, strlen(unix_prefix)) == 0;
}

static hn_status fail_listen(hn_error *err, const char *address, const char *what) {
    return hn_fail(err, HN_FAILED, "listen %s: %s: %s", address, what, strerror(errno));
}

/* ---- Unix ---------------------------------------------------------------------------- */

/* Whether somebody answers on the socket. */
static bool is_alive(const struct sockaddr_un *name) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    const bool alive = connect(fd, (const struct sockaddr *)name, sizeof *name) == 0;
    close(fd);
    return alive;
}

static void remove_dead(const struct sockaddr_un *name) {
    struct stat info;
    if (lstat(name->sun_path, &info) == 0 && S_ISSOCK(info.st_mode) && !is_alive(name))
        unlink(name->sun_path);
}

static hn_status open_unix(int *out, const char *address, hn_error *err) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *const path = address + strlen(unix_prefix);
    if (!path[0] || strlen(path) >= sizeof name.sun_path)
        return hn_fail(err, HN_BAD_CONFIG,
                       "listen %s: found a path of %zu bytes; expected 1 to %zu", address,
                       strlen(path), sizeof name.sun_path - 1);
    memcpy(name.sun_path, path, strlen(path) + 1);
    remove_dead(&name);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail_listen(err, address, "no socket");
    (void)fchmod(fd, 0600); /* the mode that bind gives the file */
    if (bind(fd, (const struct sockaddr *)&name, sizeof name) != 0 || chmod(path, 0600) != 0 ||
        listen(fd, BACKLOG) != 0) {
        const hn_status status = fail_listen(err, address, "cannot listen");
        close(fd);
        return status;
    }
    *out = fd;
    return HN_OK;
}

void hn_listen_remove(const char *address) {
    if (is_unix(address)) unlink(address + strlen(unix_prefix));
}

/* ---- TCP ----------------------------------------------------------------------------- */

/* "HOST:PORT" into its parts; brackets around an IPv6 host go away. */
static hn_status split(char *host, const char **port, const char *address, hn_error *err) {
    const char *const colon = strrchr(address, ':');
    const size_t length = colon ? (size_t)(colon - address) : 0;
    const bool bracketed = length >= 2 && address[0] == '[' && colon[-1] == ']';
    const char *const first = address + (bracketed ? 1 : 0);
    const size_t n = length - (bracketed ? 2 : 0);
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        n >= HOST_BYTES || (!bracketed && memchr(first, ':', n)))
        return hn_fail(err, HN_BAD_CONFIG,
                       "listen: found \"%s\"; expected HOST:PORT, [IPV6]:PORT or unix:/path",
                       address);
    memcpy(host, first, n);
    host[n] = '\0';
    *port = colon + 1;
    return HN_OK;
}

static int bound(const struct addrinfo *info) {
    const int on = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int32_t port_of(int fd) {
    struct sockaddr_storage name = {0};
    socklen_t n = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &n) != 0) return 0;
    if (name.ss_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, &name, sizeof six);
        return ntohs(six.sin6_port);
    }
    struct sockaddr_in four;
    memcpy(&four, &name, sizeof four);
    return ntohs(four.sin_port);
}

static hn_status open_tcp(int *out, int32_t *port, const char *address, hn_error *err) {
    char host[HOST_BYTES];
    const char *service;
    HN_TRY(split(host, &service, address, err));
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const int code = getaddrinfo(host[0] ? host : NULL, service, &hints, &found);
    if (code != 0) return hn_fail(err, HN_BAD_CONFIG, "listen %s: %s", address, gai_strerror(code));
    int fd = -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) fd = bound(at);
    const hn_status status = fd >= 0 ? HN_OK : fail_listen(err, address, "cannot listen");
    freeaddrinfo(found);
    if (status != HN_OK) return status;
    *out = fd;
    *port = port_of(fd);
    return HN_OK;
}

hn_status hn_listen_open(int *fd, int32_t *port, const char *address, hn_error *err) {
    *fd = -1;
    *port = 0;
    return is_unix(address) ? open_unix(fd, address, err) : open_tcp(fd, port, address, err);
}

/* ---- The end ------------------------------------------------------------------------- */

/* The kernel accepts for a listener before the program does, and closing the listener resets
 * whom it accepted; there is no call that ends the one without the other. So the opening
 * segments (SYN) are dropped by a filter: who is in the middle of a handshake gets through, and
 * whoever comes later tries again in a second and finds nobody. */
static void drop_opening_segments(int fd) {
    enum { FLAGS_AT = 13, SYN = 2 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

bool hn_listen_ebb(int64_t *begun_ns, int fd, const char *address) {
    static const int64_t handshake_ns = 50000000;
    const int64_t now = hn_now_ns();
    if (*begun_ns == 0) {
        *begun_ns = now;
        if (is_unix(address))
            hn_listen_remove(address);
        else
            drop_opening_segments(fd);
    }
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return now - *begun_ns >= handshake_ns && poll(&waiting, 1, 0) == 0;
}

bool hn_listen_gone(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
