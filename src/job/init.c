/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "job/open.h"
#include "job/secret.h"
#include "repo/intake.h"

static void secret_free_at(char **at)
{
	job_secret_free(*at);
}

static char *id_text(const struct id *id)
{
	char *hex = mem_alloc(ID_TEXT);

	hex_encode(id->b, ID_SIZE, hex);
	return hex;
}

/* With a key file, a passphrase only when one is said. */
static int need_passphrase(const struct job *j, char **passphrase,
			   struct err *e)
{
	if (j->key_file != NULL && j->passphrase == NULL)
		return 0;
	*passphrase = job_passphrase(j, true, e);
	if (*passphrase == NULL)
		return -1;
	if (**passphrase == '\0')
		return err_set(e, ERR_USAGE, "the passphrase is empty");
	return 0;
}

int job_init(const struct job *j, struct result_init *result, struct err *e)
{
	AUTO(secret_free_at) char *passphrase = NULL;
	AUTO(store_close_at) struct store *s = NULL;

	memset(result, 0, sizeof(*result));
	/* ask before anything is made */
	if (need_passphrase(j, &passphrase, e) < 0)
		return -1;
	s = job_store(j, true, e);
	if (s == NULL)
		return -1;
	const struct repo_create create = {
		.unlock = { .key_file = j->key_file, .passphrase = passphrase },
	};

	if (repo_create(s, &create, e) < 0)
		return err_ctx(e, "repository '%s'", j->repository);
	/* open it as anybody would: what cannot be opened was not made */
	const struct repo_open open = { .unlock = create.unlock };
	AUTO(repo_close_at) struct repo *r = repo_open(mem_take(&s), &open, e);

	if (r == NULL)
		return err_ctx(e, "repository '%s'", j->repository);
	result->repository = mem_strdup(j->repository);
	result->id = id_text(repo_id(r));
	result->key_file = j->key_file != NULL ? mem_strdup(j->key_file) : NULL;
	return 0;
}
