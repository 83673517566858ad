/*
 * measure: asks workers in turn, so that what disturbs the machine disturbs them alike.
 *
 *   measure --rounds N --count N --output FILE NAME=COMMAND... -- ROW...
 *
 * In each round each row is run once by each worker (worker.h). FILE: {"ROW": {"NAME": [ns, ...]}},
 * each number the nanoseconds of one operation in one batch. The first round warms up and is
 * dropped.
 *
 * A guest of the emulator's dies or hangs now and then: a worker that fails, or says nothing for a
 * minute, is started anew, four times at most, and what it was asked is left out in that round.
 */
#include <argp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#define WORKERS_MAX 16
#define LINE_MAX_   256
#define LIMIT_MS    60000
#define STARTS_MAX  5

struct worker {
	char *name, *command;
	FILE *to, *from;
	pid_t pid;
	unsigned starts;
	bool failed;
};

static struct worker workers[WORKERS_MAX];
static unsigned worker_count, rounds = 20, count = 100;
static int status;
static const char *output = "/dev/stdout";
static char **rows;
static int row_count;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void worker_start(struct worker *worker)
{
	int to[2], from[2];

	worker->starts++;
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	worker->pid = fork();
	if (worker->pid < 0)
		die("fork");
	if (worker->pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", worker->command, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	worker->to = fdopen(to[1], "w");
	worker->from = fdopen(from[0], "r");
}

static bool answer_read(struct worker *worker, char *line, int size)
{
	struct pollfd fd = {.fd = fileno(worker->from), .events = POLLIN};

	return poll(&fd, 1, LIMIT_MS) == 1 && fgets(line, size, worker->from);
}

static void worker_end(struct worker *worker)
{
	fclose(worker->to);
	fclose(worker->from);
	waitpid(worker->pid, NULL, 0);
}

static void worker_failed(struct worker *worker)
{
	kill(worker->pid, SIGKILL);
	worker_end(worker);
	if (worker->starts < STARTS_MAX) {
		worker_start(worker);
		return;
	}
	worker->failed = true;
	status = 1;
}

/* One batch: ns for each operation, or a negative number: the worker has no such row, or failed. */
static double ask(struct worker *worker, const char *row)
{
	char line[LINE_MAX_] = "";

	if (worker->failed)
		return -1;
	if (fprintf(worker->to, "%s %u\n", row, count) < 0 || fflush(worker->to) ||
	    !answer_read(worker, line, sizeof line) ||
	    (line[0] != '-' && (line[0] < '0' || line[0] > '9'))) {
		fprintf(stderr, "measure: %s, row %s: %s\n", worker->name, row,
			*line ? line : "no answer");
		worker_failed(worker);
		return -1;
	}
	return line[0] == '-' ? -1 : strtod(line, NULL) / count;
}

static struct json_object *samples_of(struct json_object *all, const char *row, const char *name)
{
	struct json_object *by_worker, *samples;

	if (!json_object_object_get_ex(all, row, &by_worker)) {
		by_worker = json_object_new_object();
		json_object_object_add(all, row, by_worker);
	}
	if (!json_object_object_get_ex(by_worker, name, &samples)) {
		samples = json_object_new_array();
		json_object_object_add(by_worker, name, samples);
	}
	return samples;
}

static void run_all(struct json_object *all)
{
	for (unsigned round = 0; round <= rounds; round++) {
		fprintf(stderr, "measure: %s: round %u of %u\n", output, round, rounds);
		for (int r = 0; r < row_count; r++)
			for (unsigned w = 0; w < worker_count; w++) {
				double ns = ask(&workers[w], rows[r]);

				if (ns >= 0 && round > 0)
					json_object_array_add(
						samples_of(all, rows[r], workers[w].name),
						json_object_new_int64((int64_t)ns));
			}
	}
}

static error_t option(int key, char *argument, struct argp_state *state)
{
	char *command;

	switch (key) {
	case 'r':
		rounds = (unsigned)strtoul(argument, NULL, 0);
		return 0;
	case 'c':
		count = (unsigned)strtoul(argument, NULL, 0);
		return 0;
	case 'o':
		output = argument;
		return 0;
	case ARGP_KEY_ARG:
		command = strchr(argument, '=');
		if (!command) {
			rows = state->argv + state->next - 1;
			row_count = state->argc - state->next + 1;
			state->next = state->argc;
			return 0;
		}
		if (worker_count == WORKERS_MAX)
			argp_error(state, "too many workers");
		*command = 0;
		workers[worker_count++] = (struct worker){.name = argument, .command = command + 1};
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"rounds", 'r', "N", 0, "batches of each row by each worker (20)", 0},
		{"count", 'c', "N", 0, "operations in a batch (100)", 0},
		{"output", 'o', "FILE", 0, "where the samples go", 0},
		{0},
	};
	static const struct argp parser = {options, option, "NAME=COMMAND... ROW...", NULL, 0,
					   0,       0};
	struct json_object *all = json_object_new_object();

	signal(SIGPIPE, SIG_IGN);
	argp_parse(&parser, argc, argv, 0, NULL, NULL);
	for (unsigned w = 0; w < worker_count; w++)
		worker_start(&workers[w]);
	run_all(all);
	for (unsigned w = 0; w < worker_count; w++)
		if (!workers[w].failed)
			worker_end(&workers[w]);
	if (json_object_to_file_ext(output, all, JSON_C_TO_STRING_PRETTY) < 0) {
		fprintf(stderr, "measure: %s: %s\n", output, json_util_get_last_err());
		status = 1;
	}
	json_object_put(all);
	return status;
}
