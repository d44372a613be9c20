/* A run that is reported on: its bundle, what its training wrote beside it, and where the rows
 * come from that it is measured on. */
#ifndef HN_REPORT_SUBJECT_H
#define HN_REPORT_SUBJECT_H

#include "base/pool.h"
#include "bundle/bundle.h"

typedef struct hn_subject {
    char *label; /* unique among the runs: a folder's or a bundle's name, without its path */
    char *bundle_path;
    hn_bundle *bundle;
    json_t *card;    /* the data card; NULL: the bundle has none */
    json_t *history; /* [{epoch, step, loss, auc, log_loss, cells: {auc: [], log_loss: []}}] */
    double seconds;  /* of the training; NaN: not known */
    uint64_t hash;   /* XXH3-64 of the bundle's bytes */
    /* where its rows are; all NULL: nowhere */
    hn_dataset *dataset;
    hn_split split;
    const hn_config *config; /* its test split */
    const char *files;       /* all their rows */
} hn_subject;

/* `path`: a folder that training wrote, or a bundle. */
hn_status hn_subject_open(hn_subject *out, const char *path, const hn_run *run, hn_error *err);
/* The rows of its own prepared dataset: test, or validation where that is empty. None where the
 * dataset is absent or another one than the bundle was trained on, which a warning tells. */
hn_status hn_subject_own_rows(hn_subject *subject, const hn_run *run, hn_error *err);
/* The same of a given prepared dataset, which must be the bundle's. */
hn_status hn_subject_dataset_rows(hn_subject *subject, const char *path, hn_error *err);
void hn_subject_close(hn_subject *subject);

/* Calls `each` for all its rows, in an order that no thread changes. Rows of one call are valid
 * during it. */
typedef hn_status (*hn_each_rows)(void *user, const hn_rows *rows, hn_error *err);
hn_status hn_subject_rows(const hn_subject *subject, hn_each_rows each, void *user, hn_pool *pool,
                          const hn_run *run, hn_error *err);

/* The last part of a path; of "a/best.hn" and "a/last.hn" the folder's name. Heap. */
char *hn_subject_name(const char *path);

#endif
