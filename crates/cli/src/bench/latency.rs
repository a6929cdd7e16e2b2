//! Round-trip times, REQ to REP.

use std::time::{Duration, Instant};

use nought::{Rep, Req, Socket};

use super::{
    Extent, PairArgs, RoleArgs, Transport,
    arrival::wait_for_peer,
    contexts::Contexts,
    peer::{PATIENCE, Peer, PeerArgs, PeerRole, nothing_received},
    report::{self, Report},
    throughput::wrong_size,
};
use crate::{endpoints, failure::Failure, samples::Samples};

/// Measures each case between two processes.
pub(super) fn run(args: &PairArgs, contexts: &Contexts) -> Result<(), Failure> {
    let report = Report { json: args.json };
    report.latency_head()?;
    for (transport, size) in args.cases(1) {
        report.latency(transport, size, &mut measure(transport, size, args, contexts)?)?;
    }
    Ok(())
}

fn measure(transport: Transport, size: usize, args: &PairArgs, contexts: &Contexts) -> Result<Samples, Failure> {
    let context = contexts.make()?;
    let mut builder =
        context.socket_builder::<Req>().send_timeout(Some(PATIENCE)).recv_timeout(Some(PATIENCE)).immediate(true);
    if let Some(spin) = args.spin() {
        builder = builder.spin(spin);
    }
    let req = builder.build()?;
    let endpoint = req.bind(transport.endpoint())?;
    let peer = PeerArgs { role: PeerRole::Reply, endpoint, size, count: 0, no_spin: args.no_spin };
    let _peer = Peer::start(transport, &context, peer)?;
    match args.extent() {
        Extent::Messages(count) => ask_count(&req, size, count),
        Extent::Time(time) => {
            ask_for(&req, size, time / 10)?;
            ask_for(&req, size, time)
        }
    }
}

/// As libzmq's local_lat.
pub(super) fn run_local(args: &RoleArgs, contexts: &Contexts) -> Result<(), Failure> {
    let context = contexts.make()?;
    let rep = context.socket::<Rep>()?;
    let endpoint = endpoints::bind(&rep, &args.endpoint)?;
    wait_for_peer(&rep, &format!("to connect to {endpoint}"));
    for _ in 0..args.count {
        let request = rep.recv()?;
        if request.body_len() != args.size {
            return Err(wrong_size(request.body_len(), args.size));
        }
        rep.send(request)?;
    }
    Ok(())
}

/// As libzmq's remote_lat.
pub(super) fn run_remote(args: &RoleArgs, contexts: &Contexts) -> Result<(), Failure> {
    let context = contexts.make()?;
    let req = context.socket::<Req>()?;
    endpoints::check_connecting(req.connect(&args.endpoint))?;
    // Connecting is no part of the first round trip.
    wait_for_peer(&req, &format!("at {}", args.endpoint));
    let mut samples = ask_count(&req, args.size, args.count)?;
    report::print_as_remote_lat(args.size, &mut samples)
}

fn ask_count(req: &Socket<Req>, size: usize, count: u64) -> Result<Samples, Failure> {
    let body = vec![0x61; size];
    let mut samples = Samples::default();
    for _ in 0..count {
        samples.push(ask(req, &body)?);
    }
    Ok(samples)
}

fn ask_for(req: &Socket<Req>, size: usize, time: Duration) -> Result<Samples, Failure> {
    let body = vec![0x61; size];
    let mut samples = Samples::default();
    let start = Instant::now();
    while start.elapsed() < time {
        samples.push(ask(req, &body)?);
    }
    Ok(samples)
}

#[inline]
fn ask(req: &Socket<Req>, body: &[u8]) -> Result<Duration, Failure> {
    let start = Instant::now();
    req.send(body)?;
    let reply = req.recv().map_err(nothing_received)?;
    let time = start.elapsed();
    if reply.body_len() == body.len() { Ok(time) } else { Err(wrong_size(reply.body_len(), body.len())) }
}
