/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Trusted file: a file that decides who may do what (a policy, the configuration) or runs in this
 * process (a module). Receives a path; hands on a descriptor of a file that nobody but root and the
 * effective user could have written, or says what is wrong and how to mend it. Opened once, and
 * what was opened is judged.
 */
#ifndef UTIL_TRUSTED_FILE_H
#define UTIL_TRUSTED_FILE_H

#include <stddef.h>

#include <drpc/problems.h>

/*
 * Walks the path from the root (or the working directory), opening each directory with O_NOFOLLOW
 * after resolving none of its links by itself: a link on the way is judged by the directory that
 * holds it. Returns a descriptor (O_RDONLY, O_CLOEXEC), or -EINVAL with a problem added, or
 * -ENOMEM.
 */
int trusted_file_open(const char *path, struct drpc_problems *problems);

/* The same for a directory. */
int trusted_directory_open(const char *path, struct drpc_problems *problems);

/* The same for a file in an open, trusted directory; @path is for messages. No slash in @name. */
int trusted_file_open_at(
	int directory, const char *name, const char *path, struct drpc_problems *problems);

/*
 * Read a whole trusted file, at most @max bytes. *ret_text is the caller's to free().
 * Returns 0, -EINVAL with a problem added, or -ENOMEM.
 */
int trusted_file_read(int fd, const char *path, size_t max, struct drpc_problems *problems,
	char **ret_text, size_t *ret_size);

#endif
