//! A plot: how many times better than libzmq everybody is, case by case.

use std::fmt::Write;

use crate::cases::Demand;
use crate::contender::Contender;
use crate::metric::{Metric, significant};
use crate::run::CaseResult;

/// Against whom: the one of the two that took part.
const REFERENCES: [Contender; 2] = [Contender::Libzmq, Contender::SystemLibzmq];

/// Whose bars there are, and in which colour: distinct also to the colour-blind.
const BARS: [(Contender, &str); 6] = [
    (Contender::Nought, "#d55e00"),
    (Contender::NoughtSleeping, "#d55e00"),
    (Contender::Omq, "#0072b2"),
    (Contender::Rzmq, "#009e73"),
    (Contender::Zeromq, "#cc79a7"),
    (Contender::Raw, "#999999"),
];

const WIDTH: f64 = 900.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 106.0;
const BAR_HEIGHT: f64 = 9.0;
const GAP: f64 = 9.0;

/// Values of the axis that may get a line.
const TICKS: [f64; 13] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// The plot as an SVG document, which says where the figures come from and of what.
pub(super) fn plot(machine: &str, versions: &str, results: &[CaseResult]) -> String {
    // How many times less than almost nothing somebody idles would say nothing.
    let is_comparable = |result: &&CaseResult| result.case.metric != Metric::Load;
    let groups = results.iter().filter(is_comparable).map(Group::of);
    let groups: Vec<_> = groups.filter(|group| !group.bars.is_empty()).collect();
    let axis = Axis::around(&groups);
    let bottom = TOP + groups.iter().map(Group::height).sum::<f64>();
    let mut svg = Svg::new(bottom + 30.0);
    svg.title(machine, versions);
    svg.legend(&groups);
    svg.ticks(&axis, bottom);
    let mut y = TOP;
    for group in &groups {
        svg.group(group, &axis, y);
        y += group.height();
    }
    svg.finish()
}

/// The bars of one case.
struct Group {
    name: String,
    bars: Vec<(Contender, &'static str, f64)>,
    /// What nought is to reach.
    demand: Option<f64>,
}

impl Group {
    fn of(result: &CaseResult) -> Self {
        let metric = result.case.metric;
        let advantage = |times: f64| if metric.more_is_better() { times } else { 1.0 / times };
        let reference = REFERENCES.into_iter().find_map(|reference| result.figure(reference, metric));
        let bars = BARS.into_iter().filter_map(|(contender, colour)| {
            let times = advantage(result.figure(contender, metric)? / reference?);
            times.is_normal().then_some((contender, colour, times))
        });
        let demand = result.case.bars.iter().find_map(|bar| match bar.demand {
            Demand::AtLeast(times, other) | Demand::AtMost(times, other)
                if bar.metric == metric && REFERENCES.contains(&other) =>
            {
                Some(advantage(times))
            }
            _ => None,
        });
        Self { name: result.case.name.clone(), bars: bars.collect(), demand }
    }

    fn height(&self) -> f64 {
        self.bars.len() as f64 * BAR_HEIGHT + GAP
    }
}

/// A logarithmic axis that takes in all values and 1.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn around(groups: &[Group]) -> Self {
        let values = || groups.iter().flat_map(|group| group.bars.iter().map(|bar| bar.2).chain(group.demand));
        let low = values().fold(0.5, f64::min);
        let high = values().fold(2.0, f64::max);
        let is_below = |tick: &&f64| **tick <= low;
        let is_above = |tick: &&f64| **tick >= high;
        Self {
            low: *TICKS.iter().rev().find(is_below).unwrap_or(&low),
            high: *TICKS.iter().find(is_above).unwrap_or(&high),
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (value / self.low).ln() / (self.high / self.low).ln()
    }
}

/// A document in the making.
struct Svg(String);

impl Svg {
    fn new(height: f64) -> Self {
        let mut svg = Self(String::new());
        svg.line(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#222\">"
        ));
        svg.line(format_args!("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"));
        svg
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn title(&mut self, machine: &str, versions: &str) {
        self.line(format_args!(
            "<text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"600\">Times better than libzmq</text>"
        ));
        for (line, y) in [(format!("{machine}. Logarithmic; longer is better."), 44), (versions.into(), 59)] {
            let line = escape(&line);
            self.line(format_args!("<text x=\"16\" y=\"{y}\" fill=\"#666\">{line}</text>"));
        }
    }

    fn legend(&mut self, groups: &[Group]) {
        let mut x = 16.0;
        for (contender, colour) in BARS {
            if !groups.iter().any(|group| group.bars.iter().any(|bar| bar.0 == contender)) {
                continue;
            }
            let name = contender.to_string();
            self.line(format_args!("<rect x=\"{x}\" y=\"74\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"));
            self.line(format_args!("<text x=\"{}\" y=\"83\">{name}</text>", x + 15.0));
            x += 30.0 + 6.2 * name.chars().count() as f64;
        }
        self.line(format_args!("<path d=\"M{x} 72v14\" stroke=\"#000\" stroke-width=\"2\"/>"));
        self.line(format_args!("<text x=\"{}\" y=\"83\">nought's bar</text>", x + 7.0));
    }

    fn ticks(&mut self, axis: &Axis, bottom: f64) {
        for tick in TICKS.into_iter().filter(|tick| (axis.low..=axis.high).contains(tick)) {
            let x = axis.x(tick);
            let colour = if tick == 1.0 { "#444" } else { "#ddd" };
            self.line(format_args!("<path d=\"M{x:.1} {}V{bottom:.1}\" stroke=\"{colour}\"/>", TOP - 6.0));
            let y = bottom + 14.0;
            self.line(format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#666\">{tick} ×</text>"
            ));
        }
    }

    fn group(&mut self, group: &Group, axis: &Axis, top: f64) {
        let bars_height = group.height() - GAP;
        let middle = top + bars_height / 2.0 + 4.0;
        let name = escape(&group.name);
        self.line(format_args!("<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0));
        for (index, &(_, colour, times)) in group.bars.iter().enumerate() {
            self.bar(axis, top + index as f64 * BAR_HEIGHT, colour, times);
        }
        if let Some(demand) = group.demand {
            let x = axis.x(demand);
            let (from, to) = (top - 2.0, top + bars_height + 2.0);
            self.line(format_args!("<path d=\"M{x:.1} {from:.1}V{to:.1}\" stroke=\"#000\" stroke-width=\"2\"/>"));
        }
        for (index, &(_, _, times)) in group.bars.iter().enumerate() {
            self.value(axis, top + (index + 1) as f64 * BAR_HEIGHT, times);
        }
    }

    fn bar(&mut self, axis: &Axis, y: f64, colour: &str, times: f64) {
        let (one, end) = (axis.x(1.0), axis.x(times));
        let (x, width) = (one.min(end), (end - one).abs().max(1.0));
        let height = BAR_HEIGHT - 1.0;
        self.line(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
        ));
    }

    /// A bar's value, at its outer end, legible also upon a line.
    fn value(&mut self, axis: &Axis, bottom: f64, times: f64) {
        let (x, y) = (axis.x(times).max(axis.x(1.0)) + 4.0, bottom - 1.5);
        let times = significant(times);
        self.line(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"8.5\" fill=\"#444\" stroke=\"#fff\" stroke-width=\"2.5\" \
             paint-order=\"stroke\">{times}</text>"
        ));
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
