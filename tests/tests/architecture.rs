//! Holds the layers of the agent and the shape of its files. There is no list of exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Highest first. A file may import from its own layer (but no sibling stage) and from those below.
const LAYERS: &[&[&str]] = &[
    &["main", "cli", "commands"],
    &["app", "plugs", "shutdown"],
    &["sense", "enrich", "detect", "respond", "send"],
    &["spool", "history", "scan"],
    &["observation", "queue", "parse"],
    &["config", "stats", "logging"],
    &["sys"],
];
const STAGES: usize = 2;
const CEILING: usize = 400;

struct Source {
    /// Path below `agent/src` without the extension, as `parse/auth/sshd`; a `mod` file is its folder.
    name: String,
    path: PathBuf,
    text: String,
}

#[test]
fn imports_run_only_downwards_and_no_stage_knows_another() {
    let mut wrong = Vec::new();
    for source in agent() {
        if source.name == "lib" {
            continue;
        }
        let own = top(&source.name);
        let Some(layer) = layer(own) else {
            wrong.push(format!("{}: '{own}' has no layer", source.path.display()));
            continue;
        };
        for target in imports(&source.text) {
            let other = top(&target);
            let Some(below) = self::layer(other) else {
                wrong.push(format!(
                    "{}: imports '{other}', which has no layer",
                    source.path.display()
                ));
                continue;
            };
            if below < layer {
                wrong.push(format!(
                    "{}: imports upwards from '{other}'",
                    source.path.display()
                ));
            }
            if below == STAGES && layer == STAGES && own != other {
                wrong.push(format!(
                    "{}: a stage imports the stage '{other}'",
                    source.path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_import_one_another() {
    let sources = agent();
    let names: BTreeSet<String> = sources.iter().map(|source| source.name.clone()).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        if matches!(source.name.as_str(), "lib" | "main") {
            continue;
        }
        let to = imports(&source.text)
            .into_iter()
            .filter_map(|target| file_of(&target, &names));
        edges
            .entry(source.name.clone())
            .or_default()
            .extend(to.filter(|to| *to != source.name));
    }
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = edges[start].iter().collect();
        while let Some(next) = open.pop() {
            assert_ne!(next, start, "{start} reaches itself by its imports");
            if seen.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_is_of_one_noun() {
    let root = root();
    for top in ["agent", "common", "server-stub", "tests"] {
        for path in rust_files(&root.join(top)) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("//!"),
                "{} does not open with a '//!' line",
                path.display()
            );
            let code = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .lines()
                .count();
            let is_test =
                path.components().any(|part| part.as_os_str() == "tests") && !path.ends_with("src/lib.rs");
            assert!(
                is_test || path.ends_with("tests.rs") || code <= CEILING,
                "{}: {code} lines",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_has_one_address() {
    let word = ["un", "safe "].concat();
    for path in rust_files(&root()) {
        let home = path.starts_with(root().join("agent/src/sys"));
        let text = fs::read_to_string(&path).unwrap();
        let found = text
            .lines()
            .any(|line| !line.trim_start().starts_with("//") && line.contains(&word));
        assert!(home || !found, "{} contains {word}", path.display());
    }
}

/// The crate paths that a file names, in braces or not: `crate::parse::{auth, syslog}` gives both.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|byte: char| byte.is_alphanumeric() || byte == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let end = rest
            .find(|byte: char| !(byte.is_alphanumeric() || "_:".contains(byte)))
            .unwrap_or(rest.len());
        let stem = rest[..end].trim_end_matches("::");
        match rest[end..]
            .strip_prefix('{')
            .and_then(|list| list.split_once('}'))
        {
            Some((list, _)) if rest[..end].is_empty() || rest[..end].ends_with("::") => {
                for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    found.insert(
                        [stem, item]
                            .iter()
                            .filter(|part| !part.is_empty())
                            .copied()
                            .collect::<Vec<_>>()
                            .join("::"),
                    );
                }
            }
            _ => drop(found.insert(stem.to_owned())),
        }
    }
    found
}

/// The longest file that a crate path can mean.
fn file_of(target: &str, names: &BTreeSet<String>) -> Option<String> {
    let parts: Vec<&str> = target.split("::").collect();
    (1..=parts.len())
        .rev()
        .map(|count| parts[..count].join("/"))
        .find(|name| names.contains(name))
}

fn top(name: &str) -> &str {
    name.split(['/', ':']).next().unwrap()
}

fn layer(top: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&top))
}

fn agent() -> Vec<Source> {
    let base = root().join("agent/src");
    let sources: Vec<Source> = rust_files(&base)
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&base)
                .unwrap()
                .with_extension("")
                .to_str()
                .unwrap()
                .to_owned();
            let name = name.strip_suffix("/mod").unwrap_or(&name).to_owned();
            Source {
                name,
                text: fs::read_to_string(&path).unwrap(),
                path,
            }
        })
        .collect();
    assert!(sources.len() > 5, "the agent's sources were not found");
    sources
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir()
                && !path.ends_with("target")
                && !entry.file_name().to_string_lossy().starts_with('.')
            {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
