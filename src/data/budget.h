/* The memory limit of a run (--memory) as data's parts see it: how much is left, and the
 * refusal that names what is needed. The limit changes no byte of a result: parts that can
 * spill to disk take their share from what is left, the others refuse. */
#ifndef HN_DATA_BUDGET_H
#define HN_DATA_BUDGET_H

#include "base/error.h"

/* The limit in bytes: run->memory_bytes, or 80 % of the machine's. `run` may be NULL. */
int64_t hn_budget_limit(const hn_run *run);
/* What may still be allocated; 0 when the limit is reached. */
int64_t hn_budget_left(const hn_run *run);
/* HN_NO_MEMORY naming `what`, the need and the limit when `bytes` more would exceed it. */
hn_status hn_budget_need(const hn_run *run, uint64_t bytes, const char *what, hn_error *err);

#endif
