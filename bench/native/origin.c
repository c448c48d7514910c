// The destination of every connection: one port, the first byte says what it is to be.
//   'E' echoes what follows; 'G' answers one HTTP request; 'D' sends n bytes of the pattern; 'U' takes n and confirms.
// Bulk has a thread of its own, so that an echo doesn't wait for it here. UDP at the same port is echoed.
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum state { START, ECHO, HTTP, DOWN, UP, DONE };

struct conn {
  int fd;
  enum state state;
  size_t got;
  char request[REQUEST];
  uint64_t length, moved, bad;
  uint32_t phase;
  // of an echo: what the socket didn't take
  char *held;
  size_t held_length;
  // of the uploads under way, on the heavy thread
  struct conn *next, *previous;
};

static int light, heavy;
static struct conn *uploads;

static void watch(int epoll, int how, struct conn *conn, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = conn};
  epoll_ctl(epoll, how, conn->fd, &event);
}

static void list_upload(struct conn *conn) {
  conn->next = uploads;
  if (uploads != NULL) uploads->previous = conn;
  uploads = conn;
}

static void unlist_upload(struct conn *conn) {
  if (conn->next != NULL) conn->next->previous = conn->previous;
  if (conn->previous != NULL) conn->previous->next = conn->next;
  else uploads = conn->next;
}

static uint64_t slowest_to_fastest(void) {
  uint64_t least = UINT64_MAX, most = 1;
  for (struct conn *conn = uploads; conn != NULL; conn = conn->next) {
    if (conn->moved < least) least = conn->moved;
    if (conn->moved > most) most = conn->moved;
  }
  return (uint64_t)((double)least / (double)most * 1e6);
}

static void end(struct conn *conn) {
  if (conn->state == UP && conn->moved > 0) unlist_upload(conn);
  close(conn->fd);
  free(conn->held);
  free(conn);
}

// Whether a call only has to be repeated later.
static int later(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

static int start(struct conn *conn) {
  size_t want = conn->got == 0 ? 1 : REQUEST - conn->got;
  ssize_t n = recv(conn->fd, conn->request + conn->got, want, 0);
  if (n <= 0) return later(n);
  conn->got += (size_t)n;
  char kind = conn->request[0];
  if (kind == 'E') conn->state = ECHO;
  if (kind == 'G') conn->state = HTTP;
  if (kind == 'E' || kind == 'G') return 1;
  if (kind != 'D' && kind != 'U') return 0;
  if (conn->got < REQUEST) return 1;
  memcpy(&conn->length, conn->request + 1, 8);
  memcpy(&conn->phase, conn->request + 9, 4);
  conn->state = kind == 'D' ? DOWN : UP;
  epoll_ctl(light, EPOLL_CTL_DEL, conn->fd, NULL);
  watch(heavy, EPOLL_CTL_ADD, conn, conn->state == DOWN ? EPOLLOUT : EPOLLIN);
  return 1;
}

static int echo(struct conn *conn, char *buffer, uint32_t events) {
  if (conn->held != NULL) {
    if (!(events & EPOLLOUT)) return 1;
    ssize_t n = send(conn->fd, conn->held, conn->held_length, MSG_NOSIGNAL);
    if (n < 0) return later(n);
    conn->held_length -= (size_t)n;
    memmove(conn->held, conn->held + n, conn->held_length);
    if (conn->held_length > 0) return 1;
    free(conn->held);
    conn->held = NULL;
    watch(light, EPOLL_CTL_MOD, conn, EPOLLIN);
    return 1;
  }
  ssize_t got = recv(conn->fd, buffer, CHUNK, 0);
  if (got <= 0) return later(got);
  ssize_t sent = send(conn->fd, buffer, (size_t)got, MSG_NOSIGNAL);
  if (sent < 0 && !later(sent)) return 0;
  if (sent < 0) sent = 0;
  if (sent == got) return 1;
  conn->held_length = (size_t)(got - sent);
  conn->held = malloc(conn->held_length);
  memcpy(conn->held, buffer + sent, conn->held_length);
  watch(light, EPOLL_CTL_MOD, conn, EPOLLOUT);
  return 1;
}

// Every request has an empty line at its end, and only there.
static int http(struct conn *conn, char *buffer) {
  ssize_t n = recv(conn->fd, buffer, 4096, 0);
  if (n <= 0) return later(n);
  if (n < 4 || memcmp(buffer + n - 4, "\r\n\r\n", 4) != 0) return 1;
  send(conn->fd, HTTP_ANSWER, strlen(HTTP_ANSWER), MSG_NOSIGNAL);
  shutdown(conn->fd, SHUT_WR);
  conn->state = DONE;
  return 1;
}

static int down(struct conn *conn) {
  uint64_t left = conn->length - conn->moved;
  ssize_t n = send(conn->fd, pattern_at(conn->phase + conn->moved), left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);
  if (n < 0) return later(n);
  conn->moved += (uint64_t)n;
  if (conn->moved < conn->length) return 1;
  conn->state = DONE;
  watch(heavy, EPOLL_CTL_MOD, conn, EPOLLIN);
  return 1;
}

static int up(struct conn *conn, char *buffer) {
  ssize_t n = recv(conn->fd, buffer, CHUNK, 0);
  if (n <= 0) return later(n);
  if (conn->moved == 0) list_upload(conn);
  if (!pattern_holds(buffer, (size_t)n, conn->phase + conn->moved, 0)) conn->bad++;
  conn->moved += (uint64_t)n;
  if (conn->moved < conn->length) return 1;
  uint64_t confirmation[3] = {conn->moved, conn->bad, slowest_to_fastest()};
  unlist_upload(conn);
  conn->state = DONE;
  return send(conn->fd, confirmation, CONFIRMATION, MSG_NOSIGNAL) == CONFIRMATION;
}

// Whether the connection goes on.
static int step(struct conn *conn, char *buffer, uint32_t events) {
  switch (conn->state) {
    case START: return start(conn);
    case ECHO: return echo(conn, buffer, events);
    case HTTP: return http(conn, buffer);
    case DOWN: return down(conn);
    case UP: return up(conn, buffer);
    case DONE: {
      ssize_t n = recv(conn->fd, buffer, CHUNK, 0);
      return n > 0 || later(n);
    }
  }
  return 0;
}

static void *serve(void *epoll) {
  char *buffer = malloc(CHUNK);
  struct epoll_event events[64];
  while (buffer != NULL) {
    int count = epoll_wait(*(int *)epoll, events, 64, -1);
    for (int i = 0; i < count; i++) {
      struct conn *conn = events[i].data.ptr;
      if (!step(conn, buffer, events[i].events)) end(conn);
    }
  }
  return NULL;
}

static void *echo_datagrams(void *port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t) * (int *)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) fail("bind: %s", strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  char datagram[65536];
  for (;;) {
    socklen_t length = sizeof at;
    ssize_t n = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&at, &length);
    if (n >= 0) sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&at, length);
  }
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  raise_descriptors();
  pattern_init();
  int port = (int)number(argc, argv, "port", 0), on = 1;
  int listener = listen_at(&port);
  light = epoll_create1(EPOLL_CLOEXEC);
  heavy = epoll_create1(EPOLL_CLOEXEC);
  pthread_t threads[3];
  pthread_create(&threads[0], NULL, serve, &light);
  pthread_create(&threads[1], NULL, serve, &heavy);
  pthread_create(&threads[2], NULL, echo_datagrams, &port);
  printf("{\"port\":%d}\n", port);
  fflush(stdout);
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *conn = calloc(1, sizeof *conn);
    conn->fd = fd;
    watch(light, EPOLL_CTL_ADD, conn, EPOLLIN);
  }
}
