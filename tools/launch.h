/* launch: a VMM with the library under it. Results are exit statuses, as a shell's. */
#ifndef KVMXEN_TOOLS_LAUNCH_H
#define KVMXEN_TOOLS_LAUNCH_H

/* Puts the shim into the environment, after a look whether there is a Xen. 0, or the status to end
 * with; why was said. */
int launch_prepare(void);
/* Becomes the VMM; returns only when that cannot be. */
int launch_exec(char **argv);
/* Runs the VMM and returns its status (128 + signal). */
int launch_wait(char **argv);

#endif
