//! The other side of a measurement: a process, or a thread where the transport ends at the process's edge.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use clap::{Args, ValueEnum};
use nought::{Context, Push, RecvError, Rep, SendErrorKind};

use super::Transport;
use crate::{
    failure::Failure,
    offspring::{News, Offspring},
    output,
};

/// How long nothing may come from the other side before it is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the other side does.
#[derive(Args, Clone, Debug)]
pub(crate) struct PeerArgs {
    #[arg(value_enum)]
    pub(super) role: PeerRole,
    pub(super) endpoint: String,
    pub(super) size: usize,
    /// 0: until it is ended.
    pub(super) count: u64,
    #[arg(long)]
    pub(super) no_spin: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PeerRole {
    /// Sends messages.
    Push,
    /// Sends each request back.
    Reply,
}

/// The other side, while it runs. Dropping it ends it.
#[derive(Debug)]
pub(super) enum Peer {
    Process(#[expect(dead_code, reason = "it is held for its end")] Offspring),
    Thread { thread: Option<JoinHandle<Result<(), Failure>>>, context: Context },
}

impl Peer {
    pub(super) fn start(transport: Transport, context: &Context, args: PeerArgs) -> Result<Self, Failure> {
        let context = context.clone();
        if transport == Transport::Inproc {
            let of_peer = context.clone();
            let thread = thread::spawn(move || serve(&of_peer, &args));
            return Ok(Self::Thread { thread: Some(thread), context });
        }
        let is_endless = args.count == 0;
        let process = Offspring::start(&args.command_line(), move |news| {
            // It is not to be waited for.
            if is_endless && news == News::Ended {
                context.shutdown();
            }
        })?;
        Ok(Self::Process(process))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Self::Thread { thread, context } = self {
            context.shutdown();
            let ended = thread.take().map(JoinHandle::join);
            if let Some(Ok(Err(failure))) = ended {
                failure.message().into_iter().for_each(output::tell);
            }
        }
    }
}

impl PeerArgs {
    fn command_line(&self) -> Vec<String> {
        let role = self.role.to_possible_value().expect("no role is skipped");
        let mut line = vec!["bench-peer".to_owned(), role.get_name().to_owned(), self.endpoint.clone()];
        line.extend([self.size.to_string(), self.count.to_string()]);
        line.extend(self.no_spin.then(|| "--no-spin".to_owned()));
        line
    }

    fn spin(&self) -> Option<Duration> {
        self.no_spin.then_some(Duration::ZERO)
    }
}

/// The other side as a process.
pub(crate) fn run_peer(args: &PeerArgs) -> Result<(), Failure> {
    serve(&Context::builder().build()?, args)
}

fn serve(context: &Context, args: &PeerArgs) -> Result<(), Failure> {
    match args.role {
        PeerRole::Push => push(context, args),
        PeerRole::Reply => reply(context, args),
    }
}

fn push(context: &Context, args: &PeerArgs) -> Result<(), Failure> {
    let mut builder = context.socket_builder::<Push>();
    if let Some(spin) = args.spin() {
        builder = builder.spin(spin);
    }
    let push = builder.build()?;
    push.connect(&args.endpoint)?;
    let body = vec![0x61; args.size];
    for _ in turns(args.count) {
        match push.send(&body) {
            Err(error) if error.kind() == SendErrorKind::Terminated => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

fn reply(context: &Context, args: &PeerArgs) -> Result<(), Failure> {
    let mut builder = context.socket_builder::<Rep>();
    if let Some(spin) = args.spin() {
        builder = builder.spin(spin);
    }
    let rep = builder.build()?;
    rep.connect(&args.endpoint)?;
    for _ in turns(args.count) {
        match rep.recv() {
            Err(RecvError::Terminated) => return Ok(()),
            request => rep.send(request?)?,
        }
    }
    Ok(())
}

/// What it means that nothing was received from the other side.
pub(super) fn nothing_received(error: RecvError) -> Failure {
    match error {
        RecvError::TimedOut => Failure::error("the other side sends nothing"),
        RecvError::Terminated => Failure::error("the other side has ended"),
        _ => error.into(),
    }
}

fn turns(count: u64) -> impl Iterator<Item = u64> {
    0..if count == 0 { u64::MAX } else { count }
}
