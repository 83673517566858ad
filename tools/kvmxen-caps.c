/* kvmxen caps: the library's own tables, for a reader. Needs no Xen. */
#include <stdio.h>

#include "libkvmxen/ioctl/table.h"
#include "tools/kvmxen.h"

static const char *fd_name(enum fd_kind kind)
{
	return kind == FD_SYSTEM ? "system" : kind == FD_VM ? "vm" : "vcpu";
}

int caps_main(int argc, char **argv)
{
	size_t count, i;
	const struct capability *caps = capabilities(&count);
	const struct ioctl_row *rows;

	if (argc > 1) {
		fprintf(stderr, "usage: kvmxen caps\n");
		return 2;
	}
	for (i = 0; i < count; i++)
		printf("KVM_CAP_%-28s %-6ld %s\n", caps[i].name, capability_value(caps[i].number),
		       caps[i].reason ? caps[i].reason : "");
	rows = ioctl_rows(&count);
	for (i = 0; i < count; i++)
		printf("%-32s %-6s %s\n", rows[i].name, fd_name(rows[i].fd),
		       rows[i].handler ? "done" : rows[i].reason);
	return 0;
}
