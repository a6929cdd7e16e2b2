//! `nought completions`: what a shell needs to complete the command's arguments.

use clap::{Args, Command, CommandFactory, Subcommand};
use clap_complete::Shell;

use crate::{Cli, PublicCommand, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  nought completions bash > ~/.local/share/bash-completion/completions/nought
  nought completions zsh > ~/.zfunc/_nought      # with ~/.zfunc in fpath
  nought completions fish > ~/.config/fish/completions/nought.fish";

/// Print the completions for a shell
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints them to standard output.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut public_command(), "nought", &mut script);
    output::print(String::from_utf8_lossy(&script))
}

/// The command without what only its own processes call.
fn public_command() -> Command {
    let all = Cli::command();
    let root = Command::new("nought").version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    let root = root.about(all.get_about().cloned().unwrap_or_default());
    PublicCommand::augment_subcommands(root.subcommand_required(true))
}
