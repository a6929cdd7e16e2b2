//! The tests of jupyter_client, on pyzmq: kernels that are started, asked, interrupted and restarted.

use anyhow::Result;

use crate::{
    Selection,
    library::Library,
    python::{self, Environment},
    workspace::Workspace,
};

const REQUIREMENTS: &str = include_str!("../../jupyter.txt");
/// The tests that pass on Debian's libzmq.
const BAR: usize = 275;

/// Runs them.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let environment = Environment::with(workspace, "jupyter", REQUIREMENTS)?;
    let source = environment.source_of("jupyter_client", version())?;
    python::run_tests(&environment, &source, &libraries, selection, BAR)
}

fn version() -> &'static str {
    REQUIREMENTS.lines().find_map(|line| line.strip_prefix("jupyter_client==")).unwrap_or_default()
}
