//! `nought cat` with itself at the other end.

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::Duration,
};

use common::{Folder, Running, run, start};
use rustix::process::Signal;

const ANY_PORT: &str = "tcp://127.0.0.1:*";

/// Starts a command that binds any port; also says which that is.
fn bound(args: &[&str]) -> (Running, String) {
    let mut running = start(&[&["cat"], args, &["--bind", ANY_PORT]].concat());
    let endpoint = running.endpoint();
    (running, endpoint)
}

#[test]
fn lines_go_from_push_to_pull() {
    let (pull, endpoint) = bound(&["pull", "--count", "3"]);
    let mut push = start(&["cat", "push", "--connect", &endpoint]);
    push.input("one\n\nthree\tand four");
    push.end_of_input().wait().ok().prints("");
    pull.wait().ok().prints("one\n\nthree\tand four\n");
}

#[test]
fn many_lines_arrive_before_the_sender_ends() {
    let (pull, endpoint) = bound(&["pull", "--count", "100000"]);
    let lines: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
    let mut push = start(&["cat", "push", "--connect", &endpoint]);
    push.input(&lines);
    push.end_of_input().wait().ok();
    pull.wait().ok().prints(&lines);
}

#[test]
fn arguments_are_repeated_up_to_the_count() {
    let (pull, endpoint) = bound(&["pull", "--count", "3"]);
    run(&["cat", "push", "-c", &endpoint, "-n", "3", "a", "b"]).ok();
    pull.wait().ok().prints("a\nb\na\n");
}

#[test]
fn frames_are_split_and_joined_at_the_delimiter() {
    let (pull, endpoint) = bound(&["pull", "-n", "1", "-d", "|"]);
    run(&["cat", "push", "-c", &endpoint, "-d", ", ", "a, b, , c"]).ok();
    pull.wait().ok().prints("a|b||c\n");
}

#[test]
fn json_and_hex_carry_any_bytes() {
    let (pull, endpoint) = bound(&["pull", "-n", "3", "--json"]);
    let mut push = start(&["cat", "push", "-c", &endpoint, "--json"]);
    push.input("[\"a\\nb\", {\"hex\": \"00ff\"}]\n\"single\"\n[\"\"]\n");
    push.end_of_input().wait().ok();
    pull.wait().ok().prints("[\"a\\nb\",{\"hex\":\"00ff\"}]\n[\"single\"]\n[\"\"]\n");

    let (pull, endpoint) = bound(&["pull", "-n", "1", "--hex"]);
    run(&["cat", "push", "-c", &endpoint, "--hex", "00FF\t\t61 62"]).ok();
    pull.wait().ok().prints("00ff\t\t6162\n");
}

#[test]
fn a_file_is_one_message() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8 & 0x7f).collect();
    fs::write(folder.file("in"), &bytes).unwrap();
    let (pull, endpoint) = bound(&["pull", "-n", "2", "-o", "raw"]);
    run(&["cat", "push", "-c", &endpoint, "-i", "file", &folder.file("in")]).ok();
    let mut push = start(&["cat", "push", "-c", &endpoint, "-i", "file"]);
    push.input(&bytes);
    push.end_of_input().wait().ok();
    pull.wait().ok().prints(&String::from_utf8(bytes.repeat(2)).unwrap());
}

#[test]
fn requests_are_answered() {
    let (rep, endpoint) = bound(&["rep", "--echo", "-n", "2"]);
    run(&["cat", "req", "-c", &endpoint, "hello", "again"]).ok().prints("hello\nagain\n");
    rep.wait().ok().prints("hello\nagain\n");

    let (rep, endpoint) = bound(&["rep", "--reply", "pong", "-n", "3"]);
    run(&["cat", "req", "-c", &endpoint, "-n", "3", "ping"]).ok().prints("pong\npong\npong\n");
    rep.wait().ok().prints("ping\nping\nping\n");

    let (rep, endpoint) = bound(&["rep", "one", "two"]);
    run(&["cat", "req", "-c", &endpoint, "a", "b"]).ok().prints("one\ntwo\n");
    rep.wait().ok().prints("a\nb\n");
}

#[test]
fn replies_may_be_typed_once_the_request_is_seen() {
    let (mut rep, endpoint) = bound(&["rep", "-n", "1"]);
    let req = start(&["cat", "req", "-c", &endpoint, "who?"]);
    assert_eq!(rep.line(), "who?");
    rep.input("me\n");
    req.wait().ok().prints("me\n");
    rep.wait().ok();
}

#[test]
fn a_publisher_waits_for_its_subscriber() {
    let (publisher, endpoint) = bound(&["pub", "tick 1", "tock 1", "tick 2"]);
    run(&["cat", "sub", "-c", &endpoint, "-s", "tick", "-n", "2"]).ok().prints("tick 1\ntick 2\n");
    publisher.wait().ok();
}

#[test]
fn an_interval_repeats_the_message() {
    let (publisher, endpoint) = bound(&["pub", "--interval", "5ms", "tick"]);
    run(&["cat", "sub", "-c", &endpoint, "-n", "3"]).ok().prints("tick\ntick\ntick\n");
    publisher.signal(Signal::INT);
    publisher.wait().with_code(130);
}

#[test]
fn a_router_shows_and_takes_routing_ids() {
    let (router, endpoint) = bound(&["router", "-n", "1", "--to", "worker", "-d", ",", "task,1"]);
    run(&["cat", "dealer", "-c", &endpoint, "--id", "worker", "-n", "1", "hello"]).ok().prints("task\t1\n");
    router.wait().ok().prints("worker,hello\n");

    let (router, endpoint) = bound(&["router", "-n", "1", "0x77\ttask"]);
    run(&["cat", "dealer", "-c", &endpoint, "--id", "0x77", "-n", "1", "hello"]).ok().prints("task\n");
    router.wait().ok().prints("w\thello\n");

    let (router, endpoint) = bound(&["router", "-n", "1"]);
    run(&["cat", "dealer", "-c", &endpoint, "-n", "0", "hello"]).ok().prints("");
    let shown = router.wait().ok().output;
    assert!(shown.starts_with("0x00") && shown.ends_with("\thello\n"), "{shown}");
}

#[test]
fn pairs_talk_both_ways() {
    let (mut one, endpoint) = bound(&["pair", "-n", "1"]);
    let mut other = start(&["cat", "pair", "-c", &endpoint, "-n", "1"]);
    one.input("from one\n");
    assert_eq!(other.line(), "from one");
    other.wait().ok();
    let other = start(&["cat", "pair", "-c", &endpoint, "-n", "0", "from the other"]);
    other.wait().ok();
    one.wait().ok().prints("from the other\n");
}

#[test]
fn an_xpub_sees_subscriptions() {
    let (xpub, endpoint) = bound(&["xpub", "-n", "1", "--out", "hex", "news"]);
    run(&["cat", "xsub", "-c", &endpoint, "-s", "ne", "-n", "1"]).ok().prints("news\n");
    xpub.wait().ok().prints("016e65\n");
}

#[test]
fn a_stream_socket_talks_to_foreign_programs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let mut cat = start(&["cat", "stream", "-c", &endpoint, "-i", "file", "-o", "raw"]);
    cat.input("hello");
    let cat = cat.end_of_input();
    let (mut foreign, _) = listener.accept().unwrap();
    let mut heard = [0; 5];
    foreign.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    foreign.write_all(b"good bye").unwrap();
    drop(foreign);
    cat.wait().ok().prints("good bye");
}

#[test]
fn time_outs_have_their_exit_code() {
    // At an address that no other test binds: its port stays free when nobody listens any more.
    let nobody = TcpListener::bind("127.0.0.2:0").unwrap();
    let silent = format!("tcp://{}", nobody.local_addr().unwrap());
    run(&["cat", "pull", "-b", ANY_PORT, "-t", "20ms"]).with_code(3).tells("no message came within 20.0 ms");
    run(&["cat", "push", "-c", &silent, "-t", "20ms", "x"]).with_code(3).tells("no peer took the message");
    run(&["cat", "req", "-c", &silent, "-t", "20ms", "x"]).with_code(3);
    run(&["cat", "pub", "-b", ANY_PORT, "-t", "20ms", "x"]).with_code(3).tells("0 of 1 peers came");
    run(&["cat", "push", "-b", ANY_PORT, "-t", "20ms", "--wait-for", "2", "x"]).with_code(3);
    run(&["cat", "router", "-b", ANY_PORT, "-t", "20ms", "--to", "w", "x"]).with_code(3);

    drop(nobody);
    let ended = run(&["cat", "push", "-c", &silent, "-t", "1s", "x"]).with_code(3).tells("refused");
    let told = ended.errors.lines().last().unwrap();
    assert_eq!(told.matches(&silent).count(), 1, "{told}");
}

#[test]
fn a_count_that_is_not_reached_is_a_time_out_and_silence_is_an_end() {
    let (pull, endpoint) = bound(&["pull", "-n", "2", "-t", "3s"]);
    run(&["cat", "push", "-c", &endpoint, "x"]).ok();
    pull.wait().with_code(3).prints("x\n").tells("after 1 of 2");

    let (pull, endpoint) = bound(&["pull", "-t", "3s"]);
    run(&["cat", "push", "-c", &endpoint, "x"]).ok();
    pull.wait().ok().prints("x\n");
}

#[test]
fn errors_have_their_exit_code() {
    let (_pull, endpoint) = bound(&["pull"]);
    run(&["cat", "pull", "-b", &endpoint]).with_code(1).tells("somebody listens at");
    let mut push = start(&["cat", "push", "-c", &endpoint, "--json"]);
    push.input("[\"fine\"]\n[1]\n");
    push.end_of_input().wait().with_code(1).tells("line 2: 1 is no frame: write a string");
    run(&["cat", "push", "-c", &endpoint, "-i", "file", "/no/such/file"]).with_code(1).tells("/no/such/file");
}

#[test]
fn one_error_of_the_input_ends_both_directions() {
    let (_one, endpoint) = bound(&["pair"]);
    let mut other = start(&["cat", "pair", "-c", &endpoint, "--hex"]);
    other.input("zz\n");
    other.wait().with_code(1).tells("line 1: \"zz\" has other characters than hex digits");
}

#[test]
fn a_peer_that_does_not_fit_is_told() {
    let (mut pull, endpoint) = bound(&["pull"]);
    run(&["cat", "rep", "-c", &endpoint, "-t", "2s", "--echo"]).with_code(3).tells("cannot talk to");
    pull.error_line("cannot talk to");
}

#[test]
fn verbose_tells_what_happens() {
    let (pull, endpoint) = bound(&["pull", "-n", "1"]);
    let told = run(&["cat", "push", "-c", &endpoint, "-v", "x"]).ok().errors;
    assert!(told.contains("handshake succeeded"), "{told}");
    pull.wait().ok();
}

#[test]
fn whoever_waits_for_a_peer_says_so_once() {
    let (mut push, endpoint) = bound(&["push", "x"]);
    assert_eq!(push.error_line("waiting"), format!("waiting for a peer to connect to {endpoint}"));
    run(&["cat", "pull", "-c", &endpoint, "-n", "1"]).ok().prints("x\n");
    assert_eq!(push.wait().ok().errors.matches("waiting").count(), 1);

    let (mut publisher, endpoint) = bound(&["pub", "x"]);
    assert_eq!(publisher.error_line("waiting"), format!("waiting for a peer to connect to {endpoint}"));

    let (mut router, endpoint) = bound(&["router", "worker\ttask"]);
    assert_eq!(router.error_line("waiting"), format!("waiting for the peer worker to connect to {endpoint}"));
    run(&["cat", "dealer", "-c", &endpoint, "--id", "worker", "-n", "1", "hello"]).ok().prints("task\n");

    let folder = Folder::new();
    let endpoint = folder.ipc("nobody");
    let mut req = start(&["cat", "req", "-c", &endpoint, "x"]);
    let told = req.error_line("waiting");
    assert!(told.starts_with(&format!("waiting for a peer at {endpoint} (")), "{told}");
}

#[test]
fn a_number_that_a_router_gave_to_a_peer_is_not_waited_for() {
    let (router, _) = bound(&["router", "0x0000000001\ttask"]);
    router.wait().with_code(1);
}

#[test]
fn ipv6_listens_to_both() {
    let mut pull = start(&["cat", "pull", "--ipv6", "-b", "tcp://*:*", "-n", "2"]);
    let endpoint = pull.endpoint();
    let port = endpoint.rsplit(':').next().unwrap();
    run(&["cat", "push", "-c", &format!("tcp://[::1]:{port}"), "six"]).ok();
    run(&["cat", "push", "-c", &format!("tcp://127.0.0.1:{port}"), "four"]).ok();
    let output = pull.wait().ok().output;
    assert!(output.contains("six") && output.contains("four"), "{output}");
}

#[test]
fn an_address_in_brackets_switches_ipv6_on() {
    for endpoint in ["tcp://[::1]:*", "ws://[::1]:*"] {
        let mut pull = start(&["cat", "pull", "-b", endpoint, "-n", "1"]);
        let endpoint = pull.endpoint();
        run(&["cat", "push", "-c", &endpoint, "six"]).ok();
        pull.wait().ok().prints("six\n");
    }
}

#[test]
fn each_signal_has_its_exit_code() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (pull, _) = bound(&["pull"]);
        pull.signal(signal);
        pull.wait().with_code(code);
    }
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    let folder = Folder::new();
    let mut pull = start(&["cat", "pull", "-v", "-b", &folder.ipc("socket")]);
    pull.error_line("listening");
    assert_eq!(folder.names(), ["socket"]);
    pull.signal(Signal::INT);
    pull.wait().with_code(130);
    assert!(folder.names().is_empty());
}

#[test]
fn ctrl_c_ends_what_reads_its_input() {
    let folder = Folder::new();
    let pull = start(&["cat", "pull", "-b", &folder.ipc("socket"), "-n", "1"]);
    let mut push = start(&["cat", "push", "-c", &folder.ipc("socket")]);
    push.input("sent\n");
    pull.wait().ok().prints("sent\n");
    push.signal(Signal::INT);
    push.wait().with_code(130);
}

#[test]
fn nobody_who_reads_the_output_is_an_end() {
    let (mut pull, endpoint) = bound(&["pull"]);
    let mut push = start(&["cat", "push", "-c", &endpoint]);
    push.input("first\n");
    assert_eq!(pull.line(), "first");
    pull.close_output();
    // Each finds the pipe closed, or is the line with which the reader notices that it is to close it.
    push.input("second\n".repeat(2));
    while !pull.has_ended() {
        push.input("more\n");
        thread::sleep(Duration::from_millis(2));
    }
    pull.wait().ok();
}

// ---- the newer types

#[test]
fn a_server_answers_each_of_its_clients() {
    let (server, endpoint) = bound(&["server", "--echo", "-n", "2"]);
    run(&["cat", "client", "-c", &endpoint, "-n", "1", "one"]).ok().prints("one\n");
    run(&["cat", "client", "-c", &endpoint, "-n", "1", "two\tparts"]).ok().prints("two\tparts\n");
    let printed = server.wait().ok().output;
    let lines: Vec<(&str, &str)> = printed.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!((lines[0].1, lines[1].1), ("one", "two\tparts"));
    assert!(lines.iter().all(|(number, _)| number.parse::<u32>().is_ok()) && lines[0].0 != lines[1].0, "{printed}");

    let (server, endpoint) = bound(&["server", "first", "second"]);
    run(&["cat", "client", "-c", &endpoint, "-n", "2", "a", "b"]).ok().prints("first\nsecond\n");
    server.wait().ok();

    let (server, endpoint) = bound(&["server", "--reply", "pong", "-n", "1", "-o", "json"]);
    run(&["cat", "client", "-c", &endpoint, "-n", "1", "ping"]).ok().prints("pong\n");
    assert!(server.wait().ok().output.ends_with("\",\"ping\"]\n"));
}

#[test]
fn a_server_answers_by_number_what_it_has_shown() {
    let (mut server, endpoint) = bound(&["server"]);
    let client = start(&["cat", "client", "-c", &endpoint, "-n", "1", "who?"]);
    let request = server.line();
    let (number, _) = request.split_once('\t').unwrap();
    server.input(format!("{number}\tme\tindeed\n"));
    client.wait().ok().prints("me\tindeed\n");
    server.input("hello\n");
    server.wait().with_code(1).tells("line 2: \"hello\" names no peer: write NUMBER, a tab and the message");
}

#[test]
fn a_client_that_left_costs_the_others_nothing() {
    let folder = Folder::new();
    let (slow, ready) = (folder.file("slow"), folder.file("ready"));
    assert!(Command::new("mkfifo").arg(&slow).status().unwrap().success());
    fs::write(&ready, "in time").unwrap();
    let (mut server, endpoint) = bound(&["server", "-v", "-i", "file", &slow, &ready]);
    let leaving = start(&["cat", "client", "-c", &endpoint, "impatient"]);
    assert!(server.line().ends_with("\timpatient"));
    drop(leaving);
    server.error_line("disconnected");
    fs::write(&slow, "too late").unwrap();
    run(&["cat", "client", "-c", &endpoint, "-n", "1", "patient"]).ok().prints("in time\n");
    server.wait().ok().tells("the peer of a request is gone, and gets no reply");
}

#[test]
fn a_dish_prints_what_is_for_its_groups() {
    let (dish, endpoint) = bound(&["dish", "--group", "news", "-n", "2"]);
    run(&["cat", "radio", "-c", &endpoint, "news\tone", "other\ttwo", "news\tthree\tparts"]).ok();
    dish.wait().ok().prints("one\nthree\tparts\n");
}

#[test]
fn datagrams_go_from_radio_to_dish() {
    for host in ["127.0.0.1", "[::1]"] {
        let mut dish = start(&["cat", "dish", "-b", &format!("udp://{host}:*"), "-g", "a", "-g", "b", "-n", "2"]);
        let endpoint = dish.endpoint();
        let radio = start(&["cat", "radio", "-c", &endpoint, "-g", "b", "--interval", "10ms", "hello"]);
        dish.wait().ok().prints("b\thello\nb\thello\n");
        radio.signal(Signal::TERM);
        radio.wait().with_code(143);
    }
    let long = "x".repeat(9000);
    run(&["cat", "radio", "-c", "udp://127.0.0.1:9", "-g", "a", &long]).with_code(1).tells("at most 8192 bytes");
}

#[test]
fn a_dgram_answers_who_sent() {
    let mut echo = start(&["cat", "dgram", "-b", "udp://127.0.0.1:*", "--echo", "-n", "2"]);
    let address = echo.endpoint().replace("udp://", "");
    let here = ["cat", "dgram", "-b", "udp://127.0.0.1:*", "-n", "1"];
    let printed = run(&[&here[..], &["--to", &address, "hello"]].concat()).ok().output;
    assert_eq!(printed, format!("{address}\thello\n"));
    run(&[&here[..], &[&format!("{address}\tin\tparts")]].concat()).ok().tells("bound to udp://127.0.0.1:");
    let printed = echo.wait().ok().output;
    assert!(printed.contains("\thello\n") && printed.contains("\tin\tparts\n"), "{printed}");
}

#[test]
fn what_is_scattered_is_gathered() {
    let (gather, endpoint) = bound(&["gather", "-n", "3"]);
    run(&["cat", "scatter", "-c", &endpoint, "-n", "3", "a", "b"]).ok();
    gather.wait().ok().prints("a\nb\na\n");
}

#[test]
fn a_channel_talks_in_both_directions() {
    let (here, endpoint) = bound(&["channel", "-n", "1", "from here"]);
    run(&["cat", "channel", "-c", &endpoint, "-n", "1", "from there"]).ok().prints("from here\n");
    here.wait().ok().prints("from there\n");
}

#[test]
fn a_peer_knows_whom_it_connects_to() {
    let (bound, endpoint) = bound(&["peer", "--echo", "-n", "2"]);
    run(&["cat", "peer", "-c", &endpoint, "-n", "2", "hello", "again"]).ok().prints("hello\nagain\n");
    let printed = bound.wait().ok().output;
    assert!(printed.lines().count() == 2 && printed.ends_with("\tagain\n"), "{printed}");
    // Who waits for the peer and who waits for a message give up at the same time.
    run(&["cat", "peer", "-c", &endpoint, "-t", "2s", "nobody hears"]).with_code(3).tells("connecting failed");
}

/// libzmq's sockets of these types drop what has several frames, too.
#[test]
fn messages_of_one_frame_are_told_apart_from_others() {
    let (server, endpoint) = bound(&["gather", "-n", "1"]);
    let mut scatter = start(&["cat", "scatter", "-c", &endpoint, "--json"]);
    scatter.input("[\"one\"]\n[\"two\", \"frames\"]\n");
    scatter.wait().with_code(1).tells("line 2: 2 frames are no message of a SCATTER: write one");
    server.wait().ok().prints("one\n");
}

// ---- over TLS

/// Over TLS, with a certificate that is named, or the system's authorities; and not without, which both sides tell.
#[test]
fn wss_takes_its_certificates_from_files() {
    let folder = Folder::new();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "cat.example".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (file("cert.pem", cert.pem()), file("key.pem", signing_key.serialize_pem()));
    let mut pull = start(&["cat", "pull", "-n", "3", "--bind", "wss://127.0.0.1:*", "--cert", &cert, "--key", &key]);
    let endpoint = pull.endpoint();
    let push = |more: &[&str]| run(&[&["cat", "push", "-c", &endpoint], more].concat());
    let mut distrustful = start(&["cat", "push", "-c", &endpoint, "not sent"]);
    distrustful.error_line("the peer's certificate is refused: it leads to no authority");
    pull.error_line("the peer refuses the certificate of this side");
    drop(distrustful);
    push(&["--trust", &cert, "by the address"]).ok();
    push(&["--trust", &cert, "--host-name", "cat.example", "by the name"]).ok();
    let mut of_the_system = Command::new(env!("CARGO_BIN_EXE_nought"));
    of_the_system.env("SSL_CERT_FILE", &cert).args(["cat", "push", "-t", "30s", "-c", &endpoint, "by the system"]);
    assert!(of_the_system.status().unwrap().success());
    pull.wait().ok().prints("by the address\nby the name\nby the system\n");

    let refused = run(&["cat", "pull", "--bind", "wss://127.0.0.1:*", "--cert", &key, "--key", &key]);
    refused.with_code(2).tells("no certificate in PEM");
    run(&["cat", "pull", "--bind", "wss://127.0.0.1:*", "--cert", &cert]).with_code(2).tells("--key");
    run(&["cat", "pull", "--bind", "wss://127.0.0.1:*"]).with_code(2).tells("write --cert and --key");
    let elsewhere = run(&["cat", "pull", "--connect", &endpoint, "--cert", &cert, "--key", &key]);
    elsewhere.with_code(2).tells("--cert and --key are for --bind wss://");
    for (option, value) in [("--trust", &cert[..]), ("--host-name", "cat.example")] {
        let in_the_clear = run(&["cat", "push", "-c", "ws://127.0.0.1:1", option, value, "not sent"]);
        in_the_clear.with_code(2).tells(&format!("{option} is for --connect wss://"));
    }
}
