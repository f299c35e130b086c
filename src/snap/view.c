/* SPDX-License-Identifier: Apache-2.0 */

/* Reading a snap. */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "snap/drop.h"

static void files_close(struct snap_view *v)
{
	fd_close_at(&v->root);
	fd_close_at(&v->device);
}

static void view_free(struct snap_view *v)
{
	if (v == NULL)
		return;
	files_close(v);
	for (size_t i = 0; i < v->path_count; i++)
		free(v->paths[i]);
	free(v->paths);
	free(v->base);
	free(v->thing);
	free(v->warning);
	snap_fini(&v->snap);
	free(v);
}
DEFINE_AUTO(view_free, struct snap_view *);

char *snap_view_fd_base(int root)
{
	return mem_fmt("/proc/%d/fd/%d", getpid(), root);
}

int snap_thing_jot(struct journal *j, const char *word,
		   const struct snap_thing *thing, struct err *e)
{
	if (j == NULL)
		return 0;
	return journal_write(j, word,
			     (const struct journal_field[]){
				     { "kind", snap_kind_name(thing->kind) },
				     { "thing", thing->name },
				     { "set", thing->set },
				     { "kept", thing->kept ? "1" : "0" },
				     { NULL, NULL } },
			     e);
}

static struct snap_thing thing_of(const struct snap_view *v)
{
	return (struct snap_thing){ v->snap.kind, v->thing, v->snap.set,
				    v->kept };
}

int snap_view_intent(struct snap_view *v, char *thing, bool kept, struct err *e)
{
	free(v->thing);
	v->thing = thing;
	v->kept = kept;

	struct snap_thing t = thing_of(v);

	return snap_thing_jot(v->journal, SNAP_JOT_VIEW, &t, e);
}

int snap_view_intent_new(struct snap_view *v, struct err *e)
{
	autofree char *beside = path_dir(v->snap.volume);
	uint8_t chance[4];
	char hex[2 * sizeof(chance) + 1];

	if (getrandom(chance, sizeof(chance), 0) != sizeof(chance))
		return err_sys(e, "no random numbers");
	hex_encode(chance, sizeof(chance), hex);
	return snap_view_intent(
		v, mem_fmt("%s/%s_view_%s", beside, v->snap.name, hex), false,
		e);
}

/* What was made for it goes, whatever of it there is. */
static int thing_back(struct snap_view *v, struct err *e)
{
	if (v->thing == NULL)
		return 0;

	struct snap_thing t = thing_of(v);

	if (unview(&t, &v->time, e) < 0)
		return -1;
	return snap_thing_jot(v->journal, SNAP_JOT_CLOSED, &t, e);
}

struct snap_view *snap_view_open(const struct snap *snap,
				 const struct snap_how *how, struct err *e)
{
	AUTO(view_free_at) struct snap_view *v = mem_zalloc(1, sizeof(*v));
	struct err more = ERR_INIT;

	v->root = -1;
	v->device = -1;
	snap_copy(snap, &v->snap);
	v->time = snap_time_of(how->deadline_ms);
	v->journal = how->journal;
	if (snap_backend_of(snap->kind)->view(v, e) == 0)
		return mem_take(&v);
	err_ctx(e, "cannot open the snapshot '%s' of '%s'", snap->name,
		snap->volume);
	files_close(v);
	v->time = snap_time_of(how->deadline_ms);
	if (thing_back(v, &more) < 0)
		err_ctx(e, "%s, and before that", more.msg);
	return NULL;
}

/* Beneath the root, by no link: what is in a snapshot is the guest admin's,
 * and not to lead elsewhere. */
static int beneath(int root, const char *inside, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				.resolve =
					RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	autofd int fd =
		(int)syscall(SYS_openat2, root, inside, &how, sizeof(how));
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == EXDEV))
		return err_set(e, ERR_REFUSED,
			       "a link leads to '%s' in the snapshot", inside);
	if (fd < 0)
		return err_sys(e, "cannot find '%s' in the snapshot", inside);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at '%s' in the snapshot",
			       inside);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_REFUSED,
			       "'%s' in the snapshot is no regular file",
			       inside);
	return 0;
}

const char *snap_view_path(struct snap_view *v, const char *inside,
			   struct err *e)
{
	char *path;

	if (v->root >= 0 && beneath(v->root, inside, e) < 0) {
		err_ctx(e, "snapshot '%s' of '%s'", v->snap.name,
			v->snap.volume);
		return NULL;
	}
	path = v->root >= 0 ? path_join(v->base, inside) : mem_strdup(v->base);
	v->paths = mem_grow(v->paths, v->path_count + 1, sizeof(*v->paths));
	v->paths[v->path_count++] = path;
	return path;
}

const char *snap_view_warning(const struct snap_view *view)
{
	return view->warning;
}

int snap_view_close(struct snap_view *view, const struct snap_how *how,
		    struct err *e)
{
	AUTO(view_free_at) struct snap_view *v = view;

	if (v == NULL)
		return 0;
	files_close(v);
	v->time = snap_time_of(how->deadline_ms);
	v->journal = how->journal;
	return thing_back(v, e);
}
