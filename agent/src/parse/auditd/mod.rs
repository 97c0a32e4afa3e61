//! The log of auditd: records, and the programs that several of them together tell of.
//!
//! The kernel writes a value that somebody else chose in quotes when it holds neither quotes, blanks nor control characters,
//! and in hexadecimal digits otherwise. So a record can be taken apart at its blanks, and no value reaches into the next.

mod exec;
mod join;

pub use join::{Joined, Joiner};

use super::scan;
use picket_common::time::Timestamp;
use std::borrow::Cow;

/// From here on the enriched form repeats numbers as names (`UID="root"`).
const ENRICHED: char = '\u{1d}';

/// No host has a longer name.
const LONGEST_NODE: usize = 255;

/// One line of an audit log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The host that wrote it, when it says so.
    pub node: Option<&'a str>,
    /// `SYSCALL`, `EXECVE`, …
    pub kind: &'a str,
    /// When the event happened; the records of one event have the same time and serial.
    pub time: Timestamp,
    /// Numbers the events of a boot.
    pub serial: u64,
    fields: &'a str,
    names: &'a str,
}

impl<'a> Record<'a> {
    /// Reads `[node=NAME ]type=KIND msg=audit(SECONDS.MILLIS:SERIAL): FIELDS`.
    pub fn read(line: &'a str) -> Option<Self> {
        let line = line.trim_end_matches(['\n', '\r']);
        let (node, rest) = match line.strip_prefix("node=") {
            Some(rest) => {
                let (node, rest) = rest.split_once(' ')?;
                (Some(node), rest)
            }
            None => (None, line),
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(" msg=audit(")?;
        let (stamp, fields) = rest.split_once("):")?;
        let (time, serial) = stamp.split_once(':')?;
        let (seconds, millis) = time.split_once('.')?;
        let (seconds, millis) = (scan::number::<i64>(seconds)?, scan::number::<i64>(millis)?);
        let long_name = node.is_some_and(|node| node.len() > LONGEST_NODE);
        if long_name || kind.is_empty() || kind.contains(' ') || !(0..1000).contains(&millis) {
            return None;
        }
        let micros = seconds.checked_mul(1_000_000)?.checked_add(millis * 1000)?;
        let (fields, names) = fields.split_once(ENRICHED).unwrap_or((fields, ""));
        Some(Self {
            node,
            kind,
            time: Timestamp::from_micros(micros),
            serial: scan::number(serial)?,
            fields,
            names,
        })
    }

    /// The fields in their order, as they are written.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs(self.fields)
    }

    /// A field as it is written.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        pairs(self.fields)
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .filter(|value| !matches!(*value, "(null)" | "(none)" | "?"))
    }

    /// A field that is a decimal number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        scan::number(self.raw(name)?)
    }

    /// A field whose value somebody else chose.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&value(self.raw(name)?)).into_owned())
    }

    /// What the enriched form calls a number; `None` in the plain form and where it knows no name.
    pub fn name(&self, name: &str) -> Option<&'a str> {
        let (_, value) = pairs(self.names).find(|(key, _)| *key == name)?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        (!matches!(value, "" | "unset" | "unknown")).then_some(value)
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(' ').filter_map(|word| word.split_once('='))
}

/// The bytes that a value stands for: in quotes, in hexadecimal digits, or as they are.
pub fn value(text: &str) -> Cow<'_, [u8]> {
    if let Some(rest) = text.strip_prefix('"') {
        return Cow::Borrowed(rest.strip_suffix('"').unwrap_or(rest).as_bytes());
    }
    match hex(text) {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(text.as_bytes()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests;
