//! A socket as a stream of messages, and as a sink for them.

mod support;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context as TaskContext, Poll, Waker},
    thread,
    time::Duration,
};

use futures_core::Stream;
use futures_sink::Sink;
use nought::{Context, Message, Pull, Push, Req, SendError, SendErrorKind};
use support::{Transport, connected, executor::block_on, number, recv, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

async fn feed<S: Sink<Message, Error = SendError> + Unpin>(
    sink: &mut S,
    message: impl Into<Message>,
) -> Result<(), SendError> {
    poll_fn(|context| Pin::new(&mut *sink).poll_ready(context)).await?;
    Pin::new(sink).start_send(message.into())
}

async fn flush<S: Sink<Message, Error = SendError> + Unpin>(sink: &mut S) -> Result<(), SendError> {
    poll_fn(|context| Pin::new(&mut *sink).poll_flush(context)).await
}

#[test]
fn what_goes_into_a_sink_comes_out_of_a_stream() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        thread::scope(|scope| {
            scope.spawn(|| {
                block_on(async {
                    let mut sink = push.sink();
                    for number in 0..20_000_u64 {
                        feed(&mut sink, number.to_be_bytes().to_vec()).await.unwrap();
                    }
                    poll_fn(|context| Pin::new(&mut sink).poll_close(context)).await.unwrap();
                });
            });
            block_on(async {
                let mut messages = pull.messages();
                for expected in 0..20_000 {
                    assert_eq!(number(&next(&mut messages).await.unwrap().unwrap()), expected, "{transport}");
                }
            });
        });
    }
}

#[test]
fn a_stream_that_is_dropped_takes_nothing_along() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (pull, push) = connected::<Pull, Push>(&context, Transport::Tcp);
    let mut task = TaskContext::from_waker(Waker::noop());
    for round in 0..100_u64 {
        {
            let mut messages = pin!(pull.messages());
            assert!(messages.as_mut().poll_next(&mut task).is_pending());
        }
        push.send(&round.to_be_bytes()).unwrap();
        assert_eq!(number(&recv(&pull)), round);
    }
}

#[test]
fn a_stream_ends_at_the_end_and_after_an_error() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket::<Pull>().unwrap();
    let req = context.socket::<Req>().unwrap();
    block_on(async {
        let mut replies = req.messages();
        assert!(next(&mut replies).await.unwrap().is_err(), "out of turn");
        assert!(next(&mut replies).await.is_none());
        let mut messages = pull.messages();
        context.shutdown();
        assert!(next(&mut messages).await.is_none());
        assert!(next(&mut messages).await.is_none());
    });
}

#[test]
fn a_sink_holds_one_message_while_there_is_no_room() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    let endpoint = push.bind(&Transport::Inproc.endpoint()).unwrap();
    let mut sink = push.sink();
    let mut task = TaskContext::from_waker(Waker::noop());
    assert!(Pin::new(&mut sink).poll_ready(&mut task).is_ready());
    Pin::new(&mut sink).start_send("held".into()).unwrap();
    assert!(matches!(Pin::new(&mut sink).poll_flush(&mut task), Poll::Pending));
    assert!(matches!(Pin::new(&mut sink).poll_ready(&mut task), Poll::Pending), "it holds one already");
    let pull = context.socket::<Pull>().unwrap();
    pull.connect(&endpoint).unwrap();
    block_on(flush(&mut sink)).unwrap();
    assert_eq!(recv(&pull), "held");
}

#[test]
fn a_sink_gives_back_what_it_cannot_send() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context.socket::<Push>().unwrap();
    let mut sink = push.sink();
    block_on(feed(&mut sink, "unsent")).unwrap();
    context.shutdown();
    let error = block_on(flush(&mut sink)).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Terminated);
    assert_eq!(error.into_message(), "unsent");
}
