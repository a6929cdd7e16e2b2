//! ROUTER and REQ: work for whoever asks for some.
//!
//! PUSH deals its messages out in turns, whether a worker is fast or slow. Here each worker asks for its next task, and
//! the ROUTER answers the one that asked: the fast ones ask more often. The first frame of a ROUTER's message names the
//! peer; the empty second one is the envelope that a REQ puts around its request.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use nought::{Context, Frame, Message, Req, Router, Socket};

const TASKS: usize = 200;

fn main() -> Result<()> {
    let context = Context::new();
    let hub = context.socket::<Router>()?;
    let endpoint = hub.bind("tcp://127.0.0.1:*")?;

    thread::scope(|scope| {
        let slow = scope.spawn(|| work(&context, &endpoint, "slow", Duration::from_millis(20)));
        let fast = scope.spawn(|| work(&context, &endpoint, "fast", Duration::ZERO));
        let began = Instant::now();
        let handed_out = deal(&hub);
        if handed_out.is_err() {
            context.shutdown();
        }
        handed_out?;
        let (slow, fast) = (slow.join().expect("no panic")?, fast.join().expect("no panic")?);
        assert_eq!(slow + fast, TASKS);
        assert!(fast > slow, "the fast worker did {fast}, the slow one {slow}");
        println!("{TASKS} tasks in {:.0?}: the fast worker did {fast}, the slow one {slow}", began.elapsed());
        Ok(())
    })
}

/// Answers each request with a task, and when there are no more, each worker's with an empty one.
fn deal(hub: &Socket<Router>) -> Result<()> {
    for task in 0..TASKS {
        let worker = next_request(hub)?;
        hub.send([worker, Frame::new(), task.to_string().into()])?;
    }
    for _ in ["slow", "fast"] {
        let worker = next_request(hub)?;
        hub.send([worker, Frame::new(), Frame::new()])?;
    }
    Ok(())
}

/// Waits for a request, and returns the routing id of who sent it.
fn next_request(hub: &Socket<Router>) -> Result<Frame> {
    let mut request: Message = hub.recv()?;
    assert_eq!(request.len(), 3);
    Ok(request.pop_front().expect("it has three frames"))
}

/// Asks for tasks until there are no more, and returns how many there were.
fn work(context: &Context, endpoint: &str, name: &str, time_per_task: Duration) -> Result<usize> {
    let socket = context.socket_builder::<Req>().routing_id(name).build()?;
    socket.connect(endpoint)?;
    let mut done = 0;
    loop {
        socket.send("a task, please")?;
        if socket.recv()?.as_slice().is_empty() {
            return Ok(done);
        }
        thread::sleep(time_per_task);
        done += 1;
    }
}
