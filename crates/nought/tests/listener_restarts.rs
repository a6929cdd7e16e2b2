//! A listener that goes and comes again while many send to it: they find it again, nothing comes twice, nothing out of
//! order, and nothing partial.
//!
//! Other tests here start processes. Each of these has all that was open, the old listener too, until it begins to run its
//! own program: that is why a port is waited for.

mod support;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Message, Pull, Push, Rep, Req, Socket};
use support::{
    SetAtEnd, Transport,
    process::{self, Role},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);
const SENDERS: u64 = 4;

#[test]
fn role() {
    process::play(&[("collector", collect)]);
}

/// Receives until told to report, and reports for each sender the first and the last number that came.
fn collect(arguments: &[String]) {
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().recv_timeout(Some(Duration::from_millis(100))).build().unwrap();
    until("the address is free", || pull.bind(&arguments[0]).is_ok());
    process::tell("bound");
    let mut seen = Seen::default();
    let mut last_report = Instant::now();
    loop {
        if let Ok(message) = pull.recv() {
            seen.note(&message);
        }
        if last_report.elapsed() > Duration::from_millis(20) {
            last_report = Instant::now();
            let first_and_last = seen.0.iter().map(|(sender, (first, last))| format!("{sender}:{first}:{last}"));
            process::tell(first_and_last.collect::<Vec<_>>().join(" "));
        }
    }
}

/// By sender, the first and the last number.
#[derive(Debug, Default)]
struct Seen(HashMap<u64, (u64, u64)>);

impl Seen {
    /// Numbers of one sender may miss some, which were on their way when a listener went, but never go back.
    #[track_caller]
    fn note(&mut self, message: &Message) {
        assert_eq!(message.len(), 3, "a partial message");
        let number = |index: usize| u64::from_le_bytes(message[index][..8].try_into().unwrap());
        let (sender, index) = (number(0), number(1));
        assert_eq!(message[2], vec![index as u8; (index % 2000) as usize]);
        let (_, last) = self.0.entry(sender).or_insert((index, 0));
        assert!(index == 0 || index > *last, "{index} of sender {sender} after {last}");
        *last = index;
    }
}

fn send(push: &Socket<Push>, sender: u64, index: u64) -> bool {
    let body = vec![index as u8; (index % 2000) as usize];
    push.send([sender.to_le_bytes().to_vec(), index.to_le_bytes().to_vec(), body]).is_ok()
}

fn under_load(endpoint: &str, listener_comes_and_goes: impl FnOnce()) {
    let context = Context::new();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let push = context
                .socket_builder::<Push>()
                .reconnect_interval(Some(Duration::from_millis(5)))
                .reconnect_interval_max(Duration::from_millis(50))
                .send_timeout(Some(Duration::from_millis(20)))
                .linger(Some(Duration::ZERO))
                .build()
                .unwrap();
            push.connect(endpoint).unwrap();
            let is_over = &is_over;
            scope.spawn(move || {
                let mut index = 0;
                while !is_over.load(Ordering::Relaxed) {
                    index += u64::from(send(&push, sender, index));
                }
            });
        }
        let _end = SetAtEnd(&is_over);
        listener_comes_and_goes();
    });
}

#[test]
fn a_process_that_is_killed_and_started_again() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let endpoint = transport.future_endpoint();
        under_load(&endpoint, || {
            let mut before: HashMap<u64, u64> = HashMap::new();
            for round in 0..6 {
                let collector = Role::start("collector", &[&endpoint]);
                assert_eq!(collector.heard(), "bound");
                // Until it has heard of every sender.
                let reports = loop {
                    let line = collector.heard();
                    let reports: Vec<[u64; 3]> = line
                        .split_whitespace()
                        .map(|report| {
                            let fields: Vec<u64> = report.split(':').map(|field| field.parse().unwrap()).collect();
                            fields.try_into().unwrap()
                        })
                        .collect();
                    if reports.len() as u64 == SENDERS {
                        break reports;
                    }
                };
                collector.kill();
                for [sender, first, last] in reports {
                    if let Some(before) = before.insert(sender, last) {
                        assert!(first > before, "{transport}, round {round}: sender {sender} went back to {first}");
                    }
                }
            }
        });
    }
}

#[test]
fn a_socket_that_is_closed_and_made_again() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let endpoint = transport.future_endpoint();
        under_load(&endpoint, || {
            let context = Context::new();
            let mut seen = Seen::default();
            for _ in 0..20 {
                let pull = context.socket::<Pull>().unwrap();
                until("the address is free", || pull.bind(&endpoint).is_ok());
                let mut heard: HashMap<u64, u32> = HashMap::new();
                while heard.len() < SENDERS as usize || heard.values().any(|&count| count < 10) {
                    let message = recv(&pull);
                    seen.note(&message);
                    *heard.entry(u64::from_le_bytes(message[0][..8].try_into().unwrap())).or_default() += 1;
                }
            }
        });
    }
}

#[test]
fn a_socket_that_unbinds_and_binds_again() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = transport.future_endpoint();
        pull.bind(&endpoint).unwrap();
        for round in 0..50 {
            let push = context.socket::<Push>().unwrap();
            push.connect(&endpoint).unwrap();
            push.send("before").unwrap();
            assert_eq!(recv(&pull), "before", "{transport}, round {round}");
            pull.unbind(&endpoint).unwrap();
            // The connection goes with the endpoint, and is made again.
            until("it is disconnected", || push.stats().peers == 0);
            push.send("after").unwrap();
            until("the address is free", || pull.bind(&endpoint).is_ok_and(|bound| bound == endpoint));
            assert_eq!(recv(&pull), "after", "{transport}, round {round}");
        }
    }
}

#[test]
fn a_service_that_is_restarted_answers_relaxed_requesters_again() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::KERNEL {
        let endpoint = transport.future_endpoint();
        let context = Context::new();
        let request = context
            .socket_builder::<Req>()
            .req_relaxed(true)
            .req_correlate(true)
            .recv_timeout(Some(Duration::from_millis(50)))
            .reconnect_interval(Some(Duration::from_millis(5)))
            .reconnect_interval_max(Duration::from_millis(20))
            .linger(Some(Duration::ZERO))
            .build()
            .unwrap();
        request.connect(&endpoint).unwrap();
        let mut asked = 0_u64;
        for round in 0..10 {
            let reply = context.socket_builder::<Rep>().recv_timeout(Some(Duration::from_millis(20))).build().unwrap();
            until("the address is free", || reply.bind(&endpoint).is_ok());
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        if let Ok(question) = reply.recv() {
                            reply.send(question).unwrap();
                        }
                    }
                });
                let _end = SetAtEnd(&is_over);
                let start = Instant::now();
                let mut answered = 0;
                while answered < 100 {
                    assert!(start.elapsed() < support::PATIENCE, "{transport}, round {round}: no answers");
                    asked += 1;
                    request.send_timeout(&asked.to_be_bytes(), support::PATIENCE).unwrap();
                    if let Ok(answer) = request.recv() {
                        assert_eq!(support::number(&answer), asked, "{transport}: the answer to another question");
                        answered += 1;
                    }
                }
            });
        }
    }
}
