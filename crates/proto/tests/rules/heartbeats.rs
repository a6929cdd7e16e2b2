//! PING, PONG, TTL and patience (RFC 37, "Connection Heartbeating").

use std::time::Duration;

use nought_proto::{Options, ProtocolError, SocketType, error::Misbehaviour};

use crate::harness::{Link, Net, Node, wire};

const SECOND: Duration = Duration::from_secs(1);

fn with(change: impl FnOnce(&mut Options)) -> (Net, Node, Link) {
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, change);
    let link = net.accept_test(pull);
    net.feed(link, wire::hello("PUSH"));
    net.take(link);
    (net, pull, link)
}

#[test]
fn a_ping_is_answered_with_its_context() {
    for context in ["", "c", "sixteen bytes ok"] {
        let (mut net, _, link) = with(|_| {});
        net.feed(link, wire::ping(0, context));
        assert_eq!(net.take(link), wire::pong(context));
    }
    let (mut net, _, link) = with(|_| {});
    net.feed(link, wire::ping(0, "longer than sixteen bytes"));
    assert_eq!(net.take(link), wire::pong("longer than sixt"));
}

#[test]
fn a_ping_too_short_ends_the_connection() {
    for data in [&b""[..], b"\0"] {
        let (mut net, pull, link) = with(|_| {});
        net.feed(link, wire::command("PING", data));
        assert_eq!(net.error(pull), ProtocolError::Misbehaved(Misbehaviour::Ping), "{data:?}");
        assert!(net.is_closed(link));
    }
}

#[test]
fn pings_go_out_at_the_interval_with_the_ttl() {
    let (mut net, pull, link) = with(|options| {
        options.heartbeat_interval = Some(SECOND);
        options.heartbeat_ttl = Some(Duration::from_millis(65_600));
    });
    for _ in 0..5 {
        net.pass(SECOND - Duration::from_millis(1));
        assert_eq!(net.take(link), b"");
        net.pass(Duration::from_millis(1));
        // 65.6 s is where libzmq's arithmetic overflows.
        assert_eq!(net.take(link), wire::ping(656, ""));
        net.feed(link, wire::pong(""));
    }
    net.expect_no_failure(pull);
}

#[test]
fn a_silent_peer_is_given_up_after_the_timeout() {
    let (mut net, pull, link) = with(|options| {
        options.heartbeat_interval = Some(SECOND);
        options.heartbeat_timeout = Some(3 * SECOND);
    });
    net.pass(4 * SECOND - Duration::from_millis(1));
    assert!(!net.is_closed(link));
    net.pass(Duration::from_millis(1));
    assert_eq!(net.error(pull), ProtocolError::HeartbeatTimedOut);
    assert!(net.is_closed(link));
}

#[test]
fn any_traffic_is_a_sign_of_life_even_part_of_a_frame() {
    let (mut net, pull, link) = with(|options| {
        options.heartbeat_interval = Some(SECOND);
        options.heartbeat_timeout = Some(2 * SECOND);
    });
    let large = wire::message(&[&"l".repeat(100)]);
    for byte in &large {
        net.pass(SECOND * 3 / 2);
        net.feed(link, [*byte]);
    }
    net.expect_no_failure(pull);
    assert!(!net.is_closed(link));
}

#[test]
fn the_peers_ttl_counts_from_its_last_traffic() {
    let (mut net, pull, link) = with(|_| {});
    net.feed(link, wire::ping(20, ""));
    net.pass(SECOND);
    net.feed(link, wire::message(&["x"]));
    net.pass(2 * SECOND - Duration::from_millis(1));
    assert!(!net.is_closed(link));
    net.pass(Duration::from_millis(1));
    assert_eq!(net.error(pull), ProtocolError::HeartbeatTimedOut);
}

#[test]
fn a_later_ping_without_a_ttl_lifts_the_one_before() {
    let (mut net, pull, link) = with(|_| {});
    net.feed(link, wire::ping(20, ""));
    net.feed(link, wire::ping(0, ""));
    net.pass(100 * SECOND);
    net.expect_no_failure(pull);
}

#[test]
fn without_heartbeats_no_clock_ticks() {
    let (mut net, pull, link) = with(|_| {});
    assert_eq!(net.at(pull).next_timeout(), None);
    net.pass(1_000_000 * SECOND);
    assert!(!net.is_closed(link));
}

#[test]
fn two_machines_keep_each_other_alive() {
    let mut net = Net::new();
    let beat = |options: &mut Options| {
        options.heartbeat_interval = Some(SECOND);
        options.heartbeat_timeout = Some(SECOND);
        options.heartbeat_ttl = Some(2 * SECOND);
    };
    let (push, pull) = (net.socket_with(SocketType::Push, beat), net.socket_with(SocketType::Pull, beat));
    let link = net.connect(push, pull);
    net.pass(1000 * SECOND);
    net.expect_no_failure(push);
    net.expect_no_failure(pull);
    // Nothing of the pings and pongs is left in a queue or a counter of messages.
    assert_eq!(net.connection(push, link).counters().messages_in, 0);
    assert!(net.connection(push, link).is_flushed());
}

#[test]
fn a_half_open_connection_is_found_out_by_whoever_is_less_patient() {
    for (timeout, finder) in [(1, 0), (1000, 1)] {
        let mut net = Net::new();
        let push = net.socket_with(SocketType::Push, |options| {
            options.heartbeat_interval = Some(SECOND);
            options.heartbeat_timeout = Some(timeout * SECOND);
            options.heartbeat_ttl = Some(3 * SECOND);
        });
        let pull = net.socket(SocketType::Pull);
        let link = net.connect(push, pull);
        net.pass(5 * SECOND);
        net.room(link, 0);
        net.room_back(link, 0);
        net.pass(5 * SECOND);
        assert_eq!(net.error([push, pull][finder]), ProtocolError::HeartbeatTimedOut);
    }
}

#[test]
fn while_the_ping_waits_behind_a_large_message_progress_of_that_is_a_sign_of_life() {
    let mut net = Net::new();
    let push = net.socket_with(SocketType::Push, |options| options.heartbeat_interval = Some(SECOND));
    let link = net.accept_test(push);
    net.feed(link, wire::hello("PULL"));
    net.take(link);
    net.room(link, 1000);
    net.send(push, "l".repeat(100_000));
    for _ in 0..50 {
        net.pass(SECOND / 2);
        net.room(link, 1000);
        net.pump();
    }
    net.expect_no_failure(push);
    net.room(link, 0);
    net.pass(3 * SECOND);
    assert_eq!(net.error(push), ProtocolError::HeartbeatTimedOut);
}

#[test]
fn a_peer_that_we_do_not_read_is_not_given_up() {
    // Reading is put off at the high-water mark: it is us who do not listen.
    for ttl in [0, 20] {
        let (mut net, pull, link) = with(|options| {
            options.recv_hwm = 1;
            options.heartbeat_interval = Some(SECOND);
        });
        net.feed(link, [wire::ping(ttl, ""), wire::message(&["0"])].concat());
        net.feed(link, wire::message(&["1"]));
        for _ in 0..100 {
            net.pass(SECOND);
            net.write(link, wire::pong(""));
        }
        net.expect_no_failure(pull);
        assert!(!net.is_closed(link));
        assert_eq!(net.recv_all(pull).len(), 2);
        net.take(link);
        net.pass(2 * SECOND);
        assert_eq!(net.error(pull), ProtocolError::HeartbeatTimedOut, "once it is read again, it must answer");
    }
}

#[test]
fn a_peer_of_3_0_has_heartbeats() {
    // RFC 23 has none, but years of libzmq speak 3.0 and have them.
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.heartbeat_interval = Some(SECOND));
    let link = net.accept_test(pull);
    net.feed(link, [wire::hello_3_0("PUSH"), wire::ping(0, "?")].concat());
    assert!(net.take(link).ends_with(&wire::pong("?")));
    net.pass(SECOND);
    assert_eq!(net.take(link), wire::ping(0, ""));
    net.pass(SECOND);
    assert_eq!(net.error(pull), ProtocolError::HeartbeatTimedOut);
}

#[test]
fn peers_of_2_0_and_1_0_know_no_pings_and_get_none() {
    // Their silence says nothing.
    let mut net = Net::new();
    let pull = net.socket_with(SocketType::Pull, |options| options.heartbeat_interval = Some(SECOND));
    for hello in [wire::hello_2_0(8, ""), b"\x01\0".to_vec()] {
        let link = net.accept_test(pull);
        net.feed(link, hello);
        net.take(link);
        net.pass(100 * SECOND);
        assert_eq!(net.take(link), b"");
        assert!(!net.is_closed(link));
    }
}

#[test]
fn switching_heartbeats_off_while_they_run_stops_them() {
    let (mut net, pull, link) = with(|options| options.heartbeat_interval = Some(SECOND));
    net.pass(SECOND);
    net.feed(link, wire::pong(""));
    net.at(pull).set_options(|options| options.heartbeat_interval = None);
    net.take(link);
    net.pass(100 * SECOND);
    assert_eq!(net.take(link), b"");
    assert!(!net.is_closed(link));
    assert_eq!(net.at(pull).next_timeout(), None);
}

#[test]
fn an_interval_of_nothing_and_one_of_for_ever_do_no_harm() {
    for interval in [Duration::ZERO, Duration::MAX] {
        let (mut net, pull, link) = with(|options| {
            options.heartbeat_interval = Some(interval);
            options.heartbeat_timeout = Some(interval);
            options.heartbeat_ttl = Some(interval);
            options.handshake_timeout = Some(Duration::MAX);
        });
        net.pass(10 * SECOND);
        assert_eq!(net.take(link), b"");
        net.expect_no_failure(pull);
    }
}

#[test]
fn switching_heartbeats_on_live_starts_them() {
    let (mut net, pull, link) = with(|_| {});
    net.pass(5 * SECOND);
    net.feed(link, wire::message(&["x"]));
    net.at(pull).set_options(|options| options.heartbeat_interval = Some(SECOND));
    assert_eq!(net.take(link), b"");
    net.pass(SECOND);
    assert_eq!(net.take(link), wire::ping(0, ""));
    net.pass(SECOND);
    assert_eq!(net.error(pull), ProtocolError::HeartbeatTimedOut);
}
