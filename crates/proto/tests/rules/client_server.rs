//! CLIENT and SERVER: a number names the client (RFC 41).

use std::num::NonZeroU32;

use nought_proto::{
    Message, SocketType,
    limits::DRAINING_LEN_MAX,
    pattern::{RecvRefusal, SendRefusal},
};

use crate::harness::{Net, Node, bodies};

fn number(message: &Message) -> NonZeroU32 {
    message.routing_id().expect("a server's message has a routing id")
}

fn client_and_server(net: &mut Net) -> (Node, Node) {
    let (client, server) = (net.socket(SocketType::Client), net.socket(SocketType::Server));
    net.connect(client, server);
    (client, server)
}

#[test]
fn a_reply_goes_to_the_client_that_its_number_names() {
    let mut net = Net::new();
    let server = net.socket(SocketType::Server);
    let clients = [net.socket(SocketType::Client), net.socket(SocketType::Client)];
    for (client, body) in clients.into_iter().zip(["0", "1"]) {
        net.connect(client, server);
        net.send(client, body);
    }
    let requests = net.recv_all(server);
    assert_eq!(bodies(&requests), ["0", "1"]);
    assert_ne!(number(&requests[0]), number(&requests[1]));
    for request in requests {
        let routing_id = number(&request);
        net.send(server, Message::from("to").with_routing_id(routing_id));
        // What was received goes back as it is.
        net.send(server, request);
    }
    assert_eq!(bodies(&net.recv_all(clients[0])), ["to", "0"]);
    let to_second = net.recv_all(clients[1]);
    assert_eq!(bodies(&to_second), ["to", "1"]);
    assert_eq!(to_second[0].routing_id(), None);
}

#[test]
fn so_it_is_within_the_process() {
    let mut net = Net::new();
    let (client, server) = (net.socket(SocketType::Client), net.socket(SocketType::Server));
    net.join(client, server);
    net.send(client, "request");
    let request = net.recv(server);
    net.send(server, Message::from("reply").with_routing_id(number(&request)));
    assert_eq!(net.recv(client), *"reply");
}

#[test]
fn a_client_spreads_and_collects_in_turns() {
    let mut net = Net::new();
    let client = net.socket(SocketType::Client);
    let servers = [net.socket(SocketType::Server), net.socket(SocketType::Server)];
    for server in servers {
        net.connect(client, server);
    }
    ["0", "1", "2", "3"].iter().for_each(|body| net.send(client, *body));
    let [first, second] = servers.map(|server| net.recv_all(server));
    assert_eq!((bodies(&first), bodies(&second)), (vec!["0".into(), "2".into()], vec!["1".into(), "3".into()]));
    for (server, requests) in servers.into_iter().zip([first, second]) {
        requests.into_iter().for_each(|request| net.send(server, request));
    }
    assert_eq!(bodies(&net.recv_all(client)), ["0", "1", "2", "3"]);
}

#[test]
fn a_message_without_a_number_or_for_nobody_is_unroutable() {
    let mut net = Net::new();
    let (client, server) = client_and_server(&mut net);
    net.send(client, "hello");
    let there = number(&net.recv(server));
    let nobody = NonZeroU32::new(there.get() ^ 1 << 20).unwrap();
    assert_eq!(net.try_send(server, "body"), Err(SendRefusal::Unroutable));
    assert_eq!(net.try_send(server, Message::from("x").with_routing_id(nobody)), Err(SendRefusal::Unroutable));
    assert_eq!(net.try_send(server, Message::from("x").with_group("g")), Err(SendRefusal::Unroutable));
    net.send(server, Message::from("x").with_routing_id(there));
}

#[test]
fn a_full_client_makes_the_server_wait_and_others_are_served() {
    let mut net = Net::new();
    let server = net.socket_with(SocketType::Server, |options| options.send_hwm = 2);
    let clients = [net.socket(SocketType::Client), net.socket(SocketType::Client)];
    let links = clients.map(|client| net.connect(client, server));
    clients.iter().for_each(|&client| net.send(client, "x"));
    let numbers: Vec<NonZeroU32> = net.recv_all(server).iter().map(number).collect();
    net.room_back(links[0], 0);
    net.send(server, Message::from("l".repeat(DRAINING_LEN_MAX)).with_routing_id(numbers[0]));
    let taken =
        (0..10).take_while(|_| net.try_send(server, Message::from("x").with_routing_id(numbers[0])).is_ok()).count();
    assert!((1..=2).contains(&taken), "{taken}");
    assert_eq!(
        net.try_send(server, Message::from("x").with_routing_id(numbers[0])),
        Err(SendRefusal::WouldBlock),
        "nothing is dropped"
    );
    net.send(server, Message::from("y").with_routing_id(numbers[1]));
    assert_eq!(net.recv(clients[1]), *"y");
    net.room_back(links[0], usize::MAX);
    net.pump();
    assert!(net.at(server).can_send());
    net.send(server, Message::from("after").with_routing_id(numbers[0]));
    assert_eq!(bodies(&net.recv_all(clients[0])).last().unwrap(), "after");
}

#[test]
fn what_a_client_sent_last_is_received_with_its_number_after_it_has_gone() {
    let mut net = Net::new();
    let (client, server) = (net.socket(SocketType::Client), net.socket(SocketType::Server));
    let link = net.connect(client, server);
    net.send(client, "first");
    let there = number(&net.recv(server));
    net.send(client, "last words");
    net.cut(link);
    let last = net.recv(server);
    assert_eq!((number(&last), &last[0][..]), (there, &b"last words"[..]));
    assert_eq!(net.try_send(server, last), Err(SendRefusal::Unroutable));
    assert_eq!(net.at(server).connections().iter().count(), 0);
}

#[test]
fn a_client_that_nobody_serves_waits() {
    let mut net = Net::new();
    let client = net.socket(SocketType::Client);
    assert_eq!(net.try_send(client, "x"), Err(SendRefusal::WouldBlock));
    assert_eq!(net.try_recv(client), Err(RecvRefusal::WouldBlock));
}
