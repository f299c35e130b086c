/* SPDX-License-Identifier: Apache-2.0 */
#include "report/key.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/json_parts.h"
#include "report/table.h"
#include "report/text_parts.h"

/* ---- for people ------------------------------------------------------ */

static void put_time(struct table *t, int64_t ns)
{
	char text[CLOCK_TEXT];

	if (ns == 0) {
		table_name(t, NULL);
		return;
	}
	clock_text_local(ns, text);
	table_cell(t, "%.19s", text);
}

/* How it is kept: "passphrase", "key file", "2 passphrases, key file". */
static void put_form(struct table *t, const struct result_key *k)
{
	char slots[TEXT_COUNT] = "";

	if (k->passphrases == 1)
		snprintf(slots, sizeof(slots), "passphrase");
	else if (k->passphrases > 1)
		snprintf(slots, sizeof(slots), "%u passphrases",
			 k->passphrases);
	if (k->passphrases == 0 && !k->file)
		table_name(t, NULL);
	else
		table_cell(t, "%s%s%s", slots,
			   k->file && k->passphrases > 0 ? ", " : "",
			   k->file ? "key file" : "");
}

static void put_state(struct table *t, const struct result_key *k)
{
	char text[CLOCK_TEXT];

	if (k->removed) {
		clock_text_local(k->removed_ns, text);
		table_cell(t, "removed %.10s", text);
	} else {
		table_cell(t, "%s", k->current ? "this one" : "");
	}
}

static void put_keys(FILE *out, const struct result_keys *r, bool boxes)
{
	static const char *const head[] = { "KEY",  "ROLE",  "KEPT AS",
					    "MADE", "STATE", "LABEL" };
	AUTO(table_free_at)
	struct table *t = table_new(boxes ? "lllllll" : "llllll", "");

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		table_name(t, head[i]);
	if (boxes)
		table_name(t, "PUBLIC KEY");
	for (size_t i = 0; i < r->count; i++) {
		const struct result_key *k = &r->keys[i];

		table_cell(t, "%.*s", TEXT_ID, k->id);
		table_name(t, k->role);
		put_form(t, k);
		put_time(t, k->time_ns);
		put_state(t, k);
		table_cell(t, "%s", k->label);
		if (boxes)
			table_name(t, k->recipient);
	}
	table_print(t, out);
}

static void put_sealing(FILE *out, const struct result_keys *r)
{
	char keys[TEXT_COUNT];

	if (!r->sealing)
		return;
	text_count(keys, sizeof(keys), r->data_keys, "data key", "data keys");
	text_line(out, "%s: %" PRIu64 " sealed now, %" PRIu64 " failed", keys,
		  r->sealed, r->failed);
}

static void put_deed(FILE *out, const struct result_keys *r)
{
	const struct result_key *k = r->count > 0 ? &r->keys[0] : NULL;

	if (k != NULL && strcmp(r->action, "add") == 0)
		text_line(out, "made key %.*s, role %s", TEXT_ID, k->id,
			  k->role);
	if (k != NULL && strcmp(r->action, "remove") == 0)
		text_line(out, "removed key %.*s, role %s", TEXT_ID, k->id,
			  k->role);
	if (k != NULL && strcmp(r->action, "recipient-add") == 0)
		text_line(out, "recipient %.*s", TEXT_ID, k->id);
	if (strcmp(r->action, "passphrase") == 0)
		fputs("the passphrase is changed\n", out);
	if (r->file != NULL)
		text_line(out,
			  "written to %s: whoever reads it has the key, keep "
			  "it so",
			  r->file);
}

void text_keys(FILE *out, const struct result_keys *r)
{
	if (strcmp(r->action, "list") == 0)
		put_keys(out, r, false);
	else if (strcmp(r->action, "recipient-list") == 0)
		put_keys(out, r, true);
	else
		put_deed(out, r);
	put_sealing(out, r);
	text_strings(out, "note: ", &r->notes);
	text_strings(out, "damaged: ", &r->damaged);
}

/* ---- for programs ---------------------------------------------------- */

static void json_key(json_t *object, const struct result_key *k)
{
	json_put_text(object, "id", k->id);
	json_put_text(object, "role", k->role);
	json_put_text(object, "label", k->label);
	if (k->time_ns != 0)
		json_put_time(object, "time", k->time_ns);
	else
		json_put_text(object, "time", NULL);
	json_put_bool(object, "removed", k->removed);
	if (k->removed)
		json_put_time(object, "removed_time", k->removed_ns);
	json_put_number(object, "passphrases", k->passphrases);
	json_put_bool(object, "key_file", k->file);
	json_put_text(object, "recipient", k->recipient);
	json_put_bool(object, "current", k->current);
}

void json_keys(FILE *out, const struct result_keys *r,
	       const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *keys;

	json_put_text(root, "action", r->action);
	json_put_text(root, "file", r->file);
	keys = json_put_array(root, "keys");
	for (size_t i = 0; i < r->count; i++)
		json_key(json_add_object(keys), &r->keys[i]);
	if (r->sealing) {
		json_put_number(root, "data_keys", r->data_keys);
		json_put_number(root, "sealed", r->sealed);
		json_put_number(root, "failed", r->failed);
	}
	json_put_strings(root, "notes", &r->notes);
	json_put_strings(root, "damaged", &r->damaged);
	json_finish(out, root, end);
}
