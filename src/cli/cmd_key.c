/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "cli/commands.h"
#include "cli/pass.h"
#include "job/key.h"
#include "job/secret.h"
#include "report/key.h"

DEFINE_AUTO(job_secret_free, char *);

static const char *const roles[] = { "owner", "writer", "maintainer",
				     "restorer", NULL };

struct options {
	int role; /* index into roles; -1: not said */
	char *key_file;
	char *owner_key;
	char *passphrase_file;
	char *label;
};

static const struct options defaults = { .role = -1 };

static const struct opt table[] = {
	{ .name = "role",
	  .kind = OPT_CHOICE,
	  .offset = offsetof(struct options, role),
	  .choices = roles,
	  .help = "add: what the key is for" },
	{ .name = "key-file",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, key_file),
	  .value = "FILE",
	  .help = "add: the new key's; else: open with this" },
	{ .name = "owner-key",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, owner_key),
	  .value = "FILE",
	  .help = "open the repository with this key" },
	{ .name = "passphrase-file",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, passphrase_file),
	  .value = "FILE",
	  .help = "the new passphrase, in its first line" },
	{ .name = "label",
	  .kind = OPT_STRING,
	  .offset = offsetof(struct options, label),
	  .value = "TEXT",
	  .help = "add: whose or what for, for the list" },
	{ .name = NULL },
};

/* One sub-command's run. */
struct verb {
	const char *words; /* "recipient add" */
	const char *action;
	size_t args; /* after the words */
	int (*run)(const struct cli *c, struct result_keys *r, struct err *e);
};

/* ---- what they do ---------------------------------------------------- */

static int list(const struct cli *c, struct result_keys *r, struct err *e)
{
	return job_key_list(&c->job, false, r, e);
}

static int recipient_list(const struct cli *c, struct result_keys *r,
			  struct err *e)
{
	return job_key_list(&c->job, true, r, e);
}

static int read_new(const struct options *o, char **secret, struct err *e)
{
	*secret = NULL;
	return o->passphrase_file == NULL
		       ? 0
		       : pass_from_file(o->passphrase_file, secret, e);
}

static int add(const struct cli *c, struct result_keys *r, struct err *e)
{
	AUTO(job_secret_free_at) char *secret = NULL;
	const struct options *o = c->options;

	if (o->role < 0)
		return err_set(e, ERR_USAGE,
			       "which role? say --role owner, writer, "
			       "maintainer or restorer");
	if (read_new(o, &secret, e) < 0)
		return -1;
	const struct job_key_add what = { .role = o->role + 1,
					  .label = o->label,
					  .key_file = o->key_file,
					  .passphrase = secret };

	return job_key_add(&c->job, &what, r, e);
}

static int remove_key(const struct cli *c, struct result_keys *r, struct err *e)
{
	return job_key_remove(&c->job, c->args[1], r, e);
}

static int passphrase(const struct cli *c, struct result_keys *r, struct err *e)
{
	AUTO(job_secret_free_at) char *secret = NULL;

	if (read_new(c->options, &secret, e) < 0)
		return -1;
	return job_key_passphrase(&c->job, secret, r, e);
}

static int export(const struct cli *c, struct result_keys *r, struct err *e)
{
	if (c->global->json && strcmp(c->args[1], "-") == 0)
		return err_set(e, ERR_USAGE,
			       "the key and --json cannot both go to standard "
			       "output");
	return job_key_export(&c->job, c->args[1], r, e);
}

static int recipient_add(const struct cli *c, struct result_keys *r,
			 struct err *e)
{
	const struct options *o = c->options;

	return job_key_recipient(&c->job, c->args[2], o->label, r, e);
}

static int recipient_seal(const struct cli *c, struct result_keys *r,
			  struct err *e)
{
	return job_key_recipient(&c->job, NULL, NULL, r, e);
}

static const struct verb verbs[] = {
	{ "list", "list", 0, list },
	{ "add", "add", 0, add },
	{ "remove", "remove", 1, remove_key },
	{ "passphrase", "passphrase", 0, passphrase },
	{ "export", "export", 1, export },
	{ "recipient", "recipient-list", 0, recipient_list },
	{ "recipient list", "recipient-list", 0, recipient_list },
	{ "recipient add", "recipient-add", 1, recipient_add },
	{ "recipient seal", "recipient-seal", 0, recipient_seal },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* ---- which ----------------------------------------------------------- */

static size_t word_count(const struct verb *v)
{
	return strchr(v->words, ' ') == NULL ? 1 : 2;
}

static bool is_said(const struct cli *c, const struct verb *v)
{
	autofree char *said =
		word_count(v) == 1 || c->arg_count < 2
			? mem_strdup(c->args[0])
			: mem_fmt("%s %s", c->args[0], c->args[1]);

	return strcmp(said, v->words) == 0;
}

/* The one with the most words. */
static const struct verb *find_verb(const struct cli *c)
{
	const struct verb *found = NULL;

	for (size_t i = 0; i < VERBS; i++)
		if (is_said(c, &verbs[i]))
			found = &verbs[i];
	return found;
}

/* With add, --key-file names the new key: the settings' one opens. */
static void choose_key(struct cli *c, const struct verb *v)
{
	const struct options *o = c->options;

	if (o->owner_key != NULL)
		c->job.key_file = o->owner_key;
	else if (o->key_file != NULL && v->run != add)
		c->job.key_file = o->key_file;
}

static int misused(struct cli *c, const struct verb *v)
{
	size_t want = word_count(v) + v->args;

	if (c->arg_count < want)
		return cli_usage(c, "too few arguments: vmkeep key %s %s",
				 v->words,
				 v->run == export       ? "FILE"
				 : v->run == remove_key ? "KEY"
							: "PUBLIC-KEY");
	return cli_usage(c, "too many arguments, from '%s' on: vmkeep key %s",
			 c->args[want], v->words);
}

static int run(struct cli *c)
{
	const struct verb *v = find_verb(c);
	struct result_keys result = { .keys = NULL };
	struct err e = ERR_INIT;

	if (v == NULL)
		return cli_usage(c,
				 "unknown: key '%s'; list, add, remove, "
				 "passphrase, export or recipient",
				 c->args[0]);
	if (c->arg_count != word_count(v) + v->args)
		return misused(c, v);
	choose_key(c, v);
	result.action = v->action;
	int rc = v->run(c, &result, &e);
	struct json_end end =
		cli_end(c, rc, &e, result.failed > 0 ? CLI_PARTLY : CLI_DONE);

	if (c->global->json)
		json_keys(c->out, &result, &end);
	else if (rc == 0 &&
		 (result.file == NULL || strcmp(result.file, "-") != 0))
		text_keys(c->out, &result);
	result_keys_fini(&result);
	return end.exit;
}

const struct command cmd_key = {
	.about = { .name = "key",
		   .args = "WHAT",
		   .summary = "who may open the repository, and as what",
		   .options = table },
	.details =
		"  key list                   all keys\n"
		"  key add --role ROLE        make one: for --key-file FILE, "
		"a new file, or\n"
		"                             for a passphrase\n"
		"  key remove KEY             take one back\n"
		"  key passphrase             change the passphrase\n"
		"  key export FILE            the present key, to keep it "
		"elsewhere\n"
		"  key recipient [list]       whom contents are sealed to\n"
		"  key recipient add PUBLIC-KEY\n"
		"                             one more; old data keys, too\n"
		"  key recipient seal         seal what is not sealed to all "
		"yet\n\n"
		"An owner may do all. A writer backs up, a maintainer forgets "
		"and collects;\nneither can read contents. A restorer reads, "
		"and changes nothing.",
	.min_args = 1,
	.max_args = 3,
	.needs = CLI_REPOSITORY | CLI_PASSPHRASE,
	.defaults = &defaults,
	.options_size = sizeof(struct options),
	.run = run,
};
