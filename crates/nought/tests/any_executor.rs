//! Sockets in asynchronous code on an executor that knows nothing of them: with the feature `tokio` and without, the
//! driver watches the socket and wakes the task.

mod support;

use std::{thread, time::Duration};

use nought::{Context, Pull, Push, Rep, Req};
use support::{
    Transport, connected,
    executor::{block_on, block_on_for},
    number, watchdog,
};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn requests_are_answered() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (rep, req) = connected::<Rep, Req>(&context, transport);
        thread::scope(|scope| {
            scope.spawn(|| {
                block_on(async {
                    for _ in 0..300 {
                        let request = rep.recv_async().await.unwrap();
                        rep.send_async(request).await.unwrap();
                    }
                });
            });
            block_on(async {
                for number in 0..300_u32 {
                    if number % 100 == 99 {
                        // Longer than a poll before sleeping.
                        thread::sleep(Duration::from_millis(20));
                    }
                    req.send_async(&number.to_be_bytes()).await.unwrap();
                    assert_eq!(req.recv_async().await.unwrap(), number.to_be_bytes(), "{transport}");
                }
            });
        });
    }
}

#[test]
fn a_stream_waits_for_room_and_for_messages() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        thread::scope(|scope| {
            scope.spawn(|| {
                block_on(async {
                    for number in 0..50_000_u64 {
                        push.send_async(&number.to_be_bytes()).await.unwrap();
                    }
                });
            });
            block_on(async {
                for expected in 0..50_000 {
                    assert_eq!(number(&pull.recv_async().await.unwrap()), expected, "{transport}");
                }
            });
        });
    }
}

#[test]
fn a_future_that_is_dropped_takes_nothing() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        for number in 0..100_u32 {
            let patience = Duration::from_micros(u64::from(number) * 5);
            assert!(block_on_for(pull.recv_async(), patience).is_none());
            push.send(&number.to_be_bytes()).unwrap();
            assert_eq!(block_on(pull.recv_async()).unwrap(), number.to_be_bytes(), "{transport}");
        }
    }
}
