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
pub(crate) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    /// Where each line but the first begins: a file may be wrong in each of its lines.
    lines: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    /// Reads the text as TOML. A text that is broken in places is read around them.
    pub(crate) fn read(file: &'a Path, text: &'a str) -> (Self, DeTable<'a>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            file,
            text,
            lines: memchr::memchr_iter(b'\n', text.as_bytes())
                .map(|at| at + 1)
                .collect(),
            problems: Vec::new(),
        };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            document.problem(at, error.message().to_owned());
        }
        (document, root.into_inner())
    }

    /// Notes a mistake at a byte of the text.
    pub(crate) fn problem(&mut self, byte: usize, message: String) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            at: Some(self.line_and_column(byte)),
            message,
        });
    }

    /// Where a byte of the text stands, from 1; columns count characters.
    pub(crate) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = self.lines.partition_point(|start| *start <= before.len());
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied();
        let last = before.get(start.unwrap_or(0)..).unwrap_or_default();
        (line + 1, last.chars().count() + 1)
    }

    /// How many mistakes there are so far.
    pub(crate) fn mistakes(&self) -> usize {
        self.problems.len()
    }

    /// All mistakes, in the order of their places.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.at);
        self.problems
    }
}

/// A table under its name, from which keys are taken.
pub(crate) struct Section<'a> {
    name: String,
    /// The byte at which it begins.
    at: usize,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

/// A text, and the byte at which it stands.
pub(crate) type Placed = (String, usize);

impl<'a> Section<'a> {
    /// The document's own table.
    pub(crate) fn root(table: DeTable<'a>) -> Self {
        Self {
            name: String::new(),
            at: 0,
            table,
            known: Vec::new(),
        }
    }

    /// The byte at which it begins.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Takes a table; an empty one when it is not there.
    pub(crate) fn section(&mut self, document: &mut Document<'_>, key: &'static str) -> Self {
        let table = self.take(document, key, "a table", |value| match value {
            DeValue::Table(table) => Ok(table),
            _ => Err(String::new()),
        });
        Self {
            name: self.path(key),
            at: 0,
            table: table.unwrap_or_default(),
            known: Vec::new(),
        }
    }

    /// Takes tables of one name, written `[[name]]`, in their order.
    pub(crate) fn sections(&mut self, document: &mut Document<'_>, key: &'static str) -> Vec<Self> {
        let expected = format!("tables, each written [[{key}]]");
        let items = self.take(document, key, &expected, |value| match value {
            DeValue::Array(items) => Ok(items),
            _ => Err(String::new()),
        });
        let mut sections = Vec::new();
        for item in items.into_iter().flatten() {
            let at = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => sections.push(Self {
                    name: key.to_owned(),
                    at,
                    table,
                    known: Vec::new(),
                }),
                _ => document.problem(at, sentence(&format!("an item of {key}"), "a table", "")),
            }
        }
        sections
    }

    /// Takes a table of lists of texts, whose keys the caller knows: each key with its items. A key with dots may be written
    /// as tables in one another.
    pub(crate) fn lists(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
    ) -> Vec<(Placed, Vec<Placed>)> {
        let name = self.path(key);
        let table = self.take(document, key, "a table of lists of texts", |value| match value {
            DeValue::Table(table) => Ok(table),
            _ => Err(String::new()),
        });
        let (mut lists, mut open) = (Vec::new(), vec![(String::new(), table.unwrap_or_default())]);
        while let Some((above, table)) = open.pop() {
            for (part, value) in table {
                let (part_at, at) = (part.span().start, value.span().start);
                let path = match above.as_str() {
                    "" => part.into_inner().into_owned(),
                    above => format!("{above}.{}", part.get_ref()),
                };
                match value.into_inner() {
                    DeValue::Table(table) => open.push((path, table)),
                    DeValue::Array(items) => {
                        let mut texts = Vec::new();
                        for item in items {
                            let at = item.span().start;
                            match item.into_inner() {
                                DeValue::String(text) => texts.push((text.into_owned(), at)),
                                _ => {
                                    let what = format!("an item of {name}.{}", path.escape_debug());
                                    document.problem(at, sentence(&what, "a text", ""));
                                }
                            }
                        }
                        lists.push(((path, part_at), texts));
                    }
                    _ => {
                        let what = format!("{name}.{}", path.escape_debug());
                        document.problem(at, sentence(&what, "a list of texts", ""));
                    }
                }
            }
        }
        lists.sort();
        lists
    }

    /// Takes a text and reads it; `expected` completes the sentence "must be …".
    pub(crate) fn text<T>(
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

    /// Takes a text or a date, which TOML lets stand without quotes, and reads it.
    pub(crate) fn text_or_date<T>(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.take(document, key, expected, |value| match value {
            DeValue::String(text) => read(&text),
            DeValue::Datetime(date) => read(&date.to_string()),
            _ => Err(String::new()),
        })
    }

    /// Whether a key is there that was not taken yet.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.table
            .contains_key(&Spanned::new(0..0, DeString::Borrowed(key)))
    }

    /// Takes a whole number within bounds.
    pub(crate) fn number(
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
    pub(crate) fn texts<T>(
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
    pub(crate) fn finish(self, document: &mut Document<'_>) {
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
