/* Allocation: sizes are checked products, memory is 64-byte aligned, every call can be
 * made to fail in a test, and the bytes held are counted (for --memory and reports). */
#ifndef HN_BASE_MEMORY_H
#define HN_BASE_MEMORY_H

#include "base/error.h"

enum { HN_ALIGN = 64 };

/* count × size bytes; NULL when that overflows or cannot be had. Free with hn_free. */
void *hn_alloc(size_t count, size_t size);
void *hn_alloc_zero(size_t count, size_t size);
/* Grows (or shrinks) to count × size; on failure NULL and `old` is still valid. */
void *hn_realloc(void *old, size_t count, size_t size);
void hn_free(void *memory); /* NULL is fine */
char *hn_strdup(const char *text);
char *hn_strndup(const char *text, size_t length);

/* The error for a failed allocation, naming what it was for. */
void hn_error_no_memory(hn_error *err, const char *what) __attribute__((cold));
static inline hn_status hn_no_memory(hn_error *err, const char *what) {
    hn_error_no_memory(err, what);
    return HN_NO_MEMORY;
}

/* Bytes now held from hn_alloc & co. */
int64_t hn_memory_held(void);
/* Resident memory of the process, in bytes; 0 where unknown. */
int64_t hn_memory_resident(void);
/* The same without the pages of mapped files (a dataset), which the kernel takes back at need. */
int64_t hn_memory_own(void);
int64_t hn_memory_machine(void);

/* Makes `*array` (of `*capacity` elements of `size`) hold at least `need`, doubling.
 * HN_NO_MEMORY on failure, array unchanged. */
hn_status hn_grow(void *array_address, size_t *capacity, size_t need, size_t size, hn_error *err);

/* An arena: many small allocations freed together. Zero-initialise to start. */
typedef struct hn_arena {
    struct hn_arena_chunk *first;
} hn_arena;
void *hn_arena_alloc(hn_arena *arena, size_t count, size_t size); /* zeroed; NULL on failure */
char *hn_arena_strdup(hn_arena *arena, const char *text);
char *hn_arena_strndup(hn_arena *arena, const char *text, size_t length);
void hn_arena_free(hn_arena *arena);

/* Fault injection for tests. Each kind of event is counted; when the count reaches the
 * armed number, that event fails (once). Kinds: allocation, read, write. */
typedef enum hn_fault { HN_FAULT_ALLOC, HN_FAULT_READ, HN_FAULT_WRITE, HN_FAULTS } hn_fault;
void hn_fault_arm(hn_fault kind, int64_t nth); /* nth ≥ 1; 0 disarms; the count restarts */
int64_t hn_fault_count(hn_fault kind); /* events since it was armed; none count while disarmed */
bool hn_fault_hit(hn_fault kind);      /* called at each event: true = fail now */

#endif
