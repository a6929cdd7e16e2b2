//! The `nought` command: a demonstration of topologies, `cat` for sockets in a shell, benchmarks, and keys.

mod bench;
mod cat;
mod completions;
mod demo;
mod endpoints;
mod failure;
mod interrupt;
mod keygen;
mod offspring;
mod output;
mod samples;
mod units;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use self::failure::{Failure, code};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    an error; its message is on standard error
  2    wrong arguments
  3    a time-out passed
  130  interrupted (Ctrl-C); other signals have 128 and their number, SIGTERM 143";

/// ØMQ from the command line
#[derive(Parser)]
#[command(name = "nought", version, after_help = EXIT_CODES)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: AnyCommand,
}

#[derive(Subcommand)]
enum AnyCommand {
    #[command(flatten)]
    Public(PublicCommand),
    /// The processes that `demo` and `bench` start.
    #[command(subcommand, hide = true)]
    Child(ChildCommand),
}

#[derive(Subcommand)]
enum PublicCommand {
    Demo(demo::DemoArgs),
    Cat(Box<cat::CatArgs>),
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    Keygen(keygen::KeygenArgs),
    Completions(completions::CompletionsArgs),
}

#[derive(Subcommand)]
enum ChildCommand {
    Broker(demo::BrokerArgs),
    Worker(demo::WorkerArgs),
    BenchPeer(bench::PeerArgs),
}

fn main() -> ExitCode {
    let (path, result) = match Cli::try_parse() {
        Ok(Cli { command: AnyCommand::Public(command) }) => run(command),
        Ok(Cli { command: AnyCommand::Child(command) }) => (vec!["child"], run_child(command)),
        Err(error) if error.use_stderr() => error.exit(),
        // Help, and the version.
        Err(help) => (vec![], print_help(&help)),
    };
    result.map_or_else(|failure| report(&path, &failure), |()| code::OK.into())
}

fn print_help(help: &clap::Error) -> Result<(), Failure> {
    help.print().and_then(|()| io::stdout().flush()).map_err(Failure::of_output)
}

/// Runs a command; also says which it was, for the messages.
fn run(command: PublicCommand) -> (Vec<&'static str>, Result<(), Failure>) {
    match command {
        PublicCommand::Demo(args) => (vec!["demo"], demo::run(args)),
        PublicCommand::Cat(args) => (vec!["cat"], cat::run(*args)),
        PublicCommand::Bench(command) => (vec!["bench", command.name()], bench::run(command)),
        PublicCommand::Keygen(args) => (vec!["keygen"], keygen::run(&args)),
        PublicCommand::Completions(args) => (vec!["completions"], completions::run(&args)),
    }
}

fn run_child(command: ChildCommand) -> Result<(), Failure> {
    offspring::end_with_parent();
    match command {
        ChildCommand::Broker(args) => demo::run_broker(args),
        ChildCommand::Worker(args) => demo::run_worker(&args),
        ChildCommand::BenchPeer(args) => bench::run_peer(&args),
    }
}

fn report(path: &[&str], failure: &Failure) -> ExitCode {
    match failure {
        Failure::Usage(message) => print_usage_error(path, message),
        _ => failure.message().into_iter().for_each(output::tell),
    }
    failure.code().into()
}

/// Prints `message` as clap prints its own errors, with the usage of the command that it is about.
fn print_usage_error(path: &[&str], message: &str) {
    let mut command = Cli::command();
    command.build();
    let mut command = &mut command;
    for name in path {
        command = command.find_subcommand_mut(name).expect("the path is that of a command");
    }
    let error = command.error(ErrorKind::ArgumentConflict, message);
    // Without a standard error there is nobody to tell; the exit code says it too.
    let _ = error.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_is_sound() {
        Cli::command().debug_assert();
    }
}
