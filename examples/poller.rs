//! A poller: one thread that waits for two sockets and a file descriptor.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use anyhow::Result;
use nought::{Context, Poller, Pub, Pull, Push, Readiness, Sub};

fn main() -> Result<()> {
    let context = Context::new();
    let tasks = context.socket::<Pull>()?;
    tasks.bind("inproc://tasks")?;
    let news = context.socket::<Sub>()?;
    news.subscribe("")?;
    news.bind("inproc://news")?;
    let (mut bytes, other_end) = UnixStream::pair()?;
    let from_outside = bytes.try_clone()?;

    let mut poller = Poller::new()?;
    let tasks_key = poller.add(&tasks, Readiness::READABLE)?;
    let news_key = poller.add(&news, Readiness::READABLE)?;
    let bytes_key = poller.add_fd(from_outside.as_fd(), Readiness::READABLE)?;

    assert!(poller.poll(Some(Duration::from_millis(10)))?.is_empty(), "nobody has sent anything yet");

    let senders = {
        let context = context.clone();
        thread::spawn(move || send(&context, other_end))
    };
    let mut seen = Vec::new();
    while seen.len() < 4 {
        for event in poller.poll(None)? {
            // What is not taken now is ready at the next poll again.
            if event.key == tasks_key {
                seen.push(format!("{:?}", tasks.recv()?));
            } else if event.key == news_key {
                seen.push(format!("{:?}", news.recv()?));
            } else if event.key == bytes_key {
                let mut buffer = [0; 64];
                match bytes.read(&mut buffer)? {
                    // The other end is closed: from now on that would be ready for ever.
                    0 => poller.remove(bytes_key)?,
                    len => seen.push(String::from_utf8_lossy(&buffer[..len]).into_owned()),
                }
            }
        }
    }
    senders.join().expect("the senders do not panic")?;
    println!("{seen:#?}");
    seen.sort();
    assert_eq!(seen, [r#"["a task"]"#, r#"["another task"]"#, r#"["news"]"#, "bytes"]);
    Ok(())
}

fn send(context: &Context, mut other_end: UnixStream) -> Result<()> {
    let source = context.socket::<Push>()?;
    source.connect("inproc://tasks")?;
    let publisher = context.socket::<Pub>()?;
    publisher.connect("inproc://news")?;
    source.send_batch(["a task", "another task"])?;
    publisher.send("news")?;
    other_end.write_all(b"bytes")?;
    Ok(())
}
