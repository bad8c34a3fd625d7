/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stdio with external memory, for the case that calls are not trapped (trap.c).
 *
 * libc's own calls of read() and write() cannot be intercepted then, and a large
 * fread() or fwrite() passes the program's buffer to them. So for external buffers
 * the call is made in pieces under the stream's lock, each piece pinned or copied
 * through a buffer on the stack. A stream's own buffer stays local.
 *
 * Not covered: printf("%s") of an external string as large as the stream's buffer.
 */
#include "preload/shim.h"

#undef fread_unlocked
#undef fwrite_unlocked

#define BOUNCE_SIZE 8192

static bool needed(const void *p, size_t size)
{
	return !trap_installed && present_needed(p, size);
}

static size_t read_some(char *p, size_t size, FILE *stream, size_t *ret_tried)
{
	char bounce[BOUNCE_SIZE];
	size_t most = present_piece_max(), n, r;

	/* Small ones are copied from the stream's buffer in any case. */
	n = size > BOUNCE_SIZE
		    ? present_begin(p, size < most ? size : most, true)
		    : 0;
	if (n > 0) {
		*ret_tried = n;
		r = shim_real()->fread_unlocked(p, 1, n, stream);
		present_end(p, n);
		return r;
	}
	*ret_tried = size < BOUNCE_SIZE ? size : BOUNCE_SIZE;
	r = shim_real()->fread_unlocked(bounce, 1, *ret_tried, stream);
	memcpy(p, bounce, r);
	return r;
}

static size_t write_some(const char *p, size_t size, FILE *stream,
			 size_t *ret_tried)
{
	char bounce[BOUNCE_SIZE];
	size_t most = present_piece_max(), n, r;

	/* What is small is copied into the stream's buffer: no need to pin;
	 * the copy faults where it must. */
	if (size > BOUNCE_SIZE) {
		n = present_begin(p, size < most ? size : most, false);
		if (n > 0) {
			*ret_tried = n;
			r = shim_real()->fwrite_unlocked(p, 1, n, stream);
			present_end(p, n);
			return r;
		}
		size = BOUNCE_SIZE;
	}
	memcpy(bounce, p, size);
	*ret_tried = size;
	return shim_real()->fwrite_unlocked(bounce, 1, size, stream);
}

static size_t read_all(char *p, size_t size, FILE *stream)
{
	size_t done = 0, tried, r;

	while (done < size) {
		r = read_some(p + done, size - done, stream, &tried);
		done += r;
		if (r < tried)
			break;
	}
	return done;
}

static size_t write_all(const char *p, size_t size, FILE *stream)
{
	size_t done = 0, tried, r;

	while (done < size) {
		r = write_some(p + done, size - done, stream, &tried);
		done += r;
		if (r < tried)
			break;
	}
	return done;
}

SHIM_EXPORT size_t fread_unlocked(void *p, size_t size, size_t count,
				  FILE *stream)
{
	size_t total;

	if (__builtin_mul_overflow(size, count, &total) || total == 0 ||
	    !needed(p, total))
		return shim_real()->fread_unlocked(p, size, count, stream);
	return read_all(p, total, stream) / size;
}

SHIM_EXPORT size_t fread(void *p, size_t size, size_t count, FILE *stream)
{
	size_t total, r;

	if (__builtin_mul_overflow(size, count, &total) || total == 0 ||
	    !needed(p, total))
		return shim_real()->fread(p, size, count, stream);
	flockfile(stream);
	r = read_all(p, total, stream) / size;
	funlockfile(stream);
	return r;
}

SHIM_EXPORT size_t fwrite_unlocked(const void *p, size_t size, size_t count,
				   FILE *stream)
{
	size_t total;

	if (__builtin_mul_overflow(size, count, &total) || total == 0 ||
	    !needed(p, total))
		return shim_real()->fwrite_unlocked(p, size, count, stream);
	return write_all(p, total, stream) / size;
}

SHIM_EXPORT size_t fwrite(const void *p, size_t size, size_t count,
			  FILE *stream)
{
	size_t total, r;

	if (__builtin_mul_overflow(size, count, &total) || total == 0 ||
	    !needed(p, total))
		return shim_real()->fwrite(p, size, count, stream);
	flockfile(stream);
	r = write_all(p, total, stream) / size;
	funlockfile(stream);
	return r;
}

SHIM_EXPORT int fputs_unlocked(const char *text, FILE *stream)
{
	size_t size;

	if (!needed(text, 1))
		return shim_real()->fputs_unlocked(text, stream);
	size = strlen(text);
	return write_all(text, size, stream) == size ? 1 : EOF;
}

SHIM_EXPORT int fputs(const char *text, FILE *stream)
{
	int r;

	if (!needed(text, 1))
		return shim_real()->fputs(text, stream);
	flockfile(stream);
	r = fputs_unlocked(text, stream);
	funlockfile(stream);
	return r;
}

SHIM_EXPORT int puts(const char *text)
{
	int r;

	if (!needed(text, 1))
		return shim_real()->puts(text);
	flockfile(stdout);
	r = fputs_unlocked(text, stdout);
	if (r != EOF)
		r = putc_unlocked('\n', stdout) == EOF ? EOF : 1;
	funlockfile(stdout);
	return r;
}

SHIM_EXPORT int setvbuf(FILE *stream, char *buffer, int mode, size_t size)
{
	if (buffer && block_contains(buffer, size))
		buffer = NULL; /* libc takes one of its own, local */
	return shim_real()->setvbuf(stream, buffer, mode, size);
}

SHIM_EXPORT void setbuf(FILE *stream, char *buffer)
{
	setvbuf(stream, buffer, buffer ? _IOFBF : _IONBF, BUFSIZ);
}

SHIM_EXPORT void setbuffer(FILE *stream, char *buffer, size_t size)
{
	setvbuf(stream, buffer, buffer ? _IOFBF : _IONBF, size);
}
