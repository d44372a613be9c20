/* How a kernel is compiled: once for each kind of CPU, chosen when the program is loaded
 * (HN_CLONES), without looking for overlaps (HN_IVDEP: an output may be exactly an input,
 * never overlap it otherwise). The project is built with -ffp-contract=off, so that every
 * copy, body and tail alike, rounds after every operation and gives the same bits (but for
 * kernel/naive.c). */
#ifndef HN_KERNEL_CLONES_H
#define HN_KERNEL_CLONES_H

#if defined(__clang__)
#define HN_IVDEP /* its form of this is an error wherever a loop does not vectorise */
#else
#define HN_IVDEP _Pragma("GCC ivdep")
#endif

/* Not under sanitizers, whose runtime is not ready when the choice is made; nor with clang,
 * which knows no x86-64 levels here. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HN_CLONES
#endif

#endif
