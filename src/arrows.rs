//! Which module may use which, and how long a file may be: read from the source, so that no review has to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every top-level module, and those of ours that it may use beside itself and [`SERVICES`].
const ARROWS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("contract", &["domain"]),
    ("config", &[]),
    ("telemetry", &[]),
    ("lifecycle", &[]),
    ("store", &["domain"]),
    ("apply", &["domain", "contract", "store"]),
    ("consume", &["contract", "apply"]),
    ("publish", &["store"]),
    ("dead_letter", &["contract", "store", "apply"]),
    ("http", &["contract", "store", "apply", "dead_letter"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "domain",
    "contract",
    "store",
    "apply",
    "consume",
    "publish",
    "dead_letter",
    "http",
    "app",
    "cli",
];

/// What every module may use but [`PURE`] and themselves.
const SERVICES: [&str; 3] = ["config", "telemetry", "lifecycle"];
/// What knows of nothing that runs.
const PURE: [&str; 2] = ["domain", "contract"];

/// The most lines that a file may have.
const MAX_LINES: usize = 400;

fn allowed(from: &str, to: &str) -> bool {
    let arrows = ARROWS.iter().find(|(module, _)| *module == from).map(|(_, to)| *to);
    let service = SERVICES.contains(&to) && !SERVICES.contains(&from) && !PURE.contains(&from);
    from == to || service || arrows.is_some_and(|arrows| arrows.contains(&to))
}

/// Top-level modules that a source text names by `crate::…`, or by as many `super::` as lead to the root from a file
/// that stands `depth` modules below it.
fn named(source: &str, depth: usize) -> BTreeSet<String> {
    let code: Vec<_> =
        source.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect();
    let code: String = code.join("\n").split_whitespace().collect::<Vec<_>>().join(" ");
    let to_root = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for root in ["crate::", to_root.as_str()].into_iter().filter(|root| !root.is_empty()) {
        for (at, _) in code.match_indices(root) {
            // Part of a longer chain, which leads elsewhere, or of a longer word.
            let before = &code[..at];
            if before.ends_with("super::")
                || before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                continue;
            }
            names_after(&code[at + root.len()..], &mut found);
        }
    }
    found
}

/// `a::b` names a; `{a, b::{c, d}}` names a and b.
fn names_after(path: &str, found: &mut BTreeSet<String>) {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.trim_start().strip_prefix('{') else {
        found.insert(word(path));
        return;
    };
    let mut depth = 0;
    let mut start = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.insert(word(&group[start..at]));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.remove("");
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `src` but the roots, as the names of its modules.
fn modules() -> Vec<(Vec<String>, String)> {
    let source = root().join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    paths
        .into_iter()
        .filter_map(|path| {
            let relative = path.strip_prefix(&source).unwrap().with_extension("");
            let mut names: Vec<_> =
                relative.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            if names.last().is_some_and(|last| last == "mod") {
                names.pop();
            }
            let is_root = ["lib", "main", "arrows"].contains(&names[0].as_str());
            (!is_root).then(|| (names, std::fs::read_to_string(&path).unwrap()))
        })
        .collect()
}

#[test]
fn modules_use_what_they_may() {
    let top: BTreeSet<_> = ARROWS.iter().map(|(module, _)| (*module).to_owned()).collect();
    let mut wrong = Vec::new();
    for (names, source) in modules() {
        let from = names[0].as_str();
        if !top.contains(from) {
            wrong.push(format!("`{from}` is not in the table of modules"));
        }
        // A module's tests may bring what they need.
        if names.iter().any(|name| name == "tests") {
            continue;
        }
        for to in named(&source, names.len()).intersection(&top) {
            if !allowed(from, to) {
                wrong.push(format!("{} uses {to}", names.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_small() {
    let mut paths = Vec::new();
    for directory in ["src", "tests", "benches", "examples"] {
        files(&root().join(directory), &mut paths);
    }
    assert!(paths.len() > 20);
    let mut long = Vec::new();
    for path in paths {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > MAX_LINES {
            long.push(format!("{}: {lines} lines", path.strip_prefix(root()).unwrap().display()));
        }
    }
    assert!(long.is_empty(), "more than {MAX_LINES}:\n{}", long.join("\n"));
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let source = "
        use crate::store;
        use crate::{
            apply::{self, Batch},
            contract::wire::*, http};
        // use crate::publish;
        pub(in crate::cli) fn f() -> crate::app::App { super::super::consume::g(); super::dead_letter() }
        fn h() { macrocrate::lifecycle() }
    ";
    let found = named(source, 2);
    let expected = ["app", "apply", "cli", "consume", "contract", "http", "store"];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(named(source, 1).contains("dead_letter"));
}

#[test]
fn arrows_point_one_way() {
    for (from, to) in [("apply", "store"), ("store", "telemetry"), ("cli", "app"), ("http", "http")]
    {
        assert!(allowed(from, to), "{from} {to}");
    }
    let wrong = [
        ("domain", "contract"),
        ("domain", "config"),
        ("contract", "telemetry"),
        ("store", "contract"),
        ("config", "telemetry"),
        ("consume", "store"),
        ("publish", "apply"),
        ("telemetry", "domain"),
        ("http", "consume"),
        ("store", "app"),
        ("elsewhere", "domain"),
    ];
    for (from, to) in wrong {
        assert!(!allowed(from, to), "{from} {to}");
    }
}
