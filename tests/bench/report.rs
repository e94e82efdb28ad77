//! What was measured, as tables for readers, or as JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::measure::{in_turn, median_and_least};

/// What stands in a table.
pub enum Cell {
    /// Nothing: it can't be measured here.
    Nothing,
    /// A number, with so many digits after the point.
    Number(f64, usize),
}

/// Rows of what was measured, each with a name.
pub struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// One with these columns, before which is that of names.
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Table {
        Table { title: title.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "{}", self.title);
        self.rows.push((name.into(), cells));
    }

    /// The whole of it, as it is written into documents.
    fn text(&self) -> String {
        let mut text = format!("{}\n\n| |", self.title);
        self.columns.iter().for_each(|column| text += &format!(" {column} |"));
        text += "\n|---|";
        self.columns.iter().for_each(|_| text += "---:|");
        for (name, cells) in &self.rows {
            text += &format!("\n| {name} |");
            for cell in cells {
                text += &match cell {
                    Cell::Nothing => " - |".to_owned(),
                    Cell::Number(number, digits) => format!(" {number:.digits$} |"),
                };
            }
        }
        text
    }

    fn json(&self) -> Value {
        let row = |(name, cells): &(String, Vec<Cell>)| {
            let mut row = Map::from_iter([("name".to_owned(), json!(name))]);
            for (column, cell) in self.columns.iter().zip(cells) {
                let value = match cell {
                    Cell::Nothing => Value::Null,
                    Cell::Number(number, _) => json!(number),
                };
                row.insert((*column).to_owned(), value);
            }
            Value::Object(row)
        };
        json!({"title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

/// The columns of [`times`], if ratios are to the first row.
pub const TIMES: [&str; 3] = ["median ms", "least ms", "times the first"];

/// Adds a table of how long named command lines take, which take turns.
pub fn compare<N: Into<String>>(report: &mut Report, title: String, rows: Vec<(N, Vec<String>)>, rounds: usize) {
    let (names, lines): (Vec<N>, Vec<Vec<String>>) = rows.into_iter().unzip();
    let all = in_turn(&lines, rounds);
    let first = median_and_least(all[0].clone()).0;
    let mut table = Table::new(title, &TIMES);
    for (name, all) in names.into_iter().zip(all) {
        table.row(name, times(all, first));
    }
    report.add(&table);
}

/// Median, least, and the median's ratio to another.
pub fn times(times: Vec<Duration>, first: Duration) -> Vec<Cell> {
    let (median, least) = median_and_least(times);
    let ratio = median.as_secs_f64() / first.as_secs_f64();
    vec![milliseconds(median), milliseconds(least), Cell::Number(ratio, 2)]
}

/// Milliseconds.
pub fn milliseconds(time: Duration) -> Cell {
    Cell::Number(time.as_secs_f64() * 1000.0, 2)
}

/// A count, or nothing.
pub fn count(number: Option<u64>) -> Cell {
    number.map_or(Cell::Nothing, |number| Cell::Number(f64::from(u32::try_from(number).unwrap_or(u32::MAX)), 0))
}

/// Where it goes.
pub struct Report {
    /// Whether it is to be JSON.
    json: bool,
    machine: String,
    tables: Vec<Value>,
    notes: Vec<String>,
    failed: bool,
}

impl Report {
    /// A report of measurements on this machine.
    pub fn new(json: bool, machine: String) -> Report {
        if !json {
            println!("{machine}\n");
        }
        Report { json, machine, tables: Vec::new(), notes: Vec::new(), failed: false }
    }

    /// Adds a table.
    pub fn add(&mut self, table: &Table) {
        if self.json {
            self.tables.push(table.json());
        } else {
            println!("{}\n", table.text());
        }
    }

    /// Adds words.
    pub fn note(&mut self, words: impl Into<String>) {
        let words = words.into();
        if !self.json {
            println!("{words}\n");
        }
        self.notes.push(words);
    }

    /// Adds words about what must not be.
    pub fn fail(&mut self, words: impl Into<String>) {
        self.failed = true;
        self.note(words);
    }

    /// Ends it; whether all is as it must be.
    pub fn finish(self) -> bool {
        if self.json {
            println!("{:#}", json!({"machine": self.machine, "tables": self.tables, "notes": self.notes}));
        }
        !self.failed
    }
}
