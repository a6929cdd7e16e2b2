//! What is made of the results: a judgement for every bar, tables, a plot, and a file for programs.

mod json;
mod svg;
mod table;

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::cases::{Bar, Demand};
use crate::contender::Contender;
use crate::machine::Machine;
use crate::metric::{Metric, significant};
use crate::run::CaseResult;
use table::Table;

/// Stands for a figure that does not exist.
const NOTHING: &str = "–";

/// Everything that is known at the end.
pub(crate) struct Report {
    machine: Machine,
    results: Vec<CaseResult>,
}

impl Report {
    /// A report of `results`, measured on `machine`.
    pub(crate) fn new(machine: Machine, results: Vec<CaseResult>) -> Self {
        Self { machine, results }
    }

    /// Tables for a terminal.
    pub(crate) fn to_text(&self) -> String {
        let tables: String = self.tables().iter().map(|table| format!("{}\n", table.to_text())).collect();
        let notes: String = self.footnotes().iter().map(|note| format!("{note}\n")).collect();
        format!("\n{}\n\n{tables}{notes}", self.origin())
    }

    /// What can be said after a smoke run, whose figures mean nothing.
    pub(crate) fn to_smoke_text(&self) -> String {
        let runs: usize = self.results.iter().map(|result| result.series.len()).sum();
        let failures: Vec<_> = self.results.iter().flat_map(failures).collect();
        let sum = format!("{} cases, {runs} runs, {} of which failed.\n", self.results.len(), failures.len());
        failures.into_iter().map(|failure| format!("{failure}\n")).chain([sum]).collect()
    }

    /// Tables for a page.
    pub(crate) fn to_markdown(&self) -> String {
        let tables: String = self.tables().iter().map(|table| format!("{}\n", table.to_markdown())).collect();
        let notes: String = self.footnotes().iter().map(|note| format!("{note}\n\n")).collect();
        format!("{}\n\n{tables}{notes}", self.origin())
    }

    /// A plot of everybody's figures relative to libzmq's.
    pub(crate) fn to_svg(&self) -> String {
        svg::plot(&self.machine.to_string(), &self.versions().join(", "), &self.results)
    }

    /// All figures of all rounds.
    pub(crate) fn to_json(&self) -> Result<String> {
        json::write(&self.machine, &self.versions(), &self.results)
    }

    /// Where the figures come from, and of what.
    fn origin(&self) -> String {
        format!("{}. {}.", self.machine, self.versions().join(", "))
    }

    fn versions(&self) -> Vec<String> {
        let contenders: BTreeSet<_> = self.results.iter().flat_map(|result| result.series.keys()).collect();
        let mut versions: Vec<_> = contenders.into_iter().filter_map(|contender| contender.version()).collect();
        versions.dedup();
        versions
    }

    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.judgements()];
        tables.extend(self.matrix("All figures", |result| Some(result.case.metric)));
        for metric in [
            Metric::P99,
            Metric::P999,
            Metric::Mean,
            Metric::ConnectionRate,
            Metric::SubscriptionMemory,
            Metric::Lost,
            Metric::Cpu,
            Metric::SystemCalls,
        ] {
            let is_extra =
                |result: &CaseResult| (result.case.metric != metric && has_something(result, metric)).then_some(metric);
            tables.extend(self.matrix(metric.title(), is_extra));
        }
        tables
    }

    /// A row for each bar, and one for each case without.
    fn judgements(&self) -> Table {
        let mut table = Table::new("", &["case", "of", "figure", "against", "figure", "ratio", "bar", "verdict"]);
        for judgement in self.results.iter().flat_map(judge) {
            table.push(judgement.cells());
        }
        table
    }

    /// A column for each contender, a row for each case that `metric` has something to say about.
    fn matrix(&self, title: &str, metric: impl Fn(&CaseResult) -> Option<Metric>) -> Option<Table> {
        let figure = |result: &CaseResult, who| metric(result).and_then(|metric| result.figure(who, metric));
        let everybody: BTreeSet<_> = self.results.iter().flat_map(|result| result.series.keys().copied()).collect();
        let present: Vec<_> = everybody
            .into_iter()
            .filter(|&who| self.results.iter().any(|result| figure(result, who).is_some()))
            .collect();
        let mut table = Table::new(title, &["case"]);
        table.add_columns(present.iter().map(|who| who.short_name()));
        for result in &self.results {
            let Some(metric) = metric(result) else { continue };
            let cells: Vec<_> = present.iter().map(|&who| cell(result, who, metric)).collect();
            if present.iter().any(|&who| figure(result, who).is_some()) {
                table.push([vec![result.case.name.clone()], cells].concat());
            }
        }
        (!present.is_empty()).then_some(table)
    }

    fn footnotes(&self) -> Vec<String> {
        let has_loss = self.results.iter().any(|result| has_something(result, Metric::Lost));
        let mut notes = Vec::from_iter(self.machine.warning());
        notes.extend(self.results.iter().flat_map(failures));
        if has_loss {
            notes.push(
                "* lost messages when its sender closed; the figure is that of the messages that arrived.".into(),
            );
        }
        notes
    }
}

/// Who failed in a case, and why.
fn failures(result: &CaseResult) -> impl Iterator<Item = String> {
    let name = &result.case.name;
    result.series.iter().filter_map(move |(contender, series)| {
        series.as_ref().err().map(|error| format!("{name}: {contender} failed: {error:#}"))
    })
}

/// Whether anybody's figure differs from nothing.
fn has_something(result: &CaseResult, metric: Metric) -> bool {
    result.series.keys().any(|&who| result.figure(who, metric).is_some_and(|figure| figure != 0.0))
}

/// A figure in a table of all.
fn cell(result: &CaseResult, contender: Contender, metric: Metric) -> String {
    match result.series.get(&contender) {
        Some(Err(_)) => "failed".into(),
        _ => show(result, contender, metric),
    }
}

/// A contender's figure, marked if it lost messages on the way.
fn show(result: &CaseResult, contender: Contender, metric: Metric) -> String {
    let Some(figure) = result.figure(contender, metric) else { return NOTHING.into() };
    let mark = if metric == Metric::Rate && loses(result, contender) { " *" } else { "" };
    format!("{}{mark}", metric.format(figure))
}

fn loses(result: &CaseResult, contender: Contender) -> bool {
    result.figure(contender, Metric::Lost).is_some_and(|share| share > 0.0)
}

/// A bar beside what was measured.
#[derive(Serialize)]
struct Judgement {
    case: String,
    metric: Metric,
    subject: Contender,
    figure: Option<f64>,
    reference: Option<Contender>,
    reference_figure: Option<f64>,
    ratio: Option<f64>,
    bar: Option<String>,
    is_met: Option<bool>,
    #[serde(skip)]
    shown: [String; 2],
}

impl Judgement {
    fn cells(&self) -> Vec<String> {
        let verdict = match (self.is_met, &self.bar) {
            (Some(true), _) => "met",
            (Some(false), _) => "missed",
            (None, Some(_)) => NOTHING,
            (None, None) => "",
        };
        let [figure, reference_figure] = self.shown.clone();
        vec![
            self.case.clone(),
            format!("{}, {}", self.subject, self.metric.label()),
            figure,
            self.reference.map(|other| other.to_string()).unwrap_or_default(),
            reference_figure,
            self.ratio.map(|ratio| format!("{} ×", significant(ratio))).unwrap_or_default(),
            self.bar.clone().unwrap_or_default(),
            verdict.into(),
        ]
    }
}

/// Each bar of a case beside its figures. A case without a bar for what it is about is compared with libzmq all
/// the same.
fn judge(result: &CaseResult) -> Vec<Judgement> {
    let case = &result.case;
    let mut judgements: Vec<_> = case.bars.iter().map(|bar| judge_bar(result, bar)).collect();
    if !case.bars.iter().any(|bar| bar.metric == case.metric) {
        judgements.insert(0, compare_with(result, Contender::Nought, case.metric, Some(Contender::Libzmq)));
    }
    judgements
}

fn judge_bar(result: &CaseResult, bar: &Bar) -> Judgement {
    let mut judgement = compare_with(result, bar.subject, bar.metric, bar.demand.reference());
    judgement.is_met = judgement.figure.and_then(|figure| bar.demand.is_met(figure, judgement.reference_figure));
    judgement.bar = Some(bar.demand.describe(bar.metric));
    if matches!(bar.demand, Demand::AtMostMore(..)) {
        judgement.ratio = None;
    }
    judgement
}

fn compare_with(result: &CaseResult, subject: Contender, metric: Metric, reference: Option<Contender>) -> Judgement {
    let figure = result.figure(subject, metric);
    let reference_figure = reference.and_then(|other| result.figure(other, metric));
    let reference_shown = reference.map(|other| cell(result, other, metric)).unwrap_or_default();
    Judgement {
        case: result.case.name.clone(),
        metric,
        subject,
        figure,
        reference,
        reference_figure,
        ratio: figure.zip(reference_figure).map(|(figure, other)| figure / other).filter(|ratio| ratio.is_finite()),
        bar: None,
        is_met: None,
        shown: [cell(result, subject, metric), reference_shown],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn who_failed_is_said_with_the_reason() {
        let case = crate::cases::all().into_iter().find(|case| case.name == "curve/tcp/64").unwrap();
        let failed = BTreeMap::from([(Contender::SystemLibzmq, Err(anyhow::anyhow!("no such library")))]);
        let report = Report::new(Machine::this(), vec![CaseResult { case, series: failed }]);
        for text in [report.to_text(), report.to_smoke_text(), report.to_markdown()] {
            assert!(text.contains("curve/tcp/64: the system's libzmq failed: no such library"), "{text}");
        }
    }
}
