//! How results print: columns, templates and JSON, from the same rows.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::parse::{Given, invalid};
use crate::base::error::{Error, Result};
use crate::base::text::Cut;

/// One field of a list's rows: its name in templates and JSON, and its heading in a table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// `ID`, as in `{{.ID}}`.
    pub name: &'static str,
    /// `CONTAINER ID`; empty for a field that the plain table leaves out.
    pub heading: &'static str,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `{{.Name}}` or `{{.State.Pid}}`, without the leading dot.
    Field(String),
    /// `{{json .Name}}`; empty for the whole row.
    Json(String),
}

/// A `--format` template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// What `--format` and `--json` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns with headings.
    Table,
    /// The template's columns with headings: `table {{.A}}\t{{.B}}`.
    TemplateTable(Template),
    /// The template once for each row.
    Template(Template),
    /// One JSON object a line, as docker's `--format json`.
    JsonLines,
    /// One JSON array.
    JsonArray,
}

impl Format {
    /// What `--format` and `--json` ask for together; neither is a table.
    ///
    /// # Errors
    /// A malformed template, or both at once.
    pub fn new(format: Option<Given<'_>>, json: bool) -> Result<Format> {
        let Some(given) = format else {
            return Ok(if json { Format::JsonArray } else { Format::Table });
        };
        if json {
            return Err(given.refuse("--json is given too", "one of --format and --json"));
        }
        match given.text()? {
            "table" => Ok(Format::Table),
            "json" => Ok(Format::JsonLines),
            "" => Err(given.refuse("empty", ACCEPTED)),
            text => match text.strip_prefix("table ") {
                Some(columns) => Template::parse(&given, columns.trim_ascii_start()).map(Format::TemplateTable),
                None => Template::parse(&given, text).map(Format::Template),
            },
        }
    }
}

const ACCEPTED: &str = "table, json, or text with fields such as '{{.ID}}' or '{{json .}}'";

impl Template {
    /// Reads a template; `\t` and `\n` are tab and newline.
    ///
    /// # Errors
    /// Braces that do not close, or anything but a field between them.
    fn parse(given: &Given<'_>, text: &str) -> Result<Template> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("{{") {
            let (inner, after) = tail.split_once("}}").ok_or_else(|| given.refuse("{{ without }}", ACCEPTED))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(unescape(before)));
            }
            let inner = inner.trim_ascii();
            let json = inner.strip_prefix("json ").map(str::trim_ascii_start);
            let path = json.unwrap_or(inner).strip_prefix('.').filter(|path| is_path(path));
            pieces.push(match (path, json) {
                (Some(path), Some(_)) => Piece::Json(path.into()),
                (Some(path), None) if !path.is_empty() => Piece::Field(path.into()),
                _ => return Err(given.refuse("not a field", ACCEPTED)),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(unescape(rest)));
        }
        Ok(Template(pieces))
    }

    /// The template of the plain table: every field that has a heading, with tabs between.
    fn columns(fields: &[Field]) -> Template {
        let mut pieces = Vec::new();
        for field in fields.iter().filter(|field| !field.heading.is_empty()) {
            if !pieces.is_empty() {
                pieces.push(Piece::Text("\t".into()));
            }
            pieces.push(Piece::Field(field.name.into()));
        }
        Template(pieces)
    }

    /// Fills the template in. `lookup` gets a field's path without its leading dot, empty for everything, and whether JSON
    /// is wanted.
    ///
    /// # Errors
    /// Whatever `lookup` returns, [`unknown_field`] above all.
    pub fn render(&self, lookup: &mut dyn FnMut(&str, bool) -> Result<String>) -> Result<String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(path) => out.push_str(&lookup(path, false)?),
                Piece::Json(path) => out.push_str(&lookup(path, true)?),
            }
        }
        Ok(out)
    }
}

fn is_path(path: &str) -> bool {
    path.is_empty()
        || path
            .parts(b'.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = match letters.peek() {
            Some('t') if letter == '\\' => Some('\t'),
            Some('n') if letter == '\\' => Some('\n'),
            _ => None,
        };
        if escaped.is_some() {
            letters.next();
        }
        out.push(escaped.unwrap_or(letter));
    }
    out
}

/// The error for a template's field that does not exist.
pub fn unknown_field(name: &str, known: &mut dyn Iterator<Item = &str>) -> Error {
    let mut list = String::new();
    for name in known {
        let _ = write!(list, "{}.{name}", if list.is_empty() { "" } else { ", " });
    }
    invalid(format!("{{{{.{name}}}}}").as_bytes(), "--format", "no such field", &list)
}

/// Prints a list. Each row has one value for each field.
///
/// # Errors
/// The format names a field that is not among `fields`; also if there are no rows.
#[inline(never)]
pub fn list(format: &Format, fields: &[Field], rows: &[Vec<String>]) -> Result<String> {
    let mut out = String::new();
    let plain;
    let (template, table) = match format {
        Format::Table => {
            plain = Template::columns(fields);
            (&plain, true)
        }
        Format::TemplateTable(template) => (template, true),
        Format::Template(template) => (template, false),
        Format::JsonLines | Format::JsonArray => {
            objects(&mut out, fields, rows, *format == Format::JsonArray);
            return Ok(out);
        }
    };
    // Without a table the headings only prove that every field exists, even if there is no row to fill in.
    let headings = template.render(&mut |name, json| match name {
        "" if json => Ok(String::new()),
        _ => find(fields, name).map(|at| heading(&fields[at])),
    })?;
    let mut lines = Vec::with_capacity(rows.len() + 1);
    lines.push(headings);
    for row in rows {
        lines.push(template.render(&mut |name, json| value(fields, row, name, json))?);
    }
    if table {
        columns(&mut out, &lines, 10);
    } else {
        for line in &lines[1..] {
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Rows as JSON objects: one a line, or as one array.
fn objects(out: &mut String, fields: &[Field], rows: &[Vec<String>], array: bool) {
    let (start, between, end) = if array { ("[\n  ", ",\n  ", "\n]\n") } else { ("", "\n", "\n") };
    if rows.is_empty() {
        out.push_str(if array { "[]\n" } else { "" });
        return;
    }
    for (index, row) in rows.iter().enumerate() {
        out.push_str(if index == 0 { start } else { between });
        out.push_str(&object(fields, row));
    }
    out.push_str(end);
}

/// Lays lines out in columns that tabs part, as docker does: at least so wide, at least three spaces apart, nothing behind
/// the last.
pub fn columns(out: &mut String, lines: &[String], least: usize) {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        for (index, cell) in line.parts(b'\t').enumerate() {
            if index == widths.len() {
                widths.push(least);
            }
            widths[index] = widths[index].max(cell.chars().count() + 3);
        }
    }
    for line in lines {
        let last = line.parts(b'\t').count() - 1;
        for (index, cell) in line.parts(b'\t').enumerate() {
            let width = if index == last { 0 } else { widths[index] };
            let _ = write!(out, "{cell:width$}");
        }
        out.push('\n');
    }
}

fn find(fields: &[Field], name: &str) -> Result<usize> {
    let found = fields.iter().position(|field| field.name == name);
    found.ok_or_else(|| unknown_field(name, &mut fields.iter().map(|field| field.name)))
}

fn heading(field: &Field) -> String {
    if field.heading.is_empty() { field.name.to_ascii_uppercase() } else { field.heading.into() }
}

fn value(fields: &[Field], row: &[String], name: &str, json: bool) -> Result<String> {
    if name.is_empty() {
        return Ok(object(fields, row));
    }
    let value = &row[find(fields, name)?];
    let mut out = String::new();
    if json {
        string(&mut out, value);
    } else {
        out.push_str(value);
    }
    Ok(out)
}

fn object(fields: &[Field], row: &[String]) -> String {
    let mut out = String::from("{");
    for (index, (field, value)) in fields.iter().zip(row).enumerate() {
        if index > 0 {
            out.push(',');
        }
        string(&mut out, field.name);
        out.push(':');
        string(&mut out, value);
    }
    out.push('}');
    out
}

/// A JSON string, RFC 8259.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        let _ = match letter {
            '"' | '\\' => write!(out, "\\{letter}"),
            '\0'..='\x1f' => write!(out, "\\u{:04x}", letter as u32),
            _ => out.write_char(letter),
        };
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags::command;

    const FIELDS: [Field; 3] = [
        Field { name: "ID", heading: "CONTAINER ID" },
        Field { name: "Image", heading: "IMAGE" },
        Field { name: "Size", heading: "" },
    ];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        vec![row(["0123456789ab", "ünï:1", "1kB"]), row(["b", "x\"\n", "2kB"])]
    }

    fn format(text: &str) -> Result<Format> {
        let flag = command("ps").unwrap().long("format").unwrap();
        Format::new(Some(Given { flag, value: text.as_bytes() }), false)
    }

    fn print(text: &str) -> String {
        list(&format(text).unwrap(), &FIELDS, &rows()).unwrap()
    }

    #[test]
    fn tables_are_laid_out_as_dockers() {
        let rows = vec![vec!["0123456789ab".into(), "alpine".into(), "1kB".into()]];
        let out = list(&Format::Table, &FIELDS, &rows).unwrap();
        assert_eq!(out, "CONTAINER ID   IMAGE\n0123456789ab   alpine\n");
        assert_eq!(list(&Format::Table, &FIELDS, &[]).unwrap(), "CONTAINER ID   IMAGE\n");
    }

    #[test]
    fn columns_are_ten_wide_at_least_and_count_letters_not_bytes() {
        let mut out = String::new();
        columns(&mut out, &["TAG\tX\tY".into(), "ünïcödé\tabcdefgh\ty".into()], 10);
        assert_eq!(out, "TAG       X          Y\nünïcödé   abcdefgh   y\n");
    }

    #[test]
    fn templates_pick_fields() {
        assert_eq!(print("{{.Image}}={{ .Size }}!"), "ünï:1=1kB!\nx\"\n=2kB!\n");
        assert_eq!(print("a\\tb"), "a\tb\na\tb\n");
        assert_eq!(print("{{json .Image}}"), "\"ünï:1\"\n\"x\\\"\\u000a\"\n");
        assert_eq!(print("table {{.ID}}\\t{{.Size}}"), "CONTAINER ID   SIZE\n0123456789ab   1kB\nb              2kB\n");
    }

    #[test]
    fn json_is_read_back_by_a_json_parser() {
        let array: serde_json::Value =
            serde_json::from_str(&list(&Format::JsonArray, &FIELDS, &rows()).unwrap()).unwrap();
        assert_eq!(array[1]["Image"], "x\"\n");
        assert_eq!(array[0]["Size"], "1kB");
        assert_eq!(list(&Format::JsonArray, &FIELDS, &[]).unwrap(), "[]\n");
        for text in ["json", "{{json .}}"] {
            let lines = print(text);
            let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0]["ID"], "0123456789ab");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_the_known_ones_named() {
        for text in ["{{.Nope}}", "table {{.Nope}}", "{{json .Nope}}"] {
            for rows in [rows(), vec![]] {
                let error = list(&format(text).unwrap(), &FIELDS, &rows).unwrap_err().to_string();
                assert!(error.contains("\"{{.Nope}}\" for --format: no such field"), "{error}");
                assert!(error.contains("accepted: .ID, .Image, .Size"), "{error}");
            }
        }
    }

    #[test]
    fn malformed_formats_are_refused() {
        for text in ["", "{{", "{{.ID", "{{ID}}", "{{}}", "{{.}}", "{{range .}}", "{{.ID.}}", "{{json}}", "{{json ID}}"]
        {
            let error = format(text).unwrap_err().to_string();
            assert!(error.contains("for --format") && error.contains("accepted: table, json"), "{text:?}: {error}");
        }
        let flag = command("ps").unwrap().long("format").unwrap();
        let both = Format::new(Some(Given { flag, value: b"json" }), true).unwrap_err().to_string();
        assert!(both.contains("--json is given too"), "{both}");
    }
}
