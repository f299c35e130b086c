/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/index_segment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/hash.h"
#include "repo/obj.h"

/*
 * A cached segment is its bytes in the clear and a sum over its name and all
 * but its entries: which session, which generation and which packs are meant
 * decides what a writer may lean on.  The entries may be damaged, torn or
 * somebody's joke: what they say is checked against a footer before it is
 * believed, and a writer who misses something stores it twice at worst; a
 * reader who misses something reads the segment again (index_reload()).
 */

static void cache_sum(const char *name, const struct segment *s,
		      struct hash *sum)
{
	AUTO(buf_fini) struct buf b = BUF_INIT;

	wr_string(&b, name);
	wr_bytes(&b, s->data, s->entries_at);
	hash_sha256(b.p, b.len, sum);
}

static void unmap(struct index_segment *s)
{
	if (s->map != NULL)
		munmap(s->map, s->map_size);
	s->map = NULL;
}

static bool check_mapped(struct index_segment *s)
{
	struct err ignored = ERR_INIT;
	const uint8_t *p = s->map;
	struct segment view;
	struct hash sum;

	if (s->map_size <= HASH_SIZE ||
	    segment_parse(p, s->map_size - HASH_SIZE, &view, &ignored) < 0)
		return false;
	cache_sum(s->name, &view, &sum);
	if (memcmp(p + s->map_size - HASH_SIZE, sum.b, HASH_SIZE) != 0)
		return false;
	s->view = view;
	return true;
}

static bool map_cached(const char *path, struct index_segment *s)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return false;
	s->map_size = (size_t)st.st_size;
	s->map = mmap(NULL, s->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (s->map == MAP_FAILED)
		s->map = NULL;
	if (s->map != NULL && check_mapped(s))
		return true;
	unmap(s);
	return false;
}

/* Who may sign a segment: its session's writer, or a collector for what a
 * generation lists. */
static int check_signer(const struct segment *s, const struct signer *by,
			struct err *e)
{
	unsigned use =
		s->generation == SEGMENT_COLLECTED ? SIGN_KEEP : SIGN_WRITE;

	if (by->uses & use)
		return 0;
	return err_set(e, ERR_INTEGRITY, "signed by a key of the wrong role");
}

/* 0 and the view on s->memory. */
static int load_memory(const struct index_parts *parts, struct index_segment *s,
		       struct err *e)
{
	struct signer by;
	const struct sign_want want = {
		.name = s->name,
		.uses = SIGN_WRITE | SIGN_KEEP,
		.by = &by,
	};

	buf_clear(&s->memory);
	if (obj_load_want(parts->store, parts->keys, &want, OBJECT_MAX_SEGMENT,
			  &s->memory, e) < 0 ||
	    segment_parse(s->memory.p, s->memory.len, &s->view, e) < 0)
		return -1;
	return check_signer(&s->view, &by, e);
}

/* What is in memory goes to the cache; where that fails we do without. */
static bool save_cached(const char *path, struct index_segment *s)
{
	struct err ignored = ERR_INIT;
	size_t size = s->memory.len;
	struct hash sum;

	cache_sum(s->name, &s->view, &sum);
	wr_bytes(&s->memory, sum.b, HASH_SIZE);
	s->view.data = s->memory.p; /* it may have moved */
	int saved = file_save(path, 0600, s->memory.p, s->memory.len, &ignored);

	s->memory.len = size;
	return saved == 0;
}

static int segment_load(const struct index_parts *parts,
			struct index_segment *s, struct err *e)
{
	if (parts->cache_dir == NULL)
		return load_memory(parts, s, e);
	autofree char *path = path_join(parts->cache_dir, s->name);

	if (map_cached(path, s))
		return 0;
	if (load_memory(parts, s, e) < 0)
		return -1;
	if (save_cached(path, s) && map_cached(path, s))
		buf_fini(&s->memory);
	return 0;
}

struct index_segment *index_segment_open(const struct index_parts *parts,
					 const char *name, struct err *e)
{
	/* names come out of sets, too */
	if (strncmp(name, "idx/", 4) != 0 || strlen(name) >= SEGMENT_NAME ||
	    !store_name_ok(name)) {
		err_set(e, ERR_INTEGRITY, "not a segment's name");
		return NULL;
	}
	struct index_segment *s = mem_zalloc(1, sizeof(*s));

	s->name = mem_strdup(name);
	if (segment_load(parts, s, e) == 0)
		return s;
	index_segment_free(s);
	return NULL;
}

void index_segment_free(struct index_segment *s)
{
	if (s == NULL)
		return;
	unmap(s);
	buf_fini(&s->memory);
	free(s->name);
	free(s);
}

bool index_segment_reload(const struct index_parts *parts,
			  struct index_segment *s)
{
	struct segment view = s->view;
	struct err ignored = ERR_INIT;

	if (s->map == NULL)
		return false;
	if (load_memory(parts, s, &ignored) < 0) {
		buf_fini(&s->memory);
		s->view = view;
		return false;
	}
	autofree char *path = path_join(parts->cache_dir, s->name);

	unmap(s);
	save_cached(path, s);
	return true;
}
