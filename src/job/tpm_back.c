/* SPDX-License-Identifier: Apache-2.0 */
#include "job/tpm_back.h"

#include <stdlib.h>

#include "base/mem.h"
#include "job/describe.h"
#include "virt/define.h"
#include "virt/tpm.h"

static int load(const struct tpm_back *b, const struct image *i,
		struct tpm_state *s, struct err *e)
{
	const char *folder = attrs_get(&i->attrs, ATTR_FOLDER);
	const char *owner = attrs_get(&i->attrs, ATTR_OWNER);
	struct tpm_file *f;

	s->files = mem_grow(s->files, s->count + 1, sizeof(*s->files));
	f = &s->files[s->count++];
	*f = (struct tpm_file){
		.folder = mem_strdup(folder != NULL ? folder : ""),
		.name = mem_strdup(i->name),
		.owner = mem_strdup(owner != NULL ? owner : ""),
	};
	return places_bytes(b->places, b->set, i, TPM_MAX, &f->data, e);
}

static int load_all(const struct tpm_back *b, struct tpm_state *s,
		    struct err *e)
{
	for (size_t i = 0; i < b->point->image_count; i++)
		if (b->point->images[i].kind == IMAGE_TPM &&
		    load(b, &b->point->images[i], s, e) < 0)
			return -1;
	return 0;
}

static int save(const struct tpm_back *b, const struct tpm_state *s,
		struct err *e)
{
	char uuid[CONN_UUID_TEXT];
	autofree char *name = NULL;
	autofree char *kept = NULL;

	if (define_identity(b->xml, &name, uuid, e) < 0)
		return -1;
	autofree char *folder = tpm_folder(b->conn, uuid, NULL);

	if (folder == NULL)
		return err_set(e, ERR_FAILED, "no HOME: where is the TPM?");
	if (tpm_save(folder, s, &kept, e) < 0)
		return -1;
	result_strings_add(b->files, "%s", folder);
	if (kept != NULL)
		result_strings_add(b->notes,
				   "there was a TPM's state already: what it "
				   "was is in '%s'",
				   kept);
	return 0;
}

int tpm_bring_back(const struct tpm_back *b, struct err *e)
{
	AUTO(tpm_fini) struct tpm_state s = { .files = NULL };

	if (load_all(b, &s, e) < 0)
		return -1;
	if (s.count == 0)
		return 0;
	if (b->conn != NULL)
		return save(b, &s, e);
	result_strings_add(b->notes,
			   "the state of its TPM is not written, for libvirt "
			   "keeps it by the UUID of a domain: 'vmkeep export' "
			   "has its files");
	return 0;
}
