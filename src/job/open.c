/* SPDX-License-Identifier: Apache-2.0 */
#include "job/open.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "codec/keys.h"
#include "job/secret.h"

static void secret_free_at(char **at)
{
	job_secret_free(*at);
}

/* "PATH" or "dir:PATH"; other kinds of store have "://" in their names. */
static const char *folder_of(const char *url, struct err *e)
{
	if (url == NULL || *url == '\0') {
		err_set(e, ERR_USAGE,
			"no repository: say -r REPO or set "
			"VMKEEP_REPOSITORY");
		return NULL;
	}
	if (strncmp(url, "dir:", 4) == 0)
		return url + 4;
	if (strstr(url, "://") != NULL) {
		err_set(e, ERR_USAGE,
			"'%s': this vmkeep knows repositories in folders "
			"only: give a path",
			url);
		return NULL;
	}
	return url;
}

struct store *job_store(const struct job *j, bool create, struct err *e)
{
	const char *path = folder_of(j->repository, e);

	if (path == NULL)
		return NULL;
	if (create && store_dir_create(path, e) < 0) {
		err_ctx(e, "repository '%s'", j->repository);
		return NULL;
	}
	struct store *s = store_dir_open(path, e);

	if (s == NULL)
		err_ctx(e, "repository '%s'", j->repository);
	return s;
}

char *job_passphrase(const struct job *j, bool twice, struct err *e)
{
	if (j->passphrase != NULL) {
		size_t size = strlen(j->passphrase) + 1;
		char *copy = job_secret_new(size, e);

		if (copy != NULL)
			memcpy(copy, j->passphrase, size);
		return copy;
	}
	if (j->ask != NULL)
		return j->ask(j->ask_ctx, j->repository, twice, e);
	err_set(e, ERR_USAGE,
		"no passphrase, and no terminal to ask on: set "
		"VMKEEP_PASSPHRASE or VMKEEP_PASSPHRASE_FILE, or give "
		"--key-file");
	return NULL;
}

static int unlock(const struct job *j, struct store *s, char **passphrase,
		  struct err *e)
{
	bool has_passphrase;

	if (repo_probe(s, &has_passphrase, e) < 0)
		return -1;
	if (j->key_file != NULL)
		return 0;
	if (!has_passphrase)
		return err_set(e, ERR_REFUSED,
			       "it has no passphrase: give its key file with "
			       "--key-file");
	*passphrase = job_passphrase(j, false, e);
	return *passphrase != NULL ? 0 : -1;
}

/* Keys in memory that may be swapped out: no reason to stop. */
static void warn_unlocked(const struct job *j)
{
	if (keys_secret_unlocked())
		talk_say(j->talk, TALK_WARN,
			 "the limit of locked memory is too small (ulimit -l), "
			 "keys could be swapped out");
}

struct repo *job_repo(const struct job *j, struct err *e)
{
	AUTO(secret_free_at) char *passphrase = NULL;
	AUTO(store_close_at) struct store *s = job_store(j, false, e);

	if (s == NULL)
		return NULL;
	if (unlock(j, s, &passphrase, e) < 0) {
		err_ctx(e, "repository '%s'", j->repository);
		return NULL;
	}
	const struct repo_open open = {
		.unlock = { .key_file = j->key_file, .passphrase = passphrase },
		.cache_dir = j->cache_dir,
		.zip_level = j->zip_level,
	};
	struct repo *r = repo_open(mem_take(&s), &open, e);

	if (r == NULL)
		err_ctx(e, "repository '%s'", j->repository);
	else
		warn_unlocked(j);
	return r;
}

int job_catalog(const struct job *j, struct repo *r, struct catalog *c,
		struct err *e)
{
	if (catalog_load(r, c, e) < 0)
		return -1;
	for (size_t i = 0; i < c->damaged_count; i++)
		talk_say(j->talk, TALK_WARN, "points left out: %s",
			 c->damaged[i].msg);
	return 0;
}

int job_stopped(const struct job *j, struct err *e)
{
	if (j->cancel == NULL || !atomic_load(j->cancel))
		return 0;
	return err_set(e, ERR_STOPPED, "stopped by the user");
}
