// bulk up=0|1 streams=<n> bytes=<in all> whole=0|1: from the first request to the last byte, or its confirmation.
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

struct stream {
  int fd;
  uint32_t phase;
  uint64_t length, moved;
  char confirmation[CONFIRMATION];
  size_t confirmed;
  double fair;
};

static void receive(struct stream *s, char *buffer, int whole) {
  ssize_t n = recv(s->fd, buffer, CHUNK, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("download ended after %llu bytes", (unsigned long long)s->moved);
  if (!pattern_holds(buffer, (size_t)n, s->phase + s->moved, whole)) {
    fail("download is wrong within %zd bytes from %llu on", n, (unsigned long long)s->moved);
  }
  s->moved += (uint64_t)n;
  if (s->moved > s->length) fail("download is longer than asked for");
}

static void transmit(struct stream *s) {
  uint64_t left = s->length - s->moved;
  ssize_t n = send(s->fd, pattern_at(s->phase + s->moved), left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return;
  if (n < 0) fail("upload failed after %llu bytes: %s", (unsigned long long)s->moved, strerror(errno));
  s->moved += (uint64_t)n;
}

static void confirm(struct stream *s) {
  ssize_t n = recv(s->fd, s->confirmation + s->confirmed, CONFIRMATION - s->confirmed, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("upload was not confirmed");
  s->confirmed += (size_t)n;
  if (s->confirmed < CONFIRMATION) return;
  uint64_t said[3];
  memcpy(said, s->confirmation, CONFIRMATION);
  if (said[0] != s->length) fail("upload: %llu bytes arrived", (unsigned long long)said[0]);
  if (said[1] != 0) fail("upload: %llu pieces arrived wrong", (unsigned long long)said[1]);
  s->fair = (double)said[2] / 1e6;
}

static double slowest_to_fastest(const struct stream *streams, int count) {
  uint64_t least = streams[0].moved, most = streams[0].moved;
  for (int i = 1; i < count; i++) {
    if (streams[i].moved < least) least = streams[i].moved;
    if (streams[i].moved > most) most = streams[i].moved;
  }
  return (double)least / (double)most;
}

void bulk(int argc, char **argv) {
  struct route route = route_of(argc, argv);
  int upload = (int)number(argc, argv, "up", 0), count = (int)number(argc, argv, "streams", 1);
  int whole = (int)number(argc, argv, "whole", 0), epoll = epoll_create1(EPOLL_CLOEXEC), open = count;
  uint64_t bytes = (uint64_t)number(argc, argv, "bytes", 64 << 20) / (uint64_t)count * (uint64_t)count, total = 0;
  struct stream *streams = calloc((size_t)count, sizeof *streams);
  char *buffer = malloc(CHUNK);
  for (int i = 0; i < count; i++) {
    streams[i] = (struct stream){.fd = open_route(route), .phase = (uint32_t)i * 7919, .length = bytes / (uint64_t)count};
  }
  uint64_t began = now_ns(), half = 0;
  double fair = 0;
  for (int i = 0; i < count; i++) {
    char request[REQUEST];
    bulk_request(request, upload ? 'U' : 'D', streams[i].length, streams[i].phase);
    send_all(streams[i].fd, request, REQUEST);
    set_blocking(streams[i].fd, 0);
    struct epoll_event event = {.events = upload ? EPOLLOUT : EPOLLIN, .data.ptr = &streams[i]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, streams[i].fd, &event);
  }
  while (open > 0) {
    struct epoll_event events[16];
    int ready = epoll_wait(epoll, events, 16, -1);
    for (int i = 0; i < ready; i++) {
      struct stream *s = events[i].data.ptr;
      uint64_t before = s->moved;
      if (s->moved == s->length) confirm(s);
      else if (upload) transmit(s);
      else receive(s, buffer, whole);
      total += s->moved - before;
      if (half == 0 && total >= bytes / 2) half = now_ns();
      if (s->moved < s->length) continue;
      if (upload && s->confirmed == 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
        epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event);
      }
      if (upload && s->confirmed < CONFIRMATION) continue;
      if (open-- == count) fair = upload ? s->fair : slowest_to_fastest(streams, count);
      epoll_ctl(epoll, EPOLL_CTL_DEL, s->fd, NULL);
    }
  }
  uint64_t ended = now_ns();
  printf("{\"bytes\":%llu,\"seconds\":%.6f,\"secondHalfSeconds\":%.6f,\"fair\":%.4f}\n", (unsigned long long)bytes,
         (double)(ended - began) / 1e9, (double)(ended - half) / 1e9, fair);
}
