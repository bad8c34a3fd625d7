/* SPDX-License-Identifier: BSD-3-Clause */
/* A client as a Python object; see python.h. */
#include "faces/python/python.h"

#include <errno.h>
#include <unistd.h>

int xm_py_client_check(const struct xm_py_client *self)
{
	if (self->x == NULL)
		xm_py_refuse(EINVAL, "extmem.Client: it is closed");
	else if (self->pid != getpid())
		xm_py_refuse(ECHILD, "extmem.Client: it belongs to the process that opened it, and "
				     "a child of fork() can have none: begin the child by spawn");
	else
		return 0;
	return -1;
}

static PyObject *client_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
	static char *names[] = { "settings", NULL };
	PyObject *list, *texts;
	struct xm_py_client *self;
	const char **settings;
	extmem *x = NULL;
	int rc;

	if (!PyArg_ParseTupleAndKeywords(args, named, "O", names, &list))
		return NULL;
	self = (struct xm_py_client *)type->tp_alloc(type, 0);
	settings = self == NULL ? NULL : xm_py_settings(list, &texts);
	if (settings == NULL) {
		Py_XDECREF((PyObject *)self);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	rc = extmem_open(settings, &x);
	Py_END_ALLOW_THREADS
	if (rc < 0)
		xm_py_raise(rc);
	PyMem_Free(settings);
	Py_DECREF(texts);
	if (rc < 0) {
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	self->x = x;
	self->pid = getpid();
	return (PyObject *)self;
}

static void client_dealloc(PyObject *object)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	extmem *x = self->x;

	self->x = NULL;
	if (x != NULL && self->pid == getpid()) {
		Py_BEGIN_ALLOW_THREADS
		extmem_close(x);
		Py_END_ALLOW_THREADS
	}
	Py_TYPE(object)->tp_free(object);
}

static PyObject *client_close(PyObject *object, PyObject *none)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	extmem *x = self->x;
	int rc;

	if (x == NULL)
		Py_RETURN_NONE;
	if (xm_py_client_check(self) < 0)
		return NULL;
	if (self->exports > 0)
		return xm_py_refuse(EBUSY,
				    "extmem.Client.close: arrays or views (%zd) still show its "
				    "memory: delete them first (del a), or copy what is to stay",
				    self->exports);
	if (self->busy > 0)
		return xm_py_refuse(EBUSY, "extmem.Client.close: a call of another thread is "
					   "under way: wait for that thread first");
	self->x = NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = extmem_close(x);
	Py_END_ALLOW_THREADS
	return xm_py_done(rc);
}

static PyObject *client_appliance_add(PyObject *object, PyObject *args)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	const char *address;
	int rc;

	if (!PyArg_ParseTuple(args, "s", &address) || xm_py_client_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self, rc = extmem_appliance_add(self->x, address););
	return rc < 0 ? xm_py_raise(rc) : PyLong_FromLong(rc);
}

static PyObject *client_raise_local(PyObject *object, PyObject *args)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	unsigned long long size;
	int rc;

	if (!PyArg_ParseTuple(args, "O&", xm_py_u64, &size) || xm_py_client_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self, rc = extmem_local(self->x, size););
	return xm_py_done(rc);
}

static PyObject *client_stats(PyObject *object, PyObject *none)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	struct extmem_stats stats = { .size = sizeof(stats) };
	int rc;

	if (xm_py_client_check(self) < 0)
		return NULL;
	XM_PY_CALL(self, self, rc = extmem_stats(self->x, &stats););
	return rc < 0 ? xm_py_raise(rc) : xm_py_stats_dict(&stats);
}

/* Adds one to a list, of which it takes the reference. */
static int append(PyObject *list, PyObject *item)
{
	int rc = item == NULL ? -1 : PyList_Append(list, item);

	Py_XDECREF(item);
	return rc;
}

static PyObject *client_appliances(PyObject *object, PyObject *none)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	struct extmem_info info;
	PyObject *list;
	int rc = 0;

	if (xm_py_client_check(self) < 0)
		return NULL;
	list = PyList_New(0);
	for (unsigned i = 0; list != NULL && i < EXTMEM_APPLIANCES_MAX; i++) {
		info = (struct extmem_info){ .size = sizeof(info) };
		XM_PY_CALL(self, self, rc = extmem_info(self->x, i, &info););
		if (rc == -ERANGE)
			break;
		if (rc < 0)
			xm_py_raise(rc);
		if (rc < 0 || append(list, xm_py_info_dict(&info)) < 0)
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *client_regions(PyObject *object, PyObject *none)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	struct extmem_region_entry entries[16];
	PyObject *list;
	int rc = 16;

	if (xm_py_client_check(self) < 0)
		return NULL;
	list = PyList_New(0);
	while (list != NULL && rc == 16) {
		XM_PY_CALL(self, self, rc = extmem_region_list(
			self->x, (uint64_t)PyList_GET_SIZE(list), entries, 16););
		if (rc < 0) {
			xm_py_raise(rc);
			Py_CLEAR(list);
		}
		for (int i = 0; list != NULL && i < rc; i++)
			if (append(list, xm_py_entry_dict(&entries[i])) < 0)
				Py_CLEAR(list);
	}
	return list;
}

static PyObject *client_lost(PyObject *object, PyObject *none)
{
	struct xm_py_client *self = (struct xm_py_client *)object;

	if (xm_py_client_check(self) < 0)
		return NULL;
	return PyUnicode_FromString(extmem_lost(self->x));
}

/* pin(buffer, offset, write) -> bytes. Whoever calls it keeps the buffer. */
static PyObject *client_pin(PyObject *object, PyObject *args)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	Py_buffer view;
	Py_ssize_t offset;
	int write;
	int64_t rc;

	if (!PyArg_ParseTuple(args, "y*np", &view, &offset, &write))
		return NULL;
	if (xm_py_client_check(self) < 0 || offset < 0 || offset > view.len) {
		PyBuffer_Release(&view);
		return PyErr_Occurred() ? NULL : xm_py_refuse(ERANGE, "extmem.Client._pin: range");
	}
	XM_PY_CALL(self, self, rc = extmem_pin(self->x, (const char *)view.buf + offset,
					       (size_t)(view.len - offset), write););
	PyBuffer_Release(&view);
	return rc < 0 ? xm_py_raise((int)rc) : PyLong_FromLongLong(rc);
}

static PyObject *client_unpin(PyObject *object, PyObject *args)
{
	struct xm_py_client *self = (struct xm_py_client *)object;
	Py_buffer view;
	Py_ssize_t offset, size;

	if (!PyArg_ParseTuple(args, "y*nn", &view, &offset, &size))
		return NULL;
	if (xm_py_client_check(self) < 0 || offset < 0 || size < 0 || offset + size > view.len) {
		PyBuffer_Release(&view);
		return PyErr_Occurred() ? NULL : xm_py_refuse(ERANGE, "extmem.Client._unpin: range");
	}
	XM_PY_CALL(self, self,
		   extmem_unpin(self->x, (const char *)view.buf + offset, (size_t)size););
	PyBuffer_Release(&view);
	Py_RETURN_NONE;
}

static PyObject *client_closed(PyObject *object, void *none)
{
	return PyBool_FromLong(((struct xm_py_client *)object)->x == NULL);
}

static PyMethodDef methods[] = {
	{ "close", client_close, METH_NOARGS,
	  "Frees every region, with its contents, and disconnects. Refuses while an array or a "
	  "view shows memory of it." },
	{ "appliance_add", client_appliance_add, METH_VARARGS,
	  "Adds an appliance by its address; returns its index in appliances()." },
	{ "_raise_local", client_raise_local, METH_VARARGS, NULL },
	{ "stats", client_stats, METH_NOARGS, "What was counted since it was opened, as a dict." },
	{ "appliances", client_appliances, METH_NOARGS, "Its appliances: a dict each." },
	{ "regions", client_regions, METH_NOARGS,
	  "What its appliances have lent to any client: a dict each." },
	{ "lost", client_lost, METH_NOARGS,
	  "A sentence about the first page that was lost, or \"\"." },
	{ "_pin", client_pin, METH_VARARGS, NULL },
	{ "_unpin", client_unpin, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getters[] = {
	{ "closed", client_closed, NULL, "Whether it is closed.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyTypeObject xm_py_client_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "extmem._extmem.Client",
	.tp_basicsize = sizeof(struct xm_py_client),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_doc = "Client(settings): connects to appliances, as extmem_open(3) does.",
	.tp_new = client_new,
	.tp_dealloc = client_dealloc,
	.tp_methods = methods,
	.tp_getset = getters,
};
