/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors as exceptions, and texts for the library; see python.h. */
#include "faces/python/python.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

PyObject *xm_py_error;

static PyObject *raise_words(int number, PyObject *words)
{
	PyObject *value;

	if (words == NULL)
		return NULL;
	value = Py_BuildValue("(iN)", number, words);
	if (value != NULL)
		PyErr_SetObject(xm_py_error, value);
	Py_XDECREF(value);
	return NULL;
}

PyObject *xm_py_raise(int rc)
{
	const char *words = extmem_error();

	if (words[0] == '\0')
		words = strerror(-rc);
	return raise_words(-rc, PyUnicode_DecodeUTF8(words, (Py_ssize_t)strlen(words), "replace"));
}

PyObject *xm_py_refuse(int number, const char *format, ...)
{
	PyObject *words;
	va_list arguments;

	va_start(arguments, format);
	words = PyUnicode_FromFormatV(format, arguments);
	va_end(arguments);
	return raise_words(number, words);
}

PyObject *xm_py_done(int rc)
{
	if (rc < 0)
		return xm_py_raise(rc);
	Py_RETURN_NONE;
}

const char **xm_py_settings(PyObject *list, PyObject **ret_texts)
{
	PyObject *texts = PySequence_Fast(list, "settings are a list of \"name=value\"");
	const char **ret;
	Py_ssize_t count, length, i;

	if (texts == NULL)
		return NULL;
	count = PySequence_Fast_GET_SIZE(texts);
	ret = PyMem_Calloc((size_t)count + 1, sizeof(*ret));
	if (ret == NULL) {
		Py_DECREF(texts);
		PyErr_NoMemory();
		return NULL;
	}
	for (i = 0; i < count; i++) {
		ret[i] = PyUnicode_AsUTF8AndSize(PySequence_Fast_GET_ITEM(texts, i), &length);
		if (ret[i] != NULL && strlen(ret[i]) != (size_t)length)
			PyErr_SetString(PyExc_ValueError, "a setting has a NUL in it");
		if (PyErr_Occurred()) {
			PyMem_Free(ret);
			Py_DECREF(texts);
			return NULL;
		}
	}
	*ret_texts = texts;
	return ret;
}

int xm_py_u64(PyObject *object, void *ret)
{
	PyObject *number = PyNumber_Index(object);
	unsigned long long value;

	if (number == NULL)
		return 0;
	value = PyLong_AsUnsignedLongLong(number);
	Py_DECREF(number);
	if (value == (unsigned long long)-1 && PyErr_Occurred())
		return 0;
	*(unsigned long long *)ret = value;
	return 1;
}

int xm_py_u32(PyObject *object, void *ret)
{
	unsigned long long value;

	if (!xm_py_u64(object, &value))
		return 0;
	if (value > UINT_MAX) {
		PyErr_Format(PyExc_OverflowError, "extmem: %llu is more than %u", value,
			     UINT_MAX);
		return 0;
	}
	*(unsigned int *)ret = (unsigned int)value;
	return 1;
}
