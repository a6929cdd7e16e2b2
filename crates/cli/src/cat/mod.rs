//! `nought cat`: sends what it reads, prints what it receives, over a socket of any type.

mod address;
mod checks;
mod codec;
mod conversation;
mod events;
mod input;
mod output;
mod tls;

use std::{
    ffi::OsString,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use nought::{Any, Context, Frame, Socket, SocketType};

use self::{conversation::Conversation, events::Events, input::Input, output::Printer, tls::TlsArgs};
use crate::{
    endpoints,
    failure::{Failure, Signal},
    interrupt, units,
};

/// The socket types as they are written here.
const SOCKET_TYPES: [&str; 21] = [
    "pair", "pub", "sub", "req", "rep", "dealer", "router", "pull", "push", "xpub", "xsub", "stream", "server",
    "client", "radio", "dish", "gather", "scatter", "dgram", "peer", "channel",
];

/// How long Ctrl-C lets what is on its way go on.
const FAREWELL: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  nought cat pull --bind 'tcp://*:5555'                      print what is pushed
  ls | nought cat push --connect tcp://localhost:5555        push each line
  nought cat pub --bind 'tcp://*:5556' --interval 1s tick    publish every second
  nought cat sub --connect tcp://localhost:5556 -s tick -n 3 print three of them
  nought cat rep --bind ipc:///tmp/echo --echo               answer each request with itself
  nought cat req --connect ipc:///tmp/echo --timeout 2s hi   ask, and print the reply
  nought cat dealer --connect ipc:///tmp/echo -n 1 --json '[\"\", \"hi\"]'
  nought cat server --bind ipc:///tmp/count --echo           answer each client with what it sent
  nought cat dish --bind 'udp://*:5557' --group news         print the datagrams for a group
  nought cat radio --connect udp://127.0.0.1:5557 --group news hello
  nought cat dgram --bind 'udp://*:*' --to 127.0.0.1:5558 hello -n 1
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nought cat stream --connect tcp://localhost:80 -i file -o raw

A socket that only sends ends when its input does; one that receives ends after --count messages, or with --timeout
when none comes. Exit codes: 0 done, 1 error, 2 wrong arguments, 3 time-out, 130 interrupted, 143 ended by SIGTERM.";

/// Send what is read, print what is received, with a socket of the type you name
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CatArgs {
    /// Socket type: pair, pub, sub, req, rep, dealer, router, pull, push, xpub, xsub, stream,
    /// server, client, radio, dish, gather, scatter, dgram, peer, channel
    #[arg(value_name = "TYPE", value_parser = socket_type_parser(), ignore_case = true)]
    #[arg(verbatim_doc_comment, hide_possible_values = true)]
    socket_type: SocketType,

    /// Messages to send, one each [default: what standard input holds]
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,

    /// Listen at an endpoint, as tcp://*:5555 or ipc:///tmp/name (repeatable)
    #[arg(short, long, value_name = "ENDPOINT", value_parser = endpoints::parse_between_processes)]
    bind: Vec<String>,

    /// Connect to an endpoint, as tcp://host:5555 (repeatable)
    #[arg(short, long, value_name = "ENDPOINT", value_parser = endpoints::parse_between_processes)]
    connect: Vec<String>,

    /// How input becomes messages
    #[arg(short, long = "in", value_name = "FORMAT", conflicts_with_all = ["json", "hex"])]
    input: Option<InputFormat>,

    /// How messages are printed
    #[arg(short, long = "out", value_name = "FORMAT", conflicts_with_all = ["json", "hex"])]
    output: Option<OutputFormat>,

    /// Short for --in json --out json
    #[arg(long, conflicts_with = "hex")]
    json: bool,

    /// Short for --in hex --out hex
    #[arg(long)]
    hex: bool,

    /// What separates the frames of a message [default: a tab between printed frames; lines are one frame]
    #[arg(short, long, value_name = "TEXT")]
    delimiter: Option<String>,

    /// Receive what starts with this (sub, xsub; repeatable) [default: everything]
    #[arg(short, long, value_name = "PREFIX")]
    subscribe: Vec<String>,

    /// Send to this group (radio), or join it (dish; repeatable): text, or 0x and hex digits
    #[arg(short, long, value_name = "GROUP", value_parser = codec::parse_group)]
    group: Vec<Frame>,

    /// End after so many messages received (sent, by types that only send; they and req repeat MESSAGEs until then)
    #[arg(short = 'n', long, value_name = "N", value_parser = units::parse_count::<u64, 0>, allow_hyphen_values = true)]
    count: Option<u64>,

    /// Pause between two messages sent; MESSAGEs are then sent over and over
    #[arg(long, value_name = "TIME", value_parser = units::parse_positive_duration, allow_hyphen_values = true)]
    interval: Option<Duration>,

    /// Longest wait for a message, a reply, or a peer to send to [default: for ever]
    #[arg(short, long, value_name = "TIME")]
    #[arg(value_parser = units::parse_positive_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,

    /// Peers that must be there before the first message [default: pub, xpub, radio: 1 that subscribed or joined]
    #[arg(long, value_name = "N", value_parser = units::parse_count::<usize, 0>, allow_hyphen_values = true)]
    wait_for: Option<usize>,

    /// Answer each message with this (rep, server, peer, dgram)
    #[arg(long, value_name = "MESSAGE", conflicts_with = "echo")]
    reply: Option<OsString>,

    /// Answer each message with itself (rep, server, peer, dgram)
    #[arg(long)]
    echo: bool,

    /// Send to the peer with this routing id: text, or 0x and hex digits (router, stream); or at this address (dgram)
    #[arg(long, value_name = "ID", value_parser = codec::parse_routing_id)]
    to: Option<Frame>,

    /// The routing id by which ROUTER peers know this socket (req, dealer, router)
    #[arg(long, value_name = "ID", value_parser = codec::parse_own_routing_id)]
    id: Option<Frame>,

    /// Use IPv6 as well as IPv4, for tcp://* and for host names [default: with an address in brackets]
    #[arg(long)]
    ipv6: bool,

    /// Tell on standard error what happens to the connections
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    tls: TlsArgs,
}

/// How input becomes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Each line, or argument, is a message
    Lines,
    /// Each file named by an argument is a message; or all of standard input is one
    File,
    /// Each line holds a message in hex digits, tabs between its frames
    Hex,
    /// Each line holds a JSON string, or an array of strings for several frames; {"hex": "00ff"} for bytes
    Json,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// As they are, a newline behind each; on a terminal control characters are escaped
    Text,
    /// As they are, with nothing added
    Raw,
    /// In hex digits, a line each
    Hex,
    /// As a JSON array of strings, a line each; {"hex": "00ff"} where a frame is not text
    Json,
}

impl CatArgs {
    fn input_format(&self) -> InputFormat {
        match self.input {
            Some(format) => format,
            None if self.json => InputFormat::Json,
            None if self.hex => InputFormat::Hex,
            None => InputFormat::Lines,
        }
    }

    fn output_format(&self) -> OutputFormat {
        match self.output {
            Some(format) => format,
            None if self.json => OutputFormat::Json,
            None if self.hex => OutputFormat::Hex,
            None => OutputFormat::Text,
        }
    }

    /// The peer that messages go to where the messages themselves do not say it.
    fn addressee(&self) -> Option<Frame> {
        match self.socket_type {
            SocketType::Radio => self.group.first().cloned(),
            SocketType::Stream if self.has_only_peer() => Some(Frame::from("peer")),
            _ => self.to.clone(),
        }
    }

    /// Whether there is but one peer, which needs no name from the user: that of a STREAM or PEER with one connection.
    fn has_only_peer(&self) -> bool {
        matches!(self.socket_type, SocketType::Stream | SocketType::Peer)
            && self.bind.is_empty()
            && self.connect.len() == 1
            && self.to.is_none()
    }

    /// Whether there is an address before each message: the peer or the group that it is for, or from.
    fn has_addresses(&self) -> bool {
        match self.socket_type {
            SocketType::Router | SocketType::Server | SocketType::Radio | SocketType::Dgram => true,
            SocketType::Stream | SocketType::Peer => !self.has_only_peer(),
            SocketType::Dish => self.group.len() > 1,
            _ => false,
        }
    }

    /// Whether it sends datagrams, which go out whoever is there.
    fn sends_datagrams(&self) -> bool {
        self.socket_type == SocketType::Dgram || self.connect.iter().any(|endpoint| endpoint.starts_with("udp://"))
    }
}

fn socket_type_parser() -> impl TypedValueParser<Value = SocketType> {
    PossibleValuesParser::new(SOCKET_TYPES).map(|name| name.parse().expect("only names of socket types are possible"))
}

/// Opens the socket and talks until the input, the count, the patience or the user ends it.
pub(crate) fn run(args: CatArgs) -> Result<(), Failure> {
    checks::check(&args)?;
    let input = Input::new(&args)?;
    let printer = Printer::new(args.output_format(), args.delimiter.as_deref(), args.has_addresses());
    let context = Context::builder().build()?;
    let socket = Arc::new(build(&context, &args)?);
    let (events, watcher) = Events::watch(&socket, args.verbose);
    let bound = Arc::new(Mutex::new(Vec::new()));
    let interrupted = leave_cleanly_when_interrupted(&socket, &bound)?;
    let only_peer = open(&socket, &args, &mut lock(&bound))?;
    let place = place(&args, &lock(&bound));
    let result = Conversation::new(&args, socket, only_peer, &place, events, printer).run(input);
    // Waits until all is sent, if nobody holds the socket any more.
    drop(context);
    watcher.finish();
    match interrupted.get() {
        Some(signal) => Err(Failure::Interrupted(*signal, String::new())),
        None => result,
    }
}

fn build(context: &Context, args: &CatArgs) -> Result<Socket<Any>, Failure> {
    // Messages are for peers that are there, and wait for room: a command that ends must know what was taken. A PEER
    // gets the number of the one that it connects to beforehand.
    let knows_peer = args.socket_type == SocketType::Peer && args.has_only_peer();
    let mut builder = context
        .any_socket_builder(args.socket_type)
        .immediate(!knows_peer)
        .ipv6(args.ipv6 || mentions_ipv6(args))
        .linger(args.timeout);
    builder = match args.socket_type {
        SocketType::Router => builder.router_mandatory(true),
        SocketType::Pub | SocketType::XPub => builder.xpub_nodrop(true),
        _ => builder,
    };
    if let Some(id) = &args.id {
        builder = builder.routing_id(id);
    }
    Ok(args.tls.apply(builder)?.build()?)
}

fn mentions_ipv6(args: &CatArgs) -> bool {
    let mut endpoints = args.bind.iter().chain(&args.connect);
    endpoints.any(|endpoint| {
        ["tcp://", "udp://", "ws://", "wss://"].iter().any(|it| endpoint.starts_with(it)) && endpoint.contains('[')
    })
}

/// Where peers are to be: `at` what is connected to, or whoever connects `to` what is bound.
fn place(args: &CatArgs, bound: &[String]) -> String {
    let to = (!bound.is_empty()).then(|| format!("to connect to {}", bound.join(", ")));
    let at = (!args.connect.is_empty()).then(|| format!("at {}", args.connect.join(", ")));
    [to, at].into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

/// Subscribes, joins, binds and connects. Notes the endpoints that are bound; returns the number of a PEER's only peer.
fn open(socket: &Socket<Any>, args: &CatArgs, bound: &mut Vec<String>) -> Result<Option<NonZeroU32>, Failure> {
    if matches!(args.socket_type, SocketType::Sub | SocketType::XSub) {
        let everything = [String::new()];
        let prefixes = if args.subscribe.is_empty() { &everything } else { &args.subscribe[..] };
        prefixes.iter().try_for_each(|prefix| socket.subscribe(prefix))?;
    }
    if args.socket_type == SocketType::Dish {
        args.group
            .iter()
            .try_for_each(|group| socket.join(group))
            .map_err(|error| Failure::Usage(error.to_string()))?;
    }
    for endpoint in &args.bind {
        bound.push(endpoints::bind(socket, endpoint)?);
    }
    let mut only_peer = None;
    for endpoint in &args.connect {
        endpoints::check_connecting(match (args.socket_type, args.addressee()) {
            (SocketType::Peer, _) if args.has_only_peer() => {
                socket.connect_peer(endpoint).map(|number| only_peer = Some(number))
            }
            (SocketType::Router | SocketType::Stream, Some(peer)) => socket.connect_as(endpoint, peer),
            _ => socket.connect(endpoint),
        })?;
    }
    Ok(only_peer)
}

/// At Ctrl-C lets what is on its way go, and wakes the conversation up; ends the process where it reads its input.
fn leave_cleanly_when_interrupted(
    socket: &Arc<Socket<Any>>,
    bound: &Arc<Mutex<Vec<String>>>,
) -> Result<Arc<OnceLock<Signal>>, Failure> {
    let interrupted = Arc::new(OnceLock::new());
    let (told, bound) = (Arc::clone(&interrupted), Arc::clone(bound));
    // Not the socket itself, which lingers when its last handle goes.
    let socket = Arc::downgrade(socket);
    interrupt::on_interrupt(move |signal| {
        // The first says how it ends.
        let signal = *told.get_or_init(|| signal);
        if let Some(socket) = socket.upgrade() {
            // An ipc endpoint leaves a file behind otherwise.
            lock(&bound).iter().for_each(|endpoint| socket.unbind(endpoint).unwrap_or_default());
            conversation::wait_until_sent(&socket, Some(FAREWELL));
            socket.context().shutdown();
        }
        thread::sleep(FAREWELL);
        std::process::exit(signal.code().into());
    })?;
    Ok(interrupted)
}

fn lock(endpoints: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    endpoints.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_socket_type_can_be_written() {
        let written: BTreeSet<SocketType> = SOCKET_TYPES.iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(written, BTreeSet::from(SocketType::ALL));
    }
}
