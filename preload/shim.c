/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shim's start and end: finds the real functions, opens the client,
 * keeps the statistics current, and says what became of a fork.
 *
 * The real functions are looked up all at once by dlsym(RTLD_NEXT), which may
 * itself allocate: until they are known, allocations come from a small static
 * arena (malloc.c). The client is opened by a constructor, so that an
 * appliance that cannot be reached is said before the program begins, with
 * exit status 127; whatever allocates before that is local.
 *
 * What stays local: anything below the threshold, what libc and the loader ask
 * for themselves, everything on the library's own threads (those made while a
 * thread is inside the library), and what the library asks for while it works
 * on a thread of the program; so a fault that is served there cannot lead to
 * another.
 *
 * Children. By default LD_PRELOAD and our variables leave the environment at
 * once, so that children run plain; what this very process turns itself into
 * by exec (env, nice, a script's interpreter, sh -c) has them back: exec.c.
 * What a child of fork() has of external memory: fork.h.
 */
#include "preload/fork.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

#define LIBRARY_SPANS_MAX 64
#define REFRESH_MS 100

struct shim_reals shim_reals;
_Atomic bool shim_resolved;
_Thread_local int shim_inside __attribute__((tls_model("initial-exec")));
_Atomic bool shim_ready;
extmem *shim_client;
uint64_t shim_threshold;
uint64_t shim_external;
uint64_t shim_limit;
_Atomic uint64_t shim_local;
uint32_t shim_percent;
int shim_advice = -1;
bool shim_overflow_local;
bool shim_kernel_faults;

static struct run_shared shared_here;
struct run_shared *shim_shared = &shared_here;

static struct shim_span library_spans[LIBRARY_SPANS_MAX];
static unsigned library_span_count;
struct shim_span shim_libc, shim_loader;

static pthread_mutex_t refresh_lock = PTHREAD_MUTEX_INITIALIZER;
pid_t shim_owner;
unsigned shim_nesting;

static const char fork_note[] =
	"extmem run: a child made by fork() touched external memory, which "
	"only its parent has: by --fork=absent, or because a snapshot could "
	"not be had; see extmem(1), FORK\n";

/* --- words ------------------------------------------------------------------ */

void shim_say(const char *format, ...)
{
	char line[640];
	va_list arguments;
	int n = snprintf(line, sizeof(line), "extmem run: "), m;
	int error = errno;

	va_start(arguments, format);
	m = vsnprintf(line + n, sizeof(line) - n - 1, format, arguments);
	va_end(arguments);
	n += m < 0 ? 0 : m;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (shim_real()->write(STDERR_FILENO, line, n) < 0)
		return; /* there is nobody to tell */
	errno = error;
}

/* Of the pure files that the shim has of its own. */
void xm_assert_failed(const char *condition, const char *file, int line)
{
	shim_say("%s:%d: this should never be: not %s", file, line, condition);
	abort();
}

static _Noreturn void refuse(const char *words)
{
	snprintf(shim_shared->words, sizeof(shim_shared->words), "%s", words);
	atomic_store(&shim_shared->state, RUN_REFUSED);
	shim_say("%s", words);
	shim_real()->_exit(125);
	__builtin_unreachable();
}

/* --- the real functions ----------------------------------------------------- */

static pthread_mutex_t resolve_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void shim_resolve(void)
{
	static bool busy;

	/* Recursive: dlsym may allocate, and comes back here; malloc.c sees
	 * the empty slot and serves it from the static arena. */
	pthread_mutex_lock(&resolve_lock);
	if (!busy && !atomic_load(&shim_resolved)) {
		busy = true;
#define SHIM_REAL_FIND(type, name, arguments)                                 \
	*(void **)&shim_reals.name = dlsym(RTLD_NEXT, #name);
		SHIM_REALS(SHIM_REAL_FIND)
#undef SHIM_REAL_FIND
		atomic_store_explicit(&shim_resolved, true,
				      memory_order_release);
		busy = false;
	}
	pthread_mutex_unlock(&resolve_lock);
}

/* --- who calls -------------------------------------------------------------- */

static bool is_library(const char *path)
{
	static const char *const names[] = {
		"libextmem", "libfabric", "libibverbs", "librdmacm",
		"libpsm",    "libnl-",	  "libnuma",	"libefa",
		"libucp",    "libmlx",	  "libinfinipath",
	};
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static bool is_named(const char *path, const char *name)
{
	const char *last = strrchr(path, '/');

	return strncmp(last ? last + 1 : path, name, strlen(name)) == 0;
}

static void note_span(const struct dl_phdr_info *info, struct shim_span *ret)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X))
			continue;
		ret->first = info->dlpi_addr + h->p_vaddr;
		ret->last = ret->first + h->p_memsz;
	}
}

static int note_library(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!info->dlpi_name)
		return 0;
	if (is_named(info->dlpi_name, "libc.so"))
		note_span(info, &shim_libc);
	if (is_named(info->dlpi_name, "ld-linux"))
		note_span(info, &shim_loader);
	if (!is_library(info->dlpi_name))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X) ||
		    library_span_count == LIBRARY_SPANS_MAX)
			continue;
		library_spans[library_span_count++] = (struct shim_span){
			.first = info->dlpi_addr + h->p_vaddr,
			.last = info->dlpi_addr + h->p_vaddr + h->p_memsz,
		};
	}
	return 0;
}

bool shim_called_by_library(const void *address)
{
	uintptr_t a = (uintptr_t)address;

	for (unsigned i = 0; i < library_span_count; i++)
		if (a >= library_spans[i].first && a < library_spans[i].last)
			return true;
	return false;
}

void shim_section_begin(struct shim_section *section)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section->cancel);
	shim_inside++;
}

void shim_section_end(const struct shim_section *section)
{
	int unused;

	if (--shim_inside == 0)
		handler_resume();
	pthread_setcancelstate(section->cancel, &unused);
}

/* --- statistics -------------------------------------------------------------- */

static void refresh(void)
{
	static struct extmem_stats stats; /* both under refresh_lock */
	static struct extmem_info info;
	struct run_shared *s = shim_shared;

	shim_enter();
	pthread_mutex_lock(&refresh_lock);
	stats.size = sizeof(stats);
	if (shim_client && extmem_stats(shim_client, &stats) >= 0) {
		atomic_fetch_add(&s->generation, 1);
		s->stats = stats;
		snprintf(s->lost, sizeof(s->lost), "%s",
			 extmem_lost(shim_client));
		s->lost[strcspn(s->lost, "\n")] = '\0';
		if (stats.region_bytes > s->region_bytes_peak)
			s->region_bytes_peak = stats.region_bytes;
		for (unsigned i = 0; i < RUN_APPLIANCES_MAX; i++) {
			struct run_appliance *a = &s->appliances[i];

			info.size = sizeof(info);
			if (extmem_info(shim_client, i, &info) < 0)
				break;
			s->appliance_count = i + 1;
			memcpy(a->appliance, info.appliance,
			       sizeof(a->appliance));
			memcpy(a->name, info.name, sizeof(a->name));
			memcpy(a->transport, info.transport,
			       sizeof(a->transport));
			memcpy(a->provider, info.provider,
			       sizeof(a->provider));
			memcpy(a->version, info.version, sizeof(a->version));
			memcpy(a->endpoint, info.endpoint,
			       sizeof(a->endpoint));
			memcpy(a->paging, info.paging, sizeof(a->paging));
			memcpy(a->paging_reason, info.paging_reason,
			       sizeof(a->paging_reason));
			memcpy(a->state, info.state, sizeof(a->state));
		}
		s->lease_count = (uint32_t)extmem_leases(
			shim_client, s->leases, RUN_APPLIANCES_MAX);
		atomic_fetch_add(&s->generation, 1);
	}
	pthread_mutex_unlock(&refresh_lock);
	shim_leave();
}

#define STATUS_TIMEOUT_MS 1000

/* What the appliances have left, if growth.c wants to know. */
static void note_free(void)
{
	uint64_t total = 0;

	if (!growth_asks_free())
		return;
	for (uint32_t i = 0; i < shim_shared->appliance_count; i++) {
		struct extmem_status status = { .size = sizeof(status) };

		if (extmem_status(shim_shared->appliances[i].appliance,
				  STATUS_TIMEOUT_MS, &status) >= 0)
			total += status.free_run;
	}
	growth_note_free(total);
}

static void *refresh_thread(void *unused)
{
	const struct timespec nap = { .tv_nsec = REFRESH_MS * 1000000L };

	(void)unused;
	for (;;) {
		note_free();
		nanosleep(&nap, NULL);
		refresh();
	}
	return NULL;
}

static void refresh_start(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	/* The program's signals are for the program's threads. */
	sigfillset(&all);
	shim_real()->pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	shim_inside++;
	if (pthread_create(&thread, &attributes, refresh_thread, NULL) != 0)
		shim_say("no thread for statistics; they come at exit alone");
	shim_inside--;
	pthread_attr_destroy(&attributes);
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- fork -------------------------------------------------------------------- */

static void on_child_segv(int number)
{
	(void)number;
	if (shim_reals.write(STDERR_FILENO, fork_note, sizeof(fork_note) - 1))
		signal(SIGSEGV, SIG_DFL); /* and the access again */
}

void shim_forked(void)
{
	struct sigaction action;

	signal_forked();
	shim_shared = &shared_here; /* the parent's figures are its own */
	present_start();
	/* What served the kernel's touches has stayed with the parent. */
	if (shim_kernel_faults) {
		shim_kernel_faults = false;
		trap_start();
	}
	if (atomic_load(&block_high) == 0 || atomic_load(&child_serves) ||
	    shim_real()->sigaction(SIGSEGV, NULL, &action) < 0 ||
	    action.sa_handler != SIG_DFL)
		return;
	action = (struct sigaction){ .sa_handler = on_child_segv };
	shim_real()->sigaction(SIGSEGV, &action, NULL);
}

/* --- start -------------------------------------------------------------------- */

/* As `extmem run` says it; or, where the shim is loaded by LD_PRELOAD alone, as
 * one says it to `extmem run`: EXTMEM_NAME for EXTMEM_RUN_NAME. */
static const char *setting(const char *name)
{
	const char *text = exec_variable(name);
	char other[64];

	if (text)
		return text;
	snprintf(other, sizeof(other), "EXTMEM_%s",
		 name + strlen(RUN_ENV_PREFIX));
	return exec_variable(other);
}

static uint64_t size_from(const char *name)
{
	static const char units[] = "KMGT";
	const char *text = setting(name), *unit;
	char *end, words[256];
	uint64_t n;

	if (!text || !*text)
		return 0;
	n = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit)
		n <<= 10 * (unit - units + 1);
	if (end == text || (*end && (!unit || end[1]))) {
		snprintf(words, sizeof(words),
			 "%s=%s is no size: 64M, 2G", name, text);
		refuse(words);
	}
	return n;
}

static char own_file[64]; /* "": somebody else's, or none */

/* A file of our own, for `extmem top`. Without one there are no figures to be
 * seen, and that is all. */
static void make_shared(void)
{
	struct run_shared *p;
	int fd;

	snprintf(own_file, sizeof(own_file), RUN_FOLDER "/" RUN_FILE_PREFIX
		 "%u.%d", (unsigned)getuid(), (int)getpid());
	fd = shim_real()->open64(own_file,
				 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		own_file[0] = '\0';
		return;
	}
	fd = descriptor_keep(fd);
	p = ftruncate(fd, sizeof(*p)) < 0 || flock(fd, LOCK_SH) < 0
		    ? MAP_FAILED
		    : shim_real()->mmap(NULL, sizeof(*p),
					PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					0);
	if (p == MAP_FAILED) {
		shim_real()->unlink(own_file);
		own_file[0] = '\0';
		return;
	}
	p->pid = (uint32_t)getpid();
	snprintf(p->program, sizeof(p->program), "%.63s",
		 program_invocation_short_name);
	p->magic = RUN_MAGIC;
	shim_shared = p;
}

/* What this process was before exec() is gone, and its leases may end. Those
 * that find no room end by themselves. */
static void become_former(void)
{
	struct run_shared *s = shim_shared;
	uint32_t n = atomic_load(&s->former_count);

	for (uint32_t i = 0; i < s->lease_count && n < RUN_FORMER_MAX; i++)
		s->former[n++] = s->leases[i];
	s->lease_count = 0;
	atomic_store(&s->former_count, n);
}

static void map_shared(void)
{
	const char *text = exec_variable(RUN_ENV_SHARED_FD);
	struct stat status;
	void *p;
	int fd;

	if (!text || !*text) {
		make_shared();
		return;
	}
	fd = atoi(text);
	if (fd < 3 || shim_real()->fstat(fd, &status) < 0 ||
	    status.st_size != sizeof(struct run_shared))
		return;
	p = shim_real()->mmap(NULL, sizeof(struct run_shared),
			      PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return;
	if (((struct run_shared *)p)->magic != RUN_MAGIC ||
	    ((struct run_shared *)p)->pid != (uint32_t)getpid()) {
		shim_real()->munmap(p, sizeof(struct run_shared));
		return;
	}
	shim_shared = p;
	become_former();
}

/* A share of what the program uses: block.c raises it, up to that share of all
 * it may have, or of this machine's memory. */
static unsigned local_settings(char texts[2][160])
{
	const char *text = setting(RUN_ENV_LOCAL);
	uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * SHIM_PAGE;

	if (!text || !*text)
		return 0;
	if (text[strlen(text) - 1] != '%') {
		snprintf(texts[0], sizeof(texts[0]), "local=%s", text);
		return 1;
	}
	shim_percent = (uint32_t)atoi(text);
	if (shim_percent < 1 || shim_percent > 100)
		refuse("EXTMEM_LOCAL: a share is from 1% to 100%");
	if (shim_external && shim_external < most)
		most = shim_external;
	if (shim_limit && shim_limit < most)
		most = shim_limit;
	most = most / 100 * shim_percent;
	snprintf(texts[0], sizeof(texts[0]), "local=%llu",
		 (unsigned long long)RUN_LOCAL_FLOOR);
	snprintf(texts[1], sizeof(texts[1]), "local_max=%llu",
		 (unsigned long long)(most > RUN_LOCAL_FLOOR ? most
							     : RUN_LOCAL_FLOOR));
	return 2;
}

/* The library knows of no shares: it is not to see that variable. */
static void open_without_share(const char *const settings[], int *ret)
{
	static char nothing[] = RUN_ENV_PREFIX "NOTHING=";
	char **e = environ, *share = NULL;
	size_t n;

	for (; e && *e; e++) {
		n = strlen(*e);
		if (strncmp(*e, "EXTMEM_LOCAL=", 13) == 0 &&
		    (*e)[n - 1] == '%') {
			share = *e;
			*e = nothing;
			break;
		}
	}
	*ret = extmem_open(settings, &shim_client);
	if (share)
		*e = share;
}

/* The settings for extmem_open() that were given to us; what was not, the
 * library finds by itself. */
static int open_client(void)
{
	static char texts[RUN_APPLIANCES_MAX + 3][160];
	const char *settings[RUN_APPLIANCES_MAX + 4];
	const char *text;
	unsigned count = 0;
	int r;

	text = exec_variable(RUN_ENV_APPLIANCES);
	while (text && *text && count < RUN_APPLIANCES_MAX) {
		size_t n = strcspn(text, "\n");

		snprintf(texts[count], sizeof(texts[count]), "appliance=%.*s",
			 (int)n, text);
		settings[count] = texts[count];
		count++;
		text += n + (text[n] == '\n');
	}
	for (unsigned n = local_settings(texts + count); n > 0; n--) {
		settings[count] = texts[count];
		count++;
	}
	text = exec_variable(RUN_ENV_PAGING);
	if (text && *text) {
		snprintf(texts[count], sizeof(texts[count]), "paging=%s", text);
		settings[count] = texts[count];
		count++;
	}
	settings[count] = NULL;
	open_without_share(settings, &r);
	return r;
}

/* Faults by a thread with privilege serve the kernel's touches too; else its
 * calls are watched. */
static void start_calls(void)
{
	const char *text = setting(RUN_ENV_CALLS);
	struct extmem_info info = { .size = sizeof(info) };
	bool wrap = text && strcmp(text, "wrap") == 0;
	int error = 0;

	shim_kernel_faults = extmem_info(shim_client, 0, &info) == 0 &&
			     info.kernel_touches != 0;
	if (!wrap)
		error = trap_start();
	if (error < 0 && !shim_kernel_faults && text &&
	    strcmp(text, "trap") == 0) {
		char words[256];

		snprintf(words, sizeof(words), "--calls=trap: seccomp is not "
			 "to be had here: %s", strerror(-error));
		refuse(words);
	}
	snprintf(shim_shared->calls, sizeof(shim_shared->calls), "%s",
		 shim_kernel_faults ? "by the kernel"
		 : trap_installed   ? "trapped"
				    : "wrapped");
	if (shim_threshold == 0)
		shim_threshold = shim_kernel_faults || trap_installed
					 ? 1
					 : RUN_THRESHOLD_WRAPPED;
}

/* False: too deep. What we start is one deeper; the variable is changed where
 * it is, since not every program's setenv(3) works yet. */
static bool note_nesting(void)
{
	char *text = (char *)(uintptr_t)exec_variable(RUN_ENV_NESTING);

	if (!text || strlen(text) != 2)
		return true;
	shim_nesting = (unsigned)atoi(text);
	if (shim_nesting >= RUN_NESTING_MAX) {
		shim_say("%u programs that this one comes from have external "
			 "memory; this one has none",
			 shim_nesting);
		return false;
	}
	text[0] = (char)('0' + (shim_nesting + 1) / 10);
	text[1] = (char)('0' + (shim_nesting + 1) % 10);
	return true;
}

__attribute__((constructor)) static void start(void)
{
	const char *text;
	char words[512];
	bool plain_children;

	shim_real();
	if (!note_nesting())
		return;
	map_shared();
	shim_threshold = size_from(RUN_ENV_THRESHOLD);
	shim_external = size_from(RUN_ENV_EXTERNAL);
	shim_limit = size_from(RUN_ENV_LIMIT);
	text = setting(RUN_ENV_ADVISE);
	shim_advice = !text || !*text			 ? -1
		      : strcmp(text, "sequential") == 0 ? EXTMEM_SEQUENTIAL
		      : strcmp(text, "random") == 0	 ? EXTMEM_RANDOM
							 : EXTMEM_NORMAL;
	text = setting(RUN_ENV_OVERFLOW);
	shim_overflow_local = text && strcmp(text, "local") == 0;
	text = setting(RUN_ENV_CHILDREN);
	plain_children = !text || strcmp(text, "same") != 0;

	text = setting(RUN_ENV_FORK);
	fork_policy = text && strcmp(text, "absent") == 0   ? FORK_ABSENT
		      : text && strcmp(text, "refuse") == 0 ? FORK_REFUSE
							    : FORK_SNAPSHOT;

	dl_iterate_phdr(note_library, NULL);
	shim_inside++;
	signal_start();
	if (open_client() < 0) {
		snprintf(words, sizeof(words), "%s", extmem_error());
		refuse(words);
	}
	environment_start();
	signal_opened();
	library_span_count = 0; /* providers may have been loaded */
	dl_iterate_phdr(note_library, NULL);
	shim_owner = getpid();
	refresh();
	shim_local = shim_shared->stats.local_limit;
	start_calls();
	exec_start(plain_children);
	shim_shared->percent = shim_percent;
	shim_shared->threshold = shim_threshold;
	arena_start();
	present_start();
	thread_start();
	fork_start();
	atomic_store(&shim_shared->state, RUN_ATTACHED);
	refresh_start();
	shim_inside--;
	atomic_store_explicit(&shim_ready, true, memory_order_release);
}

/* The client is left open: other threads, and destructors after ours, may
 * still use what is in it. `extmem run` ends its lease. */
static void finish(bool flushes, int status)
{
	if (!shim_client || getpid() != shim_owner ||
	    !atomic_load(&shim_ready))
		return;
	broker_linger(flushes, status);
	refresh();
	atomic_store(&shim_shared->state, RUN_ENDED);
	if (own_file[0])
		shim_real()->unlink(own_file);
	if (broker_lingered(&status))
		shim_real()->_exit(status);
}

__attribute__((destructor)) static void at_exit(void)
{
	finish(true, -1);
}

SHIM_EXPORT void _exit(int status)
{
	finish(false, status & 0xff);
	shim_real()->_exit(status);
	__builtin_unreachable();
}

SHIM_EXPORT void _Exit(int status)
{
	_exit(status);
}
