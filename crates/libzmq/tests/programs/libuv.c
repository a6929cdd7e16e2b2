/* libuv as the event loop: libuv ENDPOINT COUNT. Numbers go to a PULL, which the loop watches, and each is sent back. */

#include "program.h"
#include <pthread.h>
#include <uv.h>

struct receiver {
    void *pull, *back;
    uint32_t next, count;
    uv_timer_t limit;
};

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct receiver *receiver = poll->data;
    CHECK(status == 0 && events & UV_READABLE);
    while (events_of(receiver->pull) & ZMQ_POLLIN) {
        uint32_t number;
        CHECK(zmq_recv(receiver->pull, &number, sizeof number, ZMQ_DONTWAIT) == sizeof number);
        CHECK(number == receiver->next);
        send_number(receiver->back, number);
        if (++receiver->next == receiver->count) {
            uv_close((uv_handle_t *)poll, NULL);
            uv_close((uv_handle_t *)&receiver->limit, NULL);
            return;
        }
    }
}

static void on_limit(uv_timer_t *timer) {
    struct receiver *receiver = timer->data;
    fprintf(stderr, "nothing came after %u of %u\n", receiver->next, receiver->count);
    _exit(1);
}

struct sender {
    void *push, *back;
    uint32_t count;
};

/* At most so many are on their way. */
enum { WINDOW = 50 };

static void *send_all(void *argument) {
    struct sender *sender = argument;
    for (uint32_t number = 0; number < sender->count + WINDOW; number++) {
        uint32_t back;
        if (number < sender->count) send_number(sender->push, number);
        if (number < WINDOW) continue;
        CHECK(zmq_recv(sender->back, &back, sizeof back, 0) == sizeof back);
        CHECK(back == number - WINDOW);
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    uint32_t count = (uint32_t)atoi(argv[2]);
    void *context = zmq_ctx_new();
    struct receiver receiver = {.count = count};
    struct sender sender = {.count = count};
    receiver.pull = new_socket(context, ZMQ_PULL), sender.push = new_socket(context, ZMQ_PUSH);
    sender.back = new_socket(context, ZMQ_PULL), receiver.back = new_socket(context, ZMQ_PUSH);
    join(receiver.pull, sender.push, argv[1]);
    join(sender.back, receiver.back, "inproc://back");

    uv_loop_t loop;
    uv_poll_t poll;
    CHECK(uv_loop_init(&loop) == 0);
    CHECK(uv_poll_init(&loop, &poll, descriptor_of(receiver.pull)) == 0);
    CHECK(uv_timer_init(&loop, &receiver.limit) == 0);
    poll.data = receiver.limit.data = &receiver;
    CHECK(uv_poll_start(&poll, UV_READABLE, on_readable) == 0);
    CHECK(uv_timer_start(&receiver.limit, on_limit, LIMIT_MS, 0) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_all, &sender) == 0);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    pthread_join(thread, NULL);
    CHECK(receiver.next == count && uv_loop_close(&loop) == 0);

    CHECK(zmq_close(receiver.pull) == 0 && zmq_close(receiver.back) == 0);
    CHECK(zmq_close(sender.push) == 0 && zmq_close(sender.back) == 0);
    CHECK(zmq_ctx_term(context) == 0);
    return 0;
}
