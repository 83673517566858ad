#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/kvmxen-dm/dm.h"
#include "tools/launch.h"

int main(int argc, char **argv)
{
	const char *qemu = getenv("KVMXEN_QEMU");
	struct arguments arguments;
	char domid[8];
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		fprintf(stderr, "kvmxen-dm: socketpair: %s\n", strerror(errno));
		return 1;
	}
	if (arguments_translate(argv, qemu && *qemu ? qemu : "qemu-system-x86_64", pair[1],
				&arguments) < 0)
		return 1;
	/* Says why when there is no Xen, before anything is left behind. */
	rc = launch_prepare();
	if (rc)
		return rc;
	rc = minder_start(arguments.domid, pair[0]);
	if (rc < 0) {
		fprintf(stderr, "kvmxen-dm: the minder cannot be started: %s\n", strerror(-rc));
		return 1;
	}
	snprintf(domid, sizeof domid, "%u", arguments.domid);
	setenv("KVMXEN_DOMAIN", domid, 1);
	close(pair[0]);
	fcntl(pair[1], F_SETFD, 0);
	return launch_exec(arguments.argv);
}
