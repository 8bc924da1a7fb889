/*
 * folder.h: a folder of its own under /tmp, as the setup and teardown of a group or of one test.
 */
#ifndef WEIR_TESTS_FOLDER_H
#define WEIR_TESTS_FOLDER_H

/* Makes the folder, and removes it with all that is in it. 0, or -1, as CMocka wants it. */
int folder_make(void **state);
int folder_remove(void **state);

/* The folder's path; valid until folder_make() is called again. */
const char *folder_path(void);

/* The path of `name` in the folder; four of them live at once. */
const char *folder_path_of(const char *name);

#endif
