/* The feature store's URL, taken apart, and the addresses of its host (store_link.h). */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "serve/store_link.h"

static hn_status wrong(const char *what, hn_error *err) {
    return hn_fail(err, HN_BAD_CONFIG,
                   "the store's url: %s; expected redis://[USER:PASSWORD@]HOST[:PORT][/DB] or "
                   "redis+unix:///PATH",
                   what);
}

static hn_status keep(char **out, const char *text, size_t n, hn_error *err) {
    *out = hn_strndup(text, n);
    return *out ? HN_OK : hn_no_memory(err, "the store's url");
}

static int from_hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX in place; false: no such thing, or a NUL. */
static bool decode(char *text) {
    char *to = text;
    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        const int high = from_hex(p[1]), low = high < 0 ? -1 : from_hex(p[2]);
        if (low < 0 || high * 16 + low == 0) return false;
        *to++ = (char)(high * 16 + low);
        p += 2;
    }
    *to = '\0';
    return true;
}

static bool whole(int32_t *out, const char *text, int32_t most) {
    char *end;
    const long value = strtol(text, &end, 10);
    *out = (int32_t)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 0 && value <= most;
}

/* USER:PASSWORD; without a colon it is the password alone. */
static hn_status take_user(hn_store_target *out, const char *text, size_t n, hn_error *err) {
    const char *const colon = memchr(text, ':', n);
    if (colon && colon > text) HN_TRY(keep(&out->user, text, (size_t)(colon - text), err));
    const char *const password = colon ? colon + 1 : text;
    HN_TRY(keep(&out->password, password, n - (size_t)(password - text), err));
    if ((out->user && !decode(out->user)) || !decode(out->password))
        return wrong("the user or password has a % that is not followed by two hexadecimal digits",
                     err);
    return HN_OK;
}

/* HOST[:PORT], or [V6]:PORT. */
static hn_status take_host(hn_store_target *out, const char *text, size_t n, hn_error *err) {
    char copy[300];
    if (n == 0 || n >= sizeof copy) return wrong("found no host", err);
    memcpy(copy, text, n);
    copy[n] = '\0';
    char *host = copy, *colon = strrchr(copy, ':');
    if (copy[0] == '[') {
        char *const close = strchr(copy, ']');
        if (!close || (close[1] != '\0' && close[1] != ':'))
            return wrong("found a \"[\" that is not closed", err);
        colon = close[1] ? close + 1 : NULL;
        *close = '\0';
        host++;
    }
    if (colon) *colon = '\0';
    if (colon && (!whole(&out->port, colon + 1, 65535) || out->port == 0))
        return wrong("found a port that is no number from 1 to 65535", err);
    if (host[0] == '\0') return wrong("found no host", err);
    return keep(&out->host, host, strlen(host), err);
}

static hn_status look_up(hn_store_target *out, hn_error *err) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    const int failed = getaddrinfo(out->host, NULL, &hints, &all);
    if (failed)
        return hn_fail(err, HN_BAD_CONFIG,
                       "the store's url: the host \"%.200s\" cannot be looked up (%s)", out->host,
                       gai_strerror(failed));
    for (const struct addrinfo *a = all; a && out->n_addresses < HN_STORE_ADDRESSES_MAX;
         a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, out->addresses[out->n_addresses],
                        HN_STORE_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST) == 0)
            out->n_addresses++;
    freeaddrinfo(all);
    return out->n_addresses > 0
               ? HN_OK
               : hn_fail(err, HN_BAD_CONFIG, "the store's url: the host \"%.200s\" has no address",
                         out->host);
}

static hn_status parse(hn_store_target *out, const char *url, hn_error *err) {
    static const char tcp[] = "redis://", local[] = "redis+unix://";
    out->port = 6379;
    if (strncmp(url, local, sizeof local - 1) == 0) {
        const char *const path = url + sizeof local - 1;
        if (path[0] != '/' || path[1] == '\0') return wrong("found no absolute path", err);
        return keep(&out->path, path, strlen(path), err);
    }
    if (strncmp(url, tcp, sizeof tcp - 1) != 0) return wrong("found another scheme", err);
    const char *rest = url + sizeof tcp - 1, *const slash = strchr(rest, '/'),
               *const end = slash ? slash : rest + strlen(rest);
    const char *const at = memrchr(rest, '@', (size_t)(end - rest));
    if (at) HN_TRY(take_user(out, rest, (size_t)(at - rest), err));
    if (at) rest = at + 1;
    HN_TRY(take_host(out, rest, (size_t)(end - rest), err));
    if (slash && slash[1] && !whole(&out->db, slash + 1, 1 << 20))
        return wrong("found a database that is no number", err);
    return look_up(out, err);
}

hn_status hn_store_target_open(hn_store_target *out, const char *url, hn_error *err) {
    *out = (hn_store_target){0};
    const hn_status status = parse(out, url, err);
    if (status != HN_OK) hn_store_target_close(out);
    return status;
}

void hn_store_target_close(hn_store_target *target) {
    hn_free(target->path);
    hn_free(target->host);
    hn_free(target->user);
    hn_free(target->password);
    *target = (hn_store_target){0};
}
