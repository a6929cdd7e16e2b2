//! CURVE with an authenticator: whose certificate is in the directory comes in, and nobody else.
//!
//!     cargo run -p nought-examples --example curve

use std::{error::Error, fs, time::Duration};

use nought::{
    Context, CurveClient, CurveServer, Rep, Req, SocketEventKind, new_keys,
    security::{AccessRules, Certificate},
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("nought-curve-{}", std::process::id()));
    fs::create_dir(&directory)?;
    // What `nought keygen` does: the file for the server, and the one with the secret key for Anna alone.
    let anna = directory.join("anna");
    Certificate::new(new_keys()).with_metadata("name", "Anna").save(&anna)?;

    let context = Context::new();
    let _authentication = context.authenticate(AccessRules::new().curve_certificates(&directory)?)?;
    let server_keys = new_keys();
    let server_key = *server_keys.public_key();
    let server = context.socket_builder::<Rep>().security(CurveServer::new(server_keys)).build()?;
    let monitor = server.monitor();
    let endpoint = server.bind("tcp://127.0.0.1:*")?;

    let keys = Certificate::load(&anna)?.keys().ok_or("there is no secret key")?;
    let client = context.socket_builder::<Req>().security(CurveClient::new(server_key, keys)).build()?;
    client.connect(&endpoint)?;
    client.send("what is the time?")?;
    let (question, peer) = server.recv_from()?;
    let peer = peer.ok_or("a REP knows who asks")?;
    let name = peer.granted.get("name").unwrap_or_default();
    println!("{} asks: {}", name.escape_ascii(), question.as_slice().escape_ascii());
    server.send("late")?;
    println!("the answer: {}", client.recv()?.as_slice().escape_ascii());

    // Eve knows the server's key, and is not known to it.
    let eve = context.socket_builder::<Req>().security(CurveClient::new(server_key, new_keys()));
    let eve = eve.linger(Some(Duration::ZERO)).build()?;
    eve.connect(&endpoint)?;
    loop {
        if let SocketEventKind::HandshakeFailed { error } = monitor.recv_timeout(Duration::from_secs(10))?.kind {
            println!("somebody else: {error}");
            break;
        }
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}
