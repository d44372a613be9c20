/* The resolved config: every option of every section with its value, in the order of
 * the tables, so that reading it and printing it again gives the same bytes. */
#include <string.h>

#include "base/config_options.h"

/* What the shared feature says is not repeated: it may not be written. */
static bool is_shared(const hn_config_section *section, const hn_option *option,
                      const void *object) {
    if (section != &hn_feature_section || (option->flags & HN_OPTION_NOT_SHARED) == 0) return false;
    return ((const hn_config_feature *)object)->share != NULL;
}

static bool is_printed(const hn_config_section *section, const hn_option *option, unsigned kinds,
                       const void *object) {
    const bool exists = option->kinds == 0 || (option->kinds & kinds) != 0;
    return exists && (option->flags & HN_OPTION_NOT_RESOLVED) == 0 &&
           !is_shared(section, option, object);
}

void hn_section_print(hn_text *text, const hn_config_section *section, const void *object,
                      int indent) {
    const unsigned kinds = hn_section_kinds(section, object);
    for (int32_t i = 0; i < section->n; i++) {
        const hn_option *option = &section->options[i];
        if (!is_printed(section, option, kinds, object)) continue;
        hn_text_add(text, "%*s%s:", indent, "", option->name);
        option->type->print(text, option, object, indent);
    }
}
