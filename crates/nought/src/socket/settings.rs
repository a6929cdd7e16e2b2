//! Options that change on a living socket, and what is in force.

use std::time::Duration;

use nought_proto::{Frame, Message, Options, Security, wire::metadata::Metadata};

use super::{
    CanReceive, CanSend, Kind, Publishes, Requests, Routes, SeesSubscriptions, Socket, SocketOptions, SpeaksZmtp,
    kind::Ability, options::ReconnectStop,
};
use crate::{engine::State, error::WrongKind, transport::TransportOptions};

/// The struct and how it is filled: the options by the place that keeps them.
macro_rules! settings {
    (protocol { $($protocol:ident: $of_protocol:ty,)+ } socket { $($socket:ident: $of_socket:ty,)+ }) => {
        /// The options of a socket, as they are in force; from [`Socket::settings`]. Those that its kind does not have
        /// stand at their defaults.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct SocketSettings {
            $(
                #[doc = concat!("See [`SocketBuilder::", stringify!($protocol), "`](crate::SocketBuilder::", stringify!($protocol), ").")]
                pub $protocol: $of_protocol,
            )+
            $(
                #[doc = concat!("See [`SocketBuilder::", stringify!($socket), "`](crate::SocketBuilder::", stringify!($socket), ").")]
                pub $socket: $of_socket,
            )+
            /// When endpoints are connected to no more.
            pub reconnect_stop: ReconnectStop,
            /// What is bound or connected from now on asks of its transport.
            pub transport: TransportOptions,
        }

        impl SocketSettings {
            fn of(protocol: &Options, socket: &SocketOptions) -> Self {
                Self {
                    $($protocol: protocol.$protocol.clone(),)+
                    $($socket: socket.$socket.clone(),)+
                    reconnect_stop: socket.reconnect_stop,
                    transport: socket.transport.clone(),
                }
            }
        }
    };
}

settings! {
    protocol {
        send_hwm: u32,
        recv_hwm: u32,
        send_hwm_bytes: usize,
        recv_hwm_bytes: usize,
        immediate: bool,
        conflate: bool,
        max_message_size: Option<u64>,
        handshake_timeout: Option<Duration>,
        heartbeat_interval: Option<Duration>,
        heartbeat_timeout: Option<Duration>,
        heartbeat_ttl: Option<Duration>,
        routing_id: Frame,
        metadata: Metadata,
        security: Security,
        zap_domain: Frame,
        zap_enforce_domain: bool,
        probe_router: bool,
        hello_message: Option<Frame>,
        disconnect_message: Option<Frame>,
        hiccup_message: Option<Frame>,
        router_mandatory: bool,
        router_handover: bool,
        router_raw: bool,
        router_notify_connect: bool,
        router_notify_disconnect: bool,
        req_correlate: bool,
        req_relaxed: bool,
        xpub_verbose: bool,
        xpub_verboser: bool,
        xpub_manual: bool,
        xpub_manual_last_value: bool,
        only_first_subscribe: bool,
        xpub_nodrop: bool,
        xpub_welcome: Option<Message>,
        invert_matching: bool,
        xsub_verbose: bool,
        xsub_verbose_unsubscribe: bool,
        stream_notify: bool,
    }
    socket {
        linger: Option<Duration>,
        send_timeout: Option<Duration>,
        recv_timeout: Option<Duration>,
        reconnect_interval: Option<Duration>,
        reconnect_interval_max: Duration,
        spin: Duration,
        interruptible: bool,
        any_type_in_process: bool,
        bursts_meet_hwm: bool,
        frees_by_halves: bool,
    }
}

impl<K: Kind> Socket<K> {
    /// The options, as they are in force.
    pub fn settings(&self) -> SocketSettings {
        let state = self.core.lock();
        SocketSettings::of(state.machine.options(), &state.options)
    }

    /// Changes the send high-water mark, for peers that are there, too; see
    /// [`SocketBuilder::send_hwm`](crate::SocketBuilder::send_hwm).
    pub fn set_send_hwm(&self, messages: u32) {
        self.change_protocol(|options| options.send_hwm = messages);
    }

    /// Changes the receive high-water mark, for peers that are there, too; see
    /// [`SocketBuilder::recv_hwm`](crate::SocketBuilder::recv_hwm).
    pub fn set_recv_hwm(&self, messages: u32) {
        self.change_protocol(|options| options.recv_hwm = messages);
    }

    /// Changes the linger time; see [`SocketBuilder::linger`](crate::SocketBuilder::linger).
    pub fn set_linger(&self, linger: Option<Duration>) {
        self.change(|state| state.options.linger = linger);
    }

    /// Whether endpoints that are connected to from now on get no queue before the peer is there; see
    /// [`SocketBuilder::immediate`](crate::SocketBuilder::immediate). Connections that are made again count as well.
    pub fn set_immediate(&self, immediate: bool) {
        self.change_protocol(|options| options.immediate = immediate);
    }

    /// Changes the pauses before connections are made again, from the next pause on; see
    /// [`SocketBuilder::reconnect_interval`](crate::SocketBuilder::reconnect_interval) and
    /// [`reconnect_interval_max`](crate::SocketBuilder::reconnect_interval_max). An interval of zero is taken for
    /// `None`.
    pub fn set_reconnect_intervals(&self, interval: Option<Duration>, longest: Duration) {
        self.change(|state| {
            state.options.reconnect_interval = interval.filter(|interval| !interval.is_zero());
            state.options.reconnect_interval_max = longest;
        });
    }

    fn change_protocol(&self, change: impl FnOnce(&mut Options)) {
        self.change(|state| state.machine.set_options(change));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.core.lock();
        change(&mut state);
        drop(self.core.settle(state));
    }

    fn change_if(
        &self,
        ability: Ability,
        option: &'static str,
        change: impl FnOnce(&mut Options),
    ) -> Result<(), WrongKind> {
        WrongKind::check(ability, option, self.socket_type())?;
        self.change_protocol(change);
        Ok(())
    }
}

impl<K: CanSend> Socket<K> {
    /// Changes the send time-out, for calls from now on; see
    /// [`SocketBuilder::send_timeout`](crate::SocketBuilder::send_timeout).
    pub fn set_send_timeout(&self, timeout: Option<Duration>) {
        self.change(|state| state.options.send_timeout = timeout);
    }
}

impl<K: CanReceive> Socket<K> {
    /// Changes the receive time-out, for calls from now on; see
    /// [`SocketBuilder::recv_timeout`](crate::SocketBuilder::recv_timeout).
    pub fn set_recv_timeout(&self, timeout: Option<Duration>) {
        self.change(|state| state.options.recv_timeout = timeout);
    }
}

impl<K: SpeaksZmtp> Socket<K> {
    /// Changes the largest message to take, for what arrives from now on; see
    /// [`SocketBuilder::max_message_size`](crate::SocketBuilder::max_message_size).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is a STREAM.
    pub fn set_max_message_size(&self, bytes: Option<u64>) -> Result<(), WrongKind> {
        self.change_if(Ability::SpeaksZmtp, "max_message_size", |options| options.max_message_size = bytes)
    }

    /// Changes the security mechanism, for connections whose handshake begins from now on; see
    /// [`SocketBuilder::security`](crate::SocketBuilder::security).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is a STREAM.
    pub fn set_security(&self, security: impl Into<Security>) -> Result<(), WrongKind> {
        let security = security.into();
        self.change_if(Ability::SpeaksZmtp, "security", |options| options.security = security)
    }

    /// Changes the domain that authenticators are told, of at most 255 bytes, and whether it is enforced, for connections
    /// whose handshake begins from now on; see [`SocketBuilder::zap_domain`](crate::SocketBuilder::zap_domain) and
    /// [`zap_enforce_domain`](crate::SocketBuilder::zap_enforce_domain).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is a STREAM.
    pub fn set_zap_domain(&self, domain: impl Into<Frame>, enforce: bool) -> Result<(), WrongKind> {
        let domain = domain.into();
        self.change_if(Ability::SpeaksZmtp, "zap_domain", |options| {
            options.zap_domain = domain;
            options.zap_enforce_domain = enforce;
        })
    }

    /// Changes how often peers are sent a PING, and how long they may be silent after it: for connections made from now
    /// on, and for those that are sent PINGs already; see [`SocketBuilder::heartbeat_interval`](crate::SocketBuilder::heartbeat_interval) and
    /// [`heartbeat_timeout`](crate::SocketBuilder::heartbeat_timeout). Zero is taken for `None`.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is a STREAM.
    pub fn set_heartbeat(&self, interval: Option<Duration>, timeout: Option<Duration>) -> Result<(), WrongKind> {
        self.change_if(Ability::SpeaksZmtp, "heartbeat", |options| {
            options.heartbeat_interval = interval;
            options.heartbeat_timeout = timeout;
        })
    }
}

impl<K: Routes> Socket<K> {
    /// See [`SocketBuilder::router_mandatory`](crate::SocketBuilder::router_mandatory). A call that waits for room
    /// when it is switched off drops its message.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no ROUTER.
    pub fn set_router_mandatory(&self, mandatory: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::Routes, "router_mandatory", |options| options.router_mandatory = mandatory)
    }

    /// See [`SocketBuilder::router_handover`](crate::SocketBuilder::router_handover).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no ROUTER.
    pub fn set_router_handover(&self, handover: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::Routes, "router_handover", |options| options.router_handover = handover)
    }
}

impl<K: Requests> Socket<K> {
    /// See [`SocketBuilder::req_correlate`](crate::SocketBuilder::req_correlate). It counts for requests from now on: the
    /// reply that is awaited has the form of its request.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no REQ.
    pub fn set_req_correlate(&self, correlate: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::Requests, "req_correlate", |options| options.req_correlate = correlate)
    }

    /// See [`SocketBuilder::req_relaxed`](crate::SocketBuilder::req_relaxed). It counts at once: while a reply is awaited,
    /// another request may be sent, or not any more.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no REQ.
    pub fn set_req_relaxed(&self, relaxed: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::Requests, "req_relaxed", |options| options.req_relaxed = relaxed)
    }
}

impl<K: Publishes> Socket<K> {
    /// See [`SocketBuilder::xpub_nodrop`](crate::SocketBuilder::xpub_nodrop). A call that waits for room when it is
    /// switched off drops its message for those that have none.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is neither PUB nor XPUB.
    pub fn set_xpub_nodrop(&self, nodrop: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::Publishes, "xpub_nodrop", |options| options.xpub_nodrop = nodrop)
    }
}

impl<K: SeesSubscriptions> Socket<K> {
    /// See [`SocketBuilder::xpub_verbose`](crate::SocketBuilder::xpub_verbose).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no XPUB.
    pub fn set_xpub_verbose(&self, verbose: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::SeesSubscriptions, "xpub_verbose", |options| options.xpub_verbose = verbose)
    }

    /// See [`SocketBuilder::xpub_verboser`](crate::SocketBuilder::xpub_verboser).
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no XPUB.
    pub fn set_xpub_verboser(&self, verboser: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::SeesSubscriptions, "xpub_verboser", |options| options.xpub_verboser = verboser)
    }

    /// See [`SocketBuilder::xpub_manual`](crate::SocketBuilder::xpub_manual). What is in force stays in force; it counts
    /// for what peers ask for, or end, from now on. Switched on, the ends of earlier subscriptions are received, and take
    /// effect by [`unsubscribe`](Socket::unsubscribe). Switched off, what was asked for and not granted stays so until it
    /// is asked for again, and what was granted in the place of something else until its peer is gone.
    ///
    /// # Errors
    /// If an [`Any`](crate::Any) is no XPUB.
    pub fn set_xpub_manual(&self, manual: bool) -> Result<(), WrongKind> {
        self.change_if(Ability::SeesSubscriptions, "xpub_manual", |options| options.xpub_manual = manual)
    }
}
