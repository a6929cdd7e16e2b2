//! All figures of all rounds, for programs.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::{Judgement, judge};
use crate::contender::Contender;
use crate::machine::Machine;
use crate::metric::Metric;
use crate::run::{CaseResult, Series};

#[derive(Serialize)]
struct Document<'a> {
    machine: &'a Machine,
    versions: &'a [String],
    bars: Vec<Judgement>,
    cases: Vec<CaseFigures<'a>>,
}

#[derive(Serialize)]
struct CaseFigures<'a> {
    name: &'a str,
    metric: Metric,
    contenders: BTreeMap<Contender, Figures>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Figures {
    Failed(String),
    Measured(BTreeMap<Metric, Rounds>),
}

#[derive(Serialize)]
struct Rounds {
    figure: Option<f64>,
    rounds: Vec<f64>,
}

/// The document.
pub(super) fn write(machine: &Machine, versions: &[String], results: &[CaseResult]) -> Result<String> {
    let bars = results.iter().flat_map(judge).collect();
    let cases = results.iter().map(case_figures).collect();
    Ok(serde_json::to_string_pretty(&Document { machine, versions, bars, cases })?)
}

fn case_figures(result: &CaseResult) -> CaseFigures<'_> {
    let contenders = result.series.iter().map(|(&contender, series)| (contender, figures(series))).collect();
    CaseFigures { name: &result.case.name, metric: result.case.metric, contenders }
}

fn figures(series: &Result<Series>) -> Figures {
    match series {
        Err(error) => Figures::Failed(format!("{error:#}")),
        Ok(series) => Figures::Measured(series.metrics().map(|metric| (metric, rounds(series, metric))).collect()),
    }
}

fn rounds(series: &Series, metric: Metric) -> Rounds {
    Rounds { figure: series.figure(metric), rounds: series.all(metric) }
}
