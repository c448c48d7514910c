// echo ms=<n> enough=<messages> size=64 bulk=<streams beside it> warm=<ms>: one message at a time, there and back.
#define _GNU_SOURCE
#include "common.h"
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGEST 65536

// Downloads without end, in a process of its own: reading must not hold up the echo here.
static void download(struct route route, int streams, volatile uint64_t *moved) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct pollfd *fds = calloc((size_t)streams, sizeof *fds);
  char *buffer = malloc(CHUNK), request[REQUEST];
  for (int i = 0; i < streams; i++) {
    fds[i] = (struct pollfd){.fd = open_route(route), .events = POLLIN};
    bulk_request(request, 'D', 1ull << 60, 0);
    send_all(fds[i].fd, request, REQUEST);
  }
  for (;;) {
    poll(fds, (nfds_t)streams, -1);
    for (int i = 0; i < streams; i++) {
      if (!fds[i].revents) continue;
      ssize_t n = recv(fds[i].fd, buffer, CHUNK, 0);
      if (n <= 0) fail("download beside the echo ended");
      *moved += (uint64_t)n;
    }
  }
}

static pid_t bulk_beside(struct route route, int streams, volatile uint64_t *moved) {
  pid_t child = fork();
  if (child == 0) download(route, streams, moved);
  for (int i = 0; *moved < CHUNK; i++) {
    if (i > 10000) fail("nothing arrives beside the echo");
    usleep(1000);
  }
  return child;
}

void echo(int argc, char **argv) {
  struct route route = route_of(argc, argv);
  uint64_t limit = (uint64_t)number(argc, argv, "ms", 1000) * 1000000u;
  size_t size = (size_t)number(argc, argv, "size", 64), count = 0, room = 1 << 16;
  size_t enough = (size_t)number(argc, argv, "enough", 300);
  int beside = (int)number(argc, argv, "bulk", 0);
  if (size > LARGEST) fail("size= is too large");
  volatile uint64_t *moved = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int fd = open_route(route);
  send_all(fd, "E", 1);
  pid_t child = beside > 0 ? bulk_beside(route, beside, moved) : 0;
  usleep((useconds_t)number(argc, argv, "warm", 200) * 1000);

  uint64_t *took = malloc(room * sizeof *took), began = now_ns(), moved_before = *moved;
  char answer[LARGEST];
  // a slow path gets up to four times as long, for enough samples
  for (uint64_t now = began; now - began < limit || (count < enough && now - began < 4 * limit);) {
    send_all(fd, pattern_at(count), size);
    receive_all(fd, answer, size);
    if (memcmp(answer, pattern_at(count), size) != 0) fail("echo %zu is wrong", count);
    uint64_t then = now_ns();
    if (count == room) took = realloc(took, (room *= 2) * sizeof *took);
    took[count++] = then - now;
    now = then;
  }
  double seconds = (double)(now_ns() - began) / 1e9;
  uint64_t bytes = *moved - moved_before;
  if (child > 0) {
    if (waitpid(child, NULL, WNOHANG) != 0) fail("the download beside the echo failed");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  sort_values(took, count);
  printf("{\"count\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"bulk\":%.4f}\n", count,
         share_of(took, count, 0.5) / 1e3, share_of(took, count, 0.9) / 1e3, share_of(took, count, 0.99) / 1e3,
         share_of(took, count, 1) / 1e3, (double)bytes / 1e9 / seconds);
}
