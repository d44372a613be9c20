/* Parameters in packs: back to the bit, converted from the other precision, and refused
 * with a sentence of its own for every way in which they may be wrong. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 8, TASKS = 2 };

typedef struct saved {
    char *folder, path[300];
    fixture f;
    model m, other;
} saved;

static void open_case(saved *s, const model_case *row) {
    hn_error err = {0};
    memset(s, 0, sizeof *s);
    s->folder = support_folder();
    snprintf(s->path, sizeof s->path, "%s/params.hn", s->folder);
    fixture_make(&s->f, ROWS, 3, TASKS, 1);
    const hn_config_model config = model_case_config(row);
    assert_ok(model_make(&s->m, &s->f.layout, &config, HN_MODE_INFER, 3, &err));
    assert_ok(model_make(&s->other, &s->f.layout, &config, HN_MODE_INFER, 4, &err));
}

static void close_case(saved *s) {
    model_free(&s->m);
    model_free(&s->other);
    support_remove(s->folder);
    free(s->folder);
}

static void save(const saved *s) {
    hn_error err = {0};
    hn_packer *packer = NULL;
    assert_ok(hn_packer_open(&packer, s->path, "TEST", &err));
    hn_params_save(&s->m.params, s->m.plan, packer);
    assert_ok(hn_packer_commit(packer, &err));
}

static hn_status load(saved *s, hn_error *err) {
    hn_pack *pack = NULL;
    HN_TRY(hn_pack_open(&pack, s->path, "TEST", err));
    const hn_status status = hn_params_load(&s->other.params, s->other.plan, pack, err);
    hn_pack_close(pack);
    return status;
}

/* ---- The numbers of a model, one by one ---------------------------------------------------- */

static size_t count_of(const hn_param_info *info) {
    return (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
}

static void check_equal(const saved *s, const char *name) {
    for (int32_t p = 0; p < hn_plan_params(s->m.plan); p++) {
        const hn_param_info *info = hn_plan_param(s->m.plan, p);
        if (memcmp(s->m.params.block + info->offset, s->other.params.block + info->offset,
                   count_of(info) * sizeof(hn_real)) != 0)
            fail_msg("%s: %s came back changed", name, info->name);
    }
    for (int32_t t = 0; t < s->m.params.n_tables; t++) {
        const hn_table *table = &s->m.params.tables[t];
        assert_memory_equal(table->numbers, s->other.params.tables[t].numbers,
                            (size_t)(table->rows * (uint64_t)table->width) * sizeof(hn_real));
    }
}

static void test_every_model_comes_back(void **state) {
    (void)state;
    static saved s;
    hn_error err = {0};
    for (size_t i = 0; i < n_model_cases; i++) {
        open_case(&s, &model_cases[i]);
        save(&s);
        assert_ok(load(&s, &err));
        check_equal(&s, model_cases[i].name);
        close_case(&s);
    }
}

/* ---- Packs written by hand ------------------------------------------------------------------- */

typedef enum fault {
    NONE,
    OTHER_PRECISION,
    OVERFLOWS,
    MISSING_PARAM,
    MISSING_TABLE,
    WRONG_SHAPE,
    WRONG_DIMS,
    WRONG_TYPE,
    NOT_FINITE,
    STRANGER
} fault;

#ifdef HN_DOUBLE
static const hn_pack_type SAME = HN_PACK_F64, OTHER = HN_PACK_F32;
typedef float other_real;
#else
static const hn_pack_type SAME = HN_PACK_F32, OTHER = HN_PACK_F64;
typedef double other_real;
#endif

/* Section `index` of those that save() writes, with a fault. */
static void add(hn_packer *packer, const char *name, int32_t dims, const uint64_t *dim,
                const hn_real *numbers, size_t count, fault what) {
    hn_real *copy = malloc(count * sizeof *copy);
    other_real *other = malloc(count * sizeof *other);
    memcpy(copy, numbers, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) other[i] = (other_real)numbers[i];
    if (what == NOT_FINITE) copy[count - 1] = (hn_real)NAN;
    if (what == OVERFLOWS) other[0] = (other_real)(sizeof *other == 8 ? 1e300 : INFINITY);
    const uint64_t flat = count, swapped[] = {dim[0], dim[1], dim[3], dim[2]};
    if (what == OTHER_PRECISION || what == OVERFLOWS)
        hn_packer_add(packer, name, OTHER, dims, dim, other);
    else if (what == WRONG_SHAPE)
        hn_packer_add(packer, name, SAME, dims, swapped, copy);
    else if (what == WRONG_DIMS)
        hn_packer_add(packer, name, SAME, 1, &flat, copy);
    else if (what == WRONG_TYPE)
        hn_packer_add(packer, name, sizeof(hn_real) == 8 ? HN_PACK_I64 : HN_PACK_I32, dims, dim,
                      copy);
    else
        hn_packer_add(packer, name, SAME, dims, dim, copy);
    free(copy);
    free(other);
}

static void write_with(const saved *s, fault what) {
    hn_error err = {0};
    hn_packer *packer = NULL;
    char name[200];
    assert_ok(hn_packer_open(&packer, s->path, "TEST", &err));
    for (int32_t p = 0; p < hn_plan_params(s->m.plan); p++) {
        const hn_param_info *info = hn_plan_param(s->m.plan, p);
        const uint64_t dim[] = {(uint64_t)info->batch, (uint64_t)info->rows, (uint64_t)info->groups,
                                (uint64_t)info->cols};
        const bool victim = strcmp(info->name, "cgc.own.w1") == 0 || what == OTHER_PRECISION;
        if (victim && what == MISSING_PARAM) continue;
        snprintf(name, sizeof name, "param/%s", info->name);
        add(packer, name, 4, dim, s->m.params.block + info->offset, count_of(info),
            victim ? what : NONE);
    }
    for (int32_t t = 0; t < s->m.params.n_tables; t++) {
        const hn_table *table = &s->m.params.tables[t];
        const uint64_t dim[4] = {table->rows, (uint64_t)table->width};
        if (t == 1 && what == MISSING_TABLE) continue;
        snprintf(name, sizeof name, "table/%s", table->name);
        add(packer, name, 2, dim, table->numbers, (size_t)(table->rows * (uint64_t)table->width),
            what == OTHER_PRECISION ? what : NONE);
    }
    if (what == STRANGER)
        hn_packer_add(packer, "param/zzz", SAME, 1, (const uint64_t[]){1}, s->m.params.block);
    assert_ok(hn_packer_commit(packer, &err));
}

static void test_other_precision(void **state) {
    (void)state;
    static saved s;
    hn_error err = {0};
    open_case(&s, &model_cases[0]);
    write_with(&s, OTHER_PRECISION);
    assert_ok(load(&s, &err));
    if (sizeof(hn_real) == 4)
        check_equal(&s, "from float64");
    else
        for (size_t i = 0; i < count_of(hn_plan_param(s.m.plan, 0)); i++)
            assert_true(s.other.params.block[hn_plan_param(s.m.plan, 0)->offset + i] ==
                        (hn_real)(float)s.m.params.block[hn_plan_param(s.m.plan, 0)->offset + i]);
    close_case(&s);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        fault what;
        const char *words;
    } table[] = {
        {MISSING_PARAM, "has no section \"param/cgc.own.w1\""},
        {MISSING_TABLE, "has no section \"table/history\""},
        {WRONG_SHAPE, "has the shape 3 × 15 × 6 × 4; the model of its config has 3 × 15 × 4 × 6"},
        {WRONG_DIMS, "has the shape 1080"},
        {WRONG_TYPE, "not of float32 or float64"},
        {NOT_FINITE, "is not finite"},
        {OVERFLOWS, "is not finite"},
        {STRANGER, "belongs to no tensor"},
    };
    static saved s;
    hn_error err = {0};
    open_case(&s, &model_cases[0]);
    write_with(&s, NONE);
    assert_ok(load(&s, &err));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        write_with(&s, table[i].what);
        assert_fails(HN_BAD_DATA, table[i].words, load(&s, &err));
    }
    close_case(&s);
}

/* A number changed on disk is found by its section's checksum. */
static void test_damage(void **state) {
    (void)state;
    static saved s;
    hn_error err = {0};
    open_case(&s, &model_cases[0]);
    save(&s);
    FILE *file = fopen(s.path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 64 + 3, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, 64 + 3, SEEK_SET), 0);
    fputc(byte ^ 1, file);
    fclose(file);
    assert_fails(HN_BAD_DATA, "damaged", load(&s, &err));
    close_case(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model_comes_back),
        cmocka_unit_test(test_other_precision),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests_name("model/params_io", tests, NULL, NULL);
}
