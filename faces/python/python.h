/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C half of `import extmem`: clients, regions, and parts of regions as Python objects,
 * on extmem.h alone. The Python half (extmem/__init__.py) has numpy arrays and what is
 * easier to say there.
 *
 * Lifetimes. A part holds its region, a region its client, and a buffer (memoryview, array)
 * what it shows. `exports` counts the buffers of an object and of all that it holds up: while
 * there is one, its memory is neither freed nor closed. A region whose client was closed
 * stays as an object and refuses everything.
 *
 * Threads. Whatever can wait runs without Python's lock (the GIL); `busy` counts the calls
 * under way, for extmem_close() and extmem_region_free() must not run beside one. All
 * members are read and written with the lock.
 *
 * Processes. A child of fork() refuses all calls, and its objects end without a call.
 */
#ifndef EXTMEM_PYTHON_H
#define EXTMEM_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <extmem.h>

/* extmem.Error: an OSError whose errno is the library's. */
extern PyObject *xm_py_error;
extern PyTypeObject xm_py_client_type, xm_py_region_type, xm_py_part_type;

struct xm_py_client {
	PyObject_HEAD
	extmem *x; /* NULL: closed */
	pid_t pid; /* of the process that opened it */
	Py_ssize_t exports, busy;
};

struct xm_py_region {
	PyObject_HEAD
	extmem_region *region; /* NULL: freed */
	struct xm_py_client *client;
	Py_ssize_t exports, busy;
	int mapped;
	int reads; /* another client's, opened to be read */
	int shrinks; /* calls to resize() that make it smaller: nobody may look */
};

/* A slab or an object. */
struct xm_py_part {
	PyObject_HEAD
	struct xm_py_region *region; /* NULL: freed */
	uint64_t offset, size;
	Py_ssize_t exports;
	int slab;
};

/* Raises extmem.Error for a call that has just returned `rc`, with the library's words, and
 * returns NULL. */
PyObject *xm_py_raise(int rc);
/* The same for what this module refuses; "extmem.NAME: ..." */
PyObject *xm_py_refuse(int number, const char *format, ...);
/* None, or NULL with the error if `rc` is negative. */
PyObject *xm_py_done(int rc);

/* 0, or -1 with an error set: it is closed, or another process's. */
int xm_py_client_check(const struct xm_py_client *);
int xm_py_region_check(const struct xm_py_region *);
/* While it is held, its memory is neither freed nor made smaller, and its client is open. */
void xm_py_region_hold(struct xm_py_region *);
void xm_py_region_release(struct xm_py_region *);
/* Maps a region, if it is not. 0, or -1 with an error set. */
int xm_py_region_map(struct xm_py_region *);
/* 0, or -1 with an error set: [offset, offset + size) is not in it. */
int xm_py_region_within(const struct xm_py_region *, uint64_t offset, uint64_t size);

/* For "O&": an int of Python's that fits; OverflowError, or TypeError, if not. */
int xm_py_u64(PyObject *, void *ret_unsigned_long_long);
int xm_py_u32(PyObject *, void *ret_unsigned_int);

/* Around a call on a region or a client: without Python's lock, and counted. */
#define XM_PY_CALL(self, client, call)                                                      \
	do {                                                                                \
		(self)->busy++;                                                             \
		(client)->busy += (void *)(client) != (void *)(self);                       \
		Py_BEGIN_ALLOW_THREADS call;                                                \
		Py_END_ALLOW_THREADS(client)->busy -= (void *)(client) != (void *)(self);   \
		(self)->busy--;                                                             \
	} while (0)

/* A list of "name=value" as the library wants it, ended by NULL; to be given to PyMem_Free()
 * while `texts`, a new reference to a sequence that keeps the texts, lives. NULL with an error
 * set. */
const char **xm_py_settings(PyObject *list, PyObject **ret_texts);

/* Structs as dicts; new references. */
PyObject *xm_py_stats_dict(const struct extmem_stats *);
PyObject *xm_py_info_dict(const struct extmem_info *);
PyObject *xm_py_status_dict(const struct extmem_status *);
PyObject *xm_py_entry_dict(const struct extmem_region_entry *);
PyObject *xm_py_capabilities_dict(const struct extmem_capabilities *);
PyObject *xm_py_plan_dict(const struct extmem_plan *);

#endif
