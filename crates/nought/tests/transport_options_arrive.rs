//! Each option of the builder that is for the transport reaches it, as itself.

mod support;

use std::{sync::Arc, time::Duration};

use nought::{
    Context, Pull, Push, SocketBuilder, SocketError, SocketEventKind,
    transport::{SocksProxy, TransportOptions},
};
use support::{await_event, lab::Lab, recv, unique, watchdog};

fn proxy() -> Option<SocksProxy> {
    Some(SocksProxy::new("127.0.0.1:1080"))
}

type Set = fn(SocketBuilder<Pull>) -> SocketBuilder<Pull>;
type Expect = fn(&mut TransportOptions);

const SECONDS: fn(u64) -> Option<Duration> = |seconds| Some(Duration::from_secs(seconds));

const OPTIONS: &[(Set, Expect)] = &[
    (|builder| builder, |_| {}),
    (|builder| builder.ipv6(true), |options| options.ipv6 = true),
    (|builder| builder.backlog(7), |options| options.backlog = 7),
    (|builder| builder.send_buffer(Some(11_000)), |options| options.send_buffer = Some(11_000)),
    (|builder| builder.receive_buffer(Some(12_000)), |options| options.receive_buffer = Some(12_000)),
    (|builder| builder.type_of_service(0x28), |options| options.type_of_service = 0x28),
    (|builder| builder.priority(5), |options| options.priority = 5),
    (|builder| builder.multicast_hops(3), |options| options.multicast_hops = 3),
    (|builder| builder.multicast_loop(false), |options| options.multicast_loop = false),
    (|builder| builder.busy_poll(SECONDS(1)), |options| options.busy_poll = SECONDS(1)),
    (|builder| builder.bind_to_device(Some("lo".to_owned())), |options| options.bind_to_device = Some("lo".to_owned())),
    (|builder| builder.tcp_keepalive(Some(false)), |options| options.keep_alive.enabled = Some(false)),
    (|builder| builder.tcp_keepalive(Some(true)), |options| options.keep_alive.enabled = Some(true)),
    // Who says how to probe wants to probe.
    (
        |builder| builder.tcp_keepalive_idle(SECONDS(7)),
        |options| (options.keep_alive.enabled, options.keep_alive.idle) = (Some(true), SECONDS(7)),
    ),
    (
        |builder| builder.tcp_keepalive_interval(SECONDS(3)),
        |options| (options.keep_alive.enabled, options.keep_alive.interval) = (Some(true), SECONDS(3)),
    ),
    (
        |builder| builder.tcp_keepalive_count(Some(4)),
        |options| (options.keep_alive.enabled, options.keep_alive.count) = (Some(true), Some(4)),
    ),
    (|builder| builder.connect_timeout(SECONDS(9)), |options| options.connect_timeout = SECONDS(9)),
    (|builder| builder.socks_proxy(proxy()), |options| options.socks_proxy = proxy()),
    (|builder| builder.max_retransmission_time(SECONDS(8)), |options| options.max_retransmission_time = SECONDS(8)),
];

#[test]
fn each_as_itself() {
    let lab = Arc::new(Lab::default());
    let context = Context::builder().transport(Arc::clone(&lab) as _).build().unwrap();
    for (index, (set, expect)) in OPTIONS.iter().enumerate() {
        let mut expected = TransportOptions::default();
        expect(&mut expected);
        // One attempt to connect: a second one, with the options of before, might come when the next are looked at.
        let pull = set(context.socket_builder::<Pull>().reconnect_interval(None)).build().unwrap();
        pull.bind(&format!("lab://{}", unique())).unwrap();
        pull.connect("lab://nobody").unwrap();
        let given = std::mem::take(&mut *lab.options.lock().unwrap());
        assert!(given.len() >= 2, "for binding and for connecting");
        assert!(given.iter().all(|given| *given == expected), "number {index}: {given:?}");
    }
}

#[test]
fn details_of_probes_that_are_switched_off_contradict() {
    let context = Context::new();
    let builder = context.socket_builder::<Pull>().tcp_keepalive_idle(SECONDS(7)).tcp_keepalive(Some(false));
    assert!(matches!(builder.build(), Err(SocketError::Option(what)) if what.starts_with("tcp_keepalive")));
}

#[test]
fn probes_that_the_kernel_cannot_do_are_refused() {
    let context = Context::new();
    let builder = || context.socket_builder::<Pull>();
    for time in [Duration::ZERO, Duration::from_millis(999), Duration::from_millis(32_767_001)] {
        for builder in [builder().tcp_keepalive_idle(Some(time)), builder().tcp_keepalive_interval(Some(time))] {
            assert!(matches!(builder.build(), Err(SocketError::Option(what)) if what.contains("1 to 32,767 seconds")));
        }
    }
    for count in [0, 128, u32::MAX] {
        let refused = builder().tcp_keepalive_count(Some(count)).build();
        assert!(matches!(refused, Err(SocketError::Option(what)) if what.contains("1 to 127")));
    }
    for (seconds, count) in [(1, 1), (32_767, 127)] {
        let builder = builder().tcp_keepalive_idle(SECONDS(seconds)).tcp_keepalive_interval(SECONDS(seconds));
        let pull = builder.tcp_keepalive_count(Some(count)).build().unwrap();
        let push = context.socket::<Push>().unwrap();
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        push.send("the kernel takes it").unwrap();
        assert_eq!(recv(&pull), "the kernel takes it");
    }
}

#[test]
fn a_target_that_does_not_answer_is_left_for_the_next() {
    let _bounded = watchdog(Duration::from_secs(60));
    let context = Context::builder().transport(Arc::new(Lab::default())).build().unwrap();
    let pull = context.socket::<Pull>().unwrap();
    let name = unique();
    pull.bind(&format!("lab://{name}")).unwrap();
    let push = context.socket_builder::<Push>().connect_timeout(Some(Duration::from_millis(20))).build().unwrap();
    push.connect(&format!("lab://hang;{name}")).unwrap();
    push.send("hello").unwrap();
    assert_eq!(recv(&pull), "hello");
}

#[test]
fn when_none_answers_it_is_tried_again_after_a_pause() {
    let _bounded = watchdog(Duration::from_secs(60));
    let lab = Arc::new(Lab::default());
    let context = Context::builder().transport(Arc::clone(&lab) as _).build().unwrap();
    let push = context
        .socket_builder::<Push>()
        .connect_timeout(Some(Duration::from_millis(10)))
        .reconnect_interval(Some(Duration::from_millis(10)))
        .build()
        .unwrap();
    let monitor = push.monitor();
    push.connect("lab://hang").unwrap();
    for _ in 0..3 {
        let error = await_event(&monitor, "a failure", |kind| match kind {
            SocketEventKind::ConnectFailed { error } => Some(Arc::clone(error)),
            _ => None,
        });
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
    assert!(lab.options.lock().unwrap().len() >= 3);
}
