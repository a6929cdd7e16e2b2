//! Speed: libzmq's own programs for it, and pyzmq, on either library in turn.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    libzmq_source::{Api, Tree},
    pyzmq,
};
use crate::{
    Selection,
    compiler::{self, Step},
    library::{Library, Name},
    process,
    python::Environment,
    workspace::Workspace,
};

/// What one run may take.
const LIMIT: Duration = Duration::from_secs(20);
const PROGRAMS: &[&str] =
    &["local_thr", "remote_thr", "local_lat", "remote_lat", "inproc_thr", "inproc_lat", "proxy_thr"];

const MESSAGES: [(u32, u32); 4] = [(1, 5_000_000), (64, 5_000_000), (1024, 1_000_000), (65_536, 50_000)];
const ROUND_TRIPS: u32 = 20_000;

/// What is measured, as the programs name its unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    /// Messages per second.
    Throughput,
    /// Microseconds for one way.
    Latency,
}

impl Metric {
    fn units(self) -> &'static [&'static str] {
        match self {
            Self::Throughput => &["[msg/s]"],
            Self::Latency => &["[us]", "[µs]"],
        }
    }

    fn title(self) -> &'static str {
        self.units()[0]
    }
}

/// How fast nought has to be, as a multiple of libzmq's figure.
struct Bar(Metric, f64);

impl Bar {
    fn is_met_by(&self, ratio: f64) -> bool {
        match self.0 {
            Metric::Throughput => ratio >= self.1,
            Metric::Latency => ratio <= self.1,
        }
    }

    fn describe(&self) -> String {
        match self.0 {
            Metric::Throughput => format!("≥ {:.2}", self.1),
            Metric::Latency => format!("≤ {:.2}", self.1),
        }
    }
}

/// What is run.
enum Programs {
    /// One that has both ends within itself.
    One { program: &'static str, size: u32, count: u32 },
    /// One that binds and one that connects.
    Two { local: &'static str, remote: &'static str, transport: &'static str, size: u32, count: u32 },
    /// A script for pyzmq, which starts its other half itself.
    Python { script: PathBuf, arguments: Vec<String> },
}

struct Case {
    name: String,
    programs: Programs,
    bar: Bar,
}

/// Measures, prints a row for each case, and fails if nought gave no figure for one.
pub(crate) fn run(workspace: &Workspace, selection: &Selection, rounds: usize) -> Result<()> {
    let libraries = Library::all(workspace, &selection.on)?;
    let stage = Stage::prepare(workspace)?;
    let mut cases = cases(workspace, &stage.python)?;
    cases.retain(|case| selection.includes(&case.name));
    ensure!(!cases.is_empty(), "no such case");
    println!("{:<22}{:<9}{:>14}{:>14}{:>9}{:>9}", "", "", "libzmq", "nought", "ratio", "bar");
    let mut without_figure = Vec::new();
    let mut missed = 0;
    for case in &cases {
        let figures = measure(&stage, case, &libraries, rounds)?;
        let ours = figures.get("nought").copied().flatten();
        let theirs = figures.get("libzmq").copied().flatten();
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        // Where libzmq does not come to an end, it is enough to do so.
        let is_met = ratio.map_or(ours.is_some(), |ratio| case.bar.is_met_by(ratio));
        println!(
            "{:<22}{:<9}{:>14}{:>14}{:>9}{:>9}  {}",
            case.name,
            case.bar.0.title(),
            text(theirs),
            text(ours),
            ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")),
            case.bar.describe(),
            if is_met { "met" } else { "missed" }
        );
        missed += usize::from(!is_met);
        let is_measured = libraries.iter().any(|library| library.name == Name::Nought);
        if is_measured && ours.is_none() {
            without_figure.push(case.name.as_str());
        }
    }
    println!("\n{} cases, {missed} bars missed; medians of {rounds}", cases.len());
    ensure!(without_figure.is_empty(), "nought did not finish {}", without_figure.join(", "));
    Ok(())
}

/// All that runs need.
struct Stage {
    programs: PathBuf,
    scratch: PathBuf,
    logs: PathBuf,
    python: Environment,
}

impl Stage {
    fn prepare(workspace: &Workspace) -> Result<Self> {
        let tree = Tree::lay_out(workspace, Api::Stable)?;
        let sources = tree.folder("perf")?;
        let programs = tree.folder("perf-programs")?;
        let flags = [tree.flags(), tree.to_link()?].concat();
        let step = |name: &&str| Step::link(programs.join(name), &[sources.join(name).with_extension("cpp")], &flags);
        compiler::make_all(&PROGRAMS.iter().map(step).collect::<Vec<_>>())?;
        let python = pyzmq::environment(workspace)?;
        Ok(Self { programs, scratch: tree.folder("scratch")?, logs: workspace.folder("logs")?, python })
    }

    fn commands(&self, programs: &Programs, library: &Library) -> Result<Vec<Command>> {
        let program = |name: &str, arguments: &[String]| {
            let mut command = library.command(self.programs.join(name));
            command.args(arguments).current_dir(&self.scratch);
            command
        };
        Ok(match programs {
            Programs::One { program: name, size, count } => vec![program(name, &[size.to_string(), count.to_string()])],
            Programs::Two { local, remote, transport, size, count } => {
                let arguments = [self.endpoint(transport)?, size.to_string(), count.to_string()];
                vec![program(local, &arguments), program(remote, &arguments)]
            }
            Programs::Python { script, arguments } => {
                let mut command = library.command(self.python.program("python"));
                command.arg(script).args(arguments).args(["--url", &self.endpoint("tcp")?]);
                vec![command]
            }
        })
    }

    /// One that nothing else uses.
    fn endpoint(&self, transport: &str) -> Result<String> {
        if transport == "ipc" {
            return Ok("ipc://perf.sock".into());
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(format!("tcp://127.0.0.1:{port}"))
    }
}

fn cases(workspace: &Workspace, python: &Environment) -> Result<Vec<Case>> {
    let bars = [("tcp", [3.0, 3.0, 2.0, 1.4]), ("ipc", [3.0, 3.0, 1.8, 1.4])];
    let mut cases = Vec::new();
    for (transport, bars) in bars {
        for ((size, count), bar) in MESSAGES.into_iter().zip(bars) {
            let programs = Programs::Two { local: "local_thr", remote: "remote_thr", transport, size, count };
            cases.push(Case { name: format!("thr {transport} {size}"), programs, bar: Bar(Metric::Throughput, bar) });
        }
    }
    for ((size, count), bar) in MESSAGES.into_iter().zip([3.0, 2.5]) {
        let programs = Programs::One { program: "inproc_thr", size, count };
        cases.push(Case { name: format!("thr inproc {size}"), programs, bar: Bar(Metric::Throughput, bar) });
    }
    for transport in ["tcp", "ipc"] {
        let (size, count) = (1, ROUND_TRIPS);
        let programs = Programs::Two { local: "local_lat", remote: "remote_lat", transport, size, count };
        cases.push(Case { name: format!("lat {transport} 1"), programs, bar: Bar(Metric::Latency, 1.0 / 4.0) });
    }
    let programs = Programs::One { program: "inproc_lat", size: 1, count: ROUND_TRIPS };
    cases.push(Case { name: "lat inproc 1".into(), programs, bar: Bar(Metric::Latency, 1.0 / 6.0) });
    let programs = Programs::One { program: "proxy_thr", size: 64, count: 2_000_000 };
    cases.push(Case { name: "proxy_thr 64".into(), programs, bar: Bar(Metric::Throughput, 2.0) });
    cases.extend(cases_of_pyzmq(workspace, python)?);
    Ok(cases)
}

/// pyzmq's own script for requests and replies, and one of ours for a stream, which it has none for.
fn cases_of_pyzmq(workspace: &Workspace, python: &Environment) -> Result<[Case; 2]> {
    let theirs = python.source_of("pyzmq", pyzmq::version())?.join("perf/perf.py");
    let ours = workspace.root()?.join("conformance/suites/push_pull.py");
    let arguments = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    Ok([
        Case {
            name: "pyzmq REQ-REP 64".into(),
            programs: Programs::Python { script: theirs, arguments: arguments(&["lat", "-n", "10000", "-s", "64"]) },
            bar: Bar(Metric::Latency, 1.0),
        },
        Case {
            name: "pyzmq PUSH-PULL 64".into(),
            programs: Programs::Python { script: ours, arguments: arguments(&["--count", "300000", "--size", "64"]) },
            bar: Bar(Metric::Throughput, 1.0),
        },
    ])
}

/// Medians, the libraries in turn. A library that fails in one round has no figure.
fn measure(
    stage: &Stage,
    case: &Case,
    libraries: &[Library],
    rounds: usize,
) -> Result<BTreeMap<&'static str, Option<f64>>> {
    let mut figures: BTreeMap<&'static str, Option<Vec<f64>>> =
        libraries.iter().map(|library| (library.title(), Some(Vec::new()))).collect();
    for _ in 0..rounds {
        for library in libraries {
            let Some(Some(known)) = figures.get_mut(library.title()) else { continue };
            match play(stage, case, library)? {
                Some(figure) => known.push(figure),
                None => drop(figures.insert(library.title(), None)),
            }
        }
    }
    Ok(figures.into_iter().map(|(title, known)| (title, known.map(median))).collect())
}

fn play(stage: &Stage, case: &Case, library: &Library) -> Result<Option<f64>> {
    let mut commands = stage.commands(&case.programs, library)?;
    for command in &commands {
        match case.programs {
            Programs::Python { .. } => stage.python.runs_on(library)?,
            _ => library.serves(Path::new(command.get_program()))?,
        }
    }
    let log = |end: usize| stage.logs.join(format!("perf-{end}.log"));
    let ended = thread::scope(|scope| {
        let ends = commands.iter_mut().enumerate();
        let ends: Vec<_> =
            ends.map(|(end, command)| scope.spawn(move || process::run(command, LIMIT, &log(end)))).collect();
        let join = |end: thread::ScopedJoinHandle<'_, Result<process::Ended>>| {
            end.join().map_err(|_| anyhow!("the thread of a program panicked"))?
        };
        ends.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    process::end_strays()?;
    // A socket file that is left over is in nobody's way, as each library takes it over.
    let _ = fs::remove_file(stage.scratch.join("perf.sock"));
    if ended.iter().any(|end| end.failure().is_some()) {
        return Ok(None);
    }
    let output: String = ended.iter().map(|end| end.output.as_str()).collect();
    figure(&output, case.bar.0).map(Some).with_context(|| format!("{} printed no figure: {output}", case.name))
}

/// The number before the unit.
fn figure(output: &str, metric: Metric) -> Option<f64> {
    let words: Vec<_> = output.split_whitespace().collect();
    words.windows(2).find(|pair| metric.units().contains(&pair[1])).and_then(|pair| pair[0].parse().ok())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn text(figure: Option<f64>) -> String {
    figure.map_or(
        "not finished".into(),
        |figure| {
            if figure < 1000.0 { format!("{figure:.2}") } else { format!("{figure:.0}") }
        },
    )
}
