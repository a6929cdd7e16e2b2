//! What happens to the connections, told to the user.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nought::{Any, DisconnectReason, Socket, SocketEvent, SocketEventKind};

/// Watches a socket's connections on a thread of its own.
#[derive(Clone, Debug)]
pub(super) struct Events {
    trouble: Arc<Mutex<Option<String>>>,
}

impl Events {
    /// Starts to watch. All events are told on standard error where `verbose`, otherwise those that need the user.
    pub(super) fn watch(socket: &Socket<Any>, verbose: bool) -> Self {
        let monitor = socket.monitor();
        let events = Self { trouble: Arc::default() };
        let watched = events.clone();
        thread::spawn(move || {
            let mut told = String::new();
            while let Ok(event) = monitor.recv() {
                watched.note(&event);
                let text = event.to_string();
                // The same fault comes back with each new attempt to connect.
                if verbose || (needs_the_user(&event.kind) && text != told) {
                    eprintln!("{text}");
                    told = text;
                }
            }
        });
        events
    }

    /// Why there may be no peer: the last trouble with a connection that was not followed by success.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, event: &SocketEvent) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.kind {
            SocketEventKind::HandshakeSucceeded { .. } => *trouble = None,
            SocketEventKind::ConnectFailed { .. }
            | SocketEventKind::HandshakeFailed { .. }
            | SocketEventKind::AcceptFailed { .. } => *trouble = Some(event.to_string()),
            _ => {}
        }
    }
}

/// Whether it will hardly get better by itself.
fn needs_the_user(kind: &SocketEventKind) -> bool {
    matches!(
        kind,
        SocketEventKind::HandshakeFailed { .. }
            | SocketEventKind::AcceptFailed { .. }
            | SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(_) }
    )
}
