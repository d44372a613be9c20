/* The string builder and the plain-text table of reports. Both have sticky errors: a
 * failed allocation is noticed once, when the report is made. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/report.h"

/* ---- String builder ---------------------------------------------------------- */

static void give_up(hn_text *text) {
    hn_free(text->text);
    *text = (hn_text){.failed = true};
}

/* Room for `more` bytes and a NUL. */
static bool make_room(hn_text *text, size_t more) {
    if (text->failed) return false;
    if (more < SIZE_MAX - text->length - 1 &&
        hn_grow(&text->text, &text->capacity, text->length + more + 1, 1, NULL) == HN_OK)
        return true;
    give_up(text);
    return false;
}

void hn_text_bytes(hn_text *text, const void *bytes, size_t n) {
    if (!make_room(text, n)) return;
    if (n > 0) memcpy(text->text + text->length, bytes, n);
    text->length += n;
    text->text[text->length] = '\0';
}

__attribute__((format(printf, 2, 0))) static void add_formatted(hn_text *text, const char *format,
                                                                va_list args) {
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) {
        give_up(text);
    } else if (make_room(text, (size_t)n)) {
        vsnprintf(text->text + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    va_end(again);
}

void hn_text_add(hn_text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_formatted(text, format, args);
    va_end(args);
}

void hn_text_free(hn_text *text) {
    hn_free(text->text);
    *text = (hn_text){0};
}

/* ---- Table --------------------------------------------------------------------- */

struct hn_grid {
    int32_t cols;
    hn_text cells; /* one after another, each NUL-terminated */
    size_t *begin; /* [n] offsets into cells.text */
    size_t n, capacity;
    bool failed;
};

hn_grid *hn_grid_create(int32_t cols) {
    if (cols < 1) return NULL;
    hn_grid *const grid = hn_alloc_zero(1, sizeof *grid);
    if (grid) grid->cols = cols;
    return grid;
}

void hn_grid_cell(hn_grid *grid, const char *format, ...) {
    if (!grid || grid->failed) return;
    if (hn_grow(&grid->begin, &grid->capacity, grid->n + 1, sizeof *grid->begin, NULL) != HN_OK) {
        grid->failed = true;
        return;
    }
    grid->begin[grid->n++] = grid->cells.length;
    va_list args;
    va_start(args, format);
    add_formatted(&grid->cells, format, args);
    va_end(args);
    hn_text_bytes(&grid->cells, "", 1);
    grid->failed = grid->cells.failed;
}

/* Columns on a terminal: characters, not bytes (wide East Asian ones count as one). */
static size_t shown_width(const char *text) {
    size_t width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Numbers, also with units (12.5 %, 3.4k) and the marks for "none", align right. */
static bool looks_numeric(const char *cell) {
    if (*cell == '\0' || strcmp(cell, "-") == 0 || strcmp(cell, "–") == 0) return true;
    if (strcmp(cell, "nan") == 0) return true;
    if (*cell == '-' || *cell == '+') cell++;
    if (*cell < '0' || *cell > '9') return false;
    cell += strspn(cell, "0123456789.,eE+-_ ");
    return strlen(cell) <= 3 && strspn(cell, "%kKMGTiBsx") == strlen(cell);
}

static const char *cell_at(const hn_grid *grid, size_t i) {
    return grid->cells.text + grid->begin[i];
}

typedef struct column_shape {
    size_t width;
    bool numeric;
} column_shape;

static void measure(column_shape *columns, const hn_grid *grid) {
    const size_t cols = (size_t)grid->cols;
    for (size_t c = 0; c < cols; c++) columns[c].numeric = grid->n > cols;
    for (size_t i = 0; i < grid->n; i++) {
        column_shape *const column = &columns[i % cols];
        const char *const cell = cell_at(grid, i);
        const size_t width = shown_width(cell);
        if (width > column->width) column->width = width;
        if (i >= cols && !looks_numeric(cell)) column->numeric = false;
    }
}

static void add_repeated(hn_text *out, char c, size_t n) {
    while (n-- > 0) hn_text_bytes(out, &c, 1);
}

/* Nothing is padded at the end of a line. */
static void render_cell(hn_text *out, const column_shape *column, const char *cell, bool last) {
    const size_t pad = column->width - shown_width(cell);
    if (column->numeric) add_repeated(out, ' ', pad);
    hn_text_bytes(out, cell, strlen(cell));
    if (!column->numeric && !last) add_repeated(out, ' ', pad);
    if (!last) hn_text_bytes(out, "  ", 2);
}

static void render_rule(hn_text *out, const column_shape *columns, size_t cols) {
    size_t width = 2 * (cols - 1);
    for (size_t c = 0; c < cols; c++) width += columns[c].width;
    add_repeated(out, '-', width);
    hn_text_bytes(out, "\n", 1);
}

static void render(hn_text *out, const hn_grid *grid, const column_shape *columns) {
    const size_t cols = (size_t)grid->cols;
    for (size_t i = 0; i < grid->n; i++) {
        const bool last = i % cols == cols - 1 || i == grid->n - 1;
        render_cell(out, &columns[i % cols], cell_at(grid, i), last);
        if (last) hn_text_bytes(out, "\n", 1);
        if (i == cols - 1) render_rule(out, columns, cols);
    }
}

void hn_grid_render(hn_grid *grid, hn_text *out) {
    column_shape *columns = grid ? hn_alloc_zero((size_t)grid->cols, sizeof *columns) : NULL;
    if (!columns || grid->failed) {
        give_up(out);
    } else {
        measure(columns, grid);
        render(out, grid, columns);
    }
    hn_free(columns);
    if (!grid) return;
    hn_text_free(&grid->cells);
    hn_free(grid->begin);
    hn_free(grid);
}
