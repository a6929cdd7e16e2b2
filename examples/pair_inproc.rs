//! PAIR over inproc: two threads of a program talk to each other, and to nobody else (RFC 31).

use std::thread;

use anyhow::Result;
use nought::{Context, Pair, RecvError, Socket};

fn main() -> Result<()> {
    let context = Context::new();
    // Within a process the order does not matter: this one connects to a name that nobody has bound yet, and what it
    // sends waits.
    let near = context.socket::<Pair>()?;
    near.connect("inproc://conversation")?;
    near.send("are you there?")?;

    let far = context.socket::<Pair>()?;
    far.bind("inproc://conversation")?;
    let far_end = thread::spawn(move || answer(&far));

    assert_eq!(near.recv()?, "yes");
    // A large body moves by reference: it is not copied on its way to the other thread.
    let picture = vec![7_u8; 10 * 1024 * 1024];
    near.send(picture.clone())?;
    let returned = near.recv()?;
    assert_eq!(returned, picture);
    near.send("goodbye")?;
    far_end.join().expect("the other thread does not panic")?;
    assert_eq!(near.try_recv(), Err(RecvError::WouldBlock));
    println!("{} bytes went there and back", returned.body_len());
    Ok(())
}

fn answer(far: &Socket<Pair>) -> Result<()> {
    assert_eq!(far.recv()?, "are you there?");
    far.send("yes")?;
    let picture = far.recv()?;
    far.send(picture)?;
    assert_eq!(far.recv()?, "goodbye");
    Ok(())
}
