/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_REPORT_JSON_PARTS_H
#define VMKEEP_REPORT_JSON_PARTS_H

/* What the JSON files of report/ share. */

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "report/json.h"

/*
 * A string, or null.  JSON knows UTF-8 only: where the bytes are not, each
 * wrong one is U+FFFD, and "KEY_hex" has all bytes in hexadecimal.
 */
void json_put_text(json_t *object, const char *key, const char *text);

void json_put_number(json_t *object, const char *key, uint64_t n);
void json_put_bool(json_t *object, const char *key, bool b);

/* KEY in RFC 3339 and UTC, KEY_ns in nanoseconds since 1970. */
void json_put_time(json_t *object, const char *key, int64_t ns);

void json_put_strings(json_t *object, const char *key,
		      const struct result_strings *s);

/* An empty array under this key, borrowed from the object. */
json_t *json_put_array(json_t *object, const char *key);

/* A new object at the end of the array, borrowed. */
json_t *json_add_object(json_t *array);

void json_put_err(json_t *object, const char *key, const struct err *e);

/* Begin and end of what every command prints; the end frees. */
json_t *json_begin(const struct json_end *end);
void json_finish(FILE *out, json_t *root, const struct json_end *end);

void json_put_damages(json_t *root, const char *key,
		      const struct result_damage *d, size_t count);
/* What could not be read: how often, and the first reason. */
void json_put_unread(json_t *root, const struct result_verify *r);

void json_put_point(json_t *object, const struct result_point *p);

#endif
