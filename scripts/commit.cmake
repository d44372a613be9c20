# Writes OUT (commit.h) with the commit of SOURCE, when it is another one than last time. Where
# there is no git, or no repository, the commit is "".
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE COMMIT ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define HN_COMMIT \"@COMMIT@\"\n" @ONLY)
