/* SPDX-License-Identifier: Apache-2.0 */

/* What a definition tells of a domain. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/proc.h"
#include "virt/apparmor.h"
#include "virt/chain.h"
#include "virt/domain_xml.h"
#include "virt_xml.h"

static struct err e;

static char *volume(void *ctx, const char *pool, const char *name,
		    const char **type)
{
	(void)ctx;
	if (strcmp(pool, "default") != 0 || strcmp(name, "v'1") != 0)
		return NULL;
	*type = "block";
	return mem_strdup("/dev/pool/v1");
}

static struct domain_info *parse(const char *xml, bool local)
{
	struct domain_xml_env env = { .volume = volume, .local = local };
	struct domain_info *d = mem_zalloc(1, sizeof(*d));

	if (domain_xml_read(xml, &env, d, &e) < 0)
		fail_msg("%s", e.msg);
	return d;
}

static void live(void **state)
{
	struct domain_info *d = parse(XML_LIVE_UEFI, false);
	const struct domain_disk *disk = d->disks;

	(void)state;
	assert_string_equal(d->name, "web \"1\" <größe>");
	assert_string_equal(d->uuid, UUID_WEB);
	assert_int_equal(d->agent, AGENT_CONNECTED);
	assert_true(d->tpm);
	assert_string_equal(d->nvram,
			    "/var/lib/libvirt/qemu/nvram/web_VARS.fd");
	assert_null(d->ram_refused);
	assert_int_equal(d->disk_count, 3);
	assert_string_equal(disk->target, "vda");
	assert_string_equal(disk->bus, "virtio");
	assert_true(disk->captured);
	assert_null(disk->why_not);
	assert_int_equal(disk->chain_len, 3);
	assert_string_equal(disk->chain[0].path, "/images/web.2.qcow2");
	assert_string_equal(disk->chain[1].path, "/images/web.1.qcow2");
	assert_string_equal(disk->chain[2].path, "/dev/vg/golden");
	assert_string_equal(disk->chain[2].type, "block");
	assert_string_equal(disk->chain[2].format, "raw");
	assert_false(disk->job_active);
	assert_true(disk[1].captured);
	assert_true(disk[1].job_active);
	assert_string_equal(disk[2].device, "cdrom");
	assert_false(disk[2].captured);
	domain_info_free(d);
}

static const struct domain_disk *find(const struct domain_info *d,
				      const char *target)
{
	for (size_t i = 0; i < d->disk_count; i++) {
		if (strcmp(d->disks[i].target, target) == 0)
			return &d->disks[i];
	}
	fail_msg("no disk %s", target);
	return NULL;
}

static void kinds_of_disks(void **state)
{
	static const struct {
		const char *target;
		const char *why; /* a part of it */
	} out[] = {
		{ "fda", "floppy" },       { "hda", "cdrom" },
		{ "sda", "LUN" },          { "sdb", "shared" },
		{ "sdc", "read-only" },    { "sdd", "transient" },
		{ "sde", "type network" }, { "sdg", "pool" },
		{ "sdh", "encrypted" },    { "vdh", "type vhostuser" },
	};
	struct domain_info *d = parse(XML_DISKS("/images/a.qcow2"), true);

	(void)state;
	assert_int_equal(d->disk_count, 12);
	for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++) {
		const struct domain_disk *disk = find(d, out[i].target);

		assert_false(disk->captured);
		if (strstr(disk->why_not, out[i].why) == NULL)
			fail_msg("%s: %s", disk->target, disk->why_not);
	}
	assert_true(find(d, "vda")->captured);
	assert_int_equal(find(d, "fda")->chain_len, 0);
	assert_true(find(d, "sdf")->captured);
	assert_string_equal(find(d, "sdf")->chain[0].path, "/dev/pool/v1");
	assert_string_equal(find(d, "sdf")->chain[0].type, "block");
	assert_int_equal(d->agent, AGENT_DISCONNECTED);
	assert_null(d->nvram);
	assert_false(d->tpm);
	/* The LUN is written to and not in the point. */
	assert_non_null(strstr(d->ram_refused, "'sda'"));
	domain_info_free(d);
}

/* What keeps RAM from being saved, and what looks like it and does not. */
static const struct {
	const char *xml;
	const char *why; /* a part of it; NULL: not refused */
} refusals[] = {
	{ XML_WITH("", ""), NULL },
	{ XML_WITH("<hostdev mode='subsystem' type='pci'/>", ""),
	  "<hostdev type='pci'>" },
	{ XML_WITH("<hostdev mode='subsystem' type='mdev'/>", ""), "mdev" },
	{ XML_WITH("<hostdev mode='subsystem' type='usb'/>", ""), NULL },
	{ XML_WITH("<interface type='hostdev'/>", ""), "hostdev" },
	{ XML_WITH("<interface type='vdpa'/>", ""), "vdpa" },
	{ XML_WITH("<interface type='vhostuser'/>", ""), "vhostuser" },
	{ XML_WITH("<interface type='network'/>", ""), NULL },
	{ XML_WITH("<shmem name='glass'>"
		   "<model type='ivshmem-plain'/></shmem>",
		   ""),
	  "<shmem name='glass'>" },
	{ XML_WITH("<shmem name='glass' role='master'>"
		   "<model type='ivshmem-plain'/></shmem>",
		   ""),
	  NULL },
	{ XML_WITH("<shmem name='glass' role='peer'/>", ""), "role='master'" },
	{ XML_WITH("<filesystem type='mount'>"
		   "<driver type='virtiofs'/><target dir='home'/>"
		   "</filesystem>",
		   ""),
	  "'home' (virtiofs)" },
	{ XML_WITH("<filesystem type='mount'><target dir='x'/>"
		   "</filesystem>",
		   ""),
	  "9p" },
	{ XML_WITH("<tpm><backend type='passthrough'/></tpm>", ""), "<tpm>" },
	{ XML_WITH("<tpm><backend type='emulator'/></tpm>", ""), NULL },
	{ XML_WITH("<video><model type='virtio'>"
		   "<acceleration accel3d='yes'/></model></video>",
		   ""),
	  "3D" },
	{ XML_WITH("", "<cpu><feature policy='require' "
		       "name='invtsc'/></cpu>"),
	  "invtsc" },
	{ XML_WITH("", "<cpu><feature policy='disable' "
		       "name='invtsc'/></cpu>"),
	  NULL },
	{ XML_WITH("", "<cpu><feature policy='require' "
		       "name='invtsc'/></cpu><clock><timer "
		       "name='tsc' frequency='3000000000'/></clock>"),
	  NULL },
	{ XML_WITH("", "<cpu mode='host-passthrough' "
		       "migratable='off'/>"),
	  "invtsc" },
	{ XML_WITH("", "<launchSecurity type='sev'/>"), "launchSecurity" },
	{ XML_WITH("", "<os><nvram type='network'><source "
		       "protocol='iscsi'/></nvram></os>"),
	  "nvram" },
	{ XML_WITH("<disk type='file'><source file='/t'/>"
		   "<target dev='vdt'/><transient/></disk>",
		   ""),
	  "'vdt'" },
	{ XML_WITH("<disk type='file' device='cdrom'><source "
		   "file='/t'/><target dev='hda'/><readonly/></disk>",
		   ""),
	  NULL },
};

static void ram_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		struct domain_info *d = parse(refusals[i].xml, false);
		const char *why = d->ram_refused;

		if ((why != NULL) != (refusals[i].why != NULL) ||
		    (why != NULL && strstr(why, refusals[i].why) == NULL))
			fail_msg("%s: %s", refusals[i].xml,
				 why != NULL ? why : "not refused");
		domain_info_free(d);
	}
}

static void nvram_with_source(void **state)
{
	struct domain_info *d = parse(
		XML_WITH("", "<os><nvram type='file'><source file='/n.fd'/>"
			     "</nvram></os>"),
		false);

	(void)state;
	assert_string_equal(d->nvram, "/n.fd");
	domain_info_free(d);
}

static void not_a_definition(void **state)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"<domain>",
		"<network><name>x</name></network>",
		"<domain><name>x</name></domain>",
		"<domain><name>x</name><uuid>short</uuid></domain>",
		"<domain><uuid>" UUID_WEB "</uuid></domain>",
		"<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
		"<domain><name>&a;</name><uuid>" UUID_WEB "</uuid></domain>",
		"<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b "
		"'&a;&a;'>]><domain><name>&b;</name><uuid>" UUID_WEB
		"</uuid></domain>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct domain_xml_env env = { .local = false };
		struct domain_info *d = mem_zalloc(1, sizeof(*d));

		assert_int_equal(domain_xml_read(bad[i], &env, d, &e), -1);
		assert_int_equal(e.code, ERR_INTEGRITY);
		domain_info_free(d);
	}
}

/* Images of this host, by their headers. */
static void chain_of_files(void **state)
{
	char dir[] = "/tmp/vmkeep-chain-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	autofree char *base = mem_fmt("%s/ba\"se", dir);
	autofree char *mid = mem_fmt("%s/m:id", dir);
	autofree char *top = mem_fmt("%s/top", dir);
	const char *make[3][11] = {
		{ "qemu-img", "create", "-q", "-f", "raw", base, "3M", NULL },
		{ "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
		  base, mid, NULL },
		{ "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
		  "-b", "./m:id", top, NULL },
	};
	for (size_t i = 0; i < 3; i++) {
		struct proc_run r = { .argv = make[i] };

		if (proc_run(&r, NULL, &e) < 0)
			fail_msg("%s", e.msg);
	}
	assert_int_equal(chain_size(base, "raw"), 3 << 20);
	assert_int_equal(chain_size(top, "qcow2"), 3 << 20);
	assert_int_equal(chain_size(base, "qcow2"), 0);
	assert_int_equal(chain_size("/nowhere", "raw"), 0);

	autofree char *xml =
		mem_fmt("<domain><name>c</name><uuid>" UUID_WEB "</uuid>"
			"<devices><disk type='file'><driver type='qcow2'/>"
			"<source file='%s'/><target dev='vda'/></disk>"
			"</devices></domain>",
			top);
	struct domain_info *d = parse(xml, true);
	const struct domain_disk *disk = d->disks;

	assert_int_equal(disk->chain_len, 3);
	assert_string_equal(disk->chain[0].path, top);
	assert_non_null(strstr(disk->chain[1].path, "/m:id"));
	assert_string_equal(disk->chain[1].format, "qcow2");
	assert_string_equal(disk->chain[2].path, base);
	assert_string_equal(disk->chain[2].format, "raw");
	domain_info_free(d);
	d = parse(xml, false);
	assert_int_equal(d->disks->chain_len, 1);
	domain_info_free(d);
	unlink(base);
	unlink(mid);
	unlink(top);
	rmdir(dir);
}

/* A loop of images, and every cut and every flipped byte of a header. */
static void chain_bad_headers(void **state)
{
	uint8_t h[200] = { 'Q', 'F', 'I', 0xfb, 0, 0,   0, 3, 0, 0,
			   0,   0,   0,   0,    0, 144, 0, 0, 0, 4 };
	struct chain_header got;

	(void)state;
	h[31] = 9; /* size */
	h[63] = 5; /* internal snapshots */
	h[79] = 2; /* corrupt */
	h[103] = 104;
	memcpy(h + 104, "\xe2\x79\x2a\xca\0\0\0\5qcow2", 13);
	memcpy(h + 144, "base", 4);
	assert_int_equal(chain_parse(h, sizeof(h), &got, &e), 0);
	assert_int_equal(got.size, 9);
	assert_int_equal(got.version, 3);
	assert_int_equal(got.cluster, 1);
	assert_int_equal(got.snapshots, 5);
	assert_true(got.corrupt && !got.dirty);
	assert_string_equal(got.backing, "base");
	assert_string_equal(got.backing_format, "qcow2");
	chain_header_fini(&got);
	for (size_t n = 0; n < sizeof(h); n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, h, n);
		cut = realloc(cut, n > 0 ? n : 1);
		if (chain_parse(cut, n, &got, &e) == 0)
			chain_header_fini(&got);
		free(cut);
	}
	for (size_t i = 0; i < sizeof(h) * 8; i++) {
		h[i / 8] ^= (uint8_t)(1 << i % 8);
		if (chain_parse(h, sizeof(h), &got, &e) == 0)
			chain_header_fini(&got);
		h[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

#define RULES_PLAIN                                                            \
	"  \"/images/web.2.qcow2\" rwk,\n"                                     \
	"  \"/iso/a.iso\" rk,\n"                                               \
	"  # don't audit writes to readonly files\n"                           \
	"  deny \"/iso/a.iso\" w,\n"
#define RULES_CHAIN                                                            \
	RULES_PLAIN                                                            \
	"  \"/images/web.1.qcow2\" rk,\n"                                      \
	"  deny \"/images/web.1.qcow2\" w,\n"
#define RULES_UBUNTU                                                           \
	"  \"/images/web.2.qcow2\" rwk,\n"                                     \
	"  \"/images/web.1.qcow2\" rk,\n"

static void refuses(const char *xml, const struct apparmor_facts *f,
		    const char *part)
{
	struct domain_info *d = parse(xml, false);
	autofree char *why = apparmor_refuses(d, f);

	if ((why != NULL) != (part != NULL) ||
	    (why != NULL && strstr(why, part) == NULL))
		fail_msg("%s", why != NULL ? why : "not refused");
	domain_info_free(d);
}

static void apparmor(void **state)
{
	const char *one = XML_WITH("", "");
	const char *two = XML_LIVE_UEFI;
	struct apparmor_facts f = { .confined = true, .libvirt = 9000000 };

	(void)state;
	f.rules = RULES_CHAIN;
	refuses(two, &f, "'/images/web.1.qcow2'");
	f.rules = RULES_PLAIN;
	refuses(two, &f, "several disks");
	refuses(one, &f, NULL);
	f.rules = NULL;
	refuses(two, &f, "several disks");
	f.rules = RULES_UBUNTU;
	refuses(two, &f, NULL);

	f.rules = RULES_CHAIN;
	f.modes = "/usr/sbin/x (enforce)\nlibvirt-" UUID_WEB " (enforce)\n";
	refuses(two, &f, "security_driver");
	f.modes = "libvirt-" UUID_WEB " (complain)\n";
	refuses(two, &f, NULL);
	f.modes = NULL;
	f.libvirt = 12001000;
	refuses(two, &f, NULL);
	f.libvirt = 11003000;
	f.confined = false;
	refuses(two, &f, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live),
		cmocka_unit_test(kinds_of_disks),
		cmocka_unit_test(ram_refused),
		cmocka_unit_test(nvram_with_source),
		cmocka_unit_test(not_a_definition),
		cmocka_unit_test(chain_of_files),
		cmocka_unit_test(chain_bad_headers),
		cmocka_unit_test(apparmor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
