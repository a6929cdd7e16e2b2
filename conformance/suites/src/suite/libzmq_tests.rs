//! libzmq's own tests: a program for each file of its folder `tests`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use super::libzmq_source::{Api, Tree, sources_in};
use crate::{
    Selection,
    compiler::{self, Step},
    library::{Library, Name},
    process::{self, Ended},
    report::{Case, Report},
    workspace::Workspace,
};

/// The programs that pass on Debian's libzmq.
const STABLE: usize = 84;
/// The programs with drafts that pass on a libzmq that is built with them.
const DRAFTS: usize = 25;
/// The programs end themselves after a minute.
const LIMIT: Duration = Duration::from_secs(75);
/// By this a program says that it cannot be run here.
const SKIPPED: i32 = 77;

/// Those that are about nothing but drafts, and cannot be compiled or cannot pass without them.
const OF_DRAFTS: &[&str] = &[
    "test_app_meta",
    "test_bind_ws_fuzzer",
    "test_channel",
    "test_client_server",
    "test_connect_ws_fuzzer",
    "test_dgram",
    "test_disconnect_msg",
    "test_hello_msg",
    "test_msg_init",
    "test_peer",
    "test_poller",
    "test_radio_dish",
    "test_router_notify",
    "test_scatter_gather",
    "test_thread_safe",
    "test_timers",
    "test_ws_transport",
    "test_wss_transport",
    "test_xpub_manual_last_value",
];

/// Those that compare what the library says of itself with what its header and its build say: built for each.
const ASK_WHAT_IT_IS: &[&str] = &["test_ancillaries", "test_capabilities"];

/// Those that no libzmq here could run, and why.
const NOT_BUILT: &[(&str, &str)] =
    &[("test_pair_vmci", "needs VMware's vmci_sockets.h"), ("test_reqrep_vmci", "needs VMware's vmci_sockets.h")];

/// Those with a race of their own, which fail on libzmq as often, and why: played again if they fail.
const RACY: &[(&str, &str)] = &[(
    "test_filter_ipc",
    "may send only after it was refused, and who does not connect again has nobody to send to then",
)];

/// Runs the tests of the stable API on Debian's libzmq and on nought.
pub(crate) fn run_stable(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let tree = Tree::lay_out(workspace, Api::Stable)?;
    run(&tree, &libraries, selection, STABLE, |name, _| !OF_DRAFTS.contains(&name))
}

/// Runs the tests that make use of drafts, on a libzmq that is built with them and on nought.
pub(crate) fn run_drafts(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let tree = Tree::lay_out(workspace, Api::Draft)?;
    let original = tree.build_library()?;
    let library = |name: &Name| match name {
        Name::Libzmq => Library::built_here(workspace, &original),
        Name::Nought => Library::of_nought(workspace),
    };
    let libraries: Vec<_> = selection.on.iter().map(library).collect::<Result<_>>()?;
    let uses_drafts = |name: &str, text: &str| OF_DRAFTS.contains(&name) || text.contains("ZMQ_BUILD_DRAFT");
    run(&tree, &libraries, selection, DRAFTS, uses_drafts)
}

fn run(
    tree: &Tree,
    libraries: &[Library],
    selection: &Selection,
    bar: usize,
    belongs: impl Fn(&str, &str) -> bool,
) -> Result<()> {
    let mut sources = Vec::new();
    for source in sources_in(&tree.folder("tests")?)? {
        let name = stem(&source);
        if !name.starts_with("test_") || !selection.includes(&name) || !belongs(&name, &fs::read_to_string(&source)?) {
            continue;
        }
        match NOT_BUILT.iter().find(|(unbuilt, _)| *unbuilt == name) {
            Some((_, reason)) => println!("{name} is not built: it {reason}"),
            None => sources.push(source),
        }
    }
    let programs = build(tree, libraries, &sources)?;
    let mut report = Report::new(libraries);
    for (source, programs) in sources.iter().zip(programs) {
        let cases = libraries.iter().zip(&programs).map(|(library, program)| play_fairly(tree, library, program));
        report.show(&stem(source), cases.collect::<Result<_>>()?);
    }
    report.finish(bar, selection)
}

/// A program for each source and library: the same for all, unless it asks what the library is.
fn build(tree: &Tree, libraries: &[Library], sources: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>> {
    let common = objects(tree, "common", &common_sources(tree)?, &[])?;
    // Hidden, or Debian's libzmq would find these functions in place of libsodium's, and abort.
    let for_curve = objects(tree, "curve", &sources_of_curve(tree), &["-fvisibility=hidden".into()])?;
    let to_link = tree.to_link()?;
    let programs = tree.folder("programs")?;
    let mut steps = Vec::new();
    let mut outputs = Vec::new();
    for source in sources {
        let name = stem(source);
        let mut parts = vec![source.clone()];
        parts.extend(common.iter().cloned());
        if name == "test_security_curve" {
            parts.extend(for_curve.iter().cloned());
        }
        let mut for_libraries = Vec::new();
        for library in libraries {
            let asks = ASK_WHAT_IT_IS.contains(&name.as_str());
            let output = programs.join(if asks { format!("{name}-{}", library.title()) } else { name.clone() });
            let mut flags = tree.flags();
            if asks {
                flags.extend_from_slice(&library.identity);
            }
            flags.extend_from_slice(&to_link);
            for_libraries.push(output.clone());
            steps.push(Step::link(output, &parts, &flags));
        }
        outputs.push(for_libraries);
    }
    steps.dedup_by(|next, previous| next.output() == previous.output());
    compiler::make_all(&steps)?;
    Ok(outputs)
}

fn objects(tree: &Tree, folder: &str, sources: &[PathBuf], flags: &[String]) -> Result<Vec<PathBuf>> {
    let folder = tree.folder(folder)?;
    let flags = [&tree.flags(), flags].concat();
    let steps: Vec<_> = sources.iter().map(|source| Step::object(source, &folder, &flags)).collect();
    compiler::make_all(&steps)?;
    Ok(steps.iter().map(|step| step.output().into()).collect())
}

/// What all programs share: Unity, and the tests' own helpers.
fn common_sources(tree: &Tree) -> Result<Vec<PathBuf>> {
    let mut sources = sources_in(&tree.folder("tests")?)?;
    sources.retain(|source| stem(source).starts_with("testutil"));
    sources.push(tree.file("external/unity/unity.c"));
    Ok(sources)
}

/// `test_security_curve` speaks CURVE by itself.
fn sources_of_curve(tree: &Tree) -> [PathBuf; 4] {
    ["tweetnacl.c", "err.cpp", "random.cpp", "clock.cpp"].map(|name| tree.file("src").join(name))
}

fn play_fairly(tree: &Tree, library: &Library, program: &Path) -> Result<Case> {
    let case = play(tree, library, program)?;
    let name = stem(program);
    match RACY.iter().find(|(racy, _)| *racy == name) {
        Some((_, reason)) if case.failure.is_some() => {
            println!("{name} failed on {} and is played again: it {reason}", library.title());
            play(tree, library, program)
        }
        _ => Ok(case),
    }
}

fn play(tree: &Tree, library: &Library, program: &Path) -> Result<Case> {
    library.serves(program)?;
    let log = tree.folder(&format!("logs-{}", library.title()))?.join(stem(program)).with_extension("log");
    let mut command = library.command(program);
    command.current_dir(tree.folder("scratch")?);
    let ended = process::run(&mut command, LIMIT, &log)?;
    process::end_strays()?;
    Ok(judge(&ended))
}

fn judge(ended: &Ended) -> Case {
    let took = ended.took;
    if ended.status.and_then(|status| status.code()) == Some(SKIPPED) {
        return Case { passed: 0, skipped: 1, failure: None, took };
    }
    let failure = ended.failure().map(|failure| {
        let failed: Vec<_> = ended.output.lines().filter(|line| line.contains(":FAIL")).map(without_folder).collect();
        if failed.is_empty() { with_last_words(failure, &ended.output) } else { failed.join("\n    ") }
    });
    let sum = ended.output.lines().rev().find_map(Sum::parse);
    // One program does without Unity, and says nothing if all is well.
    let sum = sum.unwrap_or(Sum { passed: failure.is_none().into(), skipped: 0 });
    Case { passed: sum.passed, skipped: sum.skipped, failure, took }
}

/// Unity's last line: "5 Tests 1 Failures 1 Ignored".
struct Sum {
    passed: usize,
    skipped: usize,
}

impl Sum {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let mut count = |unit: &str| -> Option<usize> {
            let number = words.next()?.parse().ok()?;
            (words.next()? == unit).then_some(number)
        };
        let (tests, failed, skipped) = (count("Tests")?, count("Failures")?, count("Ignored")?);
        Some(Self { passed: tests.checked_sub(failed + skipped)?, skipped })
    }
}

/// An assertion of the library, or what the loader did not find.
fn with_last_words(failure: String, output: &str) -> String {
    match output.lines().next_back() {
        Some(words) => format!("{failure}: {}", without_folder(words)),
        None => failure,
    }
}

fn without_folder(line: &str) -> &str {
    let end_of_path = line.find(':').unwrap_or(0);
    line[..end_of_path].rfind('/').map_or(line, |slash| &line[slash + 1..])
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
