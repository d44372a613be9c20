/* Types of SERVE.yaml's options with a language of their own: models, shares, expressions,
 * switches that may be left to the config, fallbacks, addresses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "online/assign.h"
#include "serve/fusion.h"
#include "serve/serve_config_parts.h"

static void *field_of(const hn_option *option, void *object) {
    return (char *)object + option->offset;
}
static const void *value_of(const hn_option *option, const void *object) {
    return (const char *)object + option->offset;
}

static hn_status expect_scalar(hn_config_reader *reader, const hn_option *option,
                               const hn_node *node) {
    return node->kind == HN_NODE_SCALAR ? HN_OK : hn_config_mismatch(reader, option, node);
}

static hn_status store_text(hn_config_reader *reader, const char *text, char **field) {
    *field = hn_arena_strdup(reader->arena, text);
    return *field != NULL ? HN_OK : hn_no_memory(reader->err, "the config's texts");
}

static void print_or_null(hn_text *text, const char *value) {
    hn_text_add(text, " ");
    if (value != NULL)
        hn_yaml_scalar(text, value);
    else
        hn_text_add(text, "null");
    hn_text_add(text, "\n");
}

/* ---- Models: a map, or one path ---- */

static hn_status read_models(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    if (node->kind != HN_NODE_SCALAR) return hn_value_map.read(reader, option, node, object);
    hn_node *const map = hn_node_create(reader->arena, HN_NODE_MAPPING, NULL, node->place);
    hn_node *const path = hn_node_create(reader->arena, HN_NODE_SCALAR, node->text, node->place);
    if (map == NULL || path == NULL) return hn_no_memory(reader->err, "the config's tree");
    path->plain = node->plain;
    path->key = "default";
    hn_node_append(map, path);
    return hn_value_map.read(reader, option, map, object);
}

static void print_models(hn_text *text, const hn_option *option, const void *object, int indent) {
    hn_value_map.print(text, option, object, indent);
}

static void describe_models(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "a path, or a mapping from %.0f to %.0f names to paths", option->min,
             option->max);
}

const hn_value_type hn_value_models = {false, read_models, print_models, describe_models};

/* ---- Paths: made absolute ---- */

/* The reader has no folder; the config is made absolute afterwards (serve_config.c). */
static hn_status read_path(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    HN_TRY(expect_scalar(reader, option, node));
    if (node->text[0] == '\0' || strlen(node->text) > 3000)
        return hn_config_mismatch(reader, option, node);
    return store_text(reader, node->text, field_of(option, object));
}

static void print_text(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const char *value;
    memcpy(&value, value_of(option, object), sizeof value);
    print_or_null(text, value);
}

static void describe_path(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a path, relative to this file's folder");
}

const hn_value_type hn_value_path = {false, read_path, print_text, describe_path};

/* ---- Secrets: no message shows them ---- */

static hn_status read_secret(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    HN_TRY(expect_scalar(reader, option, node));
    const size_t n = strlen(node->text);
    if ((double)n < option->min || (double)n > option->max)
        return hn_config_fail(reader, node->place, "found %zu bytes; expected %.0f to %.0f", n,
                              option->min, option->max);
    return store_text(reader, node->text, field_of(option, object));
}

static void describe_secret(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "a text of %.0f to %.0f bytes", option->min, option->max);
}

const hn_value_type hn_value_secret = {false, read_secret, print_text, describe_secret};

/* ---- Shares, kept as buckets ---- */

static hn_status read_share(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    double share;
    HN_TRY(expect_scalar(reader, option, node));
    if (!hn_number_parse(&share, node->text) || share < 0 || share > 1)
        return hn_config_mismatch(reader, option, node);
    const double buckets = share * HN_BUCKETS;
    if (fabs(buckets - round(buckets)) > 1e-6)
        return hn_config_fail(
            reader, node->place,
            "found %.40s, which is no whole number of the %d buckets; expected at "
            "most four decimals",
            node->text, HN_BUCKETS);
    *(int32_t *)field_of(option, object) = (int32_t)lround(buckets);
    return HN_OK;
}

static void print_share(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    char number[32];
    hn_number_text(number, *(const int32_t *)value_of(option, object) / (double)HN_BUCKETS);
    hn_text_add(text, " %s\n", number);
}

static void describe_share(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a share from 0 to 1 with at most four decimals");
}

const hn_value_type hn_value_share = {false, read_share, print_share, describe_share};

/* ---- Fusion: an expression, or one for each scenario ---- */

/* Where the text itself begins: behind a quote. A block's place is the start of its first line,
 * before the indentation, so that errors in one name the line and a column within the text. */
static hn_place text_place(const hn_node *node) {
    hn_place place = node->place;
    if (!node->plain && place.line > 0 && place.column > 1) place.column++;
    return place;
}

static hn_status read_expression(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                 hn_serve_expression *expression) {
    char where[400];
    hn_fusion *fusion = NULL;
    HN_TRY(expect_scalar(reader, option, node));
    hn_place_text(where, sizeof where, text_place(node));
    HN_TRY(hn_fusion_compile(&fusion, node->text, where, reader->err));
    hn_fusion_free(fusion);
    HN_TRY(store_text(reader, node->text, &expression->text));
    return store_text(reader, where, &expression->where);
}

static hn_status read_scenario(hn_config_reader *reader, const hn_option *option, hn_node *entry,
                               hn_serve_expression *expression) {
    if (hn_node_is_null(entry))
        return hn_config_fail(reader, entry->key_place,
                              "nothing was written here; expected an expression");
    if (!hn_text_is_name(entry->key))
        return hn_config_fail(reader, entry->key_place,
                              "found \"%.80s\" as a scenario; expected 1 to 200 characters",
                              entry->key);
    if (strcmp(entry->key, "others") != 0)
        HN_TRY(store_text(reader, entry->key, &expression->scenario));
    return read_expression(reader, option, entry, expression);
}

static hn_status read_scenarios(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                hn_serve_policy *policy) {
    if (node->n == 0) return hn_config_mismatch(reader, option, node);
    for (hn_node *entry = node->first; entry != NULL; entry = entry->next) {
        const hn_key_path path = {reader->path, entry->key};
        reader->path = &path;
        const hn_status status =
            read_scenario(reader, option, entry, &policy->fusion[policy->n_fusion++]);
        reader->path = path.up;
        HN_TRY(status);
    }
    return HN_OK;
}

static hn_status read_fusion(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    hn_serve_policy *const policy = field_of(option, object);
    const size_t n = node->kind == HN_NODE_MAPPING ? (size_t)node->n : 1;
    policy->n_fusion = 0;
    policy->fusion = hn_arena_alloc(reader->arena, n + 1, sizeof *policy->fusion);
    if (policy->fusion == NULL) return hn_no_memory(reader->err, "the config's expressions");
    if (node->kind == HN_NODE_MAPPING) return read_scenarios(reader, option, node, policy);
    policy->n_fusion = 1;
    return read_expression(reader, option, node, policy->fusion);
}

static void print_fusion(hn_text *text, const hn_option *option, const void *object, int indent) {
    const hn_serve_policy *const policy = value_of(option, object);
    if (policy->n_fusion == 0 || (policy->n_fusion == 1 && policy->fusion->scenario == NULL)) {
        print_or_null(text, policy->n_fusion == 0 ? NULL : policy->fusion->text);
        return;
    }
    hn_text_add(text, "\n");
    for (int32_t k = 0; k < policy->n_fusion; k++) {
        const hn_serve_expression *const e = &policy->fusion[k];
        hn_text_add(text, "%*s", indent + 2, "");
        hn_yaml_scalar(text, e->scenario != NULL ? e->scenario : "others");
        hn_text_add(text, ":");
        print_or_null(text, e->text);
    }
}

static void describe_fusion(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "an expression, or a mapping from scenarios (and `others`) to expressions");
}

const hn_value_type hn_value_fusion = {false, read_fusion, print_fusion, describe_fusion};

/* ---- Calibration: on, off, or the config's ---- */

static hn_status read_calibration(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                  void *object) {
    hn_serve_policy *const policy = field_of(option, object);
    HN_TRY(expect_scalar(reader, option, node));
    const bool on = strcmp(node->text, "on") == 0 || strcmp(node->text, "true") == 0;
    if (!on && strcmp(node->text, "off") != 0 && strcmp(node->text, "false") != 0)
        return hn_config_mismatch(reader, option, node);
    policy->calibration = on;
    return HN_OK;
}

static void print_calibration(hn_text *text, const hn_option *option, const void *object,
                              int indent) {
    (void)indent;
    const hn_serve_policy *const policy = value_of(option, object);
    hn_text_add(text, policy->calibration < 0 ? " null\n"
                      : policy->calibration   ? " on\n"
                                              : " off\n");
}

static void describe_calibration(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "on or off");
}

const hn_value_type hn_value_calibration = {false, read_calibration, print_calibration,
                                            describe_calibration};

/* ---- Fallbacks ---- */

static const char *const fallback_names[] = {"previous", "prior", "order"}; /* hn_fallback */
enum { FALLBACKS = sizeof fallback_names / sizeof *fallback_names };

static hn_status add_fallback(hn_config_reader *reader, const hn_option *option,
                              const hn_node *item, hn_serve_policy *policy) {
    char hint[300];
    int8_t which = 0;
    HN_TRY(expect_scalar(reader, option, item));
    while (which < FALLBACKS && strcmp(fallback_names[which], item->text) != 0) which++;
    if (which == FALLBACKS)
        return hn_config_fail(reader, item->place,
                              "found \"%.80s\"; expected previous, prior or order%s", item->text,
                              hn_hint(hint, sizeof hint, item->text, fallback_names, FALLBACKS));
    for (int8_t k = 0; k < policy->n_fallback; k++) {
        if (policy->fallback[k] == which)
            return hn_config_fail(reader, item->place,
                                  "found \"%s\" twice; expected each fallback once", item->text);
        if (policy->fallback[k] == HN_FALLBACK_ORDER)
            return hn_config_fail(
                reader, item->place,
                "found \"%s\" after order, which always answers; expected order last", item->text);
    }
    policy->fallback[policy->n_fallback++] = which;
    return HN_OK;
}

static hn_status read_fallback(hn_config_reader *reader, const hn_option *option, hn_node *node,
                               void *object) {
    hn_serve_policy *const policy = field_of(option, object);
    policy->n_fallback = 0;
    memset(policy->fallback, -1, sizeof policy->fallback);
    if (node->kind == HN_NODE_MAPPING) return hn_config_mismatch(reader, option, node);
    if (node->kind == HN_NODE_SCALAR) return add_fallback(reader, option, node, policy);
    for (const hn_node *item = node->first; item != NULL; item = item->next)
        HN_TRY(add_fallback(reader, option, item, policy));
    return HN_OK;
}

static void print_fallback(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_serve_policy *const policy = value_of(option, object);
    if (policy->n_fallback < 0) {
        print_or_null(text, NULL);
        return;
    }
    hn_text_add(text, " [");
    for (int8_t k = 0; k < policy->n_fallback; k++)
        hn_text_add(text, "%s%s", k > 0 ? ", " : "", fallback_names[policy->fallback[k]]);
    hn_text_add(text, "]\n");
}

static void describe_fallback(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a list of previous, prior and order, each at most once");
}

const hn_value_type hn_value_fallback = {true, read_fallback, print_fallback, describe_fallback};

/* ---- Addresses ---- */

static bool is_port(const char *text) {
    const size_t n = strlen(text);
    return n >= 1 && n <= 5 && text[strspn(text, "0123456789")] == '\0' &&
           strtol(text, NULL, 10) <= 65535;
}

/* HOST:PORT, [V6]:PORT; a host without colons, so that the last one is the port's. */
static bool is_address(const char *text) {
    if (strncmp(text, "unix:", 5) == 0)
        return text[5] == '/' && text[6] != '\0' && strlen(text) < 110;
    if (text[strcspn(text, " \t\r\n/")] != '\0') return false;
    const char *const end = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *const colon = end != NULL ? end + 1 : strchr(text, ':');
    const bool host =
        end != NULL ? end - text >= 3 : colon != NULL && colon > text && text[0] != '[';
    return host && *colon == ':' && is_port(colon + 1);
}

static hn_status read_address(hn_config_reader *reader, const hn_option *option, hn_node *node,
                              void *object) {
    HN_TRY(expect_scalar(reader, option, node));
    if (!is_address(node->text)) return hn_config_mismatch(reader, option, node);
    return store_text(reader, node->text, field_of(option, object));
}

static void describe_address(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "HOST:PORT, [IPV6]:PORT or unix:/PATH; port 0 takes any free one");
}

const hn_value_type hn_value_address = {false, read_address, print_text, describe_address};
