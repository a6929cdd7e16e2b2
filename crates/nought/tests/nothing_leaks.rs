//! Nothing is left behind: threads, descriptors and files are counted before and after many rounds of everything.

mod support;

use std::{fs, path::PathBuf, sync::LazyLock, time::Duration};

use nought::{Context, Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, SendErrorKind, Stream, Sub, XPub, XSub};
use support::{
    Transport, connect, proc,
    process::{self, Role},
    raw,
    raw::RawPeer,
    recv, scratch_path, until, watchdog,
};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn role() {
    process::play(&[("rounds", rounds)]);
}

/// A process of its own, because the counts are the process's.
#[test]
fn after_many_rounds_of_everything() {
    let _bounded = watchdog(LIMIT);
    let files = scratch_path("d");
    fs::create_dir(&files).unwrap();
    let role = Role::start("rounds", &[files.to_str().unwrap()]);
    loop {
        match role.heard().as_str() {
            "end" => break,
            line => println!("{line}"),
        }
    }
    role.finish();
    assert_eq!(fs::read_dir(&files).unwrap().count(), 0, "files are left");
    fs::remove_dir(files).unwrap();
}

fn rounds(arguments: &[String]) {
    let files = PathBuf::from(&arguments[0]);
    // Whatever is made once and kept (the system's name service, for one) is made in the first rounds.
    for index in 0..5 {
        round(&files, index);
    }
    let before = counts();
    let memory_before = proc::resident_kib();
    for index in 0..60 {
        round(&files, index);
        process::tell(format!("round {index}"));
    }
    until("threads and descriptors are as before", || counts() == before);
    let grown = proc::resident_kib().saturating_sub(memory_before);
    process::tell(format!("{before:?}; memory grew by {grown} KiB"));
    // What an allocator keeps varies; what leaks per round would show.
    assert!(grown < 60 * 1024, "memory grew by {grown} KiB in 60 rounds");
    process::tell("end");
}

fn counts() -> (Vec<String>, std::collections::BTreeMap<String, usize>) {
    (proc::threads(), proc::descriptors())
}

fn round(files: &std::path::Path, index: usize) {
    let context = Context::new();
    talk(&context);
    endpoints_that_come_and_go(&context, files);
    peers_that_misbehave(&context);
    endpoints_where_nobody_is(&context, index);
    drop(context);
    two_threads();
}

fn talk(context: &Context) {
    for transport in Transport::ALL {
        let (push, pull) = (context.socket::<Push>().unwrap(), context.socket::<Pull>().unwrap());
        connect(&push, &pull, transport);
        push.send(vec![1; 300_000]).unwrap();
        push.send("small").unwrap();
        assert_eq!((recv(&pull).body_len(), recv(&pull).body_len()), (300_000, 5));
        let (reply, request) = (context.socket::<Rep>().unwrap(), context.socket::<Req>().unwrap());
        connect(&reply, &request, transport);
        request.send("question").unwrap();
        reply.recv_timeout(support::PATIENCE).unwrap();
        reply.send("answer").unwrap();
        assert_eq!(recv(&request), "answer");
        let (router, dealer) = (context.socket::<Router>().unwrap(), context.socket::<Dealer>().unwrap());
        connect(&router, &dealer, transport);
        dealer.send("to be left unread").unwrap();
        let (publisher, subscriber) = (context.socket::<XPub>().unwrap(), context.socket::<XSub>().unwrap());
        connect(&publisher, &subscriber, transport);
        subscriber.subscribe("").unwrap();
        assert_eq!(recv(&publisher), "\x01");
        publisher.send("news").unwrap();
        assert_eq!(recv(&subscriber), "news");
    }
}

fn endpoints_that_come_and_go(context: &Context, files: &std::path::Path) {
    let pair = context.socket::<Pair>().unwrap();
    let path = format!("ipc://{}", files.join("endpoint").display());
    let abstract_name = format!("ipc://@{}", files.display());
    for _ in 0..3 {
        for endpoint in [&path, "tcp://127.0.0.1:*", "ipc://*", "inproc://leak", &abstract_name] {
            let bound = pair.bind(endpoint).unwrap();
            pair.unbind(&bound).unwrap();
        }
    }
    pair.bind(&path).unwrap();
    let monitor = pair.monitor();
    drop(pair);
    while monitor.recv_timeout(Duration::from_secs(5)).is_ok() {}
}

fn peers_that_misbehave(context: &Context) {
    let router = context.socket::<Router>().unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    for bytes in [&b""[..], b"\xFF", b"GET / HTTP/1.0\r\n\r\n", &raw::greeting(), &raw::handshake("SUB")] {
        let mut peer = RawPeer::connect(&endpoint);
        peer.send(bytes);
    }
    // This one is in the middle of a large message when it goes.
    let mut peer = RawPeer::connect(&endpoint).shake_hands("DEALER");
    peer.send(b"\x02\0\0\0\0\x01\0\0\0some of it");
    let stream = context.socket::<Stream>().unwrap();
    let endpoint = stream.bind("tcp://127.0.0.1:*").unwrap();
    let mut peer = RawPeer::connect(&endpoint);
    peer.send(b"raw bytes");
    let hello = recv(&stream);
    assert_eq!((hello.len(), hello[1].len()), (2, 0));
    stream.send([&hello[0][..], b"an answer"]).unwrap();
    assert_eq!(peer.recv(9), b"an answer");
}

fn endpoints_where_nobody_is(context: &Context, index: usize) {
    let push = context.socket_builder::<Push>().linger(Some(Duration::ZERO)).build().unwrap();
    // One for all rounds: the tests hold each port that they were given.
    static NOBODY: LazyLock<String> = LazyLock::new(|| Transport::Tcp.future_endpoint());
    push.connect(&NOBODY).unwrap();
    push.connect(&Transport::Ipc.future_endpoint()).unwrap();
    push.connect(&Transport::Inproc.future_endpoint()).unwrap();
    if index.is_multiple_of(8) {
        push.connect("tcp://nowhere.invalid:5555").unwrap();
    }
    for _ in 0..100 {
        push.try_send("to nobody").unwrap();
    }
    let publisher = context.socket::<Pub>().unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let subscriber = context.socket::<Sub>().unwrap();
    subscriber.connect(&endpoint).unwrap();
    subscriber.disconnect(&endpoint).unwrap();
    assert_eq!(push.try_send(["", ""]).map_err(|error| error.kind()), Ok::<(), SendErrorKind>(()));
}

/// A context of several threads.
fn two_threads() {
    let context = Context::builder().io_threads(3).build().unwrap();
    let (pull, push) = support::connected::<Pull, Push>(&context, Transport::Tcp);
    push.send("x").unwrap();
    recv(&pull);
}
