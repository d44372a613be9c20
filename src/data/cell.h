/* What one cell's text is worth (see also hn_cell_hash and hn_cell_number in digest.h).
 * The same functions judge the cells of logs, tables and requests. */
#ifndef HN_DATA_CELL_H
#define HN_DATA_CELL_H

#include "data/digest.h"

/* XXH3-128 of a whole row, under a header of this hash. */
void hn_cell_identity(uint64_t out[2], const char *text, size_t n, uint64_t header);

/* Whether a cell that is not absent satisfies a predicate. Compared as numbers when cell
 * and value both are, else as text. HN_UNREADABLE: the cell is of a kind that the
 * predicate cannot judge (a bare column that is no 1/0, true/false or number; < <= > >=
 * between a number and what is none). */
typedef enum hn_truth { HN_FALSE, HN_TRUE, HN_UNREADABLE } hn_truth;
hn_truth hn_predicate_test(const hn_predicate *predicate, const char *text, size_t n);

#endif
