//! What a socket's user decides about its protocol.

use std::time::Duration;

use crate::{
    frame::Frame,
    limits::{HANDSHAKE_TIMEOUT_DEFAULT, SUBSCRIPTIONS_PER_PEER_DEFAULT},
    mechanism::Security,
    message::Message,
    socket_type::SocketType,
    wire::metadata::Metadata,
};

/// The options of a [`Socket`](crate::Socket) machine. Defaults are libzmq's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Messages that may wait for each peer before sending blocks or drops; 0: no limit. Default 1000.
    pub send_hwm: u32,
    /// Messages from each peer that may wait to be received before its transport is no longer read; 0: no limit.
    /// Default 1000.
    pub recv_hwm: u32,
    /// Bytes that may wait for each peer, beside [`send_hwm`](Self::send_hwm); 0: no limit. Default 0.
    pub send_hwm_bytes: usize,
    /// Bytes from each peer that may wait, beside [`recv_hwm`](Self::recv_hwm); 0: no limit. Default 0.
    pub recv_hwm_bytes: usize,
    /// The name by which a ROUTER knows this socket; at most 255 bytes. Default: empty, the ROUTER makes one up.
    pub routing_id: Frame,
    /// Queue only to peers whose handshake is over (libzmq's IMMEDIATE 1). Default false.
    pub immediate: bool,
    /// PUSH, PULL, PUB, SUB, DEALER: keep only the newest message in each direction, in place of the high-water marks.
    /// Messages of several frames are not for such sockets. On other sockets it is off whatever is said here.
    /// Default false.
    pub conflate: bool,
    /// The largest message taken from a peer, all its frames together, in bytes. Default: none.
    pub max_message_size: Option<u64>,
    /// How long a handshake may take; `None`: for ever. Default 30 s.
    pub handshake_timeout: Option<Duration>,
    /// How often a PING is sent; `None`: never. Default `None`.
    pub heartbeat_interval: Option<Duration>,
    /// How long the peer is told to wait for us before it gives up; at most 6553.5 s. Default: no say.
    pub heartbeat_ttl: Option<Duration>,
    /// How long to wait for the peer after a PING; `None`: as long as the interval.
    pub heartbeat_timeout: Option<Duration>,
    /// The security mechanism; a peer that wants another is refused. Default: none.
    pub security: Security,
    /// What authenticators are told as the domain of the peers. With [`Security::Null`] they are asked only if there is
    /// one. Default: empty, none.
    pub zap_domain: Frame,
    /// Peers are refused where nobody is there to judge them; and without a domain, nobody is asked, except for PLAIN
    /// (libzmq's ZAP_ENFORCE_DOMAIN). Default false.
    pub zap_enforce_domain: bool,
    /// Properties sent to the peer beside the socket type, their names starting with `X-`.
    pub metadata: Metadata,

    /// ROUTER: sending to a peer that is not there, or whose queue is full, is an error, not a drop.
    pub router_mandatory: bool,
    /// ROUTER: a peer with a routing id that is taken replaces the one that has it.
    pub router_handover: bool,
    /// ROUTER: talks to peers that do not speak ZMTP, as a STREAM does but without notices (libzmq's deprecated
    /// ROUTER_RAW). It applies to sockets that are made with it.
    pub router_raw: bool,
    /// ROUTER: an empty message tells that a peer of another process has come.
    pub router_notify_connect: bool,
    /// ROUTER: an empty message tells that a peer of another process is gone.
    pub router_notify_disconnect: bool,
    /// ROUTER, DEALER, REQ: an empty message is sent to each new peer, so that a ROUTER learns of this socket.
    pub probe_router: bool,
    /// ROUTER, DEALER, CLIENT, SERVER, PEER: sent to each peer, before all else, each time that a connection is made.
    pub hello_message: Option<Frame>,
    /// ROUTER, SERVER, PEER: received as the last message of a peer that had connected to this socket, when its connection
    /// is lost.
    pub disconnect_message: Option<Frame>,
    /// DEALER, CLIENT, PEER: received when a connection is lost that this socket will make again.
    pub hiccup_message: Option<Frame>,
    /// REQ: a request id goes with each request, and replies to older ones are dropped.
    pub req_correlate: bool,
    /// REQ: a request may be sent before the reply to the one before has come.
    pub req_relaxed: bool,
    /// XPUB: each subscription is passed up, not only the first of its prefix.
    pub xpub_verbose: bool,
    /// XPUB: each end of a subscription is passed up, too.
    pub xpub_verboser: bool,
    /// XPUB: subscriptions take effect only when the application says so.
    pub xpub_manual: bool,
    /// XPUB: as with manual; and the first message after a subscription that took effect goes to that subscriber alone.
    pub xpub_manual_last_value: bool,
    /// PUB, XPUB, XSUB: of a message of several frames, the first is a subscription or the end of one if it begins with 1
    /// or 0, and the others are a message. Otherwise none of them is a subscription.
    pub only_first_subscribe: bool,
    /// PUB, XPUB: a peer whose queue is full makes sending wait, where otherwise the message is dropped for it.
    pub xpub_nodrop: bool,
    /// PUB, XPUB, RADIO: the distinct prefixes or groups that one peer may have at once; one that wants more is given up.
    /// Default 2^24.
    pub subscriptions_per_peer_max: usize,
    /// PUB, XPUB: sent to each new subscriber.
    pub xpub_welcome: Option<Message>,
    /// PUB, XPUB, SUB, XSUB: messages that match no subscription are wanted, and not those that match one.
    pub invert_matching: bool,
    /// SUB, XSUB: each subscription is sent upstream, not only the first of its prefix.
    pub xsub_verbose: bool,
    /// SUB, XSUB: each end of a subscription is sent upstream, not only the last of its prefix. A publisher that is not
    /// told of each subscription, or counts none, ends all of them with the first.
    pub xsub_verbose_unsubscribe: bool,
    /// STREAM: empty messages tell of connections and their ends. Default true.
    pub stream_notify: bool,
    /// The first of the numbers from which generated routing ids and request ids are counted. Default 0; a driver
    /// gives each socket a random one, so that ids of two runs differ.
    pub id_seed: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_hwm: 1000,
            recv_hwm: 1000,
            send_hwm_bytes: 0,
            recv_hwm_bytes: 0,
            routing_id: Frame::new(),
            immediate: false,
            conflate: false,
            max_message_size: None,
            handshake_timeout: Some(HANDSHAKE_TIMEOUT_DEFAULT),
            heartbeat_interval: None,
            heartbeat_ttl: None,
            heartbeat_timeout: None,
            security: Security::default(),
            zap_domain: Frame::new(),
            zap_enforce_domain: false,
            metadata: Metadata::new(),
            router_mandatory: false,
            router_handover: false,
            router_raw: false,
            router_notify_connect: false,
            router_notify_disconnect: false,
            probe_router: false,
            hello_message: None,
            disconnect_message: None,
            hiccup_message: None,
            req_correlate: false,
            req_relaxed: false,
            xpub_verbose: false,
            xpub_verboser: false,
            xpub_manual: false,
            xpub_manual_last_value: false,
            only_first_subscribe: false,
            xpub_nodrop: false,
            subscriptions_per_peer_max: SUBSCRIPTIONS_PER_PEER_DEFAULT,
            xpub_welcome: None,
            invert_matching: false,
            xsub_verbose: false,
            xsub_verbose_unsubscribe: false,
            stream_notify: true,
            id_seed: 0,
        }
    }
}

impl Options {
    /// Switches off what sockets of this type do not have.
    pub(crate) fn fit(&mut self, socket_type: SocketType) {
        use SocketType::*;
        let only = |message: &mut Option<Frame>, types: &[SocketType]| {
            message.take_if(|_| !types.contains(&socket_type));
        };
        self.conflate &= socket_type.can_conflate();
        self.only_first_subscribe &= matches!(socket_type, Pub | XPub | XSub);
        self.probe_router &= matches!(socket_type, Req | Dealer | Router);
        self.router_notify_connect &= socket_type == Router;
        self.router_notify_disconnect &= socket_type == Router;
        only(&mut self.hello_message, &[Router, Dealer, Client, Server, Peer]);
        only(&mut self.disconnect_message, &[Router, Server, Peer]);
        only(&mut self.hiccup_message, &[Dealer, Client, Peer]);
    }
}
