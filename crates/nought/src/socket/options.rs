//! The options of a socket, set on its builder.

use std::{marker::PhantomData, time::Duration};

use nought_proto::{
    Frame, Message, Options, Security, SocketType,
    limits::ROUTING_ID_LEN_MAX,
    wire::metadata::{IllegalMetadata, Metadata},
    zap,
};

use super::{
    CanConflate, CanReceive, CanSend, Greets, HasRoutingId, Kind, Matches, Publishes, Requests, Routes,
    SeesDisconnects, SeesHiccups, SeesSubscriptions, SendsSubscriptions, Socket, SpeaksZmtp, Streams,
    SubscribesByMessage, kind::Ability,
};
#[cfg(feature = "wss")]
use crate::transport::{TlsIdentity, TlsName, TlsTrust};
use crate::{
    context::Context,
    engine::{
        State,
        spin::{self, Spin},
    },
    error::{SocketError, WrongKind},
    transport::{AcceptFilter, InheritedListener, KeepAlive, SocksProxy, TransportOptions},
};

/// In tenths of a second, in two bytes.
const HEARTBEAT_TTL_MAX: Duration = Duration::from_millis(6_553_500);

/// What Linux takes for `TCP_KEEPIDLE` and `TCP_KEEPINTVL`.
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_secs(32_767);

/// What Linux takes for `TCP_KEEPCNT`.
const KEEP_ALIVE_COUNT_MAX: u32 = 127;

/// Everything that can be set about a socket.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    pub(crate) protocol: Options,
    pub(crate) transport: TransportOptions,
    pub(crate) linger: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) recv_timeout: Option<Duration>,
    pub(crate) reconnect_interval: Option<Duration>,
    pub(crate) reconnect_interval_max: Duration,
    pub(crate) reconnect_stop: ReconnectStop,
    pub(crate) spin: Duration,
    pub(crate) interruptible: bool,
    pub(crate) any_type_in_process: bool,
    pub(crate) bursts_meet_hwm: bool,
    pub(crate) frees_by_halves: bool,
}

/// When an endpoint is connected to no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectStop {
    /// See [`SocketBuilder::reconnect_stop_refused`].
    pub refused: bool,
    /// See [`SocketBuilder::reconnect_stop_handshake_failed`].
    pub handshake_failed: bool,
    /// See [`SocketBuilder::reconnect_stop_denied`].
    pub denied: bool,
    /// See [`SocketBuilder::reconnect_stop_after_disconnect`].
    pub after_disconnect: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        let mut protocol = Options::default();
        protocol.id_seed = fastrand::u32(..);
        Self {
            protocol,
            transport: TransportOptions::default(),
            linger: None,
            send_timeout: None,
            recv_timeout: None,
            reconnect_interval: Some(Duration::from_millis(100)),
            reconnect_interval_max: Duration::from_secs(1),
            reconnect_stop: ReconnectStop::default(),
            spin: spin::LIMIT_DEFAULT,
            interruptible: false,
            any_type_in_process: false,
            bursts_meet_hwm: false,
            frees_by_halves: false,
        }
    }
}

impl<K: Kind> Socket<K> {
    /// Changes options of a living socket: `change` is given those in force, and returns those that shall be.
    ///
    /// Those of a connection (time-outs, the transport's, what it tells its peer) apply to what is bound and connected
    /// from now on; high-water marks, heartbeats, and what a pattern does with a message, at once. `router_raw` applies
    /// while there is no connection yet.
    ///
    /// `change` may use the socket. What another thread changes by `reconfigure` comes before all of this or after all of
    /// it: wait for no such thread in `change`. What is changed otherwise while it runs is set to what it returns.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let context = nought::Context::new();
    /// let dealer = context.socket::<nought::Dealer>()?;
    /// dealer.reconfigure(|options| options.routing_id("anna").ipv6(true))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If an option's value is impossible, or is not for the type of an [`Any`](crate::Any). Nothing is changed then.
    pub fn reconfigure(&self, change: impl FnOnce(SocketBuilder<K>) -> SocketBuilder<K>) -> Result<(), SocketError> {
        let reconfiguring = self.core.reconfiguring.lock();
        let state = self.core.lock();
        let mut builder = SocketBuilder::new(self.context.clone(), state.machine.socket_type());
        builder.options = state.options.clone();
        builder.options.protocol = state.machine.options().clone();
        // It is the application's code, which may use this socket.
        drop(state);
        let builder = change(builder);
        let new = builder.options.clone();
        let mut state = self.core.lock();
        let former = (state.options.clone(), state.machine.options().clone());
        let result = builder.apply_to(&mut state);
        drop(self.core.settle(state));
        drop(reconfiguring);
        // Messages among the options, whichever are not in force, end where no lock is held.
        drop((former, new));
        result
    }
}

/// What is wrong with the options' values.
fn check(options: &SocketOptions) -> Result<(), &'static str> {
    check_protocol(&options.protocol)?;
    let (protocol, zero) = (&options.protocol, Some(Duration::ZERO));
    let times = [
        protocol.heartbeat_interval,
        protocol.heartbeat_timeout,
        protocol.heartbeat_ttl,
        protocol.handshake_timeout,
        options.reconnect_interval,
        options.transport.connect_timeout,
    ];
    if times.contains(&zero) {
        return Err("the times of heartbeats, handshake_timeout, reconnect_interval, connect_timeout: \
                    write more than zero, or None to switch them off");
    }
    let keep_alive = &options.transport.keep_alive;
    let mut times = [keep_alive.idle, keep_alive.interval].into_iter().flatten();
    if times.any(|time| !(Duration::from_secs(1)..=KEEP_ALIVE_TIME_MAX).contains(&time)) {
        return Err(
            "tcp_keepalive_idle, tcp_keepalive_interval: write 1 to 32,767 seconds, which is what the kernel can \
                    do, or None for the system's time",
        );
    }
    if keep_alive.count.is_some_and(|count| !(1..=KEEP_ALIVE_COUNT_MAX).contains(&count)) {
        return Err("tcp_keepalive_count: write 1 to 127, which is what the kernel can do, or None for the system's");
    }
    if keep_alive.enabled == Some(false) && keep_alive.has_details() {
        return Err("tcp_keepalive: it is switched off, leave its times and its count out, or write Some(true)");
    }
    Ok(())
}

fn check_protocol(options: &Options) -> Result<(), &'static str> {
    if options.zap_domain.len() > zap::STRING_LEN_MAX {
        return Err("zap_domain: write at most 255 bytes");
    }
    if options.routing_id.len() > ROUTING_ID_LEN_MAX || options.routing_id.first() == Some(&0) {
        return Err("routing_id: write at most 255 bytes, the first of them not zero");
    }
    if options.metadata.iter().any(|(name, _)| !name.starts_with("X-")) {
        return Err("metadata: write names that start with X-");
    }
    options.metadata.check().map_err(|illegal| match illegal {
        IllegalMetadata::TooLong => "metadata: all names and values together may take 7680 bytes, 5 more for each",
        _ => "metadata: write names of at most 255 letters, digits and - _ . +",
    })?;
    if options.heartbeat_ttl.is_some_and(|ttl| ttl > HEARTBEAT_TTL_MAX) {
        return Err("heartbeat_ttl: the wire carries at most 6553.5 seconds");
    }
    Ok(())
}

/// The options of a socket to be made, from [`Context::socket_builder`].
///
/// An option that a kind does not have does not compile; for an [`Any`](crate::Any) it is an error of
/// [`build`](Self::build).
///
/// ```
/// use std::time::Duration;
/// use nought::{Context, Push};
///
/// # fn main() -> Result<(), nought::SocketError> {
/// let context = Context::new();
/// let push = context
///     .socket_builder::<Push>()
///     .send_hwm(100)
///     .linger(Some(Duration::from_secs(1)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0599
/// // Only a ROUTER routes.
/// nought::Context::new().socket_builder::<nought::Push>().router_mandatory(true);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until build is called"]
pub struct SocketBuilder<K> {
    context: Context,
    socket_type: SocketType,
    options: SocketOptions,
    /// The first option that was set and is not for this type.
    misfit: Option<WrongKind>,
    kind: PhantomData<K>,
}

impl<K: Kind> SocketBuilder<K> {
    pub(crate) fn new(context: Context, socket_type: SocketType) -> Self {
        Self { context, socket_type, options: SocketOptions::default(), misfit: None, kind: PhantomData }
    }

    /// Makes the socket.
    ///
    /// # Errors
    /// If the context is shut down or has as many sockets as it allows, an option's value is impossible or is not for
    /// the type of an [`Any`](crate::Any), or the system has no descriptors left.
    pub fn build(mut self) -> Result<Socket<K>, SocketError> {
        if let Some(error) = self.misfit {
            return Err(error.into());
        }
        check(&self.options).map_err(SocketError::Option)?;
        self.options.transport.keep_alive.imply();
        let core = self.context.make_core(self.socket_type, self.options)?;
        Ok(Socket::new(core, self.context))
    }

    /// Puts the options in the place of those of a living socket.
    fn apply_to(mut self, state: &mut State) -> Result<(), SocketError> {
        if let Some(error) = self.misfit {
            return Err(error.into());
        }
        check(&self.options).map_err(SocketError::Option)?;
        self.options.transport.keep_alive.imply();
        if self.options.spin != state.options.spin {
            state.spin = Spin::new(self.options.spin);
        }
        state.machine.set_options(|options| *options = self.options.protocol.clone());
        state.options = self.options;
        Ok(())
    }

    /// Notes an option that the type does not have. Only the type of an [`Any`](crate::Any) can lack one.
    fn only(mut self, ability: Ability, option: &'static str) -> Self {
        self.misfit = self.misfit.or(WrongKind::check(ability, option, self.socket_type).err());
        self
    }

    fn protocol(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options.protocol);
        self
    }

    fn transport(mut self, set: impl FnOnce(&mut TransportOptions)) -> Self {
        set(&mut self.options.transport);
        self
    }

    fn keep_alive(self, set: impl FnOnce(&mut KeepAlive)) -> Self {
        self.transport(|options| set(&mut options.keep_alive))
    }

    // ---- queues

    /// Messages that may wait for each peer before sending waits, or drops (PUB, ROUTER); 0: no limit. The transport
    /// holds more of its own. Default: 1000.
    pub fn send_hwm(self, messages: u32) -> Self {
        self.protocol(|options| options.send_hwm = messages)
    }

    /// Messages from each peer that may wait to be received before its transport is no longer read; 0: no limit. What
    /// one read brings (at most 256 KiB, less with marks under 1000) is kept beyond it. A STREAM, which has bytes and
    /// no messages, is read up to 256 KiB ahead. Default: 1000.
    pub fn recv_hwm(self, messages: u32) -> Self {
        self.protocol(|options| options.recv_hwm = messages)
    }

    /// Bytes that may wait for each peer, beside the limit in messages; 0: no limit. Default: 0.
    pub fn send_hwm_bytes(self, bytes: usize) -> Self {
        self.protocol(|options| options.send_hwm_bytes = bytes)
    }

    /// Bytes from each peer that may wait to be received, beside the limit in messages; 0: no limit. Default: 0.
    pub fn recv_hwm_bytes(self, bytes: usize) -> Self {
        self.protocol(|options| options.recv_hwm_bytes = bytes)
    }

    /// How long a closed socket, or a disconnected endpoint, goes on sending what it has; `None`: until all is sent.
    /// Default: `None`, as in libzmq.
    pub fn linger(mut self, linger: Option<Duration>) -> Self {
        self.options.linger = linger;
        self
    }

    /// Queues messages only to peers whose handshake is over, so that sending waits while there is none. Otherwise
    /// each endpoint that is connected to gets its queue at once. Publishers, and those who answer, always do as if it
    /// were `true`. Default: `false`.
    pub fn immediate(self, immediate: bool) -> Self {
        self.protocol(|options| options.immediate = immediate)
    }

    // ---- time

    /// How long a waiting call polls before it sleeps; it learns when that does not pay and then hardly does it. Zero
    /// switches it off. Default: 50 µs; zero on a machine with one processor.
    pub fn spin(mut self, limit: Duration) -> Self {
        self.options.spin = limit;
        self
    }

    /// Whether a signal that the calling thread handles while it sleeps in `send` or `recv` ends the call, with
    /// `Interrupted`; otherwise the call goes on waiting. Of several threads that wait for one socket, only one sleeps in
    /// the kernel for all, and is the one whose call can end so. Default: `false`.
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.options.interruptible = interruptible;
        self
    }

    /// Whether sockets that meet over inproc may have types that do not fit, as libzmq allows: a PAIR may send to a PULL.
    /// Both must be built like this; each then makes of the other's messages what it would of those of a peer that fits.
    /// Not for CLIENT, SERVER, RADIO, DISH, GATHER, SCATTER, PEER and CHANNEL, whose messages are of another form.
    /// Default: `false`.
    pub fn any_type_in_process(mut self, any: bool) -> Self {
        self.options.any_type_in_process = any;
        self
    }

    /// Whether messages that have gone already count for the high-water mark of a burst: of sends that follow each other and
    /// do not wait ([`try_send`](super::Socket::try_send), and [`send`](super::Socket::send) with a
    /// [`send_timeout`](Self::send_timeout) of zero). Then a loop that sends until it is refused ends, however fast its peers
    /// are: between two refusals each of them is given no more messages than the mark says, over inproc no more than both
    /// sides' marks together. One call is refused, as if nobody had room, and the next begins another burst. One begins as
    /// well with a message that is received, the question what the socket is ready for, and a wait for whatever it may be;
    /// and nothing is refused of messages that took a millisecond or longer to come to the mark, not counting up to 50
    /// milliseconds for which the sender was interrupted.
    ///
    /// What would be dropped, and not refused, is never dropped for this. No part is taken by STREAM, SERVER and PEER, by
    /// [`send_batch`](super::Socket::send_batch), by [`send_timeout`](super::Socket::send_timeout), also with zero, and by
    /// all that wait. libzmq does the same, as it seldom looks what its thread has taken. Default: `false`, the mark counts
    /// what waits.
    pub fn bursts_meet_hwm(mut self, meet: bool) -> Self {
        self.options.bursts_meet_hwm = meet;
        self
    }

    /// Whether the places of messages that this socket has received over inproc become free together, whenever that is half
    /// of what both sides' high-water marks allow, as with libzmq: fewer messages are under way then where peers are slow.
    /// It holds for peers that come later. Default: `false`, a place is free soon after its message is received.
    pub fn frees_by_halves(mut self, by_halves: bool) -> Self {
        self.options.frees_by_halves = by_halves;
        self
    }

    /// The pause before a lost or failed connection is tried again, doubled after each failure up to
    /// [`reconnect_interval_max`](Self::reconnect_interval_max) and shortened at random by up to half; `None`: it is
    /// not tried again, the endpoint is forgotten. Default: 100 ms.
    pub fn reconnect_interval(mut self, interval: Option<Duration>) -> Self {
        self.options.reconnect_interval = interval;
        self
    }

    /// The longest pause between two attempts to connect; less than the interval says nothing. Default: 1 s (in libzmq
    /// pauses do not grow by default).
    pub fn reconnect_interval_max(mut self, interval: Duration) -> Self {
        self.options.reconnect_interval_max = interval;
        self
    }

    /// Connects no more where nobody listens: the endpoint is forgotten, with what is queued for it, when the system says
    /// that a connection was refused. Default: `false`.
    pub fn reconnect_stop_refused(mut self, stop: bool) -> Self {
        self.options.reconnect_stop.refused = stop;
        self
    }

    /// Connects no more where the handshake failed, be it that the connection was lost before it was over: the endpoint is
    /// forgotten, with what is queued for it. Default: `false`.
    pub fn reconnect_stop_handshake_failed(mut self, stop: bool) -> Self {
        self.options.reconnect_stop.handshake_failed = stop;
        self
    }

    /// Connects no more where the peer's authenticator has said no: the endpoint is forgotten, with what is queued for it.
    /// Default: `false`, for it may say otherwise later.
    pub fn reconnect_stop_denied(mut self, stop: bool) -> Self {
        self.options.reconnect_stop.denied = stop;
        self
    }

    /// Connects no more after `disconnect`: what is queued goes out over the connection that is there, or is lost. Default:
    /// `false`, it goes on connecting for the linger time.
    pub fn reconnect_stop_after_disconnect(mut self, stop: bool) -> Self {
        self.options.reconnect_stop.after_disconnect = stop;
        self
    }

    // ---- transports

    /// tcp: uses IPv6 as well as IPv4. Default: `false`, as in libzmq.
    pub fn ipv6(self, ipv6: bool) -> Self {
        self.transport(|options| options.ipv6 = ipv6)
    }

    /// tcp, ipc: connections that the kernel holds until they are accepted. Default: 100.
    pub fn backlog(self, connections: u32) -> Self {
        self.transport(|options| options.backlog = connections)
    }

    /// tcp, ipc: the kernel's send buffer in bytes. Default: the system's.
    pub fn send_buffer(self, bytes: Option<u32>) -> Self {
        self.transport(|options| options.send_buffer = bytes)
    }

    /// tcp, ipc: the kernel's receive buffer in bytes. Default: the system's.
    pub fn receive_buffer(self, bytes: Option<u32>) -> Self {
        self.transport(|options| options.receive_buffer = bytes)
    }

    /// tcp, ipc: a socket that listens already, which the next `bind` takes in the place of its own; for sockets that a
    /// service manager hands over. Default: none.
    pub fn inherited_listener(self, listener: Option<InheritedListener>) -> Self {
        self.transport(|options| options.inherited = listener)
    }

    /// tcp, ws, wss, ipc: whom to accept, of those who connect; others are closed at once. It counts for what is accepted
    /// from now on. Default: everybody.
    pub fn accept_filter(self, filter: AcceptFilter) -> Self {
        self.transport(|options| options.accept = filter)
    }

    /// tcp: the type-of-service byte of each packet. Default: 0.
    pub fn type_of_service(self, type_of_service: u8) -> Self {
        self.transport(|options| options.type_of_service = type_of_service)
    }

    /// tcp: the priority of packets in this machine's queues. Default: 0.
    pub fn priority(self, priority: u32) -> Self {
        self.transport(|options| options.priority = priority)
    }

    /// udp: how many networks a multicast datagram may cross. Default: 1, it stays in its own.
    pub fn multicast_hops(self, hops: u8) -> Self {
        self.transport(|options| options.multicast_hops = hops)
    }

    /// udp: whether this machine receives its own multicast datagrams. Default: `true`.
    pub fn multicast_loop(self, loops: bool) -> Self {
        self.transport(|options| options.multicast_loop = loops)
    }

    /// tcp: how long the kernel polls the device for packets before a read waits (`SO_BUSY_POLL`), in whole microseconds;
    /// more than the system's default needs a privilege. Default: `None`, the system's.
    pub fn busy_poll(self, time: Option<Duration>) -> Self {
        self.transport(|options| options.busy_poll = time)
    }

    /// tcp: the network interface to use. Default: any.
    pub fn bind_to_device(self, device: Option<String>) -> Self {
        self.transport(|options| options.bind_to_device = device)
    }

    /// tcp: whether the kernel probes idle connections. Default: the system's.
    pub fn tcp_keepalive(self, enabled: Option<bool>) -> Self {
        self.keep_alive(|keep_alive| keep_alive.enabled = enabled)
    }

    /// tcp: the idle time before the first probe, in whole seconds, at least 1 (a part of one counts as a whole).
    /// Switches [`tcp_keepalive`](Self::tcp_keepalive) on, unless that is set. Default: the system's.
    pub fn tcp_keepalive_idle(self, idle: Option<Duration>) -> Self {
        self.keep_alive(|keep_alive| keep_alive.idle = idle)
    }

    /// tcp: the time between probes, in whole seconds, at least 1 (a part of one counts as a whole). Switches
    /// [`tcp_keepalive`](Self::tcp_keepalive) on, unless that is set. Default: the system's.
    pub fn tcp_keepalive_interval(self, interval: Option<Duration>) -> Self {
        self.keep_alive(|keep_alive| keep_alive.interval = interval)
    }

    /// tcp: the probes without an answer that end a connection. Switches [`tcp_keepalive`](Self::tcp_keepalive) on,
    /// unless that is set. Default: the system's.
    pub fn tcp_keepalive_count(self, count: Option<u32>) -> Self {
        self.keep_alive(|keep_alive| keep_alive.count = count)
    }

    /// tcp: how long a connection may take to be made before the next address of the name is tried; after the last one
    /// the socket pauses ([`reconnect_interval`](Self::reconnect_interval)) and begins again. Default: as long as the
    /// system tries, about two minutes on Linux.
    pub fn connect_timeout(self, timeout: Option<Duration>) -> Self {
        self.transport(|options| options.connect_timeout = timeout)
    }

    /// wss: the certificate that `bind` shows to clients, and its key. Default: none, and `bind` is refused.
    #[cfg(feature = "wss")]
    pub fn wss_identity(self, identity: Option<TlsIdentity>) -> Self {
        self.transport(|options| options.wss_identity = identity)
    }

    /// wss: whose certificates `connect` takes for good. Default: those that the system trusts.
    #[cfg(feature = "wss")]
    pub fn wss_trust(self, trust: TlsTrust) -> Self {
        self.transport(|options| options.wss_trust = trust)
    }

    /// wss: the name that a server's certificate must be for, in the place of the host that stands in the endpoint.
    /// Default: none.
    #[cfg(feature = "wss")]
    pub fn wss_host_name(self, name: Option<TlsName>) -> Self {
        self.transport(|options| options.wss_host_name = name)
    }

    /// tcp, ws, wss: the SOCKS proxy to connect through; it looks up host names. Between the connection to it and its answer
    /// passes no more than [`connect_timeout`](Self::connect_timeout), and without that the time of a handshake (30 s,
    /// unless it is set). Default: none.
    pub fn socks_proxy(self, proxy: Option<SocksProxy>) -> Self {
        self.transport(|options| options.socks_proxy = proxy)
    }

    /// tcp: how long sent bytes may stay unacknowledged before the connection is given up. Default: the system's.
    pub fn max_retransmission_time(self, time: Option<Duration>) -> Self {
        self.transport(|options| options.max_retransmission_time = time)
    }
}

// ---- what kinds that can do it have

impl<K: CanSend> SocketBuilder<K> {
    /// How long `send` waits; `None`: for ever. Default: `None`. An [`Any`](crate::Any) has it whatever its
    /// type: `send` itself says that it cannot.
    pub fn send_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.send_timeout = timeout;
        self
    }
}

impl<K: CanReceive> SocketBuilder<K> {
    /// How long `recv` waits; `None`: for ever. Default: `None`. An [`Any`](crate::Any) has it whatever its
    /// type: `recv` itself says that it cannot.
    pub fn recv_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.recv_timeout = timeout;
        self
    }
}

impl<K: SpeaksZmtp> SocketBuilder<K> {
    /// The largest message to take from a peer, all its frames together, in bytes; a peer that sends a larger one is
    /// disconnected. Peers in the same process are not limited. Default: `None`, no limit, as in libzmq: set one where
    /// peers are not trusted.
    pub fn max_message_size(self, bytes: Option<u64>) -> Self {
        self.only(Ability::SpeaksZmtp, "max_message_size").protocol(|options| options.max_message_size = bytes)
    }

    /// How long the handshake of a connection may take; `None`: for ever. Default: 30 s.
    pub fn handshake_timeout(self, timeout: Option<Duration>) -> Self {
        self.only(Ability::SpeaksZmtp, "handshake_timeout").protocol(|options| options.handshake_timeout = timeout)
    }

    /// How often each peer is sent a PING; `None`: never. Default: `None`.
    pub fn heartbeat_interval(self, interval: Option<Duration>) -> Self {
        self.only(Ability::SpeaksZmtp, "heartbeat_interval").protocol(|options| options.heartbeat_interval = interval)
    }

    /// How long a peer may be silent after a PING before it is given up. Anything it sends counts. It says nothing
    /// without [`heartbeat_interval`](Self::heartbeat_interval). Default: as long as that.
    pub fn heartbeat_timeout(self, timeout: Option<Duration>) -> Self {
        self.only(Ability::SpeaksZmtp, "heartbeat_timeout").protocol(|options| options.heartbeat_timeout = timeout)
    }

    /// How long the peer is told to wait for a sign of life of this socket; at most 6553.5 s, in tenths of a second.
    /// PINGs tell it, so it says nothing without [`heartbeat_interval`](Self::heartbeat_interval). Default: `None`, it
    /// is told nothing.
    pub fn heartbeat_ttl(self, ttl: Option<Duration>) -> Self {
        self.only(Ability::SpeaksZmtp, "heartbeat_ttl").protocol(|options| options.heartbeat_ttl = ttl)
    }

    /// The security mechanism, which must be the same at both ends: a [`CurveServer`](crate::CurveServer), a
    /// [`CurveClient`](crate::CurveClient), a [`PlainClient`](crate::PlainClient), [`Security::PlainServer`]. Peers in the
    /// same process need none. Default: [`Security::Null`], none.
    ///
    /// ```
    /// use nought::{Context, CurveClient, CurveServer, Pull, Push, new_keys};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (server_keys, client_keys) = (new_keys(), new_keys());
    /// let server_key = *server_keys.public_key();
    ///
    /// let context = Context::new();
    /// let pull = context.socket_builder::<Pull>().security(CurveServer::new(server_keys)).build()?;
    /// let endpoint = pull.bind("tcp://127.0.0.1:*")?;
    /// let push = context.socket_builder::<Push>().security(CurveClient::new(server_key, client_keys)).build()?;
    /// push.connect(&endpoint)?;
    /// push.send("hello")?;
    /// assert_eq!(pull.recv()?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A client without the server's key does not compile:
    ///
    /// ```compile_fail,E0061
    /// let client = nought::CurveClient::new(nought::new_keys());
    /// ```
    pub fn security(self, security: impl Into<Security>) -> Self {
        let security = security.into();
        self.only(Ability::SpeaksZmtp, "security").protocol(|options| options.security = security)
    }

    /// All properties that peers are told in the handshake, in the place of those that were set; see
    /// [`metadata`](Self::metadata).
    pub fn all_metadata(self, properties: Metadata) -> Self {
        self.only(Ability::SpeaksZmtp, "metadata").protocol(|options| options.metadata = properties)
    }

    /// What an authenticator is told as the domain of the peers, so that it can have rules for each. With
    /// [`Security::Null`] peers are judged only if there is one, and by their address alone. Default: empty.
    pub fn zap_domain(self, domain: impl Into<Frame>) -> Self {
        let domain = domain.into();
        self.only(Ability::SpeaksZmtp, "zap_domain").protocol(|options| options.zap_domain = domain)
    }

    /// Refuses peers for as long as nobody is there to judge them, if there is a [`zap_domain`](Self::zap_domain); where
    /// there is none, nobody is asked, but for PLAIN. Otherwise clients of CURVE, and those without a mechanism, come in
    /// where nobody judges them. Default: `false`, as in libzmq.
    pub fn zap_enforce_domain(self, enforce: bool) -> Self {
        self.only(Ability::SpeaksZmtp, "zap_enforce_domain").protocol(|options| options.zap_enforce_domain = enforce)
    }

    /// A property that peers are told in the handshake: its name starts with `X-` and has letters, digits and `-_.+`.
    /// All together may take 7680 bytes, 5 more for each.
    pub fn metadata(self, name: &str, value: &[u8]) -> Self {
        self.only(Ability::SpeaksZmtp, "metadata").protocol(|options| options.metadata.push(name, value))
    }
}

impl<K: CanConflate> SocketBuilder<K> {
    /// Keeps only the newest message for each peer and from each peer, in the place of the high-water marks; messages
    /// have one frame then. Default: `false`.
    pub fn conflate(self, conflate: bool) -> Self {
        self.only(Ability::CanConflate, "conflate").protocol(|options| options.conflate = conflate)
    }
}

impl<K: HasRoutingId> SocketBuilder<K> {
    /// The name by which ROUTER peers know this socket: at most 255 bytes, the first not zero. Default: none, each
    /// ROUTER makes one up.
    pub fn routing_id(self, routing_id: impl Into<Frame>) -> Self {
        self.only(Ability::HasRoutingId, "routing_id").protocol(|options| options.routing_id = routing_id.into())
    }

    /// ROUTER, DEALER, REQ: sends an empty message to each new peer, so that a ROUTER there learns this socket's
    /// routing id. Default: `false`.
    pub fn probe_router(self, probe: bool) -> Self {
        self.only(Ability::HasRoutingId, "probe_router").protocol(|options| options.probe_router = probe)
    }
}

impl<K: Routes> SocketBuilder<K> {
    /// ROUTER: sending to a peer that is not there is an error, and to one whose queue is full waits. Otherwise both
    /// drop the message. Default: `false`.
    pub fn router_mandatory(self, mandatory: bool) -> Self {
        self.only(Ability::Routes, "router_mandatory").protocol(|options| options.router_mandatory = mandatory)
    }

    /// ROUTER: a new peer whose routing id is taken replaces the one that has it; otherwise the new one is refused.
    /// Default: `false`.
    pub fn router_handover(self, handover: bool) -> Self {
        self.only(Ability::Routes, "router_handover").protocol(|options| options.router_handover = handover)
    }

    /// ROUTER: receives an empty message of each peer of another process that has come. Default: `false`.
    pub fn router_notify_connect(self, notify: bool) -> Self {
        self.only(Ability::Routes, "router_notify_connect").protocol(|options| options.router_notify_connect = notify)
    }

    /// ROUTER: receives an empty message of each peer of another process that is gone, behind its last one. Default:
    /// `false`.
    pub fn router_notify_disconnect(self, notify: bool) -> Self {
        self.only(Ability::Routes, "router_notify_disconnect")
            .protocol(|options| options.router_notify_disconnect = notify)
    }

    /// ROUTER: talks to programs that do not speak ZMTP, in messages of a routing id and bytes, as STREAM does but
    /// without notices. Default: `false`.
    pub fn router_raw(self, raw: bool) -> Self {
        self.only(Ability::Routes, "router_raw").protocol(|options| options.router_raw = raw)
    }
}

impl<K: Greets> SocketBuilder<K> {
    /// ROUTER, DEALER, CLIENT, SERVER, PEER: sends this message to each peer, before all else, each time that a connection
    /// is made. Default: none.
    pub fn hello_message(self, message: Option<Frame>) -> Self {
        self.only(Ability::Greets, "hello_message").protocol(|options| options.hello_message = message)
    }
}

impl<K: SeesDisconnects> SocketBuilder<K> {
    /// ROUTER, SERVER, PEER: receives this message as the last one of a peer that had connected to this socket, when its
    /// connection is lost. Default: none.
    pub fn disconnect_message(self, message: Option<Frame>) -> Self {
        self.only(Ability::SeesDisconnects, "disconnect_message")
            .protocol(|options| options.disconnect_message = message)
    }
}

impl<K: SeesHiccups> SocketBuilder<K> {
    /// DEALER, CLIENT, PEER: receives this message when a connection is lost that this socket will make again. Default:
    /// none.
    pub fn hiccup_message(self, message: Option<Frame>) -> Self {
        self.only(Ability::SeesHiccups, "hiccup_message").protocol(|options| options.hiccup_message = message)
    }
}

impl<K: Requests> SocketBuilder<K> {
    /// REQ: numbers the requests, and takes only the reply with the right number. Default: `false`.
    pub fn req_correlate(self, correlate: bool) -> Self {
        self.only(Ability::Requests, "req_correlate").protocol(|options| options.req_correlate = correlate)
    }

    /// REQ: lets a new request be sent before the reply has come; that reply is then dropped. Set
    /// [`req_correlate`](Self::req_correlate) with it. Default: `false`.
    pub fn req_relaxed(self, relaxed: bool) -> Self {
        self.only(Ability::Requests, "req_relaxed").protocol(|options| options.req_relaxed = relaxed)
    }
}

impl<K: SeesSubscriptions> SocketBuilder<K> {
    /// XPUB: receives every subscription, not only the first to each prefix. Default: `false`.
    pub fn xpub_verbose(self, verbose: bool) -> Self {
        self.only(Ability::SeesSubscriptions, "xpub_verbose").protocol(|options| options.xpub_verbose = verbose)
    }

    /// XPUB: receives every subscription and every end of one. Default: `false`.
    pub fn xpub_verboser(self, verboser: bool) -> Self {
        self.only(Ability::SeesSubscriptions, "xpub_verboser").protocol(|options| options.xpub_verboser = verboser)
    }

    /// XPUB: subscriptions take effect only by `subscribe` and `unsubscribe`, which act for the peer whose
    /// subscription was received last. Default: `false`.
    pub fn xpub_manual(self, manual: bool) -> Self {
        self.only(Ability::SeesSubscriptions, "xpub_manual").protocol(|options| options.xpub_manual = manual)
    }

    /// XPUB: as [`xpub_manual`](Self::xpub_manual); and the first message that is sent after `subscribe` goes to that
    /// subscriber alone, if it matches: the last value of a topic, which the others have. Default: `false`.
    pub fn xpub_manual_last_value(self, last_value: bool) -> Self {
        self.only(Ability::SeesSubscriptions, "xpub_manual_last_value")
            .protocol(|options| options.xpub_manual_last_value = last_value)
    }
}

impl<K: Publishes> SocketBuilder<K> {
    /// PUB, XPUB: sending waits while a subscriber's queue is full; otherwise that subscriber misses the message.
    /// Default: `false`.
    pub fn xpub_nodrop(self, nodrop: bool) -> Self {
        self.only(Ability::Publishes, "xpub_nodrop").protocol(|options| options.xpub_nodrop = nodrop)
    }

    /// PUB, XPUB: sends this message to each new peer; none if it is empty. Default: none.
    pub fn xpub_welcome(self, message: impl Into<Message>) -> Self {
        let message = Some(message.into()).filter(|message| !message.as_slice().is_empty());
        self.only(Ability::Publishes, "xpub_welcome").protocol(|options| options.xpub_welcome = message)
    }
}

impl<K: Matches> SocketBuilder<K> {
    /// PUB, XPUB, SUB: sends, or receives, the messages that match no subscription in the place of those that do. It
    /// must be the same at both ends. Default: `false`.
    pub fn invert_matching(self, invert: bool) -> Self {
        self.only(Ability::Matches, "invert_matching").protocol(|options| options.invert_matching = invert)
    }
}

impl<K: SubscribesByMessage> SocketBuilder<K> {
    /// PUB, XPUB, XSUB: of a message of several frames, the first is a subscription, or the end of one, if it begins with
    /// a byte 1 or 0; the XPUB receives the others as a message. It must be the same at both ends. Default: `false`, none
    /// of them is.
    pub fn only_first_subscribe(self, only_first: bool) -> Self {
        self.only(Ability::SubscribesByMessage, "only_first_subscribe")
            .protocol(|options| options.only_first_subscribe = only_first)
    }
}

impl<K: SendsSubscriptions> SocketBuilder<K> {
    /// SUB, XSUB: sends every subscription upstream, not only the first to each prefix. Default: `false`.
    pub fn xsub_verbose(self, verbose: bool) -> Self {
        self.only(Ability::SendsSubscriptions, "xsub_verbose").protocol(|options| options.xsub_verbose = verbose)
    }

    /// SUB, XSUB: sends every end of a subscription upstream, not only the last of each prefix. A publisher counts no
    /// subscriptions of one peer, and ends them all with the first that it hears of: this is for those that watch.
    /// Default: `false`.
    pub fn xsub_verbose_unsubscribe(self, verbose: bool) -> Self {
        self.only(Ability::SendsSubscriptions, "xsub_verbose_unsubscribe")
            .protocol(|options| options.xsub_verbose_unsubscribe = verbose)
    }
}

impl<K: Streams> SocketBuilder<K> {
    /// STREAM: receives an empty message when a peer connects and when it is gone. Default: `true`.
    pub fn stream_notify(self, notify: bool) -> Self {
        self.only(Ability::Streams, "stream_notify").protocol(|options| options.stream_notify = notify)
    }
}
