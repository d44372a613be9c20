/* Pieces of data in messages: short, and never able to break a line or a terminal. */
#include "data/show.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_MOST = 40 };

const char *hn_show(char out[HN_SHOW_BYTES], const char *text, size_t n) {
    size_t used = 0, i = 0;
    for (; i < n && used < SHOWN_MOST; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7f)
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, 5, "\\x%02x", c);
    }
    /* A cut must not leave part of a UTF-8 character. */
    if (i < n)
        while (used > 0 && (out[used - 1] & 0xc0) == 0x80) used--;
    if (i < n && used > 0 && (out[used - 1] & 0xc0) == 0xc0) used--;
    snprintf(out + used, HN_SHOW_BYTES - used, "%s", i < n ? "…" : "");
    return out;
}
