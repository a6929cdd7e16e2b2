/* Children of a process that has sockets open: one that ends, one that becomes another program, one that makes a context of
 * its own. The parent goes on each time. */

#include "program.h"
#include <dirent.h>
#include <sys/wait.h>

enum { FROM_CHILD = 4711 };

struct parent {
    void *context, *pull, *push;
    char endpoint[ENDPOINT_SIZE];
    const char *program;
    /* How many descriptors were open before there was a context. */
    char descriptors[16];
    int messages_of_children;
};

static int open_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    CHECK(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static void end(struct parent *parent) {
    (void)parent;
    exit(0);
}

static void become_another(struct parent *parent) {
    execl(parent->program, parent->program, parent->descriptors, (char *)NULL);
    _exit(1);
}

static void make_a_context(struct parent *parent) {
    void *context = zmq_ctx_new();
    void *pull = new_socket(context, ZMQ_PULL), *push = new_socket(context, ZMQ_PUSH);
    void *to_parent = new_socket(context, ZMQ_PUSH);
    uint32_t number;
    join(pull, push, "tcp://127.0.0.1:*");
    for (uint32_t sent = 0; sent < 100; sent++) {
        send_number(push, sent);
        CHECK(zmq_recv(pull, &number, sizeof number, 0) == sizeof number && number == sent);
    }
    CHECK(zmq_connect(to_parent, parent->endpoint) == 0);
    send_number(to_parent, FROM_CHILD);
    CHECK(zmq_close(pull) == 0 && zmq_close(push) == 0 && zmq_close(to_parent) == 0);
    CHECK(zmq_ctx_term(context) == 0);
    /* The parent's are of no use but to be given up. */
    CHECK(zmq_close(parent->pull) == 0 && zmq_close(parent->push) == 0);
    exit(0);
}

/* The messages go on within the parent, and what a child has sent is among them. */
static void go_on(struct parent *parent) {
    for (uint32_t sent = 0; sent < 1000; sent++) {
        uint32_t number;
        send_number(parent->push, sent);
        CHECK(zmq_recv(parent->pull, &number, sizeof number, 0) == sizeof number);
        if (number == FROM_CHILD) {
            parent->messages_of_children++;
            CHECK(zmq_recv(parent->pull, &number, sizeof number, 0) == sizeof number);
        }
        CHECK(number == sent);
    }
}

static void have_a_child(struct parent *parent, void (*child)(struct parent *)) {
    pid_t pid = fork();
    int status;
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(LIMIT_S);
        child(parent);
    }
    go_on(parent);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv) {
    /* It is what a child has become: none of the library's descriptors came along. */
    if (argc == 2) return open_descriptors() == atoi(argv[1]) ? 0 : 1;
    struct parent parent = {.program = argv[0]};
    size_t size = sizeof parent.endpoint;
    alarm(LIMIT_S);
    snprintf(parent.descriptors, sizeof parent.descriptors, "%d", open_descriptors());
    parent.context = zmq_ctx_new();
    parent.pull = new_socket(parent.context, ZMQ_PULL), parent.push = new_socket(parent.context, ZMQ_PUSH);
    join(parent.pull, parent.push, "tcp://127.0.0.1:*");
    CHECK(zmq_getsockopt(parent.pull, ZMQ_LAST_ENDPOINT, parent.endpoint, &size) == 0);
    go_on(&parent);
    have_a_child(&parent, end);
    have_a_child(&parent, become_another);
    have_a_child(&parent, make_a_context);
    go_on(&parent);
    CHECK(parent.messages_of_children == 1);
    CHECK(zmq_close(parent.pull) == 0 && zmq_close(parent.push) == 0);
    CHECK(zmq_ctx_term(parent.context) == 0);
    return 0;
}
