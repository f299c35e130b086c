/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_DOMXML_H
#define VMKEEP_VIRT_DOMXML_H

/*
 * libvirt's XML, read and changed.  Every function accepts NULL for a node,
 * as a missing element, so that look-ups can be chained.
 */

#include <libxml/tree.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"

#define autodoc AUTO(domxml_doc_free_at)

static inline void domxml_doc_free_at(xmlDocPtr *at)
{
	xmlFreeDoc(*at);
}

/*
 * Parse; root is the name the document element must have.  Nothing is loaded
 * from files or the network, and a document type declaration (entities) is
 * refused.  ERR_INTEGRITY when it is not that.
 */
xmlDocPtr domxml_parse(const char *xml, const char *root, struct err *e);

/* The document as text, appended to out with a NUL that is not counted. */
int domxml_print(xmlDocPtr doc, struct buf *out, struct err *e);

/* First child element, and next sibling element, of a name (NULL: any). */
xmlNodePtr domxml_child(xmlNodePtr n, const char *name);
xmlNodePtr domxml_next(xmlNodePtr n, const char *name);

/* First child of first child ...: "os/nvram". */
xmlNodePtr domxml_path(xmlNodePtr n, const char *path);

/* For each child element: domxml_each(disk, devices, "disk") { ... } */
#define domxml_each(var, parent, name)                                         \
	for (xmlNodePtr var = domxml_child(parent, name); var != NULL;         \
	     var = domxml_next(var, name))

/* An attribute, or all text inside, in a new string; NULL when there is
 * none (an empty text is none). */
char *domxml_attr(xmlNodePtr n, const char *name);
char *domxml_text(xmlNodePtr n);

/* Has it this attribute with this value?  Is there an attribute at all? */
bool domxml_attr_is(xmlNodePtr n, const char *name, const char *value);
bool domxml_has(xmlNodePtr n, const char *name);

/* Remove a node with all inside (and the white space before it), or all
 * children of a name.  NULL is fine. */
void domxml_remove(xmlNodePtr n);
void domxml_remove_all(xmlNodePtr parent, const char *name);

/* Set an attribute (NULL: remove it); the text of an element. */
void domxml_set_attr(xmlNodePtr n, const char *name, const char *value);
void domxml_set_text(xmlNodePtr n, const char *text);

/* The first child of a name, made at the end when there is none. */
xmlNodePtr domxml_make(xmlNodePtr parent, const char *name);

#endif
