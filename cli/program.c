/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds a program as execvp(3) would and says whether a shim can be loaded
 * into it: an ELF file with an interpreter, of this machine's class, without
 * rights of its own (setuid, setgid, capabilities: the dynamic linker ignores
 * LD_PRELOAD there). A script is as good as its interpreter.
 */
#include "cli/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 4 /* interpreters that are scripts themselves */

static int find(const char *name, char path[PROGRAM_PATH_SIZE])
{
	const char *list = getenv("PATH"), *end;
	int error = -ENOENT;
	struct stat status;

	if (strchr(name, '/')) {
		if (snprintf(path, PROGRAM_PATH_SIZE, "%s", name) >=
		    PROGRAM_PATH_SIZE)
			return -ENAMETOOLONG;
		if (stat(path, &status) < 0)
			return -errno;
		return S_ISREG(status.st_mode) && access(path, X_OK) == 0
			       ? 0
			       : -EACCES;
	}
	if (!list)
		list = "/bin:/usr/bin";
	for (;; list = end + 1) {
		end = strchrnul(list, ':');
		if (snprintf(path, PROGRAM_PATH_SIZE, "%.*s%s%s",
			     (int)(end - list), list, end > list ? "/" : "",
			     name) < PROGRAM_PATH_SIZE &&
		    stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
			if (access(path, X_OK) == 0)
				return 0;
			error = -EACCES;
		}
		if (!*end)
			return error;
	}
}

static bool has_rights(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return false;
	if ((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid())
		return true;
	if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    status.st_gid != getegid())
		return true;
	return geteuid() != 0 &&
	       fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* 0, or -ENOEXEC with words. */
static int look_at_elf(int fd, const char *path, char *words, size_t size)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    head.e_ident[EI_CLASS] != ELFCLASS64) {
		snprintf(words, size,
			 "%s is not a 64-bit program: the shim cannot be "
			 "loaded into it",
			 path);
		return -ENOEXEC;
	}
	for (int i = 0; i < head.e_phnum && head.e_phentsize == sizeof(part);
	     i++) {
		if (pread(fd, &part, sizeof(part),
			  (off_t)(head.e_phoff + i * sizeof(part))) !=
		    sizeof(part))
			break;
		if (part.p_type == PT_INTERP)
			return 0;
	}
	snprintf(words, size,
		 "%s is statically linked: LD_PRELOAD has no effect on it, so "
		 "its memory cannot be served",
		 path);
	return -ENOEXEC;
}

static int look(const char *path, char *words, size_t size, int scripts)
{
	char line[PROGRAM_PATH_SIZE] = "", *end, *name;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	ssize_t n;

	if (fd < 0)
		return 0; /* executable, not readable: let it be tried */
	if (has_rights(fd)) {
		snprintf(words, size,
			 "%s has rights of its own (setuid, setgid or "
			 "capabilities): the dynamic linker ignores LD_PRELOAD "
			 "there",
			 path);
		close(fd);
		return -ENOEXEC;
	}
	n = pread(fd, line, sizeof(line) - 1, 0);
	if (n > 4 && memcmp(line, ELFMAG, SELFMAG) == 0) {
		r = look_at_elf(fd, path, words, size);
	} else if (n > 2 && line[0] == '#' && line[1] == '!' &&
		   scripts < SCRIPTS_MAX) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		name = line + 2 + strspn(line + 2, " \t");
		end = name + strcspn(name, " \t");
		*end = '\0';
		r = look(name, words, size, scripts + 1);
	}
	close(fd);
	return r;
}

int program_find(const char *name, char ret_path[PROGRAM_PATH_SIZE],
		 char *words, size_t words_size)
{
	int r = find(name, ret_path);

	if (r < 0) {
		snprintf(words, words_size, "%s: %s", name, strerror(-r));
		return r;
	}
	return look(ret_path, words, words_size, 0);
}

bool program_beside(const char *name, char ret_path[PROGRAM_PATH_SIZE])
{
	char self[PROGRAM_PATH_SIZE / 2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(ret_path, PROGRAM_PATH_SIZE, "%s/%s", self, name);
	return access(ret_path, X_OK) == 0;
}
