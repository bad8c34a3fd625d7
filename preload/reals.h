/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions of libc that the shim stands in front of and calls in the next
 * library in line, shim_real()->NAME; all are looked up at once (shim.c).
 */
#ifndef EXTMEM_RUN_REALS_H
#define EXTMEM_RUN_REALS_H

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* return type, name, arguments: what is looked up */
#define SHIM_REALS(X)                                                         \
	X(void *, malloc, (size_t))                                           \
	X(void *, calloc, (size_t, size_t))                                   \
	X(void *, realloc, (void *, size_t))                                  \
	X(void, free, (void *))                                               \
	X(void *, memalign, (size_t, size_t))                                 \
	X(int, posix_memalign, (void **, size_t, size_t))                     \
	X(void *, aligned_alloc, (size_t, size_t))                            \
	X(void *, valloc, (size_t))                                           \
	X(void *, pvalloc, (size_t))                                          \
	X(size_t, malloc_usable_size, (void *))                               \
	X(void *, __libc_malloc, (size_t))                                    \
	X(void *, __libc_calloc, (size_t, size_t))                            \
	X(void *, __libc_realloc, (void *, size_t))                           \
	X(void, __libc_free, (void *))                                        \
	X(void *, __libc_memalign, (size_t, size_t))                          \
	X(void *, sbrk, (intptr_t))                                           \
	X(void *, mmap, (void *, size_t, int, int, int, off_t))               \
	X(int, munmap, (void *, size_t))                                      \
	X(void *, mremap, (void *, size_t, size_t, int, ...))                 \
	X(int, madvise, (void *, size_t, int))                                \
	X(int, posix_madvise, (void *, size_t, int))                          \
	X(int, mprotect, (void *, size_t, int))                               \
	X(int, msync, (void *, size_t, int))                                  \
	X(ssize_t, read, (int, void *, size_t))                               \
	X(ssize_t, write, (int, const void *, size_t))                        \
	X(ssize_t, pread64, (int, void *, size_t, off64_t))                   \
	X(ssize_t, pwrite64, (int, const void *, size_t, off64_t))            \
	X(ssize_t, readv, (int, const struct iovec *, int))                   \
	X(ssize_t, writev, (int, const struct iovec *, int))                  \
	X(ssize_t, preadv64, (int, const struct iovec *, int, off64_t))       \
	X(ssize_t, pwritev64, (int, const struct iovec *, int, off64_t))      \
	X(ssize_t, preadv64v2, (int, const struct iovec *, int, off64_t,      \
				int))                                         \
	X(ssize_t, pwritev64v2, (int, const struct iovec *, int, off64_t,     \
				 int))                                        \
	X(ssize_t, process_vm_readv, (pid_t, const struct iovec *,            \
				      unsigned long, const struct iovec *,    \
				      unsigned long, unsigned long))          \
	X(ssize_t, process_vm_writev, (pid_t, const struct iovec *,           \
				       unsigned long, const struct iovec *,   \
				       unsigned long, unsigned long))         \
	X(ssize_t, vmsplice, (int, const struct iovec *, size_t, unsigned))   \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int,               \
			  struct timespec *))                                 \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))              \
	X(ssize_t, recv, (int, void *, size_t, int))                          \
	X(ssize_t, send, (int, const void *, size_t, int))                    \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *,    \
			      socklen_t *))                                   \
	X(ssize_t, sendto, (int, const void *, size_t, int,                   \
			    const struct sockaddr *, socklen_t))              \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                      \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                \
	X(ssize_t, getrandom, (void *, size_t, unsigned))                     \
	X(size_t, fread, (void *, size_t, size_t, FILE *))                    \
	X(size_t, fread_unlocked, (void *, size_t, size_t, FILE *))           \
	X(size_t, fwrite, (const void *, size_t, size_t, FILE *))             \
	X(size_t, fwrite_unlocked, (const void *, size_t, size_t, FILE *))    \
	X(int, fputs, (const char *, FILE *))                                 \
	X(int, fputs_unlocked, (const char *, FILE *))                        \
	X(int, puts, (const char *))                                          \
	X(int, setvbuf, (FILE *, char *, int, size_t))                        \
	X(int, open64, (const char *, int, ...))                              \
	X(int, openat64, (int, const char *, int, ...))                       \
	X(FILE *, fopen64, (const char *, const char *))                      \
	X(DIR *, opendir, (const char *))                                     \
	X(int, stat, (const char *, struct stat *))                           \
	X(int, lstat, (const char *, struct stat *))                          \
	X(int, fstat, (int, struct stat *))                                   \
	X(int, fstatat, (int, const char *, struct stat *, int))              \
	X(int, statx, (int, const char *, int, unsigned, struct statx *))     \
	X(int, access, (const char *, int))                                   \
	X(ssize_t, readlink, (const char *, char *, size_t))                  \
	X(ssize_t, readlinkat, (int, const char *, char *, size_t))           \
	X(char *, getcwd, (char *, size_t))                                   \
	X(int, chdir, (const char *))                                         \
	X(int, mkdir, (const char *, mode_t))                                 \
	X(int, rmdir, (const char *))                                         \
	X(int, unlink, (const char *))                                        \
	X(int, rename, (const char *, const char *))                          \
	X(int, poll, (struct pollfd *, nfds_t, int))                          \
	X(int, sigaction, (int, const struct sigaction *,                     \
			   struct sigaction *))                               \
	X(sighandler_t, signal, (int, sighandler_t))                          \
	X(int, sigprocmask, (int, const sigset_t *, sigset_t *))              \
	X(int, pthread_sigmask, (int, const sigset_t *, sigset_t *))          \
	X(int, sigsuspend, (const sigset_t *))                                \
	X(sighandler_t, __sysv_signal, (int, sighandler_t))                   \
	X(sighandler_t, sigset, (int, sighandler_t))                          \
	X(int, sighold, (int))                                                \
	X(int, siginterrupt, (int, int))                                      \
	X(int, sigblock, (int))                                               \
	X(int, sigsetmask, (int))                                             \
	X(void, siglongjmp, (struct __jmp_buf_tag *, int))                    \
	X(void, __longjmp_chk, (struct __jmp_buf_tag *, int))                 \
	X(int, setcontext, (const ucontext_t *))                              \
	X(int, swapcontext, (ucontext_t *, const ucontext_t *))               \
	X(int, timer_create, (clockid_t, struct sigevent *, timer_t *))       \
	X(int, mq_notify, (int, const struct sigevent *))                     \
	X(int, aio_read64, (struct aiocb64 *))                                \
	X(int, aio_write64, (struct aiocb64 *))                               \
	X(int, aio_fsync, (int, struct aiocb *))                              \
	X(int, lio_listio, (int, struct aiocb *const[], int,                  \
			    struct sigevent *))                               \
	X(int, getaddrinfo_a, (int, struct gaicb *[], int,                    \
			       struct sigevent *))                            \
	X(int, sigaltstack, (const stack_t *, stack_t *))                     \
	X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *,      \
		       const sigset_t *))                                     \
	X(int, pselect, (int, fd_set *, fd_set *, fd_set *,                   \
			 const struct timespec *, const sigset_t *))          \
	X(int, epoll_pwait, (int, struct epoll_event *, int, int,             \
			     const sigset_t *))                               \
	X(int, epoll_pwait2, (int, struct epoll_event *, int,                 \
			      const struct timespec *, const sigset_t *))     \
	X(int, pthread_attr_setstack, (pthread_attr_t *, void *, size_t))     \
	X(int, pthread_create, (pthread_t *, const pthread_attr_t *,          \
				void *(*)(void *), void *))                   \
	X(int, execve, (const char *, char *const[], char *const[]))          \
	X(int, execvpe, (const char *, char *const[], char *const[]))         \
	X(int, fexecve, (int, char *const[], char *const[]))                  \
	X(int, execveat, (int, const char *, char *const[], char *const[],    \
			  int))                                               \
	X(int, posix_spawn, (pid_t *, const char *,                           \
			     const posix_spawn_file_actions_t *,              \
			     const posix_spawnattr_t *, char *const[],        \
			     char *const[]))                                  \
	X(int, posix_spawnp, (pid_t *, const char *,                          \
			      const posix_spawn_file_actions_t *,             \
			      const posix_spawnattr_t *, char *const[],       \
			      char *const[]))                                 \
	X(char *, getenv, (const char *))                                     \
	X(char *, secure_getenv, (const char *))                              \
	X(int, system, (const char *))                                        \
	X(FILE *, popen, (const char *, const char *))                        \
	X(pid_t, fork, (void))                                                \
	X(pid_t, _Fork, (void))                                               \
	X(int, clone, (int (*)(void *), void *, int, void *, ...))            \
	X(int, prctl, (int, ...))                                             \
	X(int, chroot, (const char *))                                        \
	X(int, capset, (cap_user_header_t, const cap_user_data_t))            \
	X(int, setrlimit64, (__rlimit_resource_t, const struct rlimit64 *))   \
	X(int, prlimit64, (pid_t, enum __rlimit_resource,                     \
			   const struct rlimit64 *, struct rlimit64 *))       \
	X(int, setns, (int, int))                                             \
	X(int, unshare, (int))                                                \
	X(int, setuid, (uid_t))                                               \
	X(int, seteuid, (uid_t))                                              \
	X(int, setreuid, (uid_t, uid_t))                                      \
	X(int, setresuid, (uid_t, uid_t, uid_t))                              \
	X(int, setgid, (gid_t))                                               \
	X(int, setegid, (gid_t))                                              \
	X(int, setregid, (gid_t, gid_t))                                      \
	X(int, setresgid, (gid_t, gid_t, gid_t))                              \
	X(int, setgroups, (size_t, const gid_t *))                            \
	X(int, __register_atfork, (void (*)(void), void (*)(void),            \
				   void (*)(void), void *))                   \
	X(int, socket, (int, int, int))                                       \
	X(int, socketpair, (int, int, int, int[2]))                           \
	X(int, pipe2, (int[2], int))                                          \
	X(int, accept, (int, struct sockaddr *, socklen_t *))                 \
	X(int, accept4, (int, struct sockaddr *, socklen_t *, int))           \
	X(int, eventfd, (unsigned, int))                                      \
	X(int, epoll_create, (int))                                           \
	X(int, epoll_create1, (int))                                          \
	X(int, timerfd_create, (int, int))                                    \
	X(int, memfd_create, (const char *, unsigned))                        \
	X(int, ioctl, (int, unsigned long, ...))                              \
	X(long, syscall, (long, ...))                                         \
	X(int, close, (int))                                                  \
	X(int, dup2, (int, int))                                              \
	X(int, dup3, (int, int, int))                                         \
	X(int, close_range, (unsigned, unsigned, int))                        \
	X(void, _exit, (int))

struct shim_reals {
#define SHIM_REAL_SLOT(type, name, arguments) type(*name) arguments;
	SHIM_REALS(SHIM_REAL_SLOT)
#undef SHIM_REAL_SLOT
};

#endif
