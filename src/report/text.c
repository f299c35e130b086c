/* SPDX-License-Identifier: Apache-2.0 */
#include "report/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "report/safe.h"
#include "report/table.h"
#include "report/text_parts.h"

void text_line(FILE *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *raw = mem_vfmt(fmt, ap);
	va_end(ap);
	autofree char *text = safe_text(raw);

	fprintf(out, "%s\n", text);
}

void text_strings(FILE *out, const char *before, const struct result_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		text_line(out, "%s%s", before, s->items[i]);
}

void text_count(char *out, size_t size, unsigned long long n,
		const char *singular, const char *plural)
{
	if (n == 1)
		snprintf(out, size, "one %s", singular);
	else
		snprintf(out, size, "%llu %s", n, plural);
}

void text_init(FILE *out, const struct result_init *r)
{
	text_line(out, "made repository %s, id %s", r->repository, r->id);
	if (r->key_file != NULL)
		text_line(out,
			  "its key is in %s: keep a copy where the "
			  "repository is not",
			  r->key_file);
	else
		fputs("without its passphrase nothing in it can be read\n",
		      out);
}

static void goes_on(FILE *out, const char *domain)
{
	text_line(out, "%s goes on from the instant it was captured at",
		  domain);
}

static void restored_domain(FILE *out, const struct result_restore *r)
{
	if (r->domain == NULL)
		return;
	if (r->resumed)
		goes_on(out, r->domain);
	else
		text_line(out, "%s is defined, %s", r->domain,
			  r->state == NULL ? "shut off" : r->state);
}

void text_revert(FILE *out, const struct result_revert *r)
{
	char size[NUM_TEXT], time[NUM_TEXT];

	num_size_text(r->bytes, size);
	num_duration_text(r->elapsed_ms, time);
	text_line(out, "reverted %s to point %.*s: %s written, in %s",
		  r->domain, TEXT_ID, r->point, size, time);
	text_strings(out, "  ", &r->files);
	text_strings(out, "  note: ", &r->notes);
	if (r->resumed)
		goes_on(out, r->domain);
	else
		text_line(out, "%s is %s", r->domain, r->state);
}

void text_restore(FILE *out, const struct result_restore *r)
{
	char size[NUM_TEXT], time[NUM_TEXT], files[TEXT_COUNT];

	num_size_text(r->bytes, size);
	num_duration_text(r->elapsed_ms, time);
	text_count(files, sizeof(files), r->files.count, "file", "files");
	text_line(out, "restored point %.*s: %s, %s, in %s", TEXT_ID, r->point,
		  files, size, time);
	text_strings(out, "  ", &r->files);
	text_strings(out, "  note: ", &r->notes);
	restored_domain(out, r);
}

void text_export(FILE *out, const struct result_export *r)
{
	char size[NUM_TEXT], written[NUM_TEXT], time[NUM_TEXT];

	num_size_text(r->size, size);
	num_size_text(r->written, written);
	num_duration_text(r->elapsed_ms, time);
	text_line(out, "wrote %s of point %.*s to %s: %s of %s in %s", r->image,
		  TEXT_ID, r->point, r->file, written, size, time);
}

void text_recover(FILE *out, const struct result_recover *r)
{
	if (r->count == 0)
		fputs("nothing to recover\n", out);
	for (size_t i = 0; i < r->count; i++)
		text_line(out, "%s: %s%s", r->items[i].domain,
			  r->items[i].failed ? "still to be done: " : "",
			  r->items[i].action);
}
