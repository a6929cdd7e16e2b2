"""How many messages per second go from a PUSH to a PULL in another process, by pyzmq."""

import argparse
import multiprocessing
import time

import zmq


def push(url, count, size):
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(url)
        body = b"x" * size
        for _ in range(count + 1):
            socket.send(body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    arguments = parser.parse_args()
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(arguments.url)
        sender = multiprocessing.get_context("spawn").Process(
            target=push, args=(arguments.url, arguments.count, arguments.size)
        )
        sender.start()
        socket.recv()
        began = time.monotonic()
        for _ in range(arguments.count):
            socket.recv()
        elapsed = time.monotonic() - began
        sender.join()
    print(f"mean throughput: {arguments.count / elapsed:.0f} [msg/s]")


if __name__ == "__main__":
    main()
