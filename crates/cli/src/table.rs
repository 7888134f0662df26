//! Tables as `flux` prints them: left-aligned columns, no borders.

use std::fmt::Write as _;

/// Returns the rows as text, each cell padded to the widest of its column and followed by a tab.
///
/// Line breaks inside cells become spaces, so that a row stays a line.
pub(crate) fn format(header: Option<&[&str]>, rows: &[Vec<String>]) -> String {
    let header = header.map(|header| header.iter().map(|cell| (*cell).to_owned()).collect());
    let rows: Vec<Vec<String>> = header
        .into_iter()
        .chain(rows.iter().cloned())
        .map(|row: Vec<String>| row.iter().map(|cell| cell.trim().replace('\n', " ")).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}\t");
        }
        text.push('\n');
    }
    text
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_each_column_to_its_widest_cell() {
        let rows = vec![
            vec!["podinfo".to_owned(), "True".to_owned()],
            vec!["a".to_owned(), "False".to_owned()],
        ];
        assert_eq!(
            format(Some(&["NAME", "READY"]), &rows),
            "NAME   \tREADY\t\npodinfo\tTrue \t\na      \tFalse\t\n"
        );
    }

    #[test]
    fn keeps_a_row_on_one_line() {
        assert_eq!(format(None, &[vec!["two\nlines".to_owned()]]), "two lines\t\n");
    }
}
