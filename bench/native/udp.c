// udp ms=<n> size=1024 window=<datagrams under way> | rate=<offered per second>: sent, echoed, and what never came back.
#define _GNU_SOURCE
#include "common.h"
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// RSV RSV FRAG ATYP address port
#define HEADER 10
// Nothing for so long: what is under way is lost.
#define PATIENCE 300000000u

// Asks a SOCKS5 port for an association, which lives as long as the connection, and gives its port.
static int associate(struct route route) {
  unsigned char answer[10];
  int fd = dial(route.port, 1);
  send_all(fd, "\5\1\0", 3);
  receive_all(fd, answer, 2);
  send_all(fd, "\5\3\0\1\0\0\0\0\0\0", 10);
  receive_all(fd, answer, 10);
  if (answer[1] != 0) fail("UDP ASSOCIATE: reply %d", answer[1]);
  if (answer[3] != 1) fail("UDP ASSOCIATE: address type %d", answer[3]);
  return answer[8] << 8 | answer[9];
}

static int datagram_socket(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) fail("connect: %s", strerror(errno));
  return fd;
}

void udp(int argc, char **argv) {
  struct route route = route_of(argc, argv);
  size_t size = (size_t)number(argc, argv, "size", 1024), head = route.origin > 0 ? HEADER : 0;
  uint64_t limit = (uint64_t)number(argc, argv, "ms", 1000) * 1000000u, rate = (uint64_t)number(argc, argv, "rate", 0);
  uint64_t window = (uint64_t)number(argc, argv, "window", 64), sent = 0, got = 0, lost = 0;
  int fd = datagram_socket(route.origin > 0 ? associate(route) : route.port);
  char out[HEADER + 65536] = {0, 0, 0, 1, 127, 0, 0, 1, (char)(route.origin >> 8), (char)route.origin}, in[65536];
  memcpy(out + head, pattern_at(0), size);

  uint64_t began = now_ns(), heard = began, now = began, sending = 0;
  while (now - began < limit || (got + lost < sent && now - heard < PATIENCE)) {
    int may = now - began < limit && (rate > 0 ? sent < (now - began) * rate / 1000000000u : sent - got - lost < window);
    if (may) {
      memcpy(out + head, &sent, 8);
      if (send(fd, out, head + size, 0) > 0) sent++;
      else if (errno != EAGAIN && errno != ENOBUFS) fail("send: %s", strerror(errno));
      sending = now_ns() - began;
    }
    struct pollfd at = {.fd = fd, .events = POLLIN};
    int ready = may ? 1 : poll(&at, 1, 1);
    ssize_t n;
    while (ready > 0 && (n = recv(fd, in, sizeof in, MSG_DONTWAIT)) > 0) {
      if ((size_t)n != head + size || memcmp(in + head + 8, out + head + 8, size - 8) != 0) fail("a datagram is wrong");
      got++;
      heard = now_ns();
    }
    now = now_ns();
    if (now - heard < PATIENCE) continue;
    // what comes later than this is counted as lost and received; `lost` is only what lets the window go on
    lost = sent - got;
    heard = now;
  }
  printf("{\"sent\":%llu,\"received\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, (unsigned long long)got,
         (double)(sending > 0 ? sending : now - began) / 1e9);
}
