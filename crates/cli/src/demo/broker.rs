//! The intermediary of a topology: it gives each request to the worker that has been free the longest.
//!
//! Clients connect to its frontend, workers to its backend, both ROUTERs. Three threads look at the frontend, the
//! backend, and what happens to the workers' connections; they meet in [`Balancer`], behind one lock.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::Args;
use nought::{
    Context, Frame, Message, Monitor, RecvError, Router, SendErrorKind, Socket, SocketEvent, SocketEventKind,
};

use super::{
    run_until_first_end,
    service::{self, Reply, Service},
};
use crate::{failure::Failure, offspring};

/// Requests that wait here for a worker; more of them wait in the frontend's queues.
const PENDING_MAX: usize = 64;
/// A request that was lost with so many workers is not given to another: it may be what kills them.
const LOSSES_MAX: u32 = 2;
/// A worker that is silent for three of these is lost.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The intermediary as a process.
#[derive(Args, Debug)]
pub(crate) struct BrokerArgs {
    /// Which topology it is in the middle of.
    #[arg(value_enum)]
    service: Service,
}

/// Runs the intermediary until its parent ends.
pub(crate) fn run(args: BrokerArgs) -> Result<(), Failure> {
    let context = Context::builder().build()?;
    let frontend = context.socket::<Router>()?;
    let backend = context
        .socket_builder::<Router>()
        .router_mandatory(true)
        .router_handover(true)
        .heartbeat_interval(Some(HEARTBEAT))
        .heartbeat_timeout(Some(HEARTBEAT * 2))
        .build()?;
    let monitor = backend.monitor();
    let for_clients = frontend.bind("tcp://127.0.0.1:*")?;
    let for_workers = backend.bind("tcp://127.0.0.1:*")?;
    let broker =
        Broker { service: args.service, frontend, backend, balancer: Mutex::default(), has_room: Condvar::new() };
    offspring::tell_ready(&format!("{for_clients} {for_workers}"))?;
    broker.run(monitor)
}

struct Broker {
    service: Service,
    frontend: Socket<Router>,
    backend: Socket<Router>,
    balancer: Mutex<Balancer>,
    has_room: Condvar,
}

/// Who is free, who is busy with what, and what waits.
#[derive(Debug, Default)]
struct Balancer {
    /// The workers that are free, the one that is so the longest first.
    free: VecDeque<Frame>,
    busy: HashMap<Frame, Job>,
    pending: VecDeque<Job>,
    /// The worker behind each connection, known by the peer's endpoint.
    connections: HashMap<String, Frame>,
}

/// A request with its envelope.
#[derive(Clone, Debug)]
struct Job {
    request: Message,
    /// Workers that were lost with it.
    losses: u32,
}

impl Broker {
    fn run(self, monitor: Monitor) -> Result<(), Failure> {
        let broker = Arc::new(self);
        let [for_frontend, for_backend, for_workers] = [(); 3].map(|()| Arc::clone(&broker));
        run_until_first_end(vec![
            Box::new(move || for_frontend.watch_frontend()),
            Box::new(move || for_backend.watch_backend()),
            Box::new(move || for_workers.watch_workers(&monitor)),
        ])
    }

    fn watch_frontend(&self) -> Result<(), Failure> {
        loop {
            let request = self.frontend.recv()?;
            let mut balancer = self.lock();
            while balancer.pending.len() >= PENDING_MAX {
                balancer = self.has_room.wait(balancer).unwrap_or_else(PoisonError::into_inner);
            }
            balancer.add(request);
            self.hand_out(balancer)?;
        }
    }

    fn watch_backend(&self) -> Result<(), Failure> {
        loop {
            let mut message = self.backend.recv()?;
            let worker = message.pop_front().expect("a ROUTER puts the peer's name in front");
            let mut balancer = self.lock();
            balancer.has_become_free(worker);
            if message.body_len() > 0 {
                self.frontend.send(message)?;
            }
            self.hand_out(balancer)?;
        }
    }

    fn watch_workers(&self, monitor: &Monitor) -> Result<(), Failure> {
        loop {
            match monitor.recv() {
                Ok(event) => self.note(event)?,
                Err(RecvError::Terminated) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note(&self, event: SocketEvent) -> Result<(), Failure> {
        let Some(remote) = event.remote else { return Ok(()) };
        let mut balancer = self.lock();
        match event.kind {
            SocketEventKind::HandshakeSucceeded { peer } => {
                balancer.connections.insert(remote, peer.routing_id.clone());
                Ok(())
            }
            SocketEventKind::Disconnected { .. } => {
                if let Some(job) = balancer.has_lost(&remote) {
                    self.retry(&mut balancer, job)?;
                }
                self.hand_out(balancer)
            }
            _ => Ok(()),
        }
    }

    /// A job whose worker was lost goes to the next one, before all others; after too many losses, back to its client.
    fn retry(&self, balancer: &mut Balancer, mut job: Job) -> Result<(), Failure> {
        job.losses += 1;
        if job.losses < LOSSES_MAX {
            balancer.pending.push_front(job);
            return Ok(());
        }
        let reason = format!("{} workers were lost with it", job.losses);
        let reply = Reply { worker: format!("{} intermediary", self.service), result: Err(reason) };
        let mut message = reply.into_message();
        service::put_envelope(service::take_envelope(&mut job.request), &mut message);
        Ok(self.frontend.send(message)?)
    }

    /// Gives what waits to those who are free.
    fn hand_out(&self, mut balancer: MutexGuard<'_, Balancer>) -> Result<(), Failure> {
        while let Some((worker, job)) = balancer.next_pair() {
            let mut message = job.request.clone();
            message.push_front(&worker);
            match self.backend.try_send(message) {
                Ok(()) => drop(balancer.busy.insert(worker, job)),
                // It has gone, and the monitor has not said so yet.
                Err(error) if matches!(error.kind(), SendErrorKind::Unroutable | SendErrorKind::WouldBlock) => {
                    balancer.pending.push_front(job);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.has_room.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Balancer {
    /// A client that asks again has given up what it asked before: that need not be done any more.
    fn add(&mut self, request: Message) {
        self.pending.retain(|job| job.request.first() != request.first());
        self.pending.push_back(Job { request, losses: 0 });
    }

    fn has_become_free(&mut self, worker: Frame) {
        self.busy.remove(&worker);
        if !self.free.contains(&worker) {
            self.free.push_back(worker);
        }
    }

    /// A worker's connection is gone. Returns what it was busy with.
    fn has_lost(&mut self, remote: &str) -> Option<Job> {
        let worker = self.connections.remove(remote)?;
        if !self.connections.values().any(|other| *other == worker) {
            self.free.retain(|free| *free != worker);
        }
        self.busy.remove(&worker)
    }

    fn next_pair(&mut self) -> Option<(Frame, Job)> {
        if self.pending.is_empty() {
            return None;
        }
        Some((self.free.pop_front()?, self.pending.pop_front()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(client: &str, number: &str) -> Message {
        Message::from([client, number, "", "320", "picture"])
    }

    #[test]
    fn the_worker_that_is_free_the_longest_is_next() {
        let mut balancer = Balancer::default();
        ["a", "b", "a"].into_iter().for_each(|worker| balancer.has_become_free(worker.into()));
        assert!(balancer.next_pair().is_none());
        ["x", "y", "z"].into_iter().for_each(|client| balancer.add(request(client, "1")));
        assert_eq!(balancer.next_pair().unwrap().0, "a");
        assert_eq!(balancer.next_pair().unwrap().0, "b");
        assert!(balancer.next_pair().is_none());
        assert_eq!(balancer.pending.len(), 1);
    }

    #[test]
    fn who_asks_again_waits_once() {
        let mut balancer = Balancer::default();
        balancer.add(request("x", "1"));
        balancer.add(request("x", "2"));
        assert_eq!(balancer.pending.len(), 1);
        assert_eq!(balancer.pending[0].request, request("x", "2"));
    }

    #[test]
    fn a_lost_worker_leaves_its_job() {
        let mut balancer = Balancer::default();
        balancer.connections.insert("tcp://1".into(), "a".into());
        balancer.busy.insert("a".into(), Job { request: request("x", "1"), losses: 0 });
        assert!(balancer.has_lost("tcp://2").is_none());
        assert_eq!(balancer.has_lost("tcp://1").unwrap().request, request("x", "1"));
        assert!(balancer.has_lost("tcp://1").is_none());
    }

    #[test]
    fn a_worker_that_is_back_stays_free() {
        let mut balancer = Balancer::default();
        balancer.connections.insert("tcp://1".into(), "a".into());
        balancer.connections.insert("tcp://2".into(), "a".into());
        balancer.has_become_free("a".into());
        assert!(balancer.has_lost("tcp://1").is_none());
        assert_eq!(balancer.free, ["a"]);
    }
}
