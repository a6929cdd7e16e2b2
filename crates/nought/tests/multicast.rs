//! Multicast over udp, IPv4 and IPv6, between two machines: all who have bound the group receive, and a machine its own
//! datagrams only if it wants.

mod support;

use std::time::Duration;

use nought::{Context, Dish, Radio, Socket};
use support::{cable, process, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

const GROUPS: [&str; 2] = ["239.213.0.5", "[ff15::213:5]"];

#[test]
fn role() {
    process::play(&[("near machine", near_machine), ("far machine", far_machine)]);
}

#[test]
fn a_group_is_heard_on_each_machine() {
    let _bounded = watchdog(LIMIT);
    let near = cable::start_near("near machine");
    for group in GROUPS {
        assert_eq!(near.heard(), format!("{group} is heard"));
    }
    near.finish();
}

fn dish(context: &Context, endpoint: &str) -> (Socket<Dish>, String) {
    let dish = context.socket_builder::<Dish>().ipv6(true).build().unwrap();
    dish.join("news").unwrap();
    let endpoint = dish.bind(endpoint).unwrap();
    (dish, endpoint)
}

/// Connects, and sends that it is here.
fn radio(context: &Context, endpoint: &str, heard_at_home: bool, body: &str) {
    let radio = context.socket_builder::<Radio>().ipv6(true).multicast_loop(heard_at_home).build().unwrap();
    radio.connect(endpoint).unwrap();
    until("there is a place to send from", || radio.stats().peers == 1);
    radio.send_to_group("news", body).unwrap();
}

/// Two of its sockets have bound the group.
fn near_machine(_: &[String]) {
    let mut far = cable::start_far("far machine");
    cable::lay(&far);
    cable::add_ipv6(&far);
    let context = Context::new();
    for group in GROUPS {
        let (first, endpoint) = dish(&context, &format!("udp://near;{group}:*"));
        let (_, port) = endpoint.rsplit_once(':').unwrap();
        let (second, _) = dish(&context, &format!("udp://near;{group}:{port}"));
        far.ask(&format!("udp://far;{group}:{port}"));
        for body in ["not heard at home", "heard at home"] {
            assert_eq!(recv(&first), *body);
            assert_eq!(recv(&second), *body);
        }
        assert_eq!(far.heard(), "heard at home");
        process::tell(format!("{group} is heard"));
    }
    far.finish();
}

/// Sends to the groups that it is told, and has bound them itself.
fn far_machine(_: &[String]) {
    cable::be_far();
    let context = Context::new();
    while let Some(endpoint) = process::listen() {
        let (dish, _) = dish(&context, &endpoint);
        radio(&context, &endpoint, false, "not heard at home");
        radio(&context, &endpoint, true, "heard at home");
        process::tell(String::from_utf8_lossy(recv(&dish).as_slice()));
    }
}
