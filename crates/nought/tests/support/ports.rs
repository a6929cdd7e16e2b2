//! Ports for tests that connect before they bind, or bind again. The conformance tests include this file.

use std::{
    net::{TcpStream, UdpSocket},
    sync::atomic::{AtomicU64, Ordering},
};

/// A port that nobody listens at, from below the range that the system picks from by itself. The UDP port of the same
/// number keeps the tests of other processes off it while nobody listens. Whether somebody does is found by connecting: a
/// listener of this one's, however short its life, would live on in a process that another thread starts just then, until
/// that runs its own program.
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: UdpSocket,
}

impl Port {
    pub(crate) fn free() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = 12_000 + ((u64::from(std::process::id()) * 61 + step) % 20_000) as u16;
            let Ok(claim) = UdpSocket::bind(("127.0.0.1", number)) else { continue };
            if TcpStream::connect(("127.0.0.1", number)).is_err() {
                return Self { number, _claim: claim };
            }
        }
    }
}
