//! Python packages: fetched, built and installed into environments of their own, and their tests run by pytest.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    Selection,
    library::{Library, pkg_config},
    process,
    report::{Case, Report},
    workspace::Workspace,
};

/// What packages may take to be fetched and built.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// What the tests of a package may take.
const TESTS_LIMIT: Duration = Duration::from_secs(15 * 60);
/// What one of them may take, in seconds.
const TEST_LIMIT: u32 = 100;

/// A virtual environment, made once for a list of requirements.
pub(crate) struct Environment {
    folder: PathBuf,
    logs: PathBuf,
}

impl Environment {
    /// Installs `requirements`. pyzmq among them is built from source, against the system's headers and library.
    pub(crate) fn with(workspace: &Workspace, name: &str, requirements: &str) -> Result<Self> {
        let folder = workspace.folder(&format!("python/{name}"))?;
        let environment = Self { folder, logs: workspace.folder("logs")? };
        let installed = environment.folder.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|text| text == requirements) {
            return Ok(environment);
        }
        pkg_config("--modversion")?;
        let wanted = environment.folder.join("requirements.txt");
        fs::write(&wanted, requirements)?;
        environment
            .install(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment.folder.join("venv")))?;
        environment.install(
            Command::new(environment.program("pip"))
                .args(["install", "--no-binary=pyzmq", "--requirement"])
                .arg(&wanted)
                // Without a libzmq of its own.
                .env("PYZMQ_NO_BUNDLE", "1"),
        )?;
        fs::write(installed, requirements)?;
        Ok(environment)
    }

    /// A program of this environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("venv/bin").join(name)
    }

    /// The unpacked source of a package, with its tests.
    pub(crate) fn source_of(&self, package: &str, version: &str) -> Result<PathBuf> {
        let source = self.folder.join(format!("{package}-{version}"));
        if source.exists() {
            return Ok(source);
        }
        let archive = self.folder.join(format!("{package}-{version}.tar.gz"));
        self.install(
            Command::new(self.program("pip"))
                .args(["download", "--no-deps", "--no-binary", package, "--dest"])
                .arg(&self.folder)
                .arg(format!("{package}=={version}")),
        )?;
        self.install(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&self.folder))?;
        ensure!(source.exists(), "the archive of {package} has no {}", source.display());
        Ok(source)
    }

    /// Fails unless pyzmq here is loaded with `library`.
    pub(crate) fn runs_on(&self, library: &Library) -> Result<()> {
        let ask = "import zmq.backend.cython._zmq as extension; print(extension.__file__)";
        let asked = library.command(self.program("python")).args(["-c", ask]).output()?;
        ensure!(
            asked.status.success(),
            "pyzmq does not load on {}: {}",
            library.title(),
            String::from_utf8_lossy(&asked.stderr)
        );
        library.serves(Path::new(String::from_utf8(asked.stdout)?.trim()))
    }

    fn install(&self, command: &mut Command) -> Result<()> {
        process::succeed(command, INSTALL_LIMIT, &self.logs.join("python.log")).map(drop)
    }
}

/// Runs the tests in `folder` on each library, and prints those that do not pass everywhere.
pub(crate) fn run_tests(
    environment: &Environment,
    folder: &Path,
    libraries: &[Library],
    selection: &Selection,
    bar: usize,
) -> Result<()> {
    let mut columns = Vec::new();
    for library in libraries {
        environment.runs_on(library)?;
        columns.push(pytest(environment, folder, library, selection)?);
    }
    let mut report = Report::new(libraries);
    let names: Vec<_> = columns.iter().flat_map(|column| column.keys().cloned()).collect();
    for name in names {
        let cases = columns.iter_mut().map(|column| column.remove(&name)).collect::<Vec<_>>();
        if cases.iter().any(Option::is_some) {
            report.add(&name, cases.into_iter().map(|case| case.unwrap_or_else(Case::missing)).collect());
        }
    }
    report.finish(bar, selection)
}

fn pytest(
    environment: &Environment,
    folder: &Path,
    library: &Library,
    selection: &Selection,
) -> Result<BTreeMap<String, Case>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = environment.logs.join(format!("{name}-{}.log", library.title()));
    let report = log.with_extension("jsonl");
    let mut command = library.command(environment.program("pytest"));
    // As one word: a file that is there already would be taken for tests, and its folder for where the settings are.
    command.current_dir(folder).args(["-p", "no:cacheprovider", &format!("--report-log={}", report.display())]);
    // By a thread, which ends them all: pyzmq's tests take the signal's clock for themselves, and stop it.
    command.args(["--timeout-method=thread", &format!("--timeout={TEST_LIMIT}")]);
    if let Some(pattern) = &selection.pattern {
        command.args(["-k", pattern]);
    }
    let ended = process::run(&mut command, TESTS_LIMIT, &log)?;
    process::end_strays()?;
    // Tests that failed are in the report, and those that did not run because of a crash are missed there.
    println!("{}: {} ({})", library.title(), ended.output.lines().last().unwrap_or_default(), log.display());
    let report =
        fs::read_to_string(&report).with_context(|| format!("pytest wrote no report; see {}", log.display()))?;
    Ok(cases(&report))
}

/// Each test has a report for its preparation, for itself, and for what comes after it.
fn cases(report: &str) -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for line in report.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
        let (Some("TestReport"), Some(name)) = (entry["$report_type"].as_str(), entry["nodeid"].as_str()) else {
            continue;
        };
        let case = cases.entry(name.to_owned()).or_insert_with(|| Case {
            passed: 0,
            skipped: 0,
            failure: None,
            took: Duration::ZERO,
        });
        case.took += Duration::from_secs_f64(entry["duration"].as_f64().unwrap_or_default());
        match (entry["outcome"].as_str(), entry["when"].as_str()) {
            (Some("passed"), Some("call")) => case.passed = 1,
            (Some("passed"), _) => {}
            // The suite itself calls it flaky, and has it run again: what comes last counts.
            (Some("rerun"), _) => {}
            (Some("skipped"), _) => case.skipped = 1,
            _ => case.failure = Some(reason(&entry)),
        }
    }
    cases
}

fn reason(entry: &Value) -> String {
    let crash = &entry["longrepr"]["reprcrash"];
    let message = crash["message"].as_str().or(entry["longrepr"].as_str()).unwrap_or("no reason given");
    message.lines().next().unwrap_or_default().into()
}
