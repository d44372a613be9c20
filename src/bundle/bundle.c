/* Bundles: written whole or not at all; opened only when everything in them is sound and
 * fits together: checksums, config, schema, tables, shapes, numbers. info.c tells what is
 * in one. */
#include "bundle/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/golden.h"
#include "bundle/probability.h"

/* ---- Writing --------------------------------------------------------------------------- */

/* Keys in order, so that equal contents are equal bytes. */
static hn_status add_json(hn_packer *packer, const char *name, const json_t *json, hn_error *err) {
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) return hn_no_memory(err, "the text of a bundle's metrics");
    hn_packer_add_text(packer, name, text);
    free(text);
    return HN_OK;
}

static hn_status add_calibration(hn_packer *packer, const hn_calibration *calibration,
                                 hn_error *err) {
    json_t *json = hn_calibration_json(calibration);
    if (!json) return hn_no_memory(err, "a calibration");
    const hn_status status = add_json(packer, "calibration", json, err);
    json_decref(json);
    return status;
}

static hn_status add_profile(hn_packer *packer, const hn_bundle_parts *parts, hn_error *err) {
    json_t *json = hn_profile_json(parts->profile, hn_schema_layout(parts->schema));
    if (!json) return hn_no_memory(err, "a profile");
    const hn_status status = add_json(packer, "profile", json, err);
    json_decref(json);
    return status;
}

static hn_status add_parts(hn_packer *packer, const hn_bundle_parts *parts, hn_error *err) {
    hn_packer_add_text(packer, "config", hn_config_yaml(parts->config));
    hn_schema_save(parts->schema, packer);
    hn_side_tables_save(parts->tables, packer);
    hn_params_save(parts->params, parts->plan, packer);
    HN_TRY(add_json(packer, "metrics", parts->metrics, err));
    if (parts->card) HN_TRY(add_json(packer, "card", parts->card, err));
    if (parts->calibration) HN_TRY(add_calibration(packer, parts->calibration, err));
    if (parts->profile) HN_TRY(add_profile(packer, parts, err));
    if (parts->golden) HN_TRY(add_json(packer, "golden", parts->golden, err));
    if (parts->extra) parts->extra(parts->user, packer);
    return HN_OK;
}

hn_status hn_bundle_write(const char *path, const hn_bundle_parts *parts, hn_error *err) {
    hn_packer *packer = NULL;
    HN_TRY(hn_packer_open(&packer, path, "BNDL", err));
    const hn_status status = add_parts(packer, parts, err);
    if (status == HN_OK) return hn_packer_commit(packer, err);
    hn_packer_abandon(packer);
    return status;
}

/* ---- Opening ----------------------------------------------------------------------------- */

/* Every section's checksum, also of those that nobody will ask for. */
static hn_status check_sections(hn_pack *pack, hn_error *err) {
    for (size_t i = 0; i < hn_pack_sections(pack); i++) {
        const hn_section *section = hn_pack_section(pack, i);
        HN_TRY(hn_pack_find(&section, pack, section->name, section->type, err));
    }
    return HN_OK;
}

/* A config in a bundle is data: what is wrong with it is not the reader's mistake. */
static hn_status open_config(hn_bundle *bundle, hn_error *err) {
    const hn_section *text = NULL;
    const char *path = hn_pack_path(bundle->pack);
    HN_TRY(hn_pack_find(&text, bundle->pack, "config", HN_PACK_BYTES, err));
    hn_error found = {0};
    const hn_status status = hn_config_parse(&bundle->config, text->bytes, text->n_bytes, "config",
                                             ".", NULL, 0, &found);
    if (status != HN_BAD_CONFIG)
        return status == HN_OK ? HN_OK : hn_fail(err, status, "%s: %s", path, found.text);
    return hn_fail(err, HN_BAD_DATA,
                   "%s: the config in the bundle cannot be read (%.600s); was it written by "
                   "another version of hinet?",
                   path, found.text);
}

/* The same for a model that cannot be. */
static hn_status no_model(const hn_bundle *bundle, hn_status status, const hn_error *found,
                          hn_error *err) {
    return hn_fail(err, status == HN_BAD_CONFIG ? HN_BAD_DATA : status,
                   "%s: the bundle's model cannot be made: %s", hn_pack_path(bundle->pack),
                   found->text);
}

/* Sizes are compared before a plan is made or memory taken: a config that is not the
 * numbers' own is refused at once, whatever it asks for. */
static hn_status open_model(hn_bundle *bundle, hn_error *err) {
    hn_error found = {0};
    hn_status status = hn_model_record(&bundle->graph, hn_schema_layout(bundle->schema),
                                       &bundle->config->model, &found);
    if (status != HN_OK) return no_model(bundle, status, &found, err);
    HN_TRY(hn_params_match(bundle->graph, bundle->pack, err));
    status = hn_plan_create(&bundle->plan, bundle->graph, HN_MODE_INFER, &found);
    if (status != HN_OK) return no_model(bundle, status, &found, err);
    HN_TRY(hn_params_create(&bundle->params, bundle->plan, err));
    HN_TRY(hn_params_load(&bundle->params, bundle->plan, bundle->pack, err));
    if (!hn_params_stage(&bundle->params, bundle->plan))
        return hn_no_memory(err, "a bundle's parameters");
    return hn_scorer_create(&bundle->scorer, bundle->plan, &bundle->params,
                            hn_schema_scenario_rows(bundle->schema), err);
}

static hn_status open_json(json_t **out, hn_pack *pack, const char *name, hn_error *err) {
    const hn_section *text = NULL;
    HN_TRY(hn_pack_find(&text, pack, name, HN_PACK_BYTES, err));
    json_error_t found;
    *out = json_loadb(text->bytes, text->n_bytes, JSON_REJECT_DUPLICATES, &found);
    if (!*out && json_error_code(&found) == json_error_out_of_memory)
        return hn_no_memory(err, "a bundle's metrics");
    if (json_is_object(*out)) return HN_OK;
    const bool other = *out != NULL;
    json_decref(*out);
    *out = NULL;
    return hn_fail(err, HN_BAD_DATA,
                   "%s: section \"%s\" is not a JSON object (%s at byte %d); make the bundle again",
                   hn_pack_path(pack), name, other ? "another value" : found.text,
                   other ? 0 : found.position);
}

/* A section that this version knows and another may not have written. */
static hn_status open_calibration(hn_bundle *bundle, hn_error *err) {
    json_t *json = NULL;
    hn_error found = {0};
    if (!hn_pack_has(bundle->pack, "calibration")) return HN_OK;
    HN_TRY(open_json(&json, bundle->pack, "calibration", err));
    const hn_status status =
        hn_calibration_parse(&bundle->calibration, json, bundle->config->scenario.names.n,
                             bundle->config->n_tasks, &found);
    json_decref(json);
    return status == HN_OK ? HN_OK
                           : hn_fail(err, status, "%s: %s", hn_pack_path(bundle->pack), found.text);
}

static hn_status open_profile(hn_bundle *bundle, hn_error *err) {
    json_t *json = NULL;
    hn_error found = {0};
    if (!hn_pack_has(bundle->pack, "profile")) return HN_OK;
    HN_TRY(open_json(&json, bundle->pack, "profile", err));
    const hn_status status =
        hn_profile_parse(&bundle->profile, json, hn_schema_layout(bundle->schema), &found);
    json_decref(json);
    return status == HN_OK ? HN_OK
                           : hn_fail(err, status, "%s: %s", hn_pack_path(bundle->pack), found.text);
}

static hn_status open_golden(hn_bundle *bundle, hn_error *err) {
    hn_error found = {0};
    if (!hn_pack_has(bundle->pack, "golden")) return HN_OK;
    HN_TRY(open_json(&bundle->golden, bundle->pack, "golden", err));
    const hn_status status = hn_golden_check(bundle->golden, bundle->config->scenario.names.n,
                                             bundle->config->n_tasks, &found);
    return status == HN_OK ? HN_OK
                           : hn_fail(err, status, "%s: %s", hn_pack_path(bundle->pack), found.text);
}

static hn_status open_parts(hn_bundle *bundle, const char *path, hn_error *err) {
    HN_TRY(hn_pack_open(&bundle->pack, path, "BNDL", err));
    HN_TRY(check_sections(bundle->pack, err));
    HN_TRY(open_config(bundle, err));
    HN_TRY(hn_schema_load(&bundle->schema, bundle->config, bundle->pack, err));
    HN_TRY(hn_side_tables_load(&bundle->tables, bundle->pack, err));
    HN_TRY(open_json(&bundle->metrics, bundle->pack, "metrics", err));
    HN_TRY(open_calibration(bundle, err));
    HN_TRY(open_profile(bundle, err));
    HN_TRY(open_golden(bundle, err));
    bundle->unknown_sampling = hn_bundle_unknown_sampling(bundle);
    return open_model(bundle, err);
}

hn_status hn_bundle_open(hn_bundle **out, const char *path, hn_error *err) {
    *out = NULL;
    hn_bundle *bundle = hn_alloc_zero(1, sizeof *bundle);
    if (!bundle) return hn_no_memory(err, "a bundle");
    const hn_status status = open_parts(bundle, path, err);
    if (status != HN_OK)
        hn_bundle_close(bundle);
    else
        *out = bundle;
    return status;
}

void hn_bundle_close(hn_bundle *bundle) {
    if (!bundle) return;
    hn_scorer_free(bundle->scorer);
    hn_params_free(&bundle->params);
    hn_plan_free(bundle->plan);
    hn_graph_free(bundle->graph);
    hn_calibration_free(bundle->calibration);
    hn_profile_free(bundle->profile);
    json_decref(bundle->golden);
    json_decref(bundle->metrics);
    hn_side_tables_free(bundle->tables);
    hn_schema_free(bundle->schema);
    hn_config_free(bundle->config);
    hn_pack_close(bundle->pack);
    hn_free(bundle);
}
