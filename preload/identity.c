/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of user, group and namespace that the library's threads prevent.
 *
 * For the kernel each thread has a user and a group of its own. libc changes them
 * in all threads, and ends the process if that fails in one thread after it
 * succeeded in another. Capabilities belong to each thread, too: if the program's
 * thread has kept them over a change (PR_SET_KEEPCAPS, securebits), it may make the
 * next change, but the library's threads may not. So their capabilities are
 * compared before the call, and the call is refused if they would fail. A user
 * namespace can be entered only by a process with one thread: the kernel refuses
 * that, and here a message says why.
 */
#include "preload/fork.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

static bool may(int tid, int capability, bool *ret)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3, .pid = tid
	};
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 } };

	if (shim_raw(SYS_capget, (long)&header, (long)data, 0, 0, 0, 0) < 0)
		return false;
	*ret = (data[0].effective >> capability & 1) != 0;
	return true;
}

/* True: this thread may, and one of ours may not. */
static bool refused(const char *call, int capability)
{
	bool mine = false, other = false;
	int tid;

	opening_now(); /* afterwards it may not be allowed */
	if (!atomic_load(&shim_ready) || shim_inside ||
	    getpid() != shim_owner || !may(gettid(), capability, &mine) ||
	    !mine)
		return false;
	for (unsigned i = 0; thread_ours_at(i, &tid); i++) {
		if (tid == 0 || !may(tid, capability, &other) || other)
			continue;
		shim_say("%s: refused: this process has threads, those of its "
			 "external memory, that may not do it any more; do it "
			 "first, and extmem run then",
			 call);
		errno = EPERM;
		return true;
	}
	return false;
}

SHIM_EXPORT int setuid(uid_t user)
{
	return refused("setuid", CAP_SETUID) ? -1 : shim_real()->setuid(user);
}

SHIM_EXPORT int seteuid(uid_t user)
{
	return refused("seteuid", CAP_SETUID) ? -1
					      : shim_real()->seteuid(user);
}

SHIM_EXPORT int setreuid(uid_t real, uid_t effective)
{
	return refused("setreuid", CAP_SETUID)
		       ? -1
		       : shim_real()->setreuid(real, effective);
}

SHIM_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return refused("setresuid", CAP_SETUID)
		       ? -1
		       : shim_real()->setresuid(real, effective, saved);
}

SHIM_EXPORT int setgid(gid_t group)
{
	return refused("setgid", CAP_SETGID) ? -1 : shim_real()->setgid(group);
}

SHIM_EXPORT int setegid(gid_t group)
{
	return refused("setegid", CAP_SETGID) ? -1
					      : shim_real()->setegid(group);
}

SHIM_EXPORT int setregid(gid_t real, gid_t effective)
{
	return refused("setregid", CAP_SETGID)
		       ? -1
		       : shim_real()->setregid(real, effective);
}

SHIM_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return refused("setresgid", CAP_SETGID)
		       ? -1
		       : shim_real()->setresgid(real, effective, saved);
}

SHIM_EXPORT int setgroups(size_t count, const gid_t *list)
{
	return refused("setgroups", CAP_SETGID)
		       ? -1
		       : shim_real()->setgroups(count, list);
}

/* Once the namespace of its children's numbers is another one, a process can have no
 * more threads. */
static void before_namespace(int flags)
{
	if ((flags & CLONE_NEWPID) != 0 && !shim_inside)
		fork_get_ready();
}

SHIM_EXPORT int setns(int fd, int type)
{
	opening_call(SYS_setns);
	before_namespace(type == 0 ? CLONE_NEWPID : type);
	return shim_real()->setns(fd, type);
}

SHIM_EXPORT int unshare(int flags)
{
	int r;

	if ((flags & CLONE_NEWUSER) == 0) /* with threads it cannot be begun */
		opening_now();
	before_namespace(flags);
	r = shim_real()->unshare(flags);
	if (r < 0 && errno == EINVAL && (flags & CLONE_NEWUSER) != 0 &&
	    getpid() == shim_owner && atomic_load(&shim_ready))
		shim_say("a user namespace cannot be begun here: this process "
			 "has threads, those of its external memory; begin it "
			 "first, and extmem run in it");
	return r;
}
