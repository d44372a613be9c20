/* Checked, aligned, counted allocation, and the fault injection of the tests. What is
 * held is counted by the allocator's own sizes, so a block needs no header of ours.
 * Arenas are in arena.c. */
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Fault injection ------------------------------------------------------- */

typedef struct fault {
    _Atomic int64_t armed, count;
} fault;
static fault faults[HN_FAULTS];

void hn_fault_arm(hn_fault kind, int64_t nth) {
    atomic_store(&faults[kind].armed, 0);
    atomic_store(&faults[kind].count, 0);
    atomic_store(&faults[kind].armed, nth);
}

int64_t hn_fault_count(hn_fault kind) { return atomic_load(&faults[kind].count); }

bool hn_fault_hit(hn_fault kind) {
    const int64_t armed = atomic_load_explicit(&faults[kind].armed, memory_order_relaxed);
    if (armed == 0) return false;
    return atomic_fetch_add(&faults[kind].count, 1) + 1 == armed;
}

/* ---- Allocation -------------------------------------------------------------- */

static _Atomic int64_t held;

static void count_held(int64_t bytes) {
    atomic_fetch_add_explicit(&held, bytes, memory_order_relaxed);
}

int64_t hn_memory_held(void) { return atomic_load_explicit(&held, memory_order_relaxed); }

enum { LARGE_BYTES = 4 << 20, PAGE_BYTES = 4096 };

/* Large blocks are tables that are looked up at random and buffers that are filled once: with
 * huge pages the first misses fewer translations and the second faults seldom. Where the
 * kernel has none, nothing is lost. */
static void want_huge_pages(void *memory, size_t bytes) {
    const size_t skipped = -(uintptr_t)memory % PAGE_BYTES;
    (void)madvise((char *)memory + skipped, (bytes - skipped) / PAGE_BYTES * PAGE_BYTES,
                  MADV_HUGEPAGE);
}

void *hn_alloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    if (hn_fault_hit(HN_FAULT_ALLOC)) return NULL;
    void *memory = NULL;
    if (posix_memalign(&memory, HN_ALIGN, bytes > 0 ? bytes : 1) != 0) return NULL;
    count_held((int64_t)malloc_usable_size(memory));
    if (bytes >= LARGE_BYTES) want_huge_pages(memory, bytes);
    return memory;
}

void *hn_alloc_zero(size_t count, size_t size) {
    void *const memory = hn_alloc(count, size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

/* realloc() would lose the alignment, so a block that grows moves. */
void *hn_realloc(void *old, size_t count, size_t size) {
    if (!old) return hn_alloc(count, size);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *const memory = hn_alloc(count, size);
    if (!memory) return NULL;
    const size_t usable = malloc_usable_size(old);
    memcpy(memory, old, usable < bytes ? usable : bytes);
    hn_free(old);
    return memory;
}

void hn_free(void *memory) {
    if (!memory) return;
    count_held(-(int64_t)malloc_usable_size(memory));
    free(memory);
}

char *hn_strndup(const char *text, size_t length) {
    if (length == SIZE_MAX) return NULL;
    char *const copy = hn_alloc(length + 1, 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *hn_strdup(const char *text) { return hn_strndup(text, strlen(text)); }

void hn_error_no_memory(hn_error *err, const char *what) {
    hn_error_write(err, HN_NO_MEMORY,
                   "no memory for %s (%.1f MiB are held so far); free some, or ask for less", what,
                   (double)hn_memory_held() / (1 << 20));
}

hn_status hn_grow(void *array_address, size_t *capacity, size_t need, size_t size, hn_error *err) {
    if (need <= *capacity) return HN_OK;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < need) wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    void *old;
    memcpy(&old, array_address, sizeof old); /* a T ** seen as void ** would be aliasing */
    void *const grown = hn_realloc(old, wanted, size);
    if (!grown) return hn_no_memory(err, "a growing array");
    memcpy(array_address, &grown, sizeof grown);
    *capacity = wanted;
    return HN_OK;
}

/* ---- What the machine has ------------------------------------------------------ */

/* The n-th number (from 0) of a small file of the kernel's; -1 where there is none. */
static int64_t number_in(const char *path, int nth) {
    char text[256];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    const ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) return -1;
    text[got] = '\0';
    char *at = text;
    int64_t value = -1;
    for (int i = 0; i <= nth; i++) {
        char *end;
        errno = 0;
        value = strtoll(at, &end, 10);
        if (end == at || errno) return -1;
        at = end;
    }
    return value;
}

int64_t hn_memory_resident(void) {
    const int64_t pages = number_in("/proc/self/statm", 1);
    return pages < 0 ? 0 : pages * sysconf(_SC_PAGESIZE);
}

int64_t hn_memory_own(void) {
    const int64_t resident = number_in("/proc/self/statm", 1),
                  of_files = number_in("/proc/self/statm", 2);
    return resident < 0 || of_files < 0 ? 0 : (resident - of_files) * sysconf(_SC_PAGESIZE);
}

/* A container's limit counts where it is below the machine's memory. */
int64_t hn_memory_machine(void) {
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                  "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const int64_t limit = number_in(limits[i], 0);
        if (limit > 0 && limit < bytes) bytes = limit;
    }
    return bytes;
}
