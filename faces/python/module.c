/* SPDX-License-Identifier: BSD-3-Clause */
/* The module extmem._extmem, and the functions that need no client; see python.h. */
#include "faces/python/python.h"

#include <stdlib.h>

static PyObject *module_check(PyObject *module, PyObject *args)
{
	PyObject *list, *texts;
	const char **settings;
	int rc;

	if (!PyArg_ParseTuple(args, "O", &list))
		return NULL;
	settings = xm_py_settings(list, &texts);
	if (settings == NULL)
		return NULL;
	rc = extmem_check(settings);
	PyMem_Free(settings);
	Py_DECREF(texts);
	return xm_py_done(rc);
}

static PyObject *module_status(PyObject *module, PyObject *args)
{
	struct extmem_status status = { .size = sizeof(status) };
	const char *address;
	unsigned timeout_ms;
	int rc;

	if (!PyArg_ParseTuple(args, "sO&", &address, xm_py_u32, &timeout_ms))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = extmem_status(address, timeout_ms, &status);
	Py_END_ALLOW_THREADS
	return rc < 0 ? xm_py_raise(rc) : xm_py_status_dict(&status);
}

static PyObject *module_drain(PyObject *module, PyObject *args)
{
	const char *address;
	unsigned timeout_ms;
	int on, rc;

	if (!PyArg_ParseTuple(args, "spO&", &address, &on, xm_py_u32, &timeout_ms))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = extmem_drain(address, (uint32_t)on, timeout_ms);
	Py_END_ALLOW_THREADS
	return xm_py_done(rc);
}

static PyObject *module_capabilities(PyObject *module, PyObject *none)
{
	struct extmem_capabilities capabilities = { .size = sizeof(capabilities) };
	int rc = extmem_capabilities(&capabilities);

	return rc < 0 ? xm_py_raise(rc) : xm_py_capabilities_dict(&capabilities);
}

static PyObject *module_providers(PyObject *module, PyObject *none)
{
	char text[8192];

	Py_BEGIN_ALLOW_THREADS
	extmem_providers(text, sizeof(text));
	Py_END_ALLOW_THREADS
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *module_strategy_read(PyObject *module, PyObject *args)
{
	struct extmem_strategy strategy = { .size = sizeof(strategy) };
	const char *text, **settings;
	PyObject *list, *texts;
	int rc;

	if (!PyArg_ParseTuple(args, "Oz", &list, &text))
		return NULL;
	settings = xm_py_settings(list, &texts);
	if (settings == NULL)
		return NULL;
	rc = extmem_strategy_read(settings, text, &strategy);
	PyMem_Free(settings);
	Py_DECREF(texts);
	return rc < 0 ? xm_py_raise(rc) : PyUnicode_FromString(strategy.text);
}

static PyObject *module_strategy_check(PyObject *module, PyObject *args)
{
	struct extmem_plan *plan = calloc(1, sizeof(*plan));
	const char *text, **settings = NULL;
	PyObject *list, *texts, *ret = NULL;
	unsigned long long size;
	int rc;

	if (plan == NULL)
		return PyErr_NoMemory();
	if (PyArg_ParseTuple(args, "OzO&", &list, &text, xm_py_u64, &size))
		settings = xm_py_settings(list, &texts);
	if (settings != NULL) {
		plan->size = sizeof(*plan);
		Py_BEGIN_ALLOW_THREADS
		rc = extmem_strategy_check(settings, text, size, plan);
		Py_END_ALLOW_THREADS
		ret = rc < 0 ? xm_py_raise(rc) : xm_py_plan_dict(plan);
		PyMem_Free(settings);
		Py_DECREF(texts);
	}
	free(plan);
	return ret;
}

static PyObject *module_shrink(PyObject *module, PyObject *args)
{
	unsigned long long size;
	const char *appliance;
	unsigned timeout_ms;
	int rc;

	if (!PyArg_ParseTuple(args, "sO&O&", &appliance, xm_py_u64, &size, xm_py_u32,
			      &timeout_ms))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = extmem_shrink(appliance, size, timeout_ms);
	Py_END_ALLOW_THREADS
	return xm_py_done(rc);
}

/* bounds(view) -> address, size, contiguous: of the bytes from the first to the last. */
static PyObject *module_bounds(PyObject *module, PyObject *object)
{
	Py_buffer view;
	PyObject *ret;
	char *first, *end;
	int whole;

	if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) < 0)
		return NULL;
	first = view.buf;
	end = first + view.itemsize;
	for (int i = 0; i < view.ndim; i++) {
		Py_ssize_t last = (view.shape[i] - 1) * view.strides[i];

		if (last < 0)
			first += last;
		else
			end += last;
	}
	if (view.len == 0)
		end = first;
	whole = PyBuffer_IsContiguous(&view, 'A');
	ret = view.suboffsets == NULL
		      ? Py_BuildValue("NnN", PyLong_FromVoidPtr(first),
				      (Py_ssize_t)(end - first), PyBool_FromLong(whole))
		      : xm_py_refuse(EINVAL, "extmem: a view of pointers shows no memory of "
					     "its own");
	PyBuffer_Release(&view);
	return ret;
}

static PyMethodDef functions[] = {
	{ "bounds", module_bounds, METH_O, NULL },
	{ "check", module_check, METH_VARARGS, NULL },
	{ "status", module_status, METH_VARARGS, NULL },
	{ "drain", module_drain, METH_VARARGS, NULL },
	{ "shrink", module_shrink, METH_VARARGS, NULL },
	{ "capabilities", module_capabilities, METH_NOARGS, NULL },
	{ "providers", module_providers, METH_NOARGS, NULL },
	{ "strategy_read", module_strategy_read, METH_VARARGS, NULL },
	{ "strategy_check", module_strategy_check, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "extmem._extmem",
	.m_doc = "What `import extmem` stands on.",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit__extmem(void);

PyMODINIT_FUNC PyInit__extmem(void)
{
	PyObject *module;

	if (PyType_Ready(&xm_py_client_type) < 0 || PyType_Ready(&xm_py_region_type) < 0 ||
	    PyType_Ready(&xm_py_part_type) < 0)
		return NULL;
	module = PyModule_Create(&definition);
	if (module == NULL)
		return NULL;
	xm_py_error = PyErr_NewExceptionWithDoc(
		"extmem.Error", "The library's error: errno, and a sentence that says what to do.",
		PyExc_OSError, NULL);
	if (xm_py_error == NULL ||
	    PyModule_AddObjectRef(module, "Error", xm_py_error) < 0 ||
	    PyModule_AddObjectRef(module, "Client", (PyObject *)&xm_py_client_type) < 0 ||
	    PyModule_AddObjectRef(module, "Region", (PyObject *)&xm_py_region_type) < 0 ||
	    PyModule_AddObjectRef(module, "Part", (PyObject *)&xm_py_part_type) < 0 ||
	    PyModule_AddStringConstant(module, "version", extmem_version()) < 0) {
		Py_DECREF(module);
		return NULL;
	}
	return module;
}
