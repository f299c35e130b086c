/* SPDX-License-Identifier: Apache-2.0 */

/* Rules about the host, and about where vmkeep keeps things. */

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "job/doctor_rules.h"

#define VERIFY_DAYS 30

/* What keys of an open repository take, with the pages that guard them. */
#define MEMLOCK_WANTED (256u << 10)

static const struct traits_volume *volume_of(const struct doctor_case *c,
					     const struct doctor_dir *d)
{
	const struct traits *t = &c->facts->traits;

	if (d->path == NULL || d->file == TRAITS_NONE ||
	    t->files[d->file].volume == TRAITS_NONE)
		return NULL;
	return &t->volumes[t->files[d->file].volume];
}

static void kvm_broken(struct doctor_case *c)
{
	const struct doctor_host *h = &c->facts->host;

	if (!h->kvm || h->kvm_works || h->kvm_denied)
		return;
	doctor_found(c, RESULT_WARNING,
		     "guests are emulated, or do not start; a host that is a "
		     "VM itself needs nested virtualisation",
		     mem_strdup("dmesg | grep -i kvm"),
		     "/dev/kvm is there, and no VM can be made with it");
}

static void clock_loose(struct doctor_case *c)
{
	if (!c->facts->host.clock_loose)
		return;
	doctor_found(c, RESULT_WARNING,
		     "points are named by their time, and retention and "
		     "replicas on other hosts go by it",
		     mem_strdup("timedatectl set-ntp true"),
		     "the host's clock is not synchronised");
}

static void strict_path(struct doctor_case *c)
{
	const struct doctor_host *h = &c->facts->host;

	if (h->strict == NULL || h->routes < 2)
		return;
	autofree char *card = doctor_word(h->strict);

	doctor_found(c, RESULT_WARNING,
		     "answers that come in by another card than the route "
		     "back are dropped without a word, off-site traffic with "
		     "them",
		     mem_fmt("sysctl -w net.ipv4.conf.%s.rp_filter=2 "
			     "net.ipv4.conf.all.rp_filter=2",
			     card),
		     "%u default routes, and the reverse-path filter of '%s' "
		     "is strict",
		     h->routes, h->strict);
}

static void memory_unlocked(struct doctor_case *c)
{
	if (c->facts->host.memlock >= MEMLOCK_WANTED)
		return;
	char size[NUM_TEXT];

	num_size_text(c->facts->host.memlock, size);
	doctor_found(c, RESULT_HINT,
		     "keys and passphrases can be swapped out to the disk",
		     mem_strdup("ulimit -l 8192"),
		     "only %s of memory may be locked", size);
}

/* libvirt's own words; raw and, from 11.2, sparse have pages as they are. */
static void dump_packed(struct doctor_case *c)
{
	const struct doctor_host *h = &c->facts->host;

	if (h->image_format == NULL || strcmp(h->image_format, "raw") == 0 ||
	    strcmp(h->image_format, "sparse") == 0)
		return;
	autofree char *config = doctor_word(h->config);

	doctor_found(c, RESULT_WARNING,
		     "two dumps of one guest share nothing when they are "
		     "compressed: every point stores all of its RAM; restart "
		     "the daemon after the command",
		     mem_fmt("sed -i 's/^ *snapshot_image_format.*/"
			     "snapshot_image_format = \"raw\"/' %s",
			     config),
		     "snapshot_image_format = \"%s\" in %s", h->image_format,
		     h->config);
}

/* ---- folders ---- */

static const struct domain_info *biggest(const struct doctor_facts *f)
{
	const struct domain_info *most = NULL;

	for (size_t i = 0; i < f->domain_count; i++) {
		const struct domain_info *d = f->domains[i]->info;

		if (d->state != DOMAIN_SHUT_OFF && d->ram_refused == NULL &&
		    (most == NULL || d->memory > most->memory))
			most = d;
	}
	return most;
}

static void spool_small(struct doctor_case *c)
{
	const struct doctor_dir *spool = &c->facts->host.spool;
	const struct traits_volume *v = volume_of(c, spool);
	const struct domain_info *d = biggest(c->facts);

	if (v == NULL || d == NULL || v->free >= d->memory)
		return;
	char free[NUM_TEXT], memory[NUM_TEXT];

	num_size_text(v->free, free);
	num_size_text(d->memory, memory);
	doctor_found(c, RESULT_WARNING,
		     "RAM lies there on its way into the repository: without "
		     "room for it points have none",
		     mem_strdup("vmkeep backup --spool-dir DIR DOMAIN"),
		     "'%s' has %s free, '%s' has %s of RAM", spool->path, free,
		     d->name, memory);
}

static void spool_in_memory(struct doctor_case *c)
{
	const struct doctor_dir *spool = &c->facts->host.spool;
	const struct traits_volume *v = volume_of(c, spool);

	if (v == NULL || !v->memory)
		return;
	doctor_found(c, RESULT_HINT,
		     "while a guest is backed up its RAM is in memory twice",
		     mem_strdup("vmkeep backup --spool-dir DIR DOMAIN"),
		     "'%s' is in memory (%s)", spool->path, v->fs);
}

static void overlays_small(struct doctor_case *c)
{
	const struct doctor_dir *dir = &c->facts->host.overlays;
	const struct traits_volume *v = volume_of(c, dir);

	if (v == NULL || !doctor_is_tight(v))
		return;
	char free[NUM_TEXT];

	num_size_text(v->free, free);
	doctor_found(c, RESULT_WARNING,
		     "what guests write during their backup goes there; "
		     "backups of running guests are refused",
		     mem_strdup("vmkeep backup --overlay-dir DIR DOMAIN"),
		     "'%s' has %s free", dir->path, free);
}

/* ---- the repository ---- */

static bool same_place(const struct traits_volume *a,
		       const struct traits_volume *b)
{
	return a == b || (a->dev != 0 && a->dev == b->dev) ||
	       traits_same_disk(a, b);
}

/* The first image that is where the repository is, and of whom. */
static const char *together(const struct doctor_facts *f,
			    const struct traits_volume *v,
			    const struct domain_info **whose)
{
	for (size_t i = 0; i < f->domain_count; i++) {
		const struct domain_info *d = f->domains[i]->info;
		const size_t *file = f->files[i];

		for (size_t n = 0; n < d->disk_count; n++)
			for (size_t k = 0; k < d->disks[n].chain_len; k++) {
				size_t at = *file++;
				size_t on = at != TRAITS_NONE
						    ? f->traits.files[at].volume
						    : TRAITS_NONE;

				if (on == TRAITS_NONE ||
				    !same_place(&f->traits.volumes[on], v))
					continue;
				*whose = d;
				return d->disks[n].chain[k].path;
			}
	}
	return NULL;
}

static void repo_beside(struct doctor_case *c)
{
	const struct traits_volume *v = volume_of(c, &c->facts->repo.dir);
	const struct domain_info *whose = NULL;
	const char *path = v != NULL ? together(c->facts, v, &whose) : NULL;

	if (path == NULL)
		return;
	doctor_found(c, RESULT_WARNING,
		     "what takes the disk takes both: that is no backup",
		     mem_strdup("vmkeep init OTHER-DISK/vmkeep"),
		     "repository '%s' is on the same disk as '%s' of '%s'",
		     c->facts->repo.name, path, whose->name);
}

static int64_t days(int64_t ns)
{
	return ns / 1000000000 / 86400;
}

static void verify_old(struct doctor_case *c)
{
	const struct doctor_repo *r = &c->facts->repo;
	int64_t age = days(r->now_ns - r->oldest_ns);
	int64_t since = days(r->now_ns - r->verified_ns);
	autofree char *when = r->verified_ns == 0 ? mem_strdup("never")
						  : mem_fmt("%lld days ago",
							    (long long)since);

	if (!r->opened || r->oldest_ns == 0 || age < VERIFY_DAYS ||
	    (r->verified_ns != 0 && since < VERIFY_DAYS))
		return;
	doctor_found(c, RESULT_WARNING,
		     "disks lose bits in silence: what is not read now and "
		     "then may turn out damaged when it is needed",
		     mem_strdup("vmkeep verify --level data"),
		     "the data in repository '%s' was last verified %s",
		     r->name, when);
}

const struct doctor_rule doctor_host_rules[] = {
	{ "kvm-broken", kvm_broken, "a /dev/kvm that does not work" },
	{ "clock-loose", clock_loose, "a clock that is not synchronised" },
	{ "path-filter", strict_path,
	  "strict reverse-path filters and several default routes" },
	{ "memory-unlocked", memory_unlocked, "memory for keys to be locked" },
	{ "dump-packed", dump_packed, "compressed RAM dumps" },
	{ "spool-small", spool_small, "room for RAM on its way" },
	{ "spool-in-memory", spool_in_memory, "a spool folder on a tmpfs" },
	{ "overlays-small", overlays_small, "room in the overlay folder" },
	{ "repo-beside", repo_beside, "a repository on the disk of the VMs" },
	{ "verify-old", verify_old, "what was not verified in 30 days" },
	{ NULL, NULL, NULL },
};
