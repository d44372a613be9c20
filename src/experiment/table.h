/* The end of a campaign: one JSON document with all that was measured, and its forms for people
 * and papers. */
#ifndef HN_EXPERIMENT_TABLE_H
#define HN_EXPERIMENT_TABLE_H

#include "experiment/campaign.h"

/* How a difference was judged: its `method`. */
#define HN_OVER_SEEDS "t over seeds"
#define HN_BY_USER "bootstrap by user"

/* {experiment, confidence, data: [{name, cells, models: [...]}], failed: [...]}; docs/experiment.md
 * tells every member. */
hn_status hn_table_make(json_t **out, const hn_campaign *campaign, hn_error *err);

/* render.c */
void hn_table_text(hn_text *out, const json_t *table);
void hn_table_csv(hn_text *out, const json_t *table);
void hn_table_markdown(hn_text *out, const json_t *table);
void hn_table_latex(hn_text *out, const json_t *table);
/* Writes table.txt, .csv, .json, .md and .tex into `dir`. */
hn_status hn_table_write(const json_t *table, const char *dir, hn_error *err);

#endif
