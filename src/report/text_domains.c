/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/num.h"
#include "report/table.h"
#include "report/text.h"
#include "report/text_parts.h"

/* Images of a chain are numbered: 1 is the base of all. */
static void image_cells(struct table *t, const struct result_disk *d, size_t at)
{
	const struct result_image *m = &d->chain[at];
	const char *before = at == 0 ? "" : "on ";
	const char *open = m->path == NULL ? "(" : "";
	const char *close = m->path == NULL ? ")" : "";
	const char *name = m->path == NULL ? m->type : m->path;

	table_name(t, m->format);
	if (d->chain_len == 1)
		table_cell(t, "%s%s%s", open, name, close);
	else
		table_cell(t, "%s%zu: %s%s%s", before, d->chain_len - at, open,
			   name, close);
}

static void disk_rows(struct table *t, const struct result_disk *d)
{
	table_name(t, d->target);
	table_name(t, d->device);
	table_name(t, d->bus);
	if (d->size > 0)
		table_size(t, d->size);
	else
		table_name(t, NULL);
	if (d->chain_len == 0) {
		table_name(t, NULL);
		table_name(t, "(no medium)");
	}
	for (size_t i = 0; i < d->chain_len; i++) {
		for (int c = 0; i > 0 && c < 4; c++)
			table_name(t, "");
		image_cells(t, d, i);
	}
}

static void disks(FILE *out, const struct result_domain *d)
{
	AUTO(table_free_at) struct table *t = table_new("lllrll", "  ");

	for (size_t i = 0; i < d->disk_count; i++)
		disk_rows(t, &d->disks[i]);
	table_print(t, out);
	for (size_t i = 0; i < d->disk_count; i++)
		if (!d->disks[i].captured)
			text_line(out, "  left out: %s: %s", d->disks[i].target,
				  d->disks[i].why_not == NULL
					  ? "no reason known"
					  : d->disks[i].why_not);
}

static void domain(FILE *out, const struct result_domain *d)
{
	char memory[NUM_TEXT];

	num_size_text(d->memory, memory);
	text_line(out, "%s: %s%s%s%s, %s memory, agent: %s%s%s", d->name,
		  d->state, d->pause_reason == NULL ? "" : " (",
		  d->pause_reason == NULL ? "" : d->pause_reason,
		  d->pause_reason == NULL ? "" : ")", memory, d->agent,
		  d->nvram ? ", firmware variables" : "",
		  d->tpm ? ", TPM" : "");
	disks(out, d);
	if (d->level == NULL)
		fputs("  cannot be backed up now\n", out);
	else
		text_line(out, "  can be backed up now: level %s%s%s", d->level,
			  d->method == NULL ? "" : ", method ",
			  d->method == NULL ? "" : d->method);
	text_strings(out, "  not better: ", &d->reasons);
}

void text_domains(FILE *out, const struct result_domains *r)
{
	if (r->count == 0)
		fputs("no domains\n", out);
	for (size_t i = 0; i < r->count; i++)
		domain(out, &r->domains[i]);
}
