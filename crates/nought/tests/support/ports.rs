//! Ports for tests that connect before they bind, or bind again. The conformance tests include this file.

use std::{
    net::{TcpListener, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A port that nobody listens at, from below the range that the system picks from by itself. The UDP port of the same
/// number, held until this process ends, keeps the tests of other processes off it while nobody listens.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + ((u64::from(std::process::id()) * 61 + step) % 20_000) as u16;
        let Ok(claim) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().unwrap().push(claim);
            return port;
        }
    }
}
