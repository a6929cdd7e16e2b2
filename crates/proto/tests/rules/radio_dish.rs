//! RADIO and DISH: groups, by their whole names (RFC 48).

use nought_proto::{
    Message, ProtocolError, SocketType,
    error::Misbehaviour,
    limits::DRAINING_LEN_MAX,
    pattern::{GroupRefusal, RecvRefusal, SendRefusal},
};

use crate::harness::{Link, Net, Node, wire};

fn radio_and_dish(net: &mut Net) -> (Node, Node, Link) {
    let (radio, dish) = (net.socket(SocketType::Radio), net.socket(SocketType::Dish));
    let link = net.connect(dish, radio);
    (radio, dish, link)
}

fn join(net: &mut Net, dish: Node, group: &str) {
    net.at(dish).join(group.as_bytes()).unwrap();
    net.pump();
}

fn leave(net: &mut Net, dish: Node, group: &str) {
    net.at(dish).leave(group.as_bytes()).unwrap();
    net.pump();
}

fn publish(net: &mut Net, radio: Node, group: &str, body: &str) {
    net.send(radio, Message::from(body).with_group(group));
}

fn received(net: &mut Net, dish: Node) -> Vec<(String, String)> {
    let text = |frame: &[u8]| String::from_utf8_lossy(frame).into_owned();
    let messages = net.recv_all(dish);
    assert!(messages.iter().all(|message| message.len() == 1));
    messages.iter().map(|message| (text(message.group().unwrap()), text(&message[0]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(group, body)| (group.to_string(), body.to_string())).collect()
}

#[test]
fn a_dish_receives_what_is_sent_to_its_groups_and_nothing_else() {
    for in_process in [false, true] {
        let mut net = Net::new();
        let (radio, dish) = (net.socket(SocketType::Radio), net.socket(SocketType::Dish));
        join(&mut net, dish, "movies");
        if in_process {
            net.join(dish, radio);
        } else {
            net.connect(dish, radio);
        }
        publish(&mut net, radio, "tv", "friends");
        publish(&mut net, radio, "movies", "godfather");
        // A group is no prefix.
        publish(&mut net, radio, "movies/old", "metropolis");
        publish(&mut net, radio, "movie", "m");
        publish(&mut net, radio, "", "nameless");
        assert_eq!(received(&mut net, dish), pairs(&[("movies", "godfather")]), "in process: {in_process}");
        join(&mut net, dish, "tv");
        join(&mut net, dish, "");
        publish(&mut net, radio, "tv", "news");
        net.send(radio, "nameless too");
        leave(&mut net, dish, "movies");
        publish(&mut net, radio, "movies", "gone");
        let expected = [("tv", "news"), ("", "nameless too")];
        assert_eq!(received(&mut net, dish), pairs(&expected), "in process: {in_process}");
        assert_eq!(net.at(radio).subscriptions(), 2);
        assert_eq!(net.at(radio).connections().totals().messages_out, 3);
    }
}

#[test]
fn group_and_body_are_two_frames_on_the_wire_and_memberships_commands() {
    let mut net = Net::new();
    let radio = net.socket(SocketType::Radio);
    let link = net.accept_test(radio);
    net.feed(link, [wire::hello("DISH"), wire::join("news")].concat());
    net.take(link);
    net.send(radio, Message::from("body").with_group("news"));
    net.send(radio, Message::from("body").with_group("other"));
    assert_eq!(net.take(link), wire::message(&["news", "body"]));
    net.feed(link, wire::leave("news"));
    net.send(radio, Message::from("body").with_group("news"));
    assert_eq!(net.take(link), b"");

    let dish = net.socket(SocketType::Dish);
    net.at(dish).join(b"news").unwrap();
    let link = net.connect_test(dish);
    net.feed(link, wire::hello("RADIO"));
    assert!(net.take(link).ends_with(&[wire::ready("DISH"), wire::join("news")].concat()));
    leave(&mut net, dish, "news");
    assert_eq!(net.take(link), wire::leave("news"));
}

#[test]
fn a_dish_drops_and_counts_what_it_has_not_joined() {
    let mut net = Net::new();
    let dish = net.socket(SocketType::Dish);
    let link = net.accept_test(dish);
    net.feed(link, [wire::hello("RADIO"), wire::message(&["a", "1"]), wire::message(&["b", "2"])].concat());
    join(&mut net, dish, "b");
    assert!(net.at(dish).can_recv());
    assert_eq!(received(&mut net, dish), pairs(&[("b", "2")]));
    assert!(!net.at(dish).can_recv());
    assert_eq!(net.at(dish).connections().totals().dropped_on_arrival, 1);
}

#[test]
fn what_was_looked_at_and_is_of_a_group_that_was_left_meanwhile_is_not_received() {
    let mut net = Net::new();
    let dish = net.socket(SocketType::Dish);
    let link = net.accept_test(dish);
    join(&mut net, dish, "a");
    join(&mut net, dish, "b");
    net.feed(link, [wire::hello("RADIO"), wire::message(&["a", "1"]), wire::message(&["b", "2"])].concat());
    assert!(net.at(dish).can_recv());
    leave(&mut net, dish, "a");
    assert_eq!(received(&mut net, dish), pairs(&[("b", "2")]));
    assert_eq!(net.at(dish).connections().totals().dropped_on_arrival, 1);
}

#[test]
fn several_dishes_get_a_message_and_one_that_is_full_misses_it() {
    let mut net = Net::new();
    let radio = net.socket_with(SocketType::Radio, |options| options.send_hwm = 1);
    let dishes = [(); 3].map(|()| net.socket(SocketType::Dish));
    let links = dishes.map(|dish| {
        join(&mut net, dish, "g");
        net.connect(dish, radio)
    });
    net.room_back(links[0], 0);
    let large = "l".repeat(DRAINING_LEN_MAX);
    for body in ["0", &large, "2"] {
        publish(&mut net, radio, "g", body);
    }
    for dish in &dishes[1..] {
        assert_eq!(received(&mut net, *dish), pairs(&[("g", "0"), ("g", &large), ("g", "2")]));
    }
    assert!(net.at(radio).connections().totals().dropped_at_hwm > 0);
    net.room_back(links[0], usize::MAX);
    assert_eq!(received(&mut net, dishes[0])[0], ("g".into(), "0".into()));
}

#[test]
fn a_new_radio_is_told_everything_and_an_old_connection_forgotten() {
    let mut net = Net::new();
    let (radio, dish, link) = radio_and_dish(&mut net);
    join(&mut net, dish, "g");
    net.cut(link);
    assert_eq!(net.at(radio).subscriptions(), 0);
    join(&mut net, dish, "h");
    net.reconnect(link, radio);
    assert_eq!(net.at(radio).subscriptions(), 2);
    publish(&mut net, radio, "h", "x");
    assert_eq!(received(&mut net, dish), pairs(&[("h", "x")]));
}

#[test]
fn a_group_is_joined_once_and_has_a_legal_name() {
    let mut net = Net::new();
    let (radio, dish, _) = radio_and_dish(&mut net);
    let longest = "g".repeat(255);
    join(&mut net, dish, &longest);
    publish(&mut net, radio, &longest, "x");
    assert_eq!(received(&mut net, dish).len(), 1);
    assert_eq!(net.at(dish).join(longest.as_bytes()), Err(GroupRefusal::Joined));
    assert_eq!(net.at(dish).leave(b"g"), Err(GroupRefusal::NotJoined));
    for illegal in ["g".repeat(256), "g\0".into()] {
        assert_eq!(net.at(dish).join(illegal.as_bytes()), Err(GroupRefusal::Name));
        assert_eq!(net.try_send(radio, Message::from("x").with_group(illegal)), Err(SendRefusal::Malformed));
    }
    assert_eq!(net.at(radio).join(b"g"), Err(GroupRefusal::NotSupported));
    assert_eq!(net.try_send(dish, "x"), Err(SendRefusal::NotSupported));
    assert_eq!(net.try_recv(radio), Err(RecvRefusal::NotSupported));
}

/// libzmq aborts on the first of these.
#[test]
fn what_is_no_group_ends_the_connection() {
    for join in [wire::join(&"g".repeat(256)), wire::join("g\0"), wire::leave(&"g".repeat(70_000))] {
        let mut net = Net::new();
        let radio = net.socket(SocketType::Radio);
        let link = net.accept_test(radio);
        net.feed(link, [wire::hello("DISH"), join].concat());
        assert_eq!(net.error(radio), ProtocolError::Misbehaved(Misbehaviour::Group));
    }
}

#[test]
fn a_message_that_is_not_a_group_and_a_body_ends_the_connection() {
    let long = "g".repeat(256);
    let cases = [
        (wire::message(&["alone"]), Misbehaviour::Envelope),
        (wire::message(&["g", "body", "more"]), Misbehaviour::Envelope),
        (wire::message(&[&long, "body"]), Misbehaviour::Group),
    ];
    for (message, rule) in cases {
        let mut net = Net::new();
        let dish = net.socket(SocketType::Dish);
        join(&mut net, dish, "g");
        let link = net.accept_test(dish);
        net.feed(link, [wire::hello("RADIO"), wire::message(&["g", "before"]), message].concat());
        assert_eq!(net.error(dish), ProtocolError::Misbehaved(rule));
        assert_eq!(received(&mut net, dish), pairs(&[("g", "before")]));
    }
}

#[test]
fn a_dish_that_joins_without_end_is_given_up() {
    let mut net = Net::new();
    let radio = net.socket_with(SocketType::Radio, |options| options.subscriptions_per_peer_max = 10);
    let link = net.accept_test(radio);
    let groups = (0..11).flat_map(|number: u32| wire::join(&number.to_string()));
    net.feed(
        link,
        wire::hello("DISH").into_iter().chain((0..100).flat_map(|_| wire::join("again"))).collect::<Vec<_>>(),
    );
    net.expect_no_failure(radio);
    net.feed(link, groups.collect::<Vec<_>>());
    assert_eq!(net.error(radio), ProtocolError::Misbehaved(Misbehaviour::SubscriptionFlood));
}

#[test]
fn what_a_dish_sends_is_dropped_and_counted() {
    let mut net = Net::new();
    let radio = net.socket(SocketType::Radio);
    let link = net.accept_test(radio);
    net.feed(link, [wire::hello("DISH"), wire::message(&["x"]), wire::join("g")].concat());
    net.expect_no_failure(radio);
    assert_eq!(net.at(radio).connections().totals().dropped_on_arrival, 1);
    assert_eq!(net.at(radio).subscriptions(), 1);
}
