/* SPDX-License-Identifier: Apache-2.0 */
#include "job/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/doctor_look.h"
#include "job/doctor_rules.h"
#include "job/open.h"
#include "repo/checked.h"

/* The facts on their way, with what they point to. */
struct gather {
	const struct job *job;
	struct doctor_facts facts;
	char **paths; /* for the traits */
	size_t path_count;
	struct result_doctor *out;
};

/* ---- domains ---- */

static int add_domain(struct gather *g, struct conn *c, const char *name,
		      bool asked, struct err *e)
{
	struct doctor_facts *f = &g->facts;
	struct checkup *k = checkup_look(c, name, g->job->state_dir, e);

	if (k == NULL && !asked && e->code == ERR_NOT_FOUND) {
		err_clear(e); /* it has gone meanwhile */
		return 0;
	}
	if (k == NULL)
		return -1;
	f->domains =
		mem_grow(f->domains, f->domain_count + 1, sizeof(*f->domains));
	f->domains[f->domain_count++] = k;
	return 0;
}

static int add_all(struct gather *g, struct conn *c, struct err *e)
{
	char **names;
	size_t count;
	int ok = 0;

	if (domain_names(c, &names, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count && ok == 0; i++)
		ok = job_stopped(g->job, e) < 0
			     ? -1
			     : add_domain(g, c, names[i], false, e);
	domain_names_free(names, count);
	return ok;
}

static int gather_domains(struct gather *g, const struct job_doctor *d,
			  struct err *e)
{
	AUTO(conn_close_at) struct conn *c = conn_open(g->job->uri, e);
	int ok = 0;

	if (c == NULL)
		return -1;
	if (!conn_local(c))
		result_strings_add(&g->out->blind,
				   "'%s' is another host: images, storage and "
				   "settings there are not looked at",
				   conn_uri(c));
	if (d->domain_count == 0)
		return add_all(g, c, e);
	for (size_t i = 0; i < d->domain_count && ok == 0; i++)
		ok = add_domain(g, c, d->domains[i], true, e);
	return ok;
}

/* ---- storage ---- */

static size_t add_path(struct gather *g, const char *path)
{
	g->paths = mem_grow(g->paths, g->path_count + 1, sizeof(*g->paths));
	g->paths[g->path_count] = mem_strdup(path);
	return g->path_count++;
}

static size_t image_count(const struct checkup *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->info->disk_count; i++)
		n += k->info->disks[i].chain_len;
	return n;
}

static void add_images(struct gather *g, size_t at)
{
	const struct checkup *k = g->facts.domains[at];
	size_t *file = mem_zalloc(image_count(k), sizeof(*file));

	g->facts.files[at] = file;
	for (size_t i = 0; i < k->info->disk_count; i++)
		for (size_t n = 0; n < k->info->disks[i].chain_len; n++)
			*file++ = k->disks[i].images[n].exists
					  ? add_path(g, k->info->disks[i]
								.chain[n]
								.path)
					  : TRAITS_NONE;
}

/* A folder that is not there yet will be where its parent is. */
static void add_dir(struct gather *g, const char *path, struct doctor_dir *d)
{
	autofree char *there = path != NULL ? mem_strdup(path) : NULL;

	*d = (struct doctor_dir){ .path = path, .file = TRAITS_NONE };
	if (path == NULL)
		return;
	while (!file_exists(there)) {
		char *parent = path_dir(there);
		bool top = strcmp(parent, there) == 0;

		free(there);
		there = parent;
		if (top)
			return;
	}
	d->file = add_path(g, there);
}

static void gather_storage(struct gather *g)
{
	struct doctor_facts *f = &g->facts;
	const char *repo = g->job->repository;

	f->files = mem_zalloc(f->domain_count, sizeof(*f->files));
	for (size_t i = 0; i < f->domain_count; i++)
		add_images(g, i);
	add_dir(g, g->job->spool_dir, &f->host.spool);
	add_dir(g, g->job->overlay_dir, &f->host.overlays);
	if (repo != NULL && strncmp(repo, "dir:", 4) == 0)
		repo += 4;
	if (repo != NULL && strstr(repo, "://") == NULL)
		add_dir(g, repo, &f->repo.dir);
	else
		f->repo.dir.file = TRAITS_NONE;
	traits_read((const char *const *)g->paths, g->path_count, &f->traits);
}

/* ---- the repository ---- */

static void oldest_point(const struct catalog *c, struct doctor_repo *r)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t n = 0; n < c->sets[i].point_count; n++) {
			int64_t when = c->sets[i].points[n].time_ns;

			if (r->oldest_ns == 0 || when < r->oldest_ns)
				r->oldest_ns = when;
		}
}

static int look_into(struct doctor_repo *r, struct repo *repo, struct err *e)
{
	AUTO(catalog_fini) struct catalog c = { 0 };
	AUTO(checked_fini) struct checked done = { 0 };

	if (catalog_load(repo, &c, e) < 0 || checked_load(repo, &done, e) < 0)
		return -1;
	oldest_point(&c, r);
	for (size_t i = 0; i < done.count; i++)
		if (done.packs[i].time_ns > r->verified_ns)
			r->verified_ns = done.packs[i].time_ns;
	r->now_ns = clock_wall_ns();
	r->opened = true;
	return 0;
}

/* Nobody is asked for a passphrase: one is used where it is at hand. */
static void gather_repo(struct gather *g)
{
	struct job quiet = *g->job;
	struct doctor_repo *r = &g->facts.repo;
	struct err e = ERR_INIT;

	if (quiet.repository == NULL) {
		result_strings_add(&g->out->blind,
				   "no repository is named (-r REPO)");
		return;
	}
	r->name = quiet.repository;
	quiet.ask = NULL;
	quiet.cache_dir = NULL;
	AUTO(repo_close_at) struct repo *repo = job_repo(&quiet, &e);

	if (repo == NULL || look_into(r, repo, &e) < 0)
		result_strings_add(&g->out->blind, "%s", e.msg);
}

/* ---- all of it ---- */

static void gather_fini(struct gather *g)
{
	struct doctor_facts *f = &g->facts;

	for (size_t i = 0; i < f->domain_count; i++) {
		if (f->files != NULL)
			free(f->files[i]);
		checkup_free(f->domains[i]);
	}
	for (size_t i = 0; i < g->path_count; i++)
		free(g->paths[i]);
	free(f->domains);
	free(f->files);
	free(f->uri);
	free(g->paths);
	traits_fini(&f->traits);
	look_host_fini(&f->host);
}

void job_doctor_rules(struct result_doctor *result)
{
	memset(result, 0, sizeof(*result));
	doctor_list(result);
}

static int check_ignore(const struct job_doctor *d,
			const struct result_doctor *r, struct err *e)
{
	for (size_t i = 0; i < d->ignore_count; i++) {
		bool known = false;

		for (size_t n = 0; n < r->rule_count && !known; n++)
			known = strcmp(r->rules[n].id, d->ignore[i]) == 0;
		if (!known)
			return err_set(e, ERR_USAGE,
				       "no rule '%s'; vmkeep doctor --rules "
				       "lists them",
				       d->ignore[i]);
	}
	return 0;
}

int job_doctor(const struct job *j, const struct job_doctor *d,
	       struct result_doctor *result, struct err *e)
{
	AUTO(gather_fini) struct gather g = { .job = j, .out = result };
	const struct doctor_ignore ignore = { .ids = d->ignore,
					      .count = d->ignore_count };

	job_doctor_rules(result);
	if (check_ignore(d, result, e) < 0)
		return -1;
	if (j->uri != NULL)
		g.facts.uri = doctor_word(j->uri);
	if (gather_domains(&g, d, e) < 0)
		return -1;
	look_host(j, &g.facts.host);
	gather_storage(&g);
	gather_repo(&g);
	doctor_judge(&g.facts, &ignore, result);
	return 0;
}
