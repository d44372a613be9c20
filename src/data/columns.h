/* The columns of one text file: their names from its header line or from the config. */
#ifndef HN_DATA_COLUMNS_H
#define HN_DATA_COLUMNS_H

#include "data/csv.h"

typedef struct hn_columns {
    const char *file; /* as messages name it */
    hn_strings names;
    hn_dialect dialect;
    char *header; /* the header line, or the config's names joined by the delimiter */
    size_t header_n;
} hn_columns;

/* From the header row `text` (with or without its line end), or, where the config has the
 * names, from those. Allocated in `arena`. */
hn_status hn_columns_read(hn_columns *out, hn_arena *arena, const hn_config_source *source,
                          const hn_dialect *dialect, const char *text, size_t n, const char *file,
                          hn_error *err);
enum { HN_COLUMN_NONE = -1, HN_COLUMN_TWICE = -2 };
int32_t hn_columns_find(const hn_columns *columns, const char *name);
/* HN_BAD_DATA: the column that `role` needs is not there (`at` HN_COLUMN_NONE) or is there twice.
 */
hn_status hn_columns_lack(const hn_columns *columns, const char *name, int32_t at, const char *role,
                          const char *detail, hn_error *err);

#endif
