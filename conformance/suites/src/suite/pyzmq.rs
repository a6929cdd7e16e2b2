//! pyzmq's tests, as its source package has them.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context, Result};

use crate::{
    Selection,
    library::Library,
    python::{self, Environment},
    workspace::Workspace,
};

const REQUIREMENTS: &str = include_str!("../../pyzmq.txt");
/// The tests that pass on Debian's libzmq.
const BAR: usize = 406;

/// Runs them.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let environment = environment(workspace)?;
    let source = environment.source_of("pyzmq", version())?;
    let tests = workspace.folder("pyzmq")?;
    // Beside the package's folder zmq, which has not been built, its tests would import that.
    for name in ["pytest.ini", "tests"] {
        link(&source.join(name), &tests.join(name))?;
    }
    python::run_tests(&environment, &tests, &libraries, selection, BAR)
}

/// An environment with pyzmq and what its tests need.
pub(super) fn environment(workspace: &Workspace) -> Result<Environment> {
    Environment::with(workspace, "pyzmq", REQUIREMENTS)
}

/// pyzmq's version among the requirements.
pub(super) fn version() -> &'static str {
    REQUIREMENTS.lines().find_map(|line| line.strip_prefix("pyzmq==")).unwrap_or_default()
}

fn link(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    symlink(from, to).with_context(|| to.display().to_string())
}
