//! `zmq_setsockopt`, `zmq_getsockopt`: what can be set about a socket, by libzmq's numbers.
//!
//! What was set is kept as it was given, so that it is read back unchanged, and is put into nought's terms by
//! [`Settings::apply`]. [`TABLE`] says for each number what kind of value it has and which values are legal; what is no
//! such value (subscriptions, events, the descriptor) has a line in [`SocketHandle::set`] and [`SocketHandle::get`].

use std::{
    ffi::{c_int, c_void},
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
    ptr,
    sync::Arc,
    time::Duration,
};

use nought::{
    Any, Frame, Metadata, Readiness, SocketBuilder, SocketType, SubscribeError,
    transport::{AcceptFilter, InheritedListener, SocksProxy},
    z85,
};

use zeroize::{Zeroize, Zeroizing};

use crate::{
    border, context,
    errno::{Errno, Result},
    security::SecuritySettings,
    socket::{self, SocketHandle},
    wss::WssSettings,
};

const AFFINITY: c_int = 4;
const SUBSCRIBE: c_int = 6;
const UNSUBSCRIBE: c_int = 7;
const RCVMORE: c_int = 13;
const FD: c_int = 14;
const EVENTS: c_int = 15;
const TYPE: c_int = 16;
const IPV4ONLY: c_int = 31;
const LAST_ENDPOINT: c_int = 32;
const HEARTBEAT_TTL: c_int = 76;
const THREAD_SAFE: c_int = 81;
/// Bits of ROUTER_NOTIFY and RECONNECT_STOP.
const NOTIFY_CONNECT: c_int = 1;
const NOTIFY_DISCONNECT: c_int = 2;
const STOP_REFUSED: c_int = 1;
const STOP_HANDSHAKE_FAILED: c_int = 2;
const STOP_AFTER_DISCONNECT: c_int = 4;

const USE_FD: c_int = 89;
const BINDTODEVICE: c_int = 92;
const TCP_ACCEPT_FILTER: c_int = 38;
const IPC_FILTER_PID: c_int = 58;
const IPC_FILTER_UID: c_int = 59;
const IPC_FILTER_GID: c_int = 60;
const ROUTING_ID: c_int = 5;
const METADATA: c_int = 95;
const XPUB_WELCOME_MSG: c_int = 72;
const SOCKS_PROXY: c_int = 68;
const SOCKS_USERNAME: c_int = 99;
const SOCKS_PASSWORD: c_int = 100;
const TOPICS_COUNT: c_int = 116;

/// What the kernel can do between two probes of a connection, and how many it can send.
const KEEP_ALIVE_SECONDS_MAX: u32 = 32_767;
const KEEP_ALIVE_COUNT_MAX: u32 = 127;

/// What was set about a socket, as the application gave it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) affinity: u64,
    routing_id: Vec<u8>,
    pub(crate) connect_routing_id: Vec<u8>,
    rate: c_int,
    recovery_ivl: c_int,
    sndbuf: c_int,
    rcvbuf: c_int,
    linger: c_int,
    reconnect_ivl: c_int,
    reconnect_ivl_max: c_int,
    backlog: c_int,
    maxmsgsize: i64,
    sndhwm: c_int,
    rcvhwm: c_int,
    multicast_hops: c_int,
    multicast_maxtpdu: c_int,
    multicast_loop: c_int,
    loopback_fastpath: c_int,
    rcvtimeo: c_int,
    sndtimeo: c_int,
    router_mandatory: c_int,
    router_raw: c_int,
    router_handover: c_int,
    probe_router: c_int,
    tcp_keepalive: c_int,
    tcp_keepalive_cnt: c_int,
    tcp_keepalive_idle: c_int,
    tcp_keepalive_intvl: c_int,
    immediate: c_int,
    xpub_verbose: c_int,
    xpub_verboser: c_int,
    xpub_nodrop: c_int,
    xpub_manual: c_int,
    xpub_welcome_msg: Vec<u8>,
    ipv6: c_int,
    req_correlate: c_int,
    req_relaxed: c_int,
    conflate: c_int,
    tos: c_int,
    priority: c_int,
    handshake_ivl: c_int,
    stream_notify: c_int,
    invert_matching: c_int,
    heartbeat_ivl: c_int,
    heartbeat_ttl: c_int,
    heartbeat_timeout: c_int,
    connect_timeout: c_int,
    tcp_maxrt: c_int,
    pub(crate) use_fd: c_int,
    listener: Option<InheritedListener>,
    accept: AcceptFilter,
    bindtodevice: Vec<u8>,
    socks_proxy: Vec<u8>,
    socks_username: Vec<u8>,
    socks_password: Zeroizing<Vec<u8>>,
    metadata: Metadata,
    security: SecuritySettings,
    wss: WssSettings,
    xsub_verbose_unsubscribe: c_int,
    only_first_subscribe: c_int,
    router_notify: c_int,
    xpub_manual_last_value: c_int,
    reconnect_stop: c_int,
    hello_msg: Vec<u8>,
    disconnect_msg: Vec<u8>,
    hiccup_msg: Vec<u8>,
}

impl Settings {
    /// libzmq's defaults, as the context changes them.
    pub(crate) fn new(context: &context::Settings, socket_type: SocketType) -> Self {
        // Subscriptions that nobody has taken are not waited for.
        let lingers = context.blocky && !matches!(socket_type, SocketType::Sub | SocketType::XSub);
        Self {
            affinity: 0,
            routing_id: Vec::new(),
            connect_routing_id: Vec::new(),
            rate: 100,
            recovery_ivl: 10_000,
            sndbuf: -1,
            rcvbuf: -1,
            linger: if lingers { -1 } else { 0 },
            reconnect_ivl: 100,
            reconnect_ivl_max: 0,
            backlog: 100,
            maxmsgsize: -1,
            sndhwm: 1000,
            rcvhwm: 1000,
            multicast_hops: 1,
            multicast_maxtpdu: 1500,
            multicast_loop: 1,
            loopback_fastpath: 0,
            rcvtimeo: -1,
            sndtimeo: -1,
            router_mandatory: 0,
            router_raw: 0,
            router_handover: 0,
            probe_router: 0,
            tcp_keepalive: -1,
            tcp_keepalive_cnt: -1,
            tcp_keepalive_idle: -1,
            tcp_keepalive_intvl: -1,
            immediate: 0,
            xpub_verbose: 0,
            xpub_verboser: 0,
            xpub_nodrop: 0,
            xpub_manual: 0,
            xpub_welcome_msg: Vec::new(),
            ipv6: c_int::from(context.ipv6),
            req_correlate: 0,
            req_relaxed: 0,
            conflate: 0,
            tos: 0,
            priority: 0,
            handshake_ivl: 30_000,
            stream_notify: 1,
            invert_matching: 0,
            heartbeat_ivl: 0,
            heartbeat_ttl: 0,
            heartbeat_timeout: -1,
            connect_timeout: 0,
            tcp_maxrt: 0,
            use_fd: -1,
            listener: None,
            accept: AcceptFilter::default(),
            bindtodevice: Vec::new(),
            socks_proxy: Vec::new(),
            socks_username: Vec::new(),
            socks_password: Zeroizing::default(),
            metadata: Metadata::new(),
            security: SecuritySettings::default(),
            wss: WssSettings::default(),
            xsub_verbose_unsubscribe: 0,
            only_first_subscribe: 0,
            router_notify: 0,
            xpub_manual_last_value: 0,
            reconnect_stop: 0,
            hello_msg: Vec::new(),
            disconnect_msg: Vec::new(),
            hiccup_msg: Vec::new(),
        }
    }

    /// The same in nought's terms. What is not for this type of socket is left out: libzmq accepts much of it.
    pub(crate) fn apply(&self, socket_type: SocketType, options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        self.apply_to_pattern(socket_type, self.apply_to_protocol(socket_type, self.apply_to_transport(options)))
    }

    fn apply_to_transport(&self, options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
        let longest = millis_unless_zero(self.reconnect_ivl_max);
        let interval = millis_unless_negative(self.reconnect_ivl);
        self.wss
            .apply(options)
            .send_buffer(u32::try_from(self.sndbuf).ok())
            .receive_buffer(u32::try_from(self.rcvbuf).ok())
            .backlog(self.backlog.unsigned_abs())
            .type_of_service(self.tos as u8)
            .priority(self.priority.unsigned_abs())
            .bind_to_device(text(&self.bindtodevice))
            .inherited_listener(self.listener.clone())
            .accept_filter(self.accept.clone())
            .ipv6(self.ipv6 != 0)
            .tcp_keepalive(u32::try_from(self.tcp_keepalive).ok().map(|on| on != 0))
            .tcp_keepalive_idle(self.keep_alive(self.tcp_keepalive_idle, KEEP_ALIVE_SECONDS_MAX).map(seconds))
            .tcp_keepalive_interval(self.keep_alive(self.tcp_keepalive_intvl, KEEP_ALIVE_SECONDS_MAX).map(seconds))
            .tcp_keepalive_count(self.keep_alive(self.tcp_keepalive_cnt, KEEP_ALIVE_COUNT_MAX))
            .connect_timeout(millis_unless_zero(self.connect_timeout))
            .socks_proxy(text(&self.socks_proxy).map(|address| self.socks(address)))
            .max_retransmission_time(millis_unless_zero(self.tcp_maxrt))
            // Zero is as soon as possible; nought has no such word.
            .reconnect_interval(interval.map(|interval| interval.max(Duration::from_millis(1))))
            .reconnect_stop_refused(self.reconnect_stop & STOP_REFUSED != 0)
            .reconnect_stop_handshake_failed(self.reconnect_stop & STOP_HANDSHAKE_FAILED != 0)
            // libzmq does not come back where it was denied.
            .reconnect_stop_denied(true)
            .reconnect_stop_after_disconnect(self.reconnect_stop & STOP_AFTER_DISCONNECT != 0)
            .multicast_hops(u8::try_from(self.multicast_hops).unwrap_or(u8::MAX))
            .multicast_loop(self.multicast_loop != 0)
            .reconnect_interval_max(longest.or(interval).unwrap_or_default())
    }

    fn socks(&self, address: String) -> SocksProxy {
        let proxy = SocksProxy::new(address);
        if self.socks_username.is_empty() {
            return proxy;
        }
        // Both were measured when they were set.
        proxy.clone().with_credentials(&self.socks_username[..], &self.socks_password[..]).unwrap_or(proxy)
    }

    /// Times and counts of probes say nothing while there are none. libzmq takes more than the kernel can do: that is left
    /// to the system.
    fn keep_alive(&self, value: c_int, max: u32) -> Option<u32> {
        u32::try_from(value).ok().filter(|value| self.tcp_keepalive == 1 && (1..=max).contains(value))
    }

    fn apply_to_protocol(&self, socket_type: SocketType, options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        let options = options
            .send_hwm(self.sndhwm.unsigned_abs())
            .recv_hwm(self.rcvhwm.unsigned_abs())
            .linger(millis_unless_negative(self.linger))
            .send_timeout(millis_unless_negative(self.sndtimeo))
            .recv_timeout(millis_unless_negative(self.rcvtimeo))
            .immediate(self.immediate != 0);
        // These do not speak ZMTP.
        if matches!(socket_type, SocketType::Stream | SocketType::Dgram) {
            return options;
        }
        self.security
            .apply(options)
            .max_message_size(u64::try_from(self.maxmsgsize).ok())
            .handshake_timeout(millis_unless_zero(self.handshake_ivl))
            .heartbeat_interval(millis_unless_zero(self.heartbeat_ivl))
            .heartbeat_timeout(millis_unless_negative(self.heartbeat_timeout).filter(|time| !time.is_zero()))
            .heartbeat_ttl(millis_unless_zero(self.heartbeat_ttl.saturating_mul(100)))
            .all_metadata(self.metadata.clone())
    }

    fn apply_to_pattern(&self, socket_type: SocketType, mut options: SocketBuilder<Any>) -> SocketBuilder<Any> {
        use SocketType::{Dealer, Pub, Req, Router, Stream, Sub, XPub, XSub};
        if socket_type.can_conflate() {
            options = options.conflate(self.conflate != 0);
        }
        if matches!(socket_type, Req | Dealer | Router) {
            options = options.probe_router(self.probe_router != 0).routing_id(&self.routing_id[..]);
        }
        if GREETING.contains(&socket_type) {
            options = options.hello_message(message(&self.hello_msg));
        }
        if SEEING_ENDS.contains(&socket_type) {
            options = options.disconnect_message(message(&self.disconnect_msg));
        }
        if SEEING_HICCUPS.contains(&socket_type) {
            options = options.hiccup_message(message(&self.hiccup_msg));
        }
        if matches!(socket_type, Pub | XPub | Sub) {
            options = options.invert_matching(self.invert_matching != 0);
        }
        if matches!(socket_type, Pub | XPub) {
            options = options.xpub_nodrop(self.xpub_nodrop != 0).xpub_welcome(&self.xpub_welcome_msg[..]);
        }
        if SUBSCRIBING_BY_MESSAGE.contains(&socket_type) {
            options = options.only_first_subscribe(self.only_first_subscribe != 0);
        }
        match socket_type {
            Router => options
                .router_mandatory(self.router_mandatory != 0)
                .router_handover(self.router_handover != 0)
                .router_notify_connect(self.router_notify & NOTIFY_CONNECT != 0)
                .router_notify_disconnect(self.router_notify & NOTIFY_DISCONNECT != 0)
                .router_raw(self.router_raw != 0),
            Req => options.req_correlate(self.req_correlate != 0).req_relaxed(self.req_relaxed != 0),
            XPub => options
                .xpub_verbose(self.xpub_verbose != 0)
                .xpub_verboser(self.xpub_verboser != 0)
                .xpub_manual(self.xpub_manual != 0)
                .xpub_manual_last_value(self.xpub_manual_last_value != 0),
            // libzmq leaves it to publishers to find out which are new.
            Sub | XSub => options.xsub_verbose(true).xsub_verbose_unsubscribe(self.xsub_verbose_unsubscribe != 0),
            Stream => options.stream_notify(self.stream_notify != 0),
            _ => options,
        }
    }
}

/// A message to be sent or received by itself; an empty one is none.
fn message(body: &[u8]) -> Option<Frame> {
    (!body.is_empty()).then(|| Frame::from(body))
}

fn millis_unless_negative(millis: c_int) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

fn millis_unless_zero(millis: c_int) -> Option<Duration> {
    millis_unless_negative(millis).filter(|time| !time.is_zero())
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds.max(1)))
}

/// One option that is a value.
struct Row {
    number: c_int,
    /// For which socket types it can be set.
    kinds: Kinds,
    field: Field,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    /// libzmq tells nobody what was set.
    Write,
}

#[derive(Clone, Copy)]
enum Kinds {
    All,
    Only(&'static [SocketType]),
}

impl Kinds {
    fn include(self, socket_type: SocketType) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(&socket_type),
        }
    }
}

/// Where the value is kept, and which values are legal.
enum Field {
    Int(fn(&mut Settings) -> &mut c_int, fn(c_int) -> bool),
    /// Whatever is more than zero switches it on.
    Switch(fn(&mut Settings) -> &mut c_int),
    /// Whatever is not zero switches it on.
    AnySwitch(fn(&mut Settings) -> &mut c_int),
    Long(fn(&mut Settings) -> &mut i64),
    Unsigned(fn(&mut Settings) -> &mut u64),
    Bytes(fn(&mut Settings) -> &mut Vec<u8>, fn(usize) -> bool),
    /// It is read with a zero behind it.
    Text(fn(&mut Settings) -> &mut Vec<u8>, fn(usize) -> bool),
}

fn any(_: c_int) -> bool {
    true
}

fn zero_or_one(value: c_int) -> bool {
    matches!(value, 0 | 1)
}

fn not_negative(value: c_int) -> bool {
    value >= 0
}

fn positive(value: c_int) -> bool {
    value > 0
}

fn from_minus_one(value: c_int) -> bool {
    value >= -1
}

fn a_routing_id(len: usize) -> bool {
    (1..=255).contains(&len)
}

fn a_socks_text(len: usize) -> bool {
    len <= 255
}

const fn row(number: c_int, field: Field) -> Row {
    Row { number, kinds: Kinds::All, field, access: Access::ReadWrite }
}

const fn of(number: c_int, types: &'static [SocketType], field: Field) -> Row {
    Row { number, kinds: Kinds::Only(types), field, access: Access::Write }
}

// libzmq's REP is a ROUTER inside and takes its options, which have no meaning for it: its replies go where the requests
// came from.
const ROUTING: &[SocketType] = &[SocketType::Router, SocketType::Dealer, SocketType::Req, SocketType::Rep];
const ROUTERS: &[SocketType] = &[SocketType::Router, SocketType::Rep];
const NAMING: &[SocketType] = &[SocketType::Router, SocketType::Stream, SocketType::Rep];
const SUBSCRIBERS: &[SocketType] = &[SocketType::Sub, SocketType::XSub];
const GREETING: &[SocketType] =
    &[SocketType::Dealer, SocketType::Router, SocketType::Server, SocketType::Client, SocketType::Peer];
const SEEING_ENDS: &[SocketType] = &[SocketType::Router, SocketType::Server, SocketType::Peer];
const SEEING_HICCUPS: &[SocketType] = &[SocketType::Dealer, SocketType::Client, SocketType::Peer];
const SUBSCRIBING_BY_MESSAGE: &[SocketType] = &[SocketType::Pub, SocketType::XPub, SocketType::XSub];
// A PUB takes `ZMQ_XPUB_VERBOSE` and `ZMQ_XPUB_VERBOSER`: of the nothing that it receives they make no more.
const PUBLISHERS: &[SocketType] = &[SocketType::Pub, SocketType::XPub];

/// All options that are values.
static TABLE: &[Row] = &[
    row(AFFINITY, Field::Unsigned(|settings| &mut settings.affinity)),
    row(5, Field::Bytes(|settings| &mut settings.routing_id, a_routing_id)),
    row(11, Field::Int(|settings| &mut settings.sndbuf, from_minus_one)),
    row(12, Field::Int(|settings| &mut settings.rcvbuf, from_minus_one)),
    row(17, Field::Int(|settings| &mut settings.linger, from_minus_one)),
    row(18, Field::Int(|settings| &mut settings.reconnect_ivl, from_minus_one)),
    row(19, Field::Int(|settings| &mut settings.backlog, not_negative)),
    row(21, Field::Int(|settings| &mut settings.reconnect_ivl_max, not_negative)),
    row(22, Field::Long(|settings| &mut settings.maxmsgsize)),
    row(23, Field::Int(|settings| &mut settings.sndhwm, not_negative)),
    row(24, Field::Int(|settings| &mut settings.rcvhwm, not_negative)),
    row(25, Field::Int(|settings| &mut settings.multicast_hops, positive)),
    row(27, Field::Int(|settings| &mut settings.rcvtimeo, from_minus_one)),
    row(28, Field::Int(|settings| &mut settings.sndtimeo, from_minus_one)),
    of(33, ROUTERS, Field::Switch(|settings| &mut settings.router_mandatory)),
    row(34, Field::Int(|settings| &mut settings.tcp_keepalive, |value| (-1..=1).contains(&value))),
    row(35, Field::Int(|settings| &mut settings.tcp_keepalive_cnt, from_minus_one)),
    row(36, Field::Int(|settings| &mut settings.tcp_keepalive_idle, from_minus_one)),
    row(37, Field::Int(|settings| &mut settings.tcp_keepalive_intvl, from_minus_one)),
    row(39, Field::Int(|settings| &mut settings.immediate, zero_or_one)),
    of(40, PUBLISHERS, Field::Switch(|settings| &mut settings.xpub_verbose)),
    of(41, ROUTERS, Field::Switch(|settings| &mut settings.router_raw)),
    row(42, Field::Int(|settings| &mut settings.ipv6, zero_or_one)),
    of(51, ROUTING, Field::Switch(|settings| &mut settings.probe_router)),
    of(52, &[SocketType::Req], Field::Switch(|settings| &mut settings.req_correlate)),
    of(53, &[SocketType::Req], Field::Switch(|settings| &mut settings.req_relaxed)),
    row(54, Field::Int(|settings| &mut settings.conflate, zero_or_one)),
    of(56, ROUTERS, Field::Switch(|settings| &mut settings.router_handover)),
    row(57, Field::Int(|settings| &mut settings.tos, not_negative)),
    of(61, NAMING, Field::Bytes(|settings| &mut settings.connect_routing_id, a_routing_id)),
    row(66, Field::Int(|settings| &mut settings.handshake_ivl, not_negative)),
    row(SOCKS_PROXY, Field::Text(|settings| &mut settings.socks_proxy, |len| len > 0)),
    of(69, PUBLISHERS, Field::Switch(|settings| &mut settings.xpub_nodrop)),
    of(71, &[SocketType::XPub], Field::Switch(|settings| &mut settings.xpub_manual)),
    of(XPUB_WELCOME_MSG, PUBLISHERS, Field::Bytes(|settings| &mut settings.xpub_welcome_msg, |_| true)),
    of(73, &[SocketType::Stream], Field::Int(|settings| &mut settings.stream_notify, zero_or_one)),
    row(74, Field::AnySwitch(|settings| &mut settings.invert_matching)),
    row(75, Field::Int(|settings| &mut settings.heartbeat_ivl, not_negative)),
    row(77, Field::Int(|settings| &mut settings.heartbeat_timeout, not_negative)),
    of(78, PUBLISHERS, Field::Switch(|settings| &mut settings.xpub_verboser)),
    row(79, Field::Int(|settings| &mut settings.connect_timeout, not_negative)),
    row(80, Field::Int(|settings| &mut settings.tcp_maxrt, not_negative)),
    row(BINDTODEVICE, Field::Text(|settings| &mut settings.bindtodevice, |len| (1..=16).contains(&len))),
    row(96, Field::AnySwitch(|settings| &mut settings.multicast_loop)),
    Row {
        access: Access::ReadWrite,
        ..of(
            97,
            &[SocketType::Router],
            Field::Int(|settings| &mut settings.router_notify, |value| (0..=3).contains(&value)),
        )
    },
    of(98, &[SocketType::XPub], Field::Switch(|settings| &mut settings.xpub_manual_last_value)),
    row(SOCKS_USERNAME, Field::Text(|settings| &mut settings.socks_username, a_socks_text)),
    row(SOCKS_PASSWORD, Field::Text(|settings| &mut settings.socks_password, a_socks_text)),
    row(109, Field::Int(|settings| &mut settings.reconnect_stop, |value| (0..=7).contains(&value))),
    of(110, GREETING, Field::Bytes(|settings| &mut settings.hello_msg, |_| true)),
    of(111, SEEING_ENDS, Field::Bytes(|settings| &mut settings.disconnect_msg, |_| true)),
    of(114, SEEING_HICCUPS, Field::Bytes(|settings| &mut settings.hiccup_msg, |_| true)),
    of(115, SUBSCRIBERS, Field::Switch(|settings| &mut settings.xsub_verbose_unsubscribe)),
    of(108, SUBSCRIBING_BY_MESSAGE, Field::Switch(|settings| &mut settings.only_first_subscribe)),
    row(112, Field::Int(|settings| &mut settings.priority, any)),
    // Of PGM, and of Windows: a libzmq that is built without them remembers what was set and tells it, no more; so does
    // this. Options of other things that are not there (GSSAPI, NORM, VMCI, TIPC, and the sizes of libzmq's own batches)
    // have no row, and are refused as by a libzmq without them.
    row(8, Field::Int(|settings| &mut settings.rate, positive)),
    row(9, Field::Int(|settings| &mut settings.recovery_ivl, not_negative)),
    row(84, Field::Int(|settings| &mut settings.multicast_maxtpdu, positive)),
    row(94, Field::AnySwitch(|settings| &mut settings.loopback_fastpath)),
];

fn row_of(number: c_int) -> Result<&'static Row> {
    TABLE.iter().find(|row| row.number == number).ok_or(Errno::INVALID)
}

pub(crate) fn int(value: &[u8]) -> Result<c_int> {
    value.try_into().map(c_int::from_ne_bytes).map_err(|_| Errno::INVALID)
}

fn unsigned(value: &[u8]) -> Result<u64> {
    value.try_into().map(u64::from_ne_bytes).map_err(|_| Errno::INVALID)
}

impl Field {
    fn set(&self, settings: &mut Settings, value: &[u8]) -> Result<()> {
        match self {
            Self::Int(field, is_legal) => {
                *field(settings) = Some(int(value)?).filter(|value| is_legal(*value)).ok_or(Errno::INVALID)?;
            }
            Self::Switch(field) => {
                let value = Some(int(value)?).filter(|value| *value >= 0).ok_or(Errno::INVALID)?;
                *field(settings) = c_int::from(value != 0);
            }
            Self::AnySwitch(field) => *field(settings) = c_int::from(int(value)? != 0),
            Self::Long(field) => *field(settings) = i64::from_ne_bytes(value.try_into().map_err(|_| Errno::INVALID)?),
            Self::Unsigned(field) => *field(settings) = unsigned(value)?,
            Self::Bytes(field, is_legal) | Self::Text(field, is_legal) => {
                let value = Some(value).filter(|value| is_legal(value.len())).ok_or(Errno::INVALID)?;
                let field = field(settings);
                // What was there may be a password.
                field.zeroize();
                field.extend_from_slice(value);
            }
        }
        Ok(())
    }

    fn get(&self, settings: &mut Settings) -> Value {
        match self {
            Self::Int(field, _) | Self::Switch(field) | Self::AnySwitch(field) => Value::int(*field(settings)),
            Self::Long(field) => Value::Number(field(settings).to_ne_bytes().to_vec()),
            Self::Unsigned(field) => Value::Number(field(settings).to_ne_bytes().to_vec()),
            Self::Bytes(field, _) => Value::Bytes(field(settings).clone()),
            Self::Text(field, _) => Value::text(field(settings)),
        }
    }
}

/// The characters of a key's text.
const KEY_TEXT_LEN: usize = 40;

/// What `zmq_getsockopt` returns.
pub(crate) enum Value {
    /// Of a size that the application has to know.
    Number(Vec<u8>),
    /// What may be shorter than the room for it.
    Bytes(Vec<u8>),
    /// As bytes or as text, by the room for it.
    Key(Zeroizing<[u8; 32]>),
}

impl Value {
    pub(crate) fn int(value: c_int) -> Self {
        Self::Number(value.to_ne_bytes().to_vec())
    }

    /// A number for which libzmq takes more room than it needs, too.
    fn loose(value: c_int) -> Self {
        Self::Bytes(value.to_ne_bytes().to_vec())
    }

    pub(crate) fn text(text: &[u8]) -> Self {
        Self::Bytes([text, b"\0"].concat())
    }

    /// Puts the value where the application wants it, with zeros behind it, and says how long it is.
    ///
    /// # Safety
    /// `place` points to `*len` bytes.
    pub(crate) unsafe fn write(&self, place: *mut u8, len: *mut usize) -> Result<()> {
        if place.is_null() || len.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as the caller says.
        let room = unsafe { *len };
        let text;
        let bytes = match self {
            Self::Key(key) if room == key.len() => &key[..],
            Self::Key(key) if room == KEY_TEXT_LEN + 1 => {
                text = Zeroizing::new(z85::encode(&key[..]).map_err(|_| Errno::INVALID)? + "\0");
                text.as_bytes()
            }
            Self::Number(bytes) if bytes.len() == room => bytes,
            Self::Bytes(bytes) if bytes.len() <= room => bytes,
            _ => return Err(Errno::INVALID),
        };
        // SAFETY: as the caller says; what is written is no longer than the place.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            place.add(bytes.len()).write_bytes(0, room - bytes.len());
            *len = bytes.len();
        }
        Ok(())
    }
}

impl SocketHandle {
    /// No `value` is a null pointer.
    fn set(&self, option: c_int, value: Option<&[u8]>) -> Result<()> {
        self.check_alive()?;
        match option {
            SUBSCRIBE | UNSUBSCRIBE => self.change_subscription(option == SUBSCRIBE, value.unwrap_or_default()),
            _ => {
                if option == AFFINITY {
                    self.choose_threads(unsigned(value.unwrap_or_default())?)?;
                }
                self.change(|settings| settings.set(self.socket_type, option, value))
            }
        }
    }

    /// Changes what was set, and puts it into force. What is refused, here or there, changes nothing.
    fn change(&self, change: impl Fn(&mut Settings) -> Result<()>) -> Result<()> {
        let mut has_overwritten = false;
        loop {
            let before = Arc::clone(&self.settings());
            let mut after = Settings::clone(&before);
            let changed = change(&mut after).and_then(|()| self.put_into_force(&after));
            if changed.is_err() {
                // What another thread has set is in force again.
                return if has_overwritten { self.apply().and(changed) } else { changed };
            }
            let mut settings = self.settings();
            if Arc::ptr_eq(&settings, &before) {
                *settings = Arc::new(after);
                return Ok(());
            }
            // Another thread has changed something meanwhile: once more, on top of that.
            has_overwritten = true;
        }
    }

    /// Puts what was set into force once more; as a change of its own, so that another thread that changes something
    /// meanwhile sees that it may have been overwritten.
    pub(crate) fn apply(&self) -> Result<()> {
        self.change(|_| Ok(()))
    }

    fn put_into_force(&self, settings: &Settings) -> Result<()> {
        Ok(self.socket.reconfigure(|options| settings.apply(self.socket_type, options))?)
    }

    fn change_subscription(&self, subscribe: bool, prefix: &[u8]) -> Result<()> {
        let takes_some = match self.socket_type {
            SocketType::Sub => true,
            SocketType::XPub => {
                let settings = self.settings();
                settings.xpub_manual != 0 || settings.xpub_manual_last_value != 0
            }
            _ => false,
        };
        if !takes_some {
            return Err(Errno::INVALID);
        }
        let changed = if subscribe { self.socket.subscribe(prefix) } else { self.socket.unsubscribe(prefix) };
        match changed {
            // The end of a subscription that does not exist is no error in libzmq, nor is a change for nobody (XPUB).
            Err(SubscribeError::Unknown | SubscribeError::NotSupported) => Ok(()),
            changed => Ok(changed?),
        }
    }

    fn get(&self, option: c_int) -> Result<Value> {
        self.check_alive()?;
        Ok(match option {
            RCVMORE => Value::loose(c_int::from(self.has_rest())),
            FD if self.is_thread_safe() => return Err(Errno::INVALID),
            FD => Value::loose(self.socket.descriptor()?.as_raw_fd()),
            EVENTS => Value::loose(self.events()?),
            TYPE => Value::int(c_int::from(self.socket_type.number())),
            IPV4ONLY => Value::int(c_int::from(self.settings().ipv6 == 0)),
            LAST_ENDPOINT => Value::text(self.socket.last_endpoint().unwrap_or_default().as_bytes()),
            option if SecuritySettings::has(option) => self.settings().security.get(option)?,
            THREAD_SAFE => Value::loose(c_int::from(self.is_thread_safe())),
            USE_FD => Value::int(self.settings().use_fd),
            // The peer that a STREAM has received from last.
            ROUTING_ID if !self.last_peer().is_empty() => Value::Bytes(self.last_peer()),
            HEARTBEAT_TTL => Value::int(self.settings().heartbeat_ttl.saturating_mul(100)),
            TOPICS_COUNT => Value::loose(c_int::try_from(self.socket.stats().subscriptions).unwrap_or(c_int::MAX)),
            _ => {
                let row = row_of(option)?;
                if row.access == Access::Write {
                    return Err(Errno::INVALID);
                }
                row.field.get(&mut Settings::clone(&self.settings()))
            }
        })
    }

    fn events(&self) -> Result<c_int> {
        let Readiness { readable, writable } = self.complete(self.socket.readiness());
        self.check_alive()?;
        Ok(c_int::from(readable) | c_int::from(writable) << 1)
    }
}

/// Adds a number to those that are accepted.
fn filter(accepted: &mut Vec<u32>, value: &[u8]) -> Result<()> {
    accepted.push(u32::from_ne_bytes(value.try_into().map_err(|_| Errno::INVALID)?));
    Ok(())
}

pub(crate) fn only_zero_or_one(value: c_int) -> Result<c_int> {
    if zero_or_one(value) { Ok(value) } else { Err(Errno::INVALID) }
}

impl Settings {
    /// No `value` is a null pointer.
    fn set(&mut self, socket_type: SocketType, option: c_int, value: Option<&[u8]>) -> Result<()> {
        match (option, value) {
            (TCP_ACCEPT_FILTER, None) => self.accept.networks.clear(),
            (IPC_FILTER_PID, None) => self.accept.processes.clear(),
            (IPC_FILTER_UID, None) => self.accept.users.clear(),
            (IPC_FILTER_GID, None) => self.accept.groups.clear(),
            (option, value) if SecuritySettings::has(option) => self.security.set(option, value)?,
            (SOCKS_PROXY, None) => self.socks_proxy.clear(),
            (SOCKS_USERNAME, None) => self.socks_username.clear(),
            (SOCKS_PASSWORD, None) => self.socks_password.zeroize(),
            (BINDTODEVICE, None) => self.bindtodevice.clear(),
            _ => self.set_to(socket_type, option, value.unwrap_or_default())?,
        }
        Ok(())
    }

    fn set_to(&mut self, socket_type: SocketType, option: c_int, value: &[u8]) -> Result<()> {
        match option {
            USE_FD => self.set_use_fd(int(value)?)?,
            TCP_ACCEPT_FILTER => self.filter_networks(value)?,
            IPC_FILTER_PID => filter(&mut self.accept.processes, value)?,
            IPC_FILTER_UID => filter(&mut self.accept.users, value)?,
            IPC_FILTER_GID => filter(&mut self.accept.groups, value)?,
            METADATA => self.add_metadata(value)?,
            option if WssSettings::has(option) => self.wss.set(option, value)?,
            IPV4ONLY => self.ipv6 = c_int::from(int(value).and_then(only_zero_or_one)? == 0),
            HEARTBEAT_TTL => self.set_heartbeat_ttl(int(value)?)?,
            _ => {
                let row = row_of(option)?;
                if !row.kinds.include(socket_type) {
                    return Err(Errno::INVALID);
                }
                row.field.set(self, value)?;
            }
        }
        Ok(())
    }

    fn filter_networks(&mut self, value: &[u8]) -> Result<()> {
        let text = str::from_utf8(value).map_err(|_| Errno::INVALID)?;
        self.accept.networks.push(text.trim_end_matches('\0').parse().map_err(|_| Errno::INVALID)?);
        Ok(())
    }

    /// The next `bind` that can takes this descriptor, which listens, and closes it in the end. Until then it is the
    /// application's.
    fn set_use_fd(&mut self, fd: c_int) -> Result<()> {
        if fd < -1 {
            return Err(Errno::INVALID);
        }
        self.give_descriptor_back();
        (self.use_fd, self.listener) = (fd, None);
        Ok(())
    }

    /// Makes the descriptor one that a `bind` may take.
    pub(crate) fn offer_descriptor(&mut self) -> Result<()> {
        // SAFETY: it only asks whether it is open.
        if unsafe { libc::fcntl(self.use_fd, libc::F_GETFD) } < 0 {
            return Err(Errno::last());
        }
        if self.listener.is_none() {
            // SAFETY: it is open, and the application has given it to the socket to be bound, once: nobody else closes it.
            // If it is not taken after all, `give_descriptor_back` closes nothing.
            let descriptor = unsafe { OwnedFd::from_raw_fd(self.use_fd) };
            self.listener = Some(descriptor.into());
        }
        Ok(())
    }

    /// Leaves a descriptor to the application that no `bind` has taken.
    pub(crate) fn give_descriptor_back(&mut self) {
        if let Some(untaken) = self.listener.as_ref().and_then(InheritedListener::take) {
            let _ = untaken.into_raw_fd();
            self.listener = None;
        }
    }

    /// The wire carries tenths of a second, in two bytes.
    fn set_heartbeat_ttl(&mut self, millis: c_int) -> Result<()> {
        let deciseconds = millis / 100;
        if !(0..=c_int::from(u16::MAX)).contains(&deciseconds) {
            return Err(Errno::INVALID);
        }
        self.heartbeat_ttl = deciseconds;
        Ok(())
    }

    /// A property for peers, as `name:value`.
    fn add_metadata(&mut self, property: &[u8]) -> Result<()> {
        let property = str::from_utf8(property).map_err(|_| Errno::INVALID)?;
        let (name, value) = property.split_once(':').ok_or(Errno::INVALID)?;
        if !name.starts_with("X-") || value.is_empty() {
            return Err(Errno::INVALID);
        }
        self.metadata.push(name, value);
        Ok(())
    }
}

/// Sets an option.
///
/// # Safety
/// `value` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_setsockopt(
    socket: *mut c_void,
    option: c_int,
    value: *const c_void,
    len: usize,
) -> c_int {
    border::unit(|| {
        // SAFETY: as the caller says.
        let (call, bytes) = unsafe { (socket::enter(socket)?, border::bytes(value.cast(), len)?) };
        call.set(option, Some(bytes).filter(|_| !value.is_null()))
    })
}

/// The value of an option: `*len` is the room for it, and then its length.
///
/// # Safety
/// `value` points to `*len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn zmq_getsockopt(
    socket: *mut c_void,
    option: c_int,
    value: *mut c_void,
    len: *mut usize,
) -> c_int {
    border::unit(|| {
        let call = socket::enter(socket)?;
        // SAFETY: as the caller says.
        unsafe { call.get(option)?.write(value.cast(), len) }
    })
}

#[cfg(test)]
mod tests;
