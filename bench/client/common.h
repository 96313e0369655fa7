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
    const char *half; /* how it begins: who sends no more keeps a worker waiting */
    bool is_http;     /* the answer has a status, and it is to be 200 */
};

enum {
    ANSWER_HEAD = 16, /* bytes of an answer that decide */
};

extern const struct question a_line; /* "hello\n", which anything answers */
extern const struct question a_page; /* of HTTP, without keep-alive */

/* What became of the requests of one client. */
struct counts {
    long answered;
    long failed;
};

/* The work of one client: so many requests, or until then by the clock unless it is 0. */
typedef void client_work(struct counts *counts, long requests, long until);

/* Microseconds by a clock that never goes back. */
long microseconds(void);

/* ADDRESS PORT, or "unix" PATH, in words. An address that is not loopback's ends the
 * program. */
void aim(struct target *ret, const char *address, const char *port);

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
