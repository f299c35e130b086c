/* SPDX-License-Identifier: Apache-2.0 */

/* Definitions on their way to another place. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/define.h"
#include "virt/domxml.h"
#include "virt_xml.h"

static struct err e;

static const struct define_disk two_disks[] = {
	{ .target = "vda", .path = "/new/it's \"a\" <ü>.raw", .format = "raw" },
	{ .target = "vdb",
	  .path = "/dev/zvol/b&c",
	  .format = "qcow2",
	  .block = true },
};

static xmlDocPtr rewritten(const char *xml, const struct define_change *change)
{
	struct buf out = BUF_INIT;

	if (define_rewrite(xml, change, &out, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(strlen((char *)out.p), out.len);
	xmlDocPtr doc = domxml_parse((char *)out.p, "domain", &e);

	assert_non_null(doc);
	buf_fini(&out);
	return doc;
}

static void is_text(xmlDocPtr doc, const char *path, const char *text)
{
	autofree char *is =
		domxml_text(domxml_path(xmlDocGetRootElement(doc), path));

	if (text == NULL)
		assert_null(is);
	else
		assert_string_equal(is != NULL ? is : "(none)", text);
}

static void is_attr(xmlNodePtr n, const char *path, const char *name,
		    const char *value)
{
	autofree char *is = domxml_attr(domxml_path(n, path), name);

	if (value == NULL)
		assert_null(is);
	else
		assert_string_equal(is != NULL ? is : "(none)", value);
}

static xmlNodePtr devices(xmlDocPtr doc)
{
	return domxml_child(xmlDocGetRootElement(doc), "devices");
}

static void disks_move(void **state)
{
	struct define_change change = { .disks = two_disks, .disk_count = 2 };
	autodoc xmlDocPtr doc = rewritten(XML_LIVE_UEFI, &change);
	xmlNodePtr vda = domxml_child(devices(doc), "disk");
	xmlNodePtr vdb = domxml_next(vda, "disk");
	xmlNodePtr cd = domxml_next(vdb, "disk");

	(void)state;
	is_attr(vda, "source", "file", two_disks[0].path);
	is_attr(vda, "source", "index", NULL);
	is_attr(vda, "driver", "type", "raw");
	is_attr(vda, "driver", "cache", "none");
	assert_null(domxml_path(vda, "source/seclabel"));
	assert_null(domxml_child(vda, "backingStore"));
	assert_null(domxml_child(vda, "alias"));
	/* What the guest sees. */
	is_attr(vda, "address", "bus", "0x04");

	assert_true(domxml_attr_is(vdb, "type", "block"));
	is_attr(vdb, "source", "dev", two_disks[1].path);
	is_attr(vdb, "source", "file", NULL);
	is_attr(vdb, "driver", "type", "qcow2");
	is_attr(vdb, "alias", "name", "ua-data");
	assert_null(domxml_child(vdb, "mirror"));

	/* The medium is not on this host; the drive stays. */
	assert_true(domxml_attr_is(cd, "device", "cdrom"));
	assert_null(domxml_child(cd, "source"));
	is_attr(cd, "target", "dev", "sda");
}

static void disks_not_named(void **state)
{
	static const struct define_disk one[] = {
		{ .target = "vda", .path = "/new/a", .format = "qcow2" },
		{ .target = "sdb" },
	};
	struct define_change change = { .disks = one, .disk_count = 2 };
	char iso[] = "/tmp/vmkeep-iso-XXXXXX";
	autofd int fd = mkstemp(iso);

	(void)state;
	assert_true(fd >= 0);
	autofree char *xml = mem_fmt(
		"<domain><name>x</name><devices>"
		"<disk type='file'><target dev='vda'/></disk>"
		"<disk type='file'><source file='/a'/><target dev='sdb'/>"
		"</disk>"
		"<disk type='block' device='lun'><source dev='/dev/sg'/>"
		"<target dev='sdc'/></disk>"
		"<disk type='file' device='cdrom'><source file='%s'/>"
		"<target dev='sdd'/></disk>"
		"<disk type='network' device='cdrom'><source protocol='http'/>"
		"<target dev='sde'/></disk>"
		"<disk type='file'><source file='%s'/><target dev='sdf'/>"
		"<readonly/></disk>"
		"<disk type='file'><source file='/nowhere'/>"
		"<target dev='sdg'/><readonly/></disk>"
		"</devices></domain>",
		iso, iso);
	autodoc xmlDocPtr doc = rewritten(xml, &change);
	xmlNodePtr vda = domxml_child(devices(doc), "disk");
	xmlNodePtr sdd = domxml_next(vda, "disk");
	xmlNodePtr sde = domxml_next(sdd, "disk");
	xmlNodePtr sdf = domxml_next(sde, "disk");

	unlink(iso);
	is_attr(sdd, "target", "dev", "sdd");
	is_attr(sdd, "source", "file", iso);
	is_attr(sde, "target", "dev", "sde");
	assert_null(domxml_child(sde, "source"));
	assert_true(domxml_attr_is(sde, "type", "file"));
	is_attr(sdf, "target", "dev", "sdf");
	is_attr(sdf, "source", "file", iso);
	assert_null(domxml_next(sdf, "disk"));
}

static void same_identity(void **state)
{
	struct define_change change = { .disks = two_disks, .disk_count = 2 };
	autodoc xmlDocPtr doc = rewritten(XML_LIVE_UEFI, &change);

	(void)state;
	is_text(doc, "name", "web \"1\" <größe>");
	is_text(doc, "uuid", UUID_WEB);
	is_text(doc, "genid", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e");
	is_attr(devices(doc), "interface/mac", "address", "52:54:00:aa:bb:cc");
	is_attr(devices(doc), "graphics", "port", "5901");
	assert_false(domxml_has(xmlDocGetRootElement(doc), "id"));
}

static void new_identity(void **state)
{
	struct define_change change = { .name = "a / 'copy' & <ä>",
					.new_identity = true,
					.disks = two_disks,
					.disk_count = 2 };
	autodoc xmlDocPtr doc = rewritten(XML_LIVE_UEFI, &change);
	xmlNodePtr root = xmlDocGetRootElement(doc);
	autofree char *uuid = domxml_text(domxml_child(root, "uuid"));
	autofree char *genid = domxml_text(domxml_child(root, "genid"));
	autofree char *mac = domxml_attr(
		domxml_path(devices(doc), "interface/mac"), "address");
	xmlNodePtr entry =
		domxml_next(domxml_path(root, "sysinfo/system/entry"), "entry");
	autofree char *smbios = domxml_text(entry);

	(void)state;
	is_text(doc, "name", change.name);
	assert_int_equal(strlen(uuid), 36);
	assert_string_not_equal(uuid, UUID_WEB);
	assert_int_equal(uuid[14], '4');
	assert_string_equal(smbios, uuid);
	assert_string_not_equal(genid, uuid);
	assert_string_not_equal(genid, "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e");
	assert_int_equal(strncmp(mac, "52:54:00:", 9), 0);
	assert_string_not_equal(mac, "52:54:00:aa:bb:cc");
	is_attr(devices(doc), "graphics", "port", NULL);
	is_attr(devices(doc), "graphics", "autoport", "yes");
	/* No file of the original's. */
	is_text(doc, "os/nvram", NULL);
}

static void old_host_forgotten(void **state)
{
	struct define_change change = { .disks = two_disks,
					.disk_count = 2,
					.nvram = "/new/vars & <b>.fd" };
	autodoc xmlDocPtr doc = rewritten(XML_LIVE_UEFI, &change);
	xmlNodePtr root = xmlDocGetRootElement(doc);
	xmlNodePtr all = devices(doc);
	xmlNodePtr serial = domxml_child(all, "serial");

	(void)state;
	assert_null(domxml_child(root, "seclabel"));
	assert_non_null(domxml_path(root, "metadata/x/seclabel"));
	assert_null(domxml_child(all, "emulator"));
	assert_null(domxml_path(root, "os/loader"));
	is_attr(root, "os/nvram", "template", NULL);
	is_text(doc, "os/nvram", change.nvram);
	is_attr(all, "interface/source", "network", "lan");
	is_attr(all, "interface/source", "portid", NULL);
	is_attr(all, "interface/source", "bridge", NULL);
	assert_null(domxml_path(all, "interface/target"));
	assert_null(domxml_child(serial, "source"));
	serial = domxml_next(serial, "serial");
	assert_true(domxml_attr_is(serial, "type", "pty"));
	assert_null(domxml_child(serial, "source"));
	is_attr(serial, "target", "port", "1");
	assert_false(domxml_has(domxml_child(all, "console"), "tty"));
	assert_true(
		domxml_attr_is(domxml_child(all, "channel"), "type", "unix"));
	assert_null(domxml_path(all, "channel/source"));
	is_attr(all, "channel/target", "name", "org.qemu.guest_agent.0");
}

static void ports_that_stay(void **state)
{
	struct define_change change = { .name = NULL };
	autodoc xmlDocPtr doc = rewritten(
		XML_WITH("<serial type='file'><source path='/tmp/s.log'/>"
			 "</serial><serial type='tcp'><source mode='bind' "
			 "host='127.0.0.1' service='4555'/></serial>"
			 "<serial type='dev'><source path='/dev/null'/>"
			 "</serial><serial type='dev'>"
			 "<source path='/dev/nowhere'/></serial>"
			 "<channel type='unix'><source mode='bind' "
			 "path='/tmp/mine.sock'/></channel>",
			 "<seclabel type='none'/>"),
		&change);
	xmlNodePtr s = domxml_child(devices(doc), "serial");

	(void)state;
	is_attr(s, "source", "path", "/tmp/s.log");
	s = domxml_next(s, "serial");
	is_attr(s, "source", "service", "4555");
	s = domxml_next(s, "serial");
	is_attr(s, "source", "path", "/dev/null");
	s = domxml_next(s, "serial");
	assert_true(domxml_attr_is(s, "type", "pty"));
	is_attr(devices(doc), "channel/source", "path", "/tmp/mine.sock");
	assert_non_null(domxml_child(xmlDocGetRootElement(doc), "seclabel"));
	/* Not named: not in the point. */
	assert_null(domxml_child(devices(doc), "disk"));
}

static void wrong_input(void **state)
{
	static const struct define_disk none[] = {
		{ .target = "vdz", .path = "/x", .format = "raw" },
	};
	struct define_change change = { .disks = none, .disk_count = 1 };
	struct buf out = BUF_INIT;
	char uuid[CONN_UUID_TEXT];
	char *name;

	(void)state;
	assert_int_equal(define_rewrite(XML_LIVE_UEFI, &change, &out, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.msg, "vdz"));
	assert_int_equal(define_rewrite("<domain", &change, &out, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_int_equal(out.len, 0);
	assert_int_equal(define_identity("<domain/>", &name, uuid, &e), -1);
	assert_int_equal(define_identity(XML_LIVE_UEFI, &name, uuid, &e), 0);
	assert_string_equal(uuid, UUID_WEB);
	free(name);
	buf_fini(&out);
}

/* A disk that has no new place is missed aloud. */
static void missing_disk(void **state)
{
	static const char xml[] =
		"<domain type='kvm'><name>a</name><devices>"
		"<disk type='file' device='disk'><source file='/old/a'/>"
		"<target dev='vda' bus='virtio'/></disk>"
		"<disk type='file' device='disk'><source file='/old/b'/>"
		"<target dev='vdc' bus='virtio'/></disk>"
		"</devices></domain>";
	AUTO(define_notes_fini) struct define_notes notes = { .items = NULL };
	const struct define_change change = {
		.disks = two_disks,
		.disk_count = 1,
		.notes = &notes,
	};

	(void)state;
	autodoc xmlDocPtr doc = rewritten(xml, &change);
	xmlNodePtr devices = domxml_child(xmlDocGetRootElement(doc), "devices");

	assert_null(domxml_next(domxml_child(devices, "disk"), "disk"));
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.items[0], "vdc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_disk),
		cmocka_unit_test(disks_move),
		cmocka_unit_test(disks_not_named),
		cmocka_unit_test(same_identity),
		cmocka_unit_test(new_identity),
		cmocka_unit_test(old_host_forgotten),
		cmocka_unit_test(ports_that_stay),
		cmocka_unit_test(wrong_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
