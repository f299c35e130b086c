/* SPDX-License-Identifier: Apache-2.0 */
#include "job/result.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void result_strings_add(struct result_strings *s, const char *fmt, ...)
{
	va_list ap;

	s->items = mem_grow(s->items, s->count + 1, sizeof(*s->items));
	va_start(ap, fmt);
	s->items[s->count++] = mem_vfmt(fmt, ap);
	va_end(ap);
}

void result_strings_fini(struct result_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct result_strings){ .items = NULL, .count = 0 };
}

void result_init_fini(struct result_init *r)
{
	free(r->repository);
	free(r->id);
	free(r->key_file);
	*r = (struct result_init){ .id = NULL };
}

static void disk_fini(struct result_disk *d)
{
	for (size_t i = 0; i < d->chain_len; i++) {
		free(d->chain[i].path);
		free(d->chain[i].format);
		free(d->chain[i].type);
	}
	free(d->chain);
	free(d->target);
	free(d->device);
	free(d->bus);
	free(d->why_not);
}

static void domain_fini(struct result_domain *d)
{
	for (size_t i = 0; i < d->disk_count; i++)
		disk_fini(&d->disks[i]);
	free(d->disks);
	free(d->name);
	free(d->uuid);
	free(d->state);
	free(d->pause_reason);
	free(d->agent);
	free(d->level);
	free(d->method);
	result_strings_fini(&d->reasons);
}

void result_domains_fini(struct result_domains *r)
{
	for (size_t i = 0; i < r->count; i++)
		domain_fini(&r->domains[i]);
	free(r->domains);
	*r = (struct result_domains){ .domains = NULL, .count = 0 };
}

void result_point_fini(struct result_point *r)
{
	for (size_t i = 0; i < r->image_count; i++) {
		free(r->images[i].kind);
		free(r->images[i].name);
		free(r->images[i].format);
		free(r->images[i].source);
	}
	free(r->images);
	free(r->id);
	free(r->set);
	free(r->name);
	free(r->level);
	free(r->method);
	free(r->group);
	free(r->host);
	free(r->program);
	result_strings_fini(&r->places);
	result_strings_fini(&r->notes);
	result_strings_fini(&r->attrs);
	*r = (struct result_point){ .id = NULL };
}

void result_points_fini(struct result_points *r)
{
	for (size_t i = 0; i < r->count; i++)
		result_point_fini(&r->points[i]);
	free(r->points);
	result_strings_fini(&r->damaged);
	*r = (struct result_points){ .points = NULL, .count = 0 };
}

void result_backup_fini(struct result_backup *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].name);
		result_point_fini(&r->items[i].point);
		result_strings_fini(&r->items[i].warnings);
	}
	free(r->items);
	*r = (struct result_backup){ .items = NULL, .count = 0 };
}

void result_restore_fini(struct result_restore *r)
{
	free(r->point);
	free(r->domain);
	free(r->state);
	result_strings_fini(&r->files);
	result_strings_fini(&r->notes);
	*r = (struct result_restore){ .point = NULL };
}

void result_revert_fini(struct result_revert *r)
{
	free(r->point);
	free(r->domain);
	free(r->safety);
	free(r->state);
	result_strings_fini(&r->files);
	result_strings_fini(&r->notes);
	*r = (struct result_revert){ .point = NULL };
}

void result_export_fini(struct result_export *r)
{
	free(r->point);
	free(r->image);
	free(r->file);
	*r = (struct result_export){ .point = NULL };
}

static void damages_fini(struct result_damage *d, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(d[i].object);
		free(d[i].point);
		free(d[i].image);
		free(d[i].msg);
	}
	free(d);
}

void result_verify_fini(struct result_verify *r)
{
	damages_fini(r->damages, r->damage_count);
	damages_fini(r->healed, r->healed_count);
	free(r->unread_msg);
	*r = (struct result_verify){ .damages = NULL };
}

void result_recover_fini(struct result_recover *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].domain);
		free(r->items[i].action);
	}
	free(r->items);
	*r = (struct result_recover){ .items = NULL, .count = 0 };
}

void result_keys_fini(struct result_keys *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->keys[i].id);
		free(r->keys[i].role);
		free(r->keys[i].label);
		free(r->keys[i].recipient);
	}
	free(r->keys);
	free(r->file);
	result_strings_fini(&r->notes);
	result_strings_fini(&r->damaged);
	*r = (struct result_keys){ .action = r->action };
}

void result_forget_fini(struct result_forget *r)
{
	for (size_t i = 0; i < r->count; i++)
		result_point_fini(&r->points[i]);
	free(r->points);
	result_strings_fini(&r->sets);
	*r = (struct result_forget){ .points = NULL };
}

static void flatten_disk_fini(struct result_flatten_disk *d)
{
	for (size_t i = 0; i < d->image_count; i++) {
		free(d->images[i].path);
		free(d->images[i].format);
	}
	free(d->images);
	free(d->target);
}

void result_flatten_fini(struct result_flatten *r)
{
	for (size_t i = 0; i < r->disk_count; i++)
		flatten_disk_fini(&r->disks[i]);
	free(r->disks);
	free(r->name);
	result_strings_fini(&r->notes);
	*r = (struct result_flatten){ .name = NULL };
}

void result_gc_fini(struct result_gc *r)
{
	free(r->wait_host);
	free(r->wait_session);
	*r = (struct result_gc){ .wait_host = NULL };
}

void result_repair_fini(struct result_repair *r)
{
	result_verify_fini(&r->left);
	memset(r, 0, sizeof(*r));
}

void result_stats_fini(struct result_stats *r)
{
	for (size_t i = 0; i < r->point_count; i++) {
		free(r->points[i].id);
		free(r->points[i].name);
	}
	for (size_t i = 0; i < r->name_count; i++)
		free(r->names[i].name);
	free(r->points);
	free(r->names);
	memset(r, 0, sizeof(*r));
}

const char *result_severity_text(enum result_severity s)
{
	switch (s) {
	case RESULT_ERROR:
		return "error";
	case RESULT_WARNING:
		return "warning";
	case RESULT_HINT:
		break;
	}
	return "hint";
}

void result_doctor_fini(struct result_doctor *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->findings[i].domain);
		free(r->findings[i].subject);
		free(r->findings[i].fact);
		free(r->findings[i].why);
		free(r->findings[i].command);
	}
	free(r->findings);
	free(r->rules);
	result_strings_fini(&r->blind);
	*r = (struct result_doctor){ .findings = NULL };
}

static void unit_fini(struct result_unit *u)
{
	for (size_t i = 0; i < u->value_count; i++) {
		free(u->values[i].key);
		free(u->values[i].text);
		free(u->values[i].about);
		free(u->values[i].section);
		free(u->values[i].file);
	}
	free(u->values);
	free(u->kind);
	free(u->name);
	free(u->section);
	result_strings_fini(&u->scope);
}

void result_config_fini(struct result_config *r)
{
	for (size_t i = 0; i < r->unit_count; i++)
		unit_fini(&r->units[i]);
	free(r->units);
	result_strings_fini(&r->files);
	result_strings_fini(&r->problems);
	result_strings_fini(&r->warnings);
	*r = (struct result_config){ .units = NULL };
}

void result_plan_fini(struct result_plan *r)
{
	for (size_t i = 0; i < r->unit_count; i++) {
		free(r->units[i].name);
		free(r->units[i].section);
		free(r->units[i].tiers);
	}
	free(r->units);
	result_strings_fini(&r->warnings);
	*r = (struct result_plan){ .units = NULL };
}
