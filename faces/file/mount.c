/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file face: `extmem mount`, which executes this program. A folder whose files are in
 * the memory of appliances. See extmem-mount(1).
 *
 * The process forks before it opens the client, since libfabric does not survive a fork;
 * the parent waits until the folder is there, and says what the child said if it is not.
 *
 * Requests are served by threads that are started once. The main thread waits for a
 * signal, or for the end of the threads: they end when the folder has been unmounted.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/options.h"
#include "common/options_shared.h"
#include "common/standard.h"
#include "faces/file/log.h"
#include "faces/file/machine.h"
#include "faces/file/serve.h"
#include "faces/file/watchdog.h"
#include "faces/file/whole.h"

#define THREADS_MAX 16
#define SETTINGS_MAX 64
#define STACK_TOUCHED (128 * 1024)

struct mount_settings {
	uint64_t size, threads, deadline_s, machine;
	struct xm_option_list appliance, setting, region, token;
	const char *strategy;
	bool seal, foreground, others, swap, durable, awaits;
};

static const struct xm_option options[] = {
	XM_SHARED_SIZE(struct mount_settings, size,
		"Memory for all files that end with the folder, which is taken "
		"at once."),
	{ .name = "region",
	  .kind = XM_OPTION_LIST,
	  .letter = 'r',
	  .unit = "NAME[=SIZE]",
	  .help = "A file that outlives the folder, and is a region of its "
		  "own: the one that is kept under this name; with a size it "
		  "is made if it is not there. May be repeated.",
	  .destination = offsetof(struct mount_settings, region) },
	{ .name = "token",
	  .kind = XM_OPTION_LIST,
	  .unit = "TOKEN",
	  .help = "Likewise, the region that waits under this token.",
	  .destination = offsetof(struct mount_settings, token) },
	{ .name = "durable",
	  .kind = XM_OPTION_FLAG,
	  .help = "Files that outlive the folder outlive their appliances, "
		  "too, which need a store: what fsync(2) has reached is on "
		  "their disks.",
	  .destination = offsetof(struct mount_settings, durable) },
	XM_SHARED_APPLIANCE(struct mount_settings, appliance,
		"An appliance that lends memory. May be repeated."),
	XM_SHARED_STRATEGY(struct mount_settings, strategy,
		"How many appliances have each byte, and which: "
		"\"mirror 2\"."),
	XM_SHARED_SEAL(struct mount_settings, seal,
		"Encrypt what leaves this machine."),
	{ .name = "setting",
	  .kind = XM_OPTION_LIST,
	  .letter = 'o',
	  .unit = "NAME=VALUE",
	  .help = "Any other setting of extmem(5). May be repeated.",
	  .destination = offsetof(struct mount_settings, setting) },
	{ .name = "threads",
	  .kind = XM_OPTION_COUNT,
	  .value = "4",
	  .min = 1,
	  .max = THREADS_MAX,
	  .help = "Threads that serve the kernel's requests.",
	  .destination = offsetof(struct mount_settings, threads) },
	{ .name = "others",
	  .kind = XM_OPTION_FLAG,
	  .help = "Let other users in, as far as files permit it. Where one is "
		  "not root, /etc/fuse.conf must have user_allow_other.",
	  .destination = offsetof(struct mount_settings, others) },
	{ .name = "foreground",
	  .kind = XM_OPTION_FLAG,
	  .letter = 'f',
	  .help = "Stay in the foreground, and write the log to standard "
		  "error.",
	  .destination = offsetof(struct mount_settings, foreground) },
	{ .name = "swap",
	  .kind = XM_OPTION_FLAG,
	  .hidden = true, /* for `extmem swap` */
	  .help = "The folder is to hold a swap file.",
	  .destination = offsetof(struct mount_settings, swap) },
	{ .name = "machine",
	  .kind = XM_OPTION_SIZE,
	  .hidden = true, /* for extmem-vm */
	  .help = "A file \"memory\", of a machine that moves.",
	  .destination = offsetof(struct mount_settings, machine) },
	{ .name = "awaits",
	  .kind = XM_OPTION_FLAG,
	  .hidden = true,
	  .help = "Its memory is not here yet.",
	  .destination = offsetof(struct mount_settings, awaits) },
	{ .name = "deadline",
	  .kind = XM_OPTION_COUNT,
	  .hidden = true,
	  .value = "60",
	  .min = 1,
	  .help = "Seconds without an answer after which the watchdog ends the "
		  "connection.",
	  .destination = offsetof(struct mount_settings, deadline_s) },
};

static const struct xm_option_table table = {
	.program = "extmem mount",
	.prefix = "EXTMEM",
	.usage = "--size SIZE|--region NAME[=SIZE]|--token TOKEN [OPTION]... DIR",
	.about = "Makes DIR a folder whose files are in the memory of "
		 "appliances, until `extmem unmount DIR` or SIGTERM; then "
		 "they are gone, but for those of --region and --token.",
	.options = options,
	.count = XM_COUNT(options),
};

static struct face face;
static struct face_machine machine;
static extmem *client;
static extmem_region *region;
static struct fuse_session *session;
static char folder[PATH_MAX]; /* absolute */
static pthread_t main_thread;
static volatile sig_atomic_t threads_left;
/* Answers so far, which the watchdog looks at. */
static _Atomic uint64_t unwatched, *answered = &unwatched;

/* --- the client ------------------------------------------------------------------------- */

/* "name=value", which stays; NULL: no memory. */
static const char *setting(const char *name, const char *value)
{
	char *text;

	return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

/* What the library is given, which stays; NULL: it was said why not. */
static const char *const *make_settings(const struct mount_settings *s)
{
	static const char *list[SETTINGS_MAX];
	size_t count = 0;
	bool whole = true;

	if (s->appliance.count + s->setting.count + 3 > SETTINGS_MAX) {
		face_say("at most %d appliances and settings", SETTINGS_MAX - 3);
		return NULL;
	}
	for (size_t i = 0; i < s->appliance.count; i++) {
		list[count] = setting("appliance", s->appliance.items[i]);
		whole = list[count++] != NULL && whole;
	}
	if (s->strategy[0] != '\0') {
		list[count] = setting("strategy", s->strategy);
		whole = list[count++] != NULL && whole;
	}
	if (s->seal)
		list[count++] = "seal=all";
	for (size_t i = 0; i < s->setting.count; i++)
		list[count++] = s->setting.items[i];
	list[count] = NULL;
	if (!whole)
		face_say("out of memory");
	return whole ? list : NULL;
}

/* The files that are regions of their own. */
static int add_regions(const struct mount_settings *s)
{
	struct face_kept kept = { .region = "", .token = "", .durable = s->durable };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->region.count; i++) {
		kept.region = s->region.items[i];
		rc = face_whole_add(&face.tree, client, &kept);
	}
	kept.region = "";
	for (size_t i = 0; rc == 0 && i < s->token.count; i++) {
		kept.token = s->token.items[i];
		rc = face_whole_add(&face.tree, client, &kept);
	}
	if (rc == 0 && s->machine > 0) {
		rc = face_whole_machine(&face.tree, client, s->machine, s->awaits,
					&machine.whole, &machine.node);
		machine.x = client;
		face.machine = &machine;
	}
	return rc;
}

static int open_client(const char *const *settings, const struct mount_settings *s)
{
	const struct extmem_request request = {
		.size = sizeof(request), .region_size = s->size, .name = "files",
		.flags = EXTMEM_TRACKED,
	};
	int rc = extmem_open(settings, &client);

	if (rc == 0 && s->size > 0)
		rc = extmem_region_request(client, &request, &region);
	if (rc != 0) {
		face_say("%s", extmem_error());
		return rc;
	}
	rc = face_store_open(&face.store, region);
	if (rc == 0)
		rc = face_tree_open(&face.tree, &face.store);
	if (rc != 0) {
		face_say("out of memory");
		return rc;
	}
	face.tree.root->uid = getuid();
	face.tree.root->gid = getgid();
	return add_regions(s);
}

/* --- serving ------------------------------------------------------------------------------ */

/* Pages of this process that are not there yet would be asked for by a request. */
static void touch_all(void *memory, size_t size)
{
	volatile uint8_t *bytes = memory;

	for (size_t i = 0; i < size; i += 4096)
		bytes[i] = bytes[i];
}

static void touch_stack(void)
{
	uint8_t stack[STACK_TOUCHED];

	stack[0] = 0;
	touch_all(stack, sizeof(stack));
}

static void *serve(void *unused)
{
	struct fuse_buf request = { .mem = NULL };
	const void *touched = NULL;

	(void)unused;
	if (face_thread_begin(client) != 0)
		face_say("a thread has no memory and serves nothing");
	else
		while (!fuse_session_exited(session)) {
			int rc = fuse_session_receive_buf(session, &request);

			if (rc == -EINTR)
				continue;
			if (rc <= 0)
				break;
			if (request.mem != touched) {
				touch_stack();
				touch_all(request.mem,
					  malloc_usable_size(request.mem));
				touched = request.mem;
			}
			fuse_session_process_buf(session, &request);
			(*answered)++;
		}
	free(request.mem);
	__atomic_sub_fetch(&threads_left, 1, __ATOMIC_SEQ_CST);
	pthread_kill(main_thread, SIGUSR2);
	return NULL;
}

static int begin_threads(uint64_t count, pthread_t *threads)
{
	threads_left = (sig_atomic_t)count;
	for (uint64_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, serve, NULL) != 0) {
			face_say("no more threads");
			return -1;
		}
	return 0;
}

/* --- the kernel's side ------------------------------------------------------------------------ */

static bool tune(const char *bdi, const char *name, const char *value)
{
	char path[128];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", bdi, name);
	file = fopen(path, "we");
	if (file == NULL)
		return false;
	ok = fputs(value, file) >= 0;
	return fclose(file) == 0 && ok;
}

/* The kernel's number of the folder, without a request to it, which this process would have to
 * answer: killed meanwhile it would wait for itself for ever. */
static int folder_device(unsigned *ret_major, unsigned *ret_minor)
{
	struct statx st;

	if (statx(AT_FDCWD, folder, AT_STATX_DONT_SYNC, STATX_TYPE, &st) != 0)
		return -errno;
	*ret_major = st.stx_dev_major;
	*ret_minor = st.stx_dev_minor;
	return 0;
}

/* Without it the kernel writes the same pages again and again: a file that is stored to
 * by a mapping is ten times slower. */
static void tune_writeback(void)
{
	char bdi[64] = "/sys/class/bdi/...";
	unsigned major, minor;
	bool ok = false;

	if (folder_device(&major, &minor) == 0) {
		snprintf(bdi, sizeof(bdi), "/sys/class/bdi/%u:%u", major, minor);
		ok = tune(bdi, "strict_limit", "0");
		ok = tune(bdi, "max_ratio", "100") && ok;
		ok = tune(bdi, "read_ahead_kb", "1024") && ok;
	}
	if (!ok)
		face_say("stores to mapped files are slow: only root may tune "
			 "%s (strict_limit 0, max_ratio 100, read_ahead_kb 1024)",
			 bdi);
}

static int mount_folder(const struct mount_settings *s)
{
	char text[] = "fsname=extmem,subtype=extmem,default_permissions,allow_other";
	char name[] = "extmem-mount", flag[] = "-o";
	char *argv[] = { name, flag, text, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	if (!s->others)
		*strrchr(text, ',') = '\0';
	session = fuse_session_new(&args, &face_operations, sizeof(face_operations),
				   &face);
	if (session != NULL && fuse_session_mount(session, folder) == 0)
		return 0;
	face_say("%s cannot be mounted%s", folder,
		 access("/dev/fuse", R_OK | W_OK) == 0
			 ? ""
			 : ": /dev/fuse is not here, or not for this user");
	return -1;
}

/* For a swap file. The library's tables are there once something was written into each
 * page of them, which a discard does. */
static int guard(const struct mount_settings *s)
{
	unsigned major, minor;
	int rc = extmem_advise(region, 0, 0, EXTMEM_DONTNEED);

	if (rc != 0)
		face_say("%s", extmem_error());
	if (rc == 0 && (rc = face_lock_memory()) != 0)
		face_say("memory cannot be locked: %s", strerror(-rc));
	if (rc == 0)
		rc = folder_device(&major, &minor);
	if (rc == 0 && (rc = face_watchdog_begin(minor, s->deadline_s,
						 !s->foreground, &answered)) != 0)
		face_say("there can be no watchdog: %s; are the files of "
			 "/sys/fs/fuse/connections there?", strerror(-rc));
	return rc;
}

/* --- from the beginning to the end ------------------------------------------------------------- */

static void signals_of(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR2);
}

/* In a child, which has not the kernel's side: what waits here is answered by threads of the
 * parent, and goes on, with an error, when that is killed. Returns an errno. */
static int unmount_by_child(int flags)
{
	char *argv[] = { (char[]){ "fusermount3" }, (char[]){ "-u" },
			 (char[]){ "-q" }, (char[]){ "-z" }, folder, NULL };
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		close(fuse_session_fd(session));
		if (umount2(folder, flags) == 0)
			_exit(0);
		if (flags == 0)
			_exit(errno);
		execvp(argv[0], argv);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
		       ? WEXITSTATUS(status)
		       : EAGAIN;
}

/* The programs' last stores are still the kernel's: it hands them over meanwhile, so the
 * threads go on. */
static void unmount_folder(void)
{
	int error = unmount_by_child(0);

	if (error == 0)
		return;
	if (error == EBUSY)
		face_say("%s is in use: it ends when the last file there is "
			 "closed, or at the next signal", folder);
	unmount_by_child(MNT_DETACH);
}

/* Returns the exit status. */
static int stay(void)
{
	bool asked = false;
	sigset_t signals;

	signals_of(&signals);
	while (threads_left > 0) {
		int number = 0;

		sigwait(&signals, &number);
		if (number == SIGUSR2)
			continue;
		if (asked) {
			face_say("%s ends at once: what the kernel had not "
				 "written is lost", folder);
			return 1;
		}
		asked = true;
		unmount_folder();
	}
	return 0;
}

/* In the process that serves. `ready_fd`: told when the folder is there; -1: nobody is. */
static int live(const struct mount_settings *s, int ready_fd)
{
	const char *const *settings = make_settings(s);
	pthread_t threads[THREADS_MAX];
	struct statvfs st;
	sigset_t signals;
	int status;

	signals_of(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	main_thread = pthread_self();
	if (settings == NULL || open_client(settings, s) != 0)
		return 1;
	face.appliance = s->appliance.count > 0 ? s->appliance.items[0] : "";
	face.strategy = s->strategy;
	if (mount_folder(s) != 0)
		return 1;
	machine.session = session;
	status = face.machine != NULL ? face_machine_begin(&machine) : 0;
	if (status == 0)
		status = begin_threads(s->threads, threads);
	if (status == 0)
		tune_writeback();
	if (status == 0 && s->swap)
		status = guard(s);
	if (status != 0) {
		unmount_folder();
		_exit(1); /* the threads that there are still serve */
	}
	if (ready_fd >= 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		face_log_begin(true);
		(void)!chdir("/");
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		(void)!write(ready_fd, "", 1);
		close(ready_fd);
	}
	status = stay();
	if (status != 0)
		_exit(status); /* threads are still in requests */
	for (uint64_t i = 0; i < s->threads; i++)
		pthread_join(threads[i], NULL);
	/* The connection was ended. (What stat() says the kernel may have kept.) */
	if (statvfs(folder, &st) != 0 && (errno == ENOTCONN || errno == ECONNABORTED))
		umount2(folder, MNT_DETACH);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	extmem_close(client);
	return 0;
}

static int live_in_background(const struct mount_settings *s)
{
	int ends[2], status = 1;
	char ready;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return 1;
	child = fork();
	if (child == 0) {
		close(ends[0]);
		setsid();
		exit(live(s, ends[1]));
	}
	close(ends[1]);
	if (child > 0 && read(ends[0], &ready, 1) == 1)
		return 0;
	if (child > 0)
		waitpid(child, &status, 0);
	return 1;
}

static int check(const struct mount_settings *s, int argc, char *argv[], int rest)
{
	const char *const *settings = make_settings(s);
	struct stat st;

	if (settings == NULL)
		return 2;
	if (s->size == 0 &&
	    (s->swap || (s->region.count + s->token.count == 0 && s->machine == 0)))
		face_say("how much memory? `extmem mount --size 1G --appliance "
			 "ofi+tcp://host:7470 DIR`");
	else if (s->durable && s->region.count + s->token.count == 0)
		face_say("--durable is for files that are kept: give a --region");
	else if (rest + 1 != argc)
		face_say(rest >= argc ? "which folder?" : "one folder at a time");
	else if (extmem_check(settings) != 0)
		face_say("%s", extmem_error());
	else if (realpath(argv[rest], folder) == NULL || stat(folder, &st) != 0)
		face_say("%s: %s", argv[rest], strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		face_say("%s is no folder", argv[rest]);
	else
		return 0;
	return 2;
}

int main(int argc, char *argv[])
{
	extern char **environ;
	static struct mount_settings settings;
	struct xm_options *o = NULL;
	int rest = argc, rc;

	xm_standard_hold();
	if (xm_options_open(&table, &settings, &o) < 0)
		return 1;
	rc = xm_options_load(o, argc, argv, environ, &rest);
	if (rc == XM_OPTIONS_HELP)
		xm_options_print_help(&table, stdout);
	else if (rc == XM_OPTIONS_VERSION)
		printf("extmem %s\n", extmem_version());
	else if (rc < 0)
		face_say("%s", xm_options_words(o));
	if (rc != 0)
		rc = rc < 0 ? 2 : 0;
	else if ((rc = check(&settings, argc, argv, rest)) == 0)
		rc = settings.foreground ? live(&settings, -1)
					 : live_in_background(&settings);
	xm_options_close(o);
	return rc;
}
