//! Socket types that do not fit each other: the connection is refused on both sides, with an event that says why, and
//! the socket serves others as before.

use std::time::{Duration, Instant};

use nought::{DisconnectReason, Incompatibility, ProtocolError, SocketEventKind, SocketType};
use nought_conformance::{Contexts, Library, PATIENCE, Peer, Told, Transport, until};

/// All but STREAM, which speaks to anybody, and those that a libzmq without drafts lacks.
fn types() -> Vec<SocketType> {
    let is_there = |socket_type: &SocketType| {
        !matches!(socket_type, SocketType::Stream | SocketType::Dgram) && !socket_type.is_single_frame()
    };
    SocketType::ALL.into_iter().filter(is_there).collect()
}

/// Which may talk to which (RFC 28 to 31), written down once more.
const LEGAL: [(SocketType, &[SocketType]); 11] = [
    (SocketType::Pair, &[SocketType::Pair]),
    (SocketType::Pub, &[SocketType::Sub, SocketType::XSub]),
    (SocketType::Sub, &[SocketType::Pub, SocketType::XPub]),
    (SocketType::Req, &[SocketType::Rep, SocketType::Router]),
    (SocketType::Rep, &[SocketType::Req, SocketType::Dealer]),
    (SocketType::Dealer, &[SocketType::Rep, SocketType::Dealer, SocketType::Router]),
    (SocketType::Router, &[SocketType::Req, SocketType::Dealer, SocketType::Router]),
    (SocketType::Pull, &[SocketType::Push]),
    (SocketType::Push, &[SocketType::Pull]),
    (SocketType::XPub, &[SocketType::Sub, SocketType::XSub]),
    (SocketType::XSub, &[SocketType::Pub, SocketType::XPub]),
];

fn is_legal(ours: SocketType, theirs: SocketType) -> bool {
    LEGAL.iter().any(|(socket_type, peers)| *socket_type == ours && peers.contains(&theirs))
}

/// How the first connection of a nought socket ended, or that it stands.
fn outcome(peer: &Peer) -> Result<(), DisconnectReason> {
    let Peer::Nought(_, monitor) = peer else { panic!("this asks nought") };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match monitor.recv_timeout(deadline.saturating_duration_since(Instant::now())).expect("an outcome").kind {
            SocketEventKind::HandshakeSucceeded { .. } => return Ok(()),
            SocketEventKind::HandshakeFailed { error } => return Err(DisconnectReason::Protocol(error)),
            SocketEventKind::Disconnected { reason } => return Err(reason),
            _ => {}
        }
    }
}

fn check(ours: SocketType, theirs: SocketType, library: Library, transport: Transport, nought_binds: bool) {
    let what = format!("{transport}: nought's {ours}, {library:?}'s {theirs}, nought binds: {nought_binds}");
    let contexts = Contexts::default();
    let place = transport.place();
    let nought = contexts.socket(Library::Nought, ours, &[]);
    let other = contexts.socket(library, theirs, &[]);
    let (binding, connecting) = if nought_binds { (&nought, &other) } else { (&other, &nought) };
    binding.bind(&place.endpoint);
    connecting.connect(&place.endpoint);
    match outcome(&nought) {
        Ok(()) => assert!(is_legal(ours, theirs), "{what}: accepted"),
        // Whoever reads the other's READY first says it; the other may only see the connection end.
        Err(DisconnectReason::Protocol(ProtocolError::Incompatible(incompatibility))) => {
            assert!(!is_legal(ours, theirs), "{what}: {incompatibility}");
            assert_eq!(incompatibility, Incompatibility::SocketType { ours, theirs: Some(theirs) }, "{what}");
        }
        Err(DisconnectReason::Protocol(ProtocolError::RefusedByPeer(_)) | DisconnectReason::PeerClosed) => {
            assert!(!is_legal(ours, theirs), "{what}");
        }
        Err(DisconnectReason::Transport(_)) => assert!(!is_legal(ours, theirs), "{what}"),
        Err(reason) => panic!("{what}: {reason}"),
    }
    if !is_legal(ours, theirs) {
        until("the other side is told, too", || {
            other.attend();
            std::iter::from_fn(|| other.told()).any(|told| matches!(told, Told::HandshakeFailed | Told::Disconnected))
        });
    }
}

#[test]
fn every_two_types_of_nought_and_libzmq() {
    for ours in types() {
        for theirs in types() {
            for nought_binds in [false, true] {
                check(ours, theirs, Library::Libzmq, Transport::Tcp, nought_binds);
            }
        }
    }
}

#[test]
fn every_two_types_of_nought() {
    for ours in types() {
        for theirs in types() {
            check(ours, theirs, Library::Nought, Transport::Ipc, true);
        }
    }
}

#[test]
fn the_refused_do_not_disturb_the_others() {
    let contexts = Contexts::default();
    let place = Transport::Tcp.place();
    let pull = contexts.socket(Library::Nought, SocketType::Pull, &[]);
    pull.bind(&place.endpoint);
    let refused: Vec<Peer> = types()
        .into_iter()
        .filter(|socket_type| !is_legal(SocketType::Pull, *socket_type))
        .map(|socket_type| {
            let peer = contexts.socket(Library::Libzmq, socket_type, &[]);
            peer.connect(&place.endpoint);
            peer
        })
        .collect();
    for library in [Library::Libzmq, Library::Nought] {
        let push = contexts.socket(library, SocketType::Push, &[]);
        push.connect(&place.endpoint);
        for index in 0..200_u32 {
            push.send(&[index.to_be_bytes().to_vec()]);
            assert_eq!(pull.recv_within(PATIENCE).unwrap(), [index.to_be_bytes()]);
        }
    }
    let mut ends = 0;
    until("all are refused", || {
        let told = std::iter::from_fn(|| pull.told());
        ends += told.filter(|told| matches!(told, Told::HandshakeFailed | Told::Disconnected)).count();
        ends >= refused.len()
    });
    assert_eq!(pull.recv_within(Duration::from_millis(50)), Err(nought_conformance::Refusal::WouldBlock));
}
