#include "libkvmxen/xen/wire.h"

#include <errno.h>

static const struct row {
	const char *name;
	enum wire_scope scope;
	uint32_t args, unit, least, most, reply, fds;
} rows[] = {
#define X(op, ...) [WIRE_##op] = {#op, __VA_ARGS__},
	WIRE_OPS(X)
#undef X
};

#define X(op, scope, args, unit, least, most, reply, fds)                                          \
	_Static_assert((uint64_t)(unit) * (most) <= WIRE_BITMAP_MAX, #op);                         \
	_Static_assert((args) <= WIRE_ARGS && (fds) <= 1, #op);
WIRE_OPS(X)
#undef X

_Static_assert(sizeof(struct wire_message) == 16 + 8 * WIRE_ARGS, "no holes: nothing leaks");

const char *wire_name(uint16_t op)
{
	return op > WIRE_NONE && op < WIRE_OP_COUNT ? rows[op].name : "?";
}

size_t wire_reply_max(uint16_t op)
{
	return op > WIRE_NONE && op < WIRE_OP_COUNT ? rows[op].reply : 0;
}

unsigned wire_fds(uint16_t op)
{
	return op > WIRE_NONE && op < WIRE_OP_COUNT ? rows[op].fds : 0;
}

bool wire_about_domain(uint16_t op)
{
	return op > WIRE_NONE && op < WIRE_OP_COUNT && rows[op].scope == WIRE_DOMAIN;
}

int wire_check_request(const struct wire_message *request, uint32_t sequence)
{
	const struct row *row;
	unsigned i;

	if (request->op <= WIRE_NONE || request->op >= WIRE_OP_COUNT ||
	    request->sequence != sequence || request->result != 0)
		return -EPROTO;
	row = &rows[request->op];
	/* No domain that a client could have made is number 0. */
	if ((request->domid != 0) != (row->scope == WIRE_DOMAIN))
		return -EPROTO;
	for (i = row->args; i < WIRE_ARGS; i++)
		if (request->arg[i])
			return -EPROTO;
	if (request->length % row->unit || request->length / row->unit < row->least ||
	    request->length / row->unit > row->most)
		return -EPROTO;
	return 0;
}

int wire_check_reply(const struct wire_message *reply, const struct wire_message *request,
		     size_t room)
{
	if (reply->op != request->op || reply->sequence != request->sequence ||
	    reply->domid != request->domid || reply->length > room)
		return -EPROTO;
	return 0;
}
