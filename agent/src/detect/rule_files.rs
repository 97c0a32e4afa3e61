//! Files of rules: finding them, reading them, taking their documents apart.

use crate::config;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A longer file is no rule.
const LONGEST: u64 = 1 << 20;

/// A rule or file that was left out, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1: of a rule as a whole that on which its document begins.
    pub line: usize,
    /// The column, from 1, where there is one.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// Whether another file may be to blame: what it names is not there.
    pub(super) dangles: bool,
}

impl Problem {
    pub(super) fn new(file: &Path, line: usize, message: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column: None,
            message,
            dangles: false,
        }
    }
}

impl From<config::Problem> for Problem {
    fn from(problem: config::Problem) -> Self {
        let (line, column) = problem
            .at
            .map_or((1, None), |(line, column)| (line, Some(column)));
        Self {
            column,
            ..Self::new(&problem.file, line, problem.message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)?;
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Every `.yml` and `.yaml` file below a folder, in the order of their names, and what could not be looked into.
pub(super) fn list(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<Problem>)> {
    let (mut files, mut problems, mut open) = (Vec::new(), Vec::new(), Vec::new());
    collect(folder, &mut files, &mut open)?;
    while let Some(folder) = open.pop() {
        if let Err(error) = collect(&folder, &mut files, &mut open) {
            problems.push(Problem::new(&folder, 1, format!("cannot be listed: {error}")));
        }
    }
    files.sort();
    Ok((files, problems))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        let is_rule = path
            .extension()
            .is_some_and(|name| name == "yml" || name == "yaml");
        // A link is not followed into a folder: it may lead back up.
        if entry.file_type()?.is_dir() {
            folders.push(path);
        } else if is_rule {
            files.push(path);
        }
    }
    Ok(())
}

/// The text of a rule file.
pub(super) fn read(file: &Path) -> Result<String, String> {
    let data = fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !data.is_file() || data.len() > LONGEST {
        return Err("is no regular file of at most 1 MiB".to_owned());
    }
    // Most likely somebody is about to write it, or a disk was full.
    if data.len() == 0 {
        return Err("is empty; a file without rules can be removed".to_owned());
    }
    fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

/// The documents of a file, each with its first line. Sigma's `action:` ties documents together: then there is one.
pub(super) fn documents(text: &str) -> Vec<(usize, String)> {
    if text.lines().any(|line| line.starts_with("action:")) {
        return vec![(1, text.to_owned())];
    }
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut current = (1, String::new());
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            found.push(std::mem::replace(&mut current, (number + 2, String::new())));
        } else {
            current.1.push_str(line);
            current.1.push('\n');
        }
    }
    found.push(current);
    let says = |document: &str| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    found.retain(|(_, document)| says(document));
    found
}
