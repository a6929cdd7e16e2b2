/* Most of the stable interface, once, for a look at its memory: each message that is made is given up in one of the ways in
 * which it can be, and each socket closed with something left. */

#include "program.h"
#include <pthread.h>
#include <sys/uio.h>

enum { SMALL = 10, INLINE_MAX = 55, MEDIUM = 1000, LARGE = 100000 };
static const size_t SIZES[] = {0, SMALL, INLINE_MAX, INLINE_MAX + 1, MEDIUM, LARGE};
enum { SIZES_COUNT = sizeof SIZES / sizeof *SIZES };
static const char *const ENDPOINTS[] = {"tcp://127.0.0.1:*", "ipc://*", "inproc://everything"};
enum { ENDPOINTS_COUNT = sizeof ENDPOINTS / sizeof *ENDPOINTS };

static int freed;

static void free_data(void *data, void *hint) {
    free(data);
    __atomic_fetch_add((int *)hint, 1, __ATOMIC_SEQ_CST);
}

/* A message of the application's memory, all of it written. */
static void init_data(zmq_msg_t *message, size_t size) {
    void *data = malloc(size + 1);
    memset(data, 'd', size + 1);
    CHECK(zmq_msg_init_data(message, data, size, free_data, &freed) == 0);
}

static void messages(void) {
    for (int i = 0; i < SIZES_COUNT; i++) {
        zmq_msg_t made, copy, moved;
        CHECK(zmq_msg_init_size(&made, SIZES[i]) == 0);
        memset(zmq_msg_data(&made), 'x', SIZES[i]);
        CHECK(zmq_msg_init(&copy) == 0 && zmq_msg_copy(&copy, &made) == 0);
        CHECK(zmq_msg_init(&moved) == 0 && zmq_msg_move(&moved, &made) == 0);
        CHECK(zmq_msg_size(&made) == 0 && zmq_msg_size(&moved) == SIZES[i]);
        CHECK(memcmp(zmq_msg_data(&moved), zmq_msg_data(&copy), SIZES[i]) == 0);
        CHECK(zmq_msg_close(&made) == 0 && zmq_msg_close(&copy) == 0 && zmq_msg_close(&moved) == 0);
        init_data(&made, SIZES[i]);
        CHECK(zmq_msg_init(&copy) == 0 && zmq_msg_copy(&copy, &made) == 0);
        CHECK(zmq_msg_close(&made) == 0 && zmq_msg_close(&copy) == 0);
    }
    CHECK(__atomic_load_n(&freed, __ATOMIC_SEQ_CST) == SIZES_COUNT);
}

/* Each size there and back, as bytes, as a message, as the application's memory, and as frames of one message. */
static void send_sizes(void *to, void *from) {
    static char body[LARGE];
    memset(body, 'b', sizeof body);
    for (int i = 0; i < SIZES_COUNT; i++) {
        zmq_msg_t message;
        CHECK(zmq_send(to, body, SIZES[i], 0) == (int)SIZES[i]);
        CHECK(zmq_send_const(to, body, SIZES[i], 0) == (int)SIZES[i]);
        CHECK(zmq_msg_init_size(&message, SIZES[i]) == 0);
        memset(zmq_msg_data(&message), 'b', SIZES[i]);
        CHECK(zmq_msg_send(&message, to, 0) == (int)SIZES[i]);
        init_data(&message, SIZES[i]);
        CHECK(zmq_msg_send(&message, to, 0) == (int)SIZES[i]);
        for (int received = 0; received < 4; received++) {
            CHECK(zmq_msg_init(&message) == 0 && zmq_msg_recv(&message, from, 0) == (int)SIZES[i]);
            CHECK(zmq_msg_more(&message) == 0);
            CHECK(zmq_msg_close(&message) == 0);
        }
    }
    for (int i = 0; i < SIZES_COUNT; i++)
        CHECK(zmq_send(to, body, SIZES[i], i + 1 < SIZES_COUNT ? ZMQ_SNDMORE : 0) == (int)SIZES[i]);
    for (int i = 0; i < SIZES_COUNT; i++) CHECK(zmq_recv(from, body, sizeof body, 0) == (int)SIZES[i]);
}

static void pairs(void *context) {
    for (int i = 0; i < ENDPOINTS_COUNT; i++) {
        void *a = new_socket(context, ZMQ_PAIR), *b = new_socket(context, ZMQ_PAIR);
        join(a, b, ENDPOINTS[i]);
        send_sizes(a, b);
        send_sizes(b, a);
        /* What is left: a message that nobody receives, half of one, and one that is received in half. */
        CHECK(zmq_send(a, "left", 4, 0) == 4);
        CHECK(zmq_send(a, "half", 4, ZMQ_SNDMORE) == 4);
        zmq_msg_t frame;
        CHECK(zmq_send(b, "first", 5, ZMQ_SNDMORE) == 5);
        init_data(&frame, LARGE);
        CHECK(zmq_msg_send(&frame, b, 0) == LARGE);
        CHECK(zmq_recv(a, NULL, 0, 0) == 5);
        CHECK(zmq_close(a) == 0 && zmq_close(b) == 0);
    }
}

static void patterns(void *context) {
    void *req = new_socket(context, ZMQ_REQ), *rep = new_socket(context, ZMQ_REP);
    void *pub = new_socket(context, ZMQ_XPUB), *sub = new_socket(context, ZMQ_SUB);
    void *router = new_socket(context, ZMQ_ROUTER), *dealer = new_socket(context, ZMQ_DEALER);
    zmq_msg_t message;
    char name[8];
    join(rep, req, "tcp://127.0.0.1:*");
    CHECK(zmq_send(req, "ask", 3, 0) == 3);
    CHECK(zmq_msg_init(&message) == 0 && zmq_msg_recv(&message, rep, 0) == 3);
    CHECK(strcmp(zmq_msg_gets(&message, "Socket-Type"), "REQ") == 0);
    CHECK(zmq_msg_close(&message) == 0);
    CHECK(zmq_send(rep, "answer", 6, 0) == 6 && zmq_recv(req, NULL, 0, 0) == 6);
    join(pub, sub, "tcp://127.0.0.1:*");
    CHECK(zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "a", 1) == 0 && zmq_recv(pub, name, 2, 0) == 2);
    CHECK(zmq_send(pub, "b", 1, 0) == 1 && zmq_send(pub, "ab", 2, 0) == 2 && zmq_recv(sub, name, 2, 0) == 2);
    CHECK(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "dealer", 6) == 0);
    join(router, dealer, "ipc://*");
    CHECK(zmq_send(dealer, "hello", 5, 0) == 5);
    CHECK(zmq_recv(router, name, sizeof name, 0) == 6 && zmq_recv(router, NULL, 0, 0) == 5);
    CHECK(zmq_send(router, "nobody", 6, ZMQ_SNDMORE) == 6 && zmq_send(router, "hello", 5, 0) == 5);
    void *const all[] = {req, rep, pub, sub, router, dealer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) CHECK(zmq_close(all[i]) == 0);
}

static void vectors(void *context) {
    void *a = new_socket(context, ZMQ_PAIR), *b = new_socket(context, ZMQ_PAIR);
    join(a, b, "inproc://vectors");
    struct iovec frames[2] = {{malloc(SMALL), SMALL}, {malloc(LARGE), LARGE}};
    memset(frames[0].iov_base, 'v', SMALL);
    memset(frames[1].iov_base, 'v', LARGE);
    CHECK(zmq_sendiov(a, frames, 2, ZMQ_SNDMORE) >= 0);
    free(frames[0].iov_base);
    free(frames[1].iov_base);
    struct iovec received[2];
    size_t count = 2;
    CHECK(zmq_recviov(b, received, &count, 0) == 2 && count == 2);
    for (size_t i = 0; i < count; i++) free(received[i].iov_base);
    CHECK(zmq_close(a) == 0 && zmq_close(b) == 0);
}

static void wait_for_event(void *events, uint16_t awaited) {
    uint16_t event;
    do {
        CHECK(zmq_recv(events, &event, sizeof event, 0) == 6);
        CHECK(zmq_recv(events, NULL, 0, 0) >= 0);
    } while (event != awaited);
}

static void monitored(void *context) {
    void *pull = new_socket(context, ZMQ_PULL), *push = new_socket(context, ZMQ_PUSH);
    void *events = new_socket(context, ZMQ_PAIR);
    CHECK(zmq_socket_monitor(pull, "inproc://events", ZMQ_EVENT_ALL) == 0);
    CHECK(zmq_connect(events, "inproc://events") == 0);
    join(pull, push, "tcp://127.0.0.1:*");
    wait_for_event(events, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    CHECK(zmq_close(pull) == 0 && zmq_close(push) == 0);
    /* libzmq's thread waits for good where nobody takes an event. */
    wait_for_event(events, ZMQ_EVENT_MONITOR_STOPPED);
    CHECK(zmq_close(events) == 0);
}

static void *ask_through_proxy(void *context) {
    void *req = new_socket(context, ZMQ_REQ), *rep = new_socket(context, ZMQ_REP);
    void *control = new_socket(context, ZMQ_PAIR);
    CHECK(zmq_connect(req, "inproc://front") == 0 && zmq_connect(rep, "inproc://back") == 0);
    CHECK(zmq_connect(control, "inproc://control") == 0);
    for (int i = 0; i < 10; i++) {
        CHECK(zmq_send(req, "ask", 3, 0) == 3 && zmq_recv(rep, NULL, 0, 0) == 3);
        CHECK(zmq_send(rep, "answer", 6, 0) == 6 && zmq_recv(req, NULL, 0, 0) == 6);
    }
    CHECK(zmq_send(control, "TERMINATE", 9, 0) == 9);
    CHECK(zmq_close(req) == 0 && zmq_close(rep) == 0 && zmq_close(control) == 0);
    return NULL;
}

static void intermediary(void *context) {
    void *front = new_socket(context, ZMQ_ROUTER), *back = new_socket(context, ZMQ_DEALER);
    void *control = new_socket(context, ZMQ_PAIR);
    pthread_t thread;
    CHECK(zmq_bind(front, "inproc://front") == 0 && zmq_bind(back, "inproc://back") == 0);
    CHECK(zmq_bind(control, "inproc://control") == 0);
    CHECK(pthread_create(&thread, NULL, ask_through_proxy, context) == 0);
    CHECK(zmq_proxy_steerable(front, back, NULL, control) == 0);
    pthread_join(thread, NULL);
    CHECK(zmq_close(front) == 0 && zmq_close(back) == 0 && zmq_close(control) == 0);
}

static void polled(void *context) {
    void *pull = new_socket(context, ZMQ_PULL), *push = new_socket(context, ZMQ_PUSH);
    int ends[2];
    join(pull, push, "tcp://127.0.0.1:*");
    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    CHECK(zmq_send(push, "x", 1, 0) == 1);
    zmq_pollitem_t items[] = {{pull, 0, ZMQ_POLLIN, 0}, {NULL, ends[0], ZMQ_POLLIN, 0}};
    while (!(items[0].revents & ZMQ_POLLIN)) CHECK(zmq_poll(items, 2, LIMIT_MS) > 0 && items[1].revents == ZMQ_POLLIN);
    close(ends[0]);
    close(ends[1]);
    CHECK(zmq_close(pull) == 0 && zmq_close(push) == 0);
}

static void curve(void *context) {
    char server_key[41], server_secret[41], key[41], secret[41];
    void *pull = new_socket(context, ZMQ_PULL), *push = new_socket(context, ZMQ_PUSH);
    int on = 1;
    CHECK(zmq_curve_keypair(server_key, server_secret) == 0 && zmq_curve_keypair(key, secret) == 0);
    CHECK(zmq_setsockopt(pull, ZMQ_CURVE_SERVER, &on, sizeof on) == 0);
    CHECK(zmq_setsockopt(pull, ZMQ_CURVE_SECRETKEY, server_secret, 41) == 0);
    CHECK(zmq_setsockopt(push, ZMQ_CURVE_SERVERKEY, server_key, 41) == 0);
    CHECK(zmq_setsockopt(push, ZMQ_CURVE_PUBLICKEY, key, 41) == 0);
    CHECK(zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, secret, 41) == 0);
    join(pull, push, "tcp://127.0.0.1:*");
    static char body[LARGE];
    for (int i = 0; i < SIZES_COUNT; i++) {
        CHECK(zmq_send(push, body, SIZES[i], 0) == (int)SIZES[i]);
        CHECK(zmq_recv(pull, body, sizeof body, 0) == (int)SIZES[i]);
    }
    CHECK(zmq_close(pull) == 0 && zmq_close(push) == 0);
}

static void count_call(int timer, void *argument) {
    (void)timer;
    ++*(int *)argument;
}

static void count_thread(void *argument) {
    ++*(int *)argument;
}

static void tools(void) {
    int calls = 0;
    void *timers = zmq_timers_new(), *counter = zmq_atomic_counter_new(), *watch = zmq_stopwatch_start();
    int timer = zmq_timers_add(timers, 1, count_call, &calls);
    CHECK(timer >= 0 && zmq_timers_add(timers, 1000000, count_call, &calls) >= 0);
    while (calls == 0) CHECK(zmq_timers_execute(timers) == 0);
    CHECK(zmq_timers_cancel(timers, timer) == 0 && zmq_timers_destroy(&timers) == 0);
    zmq_threadclose(zmq_threadstart(count_thread, &calls));
    CHECK(calls == 2);
    zmq_atomic_counter_inc(counter);
    CHECK(zmq_atomic_counter_value(counter) == 1);
    zmq_atomic_counter_destroy(&counter);
    CHECK(zmq_stopwatch_stop(watch) > 0);
    char text[6];
    uint8_t data[4] = {0x86, 0x4f, 0xd2, 0x6f};
    CHECK(zmq_z85_encode(text, data, 4) && zmq_z85_decode(data, text));
}

int main(void) {
    alarm(LIMIT_S);
    messages();
    tools();
    void *context = zmq_ctx_new();
    CHECK(zmq_ctx_set(context, ZMQ_BLOCKY, 0) == 0);
    pairs(context);
    patterns(context);
    vectors(context);
    monitored(context);
    intermediary(context);
    polled(context);
    curve(context);
    CHECK(zmq_ctx_term(context) == 0);
    return 0;
}
