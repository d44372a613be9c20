/* What makes two runs the same run. The key of a run is a hash of what its config says beside the
 * defaults, of the content of its data, and of the library's version: an option that is new in the
 * library and keeps its default changes no key, and neither does the folder or the time of a
 * file, so that a grid goes on on another machine. */
#ifndef HN_EXPERIMENT_KEY_H
#define HN_EXPERIMENT_KEY_H

#include "base/config.h"
#include "base/report.h"

enum { HN_KEY_BYTES = 33 }; /* 32 hexadecimal digits and a NUL */

/* The lines "path=value" of the resolved config whose value is not the default of such an
 * option. */
hn_status hn_experiment_changes(hn_text *out, const hn_config *config, hn_error *err);
hn_status hn_experiment_key(char out[HN_KEY_BYTES], const hn_config *config, const char *data,
                            hn_error *err);
/* Of a prepared dataset's content. */
hn_status hn_experiment_data_key(char out[HN_KEY_BYTES], const char *path, hn_error *err);

#endif
