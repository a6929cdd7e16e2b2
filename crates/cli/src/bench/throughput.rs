//! Messages per second, PUSH to PULL.

use std::time::{Duration, Instant};

use nought::{Pull, Push, Socket};

use super::{
    Extent, PairArgs, RoleArgs, Transport,
    arrival::wait_for_peer,
    contexts::Contexts,
    peer::{PATIENCE, Peer, PeerArgs, PeerRole, nothing_received},
    report::{self, Report, Throughput},
};
use crate::{endpoints, failure::Failure};

/// Between two looks at the clock about so many bytes pass, at most so many messages.
const STEP_BYTES: usize = 1 << 20;
const STEP_MESSAGES: usize = 1024;

/// Measures each case between two processes.
pub(super) fn run(args: &PairArgs, contexts: &Contexts) -> Result<(), Failure> {
    let report = Report { json: args.json };
    report.throughput_head()?;
    for (transport, size) in args.cases(64) {
        report.throughput(transport, &measure(transport, size, args, contexts)?)?;
    }
    Ok(())
}

fn measure(transport: Transport, size: usize, args: &PairArgs, contexts: &Contexts) -> Result<Throughput, Failure> {
    let context = contexts.make()?;
    let mut builder = context.socket_builder::<Pull>().recv_timeout(Some(PATIENCE));
    if let Some(spin) = args.spin() {
        builder = builder.spin(spin);
    }
    let pull = builder.build()?;
    let endpoint = pull.bind(transport.endpoint())?;
    let count = args.count.unwrap_or_default();
    let peer = PeerArgs { role: PeerRole::Push, endpoint, size, count, no_spin: args.no_spin };
    let _peer = Peer::start(transport, &context, peer)?;
    match args.extent() {
        Extent::Messages(count) => receive_count(&pull, size, count),
        Extent::Time(time) => {
            receive_for(&pull, size, time / 10)?;
            receive_for(&pull, size, time)
        }
    }
}

/// As libzmq's local_thr.
pub(super) fn run_local(args: &RoleArgs, contexts: &Contexts) -> Result<(), Failure> {
    let context = contexts.make()?;
    let pull = context.socket::<Pull>()?;
    let endpoint = endpoints::bind(&pull, &args.endpoint)?;
    wait_for_peer(&pull, &format!("to connect to {endpoint}"));
    let figures = receive_count(&pull, args.size, args.count)?;
    report::print_as_local_thr(&figures, args.count)
}

/// As libzmq's remote_thr.
pub(super) fn run_remote(args: &RoleArgs, contexts: &Contexts) -> Result<(), Failure> {
    let context = contexts.make()?;
    let push = context.socket::<Push>()?;
    endpoints::check_connecting(push.connect(&args.endpoint))?;
    wait_for_peer(&push, &format!("at {}", args.endpoint));
    let body = vec![0x61; args.size];
    for _ in 0..args.count {
        push.send(&body)?;
    }
    Ok(())
}

/// Receives `count` messages. The clock starts with the first, which is not counted.
fn receive_count(pull: &Socket<Pull>, size: usize, count: u64) -> Result<Throughput, Failure> {
    receive(pull, size)?;
    let start = Instant::now();
    for _ in 1..count {
        receive(pull, size)?;
    }
    Ok(Throughput { size, messages: count - 1, elapsed: start.elapsed() })
}

fn receive_for(pull: &Socket<Pull>, size: usize, time: Duration) -> Result<Throughput, Failure> {
    let step = (STEP_BYTES / size.max(1)).clamp(1, STEP_MESSAGES);
    receive(pull, size)?;
    let start = Instant::now();
    let mut messages = 0;
    while start.elapsed() < time {
        for _ in 0..step {
            receive(pull, size)?;
        }
        messages += step as u64;
    }
    Ok(Throughput { size, messages, elapsed: start.elapsed() })
}

#[inline]
fn receive(pull: &Socket<Pull>, size: usize) -> Result<(), Failure> {
    match pull.recv() {
        Ok(message) if message.as_slice().len() == size => Ok(()),
        Ok(message) => Err(wrong_size(message.body_len(), size)),
        Err(error) => Err(nothing_received(error)),
    }
}

/// The two sides were told different sizes.
pub(super) fn wrong_size(received: usize, size: usize) -> Failure {
    Failure::error(format!("a message has {received} bytes and SIZE is {size}: write the same SIZE on both sides"))
}
