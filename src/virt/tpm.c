/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/tpm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

/* libvirt's swtpmStorageDir, in its qemu_conf.c. */
#define SYSTEM_DIR  "/var/lib/libvirt/swtpm"
#define SESSION_DIR "libvirt/qemu/swtpm"

/* QEMU's user goes through; the state is swtpm's alone (libvirt's modes). */
#define OUTER_MODE 0711
#define INNER_MODE 0700
#define FILE_MODE  0600

static char *session_dir(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (xdg && *xdg)
		return path_join(xdg, SESSION_DIR);
	return home ? mem_fmt("%s/.config/" SESSION_DIR, home) : NULL;
}

char *tpm_folder(struct conn *c, const char *uuid, const char *path)
{
	autofree char *all = NULL;

	if (path)
		return mem_strdup(path);
	all = strstr(conn_uri(c), "/session") ? session_dir()
					      : mem_strdup(SYSTEM_DIR);
	return all ? path_join(all, uuid) : NULL;
}

/* ---- reading ---- */

static char *owner_of(const struct stat *st)
{
	const struct passwd *user = getpwuid(st->st_uid);
	autofree char *name = user ? mem_strdup(user->pw_name)
				   : mem_fmt("%u", (unsigned)st->st_uid);
	const struct group *group = getgrgid(st->st_gid);

	return group ? mem_fmt("%s:%s", name, group->gr_name)
		     : mem_fmt("%s:%u", name, (unsigned)st->st_gid);
}

static int load_file(struct tpm_state *s, const char *dir, const char *folder,
		     const char *name, struct err *e)
{
	autofree char *path = path_join(dir, name);
	AUTO(buf_fini) struct buf data = BUF_INIT;
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (file_load(path, TPM_MAX, &data, e) < 0)
		return -1;
	s->files = mem_grow(s->files, s->count + 1, sizeof(*s->files));
	s->files[s->count++] = (struct tpm_file){
		.folder = mem_strdup(folder),
		.name = mem_strdup(name),
		.owner = owner_of(&st),
		.data = data,
	};
	data = (struct buf)BUF_INIT;
	return 0;
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.'; /* .lock */
}

/* The names in a folder, sorted; none when it is not there. */
static int list(const char *dir, struct dirent ***names, struct err *e)
{
	int n = scandir(dir, names, not_hidden, alphasort);

	if (n >= 0)
		return n;
	if (errno != ENOENT)
		return err_sys(e, "cannot read '%s'", dir);
	*names = NULL;
	return 0;
}

static void list_free(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int load_dir(struct tpm_state *s, const char *dir, const char *folder,
		    struct err *e)
{
	struct dirent **names;
	int n = list(dir, &names, e);
	int ret = n < 0 ? -1 : 0;

	for (int i = 0; i < n && ret == 0; i++)
		ret = load_file(s, dir, folder, names[i]->d_name, e);
	list_free(names, n);
	return ret;
}

static int load_all(struct tpm_state *s, const char *folder, struct err *e)
{
	static const char *const inner[] = { "", "tpm1.2", "tpm2" };

	for (size_t i = 0; i < sizeof(inner) / sizeof(*inner); i++) {
		autofree char *dir = *inner[i] ? path_join(folder, inner[i])
					       : mem_strdup(folder);

		if (load_dir(s, dir, inner[i], e) < 0)
			return -1;
	}
	return 0;
}

int tpm_load(const char *folder, struct tpm_state *out, struct err *e)
{
	struct tpm_state s = { .files = NULL };

	if (load_all(&s, folder, e) < 0) {
		tpm_fini(&s);
		return err_ctx(e, "TPM");
	}
	*out = s;
	return 0;
}

bool tpm_equal(const struct tpm_state *a, const struct tpm_state *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct tpm_file *f = &a->files[i];
		const struct tpm_file *g = &b->files[i];

		if (strcmp(f->folder, g->folder) != 0 ||
		    strcmp(f->name, g->name) != 0 ||
		    f->data.len != g->data.len ||
		    (f->data.len &&
		     memcmp(f->data.p, g->data.p, f->data.len) != 0))
			return false;
	}
	return true;
}

/* ---- writing ---- */

/* "user:group"; each as it is when this host has no such name. */
static void give_to(const char *path, const char *owner)
{
	autofree char *user = mem_strdup(owner);
	char *group = strchr(user, ':');
	const struct passwd *p;
	const struct group *g = NULL;

	if (group)
		*group++ = '\0';
	p = getpwnam(user);
	if (group)
		g = getgrnam(group);
	/* without the right to, it stays ours, as in a session */
	(void)!chown(path, p ? p->pw_uid : (uid_t)-1,
		     g ? g->gr_gid : (gid_t)-1);
}

/* From a repository: not to be trusted with a path. */
static int check_names(const struct tpm_file *f, struct err *e)
{
	bool known = *f->folder == '\0' || strcmp(f->folder, "tpm2") == 0 ||
		     strcmp(f->folder, "tpm1.2") == 0;

	if (known && *f->name && *f->name != '.' && !strchr(f->name, '/'))
		return 0;
	return err_set(e, ERR_INTEGRITY, "'%s/%s' is no file of a TPM",
		       f->folder, f->name);
}

static int save_file(const char *folder, const struct tpm_file *f,
		     struct err *e)
{
	autofree char *dir =
		*f->folder ? path_join(folder, f->folder) : mem_strdup(folder);
	autofree char *path = path_join(dir, f->name);

	if (check_names(f, e) < 0 || dir_make(dir, INNER_MODE, e) < 0 ||
	    file_save(path, FILE_MODE, f->data.p, f->data.len, e) < 0)
		return -1;
	give_to(path, f->owner);
	if (*f->folder)
		give_to(dir, f->owner);
	return 0;
}

/* Under a name that is free. */
static int keep_old(const char *folder, char **kept, struct err *e)
{
	autofree char *to = NULL;

	*kept = NULL;
	if (!file_exists(folder))
		return 0;
	for (int i = 1; !to || file_exists(to); i++) {
		free(to);
		to = mem_fmt("%s.vmkeep-before-%d", folder, i);
	}
	if (rename(folder, to) < 0)
		return err_sys(e, "cannot move '%s' out of the way", folder);
	*kept = mem_take(&to);
	return 0;
}

int tpm_save(const char *folder, const struct tpm_state *state, char **kept,
	     struct err *e)
{
	if (keep_old(folder, kept, e) < 0 ||
	    dir_make(folder, OUTER_MODE, e) < 0)
		return err_ctx(e, "TPM");
	for (size_t i = 0; i < state->count; i++) {
		if (save_file(folder, &state->files[i], e) < 0)
			return err_ctx(e, "TPM");
	}
	return 0;
}

void tpm_fini(struct tpm_state *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->files[i].folder);
		free(s->files[i].name);
		free(s->files[i].owner);
		buf_fini(&s->files[i].data);
	}
	free(s->files);
	*s = (struct tpm_state){ .files = NULL };
}
