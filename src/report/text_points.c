/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "report/table.h"
#include "report/text.h"
#include "report/text_parts.h"

/* Local time as it can be typed behind "web1@". */
static void point_time(int64_t time_ns, char out[CLOCK_TEXT])
{
	clock_text_local(time_ns, out);
	out[strlen("2026-11-20T17:30:05")] = '\0';
}

static void damaged_sets(FILE *out, const struct result_points *r)
{
	text_strings(out, "damaged: ", &r->damaged);
}

static void held(struct table *t, const struct result_point *p)
{
	const char *first = p->places.count > 0 ? p->places.items[0] : "";

	if (p->places.count > 1)
		table_cell(t, "%s, %s", first, p->places.items[1]);
	else
		table_name(t, first);
}

void text_points(FILE *out, const struct result_points *r)
{
	static const char *const head[] = { "POINT", "NAME", "TIME",
					    "LEVEL", "SIZE", "HELD" };
	AUTO(table_free_at) struct table *t = table_new("llllrl", "");

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		table_name(t, head[i]);
	for (size_t i = 0; i < r->count; i++) {
		const struct result_point *p = &r->points[i];
		char time[CLOCK_TEXT];

		point_time(p->time_ns, time);
		table_cell(t, "%.*s", TEXT_ID, p->id);
		table_name(t, p->name);
		table_cell(t, "%s", time);
		table_name(t, p->level);
		table_size(t, p->size);
		held(t, p);
	}
	if (r->count == 0)
		fputs("no points\n", out);
	else
		table_print(t, out);
	damaged_sets(out, r);
}

static void images(FILE *out, const struct result_point *p)
{
	AUTO(table_free_at) struct table *t = table_new("llrll", "  ");

	for (size_t i = 0; i < p->image_count; i++) {
		const struct result_point_image *m = &p->images[i];

		table_name(t, m->name);
		table_name(t, m->kind);
		table_size(t, m->size);
		table_name(t, m->format);
		table_name(t, m->source == NULL ? "" : m->source);
	}
	table_print(t, out);
}

static void facts(FILE *out, const struct result_point *p)
{
	AUTO(table_free_at) struct table *t = table_new("ll", "  ");
	char time[CLOCK_TEXT], pause[NUM_TEXT];

	clock_text_local(p->time_ns, time);
	num_duration_text(p->pause_ms, pause);
	table_name(t, "time");
	table_name(t, time);
	table_name(t, "level");
	table_name(t, p->level);
	if (p->method != NULL) {
		table_name(t, "method");
		table_name(t, p->method);
	}
	if (p->has_pause) {
		table_name(t, "stood still for");
		table_name(t, pause);
	}
	if (p->group != NULL) {
		table_name(t, "group");
		table_name(t, p->group);
	}
	if (p->has_skew) {
		num_duration_text(p->skew_ms, pause);
		table_name(t, "group stopped within");
		table_name(t, pause);
	}
	table_name(t, "size");
	table_size(t, p->size);
	table_name(t, "held in");
	held(t, p);
	table_name(t, "taken on");
	table_name(t, p->host);
	table_name(t, "taken by");
	table_name(t, p->program);
	table_name(t, "set");
	table_name(t, p->set);
	table_print(t, out);
}

static void attributes(FILE *out, const struct result_strings *attrs)
{
	AUTO(table_free_at) struct table *t = table_new("ll", "  ");

	for (size_t i = 0; i + 1 < attrs->count; i += 2) {
		table_name(t, attrs->items[i]);
		table_name(t, attrs->items[i + 1]);
	}
	fputs("attributes:\n", out);
	table_print(t, out);
}

void text_show(FILE *out, const struct result_points *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct result_point *p = &r->points[i];

		text_line(out, "point %s of %s", p->id, p->name);
		facts(out, p);
		text_strings(out, "  note: ", &p->notes);
		fputs("images:\n", out);
		images(out, p);
		if (p->attrs.count > 0)
			attributes(out, &p->attrs);
	}
	damaged_sets(out, r);
}

/* "vda 2.0 GiB, memory 192.0 MiB": what has a size worth telling. */
static char *image_list(const struct result_point *p)
{
	char *list = mem_strdup("");

	for (size_t i = 0; i < p->image_count; i++) {
		const struct result_point_image *m = &p->images[i];
		autofree char *before = NULL;
		char size[NUM_TEXT];

		if (strcmp(m->kind, "disk") != 0 &&
		    strcmp(m->kind, "ram") != 0 &&
		    strcmp(m->kind, "stream") != 0)
			continue;
		before = list;
		num_size_text(m->size, size);
		list = mem_fmt("%s%s%s %s", before, *before == '\0' ? "" : ", ",
			       m->name, size);
	}
	return list;
}

/* How long the guest did nothing because of us: what everybody asks first. */
static void standstill(FILE *out, const struct result_backup_item *item)
{
	char pause[NUM_TEXT];

	if (!item->point.has_pause)
		return;
	num_duration_text(item->point.pause_ms, pause);
	if (item->point.pause_ms == 0)
		text_line(out, "  %s did not stand still", item->name);
	else
		text_line(out, "  %s stood still for %s", item->name, pause);
}

static void backup_item(FILE *out, const struct result_backup_item *item)
{
	const struct result_point *p = &item->point;
	autofree char *list = image_list(p);
	char time[CLOCK_TEXT];

	point_time(p->time_ns, time);
	text_line(out, "%s: point %.*s, level %s%s%s, %s", item->name, TEXT_ID,
		  p->id, p->level, p->method == NULL ? "" : " by ",
		  p->method == NULL ? "" : p->method, time);
	standstill(out, item);
	if (*list != '\0')
		text_line(out, "  holds %s", list);
	if (item->degraded)
		text_line(out, "  degraded: less than what was asked for");
	text_strings(out, "  note: ", &p->notes);
}

static void amounts(FILE *out, const struct result_backup *r)
{
	char read[NUM_TEXT], fresh[NUM_TEXT], stored[NUM_TEXT], time[NUM_TEXT];

	num_size_text(r->read_bytes, read);
	num_size_text(r->new_bytes, fresh);
	num_size_text(r->stored_bytes, stored);
	num_duration_text(r->elapsed_ms, time);
	text_line(out, "read %s, of these %s new; stored %s; took %s", read,
		  fresh, stored, time);
}

/* Of a group: how far apart its guests were stopped. */
static void skew(FILE *out, const struct result_backup *r)
{
	char text[NUM_TEXT];

	for (size_t i = 0; i < r->count; i++) {
		const struct result_point *p = &r->items[i].point;

		if (!r->items[i].ok || !p->has_skew)
			continue;
		num_duration_text(p->skew_ms, text);
		text_line(out, "all of them were stopped within %s", text);
		return;
	}
}

void text_backup(FILE *out, const struct result_backup *r)
{
	size_t ok = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (!r->items[i].ok)
			continue;
		backup_item(out, &r->items[i]);
		ok++;
	}
	skew(out, r);
	if (ok > 0)
		amounts(out, r);
	if (ok < r->count && r->count > 1)
		text_line(out, "%zu of %zu domains are backed up", ok,
			  r->count);
}

void text_import(FILE *out, const struct result_backup *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].ok)
			text_line(out, "%s: point %.*s", r->items[i].name,
				  TEXT_ID, r->items[i].point.id);
	if (r->count > 0 && r->items[0].ok)
		amounts(out, r);
}
