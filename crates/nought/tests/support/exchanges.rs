//! What goes over each transport alike.

use std::{thread, time::Duration};

use nought::{Dealer, Pull, Push, Socket, Sub, XPub};

use super::{body, number, recv};

/// Bodies of these lengths arrive, alone and around an empty one.
#[track_caller]
pub fn bodies_arrive(from: &Socket<Dealer>, to: &Socket<Dealer>, lens: &[usize]) {
    thread::scope(|scope| {
        scope.spawn(|| {
            for &len in lens {
                from.send(body(7, len)).unwrap();
                from.send([body(1, len), body(2, 0), body(3, len)]).unwrap();
            }
        });
        for &len in lens {
            assert_eq!(recv(to), body(7, len), "{len}");
            let message = recv(to);
            let frames: Vec<&[u8]> = message.frames().map(|frame| &frame[..]).collect();
            assert_eq!(frames, [&body(1, len)[..], b"", &body(3, len)], "{len}");
        }
    });
}

/// A stream keeps its order though its reader pauses, so that the sender's queue and the kernel's buffers fill. Bodies are
/// shorter than `len_end`.
#[track_caller]
pub fn a_slow_reader_gets_all_in_order(push: &Socket<Push>, pull: &Socket<Pull>, messages: u64, len_end: usize) {
    thread::scope(|scope| {
        scope.spawn(|| (0..messages).for_each(|n| push.send(body(n, 8 + n as usize % (len_end - 8))).unwrap()));
        for expected in 0..messages {
            assert_eq!(number(&recv(pull)), expected);
            if expected % (messages / 5) == 0 {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
}

/// A publisher hears of a subscription and of its end, and sends only what is subscribed to.
#[track_caller]
pub fn a_subscription_passes_and_ends(publisher: &Socket<XPub>, sub: &Socket<Sub>) {
    sub.subscribe("a").unwrap();
    assert_eq!(recv(publisher), "\x01a");
    publisher.send("b").unwrap();
    publisher.send("ab").unwrap();
    assert_eq!(recv(sub), "ab");
    sub.unsubscribe("a").unwrap();
    assert_eq!(recv(publisher), "\x00a");
}
