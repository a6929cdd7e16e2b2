//! A second peer of a PAIR, and one whose routing id is taken, are refused in the handshake: they never believe
//! themselves connected, and their event says why.

mod support;

use std::time::Duration;

use nought::{
    Context, Dealer, Incompatibility, Kind, Monitor, Pair, ProtocolError, Router, Socket, SocketBuilder,
    SocketEventKind,
};
use support::{Transport, await_event, connect, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

/// The error of the first handshake, which must not succeed.
fn refusal(monitor: &Monitor) -> ProtocolError {
    await_event(monitor, "the refusal", |event| match event {
        SocketEventKind::HandshakeFailed { error } => Some(error.clone()),
        SocketEventKind::HandshakeSucceeded { .. } => panic!("it believes itself connected"),
        _ => None,
    })
}

fn build<K: Kind>(context: &Context, set: fn(SocketBuilder<K>) -> SocketBuilder<K>) -> Socket<K> {
    let builder = context.socket_builder::<K>().linger(Some(Duration::ZERO));
    set(builder).reconnect_interval(Some(Duration::from_millis(10))).build().unwrap()
}

/// The first of two equal peers comes in, the second hears why not.
fn check<A: Kind, B: Kind>(
    transport: Transport,
    set: fn(SocketBuilder<B>) -> SocketBuilder<B>,
    reason: Incompatibility,
) -> (Socket<A>, Socket<B>, Socket<B>) {
    println!("{transport}");
    let context = Context::new();
    let bound = context.socket::<A>().unwrap();
    let (first, second) = (build(&context, set), build(&context, set));
    let endpoint = connect(&bound, &first, transport);
    let (of_bound, of_second) = (bound.monitor(), second.monitor());
    second.connect(&endpoint).unwrap();
    assert_eq!(refusal(&of_second), ProtocolError::RefusedByPeer(reason.to_string()));
    assert_eq!(refusal(&of_bound), ProtocolError::Incompatible(reason));
    assert_eq!(second.stats().peers, 0);
    assert!(bound.stats().totals.handshake_failures > 0 && second.stats().totals.handshake_failures > 0);
    (bound, first, second)
}

#[test]
fn of_a_pair() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let (bound, first, second) = check::<Pair, Pair>(transport, |builder| builder, Incompatibility::PeerTaken);
        first.send("still here").unwrap();
        assert_eq!(recv(&bound), "still here");
        first.close();
        if transport == Transport::Inproc {
            // It waits for the next that binds the name.
            continue;
        }
        second.send("at last").unwrap();
        assert_eq!(recv(&bound), "at last");
    }
}

#[test]
fn of_one_name_at_a_router() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let (router, first, second) =
            check::<Router, Dealer>(transport, |builder| builder.routing_id("twin"), Incompatibility::RoutingIdTaken);
        first.send("still here").unwrap();
        assert_eq!(support::text(&recv(&router)), ["twin", "still here"]);
        first.close();
        if transport == Transport::Inproc {
            continue;
        }
        second.send("at last").unwrap();
        assert_eq!(support::text(&recv(&router)), ["twin", "at last"]);
    }
}

#[test]
fn within_the_process_a_refused_peer_waits_for_the_next_that_binds_the_name() {
    let _bounded = watchdog(LIMIT);
    let (bound, _first, second) = check::<Pair, Pair>(Transport::Inproc, |builder| builder, Incompatibility::PeerTaken);
    second.send("for another").unwrap();
    let name = bound.last_endpoint().unwrap();
    bound.unbind(&name).unwrap();
    let other = bound.context().socket::<Pair>().unwrap();
    other.bind(&name).unwrap();
    assert_eq!(recv(&other), "for another");
}

#[test]
fn a_close_does_not_wait_for_a_peer_that_refuses() {
    let _bounded = watchdog(LIMIT);
    for transport in [Transport::Tcp, Transport::Ipc] {
        for router_goes_first in [false, true] {
            println!("{transport}, the router goes first: {router_goes_first}");
            let context = Context::new();
            let router = context.socket::<Router>().unwrap();
            let build_twin = || {
                let twin = context.socket_builder::<Dealer>().routing_id("twin").linger(None);
                twin.reconnect_interval(Some(Duration::from_millis(10))).build().unwrap()
            };
            let (first, second) = (build_twin(), build_twin());
            let endpoint = connect(&router, &first, transport);
            let of_second = second.monitor();
            second.connect(&endpoint).unwrap();
            second.send("for nobody").unwrap();
            refusal(&of_second);
            if router_goes_first {
                router.close();
                second.close();
            } else {
                second.close();
                until("it has ended", || context.sockets() == 2);
                router.close();
            }
            first.close();
            // It waits for all that lingers.
            context.term();
        }
    }
}
