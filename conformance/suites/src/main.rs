//! Runs suites that nobody here wrote, on libzmq and on nought, and shows both columns in one table:
//! `cargo run -p nought-suites -- libzmq-tests`.
//!
//! A suite is a file of [`suite`]. It fetches and builds what it needs into `target/suites`, once, and gives what its
//! cases did on one [`library`] after the other to a [`report`]. The same programs run on both: a folder in
//! `LD_LIBRARY_PATH` is all the difference. Nothing is skipped in silence; what cannot be fetched or built is an error.

mod compiler;
mod library;
mod process;
mod python;
mod report;
mod suite;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use library::Name;
use workspace::Workspace;

/// Runs suites that nobody here wrote on libzmq and on nought's libzmq.so.5, side by side.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// libzmq's own tests of its stable API.
    LibzmqTests(Selection),
    /// libzmq's own tests of its draft API, beside a libzmq that is built with it.
    LibzmqDrafts(Selection),
    /// The tests of pyzmq, Python's binding.
    Pyzmq(Selection),
    /// The tests of jupyter_client, on that pyzmq: kernels that are started, asked and restarted.
    Jupyter(Selection),
    /// The tests of the crate zmq, Rust's binding.
    ZmqCrate(Selection),
    /// The examples in C and Python, which are ours.
    Examples(Selection),
    /// Speed, by libzmq's own programs and by pyzmq. On a machine that does nothing else.
    Perf {
        #[command(flatten)]
        selection: Selection,
        /// How often each case is run on each library; the figures are medians.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

/// What of a suite is run, and on what.
#[derive(Args)]
struct Selection {
    /// The libraries to run on.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Name::Libzmq, Name::Nought])]
    on: Vec<Name>,
    /// Only cases whose names contain this; the number of cases is not checked then.
    pattern: Option<String>,
}

impl Selection {
    fn includes(&self, case: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| case.contains(pattern))
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse().suite) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nought-suites: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(suite: &Suite) -> Result<()> {
    process::adopt_orphans()?;
    let workspace = Workspace::open()?;
    match suite {
        Suite::LibzmqTests(selection) => suite::libzmq_tests::run_stable(&workspace, selection),
        Suite::LibzmqDrafts(selection) => suite::libzmq_tests::run_drafts(&workspace, selection),
        Suite::Pyzmq(selection) => suite::pyzmq::run(&workspace, selection),
        Suite::Jupyter(selection) => suite::jupyter::run(&workspace, selection),
        Suite::ZmqCrate(selection) => suite::zmq_crate::run(&workspace, selection),
        Suite::Examples(selection) => suite::examples::run(&workspace, selection),
        Suite::Perf { selection, rounds } => suite::perf::run(&workspace, selection, *rounds),
    }
}
