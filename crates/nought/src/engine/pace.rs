//! Keeping pace: a sender that may wait does not run far ahead of its peers.
//!
//! Up to a high-water mark of a thousand large messages, all go to memory and come back from there, and their sender
//! sleeps at the mark, to be woken for each few of them. So who has sent one behind as many as [`LEAD_LEN_MAX`] bytes,
//! and may wait, waits until less is queued for some peer of those in turn; by then what was queued is still in the
//! processor's cache. This is no limit: the message has been taken, nobody else waits, and the wait is short. If the peers
//! take nothing meanwhile, the sender goes on, up to its high-water mark, and does not wait again before they take
//! something.

use std::time::{Duration, Instant};

use nought_proto::{Outgoing, limits::LEAD_LEN_MAX};

use super::{
    Core, Guard, State,
    wait::{Ended, Patience},
    waiters::Interest,
};

/// How long peers that take nothing are waited for: several times as long as those that read take to make room for a
/// transport to tell of.
const STANDSTILL: Duration = Duration::from_millis(1);

/// How long a send waits at most: long enough for a peer's process to get its turn from the kernel, and short enough for a
/// thread that feeds many sockets over slow networks.
const PACING_MAX: Duration = Duration::from_millis(10);

/// What a socket knows of its peers' pace.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// What the peers had taken in all when a sender last waited in vain.
    stood_still_at: Option<u64>,
}

impl Core {
    /// Waits, no longer than `patience`, until the sender of a message that has been taken is not far ahead of its peers.
    ///
    /// Whoever would have to follow another thread goes on: that one writes, and tells of room, but not of pace.
    pub(crate) fn keep_pace<'a>(&'a self, mut state: Guard<'a>, patience: Patience) -> Guard<'a> {
        let mut now = Instant::now();
        let patience = patience.at_most(now + PACING_MAX);
        let mut is_worth_it = !state.stands_still();
        while is_worth_it && !patience.is_over(now) && !state.waiters.has_leader() {
            let before = state.machine.written_len();
            let is_level;
            (state, is_level) = self.wait_until_level(state, patience.at_most(now + STANDSTILL));
            self.leave_output(&mut state);
            let written = state.machine.written_len();
            state.pace.stood_still_at = (written == before).then_some(written);
            is_worth_it = is_level == Ok(false) && written > before;
            now = Instant::now();
        }
        state
    }

    /// Waits, no longer than `patience`, until the sender is not far ahead, and says whether it has come to that.
    ///
    /// The end of patience is no failure: the message is taken, and those who wait in an event loop are told as before.
    fn wait_until_level<'a>(&'a self, state: Guard<'a>, patience: Patience) -> (Guard<'a>, Result<bool, Ended>) {
        self.wait_for(state, Interest::Send, patience, |state| {
            let is_level = state.machine.lead().is_none();
            (is_level || patience.is_over(Instant::now())).then_some(is_level)
        })
    }

    /// Gives the socket to the driver, unless others are there: its transport has just taken what it could, and the sender
    /// may stay away.
    fn leave_output(&self, state: &mut State) {
        if state.waiters.inside == 0 && state.waiters.tasks_inside == 0 {
            self.hand_back(state);
        }
    }
}

impl State {
    /// Whether so much was queued before this message already that its sender had better wait. It alone, however large, is
    /// for the transport to write while the sender does something else.
    pub(crate) fn is_ahead_without(&self, message: &Outgoing<'_>) -> bool {
        self.machine.lead().is_some_and(|lead| lead >= LEAD_LEN_MAX + message.body_len())
    }

    /// Whether the peers have taken nothing since they were last waited for in vain.
    fn stands_still(&self) -> bool {
        self.pace.stood_still_at == Some(self.machine.written_len())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use nix::sys::resource::{UsageWho, getrusage};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::{
        Context, Dealer, Socket,
        engine::waiters::{Awaited, Leader},
    };

    static BODY: [u8; 128 * 1024] = [7; 128 * 1024];

    /// A sender to a peer which reads only when the test does.
    struct Chase {
        dealer: Socket<Dealer>,
        peer: UnixStream,
    }

    impl Chase {
        /// One that is far ahead.
        fn new() -> Self {
            let chase = Self::level();
            while chase.core().lock().machine.lead().is_none_or(|lead| lead < 32 * BODY.len()) {
                match chase.dealer.try_send(&BODY) {
                    Ok(()) => {}
                    Err(_) => thread::yield_now(),
                }
            }
            chase
        }

        fn level() -> Self {
            let options = Context::new().socket_builder::<Dealer>().send_hwm(0).linger(Some(Duration::ZERO));
            let dealer = options.build().unwrap();
            let endpoint = dealer.bind("ipc://*").unwrap();
            let mut peer = UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).unwrap();
            peer.write_all(&handshake_of_a_dealer()).unwrap();
            Self { dealer, peer }
        }

        fn core(&self) -> &Arc<Core> {
            self.dealer.core()
        }

        fn written_len(&self) -> u64 {
            self.core().lock().machine.written_len()
        }

        fn stood_still_at(&self) -> Option<u64> {
            self.core().lock().pace.stood_still_at
        }

        /// Reads until the sender's transport has taken more.
        fn let_peer_read(&mut self) {
            let before = self.written_len();
            while self.written_len() == before {
                self.peer.read_exact(&mut [0; 16 * 1024]).unwrap();
            }
        }
    }

    fn handshake_of_a_dealer() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1];
        bytes.extend_from_slice(b"NULL");
        bytes.resize(64, 0);
        let ready = b"\x05READY\x0BSocket-Type\0\0\0\x06DEALER";
        bytes.extend_from_slice(&[4, ready.len() as u8]);
        bytes.extend_from_slice(ready);
        bytes
    }

    fn times_asleep() -> i64 {
        getrusage(UsageWho::RUSAGE_THREAD).unwrap().voluntary_context_switches()
    }

    #[test]
    fn peers_that_take_nothing_are_waited_for_once() {
        let mut chase = Chase::new();
        chase.dealer.send(&BODY).unwrap();
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()));
        let before = times_asleep();
        (0..200).for_each(|_| chase.dealer.send(&BODY).unwrap());
        assert!(times_asleep() - before < 100, "it waits for each message");

        let stood_still_at = chase.stood_still_at();
        chase.let_peer_read();
        chase.dealer.send(&BODY).unwrap();
        assert_ne!(chase.stood_still_at(), stood_still_at, "it has taken something");
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()));
    }

    #[test]
    fn nobody_waits_for_a_message_that_is_alone() {
        let chase = Chase::level();
        chase.dealer.send(vec![7; 8 * 1024 * 1024]).unwrap();
        assert_eq!(chase.stood_still_at(), None);
        chase.dealer.send(&BODY).unwrap();
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()), "that one was behind many");
    }

    #[test]
    fn a_sender_that_cannot_wait_does_not() {
        let chase = Chase::new();
        chase.dealer.try_send(&BODY).unwrap();
        chase.dealer.send_timeout(&BODY, Duration::ZERO).unwrap();
        assert_eq!(chase.stood_still_at(), None);
        chase.dealer.set_send_timeout(Some(Duration::ZERO));
        chase.dealer.send(&BODY).unwrap();
        chase.dealer.send_batch([&BODY[..], &BODY[..]]).unwrap();
        assert_eq!(chase.stood_still_at(), None);
        chase.dealer.set_send_timeout(None);
        chase.dealer.send_batch([&BODY[..], &BODY[..]]).unwrap();
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()), "that one could");
    }

    #[test]
    fn who_would_have_to_follow_goes_on() {
        let chase = Chase::new();
        chase.core().lock().waiters.leader = Some(Leader { awaited: Awaited::Message, asleep: false });
        chase.dealer.send(&BODY).unwrap();
        assert_eq!(chase.stood_still_at(), None);
    }

    #[test]
    fn the_driver_watches_what_is_left() {
        let chase = Chase::new();
        chase.dealer.send(&BODY).unwrap();
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()), "it has waited");
        assert!(!chase.core().lock().waiters.claimed);
    }

    #[test]
    fn what_a_task_has_claimed_stays_the_tasks() {
        let chase = Chase::new();
        chase.core().enter_task(&mut chase.core().lock());
        chase.dealer.send(&BODY).unwrap();
        let mut state = chase.core().lock();
        assert_eq!(state.pace.stood_still_at, Some(state.machine.written_len()), "it has waited");
        assert!(state.waiters.claimed);
        state.waiters.tasks_inside = 0;
    }

    #[test]
    fn an_event_loop_hears_of_what_comes_during_the_wait() {
        let mut chase = Chase::new();
        let descriptor = chase.dealer.descriptor().unwrap();
        let is_readable = |timeout_s| {
            let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
            poll(&mut watched, Some(&Timespec { tv_sec: timeout_s, tv_nsec: 0 })).unwrap() > 0
        };
        chase.dealer.readiness();
        assert!(!is_readable(0));
        chase.peer.write_all(&[0, 1, b'x']).unwrap();
        chase.dealer.send(&BODY).unwrap();
        assert_eq!(chase.stood_still_at(), Some(chase.written_len()), "it has waited");
        assert!(is_readable(10));
    }

    /// Reads while `send` lasts, `len_max` bytes at most, and not faster than some for each wait of the sender; says how many
    /// it were.
    fn read_during(chase: &Chase, len_max: usize, send: impl FnOnce() + Send) -> usize {
        let is_sent = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                send();
                is_sent.store(true, Ordering::Relaxed);
            });
            let mut len = 0;
            while len < len_max && !is_sent.load(Ordering::Relaxed) {
                len += (&chase.peer).read(&mut [0; 64 * 1024]).unwrap();
                // Else the driver and this thread take all there is before the sender's thread gets a processor to say that
                // it has sent.
                thread::sleep(STANDSTILL / 10);
            }
            let _ = chase.peer.shutdown(std::net::Shutdown::Both);
            len
        })
    }

    #[test]
    fn nobody_waits_long_for_peers_that_take_some() {
        let chase = Chase::new();
        let len = 128 * 1024 * 1024;
        chase.dealer.try_send(vec![7; len]).unwrap();
        let send = || chase.dealer.send(&BODY).unwrap();
        assert!(read_during(&chase, len, send) < len, "it waited until it had caught up");
    }
}
