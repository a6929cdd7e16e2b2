//! The client: sends pictures through one topology after the other.
//!
//! It has several lanes, threads that take a picture each through all steps. A lane asks over a REQ socket per
//! topology. A reply that does not come in time is asked for again: the request may have been lost with a worker.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError, mpsc::Sender},
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Frame, RecvError, Req, SendErrorKind, Socket};

use super::{
    Event,
    pictures::Source,
    service::{Reply, Request, Service},
};
use crate::failure::Failure;

/// How often a request is sent before its picture is given up.
const ATTEMPTS_MAX: u32 = 5;

/// What is done to each picture, and how.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) steps: Vec<Step>,
    pub(super) output: PathBuf,
    pub(super) patience: Duration,
    pub(super) lanes: usize,
}

/// One topology on the way of a picture.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) service: Service,
    pub(super) parameter: String,
    pub(super) endpoint: String,
}

/// What became of a picture.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) result: Result<Passage, Trouble>,
}

/// The way of a picture through all topologies.
#[derive(Debug, Default)]
pub(super) struct Passage {
    pub(super) visits: Vec<Visit>,
    pub(super) bytes_in: usize,
    pub(super) bytes_out: usize,
}

/// What one topology did.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) service: Service,
    pub(super) worker: String,
    pub(super) time: Duration,
    /// How often the request was sent: once, if all goes well.
    pub(super) attempts: u32,
}

/// Why a picture is not there.
#[derive(Debug)]
pub(super) enum Trouble {
    /// In words.
    Failed(String),
    /// The demo ends before its time.
    Stopped,
}

/// A thread's sockets, in the order of the steps.
struct Lane<'a> {
    client: &'a Client,
    sockets: Vec<Socket<Req>>,
}

impl Client {
    /// Sends all pictures on their way and tells of each, while `meanwhile` runs on this thread.
    pub(super) fn run<T>(
        &self,
        context: &Context,
        sources: Vec<Source>,
        events: &Sender<Event>,
        meanwhile: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let lanes = (0..self.lanes.min(sources.len())).map(|_| self.lane(context)).collect::<Result<Vec<_>, _>>()?;
        let queue = &Mutex::new(sources.into_iter());
        thread::scope(|scope| {
            for lane in lanes {
                let events = events.clone();
                scope.spawn(move || {
                    // The lock is not held while a picture is on its way.
                    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some(source) = next() {
                        let outcome = Outcome { name: source.name(), result: lane.pass(&source) };
                        if matches!(outcome.result, Err(Trouble::Stopped)) {
                            break;
                        }
                        let _ = events.send(Event::Picture(outcome));
                    }
                });
            }
            meanwhile()
        })
    }

    fn lane(&self, context: &Context) -> Result<Lane<'_>, Failure> {
        let connect = |step: &Step| {
            let builder = context.socket_builder::<Req>().req_relaxed(true).req_correlate(true);
            let socket = builder.linger(Some(Duration::ZERO)).build()?;
            socket.connect(&step.endpoint)?;
            Ok(socket)
        };
        Ok(Lane { client: self, sockets: self.steps.iter().map(connect).collect::<Result<_, Failure>>()? })
    }
}

impl Lane<'_> {
    /// Takes a picture through all steps, and writes the result.
    fn pass(&self, source: &Source) -> Result<Passage, Trouble> {
        let mut picture = Frame::from(source.load().map_err(Trouble::Failed)?);
        let mut passage = Passage { bytes_in: picture.len(), ..Passage::default() };
        for (step, socket) in self.client.steps.iter().zip(&self.sockets) {
            let request = Request { parameter: step.parameter.as_str().into(), picture };
            let (visit, made) = self.visit(step.service, socket, &request)?;
            passage.visits.push(visit);
            picture = made;
        }
        passage.bytes_out = picture.len();
        let path = self.client.output.join(source.name());
        match std::fs::write(&path, &picture) {
            Ok(()) => Ok(passage),
            Err(error) => Err(Trouble::Failed(format!("cannot write {}: {error}", path.display()))),
        }
    }

    fn visit(&self, service: Service, socket: &Socket<Req>, request: &Request) -> Result<(Visit, Frame), Trouble> {
        let start = Instant::now();
        let mut patience = self.client.patience;
        for attempts in 1..=ATTEMPTS_MAX {
            if let Some(reply) = ask(socket, request, patience)? {
                let visit = Visit { service, worker: reply.worker, time: start.elapsed(), attempts };
                let failed = |reason| Trouble::Failed(format!("{} cannot {service} it: {reason}", visit.worker));
                return match reply.result {
                    Ok(picture) => Ok((visit, picture)),
                    Err(reason) => Err(failed(reason)),
                };
            }
            patience *= 2;
        }
        Err(Trouble::Failed(format!("no reply to {service} it came, though it was asked for {ATTEMPTS_MAX} times")))
    }
}

/// Sends a request and receives its reply; `None` if that does not come in time.
fn ask(socket: &Socket<Req>, request: &Request, patience: Duration) -> Result<Option<Reply>, Trouble> {
    match socket.send_timeout(request.to_message(), patience) {
        Ok(()) => {}
        Err(error) if error.kind() == SendErrorKind::TimedOut => return Ok(None),
        Err(error) if error.kind() == SendErrorKind::Terminated => return Err(Trouble::Stopped),
        Err(error) => return Err(Trouble::Failed(error.to_string())),
    }
    match socket.recv_timeout(patience) {
        Ok(reply) => {
            Reply::from_message(&reply).map(Some).ok_or_else(|| Trouble::Failed("the reply is nonsense".into()))
        }
        Err(RecvError::TimedOut) => Ok(None),
        Err(RecvError::Terminated) => Err(Trouble::Stopped),
        Err(error) => Err(Trouble::Failed(error.to_string())),
    }
}
