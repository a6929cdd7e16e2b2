//! Tables, as text and as Markdown.

/// A title, a header and rows of as many cells.
pub(super) struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(title: &str, header: &[&str]) -> Self {
        Self { title: title.into(), header: header.iter().map(|&cell| cell.into()).collect(), rows: Vec::new() }
    }

    /// Adds columns. To be called before the first row is pushed.
    pub(super) fn add_columns(&mut self, names: impl Iterator<Item = &'static str>) {
        self.header.extend(names.map(String::from));
    }

    /// Adds a row of as many cells as there are columns.
    pub(super) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    /// Columns aligned by spaces.
    pub(super) fn to_text(&self) -> String {
        let widths = self.widths();
        let mut text = if self.title.is_empty() { String::new() } else { format!("{}\n", self.title) };
        for row in self.lines() {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// A table of GitHub's dialect, under a heading.
    pub(super) fn to_markdown(&self) -> String {
        let mut text = if self.title.is_empty() { String::new() } else { format!("### {}\n\n", self.title) };
        let rule = vec!["---".to_owned(); self.header.len()];
        for row in [&self.header, &rule].into_iter().chain(&self.rows) {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        text
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        [&self.header].into_iter().chain(&self.rows)
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.lines().map(|row| row[column].chars().count()).max().unwrap_or_default();
        (0..self.header.len()).map(width).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new("", &["a", "µ"]);
        table.push(vec!["long".into(), "x".into()]);
        assert_eq!(table.to_text(), "a     µ\nlong  x\n");
        assert_eq!(table.to_markdown(), "| a | µ |\n| --- | --- |\n| long | x |\n");
    }
}
