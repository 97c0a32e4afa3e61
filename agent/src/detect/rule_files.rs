//! Files of rules: finding them, reading them, taking their documents apart.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A longer file is no rule.
const LONGEST: u64 = 1 << 20;

/// A rule or file that was left out, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line on which the document begins, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// Reads every `.yml` and `.yaml` file below a folder, in the order of their names.
pub fn read_folder(folder: &Path) -> (Vec<(PathBuf, String)>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let problem = |error: std::io::Error| Problem {
            file: folder.clone(),
            line: 1,
            message: format!("cannot be listed: {error}"),
        };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(problem(error));
                continue;
            }
        };
        for entry in entries {
            match entry {
                // A link is not followed into a folder: it may lead back up.
                Ok(entry) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => open.push(entry.path()),
                Ok(entry)
                    if entry
                        .path()
                        .extension()
                        .is_some_and(|name| name == "yml" || name == "yaml") =>
                {
                    match read(&entry.path()) {
                        Ok(text) => files.push((entry.path(), text)),
                        Err(message) => problems.push(Problem {
                            file: entry.path(),
                            line: 1,
                            message,
                        }),
                    }
                }
                Ok(_) => {}
                Err(error) => problems.push(problem(error)),
            }
        }
    }
    files.sort();
    (files, problems)
}

fn read(file: &Path) -> Result<String, String> {
    let data = fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !data.is_file() || data.len() > LONGEST {
        return Err("is no regular file of at most 1 MiB".to_owned());
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
