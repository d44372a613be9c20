/* Options and request bodies of hinet_load. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

void load_die(const char *what, const char *detail) {
    fprintf(stderr, "hinet_load: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(2);
}

void *load_need(void *memory) {
    if (!memory) load_die("out of memory", NULL);
    return memory;
}

static const char usage[] =
    "usage: hinet_load --port N --rate R --bodies FILE [OPTIONS]\n"
    "  --bodies FILE     request bodies, one a line, sent in turn\n"
    "  --rate R          requests a second, whatever the answers do\n"
    "  --seconds S       how long [10], after --warmup S [1], which is not counted\n"
    "  --arrival A       fixed or poisson [poisson]; --seed N [1]\n"
    "  --connections N   [64]; a request that finds none free waits, and that counts\n"
    "  --path P          [/v1/rank]; --host ADDRESS [127.0.0.1]\n"
    "  --headers TEXT    more header lines, \\n between them\n"
    "  --deadline-ms D   answers of status 200 that take longer are counted as late [1e9]\n"
    "  --timeout S       then a request has failed [10]\n"
    "  --slice S         figures for each S seconds, too [0: none]\n"
    "  --count TEXT      count the answers with TEXT in their body; several times\n"
    "  --core K          stay on this core; --spin: never sleep\n";

static double number_of(const char *name, const char *text) {
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0)
        load_die("expected a number after", name);
    return value;
}

static bool take_text(settings *s, const char *name, const char *value) {
    if (strcmp(name, "--bodies") == 0)
        s->bodies = value;
    else if (strcmp(name, "--host") == 0)
        s->host = value;
    else if (strcmp(name, "--path") == 0)
        s->path = value;
    else if (strcmp(name, "--headers") == 0)
        s->headers = value;
    else if (strcmp(name, "--arrival") == 0)
        s->poisson = strcmp(value, "poisson") == 0;
    else if (strcmp(name, "--count") == 0 && s->n_counted < COUNTED_MAX)
        s->counted[s->n_counted++] = value;
    else
        return false;
    return true;
}

static bool take_number(settings *s, const char *name, double value) {
    if (strcmp(name, "--port") == 0)
        s->port = (int)value;
    else if (strcmp(name, "--rate") == 0)
        s->rate = value;
    else if (strcmp(name, "--seconds") == 0)
        s->seconds = value;
    else if (strcmp(name, "--warmup") == 0)
        s->warmup = value;
    else if (strcmp(name, "--seed") == 0)
        s->seed = (uint64_t)value;
    else if (strcmp(name, "--connections") == 0)
        s->connections = (int)value;
    else if (strcmp(name, "--deadline-ms") == 0)
        s->deadline_ms = value;
    else if (strcmp(name, "--timeout") == 0)
        s->timeout = value;
    else if (strcmp(name, "--slice") == 0)
        s->slice = value;
    else if (strcmp(name, "--core") == 0)
        s->core = (int)value;
    else
        return false;
    return true;
}

settings load_settings_read(int argc, char **argv) {
    settings s = {.host = "127.0.0.1",
                  .path = "/v1/rank",
                  .headers = "",
                  .connections = 64,
                  .core = -1,
                  .seconds = 10,
                  .warmup = 1,
                  .deadline_ms = 1e9,
                  .timeout = 10,
                  .poisson = true,
                  .seed = 1};
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--spin") == 0) {
            s.spin = true;
            continue;
        }
        if (strncmp(argv[k], "--", 2) != 0 || k + 1 == argc) load_die(usage, NULL);
        const char *const name = argv[k++];
        if (!take_text(&s, name, argv[k]) && !take_number(&s, name, number_of(name, argv[k])))
            load_die(usage, NULL);
    }
    if (s.port <= 0 || s.rate <= 0 || !s.bodies || s.connections < 1) load_die(usage, NULL);
    return s;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *n) {
    FILE *const file = fopen(path, "rb");
    if (!file) load_die("cannot be read", path);
    char *text = NULL;
    size_t capacity = 0;
    *n = 0;
    for (;;) {
        if (capacity - *n < BUFFER_MIN)
            text = load_need(realloc(text, capacity = 2 * capacity + 2 * BUFFER_MIN));
        const size_t got = fread(text + *n, 1, capacity - *n - 1, file);
        *n += got;
        if (got == 0) break;
    }
    fclose(file);
    text[*n] = '\0';
    return text;
}

static message make_message(const settings *s, const char *headers, const char *body, size_t n) {
    char head[4096];
    const int length = snprintf(head, sizeof head,
                                "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: "
                                "application/json\r\n%sContent-Length: %zu\r\n\r\n",
                                s->path, s->host, s->port, headers, n);
    if (length < 0 || (size_t)length >= sizeof head) load_die("too many headers", NULL);
    message m = {load_need(malloc((size_t)length + n)), (size_t)length + n};
    memcpy(m.bytes, head, (size_t)length);
    memcpy(m.bytes + length, body, n);
    return m;
}

messages load_messages_read(const settings *s) {
    char headers[2048] = "";
    size_t h = 0, n;
    for (const char *p = s->headers; *p && h + 3 < sizeof headers; p++) {
        const bool feed = *p == '\n' || (*p == '\\' && p[1] == 'n');
        if (feed) headers[h++] = '\r';
        headers[h++] = feed ? '\n' : *p;
        p += feed && *p == '\\';
    }
    if (h > 0) memcpy(headers + h, "\r\n", 3);
    messages all = {0};
    char *const text = read_file(s->bodies, &n);
    for (char *p = text; p < text + n;) {
        char *const feed = memchr(p, '\n', (size_t)(text + n - p)), *const end =
                                                                        feed ? feed : text + n;
        if (end > p) {
            all.items = load_need(realloc(all.items, (all.n + 1) * sizeof *all.items));
            all.items[all.n++] = make_message(s, headers, p, (size_t)(end - p));
        }
        p = end + 1;
    }
    free(text);
    if (all.n == 0) load_die("no bodies in", s->bodies);
    return all;
}
