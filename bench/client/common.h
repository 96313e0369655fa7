/* What clients of the bench share: the clock, where they connect, what they ask, and crowds
 * of them. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Where a server is. */
struct target {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } address;
    socklen_t bytes;
};

/* One request, and what is expected of its answer. */
struct question {
    const char *text;
    size_t size;
    bool is_http; /* the answer has a status, and it is to be 200 */
};

enum {
    ANSWER_HEAD = 16, /* bytes of an answer that decide */
};

/* What became of the requests of one client. */
struct counts {
    long answered;
    long failed;
};

/* The work of one client: so many requests, or until then by the clock unless it is 0. */
typedef void client_work(struct counts *counts, long requests, long until);

/* Microseconds by a clock that never goes back. */
long microseconds(void);

/* An address of loopback and a port, in words; or the path of a unix socket, which has a
 * slash in it, and any port. Another address ends the program. */
void aim(struct target *ret, const char *address, const char *port);

/* A question of this text, borrowed; NULL: a line with "hello". It is one of HTTP if it
 * says so. */
struct question question_of(const char *text);

/* A connection; -1: errno says why not. */
int open_connection(const struct target *target);

/* Is it one to this question? head: its first bytes, at most ANSWER_HEAD of them count. */
bool is_answer(const struct question *question, const char *head, size_t bytes);

/* Ask on a connection and read to the end of the stream: was there an answer? Closes it. */
bool ask(const struct question *question, int fd);

/* Room for so many connections of this process, if it may have them. */
void allow_descriptors(unsigned long count);

/* Shares requests among clients, each a process, and prints "answered failed microseconds".
 * duration, microseconds: how long at most; 0: until all are done. */
void crowd(client_work *work, long requests, long duration, int clients);

#endif
