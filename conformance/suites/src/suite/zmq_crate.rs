//! The tests of the crate `zmq`, which is told to link to a shared library in place of the libzmq that it would build.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    Selection,
    library::{Library, pkg_config},
    process::{self, Ended},
    report::{Case, Report},
    workspace::Workspace,
};

/// The test programs that pass on Debian's libzmq.
const BAR: usize = 12;
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);
const LIMIT: Duration = Duration::from_secs(60);
/// Asks the compiler for the words of its errors, which change with its version, and no library anything.
const OF_THE_COMPILER: &str = "compile-tests";

/// Runs them.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let mut programs = build(workspace)?;
    programs.retain(|program| selection.includes(&program.name));
    let mut report = Report::new(&libraries);
    for program in programs {
        if program.name == OF_THE_COMPILER {
            println!("{OF_THE_COMPILER} is not run: it is about the compiler's messages");
            continue;
        }
        let cases = libraries.iter().map(|library| program.play(workspace, library));
        report.show(&program.name, cases.collect::<Result<_>>()?);
    }
    report.finish(BAR, selection)
}

struct Program {
    name: String,
    file: PathBuf,
}

impl Program {
    fn play(&self, workspace: &Workspace, library: &Library) -> Result<Case> {
        library.serves(&self.file)?;
        let log = workspace.folder("logs")?.join(format!("zmq-{}-{}.log", self.name, library.title()));
        let ended = process::run(&mut library.command(&self.file), LIMIT, &log)?;
        process::end_strays()?;
        Ok(judge(&ended))
    }
}

/// Builds the test programs in a copy of the crate's source, since Cargo would write into it.
fn build(workspace: &Workspace) -> Result<Vec<Program>> {
    let copy = workspace.folder("zmq-crate")?;
    if !copy.join("Cargo.toml").exists() {
        copy_folder(&workspace.source_of("zmq")?, &copy)?;
        let manifest = copy.join("Cargo.toml");
        fs::write(&manifest, fs::read_to_string(&manifest)? + "\n[workspace]\n")?;
    }
    let mut command = Command::new("cargo");
    command.args(["test", "--locked", "--test=*", "--no-run", "--message-format=json-render-diagnostics"]);
    // In place of what the build script of the crate with this `links` would print.
    command.args(["--config", &format!("target.{}.zmq.rustc-link-lib=['zmq']", host()?)]);
    command.args([
        "--config",
        &format!("target.{}.zmq.rustc-link-search=['{}']", host()?, pkg_config("--variable=libdir")?),
    ]);
    command.current_dir(&copy).env("CARGO_TARGET_DIR", copy.join("target"));
    let log = workspace.folder("logs")?.join("zmq-crate.log");
    Ok(process::succeed(&mut command, BUILD_LIMIT, &log)?.lines().filter_map(program).collect())
}

/// The program of which Cargo says, in a line of JSON, that it is built.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let file = message["executable"].as_str()?.into();
    Some(Program { name: message["target"]["name"].as_str()?.into(), file })
}

fn host() -> Result<String> {
    let asked = Command::new("rustc").args(["--print", "host-tuple"]).output().context("rustc")?;
    Ok(String::from_utf8(asked.stdout)?.trim().into())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            fs::copy(entry.path(), copy)?;
        } else if entry.file_name() != OsStr::new("target") {
            copy_folder(&entry.path(), &copy)?;
        }
    }
    Ok(())
}

fn judge(ended: &Ended) -> Case {
    let count = |verdict: &str| ended.output.lines().filter(|line| is_verdict(line, verdict)).count();
    let failed: Vec<_> = ended.output.lines().filter(|line| is_verdict(line, "FAILED")).collect();
    let failure = ended.failure().map(|failure| if failed.is_empty() { failure } else { failed.join("\n    ") });
    Case { passed: count("ok"), skipped: count("ignored"), failure, took: ended.took }
}

/// Whether a line is like "test name ... ok".
fn is_verdict(line: &str, verdict: &str) -> bool {
    line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")).is_some_and(|(_, said)| said == verdict)
}
