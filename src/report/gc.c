/* SPDX-License-Identifier: Apache-2.0 */
#include "report/gc.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/num.h"
#include "report/json_parts.h"
#include "report/text_parts.h"

/* ---- forget ------------------------------------------------------------- */

void text_forget(FILE *out, const struct result_forget *r)
{
	const char *verb = r->dry_run ? "would forget" : "forgot";

	for (size_t i = 0; i < r->count; i++) {
		const struct result_point *p = &r->points[i];
		char time[CLOCK_TEXT];

		clock_text_local(p->time_ns, time);
		text_line(out, "%s %s%s@%.19s (%.*s)", verb,
			  r->ram ? "the RAM of " : "", p->name, time, TEXT_ID,
			  p->id);
	}
	for (size_t i = 0; i < r->sets.count; i++)
		text_line(out, "%s %s, whatever was in it", verb,
			  r->sets.items[i]);
	if (!r->dry_run && r->count + r->sets.count > 0)
		fputs("'vmkeep gc' frees what nothing else needs\n", out);
}

void json_forget(FILE *out, const struct result_forget *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *points = json_put_array(root, "points");

	for (size_t i = 0; i < r->count; i++)
		json_put_point(json_add_object(points), &r->points[i]);
	json_put_strings(root, "sets", &r->sets);
	json_put_bool(root, "ram", r->ram);
	json_put_bool(root, "dry_run", r->dry_run);
	json_finish(out, root, end);
}

/* ---- gc ----------------------------------------------------------------- */

static void waiting(FILE *out, const struct result_gc *r)
{
	char packs[TEXT_COUNT], size[NUM_TEXT];
	char since[CLOCK_TEXT], beat[CLOCK_TEXT];

	text_count(packs, sizeof(packs), r->waiting_packs, "pack", "packs");
	num_size_text(r->waiting_bytes, size);
	if (r->waiting_packs > 0)
		text_line(out, "%s, %s, wait for a later generation", packs,
			  size);
	if (r->wait_host == NULL)
		return;
	clock_text_local(r->wait_since_ns, since);
	clock_text_local(r->wait_beat_ns, beat);
	text_line(out,
		  "a backup on %s stands in the way, begun %s, last heard of "
		  "%s: run gc again when it has ended",
		  r->wait_host, since, beat);
}

static void notes(FILE *out, const struct result_gc *r)
{
	char sessions[TEXT_COUNT], nodes[TEXT_COUNT], packs[TEXT_COUNT];
	char size[NUM_TEXT];

	text_count(sessions, sizeof(sessions), r->ended, "session that was",
		   "sessions that were");
	text_count(nodes, sizeof(nodes), r->frail, "node", "nodes");
	text_count(packs, sizeof(packs), r->left_alone, "pack", "packs");
	num_size_text(r->moved_bytes, size);
	if (r->ended > 0)
		text_line(out, "ended %s silent for too long", sessions);
	if (r->moved_bytes > 0)
		text_line(out, "copied %s out of packs that were mostly dead",
			  size);
	if (r->frail > 0)
		text_line(out,
			  "%s stand above something that is lost: see "
			  "'vmkeep verify'",
			  nodes);
	if (r->left_alone > 0)
		text_line(out, "left %s alone that nobody can tell whose it is",
			  packs);
}

void text_gc(FILE *out, const struct result_gc *r)
{
	char points[TEXT_COUNT], packs[TEXT_COUNT];
	char size[NUM_TEXT], time[NUM_TEXT];

	num_size_text(r->dry_run ? r->waiting_bytes : r->bytes, size);
	num_duration_text(r->elapsed_ms, time);
	text_count(points, sizeof(points), r->points, "point", "points");
	text_count(packs, sizeof(packs),
		   r->dry_run ? r->waiting_packs : r->packs, "pack", "packs");
	if (r->dry_run)
		text_line(out, "would delete %s, %s", packs, size);
	else
		text_line(out, "removed %s, deleted %s: %s freed, in %s",
			  points, packs, size, time);
	notes(out, r);
	if (!r->dry_run)
		waiting(out, r);
}

static void put_wait(json_t *root, const struct result_gc *r)
{
	json_t *wait = json_object();

	if (r->wait_host == NULL) {
		json_decref(wait);
		json_put_text(root, "waits_for", NULL);
		return;
	}
	json_put_text(wait, "host", r->wait_host);
	json_put_text(wait, "session", r->wait_session);
	json_put_time(wait, "since", r->wait_since_ns);
	json_put_time(wait, "heard", r->wait_beat_ns);
	json_object_set_new(root, "waits_for", wait);
}

void json_gc(FILE *out, const struct result_gc *r, const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_bool(root, "dry_run", r->dry_run);
	json_put_number(root, "generation", r->generation);
	json_put_number(root, "steps", r->steps);
	json_put_number(root, "points", r->points);
	json_put_number(root, "ended", r->ended);
	json_put_number(root, "packs", r->packs);
	json_put_number(root, "bytes", r->bytes);
	json_put_number(root, "waiting_packs", r->waiting_packs);
	json_put_number(root, "waiting_bytes", r->waiting_bytes);
	json_put_number(root, "moved_bytes", r->moved_bytes);
	json_put_number(root, "frail", r->frail);
	json_put_number(root, "left_alone", r->left_alone);
	put_wait(root, r);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
