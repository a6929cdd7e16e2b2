//! `nought bench`: that it measures, not what.

mod common;

use common::{Folder, run, start};
use rustix::process::Signal;
use serde_json::Value;

fn rows(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn throughput_is_measured_on_every_transport() {
    let arguments = ["bench", "throughput", "--transport", "tcp,ipc,inproc", "--size", "1,1K"];
    let ended = run(&[&arguments[..], &["--count", "2000", "--json"]].concat()).ok();
    let rows = rows(&ended.output);
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row["messages"] == 1999 && row["messages_per_second"].as_f64() > Some(0.0)));

    let ended = run(&[&arguments[..], &["--duration", "50ms"]].concat()).ok();
    assert_eq!(ended.output.lines().count(), 7, "{ended:#?}");
}

#[test]
fn latency_is_measured_on_every_transport() {
    let arguments = ["bench", "latency", "--transport", "tcp,ipc,inproc", "--no-spin"];
    let ended = run(&[&arguments[..], &["--count", "100", "--json"]].concat()).ok();
    let rows = rows(&ended.output);
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["round_trips"] == 100 && row["p50"].as_f64() <= row["max"].as_f64()));

    let ended = run(&[&arguments[..], &["--duration", "50ms"]].concat()).ok();
    assert_eq!(ended.output.lines().count(), 4, "{ended:#?}");
}

#[test]
fn libzmqs_roles_fit_together() {
    let mut local = start(&["bench", "local-thr", "tcp://127.0.0.1:*", "64", "5000"]);
    let endpoint = local.endpoint();
    run(&["bench", "remote-thr", &endpoint, "64", "5000"]).ok();
    let printed = local.wait().ok().output;
    assert!(printed.starts_with("message size: 64 [B]\nmessage count: 5000\nmean throughput: "), "{printed}");

    let mut local = start(&["bench", "local-lat", "tcp://127.0.0.1:*", "1", "500"]);
    let endpoint = local.endpoint();
    let printed = run(&["bench", "remote-lat", &endpoint, "1", "500"]).ok().output;
    assert!(printed.starts_with("message size: 1 [B]\nroundtrip count: 500\naverage latency: "), "{printed}");
    local.wait().ok();
}

#[test]
fn whoever_waits_for_the_other_side_says_so() {
    let mut local = start(&["bench", "local-lat", "tcp://127.0.0.1:*", "1", "5"]);
    let endpoint = local.endpoint();
    assert_eq!(local.error_line("waiting"), format!("waiting for a peer to connect to {endpoint}"));
    run(&["bench", "remote-lat", &endpoint, "1", "5"]).ok();
    local.wait().ok();
    let mut remote = start(&["bench", "remote-thr", &endpoint, "1", "5"]);
    assert_eq!(remote.error_line("waiting"), format!("waiting for a peer at {endpoint}"));
}

#[test]
fn sides_with_different_sizes_are_told() {
    let mut local = start(&["bench", "local-thr", "tcp://127.0.0.1:*", "64", "5"]);
    let endpoint = local.endpoint();
    let _remote = start(&["bench", "remote-thr", &endpoint, "32", "5"]);
    local.wait().with_code(1).tells("a message has 32 bytes and SIZE is 64");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let folder = Folder::new();
    for role in ["local-thr", "local-lat"] {
        let mut local = start(&["bench", role, &folder.ipc("waits"), "1", "1"]);
        local.error_line("waiting for a peer");
        local.signal(Signal::INT);
        local.wait().with_code(130);
        assert_eq!(folder.names(), [""; 0]);
    }
    for (measured, transport) in [("throughput", "ipc"), ("latency", "tcp"), ("throughput", "inproc")] {
        let mut running = start(&["bench", measured, "--transport", transport, "--duration", "1h"]);
        assert!(running.line().contains("transport"));
        running.signal(Signal::INT);
        running.wait().with_code(130);
    }
}
