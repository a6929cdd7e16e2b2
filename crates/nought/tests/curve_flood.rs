//! Strangers by the thousand say HELLO to a server of CURVE and nothing more: each costs it one answer and little memory,
//! and its clients are served meanwhile.

mod support;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use nought::{Context, CurveClient, CurveServer, KeyPair, Pull, Push, new_keys};
use support::{
    PATIENCE, proc,
    process::{self, Role},
    raw::{RawPeer, command},
    text, watchdog,
};

const STRANGERS: usize = 1000;

/// What they and the rest of each process have open.
const DESCRIPTORS: u32 = STRANGERS as u32 + 100;

/// A stranger's place in the server's tables, its handshake, and a buffer that takes one command.
const KIB_PER_STRANGER_MAX: u64 = 16;

#[test]
fn role() {
    process::play(&[("server", server), ("strangers", strangers)]);
}

#[test]
fn strangers_that_say_hello_cost_one_answer_and_little_memory() {
    let _bounded = watchdog(Duration::from_secs(120));
    let mut server = Role::start_limited("server", &[], DESCRIPTORS);
    let (endpoint, key) = (server.heard(), server.heard());
    let mut strangers = Role::start_limited("strangers", &[&endpoint, &key], DESCRIPTORS);
    assert_eq!(strangers.heard(), "ready");
    let before = used(&mut server);
    assert_eq!(answer(&mut strangers, "hello"), "welcomed");
    let after = used(&mut server);
    let (memory, time) = (after.0.saturating_sub(before.0), after.1 - before.1);
    println!("{STRANGERS} HELLOs: {memory} KiB, {time:?} of processor time");
    assert!(memory < KIB_PER_STRANGER_MAX * STRANGERS as u64, "{STRANGERS} strangers take {memory} KiB");

    let push = client(&endpoint, &key);
    push.send("from a client").unwrap();
    assert_eq!(answer(&mut server, "receive"), "from a client");

    // There is no second answer: who wants one has to come again.
    assert_eq!(answer(&mut strangers, "hello again"), "closed");
    drop(push);
    strangers.finish();
    server.finish();
}

fn answer(role: &mut Role, question: &str) -> String {
    role.ask(question);
    role.heard()
}

/// The resident memory in KiB, and the processor time.
fn used(server: &mut Role) -> (u64, Duration) {
    let answer = answer(server, "used");
    let (memory, time) = answer.split_once(' ').unwrap();
    (memory.parse().unwrap(), Duration::from_nanos(time.parse().unwrap()))
}

fn server(_: &[String]) {
    let keys = new_keys();
    let builder = Context::new().socket_builder::<Pull>().recv_timeout(Some(PATIENCE));
    // Whoever waits for the others is not to be cut off meanwhile.
    let builder = builder.handshake_timeout(Some(10 * PATIENCE));
    let pull = builder.security(CurveServer::new(keys.clone())).build().unwrap();
    process::tell(pull.bind("tcp://127.0.0.1:*").unwrap());
    process::tell(keys.public_key());
    while let Some(line) = process::listen() {
        match line.as_str() {
            "used" => process::tell(format!("{} {}", proc::resident_kib(), proc::cpu_time().as_nanos())),
            _ => process::tell(text(&pull.recv().unwrap()).concat()),
        }
    }
}

fn strangers(arguments: &[String]) {
    let [endpoint, key] = arguments else { unreachable!("two arguments") };
    let (greeting, hello) = opening(key);
    process::tell("ready");
    let mut strangers: Vec<RawPeer> = Vec::new();
    while let Some(line) = process::listen() {
        let begin = Instant::now();
        if line == "hello" {
            strangers.extend((0..STRANGERS).map(|_| RawPeer::connect(endpoint)));
            for stranger in &mut strangers {
                stranger.send(&greeting);
                stranger.send(&hello);
            }
            for stranger in &mut strangers {
                stranger.recv(64);
                let (is_command, body) = stranger.recv_frame();
                assert!(is_command && body.starts_with(b"\x07WELCOME"), "{}", body.escape_ascii());
            }
            println!("welcomed in {:?}", begin.elapsed());
            process::tell("welcomed");
        } else {
            strangers.iter_mut().for_each(|stranger| stranger.send(&hello));
            strangers.iter_mut().for_each(RawPeer::await_close);
            process::tell("closed");
        }
    }
}

/// What a client says first to the server with this key, recorded by one who is not that server.
fn opening(key: &str) -> (Vec<u8>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = client(&format!("tcp://{}", listener.local_addr().unwrap()), key);
    let mut recorder = RawPeer::accept(&listener);
    let mut greeting = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01CURVE".to_vec();
    greeting.resize(64, 0);
    greeting[32] = 1;
    recorder.send(&greeting);
    let said = recorder.recv(64);
    let (_, hello) = recorder.recv_frame();
    let data = hello.strip_prefix(b"\x05HELLO").unwrap();
    (said, command("HELLO", data))
}

fn client(endpoint: &str, key: &str) -> nought::Socket<Push> {
    let builder = Context::new().socket_builder::<Push>().linger(Some(Duration::ZERO)).send_timeout(Some(PATIENCE));
    let keys: KeyPair = new_keys();
    let push = builder.security(CurveClient::new(key.parse().unwrap(), keys)).build().unwrap();
    push.connect(endpoint).unwrap();
    push
}
