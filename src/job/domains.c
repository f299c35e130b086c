/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "job/job.h"
#include "job/snapped.h"
#include "virt/capture.h"

static char *copy(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

static void describe_disk(const struct domain_disk *d, struct result_disk *to)
{
	*to = (struct result_disk){
		.target = mem_strdup(d->target),
		.device = copy(d->device),
		.bus = copy(d->bus),
		.chain = mem_zalloc(d->chain_len, sizeof(*to->chain)),
		.chain_len = d->chain_len,
		.size = d->size,
		.captured = d->captured,
		.why_not = copy(d->why_not),
	};
	for (size_t i = 0; i < d->chain_len; i++)
		to->chain[i] = (struct result_image){
			.path = copy(d->chain[i].path),
			.format = copy(d->chain[i].format),
			.type = copy(d->chain[i].type),
		};
}

/* By which method a backup would be made now; false: by none. */
static bool describe_method(struct conn *c, const struct domain_info *d,
			    struct result_domain *to)
{
	autofree char *no_snaps = snapped_refusal_of(c, d, NULL, 0);
	autofree char *why = NULL;
	enum capture_method m =
		capture_prefer(c, d, d->ram_refused == NULL, no_snaps, &why);

	if (why != NULL)
		result_strings_add(&to->reasons, "no storage snapshot: %s",
				   why);
	if (m == METHOD_AUTO) {
		to->level = mem_strdup("none");
		result_strings_add(&to->reasons, "no overlay: %s",
				   d->overlay_refused);
		return false;
	}
	to->method = mem_strdup(capture_method_text(m));
	return true;
}

/* The best that a backup would reach now, and what keeps it from better. */
static void describe_running(struct conn *c, const struct domain_info *d,
			     struct result_domain *to)
{
	enum capture_level level = LEVEL_RAM;

	if (!describe_method(c, d, to))
		return;
	if (d->ram_refused != NULL) {
		level = d->agent == AGENT_CONNECTED ? LEVEL_FILESYSTEM
						    : LEVEL_CRASH;
		result_strings_add(&to->reasons, "no RAM: %s", d->ram_refused);
	}
	if (d->agent == AGENT_DISCONNECTED)
		result_strings_add(&to->reasons,
				   "the guest agent does not answer: start "
				   "qemu-guest-agent in the guest");
	if (d->agent == AGENT_NONE)
		result_strings_add(&to->reasons,
				   "no guest agent channel: file systems "
				   "cannot be frozen");
	to->level = mem_strdup(capture_level_text(level));
}

static void describe_ability(struct conn *c, const struct domain_info *d,
			     struct result_domain *to)
{
	switch (d->state) {
	case DOMAIN_SHUT_OFF:
	case DOMAIN_CRASHED:
		to->level = mem_strdup(capture_level_text(LEVEL_OFFLINE));
		to->method = mem_strdup("offline");
		return;
	case DOMAIN_RUNNING:
	case DOMAIN_PAUSED:
		break;
	case DOMAIN_PMSUSPENDED:
	case DOMAIN_OTHER:
		to->level = mem_strdup("none");
		result_strings_add(&to->reasons, "it is %s: wake it up first",
				   domain_state_text(d->state));
		return;
	}
	describe_running(c, d, to);
}

static void describe_domain(struct conn *c, const struct domain_info *d,
			    struct result_domain *to)
{
	*to = (struct result_domain){
		.name = mem_strdup(d->name),
		.uuid = mem_strdup(d->uuid),
		.state = mem_strdup(domain_state_text(d->state)),
		.pause_reason = copy(d->pause_reason),
		.memory = d->memory,
		.agent = mem_strdup(domain_agent_text(d->agent)),
		.nvram = d->nvram != NULL,
		.tpm = d->tpm,
		.disks = mem_zalloc(d->disk_count, sizeof(*to->disks)),
		.disk_count = d->disk_count,
	};
	for (size_t i = 0; i < d->disk_count; i++) {
		describe_disk(&d->disks[i], &to->disks[i]);
		if (d->disks[i].job_active)
			result_strings_add(&to->reasons,
					   "a block job runs on %s",
					   d->disks[i].target);
	}
	describe_ability(c, d, to);
}

/* One that vanishes while we look is not there. */
static int add_domain(struct conn *c, const char *name, bool asked,
		      struct result_domains *result, struct err *e)
{
	AUTO(domain_info_free_at)
	struct domain_info *d = domain_inspect(c, name, e);

	if (d == NULL) {
		if (asked || e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	result->domains = mem_grow(result->domains, result->count + 1,
				   sizeof(*result->domains));
	describe_domain(c, d, &result->domains[result->count++]);
	return 0;
}

static int add_all(struct conn *c, struct result_domains *result, struct err *e)
{
	char **names;
	size_t count;
	int ok = 0;

	if (domain_names(c, &names, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count && ok == 0; i++)
		ok = add_domain(c, names[i], false, result, e);
	domain_names_free(names, count);
	return ok;
}

int job_domains(const struct job *j, const char *domain,
		struct result_domains *result, struct err *e)
{
	memset(result, 0, sizeof(*result));
	AUTO(conn_close_at) struct conn *c = conn_open(j->uri, e);

	if (c == NULL)
		return -1;
	return domain != NULL ? add_domain(c, domain, true, result, e)
			      : add_all(c, result, e);
}
