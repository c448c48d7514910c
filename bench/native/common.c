#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// a prime: no power of two that a tunnel works in repeats with it
#define PERIOD 65521

static char pattern[PERIOD + CHUNK];

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

int64_t number(int argc, char **argv, const char *name, int64_t otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=') return strtoll(argv[i] + length + 1, NULL, 10);
  }
  return otherwise;
}

struct route route_of(int argc, char **argv) {
  struct route route = {(int)number(argc, argv, "port", 0), (int)number(argc, argv, "origin", 0),
                        (int)number(argc, argv, "http", 0)};
  if (route.port == 0) fail("port= is missing");
  return route;
}

void pattern_init(void) {
  uint32_t x = 2463534242u;
  for (size_t i = 0; i < PERIOD; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    pattern[i] = (char)x;
  }
  for (size_t i = PERIOD; i < sizeof pattern; i++) pattern[i] = pattern[i - PERIOD];
}

const char *pattern_at(uint64_t offset) { return pattern + offset % PERIOD; }

int pattern_holds(const char *bytes, size_t length, uint64_t offset, int whole) {
  if (whole || length <= 128) return memcmp(bytes, pattern_at(offset), length) == 0;
  return memcmp(bytes, pattern_at(offset), 64) == 0 &&
         memcmp(bytes + length - 64, pattern_at(offset + length - 64), 64) == 0;
}

void set_blocking(int fd, int blocking) {
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

int listen_at(int *port) {
  struct sockaddr_in at = loopback(*port);
  socklen_t length = sizeof at;
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, length) < 0 || listen(fd, 4096) < 0) fail("listen: %s", strerror(errno));
  getsockname(fd, (struct sockaddr *)&at, &length);
  *port = ntohs(at.sin_port);
  return fd;
}

int dial(int port, int blocking) {
  struct sockaddr_in at = loopback(port);
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) fail("socket: %s", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 && errno != EINPROGRESS) {
    fail("connect to %d: %s", port, strerror(errno));
  }
  return fd;
}

void send_all(int fd, const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
    if (n < 0) fail("send: %s", strerror(errno));
    at += n;
    length -= (size_t)n;
  }
}

void receive_all(int fd, void *bytes, size_t length) {
  for (char *at = bytes; length > 0;) {
    ssize_t n = recv(fd, at, length, 0);
    if (n <= 0) fail("receive: %s", n == 0 ? "closed too early" : strerror(errno));
    at += n;
    length -= (size_t)n;
  }
}

void connect_request(char request[128], int origin) {
  snprintf(request, 128, "CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", origin, origin);
}

int is_connected(const char *answer, size_t length) {
  if (length < 12) return 0;
  if (memcmp(answer, "HTTP/1.1 200", 12) != 0) fail("CONNECT answered %.*s", (int)(length < 80 ? length : 80), answer);
  return memcmp(answer + length - 4, "\r\n\r\n", 4) == 0;
}

static void connect_by_http(int fd, int origin) {
  char bytes[512];
  size_t got = 0;
  connect_request(bytes, origin);
  send_all(fd, bytes, strlen(bytes));
  // one byte at a time: what is behind the answer is the origin's
  do {
    if (got == sizeof bytes) fail("the answer to CONNECT has no end");
    receive_all(fd, bytes + got++, 1);
  } while (!is_connected(bytes, got));
}

int open_route(struct route route) {
  int fd = dial(route.port, 1);
  if (route.origin == 0) return fd;
  if (route.http) {
    connect_by_http(fd, route.origin);
    return fd;
  }
  unsigned char answer[256];
  send_all(fd, "\5\1\0", 3);
  receive_all(fd, answer, 2);
  if (answer[0] != 5 || answer[1] != 0) fail("SOCKS5 method %d", answer[1]);
  unsigned char request[] = {5, 1, 0, 1, 127, 0, 0, 1, (unsigned char)(route.origin >> 8), (unsigned char)route.origin};
  send_all(fd, request, sizeof request);
  receive_all(fd, answer, 5);
  if (answer[1] != 0) fail("SOCKS5 reply %d", answer[1]);
  receive_all(fd, answer + 5, answer[3] == 1 ? 5 : answer[3] == 4 ? 17 : (size_t)answer[4] + 2);
  return fd;
}

void raise_descriptors(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void bulk_request(char request[REQUEST], char kind, uint64_t length, uint32_t phase) {
  request[0] = kind;
  memcpy(request + 1, &length, 8);
  memcpy(request + 9, &phase, 4);
}

static int ascending(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

void sort_values(uint64_t *values, size_t count) { qsort(values, count, sizeof *values, ascending); }

double share_of(const uint64_t *values, size_t count, double share) {
  if (count == 0) return 0;
  size_t at = (size_t)(share * (double)count);
  return (double)values[at < count ? at : count - 1];
}
