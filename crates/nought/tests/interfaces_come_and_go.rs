//! Network interfaces that vanish while peers are connected over them, and come back: an event and another attempt, never
//! an end of the program; then messages flow again.
//!
//! Two machines are played by two processes, each with a network namespace of its own and a cable (veth) between them.

mod support;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Monitor, Pair, Socket, SocketEventKind};
use support::{
    PATIENCE, await_event,
    process::{self, Role},
    recv, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);

const ENDPOINT: &str = "tcp://10.213.0.1:5555";

#[test]
fn role() {
    process::play(&[("near machine", near_machine), ("far machine", far_machine)]);
}

#[test]
fn peers_find_each_other_again() {
    let _bounded = watchdog(LIMIT);
    let namespace = ["--map-root-user", "--net"];
    let trial = Command::new("unshare").args(namespace).args(["ip", "link", "show"]).output();
    let may = trial.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        may,
        "this test needs a network namespace of its own: install util-linux and iproute2, and allow user namespaces or \
         run it as root ({trial:?})"
    );
    let near = Role::start_in("unshare", &namespace, "near machine", &[]);
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
                on_near("addr flush dev near");
                on_near("link set near down");
            }
            Self::Connecting => {
                on_far(far, "addr flush dev far");
                on_far(far, "link set far down");
            }
            Self::Cable => on_near("link delete near"),
        }
    }

    fn end(self, far: &Role) {
        match self {
            Self::Listening => put_up_near(),
            Self::Connecting => put_up_far(far),
            Self::Cable => lay_cable(far),
        }
    }
}

fn lay_cable(far: &Role) {
    on_near(&format!("link add near type veth peer name far netns {}", far.pid()));
    put_up_near();
    put_up_far(far);
}

fn put_up_near() {
    on_near("addr add 10.213.0.1/24 dev near");
    on_near("link set near up");
}

fn put_up_far(far: &Role) {
    on_far(far, "addr add 10.213.0.2/24 dev far");
    on_far(far, "link set far up");
}

fn on_near(command: &str) {
    run(Command::new("ip").args(command.split(' ')));
}

fn on_far(far: &Role, command: &str) {
    let pid = far.pid().to_string();
    run(Command::new("nsenter").args(["--net", "--target", &pid, "ip"]).args(command.split(' ')));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
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
    let mut far = Role::start_in("unshare", &["--net"], "far machine", &[]);
    lay_cable(&far);
    let context = Context::new();
    let pair = pair(&context);
    let monitor = pair.monitor();
    pair.bind(ENDPOINT).unwrap();
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

#[track_caller]
fn assert_echoed(pair: &Socket<Pair>, text: &str) {
    until("the far machine is there", || pair.stats().peers == 1);
    pair.send(text).unwrap();
    assert_eq!(recv(pair), *text);
}

/// Connects, and sends back what comes, until it is told to end.
fn far_machine(_: &[String]) {
    process::listen();
    let context = Context::new();
    let pair = pair(&context);
    let monitor = pair.monitor();
    pair.connect(ENDPOINT).unwrap();
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
                // Lost, if the peer is gone again: the test sends only when it has seen that it is there.
                let _ = pair.try_send(message);
            }
        });
        process::wait_for_the_end();
        std::process::exit(0);
    });
}
