//! REQ and REP: a question, then its answer, in turns (RFC 28).

use std::{thread, time::Duration};

use anyhow::Result;
use nought::{Context, RecvError, Rep, Req, SendErrorKind, Socket};

fn main() -> Result<()> {
    let context = Context::new();
    let server = context.socket::<Rep>()?;
    let endpoint = server.bind("tcp://127.0.0.1:*")?;

    thread::scope(|scope| {
        scope.spawn(|| serve(&server));
        let result = ask(&context, &endpoint);
        // Ends the server too, whatever the result is.
        context.shutdown();
        result
    })
}

/// Answers each request with itself in capitals, until the context ends.
fn serve(server: &Socket<Rep>) {
    while let Ok(request) = server.recv() {
        let reply = request.as_slice().to_ascii_uppercase();
        if server.send(reply).is_err() {
            return;
        }
    }
}

fn ask(context: &Context, endpoint: &str) -> Result<()> {
    let client = context.socket_builder::<Req>().recv_timeout(Some(Duration::from_secs(10))).build()?;
    client.connect(endpoint)?;
    for (request, expected) in [("hello", "HELLO"), ("world", "WORLD")] {
        client.send(request)?;

        // The turns are kept: a second request must wait for the reply to the first one. The error holds the message.
        let error = client.send("too early").unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::OutOfTurn);
        assert_eq!(error.into_message(), "too early");

        assert_eq!(client.recv()?, expected);
        assert_eq!(client.try_recv(), Err(RecvError::OutOfTurn));
        println!("{request} → {expected}");
    }
    Ok(())
}
