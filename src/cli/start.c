/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"

#include "base/file.h"
#include "base/mem.h"
#include "cli/pass.h"
#include "job/secret.h"

static int make_dirs(struct start *s, struct err *e)
{
	const struct global *g = s->cli.global;
	unsigned needs = s->cli.command->needs;

	if ((needs & CLI_STATE) && dir_make(g->state_dir, 0700, e) < 0)
		return -1;
	if (!(needs & CLI_SPOOL))
		return 0;
	if (dir_make(g->spool_dir, 0700, e) < 0)
		return -1;
	/* QEMU opens overlays by name, as a user of its own */
	if (g->overlay_dir != NULL)
		return dir_make(g->overlay_dir, 0711, e);
	return 0;
}

/* Without a cache all goes slower, and well. */
static const char *make_cache(struct start *s)
{
	const struct global *g = s->cli.global;
	struct err e = ERR_INIT;

	if (g->cache == NULL)
		return NULL;
	if (dir_make(g->cache, 0700, &e) == 0)
		return g->cache;
	err_ctx(&e, "going on without a cache");
	speech_say(s->cli.speech, TALK_WARN, e.msg);
	return NULL;
}

static char *on_ask(void *ctx, const char *repository, bool twice,
		    struct err *e)
{
	struct start *s = ctx;

	speech_clear(s->cli.speech);
	return pass_ask(repository, twice, stop_flag(s->cli.stop), e);
}

static int open_repository(struct start *s, struct err *e)
{
	const struct global *g = s->cli.global;

	if (g->repository == NULL)
		return err_set(e, ERR_USAGE,
			       "which repository? say -r REPO, or set "
			       "VMKEEP_REPOSITORY");
	s->cli.job.cache_dir = make_cache(s);
	return 0;
}

static void fill_job(struct start *s)
{
	const struct global *g = s->cli.global;

	s->cli.job = (struct job){
		.repository = g->repository,
		.key_file = g->key_file,
		.passphrase = s->passphrase,
		.state_dir = g->state_dir,
		.spool_dir = g->spool_dir,
		.overlay_dir = g->overlay_dir,
		.local_dir = g->ram_dir,
		.uri = g->connect,
		.thick_bytes = g->snapshot_size,
		.zip_level = g->level,
		.talk = speech_talk(s->cli.speech),
		.cancel = stop_flag(s->cli.stop),
		.ask = on_ask,
		.ask_ctx = s,
	};
}

/* Who holds points itself can do without: the job says so when it cannot. */
static bool wants_repository(const struct start *s)
{
	unsigned needs = s->cli.command->needs;

	return (needs & CLI_REPOSITORY) ||
	       ((needs & CLI_POINTS) && s->cli.global->repository != NULL);
}

/* A new repository may have both a key file and a passphrase. */
static bool wants_passphrase(const struct start *s)
{
	unsigned needs = s->cli.command->needs;

	return (needs & CLI_PASSPHRASE) ||
	       ((needs & (CLI_REPOSITORY | CLI_POINTS)) &&
		s->cli.global->key_file == NULL);
}

int start_begin(struct start *s, struct err *e)
{
	const struct global *g = s->cli.global;
	struct speech_options speech = { .quiet = g->quiet,
					 .verbose = g->verbose,
					 .progress =
						 !g->json && !g->no_progress };
	unsigned needs = s->cli.command->needs;

	s->cli.speech = speech_new(&speech);
	if (needs & CLI_ORDERLY) {
		s->cli.stop = stop_new(s->cli.speech, e);
		if (s->cli.stop == NULL)
			return -1;
	}
	if (!wants_passphrase(s))
		pass_wipe_env();
	else if (pass_from_env(&s->passphrase, e) < 0)
		return -1;
	fill_job(s);
	if (wants_repository(s) && open_repository(s, e) < 0)
		return -1;
	return make_dirs(s, e);
}

void start_end(struct start *s)
{
	stop_free(s->cli.stop);
	speech_free(s->cli.speech);
	job_secret_free(s->passphrase);
}
