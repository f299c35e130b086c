/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From argv to a command: find its word, read what it understands, give it
 * what it needs, run it.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/start.h"
#include "job/secret.h"
#include "job/watchdog.h"

static const struct opt no_options[] = { { .name = NULL } };

/* ---- before a command runs ---- */

/* Asked for, whatever else is wrong? */
static bool wants_json(char **argv)
{
	for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, "--json") == 0)
			return true;
	return false;
}

/* Say on stderr, and as JSON where that is wanted, why nothing was done. */
static int refuse(const char *command, bool json, const struct err *e)
{
	struct speech_options quiet = { .quiet = true };
	struct speech *speech = speech_new(&quiet);
	struct json_end end = { .command = command,
				.error = e,
				.exit = (int)cli_exit_of(e) };

	speech_error(speech, e);
	speech_free(speech);
	if (json)
		json_error(stdout, &end);
	return end.exit;
}

/* An option that all commands have, with a value, by name or letter. */
static bool has_value(const char *name, char letter)
{
	for (const struct opt *const *t = global_tables; *t != NULL; t++)
		for (const struct opt *o = *t; o->name != NULL; o++)
			if (o->kind != OPT_FLAG && o->kind != OPT_TRISTATE &&
			    (name != NULL ? strcmp(o->name, name) == 0
					  : o->letter == letter))
				return true;
	return false;
}

/* Has the option its value in the next word? */
static bool takes_next(const char *arg)
{
	if (arg[1] == '-')
		return has_value(arg + 2, '\0');
	/* "-vr": the first letter with a value has the rest, or the next */
	for (const char *p = arg + 1; *p != '\0'; p++)
		if (has_value(NULL, *p))
			return p[1] == '\0';
	return false;
}

/* Where the command's word is: the first that is neither an option nor an
 * option's value.  NULL: none. */
static char **find_word(char **argv)
{
	for (; *argv != NULL; argv++) {
		if (strcmp(*argv, "--") == 0)
			return argv[1] == NULL ? NULL : argv + 1;
		if ((*argv)[0] != '-')
			return argv;
		if (takes_next(*argv) && argv[1] != NULL)
			argv++;
	}
	return NULL;
}

static void take_out(char **word)
{
	for (; *word != NULL; word++)
		word[0] = word[1];
}

/* ---- options ---- */

struct call {
	const struct command *command;
	struct global global;
	void *options;
	char **args;
	size_t arg_count;
};

static void *new_options(const struct command *c)
{
	void *options = mem_zalloc(1, c->options_size + 1);

	if (c->defaults != NULL)
		memcpy(options, c->defaults, c->options_size);
	return options;
}

static const struct opt *table_of(const struct command *c)
{
	return c->about.options == NULL ? no_options : c->about.options;
}

static int parse(struct call *call, char **argv, struct err *e)
{
	/* what a command calls its own comes first: a new --key-file */
	const struct opt_group groups[] = {
		{ table_of(call->command), call->options },
		{ global_settings, &call->global },
		{ global_run, &call->global },
	};

	return opt_parse(groups, 3, argv, &call->args, &call->arg_count, e);
}

static void call_fini(struct call *call)
{
	global_fini(&call->global);
	if (call->options != NULL)
		opt_fini(table_of(call->command), call->options);
	free(call->options);
	free(call->args);
}

/* A first look, only for what decides where the rest comes from. */
static int peek(const struct command *command, char **argv, char **config,
		bool *help, struct err *e)
{
	AUTO(call_fini)
	struct call call = { .command = command,
			     .options = new_options(command) };

	if (parse(&call, argv, e) < 0)
		return -1;
	*config = mem_take(&call.global.config);
	*help = call.global.help;
	return 0;
}

static int check_args(const struct call *call, struct err *e)
{
	const struct command *c = call->command;

	if (call->arg_count < c->min_args)
		return err_set(e, ERR_USAGE, "too few arguments: vmkeep %s %s",
			       c->about.name, c->about.args);
	if (call->arg_count > c->max_args)
		return err_set(e, ERR_USAGE,
			       "too many arguments, from '%s' on: vmkeep "
			       "%s %s",
			       call->args[c->max_args], c->about.name,
			       c->about.args);
	return 0;
}

/* Weak to strong: settings file, environment, command line. */
static int load(struct call *call, const char *config, char **argv,
		struct err *e)
{
	call->options = new_options(call->command);
	if (global_load(&call->global, config, e) < 0 ||
	    global_env(&call->global, e) < 0 || parse(call, argv, e) < 0 ||
	    global_complete(&call->global, e) < 0)
		return -1;
	return check_args(call, e);
}

/* ---- running ---- */

static int run(const struct call *call)
{
	struct start start = {
		.cli = { .command = call->command,
			 .global = &call->global,
			 .options = call->options,
			 .args = call->args,
			 .arg_count = call->arg_count,
			 .out = stdout },
		.passphrase = NULL,
	};
	struct err e = ERR_INIT;
	int code;

	if (start_begin(&start, &e) < 0)
		code = refuse(call->command->about.name, call->global.json, &e);
	else
		code = call->command->run(&start.cli);
	start_end(&start);
	return code;
}

static int run_command(const struct command *command, char **argv)
{
	AUTO(call_fini) struct call call = { .command = command };
	autofree char *config = NULL;
	struct err e = ERR_INIT;
	bool help = false;

	if (peek(command, argv, &config, &help, &e) < 0)
		return refuse(command->about.name, wants_json(argv), &e);
	if (help) {
		help_command(stdout, command);
		return CLI_DONE;
	}
	if (load(&call, config, argv, &e) < 0)
		return refuse(command->about.name, wants_json(argv), &e);
	return run(&call);
}

static int unknown_command(const char *word, bool json)
{
	const char *near = command_nearest(word);
	struct err e = ERR_INIT;

	if (near == NULL)
		err_set(&e, ERR_USAGE,
			"unknown command '%s'; `vmkeep help` lists all", word);
	else
		err_set(&e, ERR_USAGE,
			"unknown command '%s', did you mean '%s'?", word, near);
	return refuse(NULL, json, &e);
}

/* No command: only --help and --version make sense. */
static int without_command(char **argv)
{
	AUTO(call_fini)
	struct call call = {
		.command = command_find("help"),
		.options = new_options(command_find("help")),
	};
	struct err e = ERR_INIT;

	if (parse(&call, argv, &e) < 0)
		return refuse(NULL, wants_json(argv), &e);
	if (call.global.version)
		return command_find("version")->run(
			&(struct cli){ .global = &call.global, .out = stdout });
	if (call.global.help) {
		help_all(stdout);
		return CLI_DONE;
	}
	err_set(&e, ERR_USAGE, "which command? `vmkeep help` lists all");
	return refuse(NULL, call.global.json, &e);
}

static int dispatch(char **argv)
{
	char **word = find_word(argv);
	const struct command *command;

	if (word == NULL)
		return without_command(argv);
	command = command_find(*word);
	if (command == NULL)
		return unknown_command(*word, wants_json(argv));
	take_out(word);
	return run_command(command, argv);
}

/* A file that gets number 2 would get our messages. */
static void need_std_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* A result that did not get out is no result. */
static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		fprintf(stderr,
			"vmkeep: cannot write to standard output: "
			"%s\n",
			strerror(errno));
	return code == CLI_DONE ? CLI_FAILED : code;
}

int main(int argc, char **argv)
{
	need_std_files();
	job_secret_guard();
	if (argc > 1 && strcmp(argv[1], "__watchdog") == 0)
		return job_watchdog(argc - 1, argv + 1);
	/* writing to a reader that is gone is an error as others are */
	signal(SIGPIPE, SIG_IGN);
	return flush(dispatch(argc > 0 ? argv + 1 : argv));
}
