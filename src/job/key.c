/* SPDX-License-Identifier: Apache-2.0 */
#include "job/key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "job/open.h"
#include "job/secret.h"
#include "repo/access.h"

static void secret_free_at(char **at)
{
	job_secret_free(*at);
}

/* ---- results --------------------------------------------------------- */

static char *hex_text(const void *p, size_t n)
{
	char *hex = mem_alloc(2 * n + 1);

	hex_encode(p, n, hex);
	return hex;
}

static const char *role_text(const struct access_key *k)
{
	if (k->role == 0 && k->box)
		return "recipient";
	return role_name(k->role);
}

static void add_key(struct result_keys *r, const struct access_key *k)
{
	r->keys = mem_grow(r->keys, r->count + 1, sizeof(*r->keys));
	r->keys[r->count++] = (struct result_key){
		.id = hex_text(k->id.b, ID_SIZE),
		.role = mem_strdup(role_text(k)),
		.label = mem_strdup(k->label),
		.time_ns = k->time_ns,
		.removed = k->removed,
		.removed_ns = k->removed_ns,
		.passphrases = k->slots,
		.file = k->file,
		.recipient =
			k->box ? hex_text(k->box_public, BOX_PUBLIC) : NULL,
		.current = k->own,
	};
}

/* The one key that it was about, as it is now. */
static int add_one(struct result_keys *r, struct repo *repo,
		   const struct id *id, struct err *e)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };

	if (access_list(repo, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.count; i++)
		if (memcmp(l.keys[i].id.b, id->b, ID_SIZE) == 0)
			add_key(r, &l.keys[i]);
	return 0;
}

static void put_sealing(struct result_keys *r, const struct access_sealing *s)
{
	r->sealing = true;
	r->data_keys = s->keys;
	r->sealed = s->sealed;
	r->failed = s->failed;
	if (s->failed > 0)
		result_strings_add(&r->notes,
				   "not all old points can be read with it "
				   "yet, 'vmkeep key recipient seal' tries "
				   "again: %s",
				   s->why.msg);
}

/* ---- listing --------------------------------------------------------- */

int job_key_list(const struct job *j, bool recipients, struct result_keys *r,
		 struct err *e)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);

	if (repo == NULL || access_list(repo, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.count; i++)
		if (!recipients || (l.keys[i].box && !l.keys[i].removed))
			add_key(r, &l.keys[i]);
	for (size_t i = 0; i < l.damaged_count; i++)
		result_strings_add(&r->damaged, "%s", l.damaged[i]);
	return 0;
}

/* ---- adding ---------------------------------------------------------- */

/* The one that was said, or the user's; NULL where none is needed. */
static int new_passphrase(const struct job *j, const char *said, bool needed,
			  char **asked, const char **passphrase, struct err *e)
{
	*passphrase = said;
	if (said == NULL && needed) {
		if (j->ask == NULL)
			return err_set(e, ERR_USAGE,
				       "no terminal to ask for the new "
				       "passphrase: say --passphrase-file");
		*asked = j->ask(j->ask_ctx, j->repository, true, e);
		if (*asked == NULL)
			return -1;
		*passphrase = *asked;
	}
	if (*passphrase != NULL && **passphrase == '\0')
		return err_set(e, ERR_USAGE, "the new passphrase is empty");
	return 0;
}

static void note_role(struct result_keys *r, int role)
{
	if (role == ROLE_OWNER)
		result_strings_add(&r->notes,
				   "an owner may do everything, and make keys "
				   "that you know nothing of: removing it "
				   "later does not take that back");
}

int job_key_add(const struct job *j, const struct job_key_add *add,
		struct result_keys *r, struct err *e)
{
	AUTO(secret_free_at) char *asked = NULL;
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);
	struct access_new new = { .role = (enum role)add->role,
				  .label = add->label,
				  .key_file = add->key_file };
	struct access_sealing sealing;
	struct id id;

	if (repo == NULL ||
	    new_passphrase(j, add->passphrase, add->key_file == NULL, &asked,
			   &new.passphrase, e) < 0 ||
	    access_add(repo, &new, &id, &sealing, e) < 0)
		return -1;
	if (new.role == ROLE_OWNER || new.role == ROLE_RESTORER)
		put_sealing(r, &sealing);
	if (add->key_file != NULL)
		r->file = mem_strdup(add->key_file);
	note_role(r, add->role);
	return add_one(r, repo, &id, e);
}

int job_key_passphrase(const struct job *j, const char *passphrase,
		       struct result_keys *r, struct err *e)
{
	AUTO(secret_free_at) char *asked = NULL;
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);

	(void)r;
	if (repo == NULL ||
	    new_passphrase(j, passphrase, true, &asked, &passphrase, e) < 0)
		return -1;
	return access_passphrase(repo, passphrase, e);
}

/* ---- removing -------------------------------------------------------- */

static void note_removal(struct result_keys *r, const struct access_key *k,
			 uint64_t late)
{
	if (k->role == ROLE_OWNER)
		result_strings_add(&r->notes,
				   "it was an owner's: whoever has a copy can "
				   "go on as before, with keys it makes for "
				   "itself; against that only a new repository "
				   "helps");
	else if (k->box)
		result_strings_add(&r->notes,
				   "whoever has a copy can still read the "
				   "points made until now");
	else
		result_strings_add(&r->notes,
				   "whoever has a copy can still read names, "
				   "sizes and times");
	if (late > 0)
		result_strings_add(&r->notes,
				   "%llu of its deeds came while it was being "
				   "removed, and do not count: back up again",
				   (unsigned long long)late);
}

int job_key_remove(const struct job *j, const char *id, struct result_keys *r,
		   struct err *e)
{
	AUTO(access_list_fini) struct access_list l = { .keys = NULL };
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);
	uint64_t late;

	if (repo == NULL || access_list(repo, &l, e) < 0)
		return -1;
	const struct access_key *k = access_find(&l, id, e);

	if (k == NULL || access_remove(repo, k, &late, e) < 0)
		return -1;
	note_removal(r, k, late);
	return add_one(r, repo, &k->id, e);
}

/* ---- copies and recipients ------------------------------------------- */

int job_key_export(const struct job *j, const char *file, struct result_keys *r,
		   struct err *e)
{
	bool out = strcmp(file, "-") == 0;
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);

	if (repo == NULL ||
	    access_export(repo, out ? NULL : file, STDOUT_FILENO, e) < 0)
		return -1;
	r->file = mem_strdup(file);
	return 0;
}

static int add_recipient(struct repo *repo, const char *public_key,
			 const char *label, struct result_keys *r,
			 struct err *e)
{
	uint8_t box[BOX_PUBLIC];
	struct id id;

	if (strlen(public_key) != 2 * (size_t)BOX_PUBLIC ||
	    !hex_decode(public_key, box, sizeof(box)))
		return err_set(e, ERR_USAGE,
			       "'%s' is no public key: 64 hexadecimal digits "
			       "of X25519",
			       public_key);
	if (access_recipient(repo, box, label, &id, e) < 0)
		return -1;
	return add_one(r, repo, &id, e);
}

int job_key_recipient(const struct job *j, const char *public_key,
		      const char *label, struct result_keys *r, struct err *e)
{
	AUTO(repo_close_at) struct repo *repo = job_repo(j, e);
	struct access_sealing sealing;

	if (repo == NULL ||
	    (public_key != NULL &&
	     add_recipient(repo, public_key, label, r, e) < 0) ||
	    access_seal(repo, &sealing, e) < 0)
		return -1;
	put_sealing(r, &sealing);
	return 0;
}
