//! The command `compare`: which cases, with whom, and where the reports go.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use regex_lite::Regex;

use crate::cases::{self, Case};
use crate::contender::Contender;
use crate::machine::Machine;
use crate::report::Report;
use crate::run::{self, CaseResult, Plan};

/// What to compare, and how.
#[derive(Args)]
pub(crate) struct Options {
    /// Compares only these, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = PossibleValuesParser::new(Contender::FAMILIES))]
    peers: Vec<String>,
    /// Runs only the cases whose name this regular expression matches.
    #[arg(long, value_name = "REGEX")]
    cases: Option<Regex>,
    /// How many rounds count; the figures are their medians.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each run lasts, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 700, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,
    /// Lists the cases, who takes part, and the bars; runs nothing.
    #[arg(long)]
    list: bool,
    /// Runs everything once and very briefly, to show that it works; the figures mean nothing.
    #[arg(long)]
    smoke: bool,
    /// Writes all figures of all rounds to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a plot to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Writes the tables to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Runs the command. Fails if something did not work; a missed bar is a result, and no failure.
pub(crate) fn compare(options: &Options) -> Result<ExitCode> {
    let cases: Vec<_> = cases::all().into_iter().filter(|case| options.wants_case(case)).collect();
    if options.list {
        list(&cases, options);
        return Ok(ExitCode::SUCCESS);
    }
    let machine = Machine::this();
    if let Some(warning) = machine.warning() {
        eprintln!("{warning}");
    }
    let results: Vec<_> = cases.iter().filter_map(|case| run_case(case, options)).collect();
    ensure!(!results.is_empty(), "nothing to run: no case has that name, or nobody wanted can do it (see --list)");
    let has_failed = results.iter().any(is_failure);
    let report = Report::new(machine, results);
    print!("{}", if options.smoke { report.to_smoke_text() } else { report.to_text() });
    write(options.json.as_ref(), || report.to_json())?;
    write(options.svg.as_ref(), || Ok(report.to_svg()))?;
    write(options.markdown.as_ref(), || Ok(report.to_markdown()))?;
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs a case, unless nobody takes part.
fn run_case(case: &Case, options: &Options) -> Option<CaseResult> {
    let contenders = options.contenders(case);
    if contenders.is_empty() {
        return None;
    }
    eprintln!("{}", case.name);
    Some(run::run(case, &contenders, options.plan()))
}

fn list(cases: &[Case], options: &Options) {
    for case in cases {
        let names: Vec<_> = options.contenders(case).iter().map(ToString::to_string).collect();
        println!("{}: {}", case.name, names.join("; "));
        for bar in &case.bars {
            let reference = bar.demand.reference().map(|other| format!(" {other}")).unwrap_or_default();
            println!("    {}, {}: {}{reference}", bar.subject, bar.metric.label(), bar.demand.describe(bar.metric));
        }
    }
}

fn write(path: Option<&PathBuf>, content: impl FnOnce() -> Result<String>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, content()?).with_context(|| format!("writing {}", path.display()))
}

impl Options {
    fn wants_case(&self, case: &Case) -> bool {
        self.cases.as_ref().is_none_or(|regex| regex.is_match(&case.name))
    }

    /// Who takes part: those who are wanted, of those who can.
    fn contenders(&self, case: &Case) -> Vec<Contender> {
        let is_wanted = |contender: &Contender| {
            self.peers.is_empty() || self.peers.iter().any(|family| family == contender.family())
        };
        case.contenders.iter().copied().filter(is_wanted).filter(|who| who.supports(case.work)).collect()
    }

    fn plan(&self) -> Plan {
        let rounds = if self.smoke { 1 } else { self.rounds };
        Plan { rounds, duration: Duration::from_millis(self.milliseconds), smoke: self.smoke }
    }
}

/// Whether nought failed, or what it is measured against. What happens to the others is for their authors to mend; the
/// report says it.
fn is_failure(result: &CaseResult) -> bool {
    let matters = |contender: &Contender| matches!(contender.family(), "nought" | "libzmq");
    result.series.iter().any(|(contender, series)| series.is_err() && matters(contender))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_failure_of_nought_or_of_libzmq_fails_the_run() {
        let case = cases::all().into_iter().find(|case| case.name == "curve/tcp/64").unwrap();
        for (contender, matters) in [
            (Contender::NoughtTokio, true),
            (Contender::SystemLibzmq, true),
            (Contender::Libzmq, true),
            (Contender::Omq, false),
        ] {
            let series = BTreeMap::from([(contender, Err(anyhow::anyhow!("it hangs")))]);
            assert_eq!(is_failure(&CaseResult { case: case.clone(), series }), matters, "{contender}");
        }
    }
}
