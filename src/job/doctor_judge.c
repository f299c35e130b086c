/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "job/doctor_rules.h"

#define SAFE                                                                   \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"                 \
	"0123456789%+,-./:=@_"

#define RESERVE_MAX (UINT64_C(2) << 30)

/* ---- what rules use ---- */

bool doctor_is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

bool doctor_is_tight(const struct traits_volume *v)
{
	uint64_t reserve = num_min(v->size / 10, RESERVE_MAX);

	return v->fs != NULL && v->size > 0 && v->free < reserve + reserve / 2;
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '\x7f')
			return true;
	return false;
}

static size_t put_octal(char *to, unsigned char c)
{
	to[0] = '\\';
	to[1] = (char)('0' + c / 64);
	to[2] = (char)('0' + c / 8 % 8);
	to[3] = (char)('0' + c % 8);
	return 4;
}

/* $'...', which a line feed does not tear and a terminal can show. */
static char *escaped(const char *text)
{
	char *out = mem_alloc(4 * strlen(text) + 4);
	size_t n = 0;

	out[n++] = '$';
	out[n++] = '\'';
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == '\x7f' || c == '\'' || c == '\\')
			n += put_octal(out + n, c);
		else
			out[n++] = *text;
	}
	out[n++] = '\'';
	out[n] = '\0';
	return out;
}

static char *quoted(const char *text)
{
	char *out = mem_alloc(4 * strlen(text) + 3);
	size_t n = 0;

	out[n++] = '\'';
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			memcpy(out + n, "'\\''", 4);
			n += 4;
		} else {
			out[n++] = *text;
		}
	}
	out[n++] = '\'';
	out[n] = '\0';
	return out;
}

char *doctor_word(const char *text)
{
	if (has_control(text))
		return escaped(text);
	if (*text != '\0' && text[strspn(text, SAFE)] == '\0')
		return mem_strdup(text);
	return quoted(text);
}

__attribute__((format(printf, 3, 0))) static char *with_uri(
	const struct doctor_case *c, const char *program, const char *fmt,
	va_list ap)
{
	autofree char *rest = mem_vfmt(fmt, ap);
	const char *uri = c->facts->uri;

	return mem_fmt("%s%s%s %s", program, uri != NULL ? " -c " : "",
		       uri != NULL ? uri : "", rest);
}

char *doctor_virsh(const struct doctor_case *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *command = with_uri(c, "virsh", fmt, ap);

	va_end(ap);
	return command;
}

char *doctor_edit(const struct doctor_case *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *command = with_uri(c, "virt-xml", fmt, ap);

	va_end(ap);
	return command;
}

char *doctor_vmkeep(const struct doctor_case *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *command = with_uri(c, "vmkeep", fmt, ap);

	va_end(ap);
	return command;
}

void doctor_found(struct doctor_case *c, enum result_severity s,
		  const char *why, char *command, const char *fact, ...)
{
	struct result_doctor *r = c->out;
	const char *domain = c->domain != NULL ? c->domain->info->name : NULL;
	va_list ap;

	r->findings = mem_grow(r->findings, r->count + 1, sizeof(*r->findings));
	va_start(ap, fact);
	r->findings[r->count++] = (struct result_finding){
		.rule = c->rule->id,
		.severity = s,
		.domain = domain != NULL ? mem_strdup(domain) : NULL,
		.subject = mem_strdup(c->subject),
		.fact = mem_vfmt(fact, ap),
		.why = mem_strdup(why),
		.command = command,
	};
	va_end(ap);
}

/* ---- all rules ---- */

static const struct doctor_rule *const tables[] = {
	doctor_domain_rules, doctor_disk_rules, doctor_image_rules,
	doctor_volume_rules, doctor_pool_rules, doctor_host_rules,
};

void doctor_list(struct result_doctor *out)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct doctor_rule *r = tables[i]; r->id; r++) {
			out->rules = mem_grow(out->rules, out->rule_count + 1,
					      sizeof(*out->rules));
			out->rules[out->rule_count++] = (struct result_rule){
				.id = r->id,
				.about = r->about,
			};
		}
}

static bool is_ignored(const struct doctor_ignore *ignore, const char *id)
{
	for (size_t i = 0; i < ignore->count; i++)
		if (strcmp(ignore->ids[i], id) == 0)
			return true;
	return false;
}

struct judge {
	struct doctor_case c;
	const struct doctor_ignore *ignore;
	bool *volumes; /* that hold an image of a domain */
};

static void apply(struct judge *j, const struct doctor_rule *rules)
{
	for (; rules->id != NULL; rules++)
		if (!is_ignored(j->ignore, rules->id)) {
			j->c.rule = rules;
			rules->check(&j->c);
		}
}

static void place_image(struct judge *j, size_t file)
{
	const struct traits *t = &j->c.facts->traits;

	j->c.place = NULL;
	j->c.volume = NULL;
	if (file == TRAITS_NONE || t->files[file].volume == TRAITS_NONE)
		return;
	j->c.place = &t->files[file];
	j->c.volume = &t->volumes[t->files[file].volume];
	j->volumes[t->files[file].volume] = true;
}

static void judge_image(struct judge *j, size_t n, size_t file)
{
	const char *path = j->c.disk->chain[n].path;
	autofree char *word = doctor_word(path != NULL ? path : "");

	j->c.image = &j->c.disk->chain[n];
	j->c.file = &j->c.how->images[n];
	j->c.path = word;
	place_image(j, file);
	if (n == 0)
		apply(j, doctor_disk_rules);
	apply(j, doctor_image_rules);
}

static bool is_drive(const struct domain_disk *d)
{
	return strcmp(d->device, "cdrom") == 0 ||
	       strcmp(d->device, "floppy") == 0;
}

static void judge_disk(struct judge *j, size_t i, const size_t *files)
{
	const struct domain_disk *d = &j->c.domain->info->disks[i];
	autofree char *subject =
		mem_fmt("%s/%s", j->c.domain->info->name, d->target);
	autofree char *target = doctor_word(d->target);

	if (is_drive(d))
		return;
	j->c.disk = d;
	j->c.how = &j->c.domain->disks[i];
	j->c.subject = subject;
	j->c.target = target;
	for (size_t n = 0; n < d->chain_len; n++)
		judge_image(j, n, files[n]);
	j->c.out->disks += d->chain_len > 0;
}

static void judge_domain(struct judge *j, size_t i)
{
	const struct checkup *k = j->c.facts->domains[i];
	const size_t *files = j->c.facts->files[i];
	const struct doctor_case before = j->c;
	autofree char *name = doctor_word(k->info->name);

	j->c.domain = k;
	j->c.subject = k->info->name;
	j->c.name = name;
	apply(j, doctor_domain_rules);
	for (size_t n = 0; n < k->info->disk_count; n++) {
		judge_disk(j, n, files);
		files += k->info->disks[n].chain_len;
	}
	j->c = before;
	j->c.out->domains++;
}

static void judge_volume(struct judge *j, size_t i)
{
	const struct doctor_case before = j->c;
	const struct traits_volume *v = &j->c.facts->traits.volumes[i];
	autofree char *name = doctor_word(v->name);

	j->c.volume = v;
	j->c.subject = v->name;
	j->c.name = name;
	apply(j, doctor_volume_rules);
	j->c = before;
	j->c.out->volumes++;
}

static void judge_pool(struct judge *j, size_t i)
{
	const struct doctor_case before = j->c;
	const struct traits_pool *p = &j->c.facts->traits.pools[i];
	autofree char *name = doctor_word(p->name);

	j->c.pool = p;
	j->c.subject = p->name;
	j->c.name = name;
	apply(j, doctor_pool_rules);
	j->c = before;
	j->c.out->pools++;
}

static int by_gravity(const void *a, const void *b)
{
	const struct result_finding *x = a;
	const struct result_finding *y = b;

	if (x->severity != y->severity)
		return x->severity > y->severity ? -1 : 1;
	int order = strcmp(x->subject, y->subject);

	if (order == 0)
		order = strcmp(x->rule, y->rule);
	return order != 0 ? order : strcmp(x->fact, y->fact);
}

void doctor_judge(const struct doctor_facts *f,
		  const struct doctor_ignore *ignore, struct result_doctor *out)
{
	autofree bool *volumes =
		mem_zalloc(f->traits.volume_count, sizeof(*volumes));
	struct judge j = { .c = { .facts = f, .subject = "host", .out = out },
			   .ignore = ignore,
			   .volumes = volumes };

	apply(&j, doctor_host_rules);
	for (size_t i = 0; i < f->domain_count; i++)
		judge_domain(&j, i);
	j.c.place = NULL;
	j.c.volume = NULL;
	for (size_t i = 0; i < f->traits.volume_count; i++)
		if (volumes[i])
			judge_volume(&j, i);
	for (size_t i = 0; i < f->traits.pool_count; i++)
		judge_pool(&j, i);
	if (out->count > 0)
		qsort(out->findings, out->count, sizeof(*out->findings),
		      by_gravity);
}
