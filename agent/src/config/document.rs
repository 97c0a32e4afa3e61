//! A TOML document whose keys are taken one by one; what nobody took is a mistake.

use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A mistake, and where it stands: `file:line:column: message`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1; columns count characters. `None` for the file as a whole.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// One file's text, and the mistakes found in it so far.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    /// Reads the text as TOML. A text that is broken in places is read around them.
    pub(super) fn read(file: &'a Path, text: &'a str) -> (Self, DeTable<'a>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            file,
            text,
            problems: Vec::new(),
        };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            document.problem(at, error.message().to_owned());
        }
        (document, root.into_inner())
    }

    /// Notes a mistake at a byte of the text.
    pub(super) fn problem(&mut self, byte: usize, message: String) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        self.problems.push(Problem {
            file: self.file.to_owned(),
            at: Some((line, column)),
            message,
        });
    }

    /// All mistakes, in the order of their places.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.at);
        self.problems
    }
}

/// A table under its name, from which keys are taken.
pub(super) struct Section<'a> {
    name: String,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The document's own table.
    pub(super) fn root(table: DeTable<'a>) -> Self {
        Self {
            name: String::new(),
            table,
            known: Vec::new(),
        }
    }

    /// Takes a table; an empty one when it is not there.
    pub(super) fn section(&mut self, document: &mut Document<'_>, key: &'static str) -> Self {
        let table = self.take(document, key, "a table", |value| match value {
            DeValue::Table(table) => Ok(table),
            _ => Err(String::new()),
        });
        Self {
            name: key.to_owned(),
            table: table.unwrap_or_default(),
            known: Vec::new(),
        }
    }

    /// Takes a text and reads it; `expected` completes the sentence "must be …".
    pub(super) fn text<T>(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.take(document, key, expected, |value| match value {
            DeValue::String(text) => read(&text),
            _ => Err(String::new()),
        })
    }

    /// Takes a whole number within bounds.
    pub(super) fn number(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.take(document, key, &expected, |value| match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| bounds.contains(number))
                .ok_or_else(String::new),
            _ => Err(String::new()),
        })
    }

    /// Takes a list of texts. Each wrong item is a mistake of its own; the others stay.
    pub(super) fn texts<T>(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let name = self.path(key);
        let items = self.take(
            document,
            key,
            &format!("a list, each item {expected}"),
            |value| match value {
                DeValue::Array(items) => Ok(items),
                _ => Err(String::new()),
            },
        )?;
        let mut good = Vec::new();
        for item in items {
            let at = item.span().start;
            let read = match item.into_inner() {
                DeValue::String(text) => read(&text),
                _ => Err(String::new()),
            };
            match read {
                Ok(item) => good.push(item),
                Err(reason) => {
                    document.problem(at, sentence(&format!("an item of {name}"), expected, &reason))
                }
            }
        }
        Some(good)
    }

    /// Names every key that nobody took, with the known one that looks most like it.
    pub(super) fn finish(self, document: &mut Document<'_>) {
        let place = if self.name.is_empty() {
            "here".to_owned()
        } else {
            format!("in [{}]", self.name)
        };
        for key in self.table.keys() {
            let text = key.get_ref();
            let close = self
                .known
                .iter()
                .filter(|known| strsim::damerau_levenshtein(known, text) <= 2)
                .min();
            let hint = match close {
                Some(known) => format!("; did you mean '{known}'?"),
                None => format!("; known are {}", self.known.join(", ")),
            };
            document.problem(
                key.span().start,
                format!("unknown key '{}' {place}{hint}", text.escape_debug()),
            );
        }
    }

    fn take<T>(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value: Spanned<DeValue<'a>> = self.table.remove(&Spanned::new(0..0, DeString::Borrowed(key)))?;
        let at = value.span().start;
        match read(value.into_inner()) {
            Ok(value) => Some(value),
            Err(reason) => {
                document.problem(at, sentence(&self.path(key), expected, &reason));
                None
            }
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }
}

fn sentence(what: &str, expected: &str, reason: &str) -> String {
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    format!("{what} must be {expected}{reason}")
}
