/* Ascending by the first two words of each entry. */
#ifndef HN_DATA_TALLY_SORT_H
#define HN_DATA_TALLY_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void hn_tally_sort(uint64_t *entries, size_t n, size_t words);

#endif
