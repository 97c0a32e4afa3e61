//! Reading the file of a list: a table with a heading, or a value a line.

use super::columns::{Columns, Fields};
use super::exact::NEVER;
use super::value::{self, Value, Wanted};
use picket_common::action::Network;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// A longer line is cut, and then wrong.
const LONGEST_LINE: u64 = 4096;
/// More wrong lines of a file are counted, and not named.
const NAMED: usize = 100;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One indicator, with what the list says of it and from when on it does not match any more, in seconds since the epoch.
pub(super) struct Line<'a> {
    pub(super) value: Value<'a>,
    pub(super) words: &'a str,
    pub(super) expires: u32,
}

/// How a file was read.
#[derive(Default)]
pub(super) struct Read {
    /// What is wrong, by its line.
    pub(super) problems: Vec<(usize, String)>,
    /// How many lines name something.
    pub(super) good: usize,
    /// How many are wrong.
    pub(super) wrong: usize,
    /// How many are of a kind that is not looked for.
    pub(super) passed_over: usize,
    /// There is not one byte in it.
    pub(super) is_empty: bool,
}

/// Reads a file and gives each indicator to `take`, which may refuse it. What was read before an error counts all the same.
pub(super) fn read(
    path: &Path,
    allow: &[Network],
    mut take: impl FnMut(Line<'_>) -> Result<(), Cow<'static, str>>,
) -> Result<Read, (io::Error, Read)> {
    let mut told = Read::default();
    match read_lines(path, allow, &mut told, &mut take) {
        Ok(()) => {
            if let Some(more) = told.wrong.checked_sub(NAMED).filter(|more| *more > 0) {
                let last = told.problems.last().map_or(1, |(line, _)| *line);
                told.problems.push((last, format!("{more} more lines are wrong")));
            }
            Ok(told)
        }
        Err(error) => Err((error, told)),
    }
}

fn read_lines(
    path: &Path,
    allow: &[Network],
    told: &mut Read,
    take: &mut impl FnMut(Line<'_>) -> Result<(), Cow<'static, str>>,
) -> io::Result<()> {
    let file = File::open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    told.is_empty = data.len() == 0;
    let (mut input, mut line) = (BufReader::with_capacity(64 << 10, file), Vec::new());
    let (mut at, mut columns, mut fields) = (0, None, Fields::default());
    let mut begun = false;
    loop {
        line.clear();
        if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        at += 1;
        let is_cut = line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n');
        if is_cut {
            input.skip_until(b'\n')?;
        }
        let mut text = line.as_slice();
        if at == 1 {
            if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
                return Err(io::Error::other("it is UTF-16; save it as UTF-8"));
            }
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        // Zeek's tables have fields that may be empty at the end.
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let bare = text.trim_ascii();
        if bare.is_empty() {
            continue;
        }
        if let Some(comment) = bare.strip_prefix(b"#") {
            if !begun {
                columns = Columns::of_comment(comment).or(columns);
            }
            continue;
        }
        if bare.starts_with(b";") {
            continue;
        }
        if !std::mem::replace(&mut begun, true) && columns.is_none() {
            columns = Columns::of_heading(bare);
            if columns.is_some() {
                continue;
            }
        }
        let read = if is_cut {
            Err("is longer than 4096 bytes".into())
        } else if let Some(columns) = &columns {
            row(text, columns, &mut fields, allow, take)
        } else {
            plain(bare, allow, take)
        };
        match read {
            Ok(true) => told.good += 1,
            Ok(false) => told.passed_over += 1,
            Err(message) => {
                told.wrong += 1;
                if told.wrong <= NAMED {
                    told.problems.push((at, message.into_owned()));
                }
            }
        }
    }
}

/// Takes what a row of a table names. Whether that is looked for.
fn row(
    line: &[u8],
    columns: &Columns,
    fields: &mut Fields,
    allow: &[Network],
    take: &mut impl FnMut(Line<'_>) -> Result<(), Cow<'static, str>>,
) -> Result<bool, Cow<'static, str>> {
    fields.split(line, columns.delimiter)?;
    let last = columns.values.iter().map(|(at, _)| *at).max();
    if last.is_some_and(|last| last >= fields.len()) {
        let (there, last) = (fields.len(), last.unwrap_or_default() + 1);
        return Err(format!("has {there} fields; by the heading the value is in number {last}").into());
    }
    let kind = columns.kind.and_then(|at| fields.get(at)).unwrap_or_default();
    let Some(kind) = Wanted::named(&String::from_utf8_lossy(kind)) else {
        return Ok(false);
    };
    let words = columns.note.and_then(|at| fields.get(at)).unwrap_or_default();
    let words = String::from_utf8_lossy(words);
    let expires = columns.expires.and_then(|at| fields.get(at)).unwrap_or_default();
    let expires = expiry(expires)?;
    let mut found = false;
    for (at, wanted) in &columns.values {
        let text = fields.get(*at).unwrap_or_default();
        // Not every file has all of its digests in a list.
        let is_left_out = columns.values.len() > 1 && matches!(text, b"" | b"-" | b"n/a");
        if is_left_out {
            continue;
        }
        let wanted = match wanted {
            Wanted::Any => kind,
            other => *other,
        };
        let value = value::read(wanted, text, allow).map_err(|why| quoted(text, &why))?;
        let words = dashed(&words);
        take(Line {
            value,
            words,
            expires,
        })?;
        found = true;
    }
    match found {
        true => Ok(true),
        false => Err("names nothing".into()),
    }
}

/// Takes what a line without a heading names: the value first, and words behind it if there are any.
fn plain(
    line: &[u8],
    allow: &[Network],
    take: &mut impl FnMut(Line<'_>) -> Result<(), Cow<'static, str>>,
) -> Result<bool, Cow<'static, str>> {
    let end = line.iter().position(|byte| b" \t,;".contains(byte));
    let (text, words) = line.split_at(end.unwrap_or(line.len()));
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let text = text.strip_suffix(b"\"").unwrap_or(text);
    let value = value::read(Wanted::Any, text, allow).map_err(|why| quoted(text, &why))?;
    let words = String::from_utf8_lossy(words);
    let words = words.trim_matches([' ', '\t', ',', ';', '*', '#', '"']);
    take(Line {
        value,
        words,
        expires: NEVER,
    })?;
    Ok(true)
}

/// Zeek writes a dash for what is not there.
fn dashed(words: &str) -> &str {
    if words == "-" { "" } else { words }
}

fn quoted(text: &[u8], why: &str) -> Cow<'static, str> {
    /// More is not needed to find it.
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(text);
    let shown = text.get(..text.floor_char_boundary(SHOWN)).unwrap_or_default();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("'{}{more}' {why}", shown.escape_debug()).into()
}

/// Seconds since the epoch; a day holds to its end, in UTC.
fn expiry(text: &[u8]) -> Result<u32, Cow<'static, str>> {
    const WANTED: &str = "is no end; write 2027-01-31, 2027-01-31 12:00:00, or seconds since 1970";
    if matches!(text, b"" | b"-" | b"never") {
        return Ok(NEVER);
    }
    let text = std::str::from_utf8(text).map_err(|_| quoted(text, WANTED))?;
    let utc = |time: jiff::civil::DateTime| {
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(time.timestamp().as_second())
    };
    let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
        Some(time.as_second())
    } else if text.len() > "2027-01-31".len() {
        text.parse().ok().and_then(utc)
    } else {
        let day: Option<jiff::civil::Date> = text.parse().ok();
        let end = day.and_then(|day| day.tomorrow().ok());
        end.and_then(|end| utc(end.at(0, 0, 0, 0)))
    };
    let seconds = seconds.ok_or_else(|| quoted(text.as_bytes(), WANTED))?;
    // What ended before 1970 has ended, and what ends beyond 2106 does not.
    Ok(u32::try_from(seconds.max(0)).unwrap_or(NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn ends_are_read_in_every_form_that_lists_have() {
        let second = |text: &str| i64::from(expiry(text.as_bytes()).unwrap());
        assert_eq!(
            second("2027-01-31"),
            "2027-02-01T00:00:00Z"
                .parse::<jiff::Timestamp>()
                .unwrap()
                .as_second()
        );
        let noon = "2027-01-31T12:00:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second();
        for text in [
            "2027-01-31 12:00:00",
            "2027-01-31T12:00:00Z",
            "2027-01-31T13:00:00+01:00",
            &noon.to_string(),
        ] {
            assert_eq!(second(text), noon, "{text}");
        }
        for never in ["", "-", "never", "2200-01-01", "99999999999"] {
            assert_eq!(expiry(never.as_bytes()), Ok(NEVER), "{never}");
        }
        assert_eq!(second("1950-01-01"), 0);
        for wrong in [
            "soon",
            "2027-13-01",
            "99999999999999999999",
            "\u{fffd}",
            "31.01.2027 12:00",
        ] {
            assert!(
                expiry(wrong.as_bytes()).unwrap_err().contains("2027-01-31"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_line_of_ten_megabytes_takes_no_memory_and_the_next_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long.txt");
        let long = "a".repeat(10 << 20);
        fs::write(&file, format!("198.51.100.7\n{long}\n198.51.100.8\n")).unwrap();
        let mut found = Vec::new();
        let read = read(&file, &[], |line| {
            found.push(format!("{:?}", line.value));
            Ok(())
        });
        let read = read.ok().unwrap();
        assert_eq!((read.good, read.wrong, found.len()), (2, 1, 2));
        assert_eq!(read.problems, [(2, "is longer than 4096 bytes".to_owned())]);
    }
}
