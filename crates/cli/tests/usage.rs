//! Wrong arguments: what is told, and the exit code.

mod common;

use std::process::Command;

use common::{Folder, run, start_into};

/// Arguments, and what is told about them.
const WRONG: [(&[&str], &str); 65] = [
    (&[], "Usage: nought <COMMAND>"),
    (&["demp"], "a similar subcommand exists: 'demo'"),
    (&["cat", "pull"], "write where to: --bind ENDPOINT to listen, or --connect ENDPOINT"),
    (&["cat", "pull", "tcp://localhost:5555"], "write --connect tcp://localhost:5555, or --bind"),
    (&["cat", "pusch", "-b", "ipc://x"], "a similar value exists: 'push'"),
    (&["cat", "pull", "-b", "ipc://x", "--cuont", "3"], "a similar argument exists: '--count'"),
    (&["cat", "push", "-c", "localhost:5555"], "names no transport: write tcp://HOST:PORT"),
    (&["cat", "push", "-c", "upd://localhost:5555"], "there is no transport \"upd\": write one of tcp, ipc"),
    (&["cat", "push", "-c", "tcp://localhost"], "has no port: write HOST:PORT"),
    (&["cat", "push", "-c", "tcp://*:5555"], "names nobody to connect to"),
    (&["cat", "push", "-b", "tcp://*:http"], "to bind any free port, write *"),
    (&["cat", "push", "-c", "inproc://x"], "write an ipc:// or tcp:// endpoint"),
    (&["cat", "sub", "-c", "ipc://x", "hello"], "SUB only receives: leave out the MESSAGE, or write pub to send"),
    (&["cat", "push", "-c", "ipc://x", "-o", "raw"], "PUSH only sends: leave out --out, or write pull to receive"),
    (&["cat", "pull", "-b", "ipc://x", "-s", "a"], "--subscribe is for sub, xsub: leave it out for PULL"),
    (&["cat", "req", "-c", "ipc://x", "--echo"], "--echo is for rep, server, peer, dgram: leave it out for REQ"),
    (&["cat", "dealer", "-c", "ipc://x", "--to", "a"], "--to is for router, stream, dgram: leave it out for DEALER"),
    (&["cat", "pub", "-c", "ipc://x", "--id", "a"], "--id is for req, dealer, router: leave it out for PUB"),
    (&["cat", "dealer", "-c", "ipc://x", "--id", "0x00ff"], "at most 255 bytes, the first of them not zero"),
    (&["cat", "dealer", "-c", "ipc://x", "--id", ""], "write text, or 0x and hex digits"),
    (&["cat", "router", "-c", "ipc://x", "--to", "", "a"], "write text, or 0x and hex digits"),
    (&["cat", "push", "-c", "ipc://x", "-t", "10000000000000000000", "a"], "write at most 876000h"),
    (&["cat", "rep", "-b", "ipc://x", "--echo", "--reply", "a"], "cannot be used with '--reply <MESSAGE>'"),
    (&["cat", "rep", "-b", "ipc://x", "--echo", "a"], "leave them out, or leave out --reply and --echo"),
    (&["cat", "push", "-b", "ipc://x", "--json", "--in", "file"], "cannot be used with '--in <FORMAT>'"),
    (&["cat", "push", "-b", "ipc://x", "--json", "-d", ","], "leave it out, or write --in lines or --out text"),
    (&["cat", "push", "-b", "ipc://x", "-d", "", "a"], "write a text, as in --delimiter ,"),
    (&["cat", "push", "-b", "ipc://x", "--hex", "abc"], "odd number of hex digits"),
    (&["cat", "push", "-b", "ipc://x", "--json", "a"], "no JSON"),
    (&["cat", "router", "-b", "ipc://x", "hello"], "write ID, a tab and the message, or --to ID"),
    (&["cat", "dish", "-b", "ipc://x"], "write --group GROUP"),
    (&["cat", "dish", "-b", "ipc://x", "-g", "a", "hi"], "leave out the MESSAGE, or write radio to send"),
    (&["cat", "gather", "-b", "ipc://x", "hi"], "leave out the MESSAGE, or write scatter to send"),
    (&["cat", "sub", "-b", "ipc://x", "-g", "a"], "--group is for radio, dish: leave it out for SUB"),
    (&["cat", "dish", "-b", "ipc://x", "-g", "0x00"], "at most 255 bytes, none of them zero"),
    (&["cat", "dish", "-b", "ipc://x", "-g", "a", "-g", "a"], "joined"),
    (&["cat", "radio", "-b", "ipc://x", "-g", "a", "-g", "b", "hi"], "write one, or name it in each message"),
    (&["cat", "radio", "-b", "ipc://x", "hi"], "write GROUP, a tab and the message, or --group GROUP"),
    (&["cat", "radio", "-b", "udp://*:5555", "-g", "a", "hi"], "with udp://, RADIO connects"),
    (&["cat", "dgram", "-c", "udp://127.0.0.1:5555", "hi"], "write --bind 'udp://*:*', and --to IP:PORT"),
    (&["cat", "dgram", "-b", "udp://*:*", "--to", "localhost:5", "hi"], "write IP:PORT, as in 192.0.2.1:5555"),
    (&["cat", "server", "-b", "ipc://x", "--to", "7", "hi"], "--to is for router, stream, dgram"),
    (&["cat", "peer", "-c", "ipc://x", "-c", "ipc://y", "hi"], "write one --connect"),
    (&["cat", "client", "-c", "ipc://x", "-d", ",", "a,b"], "messages of a CLIENT have one frame"),
    (&["cat", "client", "-c", "ipc://x", "--json", "[\"a\", \"b\"]"], "2 frames are no message of a CLIENT"),
    (&["cat", "pull", "-b", "ipc://x", "-t", "soon"], "write 250ms, 1.5s, 2m, or a number of seconds"),
    (&["cat", "pull", "-b", "ipc://x", "-n", "-3"], "\"-3\" is no count: write a whole number from 0 on"),
    (&["cat", "push", "-b", "ipc://x", "--wait-for", "-1", "x"], "write a whole number from 0 on"),
    (&["cat", "pull", "-b", "ipc://x", "-n", "few"], "\"few\" is no count: write a whole number from 0 on"),
    (&["cat", "pull", "-b", "ipc://x", "-t", "-1s"], "write 250ms, 1.5s, 2m, or a number of seconds"),
    (&["cat", "pub", "-b", "ipc://x", "--interval", "-1", "x"], "write 250ms, 1.5s, 2m, or a number of seconds"),
    (&["bench", "throughput", "--size", "-64"], "write a number of bytes, or 8K, or 1M"),
    (&["bench", "latency", "--count", "-5"], "\"-5\" is no count: write a whole number from 2 on"),
    (&["bench", "local-thr", "tcp://*:1", "1", "0"], "write a whole number from 1 on"),
    (&["demo", "--pictures", "-3"], "-3 is not in 1..=10000"),
    (&["bench", "throughput", "--size", "64B"], "write a number of bytes, or 8K, or 1M"),
    (&["bench", "latency", "--count", "5", "--duration", "1s"], "cannot be used with '--duration <TIME>'"),
    (&["bench", "local-thr", "localhost", "1", "1"], "names no transport"),
    (&["bench", "local-thr", "inproc://x", "1", "1"], "write an ipc:// or tcp:// endpoint"),
    (&["bench", "remote-lat", "inproc://x", "1", "1"], "write an ipc:// or tcp:// endpoint"),
    (&["keygen", "--metadata", "name"], "write NAME=VALUE"),
    (&["keygen", "--metadata", "=Anna"], "write a NAME, without blanks"),
    (&["keygen", "--metadata", "full name=Anna"], "write a NAME, without blanks"),
    (&["keygen", "--metadata", "name=Anna\nb=c"], "write a VALUE without quotation marks and line breaks"),
    (&["demo", "--input", ".", "--pictures", "3"], "cannot be used with '--pictures <N>'"),
];

#[test]
fn wrong_arguments_are_told_with_what_to_write_instead() {
    for (arguments, told) in WRONG {
        let ended = run(arguments).with_code(2).prints("");
        assert!(ended.errors.contains(told), "{arguments:?}: {told:?} is not told: {}", ended.errors);
    }
}

#[test]
fn the_demo_wants_pictures_and_keeps_them() {
    let folder = Folder::new();
    let path = folder.path().to_str().unwrap();
    run(&["demo", "--input", path]).with_code(2).tells("holds no PNG or JPEG picture");
    std::fs::write(folder.file("a.png"), b"").unwrap();
    run(&["demo", "--input", path, "--output", path]).with_code(2).tells("write another --output");
    run(&["demo", "--input", &folder.file("none")]).with_code(1).tells("cannot read the folder");
}

#[test]
fn help_shows_what_users_call_and_nothing_else() {
    let help = run(&["--help"]).ok().output;
    assert!(help.contains("completions") && help.contains("Exit codes"), "{help}");
    assert!(!help.contains("child"), "{help}");
    for command in ["demo", "cat", "bench"] {
        let help = run(&[command, "--help"]).ok().output;
        assert!(help.contains("Examples:"), "{help}");
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(120), "{help}");
    }
}

#[test]
fn help_names_every_socket_type() {
    for help in [run(&["cat", "--help"]).ok().output, run(&["cat", "-h"]).ok().output] {
        for socket_type in nought::SocketType::ALL {
            assert!(help.contains(&format!(" {}", socket_type.name().to_lowercase())), "{socket_type}: {help}");
        }
    }
}

#[test]
fn shells_complete_what_users_call_and_nothing_else() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).ok().output;
        assert!(["local-thr", "xpub", "dgram", "group"].iter().all(|word| script.contains(word)), "{shell}");
        assert!(!script.contains("bench-peer"), "{shell}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let told = "error: cannot write to standard output";
    let cases: [&[&str]; 7] = [
        &["--help"],
        &["--version"],
        &["cat", "--help"],
        &["completions", "bash"],
        &["keygen"],
        &["bench", "latency", "--count", "2", "--transport", "inproc"],
        &["demo", "--pictures", "1"],
    ];
    for arguments in cases {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = start_into(arguments, full.into()).end_of_input().wait();
        assert!(ended.code == Some(1) && ended.errors.contains(told), "{arguments:?}: {ended:?}");
    }
}

/// Where nobody can be told, the exit code says it.
#[test]
fn errors_that_cannot_be_written_are_errors_still() {
    for (arguments, code) in [
        (&["cat", "pull", "-b", "tcp://127.0.0.1:*", "-n", "0"][..], 0),
        (&["cat", "push", "-c", "tcp://127.0.0.1:1", "-t", "10ms", "x"], 3),
        (&["keygen", "/"], 1),
        (&["cat", "pull"], 2),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_nought")).args(arguments).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
