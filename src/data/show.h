/* A piece of data as a message shows it. */
#ifndef HN_DATA_SHOW_H
#define HN_DATA_SHOW_H

#include <stddef.h>

enum { HN_SHOW_BYTES = 72 };

/* At most 40 bytes of the text, control characters as \xNN, "…" where it was cut. */
const char *hn_show(char out[HN_SHOW_BYTES], const char *text, size_t n);

#endif
