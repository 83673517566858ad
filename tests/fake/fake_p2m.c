/* The p2m: guest frame number to frame, as page tables of four levels. */
#include "tests/fake/internal.h"

#define ENTRIES (1u << P2M_BITS)

struct p2m_node {
	bool leaf, small; /* small: has 4 KiB entries, so Xen needs a page for it */
	union {
		struct p2m_node *below[ENTRIES];
		struct p2m_entry entries[ENTRIES];
	};
};

static unsigned index_at(uint64_t gfn, unsigned level)
{
	return (gfn >> (P2M_BITS * level)) & (ENTRIES - 1);
}

static struct p2m_node *node_new(bool leaf)
{
	struct p2m_node *node = calloc(1, sizeof *node);

	if (!node)
		abort();
	node->leaf = leaf;
	return node;
}

static struct p2m_node *leaf_of(struct p2m *p2m, uint64_t gfn, bool make)
{
	struct p2m_node **at = &p2m->root;

	if (gfn >= MAX_GFN)
		return NULL;
	for (unsigned level = P2M_LEVELS; level-- > 0;) {
		if (!*at) {
			if (!make)
				return NULL;
			*at = node_new(level == 0);
			if (level)
				p2m->nodes++;
		}
		if (!level)
			break;
		at = &(*at)->below[index_at(gfn, level)];
	}
	return *at;
}

struct p2m_entry *xen_p2m_find(struct p2m *p2m, uint64_t gfn)
{
	struct p2m_node *leaf = leaf_of(p2m, gfn, false);
	struct p2m_entry *entry = leaf ? &leaf->entries[index_at(gfn, 0)] : NULL;

	return entry && entry->frame ? entry : NULL;
}

struct p2m_entry *xen_p2m_make(struct p2m *p2m, uint64_t gfn, bool small)
{
	struct p2m_node *leaf = leaf_of(p2m, gfn, true);

	if (!leaf)
		return NULL;
	if (small && !leaf->small) {
		leaf->small = true;
		p2m->nodes++;
	}
	return &leaf->entries[index_at(gfn, 0)];
}

static void walk(struct p2m_node *node, uint64_t base, unsigned level,
		 void (*visit)(void *arg, uint64_t gfn, struct p2m_entry *entry), void *arg)
{
	for (unsigned i = 0; node && i < ENTRIES; i++) {
		uint64_t gfn = base + ((uint64_t)i << (P2M_BITS * level));

		if (!node->leaf)
			walk(node->below[i], gfn, level - 1, visit, arg);
		else if (node->entries[i].frame)
			visit(arg, gfn, &node->entries[i]);
	}
}

void xen_p2m_walk(struct p2m *p2m, void (*visit)(void *arg, uint64_t gfn, struct p2m_entry *entry),
		  void *arg)
{
	walk(p2m->root, 0, P2M_LEVELS - 1, visit, arg);
}

static void node_free(struct p2m_node *node)
{
	for (unsigned i = 0; node && !node->leaf && i < ENTRIES; i++)
		node_free(node->below[i]);
	free(node);
}

void xen_p2m_free(struct p2m *p2m)
{
	node_free(p2m->root);
	memset(p2m, 0, sizeof *p2m);
}
