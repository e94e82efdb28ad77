//! How results print: columns, templates and JSON, from the same rows.

use alloc::string::String;
use alloc::vec::Vec;

use super::flags::Id;
use super::parse::{Given, Parsed, invalid};
use crate::base::error::{Error, Result};
use crate::base::json::write_string;
use crate::base::text::Cut;
use crate::sys::fd::{self, CWD, Fd};
use crate::sys::file;

/// How something prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns with headings: the template's, or all that have a heading.
    Table,
    /// The template once for each row.
    Template,
    /// One JSON object a line, as docker's `--format json`.
    JsonLines,
    /// One JSON array.
    JsonArray,
}

/// What `--format` and `--json` ask for.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    /// How it prints.
    pub form: Form,
    /// The template, known to be well-formed; empty for none.
    template: &'a str,
}

impl<'a> Format<'a> {
    /// What `--format` and `--json` ask for together; neither is a table.
    ///
    /// # Errors
    /// A malformed template, or both at once.
    pub fn new(format: Option<Given<'a>>, json: bool) -> Result<Format<'a>> {
        let Some(given) = format else {
            return Ok(Format { form: if json { Form::JsonArray } else { Form::Table }, template: "" });
        };
        if json {
            return Err(given.refuse(phrase!("--json is given too"), phrase!("one of --format and --json")));
        }
        let text = given.text()?;
        let (form, template) = match text.strip_prefix("table ") {
            Some(columns) => (Form::Table, columns.trim_ascii_start()),
            None if text == "table" => (Form::Table, ""),
            None if text == "json" => (Form::JsonLines, ""),
            None => (Form::Template, text),
        };
        let mut rest = template;
        let wrong = loop {
            match piece(rest) {
                Ok(Some(piece)) => rest = piece.after,
                Ok(None) if text.is_empty() => break "empty",
                Ok(None) => return Ok(Format { form, template }),
                Err(wrong) => break wrong,
            }
        };
        Err(given.refuse(wrong, phrase!("table, json, or text with fields such as '{{.ID}}' or '{{json .}}'")))
    }

    /// Fills the template in. `lookup` gets a field's path without its leading dot, empty for everything, and whether JSON
    /// is wanted.
    ///
    /// # Errors
    /// Whatever `lookup` returns, [`unknown_field`] above all.
    pub fn render(&self, out: &mut String, lookup: &mut Lookup<'_>) -> Result<()> {
        let mut rest = self.template;
        while let Ok(Some(piece)) = piece(rest) {
            unescape(out, piece.before);
            lookup(out, piece.path, piece.json)?;
            rest = piece.after;
        }
        unescape(out, rest);
        Ok(())
    }
}

/// Writes a field's value, for [`Format::render`].
pub type Lookup<'l> = dyn FnMut(&mut String, &str, bool) -> Result<()> + 'l;

/// A field in a template, with what stands before and behind it.
struct Piece<'t> {
    before: &'t str,
    /// `Name` of `{{.Name}}`, `State.Pid` of `{{json .State.Pid}}`; empty for the whole row, which is JSON always.
    path: &'t str,
    json: bool,
    after: &'t str,
}

/// The first field of a template; what is wrong with it if it is malformed.
fn piece(text: &str) -> core::result::Result<Option<Piece<'_>>, &'static str> {
    let Some((before, tail)) = cut_pair(text, b'{') else { return Ok(None) };
    let Some((inner, after)) = cut_pair(tail, b'}') else { return Err("{{ without }}") };
    let inner = inner.trim_ascii();
    let (inner, json) = inner.strip_prefix("json ").map_or((inner, false), |path| (path.trim_ascii_start(), true));
    let named = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match inner.strip_prefix('.') {
        Some(path) if (json && path.is_empty()) || path.parts(b'.').all(named) => {
            Ok(Some(Piece { before, path, json, after }))
        }
        _ => Err("not a field"),
    }
}

/// Before and behind the first two `brace`s in a row.
fn cut_pair(text: &str, brace: u8) -> Option<(&str, &str)> {
    let at = text.as_bytes().windows(2).position(|pair| pair == [brace, brace])?;
    Some((text.get(..at)?, text.get(at + 2..)?))
}

/// Writes a template's text, in which `\t` and `\n` are tab and newline.
fn unescape(out: &mut String, text: &str) {
    for (index, part) in text.parts(b'\\').enumerate() {
        let (escaped, rest) = match part.bytes().next() {
            _ if index == 0 => ("", part),
            Some(b't') => ("\t", &part[1..]),
            Some(b'n') => ("\n", &part[1..]),
            _ => ("\\", part),
        };
        out.push_str(escaped);
        out.push_str(rest);
    }
}

/// The error for a template's field that does not exist; `known` are those that do.
#[cold]
pub fn unknown_field(name: &str, known: &mut dyn Iterator<Item = &str>) -> Error {
    let mut list = String::new();
    for name in known {
        list.push_str(if list.is_empty() { "." } else { ", ." });
        list.push_str(name);
    }
    invalid(["{{.", name, "}}"].concat().as_bytes(), "--format", phrase!("no such field"), list)
}

/// A list to be printed: of rows of cells, one for each field.
#[derive(Debug)]
pub struct List<'a> {
    format: Format<'a>,
    /// `Name=HEADING`, with bars between. A field without a heading is left out of the plain table.
    fields: &'static str,
    /// Whether only the first field is wanted that names a thing: `ID` or `Name`.
    quiet: bool,
}

/// The flags of a list: `--quiet`, `--format` and `--json`.
pub const FLAGS: [Id; 3] = [Id::Quiet, Id::Format, Id::Json];

impl<'a> List<'a> {
    /// A list of these fields, to be printed as the command line asks.
    ///
    /// # Errors
    /// A malformed template, or several forms at once.
    pub fn new(parsed: &Parsed<'a>, [quiet, format, json]: [Id; 3], fields: &'static str) -> Result<List<'a>> {
        let format = Format::new(parsed.last(format), parsed.on(json))?;
        Ok(List { format, fields, quiet: parsed.on(quiet) })
    }

    /// The list as text; `cells` are those of all rows, one row after the other.
    ///
    /// # Errors
    /// The format names a field that does not exist; also if there are no rows.
    pub fn text(&self, cells: &[&str]) -> Result<String> {
        let mut out = String::new();
        let mut fields = Vec::new();
        for field in self.fields.parts(b'|') {
            fields.push(field.cut(b'=').unwrap_or((field, "")));
        }
        let rows = cells.chunks(fields.len());
        let mut format = self.format;
        let mut plain = String::new();
        if self.quiet {
            let name = fields.iter().position(|(name, _)| matches!(*name, "ID" | "Name")).unwrap_or(0);
            let mut before = "";
            for row in rows {
                // One thing may have several rows, which follow each other.
                if row[name] != before {
                    before = row[name];
                    out.push_str(before);
                    out.push('\n');
                }
            }
            return Ok(out);
        }
        if format.form == Form::JsonLines || format.form == Form::JsonArray {
            objects(&mut out, &fields, rows, format.form == Form::JsonArray);
            return Ok(out);
        }
        if format.template.is_empty() {
            for (name, _) in fields.iter().filter(|(_, heading)| !heading.is_empty()) {
                plain.push_str(if plain.is_empty() { "{{." } else { "\t{{." });
                plain.push_str(name);
                plain.push_str("}}");
            }
            format.template = &plain;
        }
        // Without a table the headings only prove that every field exists, even if there is no row to fill in.
        line(&mut out, &format, &fields, None)?;
        if format.form == Form::Template {
            out.clear();
        }
        for row in rows {
            line(&mut out, &format, &fields, Some(row))?;
        }
        if format.form == Form::Table {
            let lines = core::mem::take(&mut out);
            columns(&mut out, &lines, 10);
        }
        Ok(out)
    }

    /// Prints the list; the exit code.
    ///
    /// # Errors
    /// As [`List::text`]; what write(2) refuses.
    pub fn print(&self, cells: &[&str]) -> Result<u8> {
        super::print(&self.text(cells)?)?;
        Ok(0)
    }
}

/// A field's name and heading.
type Field = (&'static str, &'static str);

/// Writes the template filled in with a row, or with the headings.
fn line(out: &mut String, format: &Format<'_>, fields: &[Field], row: Option<&[&str]>) -> Result<()> {
    format.render(out, &mut |out, name, json| {
        let found = fields.iter().position(|(known, _)| *known == name);
        match (row, found) {
            (None, None) if name.is_empty() => {}
            (Some(row), None) if name.is_empty() => object(out, fields, row),
            (_, None) => return Err(unknown_field(name, &mut fields.iter().map(|(name, _)| *name))),
            (None, Some(at)) if fields[at].1.is_empty() => out.push_str(&name.to_ascii_uppercase()),
            (None, Some(at)) => out.push_str(fields[at].1),
            (Some(row), Some(at)) if json => drop(write_string(out, row[at])),
            (Some(row), Some(at)) => out.push_str(row[at]),
        }
        Ok(())
    })?;
    out.push('\n');
    Ok(())
}

/// Rows as JSON objects: one a line, or as one array.
fn objects(out: &mut String, fields: &[Field], rows: core::slice::Chunks<'_, &str>, array: bool) {
    let (start, between, end) = if array { ("[\n  ", ",\n  ", "\n]\n") } else { ("", "\n", "\n") };
    if rows.len() == 0 {
        out.push_str(if array { "[]\n" } else { "" });
        return;
    }
    for (index, row) in rows.enumerate() {
        out.push_str(if index == 0 { start } else { between });
        object(out, fields, row);
    }
    out.push_str(end);
}

/// Lays lines out in columns that tabs part, as docker does: at least so wide, at least three spaces apart, nothing behind
/// the last.
pub fn columns(out: &mut String, lines: &str, least: usize) {
    let mut widths: Vec<usize> = Vec::new();
    let lines = lines.strip_suffix('\n').unwrap_or(lines);
    for line in lines.parts(b'\n') {
        for (index, cell) in line.parts(b'\t').enumerate() {
            if index == widths.len() {
                widths.push(least);
            }
            widths[index] = widths[index].max(width(cell) + 3);
        }
    }
    for line in lines.parts(b'\n') {
        // What would come behind a cell comes before the next one.
        let mut gap = 0;
        for (index, cell) in line.parts(b'\t').enumerate() {
            out.extend(core::iter::repeat_n(' ', gap));
            out.push_str(cell);
            gap = widths[index] - width(cell);
        }
        out.push('\n');
    }
}

/// Letters of UTF-8: bytes that don't continue one.
fn width(text: &str) -> usize {
    text.bytes().filter(|byte| byte & 0xc0 != 0x80).count()
}

#[inline(never)]
fn object(out: &mut String, fields: &[Field], row: &[&str]) {
    let mut lead = '{';
    for ((name, _), value) in fields.iter().zip(row) {
        out.push(lead);
        // Writing to a String can't fail.
        let _ = write_string(out, name);
        out.push(':');
        let _ = write_string(out, value);
        lead = ',';
    }
    out.push('}');
}

/// Opens the file that an option names for a result; `-` is standard output.
///
/// # Errors
/// It can't be written to.
pub fn sink(parsed: &Parsed<'_>, id: Id) -> Result<Option<Fd>> {
    let Some(given) = parsed.last(id) else { return Ok(None) };
    if given.value == b"-" {
        return file::duplicate(fd::STDOUT).map(Some);
    }
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let opened = file::path(given.value).and_then(|path| file::create(CWD, path, flags, 0o644));
    given
        .take(opened.map_err(|error| join!("{}", error.errno())), phrase!("a file, or - for standard output"))
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags::command;

    const ROWS: &[&str] = &["0123456789ab", "ünï:1", "1kB", "b", "x\"\n", "2kB"];
    const TABLE: Format<'static> = Format { form: Form::Table, template: "" };
    const ARRAY: Format<'static> = Format { form: Form::JsonArray, template: "" };

    fn format(text: &str) -> Result<Format<'_>> {
        let flag = command("ps").unwrap().long("format").unwrap();
        Format::new(Some(Given { flag, value: text.as_bytes() }), false)
    }

    fn list(format: Format<'_>, cells: &[&'static str]) -> Result<String> {
        List { format, fields: "ID=CONTAINER ID|Image=IMAGE|Size=", quiet: false }.text(cells)
    }

    fn print(text: &str) -> String {
        list(format(text).unwrap(), ROWS).unwrap()
    }

    #[test]
    fn tables_are_laid_out_as_dockers() {
        let out = list(TABLE, &["0123456789ab", "alpine", "1kB"]).unwrap();
        assert_eq!(out, "CONTAINER ID   IMAGE\n0123456789ab   alpine\n");
        assert_eq!(list(TABLE, &[]).unwrap(), "CONTAINER ID   IMAGE\n");
    }

    #[test]
    fn columns_are_ten_wide_at_least_and_count_letters_not_bytes() {
        let mut out = String::new();
        columns(&mut out, "TAG\tX\tY\nünïcödé\tabcdefgh\ty\n", 10);
        assert_eq!(out, "TAG       X          Y\nünïcödé   abcdefgh   y\n");
    }

    #[test]
    fn templates_pick_fields() {
        assert_eq!(print("{{.Image}}={{ .Size }}!"), "ünï:1=1kB!\nx\"\n=2kB!\n");
        assert_eq!(print("a\\tb\\nc"), "a\tb\nc\n".repeat(2));
        assert_eq!(print("\\\\t\\x\\"), "\\\t\\x\\\n".repeat(2));
        assert_eq!(print("{{json .Image}}"), "\"ünï:1\"\n\"x\\\"\\n\"\n");
        assert_eq!(print("table {{.ID}}\\t{{.Size}}"), "CONTAINER ID   SIZE\n0123456789ab   1kB\nb              2kB\n");
    }

    #[test]
    fn json_is_read_back_by_a_json_parser() {
        let array: serde_json::Value = serde_json::from_str(&list(ARRAY, ROWS).unwrap()).unwrap();
        assert_eq!(array[1]["Image"], "x\"\n");
        assert_eq!(array[0]["Size"], "1kB");
        assert_eq!(list(ARRAY, &[]).unwrap(), "[]\n");
        for text in ["json", "{{json .}}"] {
            let lines = print(text);
            let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0]["ID"], "0123456789ab");
        }
    }

    #[test]
    fn a_quiet_list_names_each_thing_once() {
        let list = List { format: TABLE, fields: "Tag=TAG|ID=ID", quiet: true };
        assert_eq!(list.text(&["a", "ID1", "b", "ID1", "c", "ID2"]).unwrap(), "ID1\nID2\n");
    }

    #[test]
    fn unknown_fields_are_refused_and_the_known_ones_named() {
        for text in ["{{.Nope}}", "table {{.Nope}}", "{{json .Nope}}"] {
            for rows in [ROWS, &[]] {
                let error = list(format(text).unwrap(), rows).unwrap_err().to_string();
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
