/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/global.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/mem.h"
#include "cli/settings.h"
#include "job/job.h"

#define SECTION "vmkeep"

#define AT(field) offsetof(struct global, field)

const char *const global_captures[] = { "auto", "snapshot", "overlay",
					"suspend", NULL };

const struct opt global_settings[] = {
	{ .name = "repository",
	  .letter = 'r',
	  .kind = OPT_STRING,
	  .offset = AT(repository),
	  .value = "REPO",
	  .env = "VMKEEP_REPOSITORY",
	  .help = "the repository: a folder" },
	{ .name = "key-file",
	  .kind = OPT_STRING,
	  .offset = AT(key_file),
	  .value = "FILE",
	  .help = "open it with this key, not a passphrase" },
	{ .name = "connect",
	  .letter = 'c',
	  .kind = OPT_STRING,
	  .offset = AT(connect),
	  .value = "URI",
	  .help = "libvirt's connection URI, as virsh has it" },
	{ .name = "overlay-dir",
	  .kind = OPT_STRING,
	  .offset = AT(overlay_dir),
	  .value = "DIR",
	  .help = "for overlays; default: beside each disk" },
	{ .name = "spool-dir",
	  .kind = OPT_STRING,
	  .offset = AT(spool_dir),
	  .value = "DIR",
	  .help = "for RAM on its way; default: STATE/spool" },
	{ .name = "state-dir",
	  .kind = OPT_STRING,
	  .offset = AT(state_dir),
	  .value = "DIR",
	  .help = "STATE: for journals and locks" },
	{ .name = "ram-dir",
	  .kind = OPT_STRING,
	  .offset = AT(ram_dir),
	  .value = "DIR",
	  .help = "for files of local points; default: STATE/local" },
	{ .name = "snapshot-size",
	  .kind = OPT_SIZE,
	  .offset = AT(snapshot_size),
	  .value = "SIZE",
	  .help = "of a thick LV's snapshot; default: a fifth" },
	{ .name = "cache",
	  .kind = OPT_STRING,
	  .offset = AT(cache),
	  .value = "DIR",
	  .env = "VMKEEP_CACHE",
	  .help = "for what can be had again" },
	{ .name = "capture",
	  .kind = OPT_CHOICE,
	  .offset = AT(capture),
	  .value = "METHOD",
	  .choices = global_captures,
	  .help = "how running VMs are captured; default auto" },
	{ .name = "compression",
	  .kind = OPT_STRING,
	  .offset = AT(compression),
	  .value = "LEVEL",
	  .help = "auto, fast, archive, or 1 to 19; default auto" },
	{ .name = "time-zone",
	  .kind = OPT_STRING,
	  .offset = AT(time_zone),
	  .value = "ZONE",
	  .help = "of local times and schedules; default: the host's" },
	{ .name = NULL },
};

const struct opt global_run[] = {
	{ .name = "config",
	  .kind = OPT_STRING,
	  .offset = AT(config),
	  .value = "FILE",
	  .help = "settings, or a folder of them; default " SETTINGS_DIR },
	{ .name = "json",
	  .kind = OPT_FLAG,
	  .offset = AT(json),
	  .help = "the result as a JSON object" },
	{ .name = "quiet",
	  .letter = 'q',
	  .kind = OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "say only what went wrong" },
	{ .name = "verbose",
	  .letter = 'v',
	  .kind = OPT_FLAG,
	  .offset = AT(verbose),
	  .help = "say what is being done" },
	{ .name = "no-progress",
	  .kind = OPT_FLAG,
	  .offset = AT(no_progress),
	  .help = "no progress line on a terminal" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = OPT_FLAG,
	  .offset = AT(help),
	  .help = "explain the command" },
	{ .name = "version",
	  .kind = OPT_FLAG,
	  .offset = AT(version),
	  .help = "which version this is" },
	{ .name = NULL },
};

const struct opt *const global_tables[] = { global_settings, global_run, NULL };

void global_fini(struct global *g)
{
	opt_fini(global_settings, g);
	opt_fini(global_run, g);
	policies_fini(&g->policies);
}

int global_env(struct global *g, struct err *e)
{
	return opt_from_env(global_settings, g, e);
}

/* ---- the settings file ---- */

static int unknown_key(const char *path, const struct ini_entry *entry,
		       const char *key, struct err *e)
{
	const char *near = opt_nearest(global_settings, key);

	if (near == NULL)
		return err_set(e, ERR_USAGE, "%s:%u: unknown key '%s'", path,
			       entry->line, entry->key);
	return err_set(e, ERR_USAGE,
		       "%s:%u: unknown key '%s', did you mean '%s'?", path,
		       entry->line, entry->key, near);
}

static int set_key(struct global *g, const char *path,
		   const struct ini_entry *entry, struct err *e)
{
	autofree char *key = mem_strdup(entry->key);
	const struct opt *o;

	/* sanoid writes key_file where options write key-file */
	for (char *p = key; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	o = opt_find(global_settings, key);
	if (o == NULL)
		return unknown_key(path, entry, key, e);
	if (opt_set(o, g, entry->value, e) < 0)
		return err_ctx(e, "%s:%u: key '%s'", path, entry->line,
			       entry->key);
	return 0;
}

static int take_file(struct global *g, const struct settings_file *f,
		     struct err *e)
{
	for (size_t i = 0; i < f->ini.count; i++) {
		const struct ini_entry *entry = &f->ini.entries[i];

		if (entry->section[0] == '\0')
			return err_set(e, ERR_USAGE,
				       "%s:%u: '%s' stands before the first "
				       "section, such as [" SECTION "]",
				       f->path, entry->line, entry->key);
		if (strcmp(entry->section, SECTION) == 0 &&
		    set_key(g, f->path, entry, e) < 0)
			return -1;
	}
	policies_add(&g->policies, f->path, &f->ini);
	return 0;
}

int global_load(struct global *g, const char *config, struct err *e)
{
	AUTO(settings_fini) struct settings s = { .count = 0 };

	if (settings_load(config, &s, e) < 0)
		return err_ctx(e, "settings");
	for (size_t i = 0; i < s.count; i++)
		if (take_file(g, &s.files[i], e) < 0)
			return -1;
	policies_finish(&g->policies);
	return 0;
}

/* ---- what was not said ---- */

char *global_absolute(const char *path)
{
	autofree char *here = NULL;

	if (path[0] == '/')
		return mem_strdup(path);
	here = getcwd(NULL, 0);
	return here == NULL ? mem_strdup(path) : path_join(here, path);
}

/* root: system; else $XDG/vmkeep, or HOME/home/vmkeep.  NULL: no HOME. */
static char *default_dir(const char *system, const char *xdg, const char *home)
{
	const char *base = getenv(xdg);

	if (geteuid() == 0)
		return mem_strdup(system);
	/* the XDG specification: a relative path is to be ignored */
	if (base != NULL && base[0] == '/')
		return path_join(base, "vmkeep");
	base = getenv("HOME");
	return base == NULL ? NULL : mem_fmt("%s/%s/vmkeep", base, home);
}

static void make_absolute(char **path)
{
	autofree char *old = *path;

	*path = old == NULL ? NULL : global_absolute(old);
}

static int check(const struct global *g, struct err *e)
{
	static const struct opt *const table = global_settings;

	for (const struct opt *o = table; o->name != NULL; o++) {
		const char *const *text =
			(const void *)((const char *)g + o->offset);

		if (o->kind == OPT_STRING && *text != NULL && **text == '\0')
			return err_set(e, ERR_USAGE, "'%s' is empty", o->name);
	}
	if (g->quiet && g->verbose)
		return err_set(e, ERR_USAGE,
			       "--quiet and --verbose exclude each other");
	return 0;
}

int global_complete(struct global *g, struct err *e)
{
	if (check(g, e) < 0)
		return -1;
	if (g->compression != NULL &&
	    job_level(g->compression, &g->level, e) < 0)
		return -1;
	if (g->time_zone != NULL && clock_set_zone(g->time_zone, e) < 0)
		return -1;
	if (g->state_dir == NULL)
		g->state_dir = default_dir("/var/lib/vmkeep", "XDG_STATE_HOME",
					   ".local/state");
	if (g->cache == NULL)
		g->cache = default_dir("/var/cache/vmkeep", "XDG_CACHE_HOME",
				       ".cache");
	if (g->state_dir == NULL)
		return err_set(e, ERR_USAGE,
			       "no HOME: say --state-dir and --cache");
	if (g->spool_dir == NULL)
		g->spool_dir = path_join(g->state_dir, "spool");
	if (g->ram_dir == NULL)
		g->ram_dir = path_join(g->state_dir, "local");
	make_absolute(&g->state_dir);
	make_absolute(&g->ram_dir);
	make_absolute(&g->spool_dir);
	make_absolute(&g->overlay_dir);
	make_absolute(&g->cache);
	return 0;
}
