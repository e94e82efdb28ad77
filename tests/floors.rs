//! Imports point strictly downward: the floors of the house, read from the sources.

use std::collections::BTreeSet;
use std::path::Path;

use crate::util::Scene;
use crate::util::source::{code_only, rust_files, tokens};

trials! {
    every_import_points_strictly_downward [];
    an_upward_import_is_found [];
    siblings_in_the_kernel_floor_are_strangers [];
    every_way_to_write_a_path_is_read [];
    comments_and_strings_are_no_imports [];
}

/// The floors. Modules that share one do not import each other; neither do the children of `kernel`.
const FLOORS: &[&[&str]] =
    &[&["base"], &["sys"], &["kernel"], &["image", "storage", "network"], &["container"], &["cli"]];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// A path that a file names, from the crate's root.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    from: Vec<String>,
    path: Vec<String>,
    line: usize,
}

/// The module that a file below `src` holds; `None` for the binary's own.
fn module(file: &Path) -> Option<Vec<String>> {
    let inside = file.strip_prefix("src").expect("a file below src").with_extension("");
    let mut module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match module.last().map(String::as_str) {
        Some("mod") => drop(module.pop()),
        Some("lib") if module.len() == 1 => module.clear(),
        _ => {}
    }
    (!matches!(module.first().map(String::as_str), Some("main" | "rt"))).then_some(module)
}

/// The paths in a file that begin at the crate's root or at a parent module.
fn imports(file: &[String], text: &str) -> Vec<Import> {
    let code = code_only(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    let mut module = file.to_vec();
    let mut depth = 0;
    let mut inline = Vec::new();
    for (at, &(token, line)) in tokens.iter().enumerate() {
        let next = |step: usize| tokens.get(at + step).map_or("", |token| token.0);
        match token {
            "mod" if next(2) == "{" => {
                module.push(next(1).to_owned());
                inline.push(depth);
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    module.pop();
                }
            }
            "crate" | "super" | "vial" if next(1) == "::" && (at == 0 || tokens[at - 1].0 != "::") => {
                let mut path = if token == "super" { module[..module.len().max(1) - 1].to_vec() } else { Vec::new() };
                let mut rest = at + 1;
                while token == "super" && tokens.get(rest + 1).is_some_and(|token| token.0 == "super") {
                    path.pop();
                    rest += 2;
                }
                let mut paths = Vec::new();
                expand(&tokens, rest, &path, &mut paths);
                found.extend(paths.into_iter().map(|path| Import { from: module.clone(), path, line }));
            }
            _ => {}
        }
    }
    found
}

/// Reads what follows a path's prefix: names, or groups of them; gives the next token's place.
fn expand(tokens: &[(&str, usize)], mut at: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", |token| token.0);
    let mut path = prefix.to_vec();
    while token(at) == "::" {
        at += 1;
        if token(at) == "{" {
            at += 1;
            while !matches!(token(at), "}" | "") {
                path.push(token(at).to_owned());
                at = expand(tokens, at + 1, &path, out);
                path.pop();
                while !matches!(token(at), "," | "}" | "") {
                    at += 1;
                }
                at += usize::from(token(at) == ",");
            }
            return at + 1;
        }
        path.push(token(at).to_owned());
        at += 1;
    }
    out.push(path);
    at
}

/// Why an import is not allowed, if it is not. `siblings` are the children of `kernel`.
fn violation(import: &Import, siblings: &BTreeSet<String>) -> Option<String> {
    let (own, other) = (import.from.first()?, import.path.first()?);
    let what = || format!("{} imports {}", import.from.join("::"), import.path.join("::"));
    if other == "rt" {
        return Some(format!("{}: only the binary has rt", what()));
    }
    let (Some(from), Some(to)) = (floor(own), floor(other)) else {
        return (own != other && floor(own).is_none()).then(|| format!("{}: {own} is on no floor", what()));
    };
    if own == other {
        let (Some(child), Some(sibling)) = (import.from.get(1), import.path.get(1)) else { return None };
        let strangers = own == "kernel" && child != sibling && siblings.contains(sibling);
        return strangers.then(|| format!("{}: they are siblings", what()));
    }
    (to >= from).then(|| format!("{}: from floor {from} to floor {to}", what()))
}

fn violations(files: &[(&Path, &str)]) -> Vec<String> {
    let modules: Vec<_> = files.iter().filter_map(|(file, text)| Some((file, module(file)?, text))).collect();
    let kernel = modules.iter().filter(|(_, module, _)| module.first().is_some_and(|first| first == "kernel"));
    let siblings = kernel.filter_map(|(_, module, _)| module.get(1).cloned()).collect();
    let mut found = Vec::new();
    for (file, module, text) in &modules {
        for import in imports(module, text) {
            if let Some(why) = violation(&import, &siblings) {
                found.push(format!("{}:{}: {why}", file.display(), import.line));
            }
        }
    }
    found
}

fn every_import_points_strictly_downward(_: &Scene) {
    let files = rust_files("src");
    let found = violations(&files.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect::<Vec<_>>());
    assert!(found.is_empty(), "{}", found.join("\n"));
    let seen: Vec<Import> =
        files.iter().filter_map(|(path, text)| Some(imports(&module(path)?, text))).flatten().collect();
    let reads = |from: &str, to: &str| seen.iter().any(|import| import.from[0] == from && import.path[0] == to);
    assert!(reads("sys", "base"), "imports that are known to exist were not read");
}

/// What is found in one file of the given text, beside a sibling in the kernel floor.
fn found(file: &str, text: &str) -> Vec<String> {
    violations(&[
        (Path::new(file), text),
        (Path::new("src/kernel/mounts/mod.rs"), ""),
        (Path::new("src/kernel/ns.rs"), ""),
    ])
}

fn an_upward_import_is_found(_: &Scene) {
    for (file, text) in [
        ("src/base/text.rs", "use crate::sys::Fd;"),
        ("src/sys/file.rs", "use crate::kernel::ns;"),
        ("src/image/tar.rs", "fn f() { crate::storage::overlay::mount() }"),
        ("src/network/mod.rs", "use crate::container;"),
        ("src/container/plan.rs", "use crate::cli::output::Style;"),
        ("src/sys/mod.rs", "use crate::rt::memory;"),
        ("src/elsewhere.rs", "use crate::base::text;"),
    ] {
        assert_eq!(found(file, text).len(), 1, "{file}: {text}");
    }
    for (file, text) in [
        ("src/sys/file.rs", "use crate::base::error::Result; use super::fd::Fd;"),
        ("src/cli/run.rs", "use crate::container::plan; use crate::base::text; use super::flags;"),
        ("src/main.rs", "use crate::rt; use vial::cli;"),
        ("src/rt/mod.rs", "use vial::sys::heap::Heap;"),
        ("src/lib.rs", "pub use crate::cli::main;"),
    ] {
        assert_eq!(found(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

fn siblings_in_the_kernel_floor_are_strangers(_: &Scene) {
    assert_eq!(found("src/kernel/ns.rs", "use crate::kernel::mounts::plan;").len(), 1);
    assert_eq!(found("src/kernel/ns.rs", "use super::mounts;").len(), 1);
    assert_eq!(found("src/kernel/mounts/plan.rs", "use super::super::ns::Kind;").len(), 1);
    assert_eq!(found("src/kernel/mounts/plan.rs", "use super::Mount; use super::apply::go;"), Vec::<String>::new());
    assert_eq!(found("src/kernel/mod.rs", "pub use crate::kernel::mounts::Plan;"), Vec::<String>::new());
}

fn every_way_to_write_a_path_is_read(_: &Scene) {
    for text in [
        "use crate::{base::text, container::{plan, create::{self, Other}}};",
        "pub(crate) use crate::container as it;",
        "type T = Option<crate::container::Plan>;",
        "mod tests { use super::*; mod deep { use super::super::super::super::container::x; } }",
        "use super::super::container::plan;",
        "macro_rules! m { () => { $crate::container::x } }",
        "use crate::\n    container::\n    plan;",
    ] {
        let found = found("src/image/tar.rs", text);
        assert!(!found.is_empty(), "{text}");
        assert!(found.iter().all(|line| line.contains("imports container")), "{text}: {found:?}");
    }
    let nested = imports(&["image".into()], "mod tests { use super::*; }\nuse crate::base::{a::{B, C}, d};");
    let paths: Vec<String> = nested.iter().map(|import| import.path.join("::")).collect();
    assert_eq!(paths, ["image::*", "base::a::B", "base::a::C", "base::d"]);
}

fn comments_and_strings_are_no_imports(_: &Scene) {
    for text in [
        "// use crate::cli::x;\n/* crate::cli::x /* nested */ crate::cli::x */",
        "//! See [`crate::cli`] and crate::cli::x.",
        r#"const A: &str = "use crate::cli::x; \" crate::cli::x"; const B: &str = r"crate::cli::\";"#,
        "fn f<'a>(x: &'a str) -> char { '\"' } // crate::cli::x \"",
        "const C: [char; 2] = ['\\'', '/']; // crate::cli::x",
    ] {
        assert_eq!(found("src/base/text.rs", text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(found("src/base/text.rs", "const C: char = '\"'; use crate::cli::x; const D: char = '\"';").len(), 1);
}
