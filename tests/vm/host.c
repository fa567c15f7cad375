// SPDX-License-Identifier: GPL-2.0
/*
 * In the test VM: `host CMD ARGS...` runs `scripts/lab do CMD ARGS...` on the
 * host, prints what it printed and ends with its status. Any number at once:
 * each takes one of the virtio ports host0..host7 for itself, or waits for one.
 * Request: the number of words, then each as its length and its bytes. Answer:
 * status and length, then the bytes. Errors of its own end with status 125.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PORTS 8

/* Opens a port that nobody else uses; the lock goes with the process. */
static int take_port(void)
{
	char name[64];

	for (;; usleep(5000)) {
		for (int i = 0; i < PORTS; i++) {
			int lock, port;

			snprintf(name, sizeof(name), "/run/host%d.lock", i);
			lock = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
			if (lock < 0)
				err(125, "%s", name);
			if (flock(lock, LOCK_EX | LOCK_NB)) {
				close(lock);
				continue;
			}
			snprintf(name, sizeof(name), "/dev/virtio-ports/host%d", i);
			port = open(name, O_RDWR | O_CLOEXEC);
			if (port < 0)
				err(125, "%s", name);
			return port;
		}
	}
}

int main(int argc, char **argv)
{
	char head[64] = "", *request, buf[8192];
	size_t size = 32, used = 0, n = 0;
	int status, port, fd;
	long left;

	for (int i = 1; i < argc; i++)
		size += strlen(argv[i]) + 32;
	request = malloc(size);
	if (!request)
		err(125, "request");
	used = snprintf(request, size, "%d\n", argc - 1);
	for (int i = 1; i < argc; i++)
		used += snprintf(request + used, size - used, "%zu\n%s", strlen(argv[i]), argv[i]);

	/* Tells the runner that the lab may have to be healed after this case. */
	fd = open("/run/host-used", O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		close(fd);

	port = take_port();
	for (size_t sent = 0; sent < used;) {
		ssize_t done = write(port, request + sent, used - sent);

		if (done <= 0)
			err(125, "send");
		sent += done;
	}
	while (n < sizeof(head) - 1 && (n == 0 || head[n - 1] != '\n'))
		if (read(port, head + n++, 1) != 1)
			err(125, "answer");
	if (sscanf(head, "%d %ld", &status, &left) != 2)
		errx(125, "answer: %s", head);
	while (left > 0) {
		ssize_t got = read(port, buf, left < (long)sizeof(buf) ? left : (long)sizeof(buf));

		if (got <= 0)
			err(125, "answer");
		left -= got;
		if (write(1, buf, got) != got)
			err(125, "output");
	}
	return status;
}
