/*
 * generate.c: weir-config-docs, which writes what is generated from the schema table.
 *
 *     weir-config-docs docs   > docs/CONFIGURATION.md
 *     weir-config-docs schema > config/weir.schema.json
 *
 * Both files are in the repository, so that people can read them without building; a unit test
 * fails when they are stale and names the command. It only prints: it never writes into the source
 * tree by itself.
 */
#include "config/config.h"

#include "dataplane/base/err.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "docs") == 0) {
        config_write_docs(stdout);
    } else if (argc == 2 && strcmp(argv[1], "schema") == 0) {
        config_write_schema(stdout);
    } else {
        fprintf(stderr, "usage: weir-config-docs docs|schema\n");
        return EXIT_USAGE;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_IO;
}
