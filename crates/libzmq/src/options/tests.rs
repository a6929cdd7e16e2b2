//! Every option of the headers: what comes of it.

use super::*;
use crate::{
    context::{zmq_ctx_new, zmq_ctx_term},
    socket::{zmq_close, zmq_socket},
};

const HEADERS: [&str; 2] = [include_str!("../../include/zmq.h"), include_str!("../../include/zmq_draft.h")];
const PAGE: &str = include_str!("../../../../docs/replacing-libzmq.md");

const OPTIONS_BEGIN: &str = "/* Options of sockets */";
/// What the first header lists among older names.
const OLD_OPTIONS: [&str; 5] =
    ["ZMQ_IPV4ONLY", "ZMQ_TCP_ACCEPT_FILTER", "ZMQ_IPC_FILTER_PID", "ZMQ_IPC_FILTER_UID", "ZMQ_IPC_FILTER_GID"];

/// What can be set and is no setting of a socket's, or not alone: what it does is tested where it does it.
const ACTING: [&str; 7] = [
    "ZMQ_AFFINITY",
    "ZMQ_SUBSCRIBE",
    "ZMQ_UNSUBSCRIBE",
    "ZMQ_CONNECT_ROUTING_ID",
    "ZMQ_USE_FD",
    "ZMQ_WSS_KEY_PEM",
    "ZMQ_WSS_CERT_PEM",
];
/// What a libzmq without the thing itself takes and tells, too.
const ONLY_KEPT: [&str; 4] = ["ZMQ_RATE", "ZMQ_RECOVERY_IVL", "ZMQ_MULTICAST_MAXTPDU", "ZMQ_LOOPBACK_FASTPATH"];

/// What comes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    /// It can be read, and not be set.
    Told,
    /// It can be set, and no setting of any socket becomes another.
    Taken,
    /// The settings in force become others.
    InForce,
}

fn number_of(name: &str, value: &str) -> c_int {
    value.trim().parse().unwrap_or_else(|_| panic!("{name} is {value}"))
}

/// The options of sockets that the headers define.
fn options() -> Vec<(&'static str, c_int)> {
    let defined = |line: &'static str| line.strip_prefix("#define ")?.split_once(' ');
    let listed = HEADERS.iter().flat_map(|header| {
        let (_, section) = header.split_once(OPTIONS_BEGIN).unwrap();
        section.trim_start().lines().map_while(defined)
    });
    let old = HEADERS[0].lines().filter_map(defined).filter(|(name, _)| OLD_OPTIONS.contains(name));
    listed.chain(old).map(|(name, value)| (name, number_of(name, value))).collect()
}

/// A value of each form that an option can have: one of them is legal and differs from what is in force.
fn values() -> Vec<Vec<u8>> {
    let numbers = [-1, 0, 1, 2, 3, 100, 5000].map(|number: c_int| number.to_ne_bytes().to_vec());
    let long = 77_i64.to_ne_bytes().to_vec();
    let texts = [&b"lo"[..], b"X-name:value", b"127.0.0.0/8", b"127.0.0.1:1080", &[7; 32]].map(<[u8]>::to_vec);
    numbers.into_iter().chain([long]).chain(texts).collect()
}

/// The best that comes of an option, of whatever socket and with whatever value.
fn outcome(option: c_int) -> Outcome {
    // Of its own: a closed socket counts until it has ended, and a context has its limit.
    let context = zmq_ctx_new();
    let all_types = (0..=u8::MAX).map_while(SocketType::from_number);
    let best = all_types.map(|socket_type| outcome_of(context, socket_type, option)).max().unwrap();
    assert_eq!(zmq_ctx_term(context), 0);
    best
}

fn outcome_of(context: *mut c_void, socket_type: SocketType, option: c_int) -> Outcome {
    let socket = zmq_socket(context, c_int::from(socket_type.number()));
    let call = socket::enter(socket).unwrap();
    // Times of keep-alive, and who one is to a proxy, are in force only with these.
    call.set(34, Some(&1_i32.to_ne_bytes())).unwrap();
    call.set(SOCKS_PROXY, Some(b"127.0.0.1:1081")).unwrap();
    if option == SOCKS_PASSWORD {
        call.set(SOCKS_USERNAME, Some(b"user")).unwrap();
    }
    let before = call.socket.settings();
    let try_to_set = |value: Vec<u8>| match call.set(option, Some(&value)) {
        Ok(()) if call.socket.settings() != before => Outcome::InForce,
        Ok(()) => Outcome::Taken,
        Err(_) => Outcome::Refused,
    };
    let told = if call.get(option).is_ok() { Outcome::Told } else { Outcome::Refused };
    let best = values().into_iter().map(try_to_set).max().unwrap_or(told).max(told);
    drop(call);
    zmq_close(socket);
    best
}

#[test]
fn each_option_is_in_force_or_refused_with_its_reason_in_the_documentation() {
    let all = options();
    assert!(all.len() > 110, "{}", all.len());
    let documented = |name: &str| PAGE.contains(&format!("`{name}`"));
    for (name, number) in all {
        match outcome(number) {
            Outcome::Refused => assert!(documented(name), "{name} is refused: the page says nothing of it"),
            Outcome::Taken if ONLY_KEPT.contains(&name) => assert!(documented(name), "{name}"),
            Outcome::Taken => assert!(ACTING.contains(&name), "{name} is accepted, and nothing comes of it"),
            Outcome::Told | Outcome::InForce => assert!(!ONLY_KEPT.contains(&name), "{name} does something"),
        }
    }
}

#[test]
fn what_is_refused_spoils_nothing() {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, c_int::from(SocketType::Dealer.number()));
    let call = socket::enter(socket).unwrap();
    // Names of properties have no spaces (RFC 23): it is the core that says so.
    assert_eq!(call.set(METADATA, Some(b"X-a name:value")), Err(Errno::INVALID));
    assert_eq!(call.set(17, Some(&5_i32.to_ne_bytes())), Ok(()));
    assert_eq!(call.socket.settings().linger, Some(Duration::from_millis(5)));
    assert!(call.socket.settings().metadata.is_empty());
    drop(call);
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
}

#[test]
fn what_threads_set_at_once_is_all_in_force() {
    const ROUNDS: c_int = 200;
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, c_int::from(SocketType::Client.number()));
    let call = socket::enter(socket).unwrap();
    for value in 1..=ROUNDS {
        std::thread::scope(|scope| {
            for option in [23, 24, 17] {
                let call = &*call;
                scope.spawn(move || call.set(option, Some(&value.to_ne_bytes())).unwrap());
            }
        });
        let settings = call.socket.settings();
        let linger = Some(Duration::from_millis(value.unsigned_abs().into()));
        let wanted = (value.unsigned_abs(), value.unsigned_abs(), linger);
        assert_eq!((settings.send_hwm, settings.recv_hwm, settings.linger), wanted);
    }
    drop(call);
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
}
