//! RADIO, DISH and DGRAM over udp: RFC 48's form, multicast, and what breaks the rules.

mod support;

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use nought::{
    BindError, ConnectError, Context, Dgram, Dish, Message, PlainClient, Pull, Push, Radio, RecvError, SendErrorKind,
    Socket,
};
use support::{PATIENCE, recv, until, watchdog};

const LONGEST: usize = 8192;

fn dish(context: &Context, endpoint: &str, groups: &[&str]) -> (Socket<Dish>, String) {
    let dish = context.socket::<Dish>().unwrap();
    groups.iter().for_each(|group| dish.join(group).unwrap());
    let endpoint = dish.bind(endpoint).unwrap();
    (dish, endpoint)
}

fn radio(context: &Context, endpoint: &str) -> Socket<Radio> {
    let radio = context.socket::<Radio>().unwrap();
    radio.connect(endpoint).unwrap();
    until("there is a place to send from", || radio.stats().peers == 1);
    radio
}

/// A socket of the system's, and the dish that it sends to.
fn stranger_and_dish(context: &Context) -> (UdpSocket, Socket<Dish>, String) {
    let (dish, endpoint) = dish(context, "udp://127.0.0.1:*", &["g"]);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.connect(endpoint.strip_prefix("udp://").unwrap()).unwrap();
    (stranger, dish, endpoint)
}

#[test]
fn a_radio_reaches_a_dish_which_sorts() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let (dish, endpoint) = dish(&context, "udp://127.0.0.1:*", &["news", ""]);
    let radio = radio(&context, &endpoint);
    for number in 0..100_u32 {
        radio.send_to_group("other", "x").unwrap();
        radio.send_to_group("news", number.to_string()).unwrap();
        let message = recv(&dish);
        assert_eq!(message, number.to_string().as_str());
        assert_eq!(message.group().unwrap(), "news");
    }
    radio.send("to the group without a name").unwrap();
    assert_eq!(recv(&dish).group().unwrap(), "");
    until("what is of other groups is dropped", || dish.stats().totals.dropped_on_arrival == 100);
}

#[test]
fn a_datagram_is_the_length_of_the_group_the_group_and_the_body() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    let radio = radio(&context, &format!("udp://{}", stranger.local_addr().unwrap()));
    radio.send_to_group("TV", "Friends").unwrap();
    let mut datagram = [0; LONGEST + 1];
    let len = stranger.recv(&mut datagram).unwrap();
    assert_eq!(&datagram[..len], b"\x02TVFriends");
    radio.send_to_group("g".repeat(255), vec![7; LONGEST - 256]).unwrap();
    assert_eq!(stranger.recv(&mut datagram).unwrap(), LONGEST);
}

#[test]
fn what_breaks_the_form_is_dropped_and_counted_and_ends_nothing() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let (stranger, dish, _) = stranger_and_dish(&context);
    let too_long = [&b"\x01g"[..], &[7; LONGEST - 1]].concat();
    let broken: [&[u8]; 5] = [b"", b"\x02g", b"\xFFgroup", b"\x03a\0bbody", &too_long];
    for datagram in broken {
        stranger.send(datagram).unwrap();
    }
    stranger.send(&too_long[..LONGEST]).unwrap();
    stranger.send(b"\x01g").unwrap();
    assert_eq!(recv(&dish)[0].len(), LONGEST - 2);
    assert_eq!(recv(&dish), "");
    assert_eq!(dish.stats().totals.dropped_on_arrival, 5);
    assert_eq!(dish.stats().peers, 1);
}

#[test]
fn a_flood_of_broken_datagrams_delays_no_more_than_that() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let (stranger, dish, _) = stranger_and_dish(&context);
    for _ in 0..200 {
        stranger.send(b"\x09g").unwrap();
    }
    stranger.send(b"\x01gafter").unwrap();
    assert_eq!(recv(&dish), "after");
    assert_eq!(dish.stats().totals.dropped_on_arrival, 200);
}

/// libzmq overflows its buffer.
#[test]
fn a_radio_drops_and_counts_what_is_too_long() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let (dish, endpoint) = dish(&context, "udp://127.0.0.1:*", &["g"]);
    let radio = radio(&context, &endpoint);
    for len in [LONGEST - 1, LONGEST, 100_000] {
        radio.send_to_group("g", vec![7; len]).unwrap();
    }
    radio.send_to_group("g", vec![7; LONGEST - 2]).unwrap();
    assert_eq!(recv(&dish)[0].len(), LONGEST - 2);
    until("they are counted", || radio.stats().totals.lost == 3);
}

#[test]
fn nobody_there_does_not_end_a_radio() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    // An address that no other test binds, so that nobody is given the port meanwhile.
    let free = UdpSocket::bind("127.0.0.2:0").unwrap();
    let endpoint = format!("udp://{}", free.local_addr().unwrap());
    drop(free);
    let radio = radio(&context, &endpoint);
    (0..10).for_each(|_| radio.send_to_group("g", "to nobody").unwrap());
    until("all is sent", || radio.peers()[0].send_queue_len == 0);
    let (dish, _) = dish(&context, &endpoint, &["g"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        radio.send_to_group("g", "to somebody").unwrap();
        match dish.recv_timeout(Duration::from_millis(10)) {
            Ok(message) => break assert_eq!(message, "to somebody"),
            Err(error) => assert!(error == RecvError::TimedOut && Instant::now() < deadline, "{error}"),
        }
    }
    assert_eq!(radio.stats().reconnects, 0);
}

#[test]
fn multicast_reaches_all_who_have_bound_the_group() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let group = format!("127.0.0.1;239.7.{}.5", std::process::id() % 200);
    let (first, endpoint) = dish(&context, &format!("udp://{group}:*"), &["g"]);
    let port = endpoint.rsplit_once(':').unwrap().1.to_owned();
    let (second, _) = dish(&context, &format!("udp://{group}:{port}"), &["g"]);
    let sender = radio(&context, &format!("udp://{group}:{port}"));
    sender.send_to_group("g", "to all").unwrap();
    assert_eq!(recv(&first), "to all");
    assert_eq!(recv(&second), "to all");
}

#[test]
fn datagrams_go_to_and_come_from_addresses() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let sockets = [context.socket::<Dgram>().unwrap(), context.socket::<Dgram>().unwrap()];
    let [here, there] = sockets.each_ref().map(|socket| {
        let endpoint = socket.bind("udp://127.0.0.1:*").unwrap();
        endpoint.strip_prefix("udp://").unwrap().to_owned()
    });
    sockets[0].send([there.as_str(), "Is someone there?"]).unwrap();
    let question = recv(&sockets[1]);
    assert_eq!(question, Message::from([here.as_str(), "Is someone there?"]));
    sockets[1].send([question[0].clone(), "Yes.".into()]).unwrap();
    assert_eq!(recv(&sockets[0]), Message::from([there.as_str(), "Yes."]));

    // As libzmq's receivers have it.
    sockets[0].send([format!("{there}\0"), "zero".into()]).unwrap();
    assert_eq!(recv(&sockets[1])[1], *"zero");

    let longest = Message::from([there.clone().into_bytes(), vec![7; LONGEST]]);
    sockets[0].send(&longest).unwrap();
    assert_eq!(recv(&sockets[1])[1].len(), LONGEST);
    let kind = |message: Message| sockets[0].send(message).unwrap_err().kind();
    assert_eq!(kind(Message::from([there.clone().into_bytes(), vec![7; LONGEST + 1]])), SendErrorKind::TooLong);
    assert_eq!(kind(Message::from([&there, "a", "b"])), SendErrorKind::Malformed);
    assert_eq!(kind(Message::from(there.as_str())), SendErrorKind::Malformed);
    assert_eq!(kind(Message::from(["somewhere:5", "x"])), SendErrorKind::Unroutable);
}

#[test]
fn an_unbound_place_is_gone_and_can_be_bound_again() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let (first, endpoint) = dish(&context, "udp://127.0.0.1:*", &["g"]);
    assert!(matches!(context.socket::<Dish>().unwrap().bind(&endpoint), Err(BindError::Listen(_))));
    first.unbind(&endpoint).unwrap();
    assert!(first.unbind(&endpoint).is_err());
    let (second, again) = dish(&context, &endpoint, &["g"]);
    assert_eq!(endpoint, again);
    radio(&context, &endpoint).send_to_group("g", "to the second").unwrap();
    assert_eq!(recv(&second), "to the second");
    assert_eq!(first.try_recv(), Err(RecvError::WouldBlock));
}

#[test]
fn a_socket_with_security_has_no_datagrams() {
    let context = Context::new();
    let security = PlainClient::new("anna", "secret").unwrap();
    let dish = context.socket_builder::<Dish>().security(security.clone()).build().unwrap();
    assert!(matches!(dish.bind("udp://127.0.0.1:*"), Err(BindError::Unprotected { .. })));
    let radio = context.socket_builder::<Radio>().security(security).build().unwrap();
    assert!(matches!(radio.connect("udp://127.0.0.1:5"), Err(ConnectError::Unprotected { .. })));
}

#[test]
fn types_and_transports_that_do_not_fit_are_refused() {
    let context = Context::new();
    let misfit = |bound: Result<String, BindError>| matches!(bound, Err(BindError::WrongTransport { .. }));
    assert!(misfit(context.socket::<Radio>().unwrap().bind("udp://127.0.0.1:*")));
    assert!(misfit(context.socket::<Pull>().unwrap().bind("udp://127.0.0.1:*")));
    let dgram = context.socket::<Dgram>().unwrap();
    assert!(misfit(dgram.bind("tcp://127.0.0.1:*")) && misfit(dgram.bind("inproc://x")));
    let misfit = |connected: Result<(), ConnectError>| matches!(connected, Err(ConnectError::WrongTransport { .. }));
    assert!(misfit(context.socket::<Dish>().unwrap().connect("udp://127.0.0.1:5")));
    assert!(misfit(context.socket::<Push>().unwrap().connect("udp://127.0.0.1:5")));
    assert!(misfit(dgram.connect("udp://127.0.0.1:5")) && misfit(dgram.connect("inproc://x")));
    let radio = context.socket::<Radio>().unwrap();
    assert!(matches!(radio.connect("udp://*:5"), Err(ConnectError::Address(_))));
    assert!(matches!(radio.connect("udp://127.0.0.1"), Err(ConnectError::Address(_))));
    assert!(matches!(radio.connect("udp://127.0.0.1:0"), Err(ConnectError::Address(_))));
}

#[test]
fn what_stands_behind_many_malformed_ones_is_received() {
    let _bounded = watchdog(PATIENCE);
    let context = Context::new();
    let dish = context.socket_builder::<Dish>().recv_hwm(1).build().unwrap();
    dish.join("g").unwrap();
    let endpoint = dish.bind("udp://127.0.0.1:*").unwrap();
    // With a second one it is only read when the kernel tells.
    dish.bind("udp://127.0.0.1:*").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.connect(endpoint.strip_prefix("udp://").unwrap()).unwrap();
    stranger.send(b"\x01gfirst").unwrap();
    // From here on nothing is read, and what follows comes at once.
    until("it has come", || dish.peers().iter().any(|place| place.recv_queue_len == 1));
    stranger.send(b"\x01gsecond").unwrap();
    (0..100).for_each(|_| assert!(stranger.send(b"malformed").is_ok()));
    stranger.send(b"\x01gthird").unwrap();
    for body in ["first", "second", "third"] {
        assert_eq!(recv(&dish), body);
    }
}
