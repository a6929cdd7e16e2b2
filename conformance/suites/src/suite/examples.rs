//! The examples in C and in Python, which are to do the same on both libraries. Alone in this they are ours.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;

use super::pyzmq;
use crate::{
    Selection,
    compiler::{self, Step},
    library::{Library, pkg_config},
    process,
    report::{Case, Report},
    workspace::Workspace,
};

/// What each of them prints.
const EXPECTED: &[&str] = &["Anna asks: what is the time?", "the answer: late", "somebody else: 400"];
const BAR: usize = 2;
const LIMIT: Duration = Duration::from_secs(30);

/// Runs them.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let sources = workspace.root()?.join("examples");
    let python = pyzmq::environment(workspace)?;
    let program = build(workspace, &sources.join("curve.c"))?;
    let mut report = Report::new(&libraries);
    if selection.includes("curve.c") {
        let play = |library: &Library| {
            library.serves(&program)?;
            play(workspace, library, "curve.c", &mut library.command(&program))
        };
        report.show("curve.c", libraries.iter().map(play).collect::<Result<_>>()?);
    }
    if selection.includes("curve.py") {
        let play = |library: &Library| {
            python.runs_on(library)?;
            play(
                workspace,
                library,
                "curve.py",
                library.command(python.program("python")).arg(sources.join("curve.py")),
            )
        };
        report.show("curve.py", libraries.iter().map(play).collect::<Result<_>>()?);
    }
    report.finish(BAR, selection)
}

fn build(workspace: &Workspace, source: &Path) -> Result<PathBuf> {
    let folder = workspace.folder("examples")?;
    let flags = |question: &str| -> Result<Vec<String>> {
        Ok(pkg_config(question)?.split_whitespace().map(String::from).collect())
    };
    let object = Step::object(source, &folder, &flags("--cflags")?);
    let program = Step::link(folder.join("curve"), &[object.output().into()], &flags("--libs")?);
    compiler::make_all(&[object])?;
    let output = program.output().into();
    compiler::make_all(&[program])?;
    Ok(output)
}

fn play(workspace: &Workspace, library: &Library, name: &str, command: &mut Command) -> Result<Case> {
    let log = workspace.folder("logs")?.join(format!("{name}-{}.log", library.title()));
    let ended = process::run(command, LIMIT, &log)?;
    process::end_strays()?;
    let is_as_expected = ended.output.lines().eq(EXPECTED.iter().copied());
    let failure = ended.failure().or_else(|| (!is_as_expected).then(|| format!("printed {:?}", ended.output)));
    Ok(Case { passed: failure.is_none().into(), skipped: 0, failure, took: ended.took })
}
