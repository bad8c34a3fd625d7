/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest on this machine; see guest.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/options.h"

#define ATTRIBUTE "user.extmem.machine"
#define START_NS (60 * XM_SECOND)
#define QMP_MS 10000
#define NAP_NS 5000000
#define WORDS_MAX 128 /* of one line that is executed, besides the user's */

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
}

static int failed(struct guest *g, int rc, const char *what)
{
	snprintf(g->words, sizeof(g->words), "%s: %s", what, strerror(-rc));
	return rc;
}

/* --- names ------------------------------------------------------------------------------------ */

bool guest_name_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t length = strlen(name);

	return length > 0 && length <= GUEST_NAME_MAX && name[0] != '.' &&
	       name[0] != '-' && strspn(name, good) == length;
}

/* Who can put a socket in place of QEMU's there has the guest, and us. Where all may write,
 * but nobody touches what is another's (/tmp), it is enough that the folder in it is ours. */
static int private(const char *path, bool shared)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() && !(shared && st.st_uid == 0))
		return -EPERM;
	return (st.st_mode & 022) == 0 || (shared && (st.st_mode & S_ISVTX) != 0) ? 0
										  : -EPERM;
}

int guest_folder(const char *name, char ret[GUEST_FOLDER_MAX])
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char own[32] = "/run";

	if (geteuid() != 0)
		snprintf(own, sizeof(own), "/tmp/extmem-%u", (unsigned)geteuid());
	if (base == NULL || base[0] != '/')
		base = own;
	mkdir(base, 0700); /* or it is there */
	if (snprintf(ret, GUEST_FOLDER_MAX, "%s/vm-%s", base, name) >= GUEST_FOLDER_MAX)
		return -ENAMETOOLONG;
	return private(base, true);
}

/* "-m 4G", "-m size=4G,slots=2", "-m 512": MiB. */
uint64_t guest_memory(const json_t *line)
{
	const char *text = "128", *word;
	char value[32];
	uint64_t size;
	size_t i;
	json_t *item;

	json_array_foreach(line, i, item) {
		word = json_string_value(item);
		if (word != NULL && (strcmp(word, "-m") == 0 || strcmp(word, "--m") == 0) &&
		    json_string_value(json_array_get(line, i + 1)) != NULL)
			text = json_string_value(json_array_get(line, i + 1));
	}
	if (strncmp(text, "size=", 5) == 0)
		text += 5;
	snprintf(value, sizeof(value) - 1, "%.*s", (int)strcspn(text, ","), text);
	if (value[0] != '\0' && strspn(value, "0123456789") == strlen(value))
		strcat(value, "M");
	return xm_parse_size(value, &size) < 0 ? 0 : size;
}

/* --- processes ----------------------------------------------------------------------------------- */

/* `signal`: what it gets when this process ends. Its own output stays. */
static pid_t start(char *const argv[], int signal, bool quiet)
{
	pid_t parent = getpid(), child = fork();
	sigset_t none;

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, signal);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (quiet) {
		int null = open("/dev/null", O_RDONLY);

		setpgid(0, 0); /* what the terminal sends is not for it */
		dup2(null, 0);
	}
	if (getppid() == parent)
		execvp(argv[0], argv);
	fprintf(stderr, "extmem vm: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* False: it is there. */
static bool has_ended(pid_t *process)
{
	if (*process != 0 && waitpid(*process, NULL, WNOHANG) != 0)
		*process = 0;
	return *process == 0;
}

static void end(pid_t *process, int signal)
{
	uint64_t limit = xm_clock_ns() + 10 * XM_SECOND;

	if (*process != 0)
		kill(*process, signal);
	while (!has_ended(process) && xm_clock_ns() < limit)
		nap();
	if (*process != 0) {
		kill(*process, SIGKILL);
		waitpid(*process, NULL, 0);
		*process = 0;
	}
}

/* What a process has left that was killed. The kernel's side is ended first, as that
 * process may be waiting for itself. */
static void unmount(char *path)
{
	static char program[] = "fusermount3", words[3][4] = { "-u", "-q", "-z" };
	char *argv[] = { program, words[0], words[1], words[2], path, NULL };
	pid_t child;

	if (umount2(path, MNT_FORCE) == 0 || errno == EINVAL || errno == ENOENT ||
	    umount2(path, MNT_DETACH) == 0)
		return;
	child = start(argv, SIGKILL, true);
	end(&child, 0);
}

/* Who had the name before takes the folder away when it ends, lock and all: what is locked
 * must be what lies there. */
static int lock(struct guest *g, const char *path)
{
	struct stat ours, there;

	g->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (g->lock < 0)
		return failed(g, -errno, path);
	if (flock(g->lock, LOCK_EX | LOCK_NB) == 0 && fstat(g->lock, &ours) == 0 &&
	    stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	    ours.st_dev == there.st_dev)
		return 0;
	close(g->lock);
	g->lock = -1;
	snprintf(g->words, sizeof(g->words), "a guest %s is here already", g->name);
	return -EEXIST;
}

static int folder_take(struct guest *g)
{
	char path[GUEST_FOLDER_MAX + 16];
	int rc = guest_folder(g->name, g->folder);

	if (rc == 0 && mkdir(g->folder, 0700) != 0 && errno != EEXIST)
		rc = -errno;
	if (rc == 0)
		rc = private(g->folder, false);
	if (rc == -EPERM)
		snprintf(g->words, sizeof(g->words), "%s: others may write there, or it is "
			 "theirs: set XDG_RUNTIME_DIR to a folder of your own", g->folder);
	else if (rc != 0)
		failed(g, rc, g->folder);
	snprintf(path, sizeof(path), "%s/lock", g->folder);
	return rc != 0 ? rc : lock(g, path);
}

void guest_none(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->lock = g->memory = -1;
	lines_open(&g->qmp, -1, -1);
}

int guest_open(struct guest *g, const char *name, uint64_t size, json_t *line,
	       json_t *settings)
{
	char path[GUEST_FOLDER_MAX + 16];
	int rc;

	guest_none(g);
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->size = size;
	g->line = line;
	g->settings = settings;
	rc = folder_take(g);
	if (rc != 0)
		return rc;
	snprintf(path, sizeof(path), "%s/files", g->folder);
	unmount(path);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return failed(g, -errno, path);
	return 0;
}

/* The program is beside this one. */
static void beside(const char *name, char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 32);
	char *slash;

	ret[n > 0 ? n : 0] = '\0';
	slash = strrchr(ret, '/');
	strcpy(slash != NULL ? slash + 1 : ret, name);
	/* In a build tree a program may lie in a folder of libtool's. */
	if (access(ret, X_OK) != 0 && slash != NULL && (*slash = '\0', true) &&
	    (slash = strrchr(ret, '/')) != NULL)
		strcpy(slash + 1, name);
}

/* The last line of the log, where standard error is one: the other side is told. */
static void last_words(struct guest *g)
{
	char text[GUEST_WORDS];
	ssize_t n = lseek(2, 0, SEEK_END);

	n = pread(2, text, sizeof(text) - 1, n > (ssize_t)sizeof(text) - 1
						      ? n - (ssize_t)sizeof(text) + 1 : 0);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	if (n > 0)
		snprintf(g->words, sizeof(g->words), "%s",
			 strrchr(text, '\n') != NULL ? strrchr(text, '\n') + 1 : text);
}

int guest_mount(struct guest *g, bool awaits)
{
	static char foreground[] = "--foreground", awaited[] = "--awaits", setting[] = "-o";
	char program[PATH_MAX], size[48];
	char files[GUEST_FOLDER_MAX + 16], memory[GUEST_FOLDER_MAX + 32];
	char *argv[WORDS_MAX + 8] = { program, foreground, size };
	uint64_t limit = xm_clock_ns() + START_NS;
	size_t count = 3, i;
	json_t *item;

	beside("extmem-mount", program);
	snprintf(size, sizeof(size), "--machine=%llu", (unsigned long long)g->size);
	snprintf(files, sizeof(files), "%s/files", g->folder);
	snprintf(memory, sizeof(memory), "%s/memory", files);
	if (awaits)
		argv[count++] = awaited;
	json_array_foreach(g->settings, i, item)
		if (count < WORDS_MAX && json_string_value(item) != NULL) {
			argv[count++] = setting;
			argv[count++] = (char *)(uintptr_t)json_string_value(item);
		}
	argv[count] = files;
	g->mount = start(argv, SIGTERM, true);
	while (g->mount > 0 && !has_ended(&g->mount) && xm_clock_ns() < limit) {
		char answer[GUEST_WORDS];

		g->memory = open(memory, O_RDWR | O_CLOEXEC);
		if (g->memory >= 0 && guest_answer(g, answer, sizeof(answer)))
			return 0;
		if (g->memory >= 0)
			close(g->memory);
		g->memory = -1;
		nap();
	}
	snprintf(g->words, sizeof(g->words), "its memory cannot be had");
	last_words(g);
	return -EIO;
}

/* Its status is left to who waits for it. */
static bool is_gone(pid_t process)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid != 0;
}

static int qmp_open(struct guest *g)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t limit = xm_clock_ns() + START_NS;
	json_t *hello;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/qmp", g->folder);
	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			break;
		close(fd);
		if (is_gone(g->qemu) || xm_clock_ns() > limit)
			return -ETIMEDOUT;
		nap();
	}
	lines_open(&g->qmp, fd, fd);
	hello = lines_read(&g->qmp, QMP_MS);
	json_decref(hello);
	return hello == NULL ? -ETIMEDOUT : guest_do(g, "qmp_capabilities", NULL, NULL);
}

int guest_start(struct guest *g, bool awaits)
{
	char memory[PATH_MAX], monitor[PATH_MAX];
	const char *mine[] = {
		"-object", memory, "-machine", "memory-backend=extmem", "-qmp", monitor,
		awaits ? "-S" : NULL, "-incoming", "defer", NULL
	};
	size_t count = json_array_size(g->line), i;
	char **argv = calloc(count + 16, sizeof(*argv));
	int rc;

	if (argv == NULL)
		return failed(g, -ENOMEM, "QEMU");
	snprintf(memory, sizeof(memory),
		 "memory-backend-file,id=extmem,size=%llu,mem-path=%s/files/memory,share=on",
		 (unsigned long long)g->size, g->folder);
	snprintf(monitor, sizeof(monitor), "unix:%s/qmp,server=on,wait=off", g->folder);
	for (i = 0; i < count; i++)
		argv[i] = (char *)(uintptr_t)json_string_value(json_array_get(g->line, i));
	for (size_t j = 0; mine[j] != NULL; j++)
		argv[i++] = (char *)(uintptr_t)mine[j];
	g->qemu = start(argv, SIGKILL, awaits);
	free(argv);
	rc = g->qemu > 0 ? qmp_open(g) : -errno;
	if (rc == 0)
		rc = guest_do(g, "migrate-set-capabilities",
			      json_pack("{s[{ss sb} {ss sb}]}", "capabilities",
					"capability", "x-ignore-shared", "state", 1,
					"capability", "pause-before-switchover", "state", 1),
			      NULL);
	if (rc != 0 && g->words[0] == '\0')
		failed(g, rc, "QEMU does not begin");
	if (rc != 0)
		last_words(g);
	return rc;
}

void guest_close(struct guest *g)
{
	static const char *const names[] = { "qmp", "control", "incoming", "log", "files", "lock" };
	char path[PATH_MAX];

	lines_close(&g->qmp);
	end(&g->qemu, SIGTERM);
	if (g->memory >= 0)
		close(g->memory);
	g->memory = -1;
	end(&g->mount, SIGTERM);
	snprintf(path, sizeof(path), "%s/files", g->folder);
	if (g->lock >= 0)
		unmount(path);
	json_decref(g->line);
	json_decref(g->settings);
	g->line = g->settings = NULL;
	if (g->lock < 0)
		return; /* it is somebody else's folder */
	for (size_t i = 0; i < XM_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", g->folder, names[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	rmdir(g->folder);
	close(g->lock);
	g->lock = -1;
}

/* --- QEMU ------------------------------------------------------------------------------------------ */

int guest_do(struct guest *g, const char *command, json_t *arguments, json_t **ret)
{
	json_int_t id = ++g->commands;
	json_t *object = json_pack("{ss sI}", "execute", command, "id", id), *answer;
	const char *words = NULL;
	int rc;

	if (arguments != NULL)
		json_object_set_new(object, "arguments", arguments);
	rc = lines_write(&g->qmp, object);
	if (rc != 0)
		return failed(g, rc, "QEMU");
	/* Events, and what was asked before and answered too late. */
	while ((answer = lines_read(&g->qmp, QMP_MS)) != NULL &&
	       json_integer_value(json_object_get(answer, "id")) != id)
		json_decref(answer);
	if (answer == NULL)
		return failed(g, g->qmp.ended ? -EPIPE : -ETIMEDOUT, "QEMU");
	json_unpack(answer, "{s{ss}}", "error", "desc", &words);
	if (words != NULL) {
		snprintf(g->words, sizeof(g->words), "QEMU: %s: %s", command, words);
		rc = -EREMOTEIO;
	} else if (ret != NULL) {
		*ret = json_incref(json_object_get(answer, "return"));
	}
	json_decref(answer);
	return rc;
}

void guest_migration(struct guest *g, char *ret, size_t size)
{
	const char *status = "";
	json_t *answer = NULL;

	ret[0] = '\0';
	if (guest_do(g, "query-migrate", NULL, &answer) != 0)
		return;
	json_unpack(answer, "{ss}", "status", &status);
	snprintf(ret, size, "%s", status);
	json_decref(answer);
}

/* --- its memory --------------------------------------------------------------------------------------- */

int guest_ask(struct guest *g, const char *command)
{
	return fsetxattr(g->memory, ATTRIBUTE, command, strlen(command), 0) == 0 ? 0
										 : -errno;
}

bool guest_answer(struct guest *g, char *ret, size_t size)
{
	ssize_t n = fgetxattr(g->memory, ATTRIBUTE, ret, size - 1);

	if (n < 0)
		n = snprintf(ret, size, "failed %d %s", errno, strerror(errno));
	ret[n] = '\0';
	return strcmp(ret, "busy") != 0;
}

int guest_write_back(struct guest *g)
{
	return fsync(g->memory) == 0 ? 0 : -errno;
}
