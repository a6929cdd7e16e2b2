//! Ports for tests that connect before they bind, or bind again. The conformance tests include this file.

use std::{
    net::{TcpStream, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A port that nobody listens at, from below the range that the system picks from by itself. The UDP port of the same
/// number, held until this process ends, keeps the tests of other processes off it while nobody listens. Whether somebody
/// does is found by connecting: a listener of this one's, however short its life, would live on in a process that another
/// thread starts just then, until that runs its own program.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + ((u64::from(std::process::id()) * 61 + step) % 20_000) as u16;
        let Ok(claim) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            HELD.lock().unwrap().push(claim);
            return port;
        }
    }
}
