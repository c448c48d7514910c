// The scenarios of the load generator. Each prints one line of JSON, and ends the process when a byte is wrong.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

void bulk(int argc, char **argv);
void echo(int argc, char **argv);
void conns(int argc, char **argv);
void channels(int argc, char **argv);
void udp(int argc, char **argv);
void copy(int argc, char **argv);

#endif
