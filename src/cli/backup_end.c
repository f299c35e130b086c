/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backup_end.h"

#include "base/mem.h"

struct tally {
	size_t ok, failed;
	bool less; /* degraded, or with a warning */
};

static struct tally speak(struct cli *c, const struct result_backup *r)
{
	struct tally t = { .ok = 0 };

	for (size_t i = 0; i < r->count; i++) {
		const struct result_backup_item *item = &r->items[i];

		if (!item->ok)
			speech_error(c->speech, &item->err);
		for (size_t w = 0; w < item->warnings.count; w++) {
			autofree char *text = mem_fmt("%s: %s", item->name,
						      item->warnings.items[w]);

			speech_say(c->speech, TALK_WARN, text);
		}
		t.ok += item->ok;
		t.failed += !item->ok;
		t.less |= item->degraded || item->warnings.count > 0;
	}
	return t;
}

struct json_end backup_end(struct cli *c, int rc, const struct result_backup *r,
			   const struct err *e)
{
	struct json_end end = { .command = c->command->about.name };
	struct tally t;

	speech_clear(c->speech);
	t = speak(c, r);
	if (rc < 0) {
		end.error = e;
		end.exit = (int)cli_exit_of(e);
		/* of an item that failed it is known already */
		if (t.failed == 0)
			speech_error(c->speech, e);
	}
	if (t.ok > 0 && (rc < 0 || t.failed > 0 || t.less))
		end.exit = CLI_PARTLY;
	return end;
}
