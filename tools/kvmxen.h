/* kvmxen: the subcommands. argv[0] is the subcommand's name; the result is the exit status. */
#ifndef KVMXEN_TOOLS_KVMXEN_H
#define KVMXEN_TOOLS_KVMXEN_H

int run_main(int argc, char **argv);
int caps_main(int argc, char **argv);
int state_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int trace_main(int argc, char **argv);

#endif
