/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "report/table.h"
#include "report/text.h"
#include "report/text_parts.h"

static void damage_row(struct table *t, const struct result_damage *d)
{
	table_name(t, d->object);
	table_name(t, d->point);
	table_name(t, d->image);
	if (d->size > 0)
		table_cell(t, "%" PRIu64 "+%" PRIu64, d->offset, d->size);
	else
		table_cell(t, "-");
	table_name(t, d->msg);
}

void text_damages(FILE *out, const struct result_damage *d, size_t count)
{
	static const char *const head[] = { "OBJECT", "POINT", "IMAGE", "BYTES",
					    "WHAT" };
	AUTO(table_free_at) struct table *t = table_new("lllll", "");

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		table_name(t, head[i]);
	for (size_t i = 0; i < count; i++)
		damage_row(t, &d[i]);
	table_print(t, out);
}

static unsigned percent(uint64_t part, uint64_t of)
{
	return of > 0 ? (unsigned)((double)part * 100 / (double)of) : 100;
}

static void ages(FILE *out, const struct result_verify *r)
{
	char when[CLOCK_TEXT];

	if (r->bytes == 0)
		return;
	if (r->bytes_ever == 0) {
		fputs("no data was read and checked by 'vmkeep verify' yet\n",
		      out);
		return;
	}
	clock_text_local(r->oldest_ns, when);
	if (r->oldest_ns != 0)
		text_line(out,
			  "%u %% of the data were read in the last 30 days, "
			  "all of it since %s",
			  percent(r->bytes_recent, r->bytes), when);
	else
		text_line(out,
			  "%u %% of the data were read in the last 30 days, "
			  "%u %% never",
			  percent(r->bytes_recent, r->bytes),
			  100 - percent(r->bytes_ever, r->bytes));
}

static void reading(FILE *out, const struct result_verify *r)
{
	char read[NUM_TEXT], packs[TEXT_COUNT];

	if (r->packs == 0)
		return;
	if (!r->reads) {
		fputs("data was not read: --level data does that\n", out);
		return;
	}
	num_size_text(r->bytes_read, read);
	text_count(packs, sizeof(packs), r->packs_read, "pack", "packs");
	text_line(out, "read %s, %s%s", packs, read,
		  r->complete || r->unread > 0
			  ? ""
			  : "; there was no time for all: the next run "
			    "goes on");
}

void text_unread(FILE *out, const struct result_verify *r)
{
	char unread[TEXT_COUNT];

	if (r->unread == 0)
		return;
	text_count(unread, sizeof(unread), r->unread, "read", "reads");
	text_line(out,
		  "%s failed, which says nothing about what is stored: look "
		  "again once the store answers; first: %s",
		  unread, r->unread_msg);
}

void text_verify(FILE *out, const struct result_verify *r)
{
	char time[NUM_TEXT], points[TEXT_COUNT], healed[TEXT_COUNT];
	char images[TEXT_COUNT], packs[TEXT_COUNT], found[TEXT_COUNT];

	num_duration_text(r->elapsed_ms, time);
	text_count(points, sizeof(points), r->points, "point", "points");
	text_count(images, sizeof(images), r->images, "image", "images");
	text_count(packs, sizeof(packs), r->packs, "pack", "packs");
	text_count(found, sizeof(found), r->damage_count, "damage", "damages");
	text_count(healed, sizeof(healed), r->healed_count, "damage",
		   "damages");
	if (r->damage_count > 0)
		text_damages(out, r->damages, r->damage_count);
	const char *well = r->unread > 0 ? "no damage seen" : "all is well";
	const char *how = r->damage_count == 0 ? well : found;

	if (r->points > 0)
		text_line(out,
			  "looked at %s, %s, %s, %" PRIu64 " chunks: %s, in %s",
			  points, images, packs, r->chunks, how, time);
	else if (strcmp(r->level, "sizes") == 0)
		text_line(out, "looked at the sizes of %s: %s, in %s", packs,
			  how, time);
	else
		text_line(out, "no points were found: %s, in %s", how, time);
	if (r->healed_count > 0)
		text_line(out,
			  "%s of packs left that hurt nobody: what is needed "
			  "of them is stored elsewhere, too",
			  healed);
	text_unread(out, r);
	reading(out, r);
	ages(out, r);
}
