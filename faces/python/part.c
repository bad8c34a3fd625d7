/* SPDX-License-Identifier: BSD-3-Clause */
/* A slab or an object of a region as a Python object, which has the buffer protocol; see
 * python.h. */
#include "faces/python/python.h"

#include <errno.h>
#include <unistd.h>

static int part_check(const struct xm_py_part *self)
{
	if (self->region != NULL)
		return xm_py_region_check(self->region);
	xm_py_refuse(EINVAL, "extmem.Part: it is freed");
	return -1;
}

static PyObject *part_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
	static char *names[] = { "region", "size", "alignment", "slab", NULL };
	struct xm_py_region *region;
	struct xm_py_part *self;
	unsigned long long size, alignment = 0;
	uint64_t offset = 0;
	int slab = 1, rc;

	if (!PyArg_ParseTupleAndKeywords(args, named, "O!O&|O&p", names, &xm_py_region_type,
					 &region, xm_py_u64, &size, xm_py_u64, &alignment,
					 &slab) ||
	    xm_py_region_check(region) < 0 || (slab && xm_py_region_map(region) < 0))
		return NULL;
	self = (struct xm_py_part *)type->tp_alloc(type, 0);
	if (self == NULL)
		return NULL;
	/* A slab of a region that was mapped before reads as zero. */
	XM_PY_CALL(region, region->client,
		   rc = slab ? extmem_slab_alloc(region->region, size, &offset)
			     : extmem_object_alloc(region->region, size, alignment, &offset););
	if (rc < 0) {
		xm_py_raise(rc);
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	Py_INCREF((PyObject *)region);
	self->region = region;
	self->offset = offset;
	self->size = size;
	self->slab = slab;
	return (PyObject *)self;
}

/* Ends it at the library, if that has it still; 0 or -errno. */
static int part_end(struct xm_py_part *self)
{
	struct xm_py_region *region = self->region;
	int rc = 0;

	self->region = NULL;
	if (region == NULL)
		return 0;
	if (region->region != NULL && region->client->x != NULL &&
	    region->client->pid == getpid())
		XM_PY_CALL(region, region->client,
			   rc = self->slab ? extmem_slab_free(region->region, self->offset)
					   : extmem_object_free(region->region, self->offset););
	Py_DECREF((PyObject *)region);
	return rc;
}

static void part_dealloc(PyObject *object)
{
	part_end((struct xm_py_part *)object);
	Py_TYPE(object)->tp_free(object);
}

static PyObject *part_free(PyObject *object, PyObject *none)
{
	struct xm_py_part *self = (struct xm_py_part *)object;

	if (self->exports > 0)
		return xm_py_refuse(EBUSY,
				    "extmem.Part.free: arrays or views (%zd) still show its memory: "
				    "delete them first (del a), or copy what is to stay",
				    self->exports);
	return xm_py_done(part_end(self));
}

static PyObject *part_get_region(PyObject *object, void *none)
{
	struct xm_py_part *self = (struct xm_py_part *)object;

	if (part_check(self) < 0)
		return NULL;
	Py_INCREF((PyObject *)self->region);
	return (PyObject *)self->region;
}

static PyObject *part_get_offset(PyObject *object, void *none)
{
	return PyLong_FromUnsignedLongLong(((struct xm_py_part *)object)->offset);
}

static PyObject *part_get_size(PyObject *object, void *none)
{
	return PyLong_FromUnsignedLongLong(((struct xm_py_part *)object)->size);
}

static int part_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
	struct xm_py_part *self = (struct xm_py_part *)object;
	struct xm_py_region *region = self->region;

	view->obj = NULL;
	if (part_check(self) < 0)
		return -1;
	/* Before the mapping, which waits without Python's lock. */
	self->exports++;
	xm_py_region_hold(region);
	if (xm_py_region_map(region) == 0 &&
	    PyBuffer_FillInfo(view, object,
			      (char *)extmem_region_address(region->region) + self->offset,
			      (Py_ssize_t)self->size, region->reads, flags) == 0)
		return 0;
	self->exports--;
	xm_py_region_release(region);
	return -1;
}

static void part_releasebuffer(PyObject *object, Py_buffer *view)
{
	struct xm_py_part *self = (struct xm_py_part *)object;

	self->exports--;
	xm_py_region_release(self->region);
}

static PyMethodDef methods[] = {
	{ "free", part_free, METH_NOARGS,
	  "Gives its memory back to the region. Refuses while an array or a view shows it." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getters[] = {
	{ "region", part_get_region, NULL, "What it is a part of.", NULL },
	{ "offset", part_get_offset, NULL, "In the region.", NULL },
	{ "size", part_get_size, NULL, "Bytes, as asked for.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyBufferProcs buffer = {
	.bf_getbuffer = part_getbuffer,
	.bf_releasebuffer = part_releasebuffer,
};

PyTypeObject xm_py_part_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "extmem._extmem.Part",
	.tp_basicsize = sizeof(struct xm_py_part),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_doc = "Part(region, size, alignment=0, slab=True): a slab, or an object, which the "
		  "client selects without a message.",
	.tp_new = part_new,
	.tp_dealloc = part_dealloc,
	.tp_methods = methods,
	.tp_getset = getters,
	.tp_as_buffer = &buffer,
};
