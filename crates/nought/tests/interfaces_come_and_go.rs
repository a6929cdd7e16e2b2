//! Network interfaces that vanish while peers are connected over them, and come back: an event and another attempt, never
//! an end of the program; then messages flow again.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Monitor, Pair, Socket, SocketEventKind};
use support::{
    PATIENCE, await_event, cable,
    process::{self, Role},
    until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn role() {
    process::play(&[("near machine", near_machine), ("far machine", far_machine)]);
}

#[test]
fn peers_find_each_other_again() {
    let _bounded = watchdog(LIMIT);
    let near = cable::start_near("near machine");
    for vanishing in Vanishing::ALL {
        assert_eq!(near.heard(), format!("{vanishing:?}"));
    }
    assert_eq!(near.heard(), "end");
    near.finish();
}

/// What becomes of the cable.
#[derive(Clone, Copy, Debug)]
enum Vanishing {
    /// The interface of the one who listens loses its address and goes down.
    Listening,
    Connecting,
    /// There is no cable any more, nor interfaces at its ends.
    Cable,
}

impl Vanishing {
    const ALL: [Self; 3] = [Self::Listening, Self::Connecting, Self::Cable];

    fn begin(self, far: &Role) {
        match self {
            Self::Listening => {
                cable::on_near("addr flush dev near");
                cable::on_near("link set near down");
            }
            Self::Connecting => {
                cable::on_far(far, "addr flush dev far");
                cable::on_far(far, "link set far down");
            }
            Self::Cable => cable::on_near("link delete near"),
        }
    }

    fn end(self, far: &Role) {
        match self {
            Self::Listening => cable::put_up_near(),
            Self::Connecting => cable::put_up_far(far),
            Self::Cable => cable::lay(far),
        }
    }
}

fn endpoint() -> String {
    format!("tcp://{}:5555", cable::NEAR)
}

/// Gives peers up soon, and tries again soon.
fn pair(context: &Context) -> Socket<Pair> {
    context
        .socket_builder::<Pair>()
        .heartbeat_interval(Some(Duration::from_millis(100)))
        .heartbeat_timeout(Some(Duration::from_millis(400)))
        .connect_timeout(Some(Duration::from_millis(200)))
        .reconnect_interval(Some(Duration::from_millis(50)))
        .linger(Some(Duration::ZERO))
        .build()
        .unwrap()
}

/// Listens, and has the cable in its hands.
fn near_machine(_: &[String]) {
    let mut far = cable::start_far("far machine");
    cable::lay(&far);
    let context = Context::new();
    let pair = pair(&context);
    let monitor = pair.monitor();
    pair.bind(&endpoint()).unwrap();
    far.ask("connect");
    assert_echoed(&pair, "at first");
    for vanishing in Vanishing::ALL {
        vanishing.begin(&far);
        await_loss(&monitor);
        await_word(&far, "lost");
        await_word(&far, "trying again");
        vanishing.end(&far);
        assert_echoed(&pair, &format!("after {vanishing:?}"));
        process::tell(format!("{vanishing:?}"));
    }
    far.finish();
    process::tell("end");
}

fn await_loss(monitor: &Monitor) {
    await_event(monitor, "the loss", |kind| matches!(kind, SocketEventKind::Disconnected { .. }).then_some(()));
}

#[track_caller]
fn await_word(role: &Role, word: &str) {
    let start = Instant::now();
    while role.heard() != word {
        assert!(start.elapsed() < PATIENCE, "never {word}");
    }
}

/// Sent again and again: a peer that is there may be one that is about to be given up, on a machine with other work, too.
#[track_caller]
fn assert_echoed(pair: &Socket<Pair>, text: &str) {
    until(&format!("the far machine echoes what is sent {text}"), || {
        let _ = pair.try_send(text);
        // What comes late is of before.
        std::iter::from_fn(|| pair.recv_timeout(Duration::from_millis(20)).ok()).any(|message| message == *text)
    });
}

/// Connects, and sends back what comes, until it is told to end.
fn far_machine(_: &[String]) {
    cable::be_far();
    process::listen();
    let context = Context::new();
    let pair = pair(&context);
    let monitor = pair.monitor();
    pair.connect(&endpoint()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while let Ok(event) = monitor.recv() {
                match event.kind {
                    SocketEventKind::Disconnected { .. } => process::tell("lost"),
                    SocketEventKind::ConnectRetried { .. } => process::tell("trying again"),
                    _ => {}
                }
            }
        });
        scope.spawn(|| {
            while let Ok(message) = pair.recv() {
                // Lost, if the peer is gone again: the test sends until it has come.
                let _ = pair.try_send(message);
            }
        });
        process::wait_for_the_end();
        std::process::exit(0);
    });
}
