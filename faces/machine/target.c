/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that arrives; see target.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"

#define PATIENCE_NS (180 * XM_SECOND) /* from one step to the next */
#define AGAIN_NS (200 * XM_MS)

static void feed(struct arriving *, struct guest *, enum target_event);

static void ask(struct arriving *a, struct guest *g)
{
	char command[128] = "own";
	int rc;

	if (a->asks == ARRIVING_CLAIMS)
		snprintf(command, sizeof(command), "claim %s", a->token);
	rc = guest_ask(g, command);
	a->again_ns = rc == 0 ? 0 : a->now_ns + AGAIN_NS;
	if (rc == 0 || rc == -EBUSY || a->asks != ARRIVING_CLAIMS)
		return;
	a->asks = ARRIVING_ASKS_NOTHING;
	snprintf(g->words, sizeof(g->words), "its memory cannot be had: %s", strerror(-rc));
	feed(a, g, TARGET_ADOPT_FAILED);
}

static void run(struct arriving *a, struct guest *g)
{
	int rc = guest_do(g, "cont", NULL, NULL);

	feed(a, g, rc == 0 ? TARGET_CONTINUED : TARGET_CONTINUE_FAILED);
}

static void act(struct arriving *a, struct guest *g, unsigned effects)
{
	if ((effects & TARGET_DO_READY) != 0)
		lines_write(&a->near, json_pack("{sb}", "ready", 1));
	if ((effects & TARGET_DO_CLAIM) != 0) {
		/* What QEMU has touched is forgotten now, not when the kernel's pages are
		 * dropped: who serves the folder would wait for itself then. */
		guest_write_back(g);
		a->asks = ARRIVING_CLAIMS;
		ask(a, g);
	}
	if ((effects & TARGET_DO_ADOPTED) != 0)
		lines_write(&a->near, json_pack("{sb}", "adopted", 1));
	if ((effects & TARGET_DO_COMMIT) != 0) {
		bool first = a->asks == ARRIVING_ASKS_NOTHING;

		a->asks = ARRIVING_OWNS;
		if (first)
			ask(a, g);
		else
			a->again_ns = a->now_ns + AGAIN_NS;
	}
	if ((effects & TARGET_DO_RUN) != 0) /* at once first, and then in a while */
		a->again_ns = a->again_ns == 0 ? a->now_ns : xm_clock_ns() + AGAIN_NS;
	if ((effects & TARGET_DO_TELL) != 0)
		lines_write(&a->near, json_pack("{sb}", "runs", 1));
	if ((effects & TARGET_DO_RETURN) != 0)
		lines_write(&a->near,
			    json_pack("{ss}", "failed", g->words[0] != '\0'
								? g->words
								: "the other side gives up"));
}

static void feed(struct arriving *a, struct guest *g, enum target_event e)
{
	enum target_state before = a->machine.state;
	unsigned effects = target_step(&a->machine, e);

	if (a->machine.state != before)
		a->deadline_ns = a->now_ns + PATIENCE_NS;
	act(a, g, effects);
	a->active = a->machine.state < TARGET_RUNS;
}

static void look_near(struct arriving *a, struct guest *g)
{
	json_t *said;

	while (a->active && (said = lines_read(&a->near, 0)) != NULL) {
		const char *token = json_string_value(json_object_get(said, "adopt"));

		if (token != NULL) {
			snprintf(a->token, sizeof(a->token), "%s", token);
			feed(a, g, TARGET_TOKEN);
		} else if (json_object_get(said, "abort") != NULL) {
			feed(a, g, TARGET_ABORTED);
		}
		json_decref(said);
	}
	if (a->active && a->near.ended && a->near.in >= 0) {
		lines_close(&a->near);
		feed(a, g, TARGET_ABORTED);
	}
}

static void look_memory(struct arriving *a, struct guest *g)
{
	char answer[GUEST_WORDS];
	bool claims = a->asks == ARRIVING_CLAIMS;
	int error = 0;

	if (a->asks == ARRIVING_ASKS_NOTHING)
		return;
	if (a->again_ns > 0) {
		if (a->now_ns >= a->again_ns)
			ask(a, g);
		return;
	}
	if (!guest_answer(g, answer, sizeof(answer)))
		return;
	if (sscanf(answer, "failed %d", &error) != 1) {
		a->asks = ARRIVING_ASKS_NOTHING;
		feed(a, g, claims ? TARGET_ADOPTED : TARGET_COMMITTED);
		return;
	}
	snprintf(g->words, sizeof(g->words), "%s", answer);
	if (claims)
		feed(a, g, TARGET_ADOPT_FAILED);
	else
		feed(a, g, error == ESTALE ? TARGET_COMMIT_LOST : TARGET_COMMIT_FAILED);
}

void arriving_look(struct arriving *a, struct guest *g)
{
	char status[32];

	a->now_ns = xm_clock_ns();
	look_near(a, g);
	if (a->active)
		look_memory(a, g);
	if (a->active && a->machine.state == TARGET_HELD) {
		guest_migration(g, status, sizeof(status));
		if (strcmp(status, "completed") == 0)
			feed(a, g, TARGET_LOADED);
		else if (strcmp(status, "failed") == 0)
			feed(a, g, TARGET_GUEST_ENDED);
	}
	if (a->active && a->machine.state == TARGET_CONTINUING && a->now_ns >= a->again_ns)
		run(a, g);
	if (a->active && a->now_ns > a->deadline_ns) {
		a->deadline_ns = UINT64_MAX;
		if (g->words[0] == '\0')
			snprintf(g->words, sizeof(g->words), "it has taken too long");
		feed(a, g, TARGET_LATE);
	}
}

void arriving_guest_ended(struct arriving *a, struct guest *g)
{
	a->now_ns = xm_clock_ns();
	snprintf(g->words, sizeof(g->words), "QEMU has ended on the other side");
	feed(a, g, TARGET_GUEST_ENDED);
}

void arriving_begin(struct arriving *a, struct guest *g, int in, int out)
{
	char uri[GUEST_FOLDER_MAX + 32];
	int rc;

	memset(a, 0, sizeof(*a));
	lines_open(&a->near, in, out);
	a->active = true;
	a->now_ns = xm_clock_ns();
	a->deadline_ns = a->now_ns + PATIENCE_NS;
	rc = guest_mount(g, true);
	if (rc == 0)
		rc = guest_start(g, true);
	snprintf(uri, sizeof(uri), "unix:%s/incoming", g->folder);
	if (rc == 0)
		rc = guest_do(g, "migrate-incoming", json_pack("{ss}", "uri", uri), NULL);
	a->now_ns = xm_clock_ns();
	feed(a, g, rc == 0 ? TARGET_STARTED : TARGET_GUEST_ENDED);
}

int arriving_stream(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[GUEST_FOLDER_MAX], buffer[65536];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n = 0;

	if (fd < 0 || guest_folder(name, folder) != 0)
		return 1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/incoming", folder);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		fprintf(stderr, "extmem vm: no QEMU waits at %s: %s\n", address.sun_path,
			strerror(errno));
		return 1;
	}
	while ((n = read(0, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0, m; done < n; done += m)
			if ((m = write(fd, buffer + done, (size_t)(n - done))) <= 0)
				return 1;
	close(fd);
	return n < 0;
}
