//! What `picket scan` tells: matches, how far it is, and how it ended.

use super::Failure;
use crate::scan::{Heard, Walk};
use picket_common::event::FileContent;
use picket_common::ndjson;
use picket_common::terminal::Plain;
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many files and bytes there are to look into, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Totals {
    files: AtomicU64,
    bytes: AtomicU64,
    /// All were counted.
    known: AtomicBool,
    stopped: AtomicBool,
}

impl Totals {
    pub(super) fn count(&self, walk: Walk) {
        for (_, size) in walk {
            if self.stopped.load(Relaxed) {
                return;
            }
            self.files.fetch_add(1, Relaxed);
            self.bytes.fetch_add(size.unwrap_or(0), Relaxed);
        }
        self.known.store(true, Relaxed);
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Report<'a> {
    totals: &'a Totals,
    is_json: bool,
    is_shown: bool,
    started: Instant,
    shown: Instant,
    files: u64,
    bytes: u64,
    matched: u64,
    partly: u64,
    errors: u64,
    /// How many there are, once that is known.
    rules: Option<usize>,
    output: io::Result<()>,
}

/// How often the line of progress is written anew.
const REFRESH: Duration = Duration::from_millis(200);

impl<'a> Report<'a> {
    pub(super) fn new(is_json: bool, totals: &'a Totals) -> Self {
        let now = Instant::now();
        Self {
            totals,
            is_json,
            is_shown: io::stderr().is_terminal(),
            started: now,
            shown: now,
            files: 0,
            bytes: 0,
            matched: 0,
            partly: 0,
            errors: 0,
            rules: None,
            output: Ok(()),
        }
    }

    /// Whether to go on.
    pub(super) fn hear(&mut self, heard: Heard<(String, u64)>) -> bool {
        match heard {
            Heard::Ready { rules, problems, .. } => {
                for problem in problems {
                    self.complain(&problem.to_string());
                }
                self.started = Instant::now();
                // A second worker has the same.
                *self.rules.get_or_insert(rules) > 0
            }
            Heard::Trouble { reason } => {
                self.complain(&reason);
                true
            }
            Heard::Scanned { what, content } => {
                let (path, size) = what;
                self.files += 1;
                self.bytes += size;
                self.matched += u64::from(!content.matches.is_empty());
                self.partly += u64::from(content.unscanned.is_some());
                let told = if self.is_json {
                    tell_json(&path, &content)
                } else {
                    self.tell(&path, &content)
                };
                self.output = std::mem::replace(&mut self.output, Ok(())).and(told);
                self.progress();
                self.output.is_ok()
            }
        }
    }

    /// The same file was named twice.
    pub(super) fn is_double(&mut self) {
        self.files += 1;
    }

    /// A file could not be opened.
    pub(super) fn unreadable(&mut self, path: &str, reason: &str) {
        self.files += 1;
        if self.is_json {
            let line = json!({ "path": path, "error": reason });
            let told = ndjson::write(&mut io::stdout().lock(), &line);
            self.output = std::mem::replace(&mut self.output, Ok(())).and(told);
            self.errors += 1;
        } else {
            self.complain(&format!("{path}: {reason}"));
        }
    }

    /// The last words. `unscanned` is how many files could not be looked into at all.
    pub(super) fn end(self, unscanned: u64) -> Result<ExitCode, Failure> {
        self.clear();
        self.output?;
        if self.rules == Some(0) {
            return Err(Failure::NoYara);
        }
        let spent = self.started.elapsed().as_secs_f64().max(0.001);
        let bytes = mebibytes(self.bytes);
        let rules = self.rules.unwrap_or(0);
        let (files, matched, partly, errors) = (self.files, self.matched, self.partly, self.errors);
        if !self.is_json {
            let summary = format!(
                "{files} files, {bytes:.1} MiB, {rules} rules in {spent:.1} s ({:.1} MiB/s): {matched} matched, {partly} not wholly scanned, {errors} errors",
                bytes / spent
            );
            writeln!(io::stderr(), "{summary}")?;
        }
        Ok(if matched > 0 {
            ExitCode::from(1)
        } else if errors + unscanned > 0 {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn complain(&mut self, reason: &str) {
        self.errors += 1;
        self.clear();
        // Nothing is left to tell if standard error is gone too.
        drop(writeln!(io::stderr(), "picket: {}", Plain(reason)));
    }

    fn tell(&self, path: &str, content: &FileContent) -> io::Result<()> {
        if content.matches.is_empty() && content.unscanned.is_none() {
            return Ok(());
        }
        self.clear();
        let mut output = io::stdout().lock();
        for found in &content.matches {
            let (path, rule) = (Plain(path), Plain(&found.rule));
            write!(output, "{path}: {rule}")?;
            if let Some(score) = found.score {
                write!(output, " ({score})")?;
            }
            if let Some(member) = &found.member {
                write!(output, " in {}", Plain(member))?;
            }
            match &found.description {
                Some(description) => writeln!(output, ": {}", Plain(description))?,
                None => writeln!(output)?,
            }
        }
        if let Some(why) = &content.unscanned {
            writeln!(output, "{}: not wholly scanned: {}", Plain(path), Plain(why))?;
        }
        Ok(())
    }

    fn progress(&mut self) {
        let now = Instant::now();
        if !self.is_shown || now.duration_since(self.shown) < REFRESH {
            return;
        }
        self.shown = now;
        let rate = mebibytes(self.bytes) / now.duration_since(self.started).as_secs_f64().max(0.001);
        let total = self.totals.bytes.load(Relaxed).max(self.bytes);
        let (files, all) = (self.files, self.totals.files.load(Relaxed).max(self.files));
        let left = mebibytes(total - self.bytes) / rate.max(0.001);
        let eta = if self.totals.known.load(Relaxed) {
            format!("{left:.0} s left")
        } else {
            "still counting".to_owned()
        };
        let matched = self.matched;
        let line = format!("\r\x1b[K{files} of {all} files, {rate:.1} MiB/s, {matched} matched, {eta}");
        drop(io::stderr().write_all(line.as_bytes()));
    }

    fn clear(&self) {
        if self.is_shown {
            drop(io::stderr().write_all(b"\r\x1b[K"));
        }
    }
}

fn tell_json(path: &str, content: &FileContent) -> io::Result<()> {
    let mut line = json!(content);
    if let Some(object) = line.as_object_mut() {
        object.insert("path".to_owned(), json!(path));
        object.entry("matches").or_insert_with(|| json!([]));
    }
    ndjson::write(&mut io::stdout().lock(), &line)
}

fn mebibytes(bytes: u64) -> f64 {
    // Enough for a number that is shown with one decimal.
    bytes as f64 / 1_048_576.0
}
