// conns at_once=64 ms=<n>: connections made, each with one HTTP request, timed to the last byte of its answer.
#define _GNU_SOURCE
#include "common.h"
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum state { CONNECT, METHOD, REPLY, TUNNEL, ANSWER };

struct slot {
  int fd;
  enum state state;
  uint64_t began;
  size_t got;
  unsigned char bytes[512];
};

static struct route route;
static int epoll;

static void watch(struct slot *slot, int how, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = slot};
  epoll_ctl(epoll, how, slot->fd, &event);
}

static void begin(struct slot *slot) {
  slot->began = now_ns();
  slot->fd = dial(route.port, 0);
  slot->state = CONNECT;
  watch(slot, EPOLL_CTL_ADD, EPOLLOUT);
}

static void say(struct slot *slot, enum state next, const void *bytes, size_t length) {
  send_all(slot->fd, bytes, length);
  slot->state = next;
  slot->got = 0;
}

static void connected(struct slot *slot) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) fail("connect: %s", strerror(error));
  watch(slot, EPOLL_CTL_MOD, EPOLLIN);
  if (route.origin == 0) say(slot, ANSWER, HTTP_REQUEST, strlen(HTTP_REQUEST));
  else if (route.http) {
    char request[128];
    connect_request(request, route.origin);
    say(slot, TUNNEL, request, strlen(request));
  } else say(slot, METHOD, "\5\1\0", 3);
}

static size_t reply_length(const struct slot *slot) {
  if (slot->got < 5) return 5;
  return slot->bytes[3] == 1 ? 10 : slot->bytes[3] == 4 ? 22 : (size_t)slot->bytes[4] + 7;
}

// Whether the answer is complete.
static int received(struct slot *slot) {
  ssize_t n = recv(slot->fd, slot->bytes + slot->got, sizeof slot->bytes - slot->got, 0);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) fail("connection ended in state %d: %s", slot->state, n == 0 ? "closed" : strerror(errno));
  slot->got += (size_t)n;
  if (slot->state == METHOD && slot->got >= 2) {
    if (slot->bytes[1] != 0) fail("SOCKS5 method %d", slot->bytes[1]);
    unsigned char port[] = {(unsigned char)(route.origin >> 8), (unsigned char)route.origin};
    unsigned char request[] = {5, 1, 0, 1, 127, 0, 0, 1, port[0], port[1]};
    say(slot, REPLY, request, sizeof request);
  } else if (slot->state == REPLY && slot->got >= reply_length(slot)) {
    if (slot->bytes[1] != 0) fail("SOCKS5 reply %d", slot->bytes[1]);
    say(slot, ANSWER, HTTP_REQUEST, strlen(HTTP_REQUEST));
  } else if (slot->state == TUNNEL && is_connected((const char *)slot->bytes, slot->got)) {
    say(slot, ANSWER, HTTP_REQUEST, strlen(HTTP_REQUEST));
  } else if (slot->state == ANSWER && slot->got >= strlen(HTTP_ANSWER)) {
    if (memcmp(slot->bytes, HTTP_ANSWER, strlen(HTTP_ANSWER)) != 0) fail("the answer is wrong");
    return 1;
  }
  return 0;
}

void conns(int argc, char **argv) {
  route = route_of(argc, argv);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  int at_once = (int)number(argc, argv, "at_once", 64), open = at_once;
  uint64_t limit = (uint64_t)number(argc, argv, "ms", 1000) * 1000000u, began = now_ns(), ended = began;
  size_t count = 0, room = 1 << 16;
  uint64_t *took = malloc(room * sizeof *took);
  struct slot *slots = calloc((size_t)at_once, sizeof *slots);
  for (int i = 0; i < at_once; i++) begin(&slots[i]);
  while (open > 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      struct slot *slot = events[i].data.ptr;
      if (slot->state == CONNECT) {
        connected(slot);
        continue;
      }
      if (!received(slot)) continue;
      ended = now_ns();
      if (count == room) took = realloc(took, (room *= 2) * sizeof *took);
      took[count++] = ended - slot->began;
      close(slot->fd);
      if (ended - began < limit) begin(slot);
      else open--;
    }
  }
  sort_values(took, count);
  printf("{\"count\":%zu,\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f}\n", count, (double)(ended - began) / 1e9,
         share_of(took, count, 0.5) / 1e3, share_of(took, count, 0.99) / 1e3);
}
