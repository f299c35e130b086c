/* SPDX-License-Identifier: Apache-2.0 */
#include "report/stats.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "report/json_parts.h"
#include "report/table.h"
#include "report/text_parts.h"

static void cell_size(struct table *t, uint64_t bytes)
{
	char text[NUM_TEXT];

	num_size_text(bytes, text);
	table_cell(t, "%s", text);
}

static void heads(struct table *t, const char *const *head)
{
	for (; *head != NULL; head++)
		table_name(t, *head);
}

static void names(FILE *out, const struct result_stats *r)
{
	static const char *const head[] = { "NAME", "POINTS",  "SIZE",
					    "DATA", "ITS OWN", NULL };
	AUTO(table_free_at) struct table *t = table_new("lrrrr", "");

	heads(t, head);
	for (size_t i = 0; i < r->name_count; i++) {
		const struct result_stats_name *n = &r->names[i];

		table_name(t, n->name);
		table_cell(t, "%" PRIu64, n->points);
		cell_size(t, n->size);
		cell_size(t, n->data);
		cell_size(t, n->frees);
	}
	table_print(t, out);
}

static void point(FILE *out, const struct result_stats_point *p)
{
	char when[CLOCK_TEXT];
	char size[NUM_TEXT], data[NUM_TEXT], frees[NUM_TEXT];

	clock_text_local(p->time_ns, when);
	num_size_text(p->size, size);
	num_size_text(p->data, data);
	num_size_text(p->frees, frees);
	text_line(out, "%s@%s (%.*s): %s, of these %s data", p->name, when,
		  TEXT_ID, p->id, size, data);
	text_line(out, "stored for it alone, and freed by forgetting it: %s",
		  frees);
}

static void packs_for_nothing(const struct result_stats *r, char text[NUM_TEXT])
{
	num_size_text(r->pack_bytes - num_min(r->stored, r->pack_bytes), text);
}

static void nothing(FILE *out, const struct result_stats *r)
{
	char all[NUM_TEXT], rest[NUM_TEXT];

	num_size_text(r->bytes, all);
	packs_for_nothing(r, rest);
	text_line(out,
		  "no points; the whole repository: %s, of these %s of packs "
		  "that no point needs",
		  all, rest);
}

static double ratio(uint64_t of, uint64_t to)
{
	return to > 0 ? (double)of / (double)to : 1;
}

static void totals(FILE *out, const struct result_stats *r)
{
	char size[NUM_TEXT], data[NUM_TEXT], unique[NUM_TEXT];
	char stored[NUM_TEXT], all[NUM_TEXT], rest[NUM_TEXT];

	num_size_text(r->size, size);
	num_size_text(r->data, data);
	num_size_text(r->unique, unique);
	num_size_text(r->stored, stored);
	num_size_text(r->bytes, all);
	packs_for_nothing(r, rest);
	text_line(out, "all points: %s, of these %s data", size, data);
	text_line(out, "each chunk once: %s (deduplication %.2f)", unique,
		  ratio(r->data, r->unique));
	text_line(out, "compressed and sealed: %s (compression %.2f)", stored,
		  ratio(r->unique, r->stored));
	text_line(out,
		  "the whole repository: %s (altogether %.2f), of these %s of "
		  "packs that no point needs",
		  all, ratio(r->data, r->bytes), rest);
	if (r->lost > 0)
		text_line(out,
			  "%" PRIu64 " nodes and chunks could not be found: "
			  "see 'vmkeep verify'",
			  r->lost);
}

void text_stats(FILE *out, const struct result_stats *r)
{
	if (r->one && r->point_count > 0)
		point(out, &r->points[0]);
	else if (r->name_count > 0)
		names(out, r);
	if (!r->one && r->point_count == 0)
		nothing(out, r);
	else if (!r->one)
		totals(out, r);
}

static void put_sizes(json_t *to, uint64_t size, uint64_t data, uint64_t frees)
{
	json_put_number(to, "size", size);
	json_put_number(to, "data", data);
	json_put_number(to, "frees", frees);
}

static void put_points(json_t *root, const struct result_stats *r)
{
	json_t *points = json_put_array(root, "points");

	for (size_t i = 0; i < r->point_count; i++) {
		const struct result_stats_point *p = &r->points[i];
		json_t *to = json_add_object(points);

		json_put_text(to, "id", p->id);
		json_put_text(to, "name", p->name);
		json_put_time(to, "time", p->time_ns);
		put_sizes(to, p->size, p->data, p->frees);
	}
}

static void put_names(json_t *root, const struct result_stats *r)
{
	json_t *list = json_put_array(root, "names");

	for (size_t i = 0; i < r->name_count; i++) {
		const struct result_stats_name *n = &r->names[i];
		json_t *to = json_add_object(list);

		json_put_text(to, "name", n->name);
		json_put_number(to, "points", n->points);
		put_sizes(to, n->size, n->data, n->frees);
	}
}

void json_stats(FILE *out, const struct result_stats *r,
		const struct json_end *end)
{
	json_t *root = json_begin(end);

	put_points(root, r);
	put_names(root, r);
	json_put_number(root, "size", r->size);
	json_put_number(root, "data", r->data);
	json_put_number(root, "unique", r->unique);
	json_put_number(root, "stored", r->stored);
	json_put_number(root, "tree", r->tree);
	json_put_number(root, "nodes", r->nodes);
	json_put_number(root, "chunks", r->chunks);
	json_put_number(root, "packs", r->packs);
	json_put_number(root, "pack_bytes", r->pack_bytes);
	json_put_number(root, "objects", r->objects);
	json_put_number(root, "bytes", r->bytes);
	json_put_number(root, "lost", r->lost);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}
