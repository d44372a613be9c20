/* The inside of the ranker, shared by its doors. */
#ifndef HN_SERVE_RANKER_H
#define HN_SERVE_RANKER_H

#include "serve/rank.h"

struct hn_ranker {
    hn_ranker_parts parts;
};

#endif
