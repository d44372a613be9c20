/* Requests to /v1/rank in few words, and the parts of its answers. */
#ifndef HN_TESTS_SERVE_ANSWERS_H
#define HN_TESTS_SERVE_ANSWERS_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "support.h"

static inline double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}
static inline const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}
static inline const json_t *item_of(const json_t *answer, size_t k) {
    return json_array_get(json_object_get(answer, "items"), k);
}
static inline double p_of(const json_t *item, const char *task) {
    return number(json_object_get(item, "p"), task);
}
static inline bool has_flag(const json_t *object, const char *flag) {
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(object, "flags"), i,
                       one) if (strcmp(json_string_value(one), flag) == 0) return true;
    return false;
}

#define CANDIDATE(id, price) \
    "{\"id\":\"" id "\",\"item_id\":\"" id "\",\"price\":" price ",\"tags\":[\"t1\"]}"
#define REQUEST(scenario, user, candidates)                                                \
    "{\"request_id\":\"r1\",\"scenario\":\"" scenario "\",\"user\":{\"id\":\"" user "\"}," \
    "\"candidates\":[" candidates "]}"

static inline void near(double found, double want) {
    if (!(fabs(found - want) <= 1e-6 * fabs(want)))
        fail_msg("found %.9g, expected %.9g", found, want);
}

#endif
