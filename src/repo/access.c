/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/access.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "repo/internal.h"
#include "repo/issued.h"
#include "repo/obj.h"

#define MIN_PREFIX 4

/* ---- listing --------------------------------------------------------- */

void access_list_fini(struct access_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->keys[i].label);
	for (size_t i = 0; i < l->damaged_count; i++)
		free(l->damaged[i]);
	free(l->keys);
	free(l->damaged);
	*l = (struct access_list){ .keys = NULL };
}

static void add_damaged(struct access_list *l, const char *name)
{
	l->damaged =
		mem_grow(l->damaged, l->damaged_count + 1, sizeof(*l->damaged));
	l->damaged[l->damaged_count++] = mem_strdup(name);
}

static struct access_key *add_key(struct access_list *l, const struct id *id)
{
	l->keys = mem_grow(l->keys, l->count + 1, sizeof(*l->keys));
	struct access_key *key = &l->keys[l->count++];

	*key = (struct access_key){ .id = *id };
	return key;
}

/* The key of this id; one that has no record gets a row all the same. */
static struct access_key *row_of(struct access_list *l, const struct id *id)
{
	for (size_t i = 0; i < l->count; i++)
		if (memcmp(l->keys[i].id.b, id->b, ID_SIZE) == 0)
			return &l->keys[i];
	struct access_key *key = add_key(l, id);

	key->label = mem_strdup("");
	return key;
}

static void copy_record(struct access_list *l, const struct issued_key *k)
{
	struct access_key *key = add_key(l, &k->id);

	key->role = k->role;
	key->label = mem_strdup(k->label);
	key->time_ns = k->time_ns;
	key->removed = k->removed;
	key->removed_ns = k->removed_ns;
	key->file = k->file;
	key->box = k->box;
	memcpy(key->box_public, k->box_public, BOX_PUBLIC);
}

static int count_slots(struct repo *r, struct access_list *l, struct err *e)
{
	AUTO(slots_fini) struct slots s;

	if (slots_list(r->store, &s, e) < 0) {
		s = (struct slots){ .slots = NULL };
		return -1;
	}
	for (size_t i = 0; i < s.count; i++) {
		if (s.slots[i].damaged)
			add_damaged(l, s.slots[i].name);
		else
			row_of(l, &s.slots[i].id)->slots++;
	}
	return 0;
}

int access_list(struct repo *r, struct access_list *l, struct err *e)
{
	*l = (struct access_list){ .keys = NULL };
	if (repo_reload_issued(r, e) < 0)
		return -1;
	for (size_t i = 0; i < r->issued->count; i++)
		copy_record(l, &r->issued->keys[i]);
	for (size_t i = 0; i < r->issued->damaged_count; i++)
		add_damaged(l, r->issued->damaged[i]);
	if (count_slots(r, l, e) < 0) {
		access_list_fini(l);
		return -1;
	}
	struct access_key *own = row_of(l, &r->keys->cert.signer);

	own->own = true;
	own->role = r->keys->role;
	return 0;
}

const struct access_key *access_find(const struct access_list *l,
				     const char *text, struct err *e)
{
	const struct access_key *hit = NULL;
	size_t n = 0;

	for (size_t i = 0; strlen(text) >= MIN_PREFIX && i < l->count; i++) {
		char hex[ID_TEXT];

		hex_encode(l->keys[i].id.b, ID_SIZE, hex);
		if (strncmp(hex, text, strlen(text)) != 0)
			continue;
		hit = &l->keys[i];
		n++;
	}
	if (n == 1)
		return hit;
	if (n > 1)
		err_set(e, ERR_USAGE, "'%s' fits %zu keys: type more of its id",
			text, n);
	else
		err_set(e, ERR_NOT_FOUND,
			"no key '%s': 'vmkeep key list' shows their ids", text);
	return NULL;
}

/* ---- adding ---------------------------------------------------------- */

static int put_record(struct repo *r, const struct keyring *k,
		      const struct access_new *new, struct err *e)
{
	autofree char *label = mem_strdup(new->label != NULL ? new->label : "");
	struct issued_key key = {
		.id = k->cert.signer,
		.role = (uint8_t) new->role,
		.file = new->key_file != NULL,
		.box = k->has_secret,
		.time_ns = clock_wall_ns(),
		.label = label,
	};

	if (key.box)
		memcpy(key.box_public, k->box_public, BOX_PUBLIC);
	if (issued_put(r->store, r->keys, &key, e) < 0)
		return -1;
	return repo_reload_issued(r, e);
}

static int hand_out(struct repo *r, const struct keyring *k,
		    const struct access_new *new, struct err *e)
{
	if (new->key_file != NULL && keyring_put_file(new->key_file, k, e) < 0)
		return -1;
	if (new->passphrase != NULL &&
	    keyring_put_slot(r->store, k, new->passphrase, e) < 0)
		return err_ctx(e, "cannot store the key's slot");
	return 0;
}

int access_add(struct repo *r, const struct access_new *new, struct id *id,
	       struct access_sealing *sealing, struct err *e)
{
	AUTO(keyring_free_at)
	struct keyring *k = keyring_issue(r->keys, new->role, e);

	*sealing = (struct access_sealing){ .keys = 0 };
	if (k == NULL || repo_writable(r, e) < 0)
		return -1;
	if (new->key_file != NULL && file_exists(new->key_file))
		return err_set(e, ERR_EXISTS,
			       "key file '%s' exists already: name a new one",
			       new->key_file);
	/* a record first: sessions that start now seal to it already */
	if (put_record(r, k, new, e) < 0 || hand_out(r, k, new, e) < 0)
		return -1;
	*id = k->cert.signer;
	return k->has_secret ? access_seal(r, sealing, e) : 0;
}

int access_recipient(struct repo *r, const uint8_t box[BOX_PUBLIC],
		     const char *label, struct id *id, struct err *e)
{
	uint8_t trial[1 + BOX_OVERHEAD];
	autofree char *text = mem_strdup(label != NULL ? label : "");
	struct issued_key key = { .box = true,
				  .time_ns = clock_wall_ns(),
				  .label = text };

	if (repo_need(r, NEED_OWN, e) < 0 || repo_reload_issued(r, e) < 0)
		return -1;
	for (size_t i = 0; i < r->issued->count; i++) {
		const struct issued_key *there = &r->issued->keys[i];

		if (!there->box ||
		    memcmp(there->box_public, box, BOX_PUBLIC) != 0)
			continue;
		if (there->removed)
			return err_set(e, ERR_REFUSED,
				       "this recipient was removed once, which "
				       "is for ever: make another key pair");
		*id = there->id;
		return 0;
	}
	/* some points are no public keys: better now than in every backup */
	if (box_seal(box, "", 1, trial, e) < 0)
		return -1;
	keys_random(key.id.b, ID_SIZE);
	memcpy(key.box_public, box, BOX_PUBLIC);
	if (issued_put(r->store, r->keys, &key, e) < 0 ||
	    repo_reload_issued(r, e) < 0)
		return -1;
	*id = key.id;
	return 1;
}

int access_seal(struct repo *r, struct access_sealing *sealing, struct err *e)
{
	*sealing = (struct access_sealing){ .keys = 0 };
	if (repo_reload_issued(r, e) < 0)
		return -1;
	return data_keys_seal(r, sealing, e);
}

/* ---- passphrases and files ------------------------------------------- */

int access_passphrase(struct repo *r, const char *passphrase, struct err *e)
{
	const struct id *own = &r->keys->cert.signer;
	AUTO(slots_fini) struct slots s = { .slots = NULL };
	bool any = false;

	if (repo_writable(r, e) < 0 || slots_list(r->store, &s, e) < 0)
		return -1;
	for (size_t i = 0; i < s.count; i++)
		any |= !s.slots[i].damaged &&
		       memcmp(s.slots[i].id.b, own->b, ID_SIZE) == 0;
	if (!any)
		return err_set(e, ERR_REFUSED,
			       "this key has no passphrase, it is a key file: "
			       "'vmkeep key add' makes keys with one");
	/* killed in between, both open it */
	if (keyring_put_slot(r->store, r->keys, passphrase, e) < 0)
		return err_ctx(e, "cannot store the new key slot: the old "
				  "passphrase goes on");
	return slots_delete(r->store, &s, own, e);
}

int access_export(struct repo *r, const char *path, int fd, struct err *e)
{
	return path != NULL ? keyring_put_file(path, r->keys, e)
			    : keyring_put_fd(fd, r->keys, e);
}
