//! Monitors: what happens to a socket's connections, as typed events. And counts, which need no monitor.

use std::time::Duration;

use anyhow::{Result, bail};
use nought::{
    Context, DisconnectReason, Incompatibility, Monitor, ProtocolError, Pub, Pull, Push, SocketEvent, SocketEventKind,
    SocketType,
};

fn main() -> Result<()> {
    let context = Context::new();
    let pull = context.socket::<Pull>()?;
    let monitor = pull.monitor();
    let endpoint = pull.bind("tcp://127.0.0.1:*")?;

    let push = context.socket_builder::<Push>().metadata("X-Name", b"the example").build()?;
    push.connect(&endpoint)?;
    push.send("hello")?;
    assert_eq!(pull.recv()?, "hello");

    // The event tells what the peer said of itself.
    let event = wait_for(&monitor, |kind| matches!(kind, SocketEventKind::HandshakeSucceeded { .. }))?;
    let SocketEventKind::HandshakeSucceeded { peer } = event.kind else { unreachable!("waited for it") };
    assert_eq!(peer.socket_type, Some(SocketType::Push));
    assert_eq!(peer.metadata.get("X-Name"), Some(&b"the example"[..]));

    let counters = pull.stats().totals;
    assert_eq!((counters.messages_in, counters.established), (1, 1));

    push.close();
    let event = wait_for(&monitor, |kind| matches!(kind, SocketEventKind::Disconnected { .. }))?;
    assert!(matches!(event.kind, SocketEventKind::Disconnected { reason: DisconnectReason::PeerClosed }));

    // A PUB does not fit a PULL. It is refused, and both sides are told why.
    let wrong = context.socket::<Pub>()?;
    let wrong_monitor = wrong.monitor();
    wrong.connect(&endpoint)?;
    let refused = wait_for(&monitor, |kind| matches!(kind, SocketEventKind::HandshakeFailed { .. }))?;
    let SocketEventKind::HandshakeFailed { error } = refused.kind else { unreachable!("waited for it") };
    let reason = Incompatibility::SocketType { ours: SocketType::Pull, theirs: Some(SocketType::Pub) };
    assert_eq!(error, ProtocolError::Incompatible(reason));
    wait_for(&wrong_monitor, |kind| matches!(kind, SocketEventKind::HandshakeFailed { .. }))?;
    Ok(())
}

/// Prints the events up to the first that is wanted, and returns that one.
fn wait_for(monitor: &Monitor, is_wanted: impl Fn(&SocketEventKind) -> bool) -> Result<SocketEvent> {
    loop {
        let Ok(event) = monitor.recv_timeout(Duration::from_secs(10)) else { bail!("the event did not come") };
        println!("{event}");
        if is_wanted(&event.kind) {
            return Ok(event);
        }
    }
}
