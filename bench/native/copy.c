// copy block=<bytes> area=<bytes> ms=<n>: how fast memory is copied, in GB/s of what is copied; the median of a few times.
#include "common.h"
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES 5
// Between two looks at the clock.
#define AT_ONCE 16

// Copies `from` into the blocks of an area, in an order that no prefetcher foresees; their number is a power of two.
static double speed(const char *from, char *area, size_t block, size_t blocks, uint64_t limit) {
  size_t step = (size_t)((double)blocks * 0.618) | 1, at = 0;
  uint64_t copied = 0, began = now_ns(), now = began;
  while (now - began < limit) {
    for (int i = 0; i < AT_ONCE; i++, copied += block) {
      memcpy(area + at * block, from, block);
      __asm__ volatile("" ::: "memory");
      at = (at + step) % blocks;
    }
    now = now_ns();
  }
  return (double)copied / (double)(now - began);
}

static double usual_speed(const char *from, char *area, size_t block, size_t blocks, uint64_t limit) {
  uint64_t bytes_per_s[TIMES];
  for (int i = 0; i < TIMES; i++) bytes_per_s[i] = (uint64_t)(speed(from, area, block, blocks, limit) * 1e9);
  sort_values(bytes_per_s, TIMES);
  return share_of(bytes_per_s, TIMES, 0.5) / 1e9;
}

void copy(int argc, char **argv) {
  size_t block = (size_t)number(argc, argv, "block", 65536), blocks = 1;
  size_t bytes = (size_t)number(argc, argv, "area", 134217728);
  uint64_t limit = (uint64_t)number(argc, argv, "ms", 30) * 1000000u;
  while (blocks * 2 * block <= bytes) blocks *= 2;
  char *from = malloc(block), *area = malloc(blocks * block);
  if (from == NULL || area == NULL) fail("no memory to copy into");
  memset(from, 1, block);
  memset(area, 1, blocks * block);
  double hot = usual_speed(from, area, block, 1, limit);
  printf("{\"hot\":%.3f,\"cold\":%.3f}\n", hot, usual_speed(from, area, block, blocks, limit));
}
