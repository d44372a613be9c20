/* The hidden truth of a platform that was written before: truth.json has the numbers it is
 * a function of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "simulate/simulate.h"

static hn_status from_json(hn_truth **out, const json_t *json, const char *path, hn_error *err) {
    const json_t *const users = json_object_get(json, "users");
    const json_t *const items = json_object_get(json, "items");
    const char *const seed = json_string_value(json_object_get(json, "seed"));
    char *end = NULL;
    const uint64_t number = seed ? strtoull(seed, &end, 10) : 0;
    const int64_t most = 1000000000;
    if (!seed || end == seed || *end || !json_is_integer(users) || !json_is_integer(items) ||
        json_integer_value(users) > most || json_integer_value(items) > most)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: expected numbers \"users\" and \"items\" and a text \"seed\", as hinet "
                       "simulate writes them",
                       path);
    return hn_truth_create(out, number, json_integer_value(users), json_integer_value(items), err);
}

hn_status hn_sim_truth_load(hn_truth **out, const char *dir, hn_error *err) {
    char *text = NULL;
    size_t n;
    *out = NULL;
    char *const path = hn_path_join(dir, "truth.json");
    if (!path) return hn_no_memory(err, "a path");
    hn_status status = hn_file_read(&text, &n, path, err);
    if (status == HN_OK) {
        json_t *const json = json_loadb(text, n, 0, NULL);
        status = from_json(out, json, path, err);
        json_decref(json);
    }
    hn_free(text);
    hn_free(path);
    return status;
}
