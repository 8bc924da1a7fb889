/* err.h: an error on a cold path: an exit code (sysexits) and one line for people. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

enum exit_code {
    EXIT_DONE = 0,
    EXIT_USAGE = 64,       /* EX_USAGE: wrong command line */
    EXIT_UNAVAILABLE = 69, /* EX_UNAVAILABLE: a server cannot be reached */
    EXIT_SOFTWARE = 70,    /* EX_SOFTWARE: our own fault */
    EXIT_IO = 74,          /* EX_IOERR */
    EXIT_CONFIG = 78,      /* EX_CONFIG: bad config, or a failed test */
};

struct err {
    enum exit_code code;
    char text[600];
};

/* Fills *err (which may be NULL) and returns -1, so that a caller can write `return err_set(...)`.
 * Any thread. */
int err_set(struct err *err, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
