//! Many messages in one call, and one message used again.

mod support;

use std::{sync::mpsc, thread, time::Duration};

use nought::{Context, Dealer, Message, Pair, Pull, Push, RecvError, Req, Router, SendErrorKind};
use support::{PATIENCE, Transport, connect, connected, number, recv, until, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_batch_arrives_in_order() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        thread::scope(|scope| {
            // Far more than there is room for.
            let sending = scope.spawn(|| push.send_batch((0..100_000_u64).map(|number| number.to_be_bytes().to_vec())));
            let mut messages = Vec::new();
            let mut received = 0;
            while received < 100_000 {
                let count = pull.recv_batch(&mut messages, 777).unwrap();
                assert!((1..=777).contains(&count));
                assert_eq!(messages.len(), count);
                for message in messages.drain(..) {
                    assert_eq!(number(&message), received, "{transport}");
                    received += 1;
                }
            }
            assert_eq!(sending.join().unwrap().unwrap(), 100_000);
        });
    }
}

#[test]
fn a_batch_is_put_behind_what_is_there_and_is_no_larger_than_asked() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        assert_eq!(push.send_batch(["1", "2", "3", "4"]).unwrap(), 4);
        until("all have come", || pull.peers()[0].recv_queue_len == 4 || transport == Transport::Inproc);
        let mut messages = vec![Message::from("before")];
        assert_eq!(pull.recv_batch(&mut messages, 0).unwrap(), 0);
        assert_eq!(pull.recv_batch(&mut messages, 3).unwrap(), 3);
        assert_eq!(messages, ["before", "1", "2", "3"]);
        assert_eq!(pull.recv_batch(&mut messages, 3).unwrap(), 1);
        assert_eq!(messages[4], "4");
    }
}

#[test]
fn a_batch_waits_for_its_first_message_only() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let pull = context.socket_builder::<Pull>().recv_timeout(Some(Duration::from_millis(20))).build().unwrap();
    let push = context.socket::<Push>().unwrap();
    connect(&pull, &push, Transport::Tcp);
    let mut messages = Vec::new();
    assert_eq!(pull.recv_batch(&mut messages, 10), Err(RecvError::TimedOut));
    pull.set_recv_timeout(Some(PATIENCE));
    thread::scope(|scope| {
        let receiving = scope.spawn(|| pull.recv_batch(&mut messages, 10));
        push.send("x").unwrap();
        assert_eq!(receiving.join().unwrap().unwrap(), 1);
    });
    let req = context.socket::<Req>().unwrap();
    assert_eq!(req.recv_batch(&mut messages, 10), Err(RecvError::OutOfTurn));
}

/// A channel's iterator waits for its next item: each message goes out before.
#[test]
fn an_iterator_may_wait_and_holds_up_nobody() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        let (items, channel) = mpsc::channel::<Vec<u8>>();
        thread::scope(|scope| {
            let sending = scope.spawn(|| push.send_batch(channel));
            for index in 0..10_u64 {
                items.send(index.to_be_bytes().to_vec()).unwrap();
                assert_eq!(number(&recv(&pull)), index, "{transport}");
                // The iterator waits just now, and the socket is free.
                push.stats();
                push.send("in between").unwrap();
                assert_eq!(recv(&pull), "in between");
            }
            drop(items);
            assert_eq!(sending.join().unwrap().unwrap(), 10);
        });
    }
}

#[test]
fn an_iterator_may_use_the_same_socket() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let (near, far) = connected::<Pair, Pair>(&context, Transport::Tcp);
    far.send_batch(["1", "2", "3"]).unwrap();
    // Echoes what it receives.
    assert_eq!(near.send_batch((0..3).map(|_| recv(&near))).unwrap(), 3);
    for expected in ["1", "2", "3"] {
        assert_eq!(recv(&far), expected);
    }
}

#[test]
fn what_is_not_sent_comes_back() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let push = context
        .socket_builder::<Push>()
        .send_hwm(10)
        .send_timeout(Some(Duration::from_millis(20)))
        .linger(Some(Duration::ZERO))
        .build()
        .unwrap();
    push.connect(&Transport::Tcp.future_endpoint()).unwrap();
    let bodies: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let mut iterator = bodies.iter().map(String::as_str);
    let error = push.send_batch(iterator.by_ref()).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (SendErrorKind::TimedOut, 10));
    let unsent = error.into_unsent();
    // Nothing is lost and nothing is there twice: sent, in the error, in the iterator.
    let mut number = 10;
    for message in unsent {
        assert_eq!(message, number.to_string().as_bytes());
        number += 1;
    }
    assert_eq!(iterator.next(), Some(number.to_string().as_str()));
}

#[test]
fn a_batch_ends_at_a_message_that_is_refused() {
    let _bounded = watchdog(LIMIT);
    let context = Context::new();
    let router = context.socket_builder::<Router>().router_mandatory(true).build().unwrap();
    let dealer = context.socket_builder::<Dealer>().routing_id("anna").build().unwrap();
    connect(&router, &dealer, Transport::Inproc);
    let batch = [["anna", "1"], ["anna", "2"], ["nobody", "3"], ["anna", "4"]];
    let error = router.send_batch(batch).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (SendErrorKind::Unroutable, 2));
    assert_eq!(error.to_string(), "no peer has the routing id that the message is for; 2 messages were sent before");
    assert_eq!(error.into_unsent(), [Message::from(["nobody", "3"]), Message::from(["anna", "4"])]);
    assert_eq!(recv(&dealer), "1");
    assert_eq!(recv(&dealer), "2");
    context.shutdown();
    assert_eq!(router.send_batch([["anna", "5"]]).unwrap_err().kind(), SendErrorKind::Terminated);
}

#[test]
fn one_message_is_used_again() {
    let _bounded = watchdog(LIMIT);
    for transport in Transport::ALL {
        let context = Context::new();
        let (pull, push) = connected::<Pull, Push>(&context, transport);
        pull.set_recv_timeout(Some(PATIENCE));
        push.send(["several", "frames"]).unwrap();
        push.send("one").unwrap();
        push.send("").unwrap();
        push.send(vec![7; 100_000]).unwrap();
        let mut message = Message::from(["what", "was", "there", "before"]);
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, Message::from(["several", "frames"]));
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, "one");
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, "");
        pull.recv_into(&mut message).unwrap();
        assert_eq!(message, vec![7; 100_000]);
        pull.set_recv_timeout(Some(Duration::ZERO));
        assert_eq!(pull.recv_into(&mut message), Err(RecvError::TimedOut));
    }
}
