/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/chain.h"
#include "virt/others_internal.h"

/* -- image files ------------------------------------------------------ */

/* An image whose backing is told as "json:{...}". */
static int named_in(const struct others *o, const char *json)
{
	for (size_t i = 0; i < o->q->count; i++) {
		if (strstr(json, path_base(o->q->images[i])) != NULL)
			return (int)i;
	}
	return -1;
}

static bool is_own(const struct others *o, const struct others_id *id)
{
	for (size_t i = 0; i < o->q->own_count; i++) {
		if (others_same(&o->own[i], id))
			return true;
	}
	return false;
}

static void look_at_file(struct others *o, const char *path)
{
	struct chain_header h = { .size = 0 };
	struct others_id id = others_id(path);

	if (is_own(o, &id) || chain_load(path, &h) < 0)
		return;
	if (h.backing != NULL) {
		autofree char *base = chain_resolve(path, h.backing);
		struct others_id below = others_id(base);
		int image = base != NULL ? others_which(o, &below)
					 : named_in(o, h.backing);

		if (image >= 0)
			others_note(o, image,
				    mem_fmt("'%s' is the backing file of '%s', "
					    "too (if that is left over: rm)",
					    o->q->images[image], path));
	}
	chain_header_fini(&h);
}

static void look_into(struct others *o, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		autofree char *path = path_join(folder, entry->d_name);
		struct stat st;

		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			look_at_file(o, path);
	}
	if (dir != NULL)
		closedir(dir);
}

void others_scan_folders(struct others *o)
{
	for (size_t i = 0; i < o->folder_count; i++)
		look_into(o, o->folders[i]);
}

/* -- open files ------------------------------------------------------- */

static char *program_of(const char *pid)
{
	autofree char *path = mem_fmt("/proc/%s/comm", pid);
	AUTO(buf_fini) struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;

	if (file_load(path, 4096, &b, &ignored) < 0)
		return mem_strdup("?");
	wr_u8(&b, 0);
	((char *)b.p)[strcspn((char *)b.p, "\n")] = '\0';
	return mem_strdup((char *)b.p);
}

/* The least of the images that it has open; -1: none, or it may. */
static int opened_by(const struct others *o, const char *pid)
{
	autofree char *folder = mem_fmt("/proc/%s/fd", pid);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool has_top = false;
	int least = -1;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		autofree char *path = path_join(folder, entry->d_name);
		struct others_id id = others_id(path);
		int image = others_which(o, &id);

		has_top = has_top || others_same(&o->top, &id);
		if (image >= 0 && (least < 0 || image < least))
			least = image;
	}
	if (dir != NULL)
		closedir(dir);
	return has_top ? -1 : least;
}

void others_scan_processes(struct others *o)
{
	autofree char *self = mem_fmt("%ld", (long)getpid());
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const char *pid = entry->d_name;
		int image;

		if (pid[strspn(pid, "0123456789")] != '\0' ||
		    strcmp(pid, self) == 0)
			continue;
		image = opened_by(o, pid);
		if (image < 0)
			continue;
		autofree char *program = program_of(pid);

		others_note(o, image,
			    mem_fmt("'%s' is open in process %s (%s)",
				    o->q->images[image], pid, program));
	}
	if (dir != NULL)
		closedir(dir);
}
