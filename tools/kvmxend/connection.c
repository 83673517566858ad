/* One connection: its thread takes a request, does it, answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libkvmxen/xen/wire_link.h"
#include "tools/kvmxend/kvmxend.h"

struct connection {
	struct registry *registry;
	struct process *process;
	struct wire_link *link;
	uint32_t sequence;
};

static int answer(struct connection *connection, struct request *request, int result)
{
	struct wire_message *reply = &request->message;

	reply->result = result;
	reply->length = 0;
	if (result < 0)
		memset(reply->arg, 0, sizeof reply->arg);
	else
		reply->length = request->reply_length;
	return connection->link->ops->send(connection->link, reply, request->reply,
					   result < 0 ? -1 : request->fd);
}

static int perform(struct connection *connection, struct request *request)
{
	int rc;

	if (!wire_about_domain(request->message.op))
		return serve(request);
	rc = guest_take(connection->registry, connection->process, request->message.domid,
			&request->domain);
	if (rc < 0)
		return rc;
	rc = serve(request);
	if (request->domain)
		guest_give(connection->registry, request->domain);
	return rc;
}

/* 0, or why the connection ends: -EPIPE its end, -ECANCELED its process' end, -EPROTO its fault. */
static int take_request(struct connection *connection)
{
	struct request request = {
		.registry = connection->registry,
		.process = connection->process,
		.fd = -1,
	};
	struct wire_message *message = &request.message;
	struct wire_link *link = connection->link;
	void *data = NULL;
	int stop = connection->process->pidfd, rc;

	rc = link->ops->receive(link, stop, message, NULL);
	if (rc == 0)
		rc = wire_check_request(message, ++connection->sequence);
	/* Greeted once, and first. */
	if (rc == 0 && (message->op == WIRE_hello) != (connection->sequence == 1))
		rc = -EPROTO;
	if (rc < 0)
		return rc;
	if (message->length) {
		data = malloc(message->length);
		if (!data)
			return -ENOMEM;
		rc = link->ops->receive_data(link, stop, data, message->length);
		if (rc < 0)
			goto out;
		request.data = data;
	}
	rc = answer(connection, &request, perform(connection, &request));
	if (request.fd >= 0)
		close(request.fd);
	free(request.reply);
out:
	free(data);
	return rc;
}

/* Said to who is not let in, whatever he asks: his first message, if there is one. */
static void turn_away(int stream, int why)
{
	struct wire_message reply = {.op = WIRE_hello, .sequence = 1, .result = why};

	wire_send(stream, &reply, NULL, -1);
}

static void say_why(const struct process *process, uint32_t sequence, int rc)
{
	if (process->stub)
		note("stub domain %u is no longer listened to after message %u: %s", process->stub,
		     sequence, strerror(-rc));
	else
		note("process %d of user %u is no longer listened to after message %u: %s",
		     process->pid, process->uid, sequence, strerror(-rc));
}

void connection_serve(struct registry *registry, struct process *process, struct wire_link *link)
{
	struct connection connection = {registry, process, link, 0};
	int rc;

	while ((rc = take_request(&connection)) == 0)
		;
	if (rc != -EPIPE && rc != -ECANCELED)
		say_why(process, connection.sequence, rc);
	link->ops->close(link);
	process_leave(registry, process);
}

void connection_run(struct registry *registry, int stream)
{
	struct process *process;
	struct wire_link *link;
	struct ucred peer;
	socklen_t size = sizeof peer;
	int rc;

	if (getsockopt(stream, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		close(stream);
		return;
	}
	rc = process_enter(registry, peer.pid, peer.uid, &process);
	if (rc < 0) {
		if (rc == -EDQUOT)
			note("user %u has too many connections: process %d is refused", peer.uid,
			     peer.pid);
		turn_away(stream, rc);
		close(stream);
		return;
	}
	if (wire_link_socket(stream, &link) == 0)
		connection_serve(registry, process, link);
	else
		process_leave(registry, process);
}
