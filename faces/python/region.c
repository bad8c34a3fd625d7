/* SPDX-License-Identifier: BSD-3-Clause */
/* A region as a Python object, which has the buffer protocol; see python.h. */
#include "faces/python/python.h"

#include <errno.h>
#include <unistd.h>

int xm_py_region_check(const struct xm_py_region *self)
{
	if (self->region == NULL)
		xm_py_refuse(EINVAL, "extmem.Region: it is freed");
	else if (self->client->x == NULL)
		xm_py_refuse(EINVAL, "extmem.Region: its client is closed");
	else
		return xm_py_client_check(self->client);
	return -1;
}

int xm_py_region_within(const struct xm_py_region *self, uint64_t offset, uint64_t size)
{
	uint64_t whole = extmem_region_size(self->region);

	if (offset <= whole && size <= whole - offset)
		return 0;
	xm_py_refuse(ERANGE, "extmem.Region: bytes %llu to %llu are not in it: it has %llu",
		     (unsigned long long)offset, (unsigned long long)(offset + size),
		     (unsigned long long)whole);
	return -1;
}

void xm_py_region_hold(struct xm_py_region *self)
{
	self->exports++;
	self->client->exports++;
}

void xm_py_region_release(struct xm_py_region *self)
{
	self->exports--;
	self->client->exports--;
}

int xm_py_region_map(struct xm_py_region *self)
{
	void *address;
	int rc;

	if (self->shrinks) {
		xm_py_refuse(EBUSY, "extmem.Region: another thread makes it smaller: wait for "
				    "that thread first");
		return -1;
	}
	if (self->mapped)
		return 0;
	XM_PY_CALL(self, self->client, rc = extmem_map(self->region, 0, 0, &address););
	if (rc < 0) {
		xm_py_raise(rc);
		return -1;
	}
	self->mapped = 1;
	return 0;
}

static PyObject *region_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
	static char *names[] = { "client", "size",   "name",  "strategy", "tracked",
				 "sealed", "token", "kept", "reads", NULL };
	struct extmem_request request = { .size = sizeof(request) };
	struct xm_py_client *client;
	struct xm_py_region *self;
	unsigned long long size;
	const char *token = NULL;
	int tracked = 0, sealed = 0, kept = 0, reads = 0, rc;

	if (!PyArg_ParseTupleAndKeywords(args, named, "O!O&|zzppzpp", names, &xm_py_client_type,
					 &client, xm_py_u64, &size, &request.name, &request.strategy,
					 &tracked, &sealed, &token, &kept, &reads) ||
	    xm_py_client_check(client) < 0)
		return NULL;
	request.region_size = size;
	request.flags = (tracked ? EXTMEM_TRACKED : 0) | (sealed ? EXTMEM_SEALED : 0);
	self = (struct xm_py_region *)type->tp_alloc(type, 0);
	if (self == NULL)
		return NULL;
	Py_INCREF((PyObject *)client);
	self->client = client;
	self->reads = reads;
	XM_PY_CALL(self, client,
		   rc = token == NULL
			      ? extmem_region_request(client->x, &request, &self->region)
			: reads ? extmem_region_open(client->x, token, 0, &self->region)
			      : extmem_region_adopt(client->x, token,
						    kept ? EXTMEM_ADOPT_KEPT : 0,
						    &self->region););
	if (rc < 0) {
		xm_py_raise(rc);
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	return (PyObject *)self;
}

static void region_dealloc(PyObject *object)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	struct xm_py_client *client = self->client;
	extmem_region *region = self->region;

	self->region = NULL;
	if (region != NULL && client->x != NULL && client->pid == getpid()) {
		client->busy++;
		Py_BEGIN_ALLOW_THREADS
		extmem_region_free(region);
		Py_END_ALLOW_THREADS
		client->busy--;
	}
	Py_XDECREF((PyObject *)client);
	Py_TYPE(object)->tp_free(object);
}

/* 0, or -1 with an error set: its memory is in use. */
static int region_idle(const struct xm_py_region *self, const char *call)
{
	if (self->exports > 0)
		xm_py_refuse(EBUSY,
			     "extmem.Region.%s: arrays or views (%zd) still show its memory: "
			     "delete them first (del a), or copy what is to stay",
			     call, self->exports);
	else if (self->busy > 0)
		xm_py_refuse(EBUSY, "extmem.Region.%s: a call of another thread is under way: "
				    "wait for that thread first", call);
	else
		return 0;
	return -1;
}

static PyObject *region_free(PyObject *object, PyObject *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	extmem_region *region = self->region;
	int rc;

	if (region == NULL || self->client->x == NULL)
		Py_RETURN_NONE;
	if (xm_py_region_check(self) < 0 || region_idle(self, "free") < 0)
		return NULL;
	self->region = NULL;
	XM_PY_CALL(self, self->client, rc = extmem_region_free(region););
	return xm_py_done(rc);
}

static PyObject *region_resize(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long size;
	int rc, shrinks;

	if (!PyArg_ParseTuple(args, "O&", xm_py_u64, &size) || xm_py_region_check(self) < 0)
		return NULL;
	if (size < extmem_region_size(self->region) && region_idle(self, "resize") < 0)
		return NULL;
	shrinks = size < extmem_region_size(self->region);
	self->shrinks += shrinks;
	XM_PY_CALL(self, self->client, rc = extmem_region_resize(self->region, size););
	self->shrinks -= shrinks;
	return xm_py_done(rc);
}

static PyObject *region_read(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long offset;
	Py_ssize_t size;
	PyObject *ret;
	int rc;

	if (!PyArg_ParseTuple(args, "O&n", xm_py_u64, &offset, &size) ||
	    xm_py_region_check(self) < 0)
		return NULL;
	if (size < 0) {
		PyErr_SetString(PyExc_ValueError, "extmem.Region.read: the size is negative");
		return NULL;
	}
	if (xm_py_region_within(self, offset, (uint64_t)size) < 0)
		return NULL;
	ret = PyBytes_FromStringAndSize(NULL, size);
	if (ret == NULL)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_read(self->region, offset,
							PyBytes_AS_STRING(ret), (size_t)size););
	if (rc < 0) {
		Py_DECREF(ret);
		return xm_py_raise(rc);
	}
	return ret;
}

static PyObject *region_readinto(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long offset;
	Py_buffer view;
	Py_ssize_t size;
	int rc;

	if (!PyArg_ParseTuple(args, "O&w*", xm_py_u64, &offset, &view))
		return NULL;
	if (xm_py_region_check(self) < 0) {
		PyBuffer_Release(&view);
		return NULL;
	}
	size = view.len;
	XM_PY_CALL(self, self->client,
		   rc = extmem_read(self->region, offset, view.buf, (size_t)size););
	PyBuffer_Release(&view);
	return rc < 0 ? xm_py_raise(rc) : PyLong_FromSsize_t(size);
}

static PyObject *region_write(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long offset;
	Py_buffer view;
	Py_ssize_t size;
	int rc;

	if (!PyArg_ParseTuple(args, "O&y*", xm_py_u64, &offset, &view))
		return NULL;
	if (xm_py_region_check(self) < 0) {
		PyBuffer_Release(&view);
		return NULL;
	}
	size = view.len;
	XM_PY_CALL(self, self->client,
		   rc = extmem_write(self->region, offset, view.buf, (size_t)size););
	PyBuffer_Release(&view);
	return rc < 0 ? xm_py_raise(rc) : PyLong_FromSsize_t(size);
}

static PyObject *region_sync(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long offset = 0, size = 0;
	int rc;

	if (!PyArg_ParseTuple(args, "|O&O&", xm_py_u64, &offset, xm_py_u64, &size) ||
	    xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_sync(self->region, offset, size););
	return xm_py_done(rc);
}

static PyObject *region_advise(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	unsigned long long offset, size;
	int advice, rc;

	if (!PyArg_ParseTuple(args, "O&O&i", xm_py_u64, &offset, xm_py_u64, &size, &advice) ||
	    xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_advise(self->region, offset, size,
							  (enum extmem_advice)advice););
	return xm_py_done(rc);
}

static PyObject *region_get_size(PyObject *object, void *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;

	if (xm_py_region_check(self) < 0)
		return NULL;
	return PyLong_FromUnsignedLongLong(extmem_region_size(self->region));
}

static PyObject *region_get_name(PyObject *object, void *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;

	if (xm_py_region_check(self) < 0)
		return NULL;
	return PyUnicode_FromString(extmem_region_name(self->region));
}

static PyObject *region_get_address(PyObject *object, void *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;

	if (xm_py_region_check(self) < 0)
		return NULL;
	return PyLong_FromVoidPtr(extmem_region_address(self->region));
}

static PyObject *region_get_client(PyObject *object, void *none)
{
	PyObject *client = (PyObject *)((struct xm_py_region *)object)->client;

	Py_INCREF(client);
	return client;
}

static PyObject *region_get_freed(PyObject *object, void *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;

	return PyBool_FromLong(self->region == NULL || self->client->x == NULL);
}

static int region_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
	struct xm_py_region *self = (struct xm_py_region *)object;

	view->obj = NULL;
	if (xm_py_region_check(self) < 0)
		return -1;
	/* Before the mapping, which waits without Python's lock. */
	xm_py_region_hold(self);
	if (xm_py_region_map(self) == 0 &&
	    PyBuffer_FillInfo(view, object, extmem_region_address(self->region),
			      (Py_ssize_t)extmem_region_size(self->region), self->reads,
			      flags) == 0)
		return 0;
	xm_py_region_release(self);
	return -1;
}

static void region_releasebuffer(PyObject *object, Py_buffer *view)
{
	xm_py_region_release((struct xm_py_region *)object);
}

/* It is freed then: a touch of what was its memory would end the process. */
static PyObject *region_hand_over(PyObject *object, PyObject *args)
{
	struct extmem_hand_over options = { .size = sizeof(options) };
	struct xm_py_region *self = (struct xm_py_region *)object;
	char token[EXTMEM_TOKEN_SIZE];
	unsigned long long ms;
	extmem_region *region;
	int rc;

	if (!PyArg_ParseTuple(args, "O&z", xm_py_u64, &ms, &options.identity) ||
	    xm_py_region_check(self) < 0 || region_idle(self, "hand_over") < 0)
		return NULL;
	options.ms = ms;
	region = self->region;
	self->shrinks++; /* nobody may look at it meanwhile */
	XM_PY_CALL(self, self->client,
		   rc = extmem_region_hand_over(region, &options, token););
	self->shrinks--;
	if (rc < 0)
		return xm_py_raise(rc);
	self->region = NULL;
	XM_PY_CALL(self, self->client, extmem_region_free(region););
	return PyUnicode_FromString(token);
}

static PyObject *region_keep(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	char token[EXTMEM_TOKEN_SIZE] = "";
	unsigned long long ms;
	int rc;

	if (!PyArg_ParseTuple(args, "O&", xm_py_u64, &ms) || xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_region_keep(self->region, ms, token););
	if (rc < 0)
		return xm_py_raise(rc);
	if (ms == 0)
		Py_RETURN_NONE;
	return PyUnicode_FromString(token);
}

static PyObject *region_copy(PyObject *object, PyObject *args)
{
	struct xm_py_region *self = (struct xm_py_region *)object, *made;
	const char *name;
	int rc;

	if (!PyArg_ParseTuple(args, "s", &name) || xm_py_region_check(self) < 0)
		return NULL;
	made = (struct xm_py_region *)Py_TYPE(object)->tp_alloc(Py_TYPE(object), 0);
	if (made == NULL)
		return NULL;
	Py_INCREF((PyObject *)self->client);
	made->client = self->client;
	XM_PY_CALL(self, self->client,
		   rc = extmem_region_copy(self->region, name, &made->region););
	if (rc < 0) {
		xm_py_raise(rc);
		Py_DECREF((PyObject *)made);
		return NULL;
	}
	return (PyObject *)made;
}

static PyObject *region_share(PyObject *object, PyObject *args)
{
	struct extmem_share options = { .size = sizeof(options) };
	struct xm_py_region *self = (struct xm_py_region *)object;
	char token[EXTMEM_TOKEN_SIZE];
	unsigned long long ms;
	int rc;

	if (!PyArg_ParseTuple(args, "O&z", xm_py_u64, &ms, &options.identity) ||
	    xm_py_region_check(self) < 0)
		return NULL;
	options.ms = ms;
	XM_PY_CALL(self, self->client,
		   rc = extmem_region_share(self->region, &options, token););
	return rc < 0 ? xm_py_raise(rc) : PyUnicode_FromString(token);
}

static PyObject *region_revoke(PyObject *object, PyObject *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	int rc;

	if (xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_region_revoke(self->region););
	return xm_py_done(rc);
}

static PyObject *region_release(PyObject *object, PyObject *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	int rc;

	if (xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_region_release(self->region););
	return xm_py_done(rc);
}

static PyObject *region_acquire(PyObject *object, PyObject *none)
{
	struct xm_py_region *self = (struct xm_py_region *)object;
	int rc;

	if (xm_py_region_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self->client, rc = extmem_region_acquire(self->region););
	return xm_py_done(rc);
}

static PyMethodDef methods[] = {
	{ "free", region_free, METH_NOARGS,
	  "Gives its memory back. Refuses while an array or a view shows it." },
	{ "resize", region_resize, METH_VARARGS, "resize(size): what is added reads as zero." },
	{ "read", region_read, METH_VARARGS, "read(offset, size) -> bytes" },
	{ "readinto", region_readinto, METH_VARARGS, "readinto(offset, buffer) -> bytes read" },
	{ "write", region_write, METH_VARARGS,
	  "write(offset, buffer) -> bytes written; then the appliance has them." },
	{ "sync", region_sync, METH_VARARGS,
	  "sync(offset=0, size=0): returns when the appliances have every store." },
	{ "_hand_over", region_hand_over, METH_VARARGS, NULL },
	{ "_keep", region_keep, METH_VARARGS, NULL },
	{ "_copy", region_copy, METH_VARARGS, NULL },
	{ "_share", region_share, METH_VARARGS, NULL },
	{ "revoke", region_revoke, METH_NOARGS, "Nobody else reads it any more." },
	{ "release", region_release, METH_NOARGS,
	  "Readers who acquire it from now on have all that was stored to it." },
	{ "acquire", region_acquire, METH_NOARGS,
	  "What is read from now on is what its writer had released, or newer." },
	{ "_advise", region_advise, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getters[] = {
	{ "size", region_get_size, NULL, "Bytes.", NULL },
	{ "name", region_get_name, NULL, "\"\" if it has none.", NULL },
	{ "address", region_get_address, NULL, "Where a mapping shows byte 0.", NULL },
	{ "client", region_get_client, NULL, "Whose it is.", NULL },
	{ "freed", region_get_freed, NULL, "Whether its memory is gone.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyBufferProcs buffer = {
	.bf_getbuffer = region_getbuffer,
	.bf_releasebuffer = region_releasebuffer,
};

PyTypeObject xm_py_region_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "extmem._extmem.Region",
	.tp_basicsize = sizeof(struct xm_py_region),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_doc = "Region(client, size, name=None, strategy=None, tracked=False, sealed=False, "
		  "token=None, kept=False, reads=False): memory at appliances, which reads "
		  "as zero at first; with a token: the region that waits under it, or is "
		  "shared by it (reads).",
	.tp_new = region_new,
	.tp_dealloc = region_dealloc,
	.tp_methods = methods,
	.tp_getset = getters,
	.tp_as_buffer = &buffer,
};
