//! CLIENT and SERVER: requests from several threads over one socket each side, answered in any order (RFC 41).

use std::thread;

use anyhow::Result;
use nought::{Client, Context, Server, Socket};

const REQUESTS: usize = 100;

fn main() -> Result<()> {
    let context = Context::new();
    let server = context.socket::<Server>()?;
    let endpoint = server.bind("tcp://127.0.0.1:*")?;
    let clients = [context.socket::<Client>()?, context.socket::<Client>()?];
    clients.iter().try_for_each(|client| client.connect(&endpoint))?;

    thread::scope(|scope| {
        // Two workers share the server's socket: each request goes to one of them, with the number of its client.
        let workers = [(); 2].map(|()| scope.spawn(|| serve(&server)));
        for client in &clients {
            for number in 0..REQUESTS {
                client.send(format!("request {number}"))?;
            }
        }
        for client in &clients {
            for _ in 0..REQUESTS {
                assert!(client.recv()?.as_slice().starts_with(b"reply to request "));
            }
        }
        for worker in workers {
            worker.join().expect("a worker does not panic")?;
        }
        println!("{} requests were answered", clients.len() * REQUESTS);
        Ok(())
    })
}

fn serve(server: &Socket<Server>) -> Result<()> {
    for _ in 0..REQUESTS {
        let request = server.recv()?;
        let client = request.routing_id().expect("each request has one");
        server.send_to(client, [b"reply to ", request.as_slice()].concat())?;
    }
    Ok(())
}
