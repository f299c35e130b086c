/* SPDX-License-Identifier: Apache-2.0 */

/* Points held on this host: the folder, its commit, and what is left of it. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/describe.h"
#include "job/local.h"

#define FAILS(call) assert_int_equal((call), -1)

struct place {
	char root[64];
	char *dir; /* not made by us */
	struct err e;
};

static int set_up(void **state)
{
	struct place *p = mem_zalloc(1, sizeof(*p));

	strcpy(p->root, "/tmp/vmkeep-local-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	p->dir = mem_fmt("%s/odd \xc3\xa4 'name'/local", p->root);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	autofree char *command = mem_fmt("rm -rf '%s'", p->root);

	assert_int_equal(system(command), 0);
	free(p->dir);
	free(p);
	return 0;
}

static char volume[] = "/srv/vm";
static char snap_name[] = "vmkeep_20261120T163005Z_1f2e3d4c";
static char guid[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
static char set_id[] = "1f2e3d4c00000000000000000000beef";
static char none[] = "";

static const struct snap snap = {
	.kind = SNAP_BTRFS,
	.volume = volume,
	.name = snap_name,
	.guid = guid,
	.set = set_id,
	.fs = none,
	.begin_ns = 1,
	.end_ns = 2,
};

static void add_bytes(struct place *p, struct local_new *l, struct point *to,
		      const char *name, const char *text)
{
	struct buf b = BUF_INIT;

	wr_bytes(&b, text, strlen(text));
	assert_int_equal(local_add_bytes(l, to, IMAGE_XML, name, &b, &p->e), 0);
	buf_fini(&b);
}

static struct point *add_point(struct set *set, const char *name, uint8_t id)
{
	struct point *p = set_add_point(set);

	p->name = mem_strdup(name);
	memset(p->id.b, id, ID_SIZE);
	p->time_ns = id;
	return p;
}

/* A set of the named points, each with a disk, a definition and RAM. */
static void make_set(struct place *p, const char *const *names, struct set *set,
		     bool commit)
{
	struct local_new *l = local_begin(p->dir, &p->e);

	assert_non_null(l);
	autofree char *ram = path_join(p->root, "dump");

	for (uint8_t i = 0; names[i] != NULL; i++) {
		struct point *to = add_point(set, names[i], i + 1);

		add_bytes(p, l, to, "live.xml", "<domain/>");
		assert_int_equal(file_save(ram, 0600, "RAM", 3, &p->e), 0);
		assert_int_equal(local_add_file(l, to, IMAGE_STREAM,
						IMAGE_MEMORY, ram, &p->e),
				 0);
		local_add_disk(to, &(struct local_disk){
					   .target = "vda",
					   .format = "qcow2",
					   .source = "/srv/vm/a.qcow2",
					   .size = 1 << 20,
					   .snap = &snap,
					   .inside = "a.qcow2",
				   });
	}
	if (commit)
		assert_int_equal(local_commit(l, set, &p->e), 0);
	local_free(l);
}

static size_t entries(const char *dir)
{
	autofree char *command =
		mem_fmt("find \"%s\" -mindepth 1 | wc -l", dir);
	FILE *f = popen(command, "re");
	size_t n = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu", &n), 1);
	pclose(f);
	return n;
}

static void load(struct place *p, struct catalog *c)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(local_load(p->dir, c, &p->e), 0);
	catalog_sort(c);
}

static void nothing_there(void **state)
{
	struct place *p = *state;
	struct catalog c;

	load(p, &c);
	assert_int_equal(c.count + c.damaged_count, 0);
	local_sweep(p->dir);
	assert_false(file_exists(p->dir));
}

static void comes_back(void **state)
{
	struct place *p = *state;
	struct snaps snaps = { 0 };
	struct buf xml = BUF_INIT;
	struct set set = { 0 };
	struct catalog c;
	struct stat st;

	make_set(p, (const char *[]){ "web1", NULL }, &set, true);
	load(p, &c);
	assert_int_equal(c.count, 1);
	const struct point *at = &c.sets[0].points[0];

	assert_string_equal(at->name, "web1");
	autofree char *file =
		local_file(p->dir, &c.sets[0], point_image(at, "live.xml"));

	assert_int_equal(file_load(file, 100, &xml, &p->e), 0);
	assert_memory_equal(xml.p, "<domain/>", xml.len);
	assert_null(local_file(p->dir, &c.sets[0], point_image(at, "vda")));
	assert_int_equal(local_snap(point_image(at, "vda"), &snaps, &p->e), 0);
	assert_string_equal(snaps.items[0].name, snap.name);
	assert_string_equal(snaps.items[0].guid, snap.guid);
	assert_true(local_needs(&c, &snap));
	/* it has RAM in it */
	assert_int_equal(stat(p->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snaps_fini(&snaps);
	buf_fini(&xml);
	set_fini(&set);
	catalog_fini(&c);
}

static void without_commit_nothing(void **state)
{
	struct place *p = *state;
	struct set set = { 0 };
	struct catalog c;

	make_set(p, (const char *[]){ "web1", NULL }, &set, false);
	load(p, &c);
	assert_int_equal(c.count, 0);
	assert_false(local_needs(&c, &snap));
	/* the place's own lock is all there is */
	assert_int_equal(entries(p->dir), 1);
	set_fini(&set);
	catalog_fini(&c);
}

/* A maker that died leaves a folder, which the next sweep takes away; one
 * that lives keeps it. */
static void dead_makers(void **state)
{
	struct place *p = *state;
	struct local_new *alive = local_begin(p->dir, &p->e);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct set set = { 0 };

		make_set(p, (const char *[]){ "dead", NULL }, &set, true);
		if (local_begin(p->dir, &p->e) == NULL)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	size_t before = entries(p->dir);

	local_sweep(p->dir);
	/* its folder and the lock in it; of the one that was committed the
	 * lock */
	assert_int_equal(entries(p->dir), before - 3);
	char hex[ID_TEXT];

	hex_encode(local_id(alive)->b, ID_SIZE, hex);
	autofree char *folder = mem_fmt("%s/new-%s", p->dir, hex);

	assert_true(file_exists(folder));
	local_free(alive);
	assert_false(file_exists(folder));
}

static void dropped_one_by_one(void **state)
{
	struct place *p = *state;
	struct set set = { 0 };
	struct catalog c;

	make_set(p, (const char *[]){ "db1", "web1", NULL }, &set, true);
	load(p, &c);
	const struct id first = c.sets[0].points[0].id;
	const struct id second = c.sets[0].points[1].id;

	/* RAM alone */
	assert_int_equal(local_drop(p->dir, &c.sets[0], &first, true, &p->e),
			 0);
	catalog_fini(&c);
	load(p, &c);
	assert_null(point_image(&c.sets[0].points[0], IMAGE_MEMORY));
	assert_non_null(point_image(&c.sets[0].points[1], IMAGE_MEMORY));

	assert_int_equal(local_drop(p->dir, &c.sets[0], &first, false, &p->e),
			 0);
	catalog_fini(&c);
	load(p, &c);
	assert_int_equal(c.sets[0].point_count, 1);
	assert_string_equal(c.sets[0].points[0].name, "web1");
	assert_true(local_needs(&c, &snap));

	assert_int_equal(local_drop(p->dir, &c.sets[0], &second, false, &p->e),
			 0);
	FAILS(local_drop(p->dir, &c.sets[0], &second, false, &p->e));
	assert_int_equal(p->e.code, ERR_NOT_FOUND);
	catalog_fini(&c);
	load(p, &c);
	assert_int_equal(c.count, 0);
	assert_int_equal(entries(p->dir), 1);
	catalog_fini(&c);
	set_fini(&set);
}

/* Every byte of the record counts, and a set that cannot be read keeps all
 * snaps from going. */
static void damaged(void **state)
{
	struct place *p = *state;
	struct set set = { 0 };
	struct catalog c;
	char hex[ID_TEXT];

	make_set(p, (const char *[]){ "web1", NULL }, &set, true);
	hex_encode(set.session.b, ID_SIZE, hex);
	autofree char *path = mem_fmt("%s/%s/set", p->dir, hex);
	struct buf was = BUF_INIT;

	assert_int_equal(file_load(path, 1 << 20, &was, &p->e), 0);
	for (size_t i = 0; i <= was.len; i++) {
		struct buf now = BUF_INIT;

		wr_bytes(&now, was.p, was.len);
		if (i < was.len)
			now.p[i] ^= 0x40;
		else
			now.len--;
		assert_int_equal(file_save(path, 0600, now.p, now.len, &p->e),
				 0);
		buf_fini(&now);
		load(p, &c);
		assert_int_equal(c.count, 0);
		assert_int_equal(c.damaged_count, 1);
		assert_non_null(strstr(c.damaged[0].msg, hex));
		assert_true(local_needs(&c, &snap));
		catalog_fini(&c);
	}
	/* the whole set of another one */
	set.session.b[0] ^= 1;
	buf_fini(&was);
	set_fini(&set);
}

/* A folder of somebody else's that is called as one of ours would be. */
static void others_files(void **state)
{
	struct place *p = *state;
	static const char *const names[] = { "photo.jpg", "1.txt", "setting" };
	autofree char *folder =
		path_join(p->dir, "0123456789abcdef0123456789abcdef");
	struct set set = { 0 };

	make_set(p, (const char *[]){ "web1", NULL }, &set, true);
	set_fini(&set);
	assert_int_equal(dir_make(folder, 0700, &p->e), 0);
	for (size_t i = 0; i < 3; i++) {
		autofree char *path = path_join(folder, names[i]);

		assert_int_equal(file_save(path, 0600, "x", 1, &p->e), 0);
	}
	local_sweep(p->dir);
	assert_int_equal(entries(folder), 3);
}

/* Who asks for all of the host: a point that cannot be read may need any, and
 * then it is not quietly kept. */
static void keeps(void **state)
{
	struct place *p = *state;
	const struct job job = { .local_dir = p->dir };
	const struct job none_here = { .local_dir = NULL };
	struct snap other = snap;
	struct set set = { 0 };
	char hex[ID_TEXT];

	other.name = (char[]){ "vmkeep_20261120T163005Z_00000000" };
	assert_int_equal(local_keeps(&none_here, &snap, &p->e), 0);
	assert_int_equal(local_keeps(&job, &snap, &p->e), 0);
	make_set(p, (const char *[]){ "web1", NULL }, &set, true);
	assert_int_equal(local_keeps(&job, &snap, &p->e), 1);
	assert_int_equal(local_keeps(&job, &other, &p->e), 0);
	set_fini(&set);
	make_set(p, (const char *[]){ "db1", NULL }, &set, true);
	hex_encode(set.session.b, ID_SIZE, hex);
	set_fini(&set);
	autofree char *path = mem_fmt("%s/%s/set", p->dir, hex);

	assert_int_equal(file_save(path, 0600, "x", 1, &p->e), 0);
	assert_int_equal(local_keeps(&job, &snap, &p->e), 1);
	FAILS(local_keeps(&job, &other, &p->e));
	assert_int_equal(p->e.code, ERR_INTEGRITY);
	assert_non_null(strstr(p->e.msg, hex));
}

/* A set under another's name is not taken for it. */
static void misplaced(void **state)
{
	struct place *p = *state;
	struct set set = { 0 };
	struct catalog c;
	char hex[ID_TEXT];

	make_set(p, (const char *[]){ "web1", NULL }, &set, true);
	hex_encode(set.session.b, ID_SIZE, hex);
	autofree char *from = path_join(p->dir, hex);

	hex[0] = hex[0] == '0' ? '1' : '0';
	autofree char *to = path_join(p->dir, hex);

	assert_int_equal(rename(from, to), 0);
	load(p, &c);
	assert_int_equal(c.count, 0);
	assert_int_equal(c.damaged_count, 1);
	catalog_fini(&c);
	set_fini(&set);
}

/* Names in a record never lead out of the set's folder. */
static void no_way_out(void **state)
{
	struct place *p = *state;
	static const char *const names[] = { "../x", "/etc/passwd", "..",
					     ".hidden" };
	struct set set = { 0 };
	struct image i = { .name = none };

	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		attrs_set(&i.attrs, ATTR_FILE, names[k]);
		assert_null(local_file(p->dir, &set, &i));
	}
	attrs_fini(&i.attrs);
}

/* Another file system, or one without links: the file is copied, with its
 * holes. */
static void copied_from_elsewhere(void **state)
{
	struct place *p = *state;
	char path[] = "/dev/shm/vmkeep-local-XXXXXX";
	int fd = mkstemp(path);
	struct set set = { 0 };
	struct buf b = BUF_INIT;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(pwrite(fd, "end", 3, (1 << 20) - 3), 3);
	close(fd);
	struct local_new *l = local_begin(p->dir, &p->e);
	struct point *to = add_point(&set, "web1", 1);

	assert_int_equal(
		local_add_file(l, to, IMAGE_STREAM, IMAGE_MEMORY, path, &p->e),
		0);
	unlink(path);
	FAILS(local_add_file(l, to, IMAGE_STREAM, "x", path, &p->e));
	assert_int_equal(local_commit(l, &set, &p->e), 0);
	autofree char *file =
		local_file(p->dir, &set, point_image(to, IMAGE_MEMORY));

	assert_int_equal(file_load(file, 2 << 20, &b, &p->e), 0);
	assert_int_equal(b.len, 1 << 20);
	assert_memory_equal(b.p + b.len - 3, "end", 3);
	assert_true(bytes_zero(b.p, b.len - 3));
	buf_fini(&b);
	local_free(l);
	set_fini(&set);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_there),
		TEST(comes_back),
		TEST(without_commit_nothing),
		TEST(dead_makers),
		TEST(dropped_one_by_one),
		TEST(damaged),
		TEST(others_files),
		TEST(keeps),
		TEST(misplaced),
		TEST(no_way_out),
		TEST(copied_from_elsewhere),
	};

	return cmocka_run_group_tests_name("job_local", tests, NULL, NULL);
}
