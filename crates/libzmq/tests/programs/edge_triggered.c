/* An event loop of the application's, with epoll, edge-triggered: edge_triggered ENDPOINT COUNT.
 *
 * A stream of messages arrives whole, and requests are answered, however few edges there are: one that went missing would
 * have the loop sleep to its limit. A loop may ask for the events after each message, or receive until there is none. */

#include "program.h"
#include <pthread.h>
#include <sys/epoll.h>

enum style { ASK_FOR_EVENTS, RECEIVE_UNTIL_NONE };

struct loop {
    void *socket;
    int epoll;
    enum style style;
};

static struct loop new_loop(void *socket, enum style style) {
    struct loop loop = {socket, epoll_create1(EPOLL_CLOEXEC), style};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    CHECK(loop.epoll >= 0);
    CHECK(epoll_ctl(loop.epoll, EPOLL_CTL_ADD, descriptor_of(socket), &event) == 0);
    return loop;
}

/* The next message, which is a number. */
static uint32_t next_number(struct loop *loop) {
    struct epoll_event event;
    uint32_t number;
    for (;;) {
        if (loop->style == RECEIVE_UNTIL_NONE || events_of(loop->socket) & ZMQ_POLLIN) {
            int size = zmq_recv(loop->socket, &number, sizeof number, ZMQ_DONTWAIT);
            if (size == sizeof number) return number;
            CHECK(size == -1 && zmq_errno() == EAGAIN);
        }
        /* Where the last message was taken, nothing has been asked since: there may be another. */
        CHECK(epoll_wait(loop->epoll, &event, 1, LIMIT_MS) == 1);
    }
}

struct sender {
    void *socket;
    uint32_t count;
};

/* Sends in bursts of different lengths, so that the other side falls asleep now and then. */
static void *send_all(void *argument) {
    struct sender *sender = argument;
    for (uint32_t number = 0; number < sender->count; number++) {
        send_number(sender->socket, number);
        if (number % 61 == 0 || number % 7 == 0) usleep(number % 5);
    }
    return NULL;
}

static void *answer_all(void *argument) {
    struct sender *answerer = argument;
    struct loop loop = new_loop(answerer->socket, ASK_FOR_EVENTS);
    for (uint32_t number = 0; number < answerer->count; number++) send_number(answerer->socket, next_number(&loop));
    close(loop.epoll);
    return NULL;
}

static void stream(const char *endpoint, uint32_t count, enum style style) {
    void *context = zmq_ctx_new();
    void *pull = new_socket(context, ZMQ_PULL), *push = new_socket(context, ZMQ_PUSH);
    struct sender sender = {push, count};
    pthread_t thread;
    join(pull, push, endpoint);
    CHECK(pthread_create(&thread, NULL, send_all, &sender) == 0);
    struct loop loop = new_loop(pull, style);
    for (uint32_t number = 0; number < count; number++) CHECK(next_number(&loop) == number);
    pthread_join(thread, NULL);
    close(loop.epoll);
    CHECK(zmq_close(pull) == 0 && zmq_close(push) == 0 && zmq_ctx_term(context) == 0);
}

static void requests(const char *endpoint, uint32_t count) {
    void *context = zmq_ctx_new();
    void *asks = new_socket(context, ZMQ_PAIR), *answers = new_socket(context, ZMQ_PAIR);
    struct sender answerer = {answers, count};
    pthread_t thread;
    join(answers, asks, endpoint);
    CHECK(pthread_create(&thread, NULL, answer_all, &answerer) == 0);
    struct loop loop = new_loop(asks, RECEIVE_UNTIL_NONE);
    for (uint32_t number = 0; number < count; number++) {
        send_number(asks, number);
        CHECK(next_number(&loop) == number);
    }
    pthread_join(thread, NULL);
    close(loop.epoll);
    CHECK(zmq_close(asks) == 0 && zmq_close(answers) == 0 && zmq_ctx_term(context) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    uint32_t count = (uint32_t)atoi(argv[2]);
    alarm(LIMIT_S);
    stream(argv[1], count, ASK_FOR_EVENTS);
    stream(argv[1], count, RECEIVE_UNTIL_NONE);
    requests(argv[1], count / 10);
    return 0;
}
