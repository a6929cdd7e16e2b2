//! What is known of the peer that a message comes from: with `recv_from`, in `peers()` and in events.

mod support;

use std::{io::Write, net::TcpStream, os::unix::fs::MetadataExt, sync::Arc, time::Duration};

use nought::{
    Context, Dealer, PeerInfo, Pull, Push, RecvError, Rep, Req, Router, Socket, SocketEventKind, SocketType, Stream,
    Sub, XPub,
};
use support::{PATIENCE, Transport, await_event, connect, executor::block_on, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

fn named(context: &Context, name: &str) -> Socket<Push> {
    context.socket_builder::<Push>().metadata("X-Name", name.as_bytes()).build().unwrap()
}

fn name(peer: &PeerInfo) -> &[u8] {
    peer.metadata.get("X-Name").unwrap_or_default()
}

fn pull(context: &Context) -> Socket<Pull> {
    context.socket_builder::<Pull>().recv_timeout(Some(PATIENCE)).build().unwrap()
}

#[test]
fn each_message_names_its_peer() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let pull = pull(&context);
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        let (anna, bert) = (named(&context, "anna"), named(&context, "bert"));
        anna.connect(&endpoint).unwrap();
        bert.connect(&endpoint).unwrap();
        for _ in 0..10 {
            anna.send("anna").unwrap();
            bert.send("bert").unwrap();
        }
        for turn in 0..20 {
            let (message, peer) = match turn % 3 {
                0 => pull.recv_from().unwrap(),
                1 => block_on(pull.recv_from_async()).unwrap(),
                _ => {
                    until("a message has come", || pull.readiness().readable);
                    pull.try_recv_from().unwrap()
                }
            };
            let peer = peer.unwrap();
            assert_eq!(message, name(&peer), "{transport}");
            assert_eq!(peer.socket_type, Some(SocketType::Push), "{transport}");
        }
        assert_eq!(pull.try_recv_from().unwrap_err(), RecvError::WouldBlock);
    }
}

#[test]
fn its_address_is_that_of_its_end() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = (pull(&context), named(&context, "anna"));
        let monitor = pull.monitor();
        let endpoint = connect(&pull, &push, transport);
        push.send("hello").unwrap();
        let (_, peer) = pull.recv_from().unwrap();
        let peer = peer.unwrap();
        let address = peer.address.as_deref().unwrap();
        match transport {
            Transport::Tcp => assert!(address.starts_with("tcp://127.0.0.1:") && address != endpoint, "{address}"),
            Transport::Ipc => assert_eq!(address, "ipc://", "the connecting side has no name"),
            Transport::Inproc => assert_eq!(address, endpoint),
        }
        // The other side knows to where it connected, and all three ways tell the same.
        assert_eq!(push.peers()[0].peer.address.as_deref(), Some(&endpoint[..]));
        assert!(Arc::ptr_eq(&pull.peers()[0].peer, &peer));
        if transport != Transport::Inproc {
            let told = await_event(&monitor, "the handshake", |kind| match kind {
                SocketEventKind::HandshakeSucceeded { peer } => Some(Arc::clone(peer)),
                _ => None,
            });
            assert_eq!(told.address, peer.address);
        }
    }
}

#[test]
fn on_ipc_the_system_vouches_for_it() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for transport in Transport::ALL {
        let (pull, push) = (pull(&context), named(&context, "anna"));
        connect(&pull, &push, transport);
        push.send("hello").unwrap();
        let credentials = pull.recv_from().unwrap().1.unwrap().credentials;
        if transport != Transport::Ipc {
            assert_eq!(credentials, None, "{transport}");
            continue;
        }
        let credentials = credentials.unwrap();
        let this = std::fs::metadata("/proc/self").unwrap();
        assert_eq!(credentials.process_id, Some(std::process::id()));
        assert_eq!(credentials.user_id, this.uid());
        assert_eq!(credentials.group_id, this.gid());
        assert_eq!(push.peers()[0].peer.credentials, Some(credentials), "and the connecting side knows, too");
    }
}

#[test]
fn patterns_with_envelopes_name_it_too() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    for transport in Transport::ALL {
        let dealer = context.socket_builder::<Dealer>().routing_id("anna").build().unwrap();
        let router = context.socket_builder::<Router>().recv_timeout(Some(PATIENCE)).build().unwrap();
        connect(&router, &dealer, transport);
        dealer.send("hello").unwrap();
        let (message, peer) = router.recv_from().unwrap();
        assert_eq!(peer.unwrap().routing_id, message[0]);

        let req = context.socket_builder::<Req>().recv_timeout(Some(PATIENCE)).build().unwrap();
        let rep = context.socket_builder::<Rep>().recv_timeout(Some(PATIENCE)).build().unwrap();
        connect(&rep, &req, transport);
        req.send("question").unwrap();
        let (request, peer) = rep.recv_from().unwrap();
        assert_eq!((request, peer.unwrap().socket_type), ("question".into(), Some(SocketType::Req)));
        rep.send("answer").unwrap();
        let (reply, peer) = req.recv_from().unwrap();
        assert_eq!((reply, peer.unwrap().socket_type), ("answer".into(), Some(SocketType::Rep)));
    }
}

#[test]
fn a_message_of_one_that_is_gone_still_names_it() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let (pull, push) = (pull(&context), named(&context, "anna"));
        connect(&pull, &push, transport);
        push.send("1").unwrap();
        push.send("2").unwrap();
        push.close();
        until("the peer is gone", || pull.stats().peers == 0);
        for expected in ["1", "2"] {
            let (message, peer) = pull.recv_from().unwrap();
            assert_eq!(message, expected);
            assert_eq!(name(&peer.expect("its messages keep it")), b"anna", "{transport}");
        }
    }
}

#[test]
fn what_the_socket_itself_says_of_one_that_is_gone_has_none() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let xpub = context.socket_builder::<XPub>().recv_timeout(Some(PATIENCE)).build().unwrap();
    let sub = context.socket::<Sub>().unwrap();
    connect(&xpub, &sub, Transport::Tcp);
    sub.subscribe("a").unwrap();
    let (message, peer) = xpub.recv_from().unwrap();
    assert_eq!(message, *b"\x01a");
    assert_eq!(peer.unwrap().socket_type, Some(SocketType::Sub));
    sub.close();
    let (message, peer) = xpub.recv_from().unwrap();
    assert_eq!(message, *b"\0a");
    assert!(peer.is_none());
}

#[test]
fn foreign_programs_have_an_address() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let stream = context.socket_builder::<Stream>().recv_timeout(Some(PATIENCE)).build().unwrap();
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    let mut program = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    let address = format!("tcp://{}", program.local_addr().unwrap());
    program.write_all(b"hello").unwrap();
    for _ in 0..2 {
        let (_, peer) = stream.recv_from().unwrap();
        let peer = peer.unwrap();
        assert_eq!(peer.address.as_deref(), Some(&address[..]));
        assert_eq!((peer.socket_type, peer.version), (None, None));
    }
}
