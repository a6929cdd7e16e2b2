//! STREAM: bytes to and from programs that do not speak ØMQ. Here an HTTP server, and a client of it.
//!
//! The first frame of each message names the peer, the second one holds bytes as they came or are to go, in pieces of
//! any size. An empty second frame: the peer has connected, or it is gone; sent, it closes the connection.

use std::{collections::HashMap, thread};

use anyhow::{Result, ensure};
use nought::{Context, Frame, Socket, Stream};

fn main() -> Result<()> {
    let context = Context::new();
    let server = context.socket::<Stream>()?;
    let endpoint = server.bind("tcp://127.0.0.1:*")?;

    let response = thread::scope(|scope| {
        let served = scope.spawn(|| serve(&server));
        let response = get(&context, &endpoint, "/weather");
        context.shutdown();
        served.join().expect("the server does not panic");
        response
    })?;

    assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\nyou asked for /weather\n"), "{response}");
    println!("{response}");
    Ok(())
}

/// Answers requests, one per connection, until the context ends.
fn serve(server: &Socket<Stream>) {
    let mut requests: HashMap<Frame, Vec<u8>> = HashMap::new();
    while let Ok(message) = server.recv() {
        let (peer, bytes) = (&message[0], &message[1]);
        let request = requests.entry(peer.clone()).or_default();
        request.extend_from_slice(bytes);
        // A request may come in pieces: it ends with an empty line.
        if request.ends_with(b"\r\n\r\n") {
            let response = respond(&requests.remove(peer).unwrap_or_default());
            // What fails here fails for this peer alone: it may be gone by now.
            let _ = server.send([peer.clone(), response.into()]);
            let _ = server.send([peer.clone(), Frame::new()]);
        }
    }
}

fn respond(request: &[u8]) -> String {
    let request = String::from_utf8_lossy(request);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let body = format!("you asked for {path}\n");
    format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Asks for a page, and returns all that the server said.
fn get(context: &Context, endpoint: &str, path: &str) -> Result<String> {
    // A server that is gone is not asked again: each attempt would be another connection.
    let client = context.socket_builder::<Stream>().reconnect_interval(None).build()?;
    client.connect_as(endpoint, "server")?;
    let connected = client.recv()?;
    ensure!(connected[0] == "server" && connected[1].is_empty(), "not the message that tells of the connection");

    client.send(["server", &format!("GET {path} HTTP/1.0\r\n\r\n")])?;
    let mut response = Vec::new();
    loop {
        let message = client.recv()?;
        if message[1].is_empty() {
            return Ok(String::from_utf8(response)?);
        }
        response.extend_from_slice(&message[1]);
    }
}
