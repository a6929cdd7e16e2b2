//! Events for `tracing` at the edges (connections made, lost, refused) and none for messages.

mod support;

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use nought::{Context, Pub, Pull, Push};
use support::{Transport, recv, until, watchdog};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Keeps the level and the text of each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn has(&self, level: Level, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(other, line)| *other == level && line.contains(text))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nought")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

/// One test, because the subscriber is the process's: events come from the driver's thread as well.
#[test]
fn edges_and_nothing_else() {
    let _bounded = watchdog(Duration::from_secs(60));
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    for transport in Transport::ALL {
        log.0.lock().unwrap().clear();
        let context = Context::new();
        let pull = context.socket::<Pull>().unwrap();
        let endpoint = pull.bind(&transport.endpoint()).unwrap();
        assert!(log.has(Level::DEBUG, "listening") && log.has(Level::DEBUG, &endpoint));
        assert!(log.has(Level::DEBUG, "socket_type=PULL"));
        let push = context.socket::<Push>().unwrap();
        push.connect(&endpoint).unwrap();
        until("connecting is told by both", || {
            ["message=connected", "message=accepted"].iter().all(|text| log.has(Level::DEBUG, text))
        });
        if transport != Transport::Inproc {
            until("the handshakes are told", || {
                let handshakes = |(_, line): &&(Level, String)| line.contains("handshake succeeded");
                log.0.lock().unwrap().iter().filter(handshakes).count() == 2
            });
        }

        let before = log.0.lock().unwrap().len();
        for _ in 0..1000 {
            push.send("x").unwrap();
            recv(&pull);
        }
        assert_eq!(log.0.lock().unwrap().len(), before, "{transport}: messages cause none");

        let stranger = context.socket::<Pub>().unwrap();
        stranger.connect(&endpoint).unwrap();
        until("the refusal is a warning", || log.has(Level::WARN, "handshake failed"));
        push.close();
        until("the loss is told", || log.has(Level::DEBUG, "message=disconnected: "));
        pull.unbind(&endpoint).unwrap();
        assert!(log.has(Level::DEBUG, "listens no more"));
    }
}
