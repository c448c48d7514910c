// channels count=<n> use=<bytes echoed on each>: opens them all, says so, and holds them until standard input ends.
// Then each has to carry one more byte.
#define _GNU_SOURCE
#include "common.h"
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST 131072

// Sends a burst and takes its echo at the same time: no path has to hold all of it.
static void exchange(int fd, uint64_t offset, size_t length) {
  static char buffer[BURST];
  size_t sent = 0, got = 0;
  while (got < length) {
    struct pollfd at = {.fd = fd, .events = (short)(POLLIN | (sent < length ? POLLOUT : 0))};
    if (poll(&at, 1, 20000) <= 0) fail("a channel carries nothing for 20 s");
    if (at.revents & POLLOUT && sent < length) {
      ssize_t n = send(fd, pattern_at(offset) + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN) fail("send: %s", strerror(errno));
      if (n > 0) sent += (size_t)n;
    }
    if (at.revents & (POLLIN | POLLHUP | POLLERR)) {
      ssize_t n = recv(fd, buffer + got, length - got, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN)) fail("a channel closed");
      if (n > 0) got += (size_t)n;
    }
  }
  if (memcmp(buffer, pattern_at(offset), length) != 0) fail("a channel's echo is wrong");
}

void channels(int argc, char **argv) {
  struct route route = route_of(argc, argv);
  size_t count = (size_t)number(argc, argv, "count", 1000);
  uint64_t use = (uint64_t)number(argc, argv, "use", 1), began = now_ns();
  int *fds = malloc(count * sizeof *fds);
  for (size_t i = 0; i < count; i++) {
    fds[i] = open_route(route);
    send_all(fds[i], "E", 1);
    for (uint64_t done = 0; done < use;) {
      size_t length = use - done < BURST ? (size_t)(use - done) : BURST;
      exchange(fds[i], i + done, length);
      done += length;
    }
  }
  printf("{\"opened\":%zu,\"seconds\":%.3f}\n", count, (double)(now_ns() - began) / 1e9);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  for (size_t i = 0; i < count; i++) exchange(fds[i], i, 1);
  printf("{\"alive\":%zu}\n", count);
}
