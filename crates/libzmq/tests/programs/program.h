/* What the programs share. They end with 0 if all went as it should, in half a minute or two, and say why if not. */

#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* Far more than any wait takes, under valgrind, too. */
enum { LIMIT_S = 120, LIMIT_MS = 1000 * LIMIT_S, ENDPOINT_SIZE = 256 };

#define CHECK(condition)                                                                                           \
    do {                                                                                                           \
        if (!(condition)) {                                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, zmq_strerror(zmq_errno()));         \
            _exit(1);                                                                                              \
        }                                                                                                          \
    } while (0)

static inline void *new_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    int limit = LIMIT_MS;
    CHECK(socket);
    CHECK(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(zmq_setsockopt(socket, ZMQ_SNDTIMEO, &limit, sizeof limit) == 0);
    return socket;
}

/* Binds, and connects another socket to where that was. */
static inline void join(void *binds, void *connects, const char *endpoint) {
    char bound[ENDPOINT_SIZE];
    size_t size = sizeof bound;
    CHECK(zmq_bind(binds, endpoint) == 0);
    CHECK(zmq_getsockopt(binds, ZMQ_LAST_ENDPOINT, bound, &size) == 0);
    CHECK(zmq_connect(connects, bound) == 0);
}

static inline void send_number(void *socket, uint32_t number) {
    CHECK(zmq_send(socket, &number, sizeof number, 0) == sizeof number);
}

static inline int descriptor_of(void *socket) {
    int descriptor;
    size_t size = sizeof descriptor;
    CHECK(zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0);
    return descriptor;
}

static inline int events_of(void *socket) {
    int events;
    size_t size = sizeof events;
    CHECK(zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0);
    return events;
}

#endif
