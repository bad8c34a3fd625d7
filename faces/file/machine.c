/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a machine that moves; see machine.h. */
#include "faces/file/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The page cache has the bytes of before the move. What it writes back of them is discarded,
 * and what has not changed it drops. If it does not, they would be read as those of now: so
 * nothing begins, and who asks again has it tried again. (-ENOENT: the kernel has none.) */
static int arrive(struct face_machine *m, const char *token, bool kept,
		  const char **ret_words)
{
	int rc = face_whole_adopt(m->whole, m->x, token, kept);

	if (rc != 0)
		return rc;
	rc = fuse_lowlevel_notify_inval_inode(m->session, (fuse_ino_t)(uintptr_t)m->node, 0,
					      0);
	if (rc != 0 && rc != -ENOENT) {
		*ret_words = "the kernel does not drop its pages of before the move";
		return rc;
	}
	face_whole_begin(m->whole);
	return 0;
}

/* What follows the word, or NULL: another one is asked for. */
static const char *after(const char *text, const char *word)
{
	size_t length = strlen(word);

	return strncmp(text, word, length) == 0 ? text + length : NULL;
}

static void act(struct face_machine *m, const char *command, char outcome[FACE_MACHINE_TEXT])
{
	char token[EXTMEM_TOKEN_SIZE];
	const char *value, *words = NULL;
	int rc = -EINVAL;

	snprintf(outcome, FACE_MACHINE_TEXT, "held");
	if ((value = after(command, "part ")) != NULL) {
		rc = face_whole_part(m->whole, strtoull(value, NULL, 10), token);
		if (rc == 0)
			snprintf(outcome, FACE_MACHINE_TEXT, "parted %s", token);
	} else if ((value = after(command, "adopt ")) != NULL) {
		rc = arrive(m, value, false, &words);
	} else if ((value = after(command, "claim ")) != NULL) {
		rc = arrive(m, value, true, &words);
	} else if (strcmp(command, "own") == 0) {
		rc = face_whole_own(m->whole);
		snprintf(outcome, FACE_MACHINE_TEXT, "own");
	}
	if (rc != 0)
		snprintf(outcome, FACE_MACHINE_TEXT, "failed %d %s", -rc,
			 words != NULL ? words : extmem_error());
}

static void *work(void *p)
{
	struct face_machine *m = p;
	char command[FACE_MACHINE_TEXT], outcome[FACE_MACHINE_TEXT];

	pthread_mutex_lock(&m->lock);
	for (;;) {
		while (!m->busy)
			pthread_cond_wait(&m->asked, &m->lock);
		memcpy(command, m->command, sizeof(command));
		pthread_mutex_unlock(&m->lock);
		act(m, command, outcome);
		pthread_mutex_lock(&m->lock);
		memcpy(m->outcome, outcome, sizeof(outcome));
		m->busy = false;
	}
	return NULL;
}

int face_machine_begin(struct face_machine *m)
{
	pthread_t thread;

	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->asked, NULL);
	snprintf(m->outcome, sizeof(m->outcome), "ready");
	if (pthread_create(&thread, NULL, work, m) != 0)
		return -EAGAIN;
	pthread_detach(thread);
	return 0;
}

int face_machine_ask(struct face_machine *m, const char *text, size_t size)
{
	int rc = -EBUSY;

	if (size >= sizeof(m->command))
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	if (!m->busy) {
		memcpy(m->command, text, size);
		m->command[size] = '\0';
		m->busy = true;
		pthread_cond_signal(&m->asked);
		rc = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}

void face_machine_answer(struct face_machine *m, char ret[FACE_MACHINE_TEXT])
{
	pthread_mutex_lock(&m->lock);
	snprintf(ret, FACE_MACHINE_TEXT, "%s", m->busy ? "busy" : m->outcome);
	pthread_mutex_unlock(&m->lock);
}
