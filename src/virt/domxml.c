/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/domxml.h"

#include <libxml/parser.h>
#include <limits.h>
#include <string.h>

/* libvirt's own limit for a string over RPC. */
#define MAX_XML (16u << 20)

static const xmlChar *x(const char *s)
{
	return (const xmlChar *)s;
}

static bool named(xmlNodePtr n, const char *name)
{
	return n->type == XML_ELEMENT_NODE &&
	       (name == NULL || xmlStrEqual(n->name, x(name)));
}

xmlDocPtr domxml_parse(const char *xml, const char *root, struct err *e)
{
	size_t size = strlen(xml);

	if (size > MAX_XML) {
		err_set(e, ERR_INTEGRITY, "definition too large: %zu bytes",
			size);
		return NULL;
	}
	autodoc xmlDocPtr doc = xmlReadMemory(
		xml, (int)size, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (doc == NULL) {
		err_set(e, ERR_INTEGRITY, "definition is not XML");
		return NULL;
	}
	if (doc->intSubset != NULL) {
		err_set(e, ERR_INTEGRITY,
			"definition has a document type declaration");
		return NULL;
	}
	if (!named(xmlDocGetRootElement(doc), root)) {
		err_set(e, ERR_INTEGRITY, "definition is no <%s>", root);
		return NULL;
	}
	return mem_take(&doc);
}

int domxml_print(xmlDocPtr doc, struct buf *out, struct err *e)
{
	xmlBufferPtr text = xmlBufferCreate();
	int rc = -1;

	/* The element alone: without <?xml?>, in UTF-8, as libvirt has it. */
	if (text == NULL ||
	    xmlNodeDump(text, doc, xmlDocGetRootElement(doc), 0, 0) < 0) {
		err_set(e, ERR_FAILED, "cannot write a definition as text");
	} else {
		wr_bytes(out, xmlBufferContent(text),
			 (size_t)xmlBufferLength(text));
		wr_u8(out, '\n');
		*buf_room(out, 1) = 0;
		rc = 0;
	}
	xmlBufferFree(text);
	return rc;
}

static xmlNodePtr find(xmlNodePtr n, const char *name)
{
	while (n != NULL && !named(n, name))
		n = n->next;
	return n;
}

xmlNodePtr domxml_child(xmlNodePtr n, const char *name)
{
	return n != NULL ? find(n->children, name) : NULL;
}

xmlNodePtr domxml_next(xmlNodePtr n, const char *name)
{
	return n != NULL ? find(n->next, name) : NULL;
}

xmlNodePtr domxml_path(xmlNodePtr n, const char *path)
{
	autofree char *parts = mem_strdup(path);
	char *rest = parts;

	for (char *part; n != NULL && (part = strsep(&rest, "/")) != NULL;)
		n = domxml_child(n, part);
	return n;
}

/* Into our own memory, for free() is not xmlFree() by contract. */
static char *own(xmlChar *s)
{
	char *copy = s != NULL && *s != 0 ? mem_strdup((char *)s) : NULL;

	xmlFree(s);
	return copy;
}

char *domxml_attr(xmlNodePtr n, const char *name)
{
	return n != NULL ? own(xmlGetNoNsProp(n, x(name))) : NULL;
}

char *domxml_text(xmlNodePtr n)
{
	return n != NULL ? own(xmlNodeGetContent(n)) : NULL;
}

bool domxml_attr_is(xmlNodePtr n, const char *name, const char *value)
{
	autofree char *is = domxml_attr(n, name);

	return is != NULL && strcmp(is, value) == 0;
}

bool domxml_has(xmlNodePtr n, const char *name)
{
	return n != NULL && xmlHasNsProp(n, x(name), NULL) != NULL;
}

void domxml_remove(xmlNodePtr n)
{
	if (n == NULL)
		return;
	xmlNodePtr before = n->prev;

	if (before != NULL && xmlIsBlankNode(before)) {
		xmlUnlinkNode(before);
		xmlFreeNode(before);
	}
	xmlUnlinkNode(n);
	xmlFreeNode(n);
}

void domxml_remove_all(xmlNodePtr parent, const char *name)
{
	for (xmlNodePtr n = domxml_child(parent, name), next; n != NULL;
	     n = next) {
		next = domxml_next(n, name);
		domxml_remove(n);
	}
}

void domxml_set_attr(xmlNodePtr n, const char *name, const char *value)
{
	if (value != NULL)
		xmlSetNsProp(n, NULL, x(name), x(value));
	else
		xmlUnsetNsProp(n, NULL, x(name));
}

void domxml_set_text(xmlNodePtr n, const char *text)
{
	xmlNodePtr child = xmlNewDocText(n->doc, x(text));

	xmlNodeSetContent(n, NULL);
	xmlAddChild(n, child);
}

/* A new last child, on a line of its own where the others are. */
static xmlNodePtr add_last(xmlNodePtr parent, const char *name)
{
	xmlNodePtr first = parent->children;
	xmlNodePtr last = parent->last;
	xmlNodePtr n = xmlNewDocNode(parent->doc, NULL, x(name), NULL);

	if (first == NULL || first == last || !xmlIsBlankNode(first) ||
	    !xmlIsBlankNode(last))
		return xmlAddChild(parent, n);
	xmlNodePtr indent = xmlCopyNode(first, 1);

	xmlAddPrevSibling(last, n);
	xmlAddPrevSibling(n, indent);
	return n;
}

xmlNodePtr domxml_make(xmlNodePtr parent, const char *name)
{
	xmlNodePtr n = domxml_child(parent, name);

	return n != NULL ? n : add_last(parent, name);
}
