// What origin and load generator share: the clock, the payload pattern, blocking sockets, the way through a proxy port.
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

// Largest piece that is read or written at once.
#define CHUNK 262144
// A bulk request: 'D' or 'U', number of bytes (64 bit), phase of the pattern (32 bit), both little endian.
#define REQUEST 13
// What confirms an upload: bytes that arrived, pieces that were not as sent, and in millionths how far the slowest of
// all uploads under way is, compared with the fastest. Only the origin knows: what was sent may wait in any buffer.
#define CONFIRMATION 24
#define BODY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HTTP_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\nConnection: close\r\n\r\n" BODY
#define HTTP_REQUEST "GET / HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n"

// Where the load goes: straight to a port, or through a proxy port to `origin`, by SOCKS5 or by CONNECT of HTTP.
struct route {
  int port;
  int origin;
  int http;
};

uint64_t now_ns(void);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// An argument `name=value` of the command line.
int64_t number(int argc, char **argv, const char *name, int64_t otherwise);
struct route route_of(int argc, char **argv);

// A CONNECT to the origin, and whether what came is a whole answer to it, which must be good.
void connect_request(char request[128], int origin);
int is_connected(const char *answer, size_t length);

// Bytes of the pattern from an offset on: at least CHUNK of them.
const char *pattern_at(uint64_t offset);
// Compares both ends of a piece, or all of it.
int pattern_holds(const char *bytes, size_t length, uint64_t offset, int whole);
void pattern_init(void);

int listen_at(int *port);
int dial(int port, int blocking);
// A connection to the origin, made ready: a blocking socket.
int open_route(struct route route);
void send_all(int fd, const void *bytes, size_t length);
void receive_all(int fd, void *bytes, size_t length);
void set_blocking(int fd, int blocking);
void raise_descriptors(void);
void bulk_request(char request[REQUEST], char kind, uint64_t length, uint32_t phase);

// Orders the values; then gives the one at a share of them.
void sort_values(uint64_t *values, size_t count);
double share_of(const uint64_t *values, size_t count, double share);

#endif
