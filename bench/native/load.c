// load <scenario> port=<entry> [origin=<port behind a SOCKS5 entry>] [name=value ...]
#include "load.h"

#include "common.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

static const struct {
  const char *name;
  void (*run)(int, char **);
} SCENARIOS[] = {{"bulk", bulk}, {"echo", echo}, {"conns", conns}, {"channels", channels}, {"udp", udp}, {"copy", copy}};

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  raise_descriptors();
  pattern_init();
  for (size_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++) {
    if (argc > 1 && strcmp(argv[1], SCENARIOS[i].name) == 0) {
      SCENARIOS[i].run(argc, argv);
      return 0;
    }
  }
  fail("no such scenario");
}
