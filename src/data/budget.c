/* The arithmetic of the memory limit; see budget.h. What is held is what memory.c counts. */
#include "data/budget.h"

#include "base/memory.h"

int64_t hn_budget_limit(const hn_run *run) {
    if (run && run->memory_bytes > 0) return run->memory_bytes;
    return hn_memory_machine() / 5 * 4;
}

int64_t hn_budget_left(const hn_run *run) {
    const int64_t left = hn_budget_limit(run) - hn_memory_held();
    return left > 0 ? left : 0;
}

hn_status hn_budget_need(const hn_run *run, uint64_t bytes, const char *what, hn_error *err) {
    if (bytes <= (uint64_t)hn_budget_left(run)) return HN_OK;
    const double mib = 1 << 20;
    return hn_fail(err, HN_NO_MEMORY,
                   "%s needs %.1f MiB more, %.1f MiB are held, and the limit is %.1f MiB; "
                   "raise --memory to at least %.0f MiB",
                   what, (double)bytes / mib, (double)hn_memory_held() / mib,
                   (double)hn_budget_limit(run) / mib,
                   ((double)bytes + (double)hn_memory_held()) / mib + 1);
}
