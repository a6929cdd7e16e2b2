//! Sending and receiving, as the socket's pattern wants it.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use nought::{Any, Frame, Message, RecvError, SendErrorKind, Socket, SocketType};

use super::{CatArgs, Events, Input, Printer, address, checks::Role, codec::show_routing_id};
use crate::{failure::Failure, output, units::show_duration};

/// How often something is looked at that no event tells of.
const TICK: Duration = Duration::from_millis(2);

/// After this time the user is told what is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// What is said over one socket.
pub(super) struct Conversation {
    role: Role,
    line: Line,
    printer: Printer,
    has_addresses: bool,
    count: Option<u64>,
    echo: bool,
    /// A STREAM socket's only peer, if that is who is talked to.
    only_peer: Option<OnlyPeer>,
}

/// How far the one connection of a STREAM socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnlyPeer {
    Expected,
    Connected,
    Gone,
}

/// The socket, and how long to wait for its peers.
#[derive(Clone)]
struct Line {
    socket: Arc<Socket<Any>>,
    events: Events,
    timeout: Option<Duration>,
    interval: Option<Duration>,
    wait_for: usize,
    /// Messages are for peers that have subscribed or joined.
    needs_subscription: bool,
    sends_datagrams: bool,
    /// What is sent are replies; one whose peer is gone meanwhile is nobody's.
    answers: bool,
    /// A PEER socket's only peer, if that is who is talked to.
    only_peer: Option<NonZeroU32>,
    /// Where peers are to be.
    place: Arc<str>,
    /// The user has been told that there is nobody.
    told: Arc<AtomicBool>,
}

impl Conversation {
    /// A conversation with peers that come from `place`; `only_peer` is a PEER's.
    pub(super) fn new(
        args: &CatArgs,
        socket: Arc<Socket<Any>>,
        only_peer: Option<NonZeroU32>,
        place: &str,
        events: Events,
        printer: Printer,
    ) -> Self {
        let publishes = matches!(args.socket_type, SocketType::Pub | SocketType::XPub | SocketType::Radio);
        let line = Line {
            socket,
            events,
            timeout: args.timeout,
            interval: args.interval,
            wait_for: args.wait_for.unwrap_or(usize::from(publishes || only_peer.is_some())),
            needs_subscription: publishes && args.wait_for != Some(0) && !args.sends_datagrams(),
            sends_datagrams: args.sends_datagrams(),
            answers: Role::of(args) == Role::Answers,
            only_peer,
            place: place.into(),
            told: Arc::default(),
        };
        let is_only_stream = args.socket_type == SocketType::Stream && args.has_only_peer();
        Self {
            role: Role::of(args),
            line,
            printer,
            has_addresses: args.has_addresses(),
            count: args.count,
            echo: args.echo,
            only_peer: is_only_stream.then_some(OnlyPeer::Expected),
        }
    }

    /// Talks to the end.
    ///
    /// # Errors
    /// Why it ended otherwise.
    pub(super) fn run(mut self, mut input: Input) -> Result<(), Failure> {
        match self.role {
            Role::Sends => self.line.send_all(&mut input, self.count),
            Role::Receives => self.receive(),
            Role::Asks => self.ask(input),
            Role::Answers => self.answer(input),
            Role::Talks => self.talk(input),
        }
    }

    /// Receives and prints: as many as were asked for, or until none comes any more.
    fn receive(&mut self) -> Result<(), Failure> {
        let mut received = 0;
        while self.count.is_none_or(|count| received < count) && self.only_peer != Some(OnlyPeer::Gone) {
            match self.recv() {
                Err(Failure::TimedOut(_)) if received > 0 && self.count.is_none() => break,
                Err(Failure::TimedOut(what)) => return Err(self.too_few(received, what)),
                message => received += self.print(message?)?,
            }
        }
        self.printer.flush()
    }

    /// Prints a message; says how many it counts for. A STREAM socket is told with an empty message that a peer comes,
    /// and that it goes.
    fn print(&mut self, mut message: Message) -> Result<u64, Failure> {
        if let Some(peer) = &mut self.only_peer {
            drop(message.pop_front());
            if message.body_len() == 0 {
                *peer = if *peer == OnlyPeer::Expected { OnlyPeer::Connected } else { OnlyPeer::Gone };
                return Ok(0);
            }
        }
        if self.has_addresses {
            message = address::put_in_front(message);
        }
        self.printer.print(&message)?;
        Ok(1)
    }

    fn too_few(&self, received: u64, what: String) -> Failure {
        match self.count {
            Some(count) if received > 0 => Failure::TimedOut(format!("{what}, after {received} of {count}")),
            _ => Failure::TimedOut(what),
        }
    }

    /// Sends requests, and prints the reply to each.
    fn ask(&mut self, mut input: Input) -> Result<(), Failure> {
        self.line.wait_for_peers()?;
        for asked in 0.. {
            if self.count.is_some_and(|count| asked >= count) {
                break;
            }
            let Some(request) = self.line.next_paced(&mut input, asked)? else { break };
            self.line.send(request)?;
            let reply = self.recv()?;
            self.printer.print(&reply)?;
            self.printer.flush()?;
        }
        Ok(())
    }

    /// Prints requests, and sends the reply to each.
    fn answer(&mut self, mut input: Input) -> Result<(), Failure> {
        for answered in 0.. {
            if self.count.is_some_and(|count| answered >= count) {
                break;
            }
            let request = match self.recv() {
                Err(Failure::TimedOut(_)) if answered > 0 && self.count.is_none() => break,
                Err(Failure::TimedOut(what)) => return Err(self.too_few(answered, what)),
                request => request?,
            };
            self.print(request.clone())?;
            self.printer.flush()?;
            let reply = if self.echo { request } else { self.line.reply_to(&request, &mut input)? };
            self.line.send(reply)?;
            if !self.echo && input.is_used_up() {
                break;
            }
        }
        self.line.finish_sending()
    }

    /// Sends and receives at the same time. It is receiving that ends, and then the MESSAGEs are to be sent too.
    fn talk(&mut self, mut input: Input) -> Result<(), Failure> {
        let must_be_sent = input.is_finite() || self.count == Some(0);
        let (sent, outcome) = mpsc::channel();
        let line = self.line.clone();
        thread::spawn(move || {
            let result = line.send_all(&mut input, None);
            let has_failed = result.is_err();
            // Nobody listens once receiving has ended.
            let _ = sent.send(result);
            if has_failed {
                // Wakes the receiving thread.
                line.socket.context().shutdown();
            }
        });
        let received = self.receive();
        let sent = if received.is_ok() && must_be_sent { outcome.recv().ok() } else { outcome.try_recv().ok() };
        match sent {
            Some(Err(failure)) => Err(failure),
            _ => received,
        }
    }

    fn recv(&mut self) -> Result<Message, Failure> {
        if let Ok(message) = self.line.socket.try_recv() {
            return Ok(message);
        }
        self.printer.flush()?;
        self.line.recv()
    }
}

impl Line {
    /// Sends all that is to be sent, at most `count` messages, and sees it off.
    fn send_all(&self, input: &mut Input, count: Option<u64>) -> Result<(), Failure> {
        self.wait_for_peers()?;
        for sent in 0.. {
            if count.is_some_and(|count| sent >= count) {
                break;
            }
            let Some(message) = self.next_paced(input, sent)? else { break };
            self.send(message)?;
        }
        self.finish_sending()
    }

    /// The next message, after the pause that stands between it and the one before.
    fn next_paced(&self, input: &mut Input, sent: u64) -> Result<Option<Message>, Failure> {
        if let Some(interval) = self.interval.filter(|_| sent > 0) {
            thread::sleep(interval);
        }
        input.next()
    }

    fn reply_to(&self, request: &Message, input: &mut Input) -> Result<Message, Failure> {
        let reply = input.next()?.ok_or_else(|| Failure::error("no reply is left for this request"))?;
        Ok(address::back_to_sender(self.socket.socket_type(), request, reply))
    }

    fn send(&self, mut message: Message) -> Result<(), Failure> {
        if let Some(peer) = self.only_peer {
            message = message.with_routing_id(peer);
        }
        let (start, deadline) = (Instant::now(), self.deadline());
        let awaits_addressee = self.may_come(&message);
        loop {
            let patience = deadline
                .map_or(SILENCE_MAX, |deadline| deadline.saturating_duration_since(Instant::now()).min(SILENCE_MAX));
            let Err(error) = self.socket.send_timeout(message, patience) else { return Ok(()) };
            match error.kind() {
                SendErrorKind::Unroutable if self.answers => {
                    output::tell("the peer of a request is gone, and gets no reply");
                    return Ok(());
                }
                SendErrorKind::Unroutable if awaits_addressee && has_passed(deadline) => {
                    return Err(self.timed_out("the peer did not come"));
                }
                SendErrorKind::Unroutable if awaits_addressee => thread::sleep(TICK),
                SendErrorKind::TimedOut if has_passed(deadline) => {
                    return Err(self.timed_out("no peer took the message"));
                }
                SendErrorKind::TimedOut => {}
                _ => return Err(error.into()),
            }
            message = error.into_message();
            self.tell_of_waiting(start, awaits_addressee.then(|| message[0].clone()));
        }
    }

    /// Whether a peer to which the message names the way may still come: one whose name somebody has chosen, and no
    /// number of a connection.
    fn may_come(&self, message: &Message) -> bool {
        match self.socket.socket_type() {
            SocketType::Router | SocketType::Stream => message[0].first() != Some(&0),
            _ => false,
        }
    }

    /// Tells the user once that nobody is there, when that has been so for a while.
    fn tell_of_waiting(&self, since: Instant, addressee: Option<Frame>) {
        let whom = match addressee {
            Some(id) => format!("the peer {}", show_routing_id(&id)),
            None if self.socket.stats().peers == 0 => "a peer".to_owned(),
            None => return,
        };
        if since.elapsed() >= SILENCE_MAX && !self.told.swap(true, Ordering::Relaxed) {
            let trouble = self.events.trouble().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
            output::tell(format_args!("waiting for {whom} {}{trouble}", self.place));
        }
    }

    fn recv(&self) -> Result<Message, Failure> {
        let result = match self.timeout {
            Some(timeout) => self.socket.recv_timeout(timeout),
            None => self.socket.recv(),
        };
        result.map_err(|error| match error {
            RecvError::TimedOut => self.timed_out("no message came"),
            _ => error.into(),
        })
    }

    /// Waits for the peers without which nothing is to be sent; those of a publisher must have subscribed.
    fn wait_for_peers(&self) -> Result<(), Failure> {
        let (start, deadline) = (Instant::now(), self.deadline());
        loop {
            let stats = self.socket.stats();
            if stats.peers >= self.wait_for && (!self.needs_subscription || stats.subscriptions > 0) {
                return Ok(());
            }
            if has_passed(deadline) {
                let wanted = self.wait_for;
                return Err(self.timed_out(&format!("{} of {wanted} peers came", stats.peers)));
            }
            self.tell_of_waiting(start, None);
            thread::sleep(TICK);
        }
    }

    /// Waits until the transport has everything, and says so if a part was lost.
    fn finish_sending(&self) -> Result<(), Failure> {
        if !wait_until_sent(&self.socket, self.timeout) {
            return Err(self.timed_out("the peer did not take everything"));
        }
        let totals = self.socket.stats().totals;
        let (dropped, lost) = (totals.dropped_at_hwm, totals.lost);
        if dropped > 0 {
            return Err(Failure::error(format!("{dropped} messages were dropped: a peer took them too slowly")));
        }
        match lost {
            0 => Ok(()),
            lost if self.sends_datagrams => Err(Failure::error(format!(
                "{lost} messages were not sent: a datagram has at most 8192 bytes, and the system must know a way for it"
            ))),
            lost => Err(Failure::error(format!("{lost} messages were lost with the peer that they were for"))),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    fn timed_out(&self, what: &str) -> Failure {
        let time = self.timeout.map(show_duration).unwrap_or_default();
        let trouble = self.events.trouble().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        Failure::TimedOut(format!("{what} within {time}{trouble}"))
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Waits until nothing is queued; says whether that was so in time.
pub(super) fn wait_until_sent(socket: &Socket<Any>, timeout: Option<Duration>) -> bool {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        if socket.peers().iter().all(|peer| peer.send_queue_len == 0) {
            return true;
        }
        if has_passed(deadline) {
            return false;
        }
        thread::sleep(TICK);
    }
}
