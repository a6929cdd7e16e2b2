//! Waiting for the other side where the user starts it.

use std::{
    thread,
    time::{Duration, Instant},
};

use nought::{Kind, Socket};

use crate::output;

/// After this time the user is told what is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Returns once a peer has come, also where it is gone again, or when nothing is to come any more. `place` says where it
/// is to be.
pub(super) fn wait_for_peer<K: Kind>(socket: &Socket<K>, place: &str) {
    let start = Instant::now();
    let mut is_told = false;
    while socket.stats().totals.established == 0 && !socket.is_shut_down() {
        if !is_told && start.elapsed() >= SILENCE_MAX {
            output::tell(format_args!("waiting for a peer {place}"));
            is_told = true;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
