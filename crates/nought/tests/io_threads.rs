//! A socket is served by the driver threads that were chosen for it.

use std::{
    net::TcpStream,
    pin::pin,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use nought::{Context, Pull, Socket};

/// Tells the name of the thread that wakes it.
struct Tell(Sender<String>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(thread::current().name().unwrap_or_default().to_owned());
    }
}

#[test]
fn a_socket_is_served_by_the_threads_that_were_chosen() {
    let context = Context::builder().io_threads(3).build().unwrap();
    let pull = context.socket::<Pull>().unwrap();
    let address = pull.bind("tcp://127.0.0.1:*").unwrap();
    let address = address.strip_prefix("tcp://").unwrap();
    // They stay: the end of one would be an event, too.
    let mut peers = Vec::new();
    let mut before = None;
    for thread in [2, 0, 1, 2] {
        pull.set_io_threads(1 << thread | 1 << 40).unwrap();
        let chosen = format!("nought-driver-{thread}");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let by = accepted_by(&pull, address, &mut peers);
            if by == chosen {
                break;
            }
            // The thread before accepts until nobody is left: it may still be at it when the next one comes.
            assert_eq!(Some(by), before);
            assert!(Instant::now() < deadline, "{before:?} went on, and not {chosen}");
        }
        before = Some(chosen);
    }
}

/// Connects one more, and says which thread accepted it: that which wakes who waits for the event.
fn accepted_by(pull: &Socket<Pull>, address: &str, peers: &mut Vec<TcpStream>) -> String {
    let monitor = pull.monitor();
    let (told, woken_by) = mpsc::channel();
    let waker = Waker::from(Arc::new(Tell(told)));
    let mut event = pin!(monitor.recv_async());
    assert!(matches!(event.as_mut().poll(&mut TaskContext::from_waker(&waker)), Poll::Pending));
    // Nobody is in a call with the socket: it is the driver that accepts.
    peers.push(TcpStream::connect(address).unwrap());
    woken_by.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn threads_that_are_not_there_are_refused() {
    let context = Context::builder().io_threads(2).build().unwrap();
    let pull = context.socket::<Pull>().unwrap();
    for threads in [0, 1 << 2, 1 << 63] {
        assert_eq!(pull.set_io_threads(threads).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
    assert!(pull.set_io_threads(u64::MAX).is_ok());
}
