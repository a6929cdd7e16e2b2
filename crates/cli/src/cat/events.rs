//! What happens to the connections, told to the user.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nought::{Any, DisconnectReason, Socket, SocketEvent, SocketEventKind};

use crate::output;

/// What is known of a socket's connections, thanks to a [`Watcher`].
#[derive(Clone, Debug)]
pub(super) struct Events {
    trouble: Arc<Mutex<Option<String>>>,
}

/// The thread that watches them. It ends after the socket.
#[derive(Debug)]
pub(super) struct Watcher {
    thread: JoinHandle<()>,
    is_verbose: bool,
}

impl Events {
    /// Starts to watch. All events are told on standard error with `is_verbose`, otherwise those that need the user.
    pub(super) fn watch(socket: &Socket<Any>, is_verbose: bool) -> (Self, Watcher) {
        let monitor = socket.monitor();
        let events = Self { trouble: Arc::default() };
        let watched = events.clone();
        let thread = thread::spawn(move || {
            let mut told = String::new();
            while let Ok(event) = monitor.recv() {
                watched.note(&event);
                let what = event.kind.to_string();
                // The same fault comes back with each new attempt to connect, from another port.
                if is_verbose || (needs_the_user(&event) && what != told) {
                    output::tell(event);
                    told = what;
                }
            }
        });
        (events, Watcher { thread, is_verbose })
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
            SocketEventKind::Disconnected { .. } if !event.was_established => *trouble = Some(event.to_string()),
            _ => {}
        }
    }
}

impl Watcher {
    /// Lets it tell of the end, once the socket is closed; not for long, in case it is not.
    pub(super) fn finish(self) {
        let deadline = Instant::now() + Duration::from_millis(200);
        while self.is_verbose && !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether it will hardly get better by itself.
fn needs_the_user(event: &SocketEvent) -> bool {
    match &event.kind {
        SocketEventKind::HandshakeFailed { .. }
        | SocketEventKind::AcceptFailed { .. }
        | SocketEventKind::Disconnected { reason: DisconnectReason::Protocol(_) } => true,
        // TLS or WebSocket did not come about.
        SocketEventKind::Disconnected { reason: DisconnectReason::Transport(error) } => {
            !event.was_established && error.kind() == io::ErrorKind::InvalidData
        }
        _ => false,
    }
}
