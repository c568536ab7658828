/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Replay: a harness's main without libFuzzer. Receives files and folders; runs the harness once on
 * each file. A property that does not hold ends the process, so a return is a pass.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static int run_file(const char *path, size_t size)
{
	uint8_t *data = fuzz_alloc(size);
	FILE *file = fopen(path, "rb");
	size_t got = 0;

	if (file != NULL) {
		got = fread(data, 1, size, file);
		fclose(file);
	}
	if (file == NULL || got != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(data);
		return -EIO;
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static int run_path(const char *path);

/* How many files were run, or a negative errno. */
static int run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	int total = 0;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		char inner[4096];
		int r = 0;

		snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && total >= 0)
			r = run_path(inner);
		free(entries[i]);
		if (total >= 0)
			total = r < 0 ? r : total + r;
	}
	free(entries);
	return total;
}

static int run_path(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	if (S_ISDIR(status.st_mode))
		return run_folder(path);
	fprintf(stderr, "%s\n", path);
	return run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
	int total = 0;

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		int r = run_path(argv[i]);

		if (r < 0)
			return EXIT_FAILURE;
		total += r;
	}
	if (total == 0) {
		fprintf(stderr, "usage: %s FILE|FOLDER...: nothing was run\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%d inputs, no violation\n", total);
	return EXIT_SUCCESS;
}
