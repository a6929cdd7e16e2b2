//! `nought bench`: throughput and latency, between two processes of this program or with libzmq's perf programs.

mod arrival;
mod contexts;
mod latency;
mod peer;
mod report;
mod throughput;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use self::contexts::Contexts;
pub(crate) use self::peer::{PeerArgs, run_peer};
use crate::{endpoints, failure::Failure, units};

const EXAMPLES: &str = "\
Examples:
  nought bench throughput --transport tcp,ipc --size 64,1K,64K
  nought bench latency
  nought bench local-thr 'tcp://*:5555' 64 1000000           with libzmq's remote_thr at the other end:
  remote_thr tcp://localhost:5555 64 1000000";

/// Measure throughput and latency
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) enum BenchCommand {
    /// Messages per second, PUSH to PULL, between two processes
    Throughput(PairArgs),
    /// Round-trip times, REQ to REP, between two processes
    Latency(PairArgs),
    /// As libzmq's local_thr: binds, receives COUNT messages
    LocalThr(RoleArgs),
    /// As libzmq's remote_thr: connects, sends COUNT messages
    RemoteThr(RoleArgs),
    /// As libzmq's local_lat: binds, sends COUNT messages back
    LocalLat(RoleArgs),
    /// As libzmq's remote_lat: connects, measures COUNT round trips
    RemoteLat(RoleArgs),
}

/// What is measured between two processes.
#[derive(Args, Debug)]
pub(crate) struct PairArgs {
    /// Transports, one after the other
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TRANSPORT", default_value = "tcp")]
    transport: Vec<Transport>,

    /// Sizes of a message in bytes, or K or M, one after the other [default: 64 for throughput, 1 for latency]
    #[arg(long, value_name = "SIZE", value_delimiter = ',')]
    #[arg(value_parser = units::parse_size, allow_hyphen_values = true)]
    size: Vec<usize>,

    /// How long each is measured, after a warm-up
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = units::parse_positive_duration, allow_hyphen_values = true)]
    duration: Duration,

    /// How many messages each takes, in the place of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    #[arg(value_parser = units::parse_count::<u64, 2>, allow_negative_numbers = true)]
    count: Option<u64>,

    /// Sleep at once when waiting, in the place of polling for some microseconds first
    #[arg(long)]
    no_spin: bool,

    /// Print a line of JSON for each, in the place of a table
    #[arg(long)]
    json: bool,
}

/// The arguments of libzmq's perf programs.
#[derive(Args, Debug)]
pub(crate) struct RoleArgs {
    /// Where to bind or connect
    #[arg(value_parser = endpoints::parse_between_processes)]
    endpoint: String,
    /// The size of a message in bytes
    #[arg(value_parser = units::parse_size, allow_negative_numbers = true)]
    size: usize,
    /// The number of messages, the same on both sides
    #[arg(value_parser = units::parse_count::<u64, 1>, allow_negative_numbers = true)]
    count: u64,
}

/// A transport to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Over the loopback interface
    Tcp,
    /// Over a Unix socket
    Ipc,
    /// Between two threads of one process
    Inproc,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Inproc => "inproc",
        }
    }

    /// An endpoint to bind, with a free place chosen by the system.
    fn endpoint(self) -> &'static str {
        match self {
            Self::Tcp => "tcp://127.0.0.1:*",
            Self::Ipc => "ipc://*",
            Self::Inproc => "inproc://bench",
        }
    }
}

/// When a measurement ends.
#[derive(Clone, Copy, Debug)]
enum Extent {
    Time(Duration),
    Messages(u64),
}

impl BenchCommand {
    /// The subcommand's name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Throughput(_) => "throughput",
            Self::Latency(_) => "latency",
            Self::LocalThr(_) => "local-thr",
            Self::RemoteThr(_) => "remote-thr",
            Self::LocalLat(_) => "local-lat",
            Self::RemoteLat(_) => "remote-lat",
        }
    }
}

impl PairArgs {
    fn extent(&self) -> Extent {
        self.count.map_or(Extent::Time(self.duration), Extent::Messages)
    }

    /// Each transport with each size.
    fn cases(&self, size_default: usize) -> Vec<(Transport, usize)> {
        let size_default = [size_default];
        let sizes = if self.size.is_empty() { &size_default } else { &self.size[..] };
        self.transport.iter().flat_map(|&transport| sizes.iter().map(move |&size| (transport, size))).collect()
    }

    /// How long a socket polls before it sleeps, where that is not left to the library.
    fn spin(&self) -> Option<Duration> {
        self.no_spin.then_some(Duration::ZERO)
    }
}

/// Measures and reports.
pub(crate) fn run(command: BenchCommand) -> Result<(), Failure> {
    let contexts = Contexts::new()?;
    let result = match command {
        BenchCommand::Throughput(args) => throughput::run(&args, &contexts),
        BenchCommand::Latency(args) => latency::run(&args, &contexts),
        BenchCommand::LocalThr(args) => throughput::run_local(&args, &contexts),
        BenchCommand::RemoteThr(args) => throughput::run_remote(&args, &contexts),
        BenchCommand::LocalLat(args) => latency::run_local(&args, &contexts),
        BenchCommand::RemoteLat(args) => latency::run_remote(&args, &contexts),
    };
    contexts.end(result)
}
