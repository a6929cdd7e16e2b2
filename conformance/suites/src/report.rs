//! What cases did on each library, as a table, and whether that is enough.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{
    Selection,
    library::{Library, Name},
};

/// What a case did on one library. It may consist of several tests.
pub(crate) struct Case {
    pub(crate) passed: usize,
    /// Tests that found what they need missing, by their own judgement.
    pub(crate) skipped: usize,
    pub(crate) failure: Option<String>,
    pub(crate) took: Duration,
}

impl Case {
    /// One that should have run.
    pub(crate) fn missing() -> Self {
        Self { passed: 0, skipped: 0, failure: Some("did not run".into()), took: Duration::ZERO }
    }

    fn has_passed(&self) -> bool {
        self.failure.is_none() && self.passed > 0
    }

    /// Whether this is as good as `original`, if that has passed.
    fn reaches(&self, original: &Self) -> bool {
        !original.has_passed() || (self.has_passed() && self.passed >= original.passed)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self { failure: Some(_), passed: 0, .. } => "FAILED".into(),
            Self { failure: Some(_), passed, .. } => format!("FAILED, {passed} passed"),
            Self { passed: 0, .. } => "skipped".into(),
            Self { passed, skipped: 0, .. } => format!("{passed} passed"),
            Self { passed, skipped, .. } => format!("{passed} passed, {skipped} skipped"),
        };
        write!(f, "{what:<22}{:>6.1} s", self.took.as_secs_f64())
    }
}

/// A row for each case, a column for each library.
pub(crate) struct Report {
    columns: Vec<(Name, &'static str)>,
    rows: BTreeMap<String, Vec<Case>>,
}

impl Report {
    /// An empty one; prints the heading.
    pub(crate) fn new(libraries: &[Library]) -> Self {
        let columns: Vec<_> = libraries.iter().map(|library| (library.name, library.title())).collect();
        let titles: String = columns.iter().map(|(_, title)| format!("{title:<32}")).collect();
        println!("{:<44} {}", "", titles.trim_end());
        Self { columns, rows: BTreeMap::new() }
    }

    /// Adds a row, with a case for each library, and prints it.
    pub(crate) fn show(&mut self, name: &str, cases: Vec<Case>) {
        println!("{}", row(name, &cases));
        self.rows.insert(name.into(), cases);
    }

    /// Adds a row, and prints it only if it did not pass everywhere.
    pub(crate) fn add(&mut self, name: &str, cases: Vec<Case>) {
        if cases.iter().all(Case::has_passed) {
            self.rows.insert(name.into(), cases);
        } else {
            self.show(name, cases);
        }
    }

    /// Prints the sums. Fails if a column has fewer cases that passed than are `wanted`, which is asked for only of a whole
    /// suite, or if one failed on nought, or did less than on libzmq.
    pub(crate) fn finish(&self, wanted: usize, selection: &Selection) -> Result<()> {
        println!();
        for (index, (_, title)) in self.columns.iter().enumerate() {
            println!("{title}: {}", self.sum(index));
        }
        if self.rows.is_empty() {
            bail!("no such case");
        }
        let worse = self.worse_than_original();
        ensure!(worse.is_empty(), "{} are worse on nought than on libzmq: {}", worse.len(), worse.join(", "));
        for (index, (_, title)) in self.columns.iter().enumerate().filter(|_| selection.pattern.is_none()) {
            let passed = self.column(index).filter(|case| case.has_passed()).count();
            ensure!(passed >= wanted, "on {title} {passed} passed, and {wanted} have to");
        }
        Ok(())
    }

    fn column(&self, index: usize) -> impl Iterator<Item = &Case> {
        self.rows.values().filter_map(move |cases| cases.get(index))
    }

    fn sum(&self, index: usize) -> String {
        let passed = self.column(index).filter(|case| case.has_passed()).count();
        let failed = self.column(index).filter(|case| case.failure.is_some()).count();
        let skipped = self.column(index).count() - passed - failed;
        let took: Duration = self.column(index).map(|case| case.took).sum();
        format!("{passed} passed, {failed} failed, {skipped} skipped in {:.0} s", took.as_secs_f64())
    }

    /// Where libzmq does not run beside nought, those that fail.
    fn worse_than_original(&self) -> Vec<&str> {
        let position = |wanted| self.columns.iter().position(|&(name, _)| name == wanted);
        let Some(ours) = position(Name::Nought) else { return Vec::new() };
        let is_worse = |cases: &[Case]| match position(Name::Libzmq) {
            Some(original) => !cases[ours].reaches(&cases[original]),
            None => cases[ours].failure.is_some(),
        };
        self.rows.iter().filter(|(_, cases)| is_worse(cases)).map(|(name, _)| name.as_str()).collect()
    }
}

/// The cells, and beneath them why something failed.
fn row(name: &str, cases: &[Case]) -> String {
    let cells: String = cases.iter().map(|case| format!("{case:<32}", case = case.to_string())).collect();
    let reasons = cases.iter().filter_map(|case| case.failure.as_ref());
    let reasons: String = reasons.map(|reason| format!("\n    {reason}")).collect();
    format!("{name:<44} {}{reasons}", cells.trim_end())
}
