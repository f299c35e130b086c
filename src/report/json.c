/* SPDX-License-Identifier: Apache-2.0 */
#include "report/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "report/json_parts.h"
#include "report/safe.h"

/* Only grows when a key changes its meaning or goes away. */
#define JSON_SCHEMA 1

/* The text with U+FFFD for each byte that is not UTF-8.  Free it. */
static char *only_utf8(const char *text)
{
	struct buf b = BUF_INIT;

	while (*text != '\0') {
		unsigned code;
		size_t n = safe_char(text, &code);

		if (n == 0)
			wr_bytes(&b, "\xef\xbf\xbd", 3);
		else
			wr_bytes(&b, text, n);
		text += n == 0 ? 1 : n;
	}
	wr_u8(&b, 0);
	return (char *)b.p;
}

void json_put_text(json_t *object, const char *key, const char *text)
{
	if (text == NULL) {
		json_object_set_new(object, key, json_null());
		return;
	}
	if (safe_utf8(text)) {
		json_object_set_new(object, key, json_string(text));
		return;
	}

	autofree char *name = mem_fmt("%s_hex", key);
	autofree char *clean = only_utf8(text);
	autofree char *hex = mem_alloc(2 * strlen(text) + 1);

	hex_encode(text, strlen(text), hex);
	json_object_set_new(object, key, json_string(clean));
	json_object_set_new(object, name, json_string(hex));
}

void json_put_number(json_t *object, const char *key, uint64_t n)
{
	json_int_t i = n > INT64_MAX ? INT64_MAX : (json_int_t)n;

	json_object_set_new(object, key, json_integer(i));
}

void json_put_bool(json_t *object, const char *key, bool b)
{
	json_object_set_new(object, key, json_boolean(b));
}

void json_put_time(json_t *object, const char *key, int64_t ns)
{
	autofree char *name = mem_fmt("%s_ns", key);
	char text[CLOCK_TEXT];

	clock_text(ns, text);
	json_put_text(object, key, text);
	json_object_set_new(object, name, json_integer(ns));
}

json_t *json_put_array(json_t *object, const char *key)
{
	json_t *array = json_array();

	json_object_set_new(object, key, array);
	return array;
}

json_t *json_add_object(json_t *array)
{
	json_t *object = json_object();

	json_array_append_new(array, object);
	return object;
}

void json_put_strings(json_t *object, const char *key,
		      const struct result_strings *s)
{
	json_t *array = json_put_array(object, key);

	for (size_t i = 0; i < s->count; i++) {
		autofree char *clean = only_utf8(s->items[i]);

		json_array_append_new(array, json_string(clean));
	}
}

static const char *code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "none";
	case ERR_FAILED:
		return "failed";
	case ERR_USAGE:
		return "usage";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_EXISTS:
		return "exists";
	case ERR_BUSY:
		return "busy";
	case ERR_INTEGRITY:
		return "integrity";
	case ERR_NO_SPACE:
		return "no_space";
	case ERR_REFUSED:
		return "refused";
	case ERR_STOPPED:
		return "stopped";
	}
	return "failed";
}

void json_put_err(json_t *object, const char *key, const struct err *e)
{
	json_t *error = json_object();

	json_put_text(error, "code", code_name(e->code));
	json_put_text(error, "message", e->msg);
	if (e->sys != 0)
		json_put_number(error, "errno", (uint64_t)e->sys);
	json_object_set_new(object, key, error);
}

json_t *json_begin(const struct json_end *end)
{
	json_t *root = json_object();

	json_put_number(root, "schema", JSON_SCHEMA);
	json_put_text(root, "command", end->command);
	json_put_number(root, "exit", (uint64_t)end->exit);
	return root;
}

void json_finish(FILE *out, json_t *root, const struct json_end *end)
{
	if (end->error != NULL)
		json_put_err(root, "error", end->error);
	/* a failed write shows in ferror(out), which the command checks */
	(void)json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(root);
}

void json_error(FILE *out, const struct json_end *end)
{
	json_finish(out, json_begin(end), end);
}

void json_version(FILE *out, const char *version, const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_text(root, "version", version);
	json_finish(out, root, end);
}

void json_init(FILE *out, const struct result_init *r,
	       const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_text(root, "repository", r->repository);
	json_put_text(root, "id", r->id);
	json_put_text(root, "key_file", r->key_file);
	json_finish(out, root, end);
}

void json_export(FILE *out, const struct result_export *r,
		 const struct json_end *end)
{
	json_t *root = json_begin(end);

	json_put_text(root, "point", r->point);
	json_put_text(root, "image", r->image);
	json_put_text(root, "file", r->file);
	json_put_number(root, "size", r->size);
	json_put_number(root, "written", r->written);
	json_put_number(root, "elapsed_ms", r->elapsed_ms);
	json_finish(out, root, end);
}

void json_recover(FILE *out, const struct result_recover *r,
		  const struct json_end *end)
{
	json_t *root = json_begin(end);
	json_t *items = json_put_array(root, "items");

	for (size_t i = 0; i < r->count; i++) {
		json_t *item = json_add_object(items);

		json_put_text(item, "domain", r->items[i].domain);
		json_put_text(item, "action", r->items[i].action);
		json_put_bool(item, "failed", r->items[i].failed);
	}
	json_finish(out, root, end);
}
