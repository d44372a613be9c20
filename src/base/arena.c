/* Arenas: small allocations carved from chunks that are freed together. Under
 * AddressSanitizer what was not handed out is poisoned, so an overrun of one
 * allocation into the next is caught like that of a heap block. */
#include "base/memory.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(address, n) ASAN_POISON_MEMORY_REGION(address, n)
#define UNPOISON(address, n) ASAN_UNPOISON_MEMORY_REGION(address, n)
enum { RED_ZONE = 16 };
#else
#define POISON(address, n) ((void)(address), (void)(n))
#define UNPOISON(address, n) ((void)(address), (void)(n))
enum { RED_ZONE = 0 };
#endif

enum { SMALL_ALIGN = 16, CHUNK_FIRST = 4096, CHUNK_MOST = 1 << 20 };

struct hn_arena_chunk {
    struct hn_arena_chunk *next;
    size_t used, capacity; /* bytes of `bytes` */
    _Alignas(HN_ALIGN) uint8_t bytes[];
};

static size_t align_up(size_t n, size_t alignment) {
    return (n + alignment - 1) / alignment * alignment;
}

/* Puts a chunk with room for `bytes` in front; chunks double up to CHUNK_MOST. */
static struct hn_arena_chunk *add_chunk(hn_arena *arena, size_t bytes) {
    size_t capacity = arena->first ? arena->first->capacity * 2 : CHUNK_FIRST;
    if (capacity > CHUNK_MOST) capacity = CHUNK_MOST;
    if (capacity < bytes) capacity = bytes;
    struct hn_arena_chunk *const chunk = hn_alloc(1, sizeof *chunk + capacity);
    if (!chunk) return NULL;
    chunk->next = arena->first;
    chunk->used = 0;
    chunk->capacity = capacity;
    POISON(chunk->bytes, capacity);
    arena->first = chunk;
    return chunk;
}

void *hn_arena_alloc(hn_arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX / 2) return NULL;
    /* Large blocks get a cache line of their own: they may be read with SIMD. */
    const size_t alignment = bytes >= HN_ALIGN ? HN_ALIGN : SMALL_ALIGN;
    struct hn_arena_chunk *chunk = arena->first;
    size_t begin = chunk ? align_up(chunk->used, alignment) : 0;
    const size_t taken = align_up(bytes, SMALL_ALIGN) + RED_ZONE;
    if (!chunk || begin > chunk->capacity || chunk->capacity - begin < taken) {
        chunk = add_chunk(arena, taken);
        if (!chunk) return NULL;
        begin = 0;
    }
    chunk->used = begin + taken;
    UNPOISON(chunk->bytes + begin, bytes);
    memset(chunk->bytes + begin, 0, bytes);
    return chunk->bytes + begin;
}

char *hn_arena_strndup(hn_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) return NULL;
    char *const copy = hn_arena_alloc(arena, length + 1, 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

char *hn_arena_strdup(hn_arena *arena, const char *text) {
    return hn_arena_strndup(arena, text, strlen(text));
}

void hn_arena_free(hn_arena *arena) {
    struct hn_arena_chunk *chunk = arena->first;
    while (chunk) {
        struct hn_arena_chunk *const next = chunk->next;
        UNPOISON(chunk->bytes, chunk->capacity);
        hn_free(chunk);
        chunk = next;
    }
    arena->first = NULL;
}
