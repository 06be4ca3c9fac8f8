//! Printing to standard output.

use std::io::{self, ErrorKind, Write};

/// Prints `text`. A reader that has seen enough and closed its end, such as `head`, is no error.
///
/// # Errors
/// If standard output takes no more for another reason.
pub(super) fn print(text: &str) -> Result<(), OutputError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(#[from] io::Error);

/// Rows below their titles, in columns as wide as they need to be.
pub(super) fn table(titles: &[&str], rows: Vec<Vec<String>>) -> String {
    let titles = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = vec![vec!["a".to_owned(), "10".to_owned()], vec!["überlang".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["TOPIC", "N"], rows), "TOPIC     N\na         10\nüberlang  1\n");
        assert_eq!(table(&["TOPIC"], Vec::new()), "TOPIC\n");
    }
}
