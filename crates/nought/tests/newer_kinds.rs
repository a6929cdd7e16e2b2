//! CLIENT, SERVER, RADIO, DISH, GATHER, SCATTER, PEER and CHANNEL over every transport.

mod support;

use std::{num::NonZeroU32, thread, time::Duration};

use nought::{
    Channel, Client, ConnectError, Context, Dish, Gather, GroupError, Message, Peer, Radio, RecvError, Scatter,
    SendErrorKind, Server, SocketType, UnknownPeer,
};
use support::{PATIENCE, Transport, connect, connected, recv, until, watchdog};

#[test]
fn a_server_answers_each_client_by_its_number() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let server = context.socket::<Server>().unwrap();
        let endpoint = server.bind(&transport.endpoint()).unwrap();
        let clients: Vec<_> = (0..3).map(|_| context.socket::<Client>().unwrap()).collect();
        for (index, client) in clients.iter().enumerate() {
            client.connect(&endpoint).unwrap();
            client.send(format!("{index}")).unwrap();
        }
        for _ in &clients {
            let request = recv(&server);
            let client = request.routing_id().unwrap();
            server.send_to(client, format!("re {}", String::from_utf8_lossy(&request[0]))).unwrap();
            server.send(request).unwrap();
        }
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(recv(client), format!("re {index}").as_str(), "{transport}");
            assert_eq!(recv(client), format!("{index}").as_str(), "{transport}");
        }
    }
}

#[test]
fn a_server_tells_of_whom_it_cannot_reach() {
    let context = Context::new();
    let server = context.socket::<Server>().unwrap();
    let error = server.send_to(NonZeroU32::MIN, "x").unwrap_err();
    assert_eq!((error.kind(), error.into_message()[0].to_vec()), (SendErrorKind::Unroutable, b"x".to_vec()));
    assert_eq!(server.send("x").unwrap_err().kind(), SendErrorKind::Unroutable);
    assert_eq!(server.send(["a", "b"]).unwrap_err().kind(), SendErrorKind::Malformed);
    assert_eq!(server.disconnect_peer(NonZeroU32::MIN), Err(UnknownPeer::RoutingId));
}

/// Not only that a typed socket lacks the call: what runs with any type says so, too.
#[test]
fn addresses_are_for_the_kinds_that_have_them() {
    let context = Context::new();
    for socket_type in SocketType::ALL {
        let socket = context.any_socket(socket_type).unwrap();
        let addresses = matches!(socket_type, SocketType::Server | SocketType::Peer);
        let sent = socket.send_to(NonZeroU32::MIN, "x").unwrap_err().kind();
        let expected = if addresses { SendErrorKind::Unroutable } else { SendErrorKind::NotSupported };
        assert_eq!(sent, expected, "{socket_type}");
        assert_eq!(socket.send_to_group("g", "x").is_ok(), socket_type == SocketType::Radio, "{socket_type}");
        let unknown = matches!(socket.disconnect_peer(NonZeroU32::MIN), Err(UnknownPeer::RoutingId));
        assert_eq!(unknown, addresses, "{socket_type}");
        assert_eq!(socket.join("g").is_ok(), socket_type == SocketType::Dish, "{socket_type}");
        let connected = socket.connect_peer("inproc://nobody");
        assert_eq!(connected.is_ok(), socket_type == SocketType::Peer, "{socket_type}");
    }
}

#[test]
fn a_radio_reaches_the_dishes_of_the_group() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let radio = context.socket::<Radio>().unwrap();
        let endpoint = radio.bind(&transport.endpoint()).unwrap();
        let dishes: Vec<_> = (0..2).map(|_| context.socket::<Dish>().unwrap()).collect();
        for (dish, group) in dishes.iter().zip(["news", "weather"]) {
            dish.join(group).unwrap();
            dish.connect(&endpoint).unwrap();
        }
        until("both have joined", || radio.stats().subscriptions == 2);
        for number in 0..100 {
            radio.send_to_group("news", format!("news {number}")).unwrap();
            radio.send_to_group("weather", format!("weather {number}")).unwrap();
            radio.send("for nobody").unwrap();
        }
        for (dish, group) in dishes.iter().zip(["news", "weather"]) {
            for number in 0..100 {
                let message = recv(dish);
                assert_eq!(message, format!("{group} {number}").as_str(), "{transport}");
                assert_eq!(message.group().unwrap(), group);
            }
            assert_eq!(dish.join(group), Err(GroupError::Joined));
            dish.leave(group).unwrap();
            assert_eq!(dish.leave(group), Err(GroupError::NotJoined));
        }
        until("both have left", || radio.stats().subscriptions == 0);
    }
}

#[test]
fn scatter_and_gather_move_work_between_threads() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let (gather, scatter) = connected::<Gather, Scatter>(&context, transport);
        thread::scope(|scope| {
            for sender in 0..4_u8 {
                let scatter = &scatter;
                scope.spawn(move || (0..250).for_each(|_| scatter.send(&[sender]).unwrap()));
            }
            let receivers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..500).map(|_| usize::from(recv(&gather)[0][0])).collect::<Vec<_>>()))
                .collect();
            let received: Vec<usize> = receivers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            assert!((0..4).all(|sender| received.iter().filter(|other| **other == sender).count() == 250));
        });
    }
}

#[test]
fn a_channel_talks_both_ways() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let (bound, connecting) = connected::<Channel, Channel>(&context, transport);
        bound.send("there").unwrap();
        connecting.send("back").unwrap();
        assert_eq!(recv(&connecting), "there");
        assert_eq!(recv(&bound), "back");
        assert_eq!(bound.send(["a", "b"]).unwrap_err().kind(), SendErrorKind::Malformed);
    }
}

#[test]
fn a_peer_is_written_to_before_it_is_there_and_answers() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let connecting = context.socket::<Peer>().unwrap();
        let endpoint = transport.future_endpoint();
        let routing_id = connecting.connect_peer(&endpoint).unwrap();
        connecting.send_to(routing_id, "early").unwrap();
        let bound = context.socket::<Peer>().unwrap();
        bound.bind(&endpoint).unwrap();
        let early = recv(&bound);
        assert_eq!(early, "early", "{transport}");
        bound.send_to(early.routing_id().unwrap(), "back").unwrap();
        assert_eq!(recv(&connecting).routing_id(), Some(routing_id), "{transport}");
    }
    let context = Context::new();
    let immediate = context.socket_builder::<Peer>().immediate(true).build().unwrap();
    assert!(matches!(immediate.connect_peer("tcp://127.0.0.1:1"), Err(ConnectError::Immediate)));
}

#[test]
fn a_disconnected_peer_gets_what_was_sent_and_is_not_connected_again() {
    let _bounded = watchdog(PATIENCE);
    for transport in Transport::ALL {
        let context = Context::new();
        let bound = context.socket::<Peer>().unwrap();
        let endpoint = bound.bind(&transport.endpoint()).unwrap();
        let connecting = context.socket::<Peer>().unwrap();
        let routing_id = connecting.connect_peer(&endpoint).unwrap();
        connecting.send_to(routing_id, "farewell").unwrap();
        connecting.disconnect_peer(routing_id).unwrap();
        assert_eq!(connecting.send_to(routing_id, "x").unwrap_err().kind(), SendErrorKind::Unroutable);
        assert_eq!(connecting.disconnect_peer(routing_id), Err(UnknownPeer::RoutingId));
        assert_eq!(recv(&bound), "farewell", "{transport}");
        until("the connection is gone", || {
            // Within the process the end of a connection stands behind its last message, and is met by who receives.
            assert_eq!(bound.try_recv(), Err(RecvError::WouldBlock));
            bound.stats().peers == 0 && connecting.peers().is_empty()
        });
        assert_eq!(connecting.stats().totals.established, 1);
    }
}

#[test]
fn a_server_disconnects_a_client() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let server = context.socket::<Server>().unwrap();
    let client = context.socket_builder::<Client>().reconnect_interval(None).build().unwrap();
    connect(&server, &client, Transport::Tcp);
    client.send("hello").unwrap();
    let number = recv(&server).routing_id().unwrap();
    server.send_to(number, "farewell").unwrap();
    server.disconnect_peer(number).unwrap();
    assert_eq!(recv(&client), "farewell");
    until("the client is gone", || server.stats().peers == 0);
    assert_eq!(server.send_to(number, "x").unwrap_err().kind(), SendErrorKind::Unroutable);
}

/// A message is addressed for a SERVER, and received again by a PULL into the same memory.
#[test]
fn an_address_does_not_outlive_its_message() {
    let context = Context::new();
    let (server, client) = connected::<Server, Client>(&context, Transport::Inproc);
    let (pull, push) = connected::<nought::Pull, nought::Push>(&context, Transport::Inproc);
    client.send("request").unwrap();
    push.send("task").unwrap();
    let mut message = Message::new();
    server.recv_into(&mut message).unwrap();
    assert!(message.routing_id().is_some());
    pull.recv_into(&mut message).unwrap();
    assert_eq!(message, Message::from("task"));
    client.send_timeout("request", Duration::from_secs(1)).unwrap();
    server.recv_into(&mut message).unwrap();
    assert!(message.routing_id().is_some());
}
