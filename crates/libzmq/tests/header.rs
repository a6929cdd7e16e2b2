//! The header and the exported names are libzmq's.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use support::{libzmq_path, nought_path};

/// Constants that are ours to differ in: the release that we stand in for, what is written otherwise and says the same,
/// what later releases have added or changed.
const DIFFERENT: &[&str] = &[
    "ZMQ_VERSION_PATCH",
    "ZMQ_MAKE_VERSION(major,minor,patch)",
    "ZMQ_EXPORT",
    "ZMQ_EVENT_ALL_V2",
    "ZMQ_RECONNECT_STOP_AFTER_DISCONNECT",
];

/// The macros that a header defines.
fn constants(header: &Path, flags: &[&str]) -> BTreeMap<String, String> {
    let output = Command::new("cc").args(flags).args(["-dM", "-E", "-x", "c"]).arg(header).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let defined = lines.lines().filter_map(|line| line.strip_prefix("#define "));
    let named = |(name, _): &(String, String)| {
        name.starts_with("ZMQ_") || ["EFSM", "ENOCOMPATPROTO", "ETERM", "EMTHREAD"].contains(&name.as_str())
    };
    defined
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .filter(named)
        .collect()
}

/// The functions that a library exports.
fn functions(library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .filter(|n| n.starts_with("zmq_"))
        .map(str::to_owned)
        .collect()
}

/// The functions that a header declares.
fn declared(header: &Path, flags: &[&str]) -> BTreeSet<String> {
    let output = Command::new("cc").args(flags).args(["-E", "-P", "-x", "c"]).arg(header).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '(')).collect::<Vec<_>>().join(" ");
    let names = words.split([' ', '(']).filter(|word| word.starts_with("zmq_"));
    names.filter(|word| !word.ends_with("_t") && !word.ends_with("_fn")).map(str::to_owned).collect()
}

fn ours() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/zmq.h")
}

#[test]
fn each_constant_of_libzmqs_header_has_the_same_value_here() {
    for flags in [&[][..], &["-DZMQ_BUILD_DRAFT_API"][..]] {
        let theirs = constants(Path::new("/usr/include/zmq.h"), flags);
        assert!(theirs.len() > 150, "libzmq's header is to be compared with: install libzmq3-dev");
        let ours = constants(&ours(), flags);
        for (name, value) in theirs.iter().filter(|(name, _)| !DIFFERENT.contains(&name.as_str())) {
            assert_eq!(ours.get(name), Some(value), "{name}");
        }
    }
}

#[test]
fn every_function_of_libzmq_is_exported_and_what_is_exported_is_declared() {
    let (ours_exported, theirs) = (functions(&nought_path()), functions(&libzmq_path()));
    assert_eq!(theirs.difference(&ours_exported).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(ours_exported.len(), 97);
    let declared = declared(&ours(), &["-DZMQ_BUILD_DRAFT_API"]);
    assert_eq!(ours_exported.difference(&declared).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_header_is_one_of_cpp_too() {
    for compiler in ["cc", "c++"] {
        let flags = ["-DZMQ_BUILD_DRAFT_API", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
        let language = if compiler == "cc" { "c" } else { "c++" };
        let status = Command::new(compiler).args(flags).args(["-x", language]).arg(ours()).status().unwrap();
        assert!(status.success(), "{compiler}");
    }
}

#[test]
fn programs_ask_for_it_by_libzmqs_name() {
    let output = Command::new("readelf").arg("-d").arg(nought_path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Library soname: [libzmq.so.5]"), "{text}");
}
