// The lab's input and output: one small program with four jobs.
//
//   labio client ...   on the host: runs one command in dom0 through a virtio-serial port
//   labio agent        in dom0, as its process 1: serves the ports
//   labio guard ...    on the host: runs a program that dies with the process that started it
//   labio hold-vm      in the KVM reference: keeps one VM open
//
// Each virtio-serial port carries one command at a time, both ways over one byte stream:
//
//   host to dom0: DLE type payload DLE '.', where a DLE in the payload is doubled. A start ('H')
//     is therefore recognised wherever it appears, even behind what a client that died half-way
//     left behind.
//   dom0 to host: frames of a type byte, a 32-bit length and a payload; a session begins with
//     SYNC and the client's nonce, and the client skips everything before them.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DLE       0x10
#define SYNC      "\0kvmxen-lab\xff"
#define SYNC_LEN  12
#define NONCE_LEN 16
#define PORTS_MAX 64

extern char **environ;

static _Noreturn void die(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("lab: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// A growing byte buffer, consumed from the front.
struct buf {
	uint8_t *data;
	size_t start;
	size_t end;
	size_t size;
};

static size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static void buf_need(struct buf *b, size_t more)
{
	if (b->start == b->end)
		b->start = b->end = 0;
	if (b->size - b->end >= more)
		return;
	if (b->start) {
		memmove(b->data, b->data + b->start, buf_len(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->size - b->end < more) {
		b->size = (b->end + more) * 2;
		b->data = realloc(b->data, b->size);
		if (!b->data)
			die(125, "out of memory");
	}
}

static void buf_put(struct buf *b, const void *data, size_t len)
{
	buf_need(b, len);
	memcpy(b->data + b->end, data, len);
	b->end += len;
}

static void buf_put_frame(struct buf *b, uint8_t type, const void *data, uint32_t len)
{
	buf_put(b, &type, 1);
	buf_put(b, &len, 4);
	buf_put(b, data, len);
}

static void buf_put_packet(struct buf *b, uint8_t type, const void *data, size_t len)
{
	const uint8_t head[2] = {DLE, type}, tail[2] = {DLE, '.'};
	const uint8_t *p = data;

	buf_put(b, head, 2);
	for (size_t i = 0; i < len; i++) {
		buf_put(b, p + i, 1);
		if (p[i] == DLE)
			buf_put(b, p + i, 1);
	}
	buf_put(b, tail, 2);
}

// Writes what the descriptor takes now. False on an error.
static bool buf_flush(struct buf *b, int fd)
{
	while (buf_len(b)) {
		ssize_t n = write(fd, b->data + b->start, buf_len(b));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return true;
		b->start += (size_t)n;
	}
	return true;
}

// ---------------------------------------------------------------------------------------------
// dom0's side

#define OBUF_MAX    (256 << 10) // output waiting for the host
#define IBUF_MAX    (256 << 10) // input waiting for the command
#define REQUEST_MAX (4 << 20)
#define GRACE_MS    500  // for output of processes that the command left behind
#define GONE_MS     2000 // until a port without a client means that the client has gone
#define TERM_MS     3000 // from SIGTERM to SIGKILL when the client has gone

struct port {
	int fd;
	int epoll;
	int sigchld;
	struct buf in;   // bytes from the host, not yet parsed
	struct buf out;  // bytes for the host
	bool escaped;    // parser: the last byte was a DLE
	uint8_t type;    // parser: type of the packet being read, or 0
	struct buf body; // parser: its payload

	bool running; // a session: from a start to its exit frame
	pid_t pid;
	bool exited;
	int status;
	int64_t quiet_since;
	int64_t alone_since;
	int64_t kill_at;
	int outfd;
	int errfd;
	int infd;
	bool in_eof;
	struct buf input;
};

static int exchange_fd = -1;

static void watch(const struct port *p, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLET, .data.fd = fd};

	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev))
		die(1, "epoll: %s", strerror(errno));
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

// Signals the command's process group and every other process of its session.
static void session_kill(const struct port *p, int sig)
{
	DIR *d;
	struct dirent *e;

	if (!p->exited)
		kill(-p->pid, sig);
	d = opendir("/proc");
	if (!d)
		return;
	while ((e = readdir(d))) {
		pid_t pid = atoi(e->d_name);

		if (pid > 1 && getsid(pid) == p->pid && (p->exited || getpgid(pid) != p->pid))
			kill(pid, sig);
	}
	closedir(d);
}

static void session_end(struct port *p)
{
	shut(&p->outfd);
	shut(&p->errfd);
	shut(&p->infd);
	p->input.start = p->input.end = 0;
	p->running = false;
}

static const char *take_string(const char **at, const char *end)
{
	const char *s = *at;
	const char *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

// A request: nonce, flags, cwd, number of variables, variables, number of arguments, arguments;
// all but the nonce as strings.
static void session_start(struct port *p, const uint8_t *body, size_t len)
{
	const char *at = (const char *)body + NONCE_LEN, *end = (const char *)body + len;
	const char *flags, *cwd, *s;
	int out[2], err[2], in[2] = {-1, -1};
	long nenv, narg;
	char **argv;

	if (p->running) {
		session_kill(p, SIGKILL);
		if (!p->exited)
			waitpid(p->pid, NULL, 0);
		session_end(p);
	}
	p->out.start = p->out.end = 0;
	if (len < NONCE_LEN)
		return;
	buf_put(&p->out, SYNC, SYNC_LEN);
	buf_put(&p->out, body, NONCE_LEN);

	flags = take_string(&at, end);
	cwd = take_string(&at, end);
	s = take_string(&at, end);
	if (!flags || !cwd || !s)
		return;
	nenv = atol(s);
	char **vars = calloc((size_t)nenv + 1, sizeof *vars);
	for (long i = 0; i < nenv; i++)
		vars[i] = (char *)take_string(&at, end);
	s = take_string(&at, end);
	narg = s ? atol(s) : 0;
	argv = calloc((size_t)narg + 1, sizeof *argv);
	for (long i = 0; i < narg; i++)
		argv[i] = (char *)take_string(&at, end);

	// What changed on the host since an earlier command looked at it must be seen by this one:
	// without their dentries, the files' versions are asked for again.
	if (strchr(flags, 'f')) {
		int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

		if (fd >= 0) {
			if (write(fd, "2", 1) < 0)
				perror("drop_caches");
			close(fd);
		}
	}

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
	    (strchr(flags, 'i') && pipe2(in, O_CLOEXEC)))
		die(1, "pipe: %s", strerror(errno));
	p->pid = fork();
	if (p->pid < 0)
		die(1, "fork: %s", strerror(errno));
	if (!p->pid) {
		sigset_t none;

		setsid();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (in[0] < 0)
			in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		for (long i = 0; i < nenv; i++) {
			if (vars[i])
				putenv(vars[i]);
		}
		if (chdir(cwd)) {
			fprintf(stderr, "lab: cannot change to %s: %s\n", cwd, strerror(errno));
			_exit(126);
		}
		setenv("PWD", cwd, 1);
		execvp(argv[0], argv);
		fprintf(stderr, "lab: cannot run %s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	free(vars);
	free(argv);
	close(out[1]);
	close(err[1]);
	shut(&in[0]);
	p->running = true;
	p->exited = false;
	p->alone_since = 0;
	p->kill_at = 0;
	p->outfd = out[0];
	p->errfd = err[0];
	p->infd = in[1];
	p->in_eof = false;
	p->quiet_since = now_ms();
	fcntl(p->outfd, F_SETFL, O_NONBLOCK);
	fcntl(p->errfd, F_SETFL, O_NONBLOCK);
	watch(p, p->outfd, EPOLLIN);
	watch(p, p->errfd, EPOLLIN);
	if (p->infd >= 0) {
		fcntl(p->infd, F_SETFL, O_NONBLOCK);
		watch(p, p->infd, EPOLLOUT);
	}
}

static void packet(struct port *p)
{
	const uint8_t *body = p->body.data + p->body.start;
	size_t len = buf_len(&p->body);

	switch (p->type) {
	case 'H':
		session_start(p, body, len);
		break;
	case 'I':
		if (p->running && p->infd >= 0)
			buf_put(&p->input, body, len);
		break;
	case 'Z':
		p->in_eof = true;
		break;
	case 'K':
		if (p->running && len == 1)
			session_kill(p, body[0]);
		break;
	}
}

static void parse(struct port *p)
{
	while (buf_len(&p->in)) {
		uint8_t c = p->in.data[p->in.start++];

		if (p->escaped) {
			p->escaped = false;
			if (c == '.') {
				if (p->type)
					packet(p);
				p->type = 0;
				continue;
			}
			if (c != DLE) {
				p->type = c;
				p->body.start = p->body.end = 0;
				continue;
			}
		} else if (c == DLE) {
			p->escaped = true;
			continue;
		}
		if (p->type && buf_len(&p->body) < REQUEST_MAX)
			buf_put(&p->body, &c, 1);
	}
}

// Moves output of the command to the port's buffer. True if there was any.
static bool relay(struct port *p, int *fd, uint8_t type)
{
	uint8_t data[32 << 10];
	ssize_t n;

	if (*fd < 0 || buf_len(&p->out) >= OBUF_MAX)
		return false;
	n = read(*fd, data, sizeof data);
	if (n > 0)
		buf_put_frame(&p->out, type, data, (uint32_t)n);
	else if (n == 0)
		shut(fd);
	else
		return false;
	return true;
}

// The port has no client. That by itself means little: the news of a client that left and of the
// next one travel apart from the data, and may arrive after the next one's request.
static void alone(struct port *p)
{
	int64_t now = now_ms();

	if (!p->alone_since)
		p->alone_since = now;
	if (!p->running || p->kill_at || now - p->alone_since < GONE_MS)
		return;
	session_kill(p, SIGTERM);
	p->kill_at = now + TERM_MS;
}

static bool port_step(struct port *p)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
	uint8_t data[4096];
	bool progress = false;
	ssize_t n;

	// Input that the command does not take yet is left in the port, and so with the host.
	if (buf_len(&p->input) < IBUF_MAX) {
		n = read(p->fd, data, sizeof data);
		if (n > 0) {
			buf_put(&p->in, data, (size_t)n);
			parse(p);
			progress = true;
		}
	}
	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP)) {
		alone(p);
	} else {
		size_t before = buf_len(&p->out);

		p->alone_since = 0;
		buf_flush(&p->out, p->fd);
		progress |= buf_len(&p->out) != before;
	}
	if (!p->running)
		return progress;

	if (p->infd >= 0) {
		size_t before = buf_len(&p->input);

		if (!buf_flush(&p->input, p->infd) || (p->in_eof && !buf_len(&p->input))) {
			shut(&p->infd);
			p->input.start = p->input.end = 0;
		}
		progress |= buf_len(&p->input) != before;
	}
	if (!p->exited && waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
		p->exited = true;
		p->quiet_since = now_ms();
		shut(&p->infd);
		p->input.start = p->input.end = 0;
	}
	if (p->kill_at && now_ms() >= p->kill_at) {
		session_kill(p, SIGKILL);
		p->kill_at = INT64_MAX;
	}
	if (relay(p, &p->outfd, 'O') | relay(p, &p->errfd, 'E')) {
		p->quiet_since = now_ms();
		progress = true;
	}
	if (p->exited && buf_len(&p->out) < OBUF_MAX &&
	    ((p->outfd < 0 && p->errfd < 0) || p->kill_at ||
	     now_ms() - p->quiet_since >= GRACE_MS)) {
		uint32_t code = (uint32_t)(WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status)
								  : WEXITSTATUS(p->status));

		if (exchange_fd >= 0)
			syncfs(exchange_fd);
		buf_put_frame(&p->out, 'X', &code, sizeof code);
		session_end(p);
		progress = true;
	}
	return progress;
}

static _Noreturn void port_serve(const char *path)
{
	struct port p = {.outfd = -1, .errfd = -1, .infd = -1};
	struct epoll_event ev[8];
	sigset_t set;

	p.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p.fd < 0)
		die(1, "%s: %s", path, strerror(errno));
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p.sigchld = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	watch(&p, p.fd, EPOLLIN | EPOLLOUT | EPOLLHUP);
	watch(&p, p.sigchld, EPOLLIN);
	for (;;) {
		struct signalfd_siginfo si;

		while (port_step(&p))
			;
		// The time limits are for what happens without an event: the grace and kill delays,
		// and once a second for a change of the port that an edge did not tell.
		epoll_wait(p.epoll, ev, 8,
			   p.running && (p.exited || p.kill_at || p.alone_since) ? 50 : 1000);
		while (read(p.sigchld, &si, sizeof si) > 0)
			;
	}
}

static int find_ports(char names[][64], int max)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	int n = 0;

	while (d && n < max && (e = readdir(d))) {
		char path[300], label[32] = "";
		FILE *f;

		snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(label, sizeof label, f) && !strncmp(label, "lab.", 4))
			snprintf(names[n++], sizeof names[0], "/dev/%.50s", e->d_name);
		fclose(f);
	}
	if (d)
		closedir(d);
	return n;
}

static int agent(void)
{
	char names[PORTS_MAX][64];
	pid_t pids[PORTS_MAX];
	const char *exchange = getenv("KVMXEN_LAB_EXCHANGE"), *want = getenv("KVMXEN_LAB_PORTS");
	int n = 0, expected = want ? atoi(want) : 1;

	unsetenv("KVMXEN_LAB_PORTS");
	for (int i = 0; i < 400 && (n = find_ports(names, PORTS_MAX)) < expected; i++)
		usleep(25000);
	if (exchange)
		exchange_fd = open(exchange, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (!pids[i])
			port_serve(names[i]);
	}
	for (;;) {
		pid_t pid = wait(NULL);

		if (pid < 0)
			sleep(1);
		for (int i = 0; i < n; i++) {
			if (pids[i] != pid)
				continue;
			pids[i] = fork();
			if (!pids[i]) {
				usleep(100000);
				port_serve(names[i]);
			}
		}
	}
}

// ---------------------------------------------------------------------------------------------
// The host's side

struct client {
	const char *dir;
	const char *verdict;
	const char *cwd;
	int ports;
	pid_t qemu;
	int64_t boot_ms;
	int64_t boot_cpu_ms;
	int64_t timeout_ms;
	bool use_stdin;
	bool fresh;
	char **vars;
	int nvars;
	char **argv;
	int argc;
};

static _Noreturn void verdict(const struct client *c, const char *word, int status)
{
	if (c->verdict) {
		FILE *f = fopen(c->verdict, "we");

		if (f) {
			fprintf(f, "%s\n", word);
			fclose(f);
		}
	}
	_exit(status);
}

// The processor time that QEMU has used. 0 if that cannot be told.
static int64_t qemu_cpu_ms(const struct client *c)
{
	char path[4096], line[1024] = "", *at;
	unsigned long long user = 0, sys = 0;
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/qemu.pid", c->dir);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	at = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (!at ||
	    sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys) != 2)
		return 0;
	return (int64_t)(user + sys) * 1000 / sysconf(_SC_CLK_TCK);
}

static int take_port(const struct client *c, int64_t deadline, char *path, size_t size)
{
	for (;;) {
		for (int i = 0; i < c->ports; i++) {
			int fd;

			snprintf(path, size, "%s/port%d.lock", c->dir, i);
			fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
			if (fd < 0)
				die(125, "%s: %s", path, strerror(errno));
			if (!flock(fd, LOCK_EX | LOCK_NB)) {
				snprintf(path, size, "%s/port%d", c->dir, i);
				return fd;
			}
			close(fd);
		}
		if (now_ms() >= deadline)
			die(125, "all %d of the lab's channels are busy", c->ports);
		usleep(50000);
	}
}

static int connect_port(const struct client *c, const char *path, int64_t deadline)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof sa.sun_path)
		die(125, "%s: too long for a socket", path);
	strcpy(sa.sun_path, path);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (!connect(fd, (struct sockaddr *)&sa, sizeof sa))
			return fd;
		close(fd);
		if (c->qemu && kill(c->qemu, 0) && errno == ESRCH)
			verdict(c, "dead", 125);
		if (now_ms() >= deadline)
			verdict(c, "boot", 125);
		usleep(20000);
	}
}

static void put_string(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s) + 1);
}

static void put_number(struct buf *b, long n)
{
	char s[24];

	snprintf(s, sizeof s, "%ld", n);
	put_string(b, s);
}

// Writes all of it in pieces that a descriptor which polls writable takes at once, so that a
// reader who stopped reading cannot hold up the time limit. False when that came.
static bool write_all(const struct client *c, int fd, const uint8_t *data, size_t len,
		      int64_t deadline)
{
	while (len) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (left <= 0)
			return false;
		if (poll(&pfd, 1, left > 1000 ? 1000 : (int)left) <= 0)
			continue;
		n = write(fd, data, len > 4096 ? 4096 : len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			verdict(c, "output", errno == EPIPE ? 128 + SIGPIPE : 125);
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int run_client(const struct client *c)
{
	int64_t deadline = now_ms() + c->boot_ms;
	struct buf in = {0}, out = {0}, req = {0};
	uint8_t nonce[NONCE_LEN], data[64 << 10], sync[SYNC_LEN + NONCE_LEN];
	char path[4096];
	bool synced = false, read_stdin = c->use_stdin;
	int killed = 0;
	int lock = take_port(c, deadline, path, sizeof path);
	int sock = connect_port(c, path, deadline);
	char flags[4] = "", *f = flags;

	signal(SIGPIPE, SIG_IGN);
	if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
		die(125, "no random numbers");
	memcpy(sync, SYNC, SYNC_LEN);
	memcpy(sync + SYNC_LEN, nonce, NONCE_LEN);
	if (c->fresh)
		*f++ = 'f';
	if (c->use_stdin)
		*f++ = 'i';
	buf_put(&req, nonce, NONCE_LEN);
	put_string(&req, flags);
	put_string(&req, c->cwd);
	put_number(&req, c->nvars);
	for (int i = 0; i < c->nvars; i++)
		put_string(&req, c->vars[i]);
	put_number(&req, c->argc);
	for (int i = 0; i < c->argc; i++)
		put_string(&req, c->argv[i]);
	buf_put_packet(&out, 'H', req.data, buf_len(&req));
	fcntl(sock, F_SETFL, O_NONBLOCK);

	for (;;) {
		bool take_in = read_stdin && synced && buf_len(&out) < IBUF_MAX;
		struct pollfd pfd[2] = {
			{.fd = sock, .events = (short)(POLLIN | (buf_len(&out) ? POLLOUT : 0))},
			{.fd = take_in ? 0 : -1, .events = POLLIN},
		};
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (!synced && c->boot_cpu_ms && qemu_cpu_ms(c) > c->boot_cpu_ms)
			verdict(c, "hung", 125);
		if (left <= 0) {
			const uint8_t sig = killed ? SIGKILL : SIGTERM;

			if (!synced)
				verdict(c, "boot", 125);
			if (killed == 2)
				verdict(c, "stuck", 124);
			// The time is up: first the command is asked to go, then made to.
			buf_put_packet(&out, 'K', &sig, 1);
			deadline = now_ms() + (killed ? 5000 : 3000);
			killed++;
			continue;
		}
		poll(pfd, 2, left > 1000 ? 1000 : (int)left);
		if (!buf_flush(&out, sock))
			verdict(c, synced ? "lost" : "dead", 125);
		if (pfd[1].revents) {
			n = read(0, data, 32 << 10);
			if (n > 0) {
				buf_put_packet(&out, 'I', data, (size_t)n);
			} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
				buf_put_packet(&out, 'Z', "", 0);
				read_stdin = false;
			}
		}
		n = read(sock, data, sizeof data);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			verdict(c, synced ? "lost" : "dead", 125);
		if (n < 0)
			continue;
		buf_put(&in, data, (size_t)n);
		if (!synced) {
			uint8_t *at = memmem(in.data + in.start, buf_len(&in), sync, sizeof sync);

			if (!at) {
				if (buf_len(&in) > sizeof sync)
					in.start = in.end - sizeof sync;
				continue;
			}
			in.start = (size_t)(at - in.data) + sizeof sync;
			synced = true;
			deadline = now_ms() + c->timeout_ms;
		}
		while (buf_len(&in) >= 5) {
			const uint8_t *frame = in.data + in.start;
			uint32_t len;

			memcpy(&len, frame + 1, 4);
			if (buf_len(&in) < 5 + (size_t)len)
				break;
			in.start += 5 + (size_t)len;
			if (frame[0] == 'X') {
				uint32_t code;

				memcpy(&code, frame + 5, sizeof code);
				close(lock);
				if (killed)
					verdict(c, "timeout", 124);
				verdict(c, "exit", (int)code);
			}
			// Once the time is up, a reader that takes nothing is not waited for.
			if (!write_all(c, frame[0] == 'O' ? 1 : 2, frame + 5, len, deadline) &&
			    killed == 2)
				verdict(c, "stuck", 124);
		}
	}
}

static int client(int argc, char **argv)
{
	struct client c = {
		.ports = 1, .boot_ms = 180000, .timeout_ms = 600000, .cwd = "/", .dir = "."};
	int i;

	c.vars = calloc((size_t)argc, sizeof *c.vars);
	for (i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		const char *o = argv[i];

		if (!strcmp(o, "--stdin")) {
			c.use_stdin = true;
			continue;
		}
		if (!strcmp(o, "--fresh")) {
			c.fresh = true;
			continue;
		}
		if (++i == argc)
			die(125, "%s: value missing", o);
		if (!strcmp(o, "--dir"))
			c.dir = argv[i];
		else if (!strcmp(o, "--verdict"))
			c.verdict = argv[i];
		else if (!strcmp(o, "--cwd"))
			c.cwd = argv[i];
		else if (!strcmp(o, "--ports"))
			c.ports = atoi(argv[i]);
		else if (!strcmp(o, "--qemu"))
			c.qemu = atoi(argv[i]);
		else if (!strcmp(o, "--boot-timeout"))
			c.boot_ms = (int64_t)(atof(argv[i]) * 1000);
		else if (!strcmp(o, "--boot-cpu"))
			c.boot_cpu_ms = (int64_t)(atof(argv[i]) * 1000);
		else if (!strcmp(o, "--timeout"))
			c.timeout_ms = (int64_t)(atof(argv[i]) * 1000);
		else if (!strcmp(o, "--env"))
			c.vars[c.nvars++] = argv[i];
		else
			die(125, "client: unknown option %s", o);
	}
	if (i + 1 >= argc)
		die(125, "no command");
	c.argv = argv + i + 1;
	c.argc = argc - i - 1;
	return run_client(&c);
}

// guard PID COMMAND...: runs COMMAND, which is killed when its parent, PID, is gone. PID 0 stands
// for a parent that is not known by number.
static int guard(int argc, char **argv)
{
	if (argc < 2)
		die(125, "guard: PID COMMAND...");
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		die(125, "prctl: %s", strerror(errno));
	if (atoi(argv[0]) ? getppid() != atoi(argv[0]) : getppid() == 1)
		return 125;
	execvp(argv[1], argv + 1);
	die(125, "%s: %s", argv[1], strerror(errno));
}

static int hold_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0)
		die(1, "/dev/kvm: %s", strerror(errno));
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *job = argc > 1 ? argv[1] : "";

	if (!strcmp(job, "client"))
		return client(argc - 2, argv + 2);
	if (!strcmp(job, "agent"))
		return agent();
	if (!strcmp(job, "guard"))
		return guard(argc - 2, argv + 2);
	if (!strcmp(job, "hold-vm"))
		return hold_vm();
	die(125, "labio: client, agent, guard or hold-vm");
}
