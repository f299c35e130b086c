/* SPDX-License-Identifier: Apache-2.0 */
#include "report/json_parts.h"

static void put_chain(json_t *object, const struct result_disk *d)
{
	json_t *chain = json_put_array(object, "chain");

	for (size_t i = 0; i < d->chain_len; i++) {
		json_t *image = json_add_object(chain);

		json_put_number(image, "number", d->chain_len - i);
		json_put_text(image, "path", d->chain[i].path);
		json_put_text(image, "format", d->chain[i].format);
		json_put_text(image, "type", d->chain[i].type);
	}
}

static void put_disks(json_t *object, const struct result_domain *d)
{
	json_t *disks = json_put_array(object, "disks");

	for (size_t i = 0; i < d->disk_count; i++) {
		const struct result_disk *from = &d->disks[i];
		json_t *disk = json_add_object(disks);

		json_put_text(disk, "target", from->target);
		json_put_text(disk, "device", from->device);
		json_put_text(disk, "bus", from->bus);
		json_put_number(disk, "size", from->size);
		put_chain(disk, from);
		json_put_bool(disk, "captured", from->captured);
		json_put_text(disk, "why_not", from->why_not);
	}
}

static void put_domain(json_t *object, const struct result_domain *d)
{
	json_put_text(object, "name", d->name);
	json_put_text(object, "uuid", d->uuid);
	json_put_text(object, "state", d->state);
	json_put_text(object, "pause_reason", d->pause_reason);
	json_put_number(object, "memory", d->memory);
	json_put_text(object, "agent", d->agent);
	json_put_bool(object, "nvram", d->nvram);
	json_put_bool(object, "tpm", d->tpm);
	put_disks(object, d);
	json_put_text(object, "level", d->level);
	json_put_text(object, "method", d->method);
	json_put_strings(object, "reasons", &d->reasons);
}

void json_domains(FILE *out, const struct result_domains *r,
		  const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *domains = json_put_array(root, "domains");

	for (size_t i = 0; i < r->count; i++)
		put_domain(json_add_object(domains), &r->domains[i]);
	json_finish(out, root, end);
}
