/* SPDX-License-Identifier: Apache-2.0 */
#include "job/local.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/hash.h"
#include "codec/keys.h"
#include "job/describe.h"
#include "job/local_internal.h"

struct local_new {
	char *dir;
	char *folder;
	struct id id;
	int lock;
	unsigned files; /* names are numbered: any image name will do */
	bool committed;
};

/* ---- the set's file ----------------------------------------------------- */

static const char magic[8] = "VMKLOCAL";

#define HEAD_SIZE (sizeof(magic) + HASH_SIZE)

/* magic, SHA-256 of what follows, the set. */
int local_write_set(const char *folder, const struct set *set, struct err *e)
{
	AUTO(buf_fini) struct buf body = BUF_INIT;
	AUTO(buf_fini) struct buf file = BUF_INIT;
	autofree char *path = path_join(folder, LOCAL_SET);
	struct hash sum;

	if (set_encode(set, &body, e) < 0)
		return -1;
	hash_sha256(body.p, body.len, &sum);
	wr_bytes(&file, magic, sizeof(magic));
	wr_bytes(&file, sum.b, HASH_SIZE);
	wr_bytes(&file, body.p, body.len);
	return file_save(path, 0600, file.p, file.len, e);
}

int local_read_set(const char *folder, struct set *set, struct err *e)
{
	AUTO(buf_fini) struct buf file = BUF_INIT;
	autofree char *path = path_join(folder, LOCAL_SET);
	struct hash sum;

	if (file_load(path, LOCAL_MAX_SET, &file, e) < 0)
		return -1;
	if (file.len < HEAD_SIZE || memcmp(file.p, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_INTEGRITY, "'%s' is no set of points",
			       path);
	hash_sha256(file.p + HEAD_SIZE, file.len - HEAD_SIZE, &sum);
	if (memcmp(sum.b, file.p + sizeof(magic), HASH_SIZE) != 0)
		return err_set(e, ERR_INTEGRITY,
			       "'%s' is damaged: its sum is wrong", path);
	if (set_decode(file.p + HEAD_SIZE, file.len - HEAD_SIZE, set, e) < 0)
		return err_ctx(e, "'%s'", path);
	return 0;
}

/* ---- making ------------------------------------------------------------- */

static char *hex_name(const char *dir, const char *prefix, const struct id *id)
{
	char hex[ID_TEXT];

	hex_encode(id->b, ID_SIZE, hex);
	return mem_fmt("%s/%s%s", dir, prefix, hex);
}

char *local_set_folder(const char *dir, const struct id *set)
{
	return hex_name(dir, "", set);
}

static int make_folder(struct local_new *l, struct err *e)
{
	autofree char *lock = path_join(l->folder, LOCAL_LOCK);
	autofd int place = -1;

	if (dir_make(l->dir, 0700, e) < 0 || local_lock(l->dir, &place, e) < 0)
		return -1;
	if (mkdir(l->folder, 0700) < 0)
		return err_sys(e, "cannot make '%s'", l->folder);
	l->committed = false;
	return file_lock(lock, &l->lock, e);
}

struct local_new *local_begin(const char *dir, struct err *e)
{
	AUTO(local_free_at) struct local_new *l = mem_zalloc(1, sizeof(*l));

	l->lock = -1;
	l->committed = true; /* there is nothing to be removed yet */
	l->dir = mem_strdup(dir);
	keys_random(l->id.b, ID_SIZE);
	l->folder = hex_name(dir, LOCAL_NEW, &l->id);
	if (make_folder(l, e) < 0)
		return NULL;
	return mem_take(&l);
}

void local_free(struct local_new *l)
{
	if (l == NULL)
		return;
	if (!l->committed)
		local_remove_folder(l->folder);
	fd_close_at(&l->lock);
	free(l->folder);
	free(l->dir);
	free(l);
}

void local_free_at(struct local_new **l)
{
	local_free(*l);
}

const struct id *local_id(const struct local_new *l)
{
	return &l->id;
}

/* An image in a file; its root is that of a repository's hole, for there is no
 * tree. */
static struct image *add_image(struct point *p, enum image_kind kind,
			       const char *name, uint64_t size)
{
	struct image *i = point_add_image(p);

	i->kind = kind;
	i->name = mem_strdup(name);
	i->root = (struct image_root){ .size = size, .hole = true };
	return i;
}

static char *next_file(struct local_new *l)
{
	return mem_fmt("%u", l->files++);
}

int local_add_bytes(struct local_new *l, struct point *p, enum image_kind kind,
		    const char *name, const struct buf *data, struct err *e)
{
	autofree char *file = next_file(l);
	autofree char *path = path_join(l->folder, file);

	if (file_save(path, 0600, data->p, data->len, e) < 0)
		return err_ctx(e, "%s", name);
	attrs_set(&add_image(p, kind, name, data->len)->attrs, ATTR_FILE, file);
	return 0;
}

/* Some file systems know no links, or none to this one. */
static int link_or_copy(const char *from, const char *to, struct err *e)
{
	return link(from, to) == 0 ? 0 : local_copy_file(from, to, e);
}

int local_add_file(struct local_new *l, struct point *p, enum image_kind kind,
		   const char *name, const char *path, struct err *e)
{
	autofree char *file = next_file(l);
	autofree char *to = path_join(l->folder, file);
	struct stat st;

	if (link_or_copy(path, to, e) < 0 || local_sync_file(to, e) < 0)
		return err_ctx(e, "%s", name);
	if (stat(to, &st) < 0)
		return err_sys(e, "cannot look at '%s'", to);
	attrs_set(&add_image(p, kind, name, (uint64_t)st.st_size)->attrs,
		  ATTR_FILE, file);
	return 0;
}

void local_add_disk(struct point *p, const struct local_disk *d)
{
	struct image *i = add_image(p, IMAGE_DISK, d->target, d->size);
	struct snap_fields fields;

	attrs_set(&i->attrs, ATTR_FORMAT, d->format);
	attrs_set(&i->attrs, ATTR_SOURCE, d->source);
	attrs_set(&i->attrs, ATTR_INSIDE, d->inside);
	snap_to_fields(d->snap, &fields);
	for (const struct journal_field *f = fields.f; f->key != NULL; f++) {
		autofree char *key = mem_fmt(ATTR_SNAP "%s", f->key);

		attrs_set(&i->attrs, key, f->value);
	}
}

static void fill_set(struct local_new *l, struct set *set)
{
	char host[256] = "";

	(void)!gethostname(host, sizeof(host) - 1);
	set->session = l->id;
	set->time_ns = clock_wall_ns();
	free(set->host);
	free(set->program);
	set->host = mem_strdup(host);
	set->program = mem_strdup("vmkeep " VMKEEP_VERSION);
}

int local_commit(struct local_new *l, struct set *set, struct err *e)
{
	autofree char *folder = local_set_folder(l->dir, &l->id);

	fill_set(l, set);
	if (local_write_set(l->folder, set, e) < 0 ||
	    dir_sync(l->folder, e) < 0)
		return -1;
	if (rename(l->folder, folder) < 0)
		return err_sys(e, "cannot rename '%s' to '%s'", l->folder,
			       folder);
	/* it is there, for whoever looks; durable or not */
	l->committed = true;
	return dir_sync(l->dir, e);
}

bool local_committed(const struct local_new *l)
{
	return l->committed;
}

/* ---- what is there ------------------------------------------------------ */

struct load {
	const char *dir;
	struct catalog *c;
};

static int load_one(void *ctx, const char *name, struct err *e)
{
	struct load *l = ctx;
	autofree char *folder = path_join(l->dir, name);
	struct err why = ERR_INIT;
	struct set set = { 0 };
	char hex[ID_TEXT];

	(void)e;
	if (!local_is_set(name))
		return 0;
	if (local_read_set(folder, &set, &why) < 0) {
		/* forgotten between listing and reading */
		if (why.code != ERR_NOT_FOUND)
			catalog_add_damage(l->c, folder, &why);
		return 0;
	}
	hex_encode(set.session.b, ID_SIZE, hex);
	if (strcmp(hex, name) != 0) {
		err_set(&why, ERR_INTEGRITY, "'%s' is the set of '%s'", folder,
			hex);
		catalog_add_damage(l->c, folder, &why);
		set_fini(&set);
		return 0;
	}
	catalog_add(l->c, &set);
	return 0;
}

int local_load(const char *dir, struct catalog *c, struct err *e)
{
	struct load l = { dir, c };

	return local_list(dir, load_one, &l, e);
}

char *local_file(const char *dir, const struct set *set,
		 const struct image *image)
{
	const char *name = attrs_get(&image->attrs, ATTR_FILE);

	if (name == NULL || strchr(name, '/') != NULL || *name == '.')
		return NULL;
	autofree char *folder = local_set_folder(dir, &set->session);

	return path_join(folder, name);
}

#define SNAP_KIND "kind"

/* The image's attributes as the record that a snap is read from, which begins
 * with the kind. */
int local_snap(const struct image *image, struct snaps *add, struct err *e)
{
	const struct attrs *a = &image->attrs;
	autofree struct journal_field *fields =
		mem_zalloc(a->count + 2, sizeof(*fields));
	const struct journal_record record = { .fields = fields };
	size_t prefix = strlen(ATTR_SNAP);
	size_t n = 1;

	fields[0] = (struct journal_field){ SNAP_KIND,
					    attrs_get(a, ATTR_SNAP SNAP_KIND) };
	if (fields[0].value == NULL)
		return err_set(e, ERR_INTEGRITY,
			       "image '%s' names no storage snapshot",
			       image->name);
	for (size_t i = 0; i < a->count; i++)
		if (strncmp(a->items[i].key, ATTR_SNAP, prefix) == 0 &&
		    strcmp(a->items[i].key + prefix, SNAP_KIND) != 0)
			fields[n++] = (struct journal_field){
				a->items[i].key + prefix, a->items[i].value
			};
	if (snap_from_record(&record, add, e) < 0)
		return err_ctx(e, "image '%s'", image->name);
	return 0;
}

static bool same_snap(const struct image *image, const struct snap *snap)
{
	AUTO(snaps_fini) struct snaps one = { 0 };
	struct err ignored = ERR_INIT;

	if (attrs_get(&image->attrs, ATTR_INSIDE) == NULL)
		return false;
	/* one that makes no sense may be any */
	if (local_snap(image, &one, &ignored) < 0)
		return true;
	return one.items[0].kind == snap->kind &&
	       strcmp(one.items[0].volume, snap->volume) == 0 &&
	       strcmp(one.items[0].name, snap->name) == 0;
}

static bool is_named(const struct catalog *c, const struct snap *snap)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < c->sets[i].point_count; k++) {
			const struct point *p = &c->sets[i].points[k];

			for (size_t m = 0; m < p->image_count; m++)
				if (same_snap(&p->images[m], snap))
					return true;
		}
	return false;
}

bool local_needs(const struct catalog *c, const struct snap *snap)
{
	/* who knows what stands in those */
	return c->damaged_count > 0 || is_named(c, snap);
}

int local_keeps(const struct job *j, const struct snap *snap, struct err *e)
{
	AUTO(catalog_fini) struct catalog c = { 0 };

	if (j->local_dir != NULL && local_load(j->local_dir, &c, e) < 0)
		return -1;
	if (is_named(&c, snap))
		return 1;
	if (c.damaged_count == 0)
		return 0;
	return err_set(e, ERR_INTEGRITY,
		       "a local point that cannot be read may need it (mend or "
		       "remove that, then run vmkeep recover): %.300s",
		       c.damaged[0].msg);
}
