"""CURVE with an authenticator: whose certificate is in the directory comes in, and nobody else.

It needs pyzmq, and runs on libzmq and on nought: python3 curve.py
"""

import tempfile
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

TIMEOUT_MS = 10_000


def new_socket(context, kind):
    socket = context.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = TIMEOUT_MS
    return socket


def new_client(context, endpoint, server_key, keys):
    client = new_socket(context, zmq.REQ)
    client.curve_serverkey = server_key
    client.curve_publickey, client.curve_secretkey = keys
    client.connect(endpoint)
    return client


def main(folder):
    known = folder / "known"
    known.mkdir()
    # The file that ends in .key is the server's; the one that ends in .key_secret stays with Anna.
    public_file, secret_file = zmq.auth.create_certificates(folder, "anna")
    Path(public_file).rename(known / "anna.key")
    anna = zmq.auth.load_certificate(secret_file)

    context = zmq.Context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve(domain="*", location=known)

    server_public, server_secret = zmq.curve_keypair()
    server = new_socket(context, zmq.REP)
    server.curve_server = True
    server.curve_secretkey = server_secret
    refusals = server.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    refusals.rcvtimeo = TIMEOUT_MS
    port = server.bind_to_random_port("tcp://127.0.0.1")
    endpoint = f"tcp://127.0.0.1:{port}"

    client = new_client(context, endpoint, server_public, anna)
    client.send_string("what is the time?")
    question = server.recv(copy=False)
    # What this authenticator says of a user is the key.
    assert question["User-Id"] == anna[0].decode()
    print(f"Anna asks: {question.bytes.decode()}")
    server.send_string("late")
    print(f"the answer: {client.recv_string()}")

    # Eve knows the server's key, and is not known to it.
    stranger = new_client(context, endpoint, server_public, zmq.curve_keypair())
    print(f"somebody else: {recv_monitor_message(refusals)['value']}")

    server.disable_monitor()
    for socket in (stranger, client, refusals, server):
        socket.close()
    authenticator.stop()
    context.term()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
