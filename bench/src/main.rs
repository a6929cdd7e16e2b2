//! Measures nought against its peers, on the same work, in one run: `cargo run --release -p nought-bench --
//! compare`.
//!
//! `compare` plays every case of [`cases`] with every contender in turn: each run hires fresh processes of this
//! same binary (the hidden `role` command), which speak over their pipes in the words of [`desk`]. [`run`] repeats
//! and takes medians, [`report`] turns them into a table, JSON, SVG and Markdown. A library under test is one file
//! of [`peer`], a job that it is given is one file of [`work`], and neither knows anything of the other.

mod cases;
mod compare;
mod contender;
mod cost;
mod desk;
mod machine;
mod metric;
mod payload;
mod peer;
mod process;
mod report;
mod run;
mod statistics;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures nought against libzmq, omq-tokio, rzmq, zeromq and bare sockets.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the cases and prints a row for each, with both figures, the ratio, the bar, and whether it is met.
    Compare(compare::Options),
    /// Plays one part in a case; `compare` starts these processes itself.
    #[command(hide = true)]
    Role,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Compare(options) => compare::compare(&options),
        Command::Role => process::play_role(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nought-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
