/* CURVE with an authenticator: who has a known key comes in, and nobody else. It runs on libzmq and on nought:
 *
 *     cc curve.c -o curve $(pkg-config --cflags --libs libzmq) -lpthread && ./curve
 */

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { KEY_LEN = 32, Z85_SIZE = 41, FRAMES = 7, FRAME_SIZE = 256, TIMEOUT_MS = 10000 };

/* A pair of keys, as text. */
struct keys {
    char public_key[Z85_SIZE];
    char secret_key[Z85_SIZE];
};

/* What the authenticator knows. */
struct authenticator {
    void *handler;
    uint8_t known_key[KEY_LEN];
};

static struct keys new_keys(void) {
    struct keys keys;
    int failed = zmq_curve_keypair(keys.public_key, keys.secret_key);
    assert(!failed);
    return keys;
}

static void *new_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    int linger = 0, timeout = TIMEOUT_MS;
    assert(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    return socket;
}

static void set_key(void *socket, int option, const char *key) {
    int failed = zmq_setsockopt(socket, option, key, Z85_SIZE - 1);
    assert(!failed);
}

static void send_text(void *socket, const char *text, int flags) {
    int len = zmq_send(socket, text, strlen(text), flags);
    assert(len == (int)strlen(text));
}

/* Answers each question of ZAP (RFC 27), until the context ends. A question's frames are the version, its number, the
 * domain, the peer's address, its identity, the mechanism, and its credentials: with CURVE, its key of 32 bytes. */
static void *authenticate(void *argument) {
    struct authenticator *authenticator = argument;
    char frames[FRAMES][FRAME_SIZE];
    int lens[FRAMES];
    for (;;) {
        int count = 0, more = 1;
        size_t more_size = sizeof more;
        for (; more && count < FRAMES; count++) {
            lens[count] = zmq_recv(authenticator->handler, frames[count], FRAME_SIZE, 0);
            if (lens[count] < 0) {
                zmq_close(authenticator->handler);
                return NULL;
            }
            zmq_getsockopt(authenticator->handler, ZMQ_RCVMORE, &more, &more_size);
        }
        int is_known = count == FRAMES && lens[5] == 5 && memcmp(frames[5], "CURVE", 5) == 0 && lens[6] == KEY_LEN &&
                       memcmp(frames[6], authenticator->known_key, KEY_LEN) == 0;
        send_text(authenticator->handler, "1.0", ZMQ_SNDMORE);
        zmq_send(authenticator->handler, frames[1], lens[1], ZMQ_SNDMORE);
        send_text(authenticator->handler, is_known ? "200" : "400", ZMQ_SNDMORE);
        send_text(authenticator->handler, is_known ? "OK" : "who are you?", ZMQ_SNDMORE);
        send_text(authenticator->handler, is_known ? "Anna" : "", ZMQ_SNDMORE);
        send_text(authenticator->handler, "", 0); /* no further properties */
    }
}

static void *new_client(void *context, const char *endpoint, const char *server_key, const struct keys *keys) {
    void *client = new_socket(context, ZMQ_REQ);
    set_key(client, ZMQ_CURVE_SERVERKEY, server_key);
    set_key(client, ZMQ_CURVE_PUBLICKEY, keys->public_key);
    set_key(client, ZMQ_CURVE_SECRETKEY, keys->secret_key);
    int failed = zmq_connect(client, endpoint);
    assert(!failed);
    return client;
}

/* The code with which the next peer was refused. */
static uint32_t next_refusal(void *monitor) {
    uint8_t event[6];
    uint32_t code;
    char address[FRAME_SIZE];
    int len = zmq_recv(monitor, event, sizeof event, 0);
    assert(len == sizeof event);
    memcpy(&code, event + 2, sizeof code);
    zmq_recv(monitor, address, sizeof address, 0);
    return code;
}

int main(void) {
    void *context = zmq_ctx_new();
    struct keys server_keys = new_keys(), anna = new_keys(), eve = new_keys();

    /* Whoever answers here decides on all peers of this context's servers; it is bound before they come. */
    struct authenticator authenticator = {.handler = zmq_socket(context, ZMQ_REP)};
    zmq_z85_decode(authenticator.known_key, anna.public_key);
    int failed = zmq_bind(authenticator.handler, "inproc://zeromq.zap.01");
    assert(!failed);
    pthread_t thread;
    failed = pthread_create(&thread, NULL, authenticate, &authenticator);
    assert(!failed);

    void *server = new_socket(context, ZMQ_REP), *monitor = new_socket(context, ZMQ_PAIR);
    int is_server = 1;
    char endpoint[FRAME_SIZE];
    size_t endpoint_size = sizeof endpoint;
    failed = zmq_setsockopt(server, ZMQ_CURVE_SERVER, &is_server, sizeof is_server);
    assert(!failed);
    set_key(server, ZMQ_CURVE_SECRETKEY, server_keys.secret_key);
    failed = zmq_socket_monitor(server, "inproc://refusals", ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    assert(!failed);
    failed = zmq_connect(monitor, "inproc://refusals");
    assert(!failed);
    failed = zmq_bind(server, "tcp://127.0.0.1:*");
    assert(!failed);
    zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_size);

    void *client = new_client(context, endpoint, server_keys.public_key, &anna);
    send_text(client, "what is the time?", 0);
    zmq_msg_t question;
    zmq_msg_init(&question);
    int len = zmq_msg_recv(&question, server, 0);
    assert(len > 0);
    printf("%s asks: %.*s\n", zmq_msg_gets(&question, "User-Id"), len, (char *)zmq_msg_data(&question));
    zmq_msg_close(&question);
    send_text(server, "late", 0);
    char answer[FRAME_SIZE];
    len = zmq_recv(client, answer, sizeof answer, 0);
    assert(len > 0);
    printf("the answer: %.*s\n", len, answer);

    /* Eve knows the server's key, and is not known to it. */
    void *stranger = new_client(context, endpoint, server_keys.public_key, &eve);
    printf("somebody else: %u\n", next_refusal(monitor));

    zmq_socket_monitor(server, NULL, 0);
    void *sockets[] = {stranger, client, monitor, server};
    for (size_t index = 0; index < sizeof sockets / sizeof *sockets; index++) {
        zmq_close(sockets[index]);
    }
    zmq_ctx_shutdown(context);
    pthread_join(thread, NULL);
    return zmq_ctx_term(context);
}
