/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors as exceptions, and texts for the library; see python.h. */
#include "faces/python/python.h"

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
