//! Messages that a socket makes by itself: hello, disconnect and hiccup messages, and a ROUTER's notices.

use nought_proto::{Message, Options, SocketType, limits::LARGE_BODY_LEN};

use crate::harness::{Net, bodies, texts, wire};

fn hello(options: &mut Options) {
    options.hello_message = Some("H".into());
}

fn disconnect(options: &mut Options) {
    options.disconnect_message = Some("D".into());
}

fn hiccup(options: &mut Options) {
    options.hiccup_message = Some("U".into());
}

#[test]
fn a_hello_goes_before_all_that_is_queued_whenever_a_connection_is_made() {
    for (ours, theirs) in [(SocketType::Client, SocketType::Server), (SocketType::Peer, SocketType::Peer)] {
        let mut net = Net::new();
        let (greeter, other) = (net.socket_with(ours, hello), net.socket(theirs));
        let id = net.at(greeter).open(None);
        let queued = Message::from("queued");
        let queued = match net.at(greeter).routing_id_of(id) {
            Some(routing_id) => queued.with_routing_id(routing_id),
            None => queued,
        };
        net.try_send(greeter, queued).unwrap();
        let link = net.dial_from(greeter, id, other);
        assert_eq!(bodies(&net.recv_all(other)), ["H", "queued"]);
        net.cut(link);
        net.reconnect(link, other);
        assert_eq!(bodies(&net.recv_all(other)), ["H"]);
    }
}

#[test]
fn a_hello_that_did_not_go_out_is_not_sent_to_the_next_beside_its_own() {
    let mut net = Net::new();
    let greeter = net.socket_with(SocketType::Dealer, |options| {
        hello(options);
        options.probe_router = true;
    });
    let other = net.socket(SocketType::Dealer);
    let mut link = net.connect_test(greeter);
    net.send(greeter, "queued");
    for _ in 0..3 {
        net.feed(link, wire::greeting(3, 1, "NULL"));
        net.room(link, 0);
        net.feed(link, wire::ready("ROUTER"));
        net.cut(link);
        link = net.reconnect_test(link);
    }
    net.cut(link);
    net.reconnect(link, other);
    assert_eq!(bodies(&net.recv_all(other)), ["", "H", "queued"]);
}

#[test]
fn what_has_replaced_a_hello_is_not_taken_for_one() {
    let mut net = Net::new();
    let greeter = net.socket_with(SocketType::Dealer, |options| {
        hello(options);
        options.conflate = true;
    });
    let other = net.socket(SocketType::Dealer);
    let link = net.connect_test(greeter);
    net.feed(link, wire::greeting(3, 1, "NULL"));
    net.room(link, 0);
    net.feed(link, wire::ready("DEALER"));
    net.send(greeter, "older");
    net.send(greeter, "newest");
    net.cut(link);
    net.reconnect(link, other);
    assert_eq!(bodies(&net.recv_all(other)).last().map(String::as_str), Some("newest"));
}

#[test]
fn who_is_connected_to_and_who_shares_the_process_greets_too() {
    for (ours, theirs) in [(SocketType::Router, SocketType::Dealer), (SocketType::Server, SocketType::Client)] {
        let mut net = Net::new();
        let greeter = net.socket_with(ours, hello);
        let others = [net.socket_with(theirs, hello), net.socket(theirs)];
        net.connect(others[0], greeter);
        net.join(others[1], greeter);
        assert_eq!(bodies(&net.recv_all(others[0])), ["H"]);
        assert_eq!(bodies(&net.recv_all(others[1])), ["H"]);
        assert_eq!(net.recv_all(greeter).len(), 1);
    }
}

#[test]
fn the_end_of_a_peer_that_had_connected_is_its_last_message() {
    for in_process in [false, true] {
        let mut net = Net::new();
        let server = net.socket_with(SocketType::Server, disconnect);
        let client = net.socket(SocketType::Client);
        let link = if in_process { Err(net.join(client, server)) } else { Ok(net.connect(client, server)) };
        net.send(client, "0");
        net.send(client, "1");
        match link {
            Ok(link) => net.cut(link),
            Err((id, _)) => {
                net.at(client).remove(id);
                net.pump();
            }
        }
        let received = net.recv_all(server);
        assert_eq!(bodies(&received), ["0", "1", "D"], "in process: {in_process}");
        assert_eq!(received[0].routing_id(), received[2].routing_id());
        assert_eq!(net.at(server).connections().iter().count(), 0);
    }
}

#[test]
fn a_router_receives_it_behind_the_peers_name() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, disconnect);
    let dealer = net.socket_with(SocketType::Dealer, |options| options.routing_id = "anna".into());
    let link = net.connect(dealer, router);
    net.cut(link);
    assert_eq!(texts(&net.recv_all(router)), [["anna", "D"]]);
}

#[test]
fn who_connects_hears_of_hiccups_and_not_of_ends() {
    let mut net = Net::new();
    let client = net.socket_with(SocketType::Client, |options| {
        hiccup(options);
        disconnect(options);
    });
    let server = net.socket(SocketType::Server);
    let link = net.connect(client, server);
    net.send(client, "request");
    let request = net.recv(server);
    net.send(server, request);
    net.cut(link);
    let link = net.reconnect(link, server);
    net.send(client, "again");
    let request = net.recv(server);
    net.send(server, request);
    assert_eq!(bodies(&net.recv_all(client)), ["request", "U", "again"]);
    let id = net.id(link);
    net.at(client).retire(id);
    net.cut(link);
    net.expect_none(client);
}

#[test]
fn a_connection_that_was_never_made_has_no_end() {
    let mut net = Net::new();
    let server = net.socket_with(SocketType::Server, disconnect);
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_notify_connect = true;
        options.router_notify_disconnect = true;
    });
    for node in [server, router] {
        let link = net.accept_test(node);
        net.feed(link, "not a handshake");
        net.close_test(link);
        net.expect_none(node);
    }
}

#[test]
fn a_router_is_told_who_comes_and_goes_in_order() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_notify_connect = true;
        options.router_notify_disconnect = true;
        disconnect(options);
    });
    let link = net.accept_test(router);
    // What comes with the handshake stands behind the notice, and half a message is none.
    let large = "l".repeat(LARGE_BODY_LEN);
    let sent = [
        wire::hello_as("DEALER", "anna"),
        wire::message(&["first"]),
        wire::message(&[&large]),
        wire::frame(1, "half"),
        wire::frame(1, "of a message"),
    ];
    net.feed(link, sent.concat());
    net.close_test(link);
    let expected = [["anna", ""], ["anna", "first"], ["anna", &large], ["anna", ""], ["anna", "D"]];
    assert_eq!(texts(&net.recv_all(router)), expected);
}

#[test]
fn a_raw_router_receives_what_its_peers_send_and_nothing_else() {
    let mut net = Net::new();
    let router = net.socket_with(SocketType::Router, |options| {
        options.router_raw = true;
        options.router_notify_connect = true;
        options.router_notify_disconnect = true;
        hello(options);
        disconnect(options);
    });
    let link = net.accept_test(router);
    net.feed(link, "bytes");
    assert_eq!(net.take(link), b"");
    net.close_test(link);
    let received = net.recv_all(router);
    assert_eq!((received.len(), &received[0][1][..]), (1, &b"bytes"[..]));
}

#[test]
fn other_types_have_no_such_messages() {
    let mut net = Net::new();
    let all = |options: &mut Options| {
        hello(options);
        disconnect(options);
        hiccup(options);
        options.router_notify_connect = true;
        options.router_notify_disconnect = true;
    };
    let (push, pull) = (net.socket_with(SocketType::Push, all), net.socket_with(SocketType::Pull, all));
    let link = net.connect(push, pull);
    net.cut(link);
    net.expect_none(pull);
}

#[test]
fn a_last_value_goes_to_the_newest_subscriber_alone() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::XPub, |options| options.xpub_manual_last_value = true);
    let subscribers = [net.socket(SocketType::Sub), net.socket(SocketType::Sub)];
    for subscriber in subscribers {
        net.connect(subscriber, publisher);
        net.at(subscriber).subscribe(b"a").unwrap();
        assert_eq!(net.recv(publisher), *b"\x01a");
        net.at(publisher).subscribe(b"a").unwrap();
    }
    net.send(publisher, "a for the newest");
    net.send(publisher, "a for all");
    net.send(publisher, "b for none");
    assert_eq!(bodies(&net.recv_all(subscribers[0])), ["a for all"]);
    assert_eq!(bodies(&net.recv_all(subscribers[1])), ["a for the newest", "a for all"]);
    // Also one that does not match takes the turn.
    net.at(publisher).subscribe(b"c").unwrap();
    net.send(publisher, "b");
    net.send(publisher, "a");
    assert_eq!(bodies(&net.recv_all(subscribers[0])), ["a"]);
}

#[test]
fn a_newest_subscriber_that_is_gone_takes_no_turn() {
    let mut net = Net::new();
    let publisher = net.socket_with(SocketType::XPub, |options| options.xpub_manual_last_value = true);
    let subscribers = [net.socket(SocketType::Sub), net.socket(SocketType::Sub)];
    let links = subscribers.map(|subscriber| {
        let link = net.connect(subscriber, publisher);
        net.at(subscriber).subscribe(b"a").unwrap();
        assert_eq!(net.recv(publisher), *b"\x01a");
        net.at(publisher).subscribe(b"a").unwrap();
        link
    });
    net.cut(links[1]);
    net.send(publisher, "a");
    assert_eq!(bodies(&net.recv_all(subscribers[0])), ["a"]);
}
