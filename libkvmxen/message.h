/*
 * message: the one line that a user of a VMM reads when something is refused.
 *
 * message_error says why an ioctl failed: it names the ioctl, the value and the reason. Said at
 * once on stderr when KVMXEN_VERBOSE is set or when the failure is kvmxen's or Xen's own; a plain
 * refusal that real KVM would make too is quiet otherwise (VMMs probe).
 */
#ifndef KVMXEN_MESSAGE_H
#define KVMXEN_MESSAGE_H

#include <stdbool.h>

/* What Xen or kvmxen could not do: always said. Keeps errno. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What KVM would refuse as well: said with KVMXEN_VERBOSE=1 or more. Keeps errno. */
void message_refused(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Would message_refused say anything? For what is dear to find out. */
bool message_verbose(void);
/* For following what happens: said with KVMXEN_VERBOSE=2. Keeps errno. */
void message_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is refused or went wrong is told to the listener too, whatever the verbosity. */
void message_listen(void (*listener)(const char *line));

#endif
