//! The header fields of a mail or of one of its parts, as they lie.

/// How many fields of one header are kept.
const MOST: usize = 2_000;

/// A header.
#[derive(Clone, Default, Debug)]
pub(super) struct Fields<'a> {
    fields: Vec<Field<'a>>,
    /// How many lines are neither a field nor the continuation of one.
    pub(super) broken: usize,
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// Its name, as it was written.
    pub(super) name: &'a [u8],
    /// What follows the colon, with its folds, without the last line's end.
    pub(super) value: &'a [u8],
    /// All of it, with its name and without the last line's end.
    pub(super) whole: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads a header, and gives the place where the content begins.
    pub(super) fn read(bytes: &'a [u8]) -> (Self, usize) {
        let mut read = Self::default();
        let (mut at, mut open): (usize, Option<usize>) = (0, None);
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or_default();
            let is_fold = open.is_some() && matches!(line.first(), Some(b' ' | b'\t'));
            if !is_fold {
                if let Some(start) = open.take() {
                    read.add(bytes.get(start..at).unwrap_or_default());
                }
                if trimmed(line).is_empty() {
                    return (read, at + end);
                }
                // The envelope's line of an mbox is no field.
                if !(at == 0 && line.starts_with(b"From ")) {
                    open = Some(at);
                }
            }
            at += end;
        }
    }

    fn add(&mut self, whole: &'a [u8]) {
        let whole = trimmed(whole);
        let colon = memchr::memchr(b':', whole.get(..1_024).unwrap_or(whole));
        let Some((name, value)) = colon.and_then(|at| Some((whole.get(..at)?, whole.get(at + 1..)?))) else {
            self.broken += 1;
            return;
        };
        let name = name.trim_ascii();
        if name.is_empty() || name.iter().any(|byte| !byte.is_ascii_graphic()) {
            self.broken += 1;
        } else if self.fields.len() < MOST {
            self.fields.push(Field { name, value, whole });
        }
    }

    /// All fields, from the top.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Field<'a>> {
        self.fields.iter()
    }

    /// The values of all fields of a name, with their places, from the top.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = (usize, &'a [u8])> {
        let is_named = move |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        let fields = self.fields.iter().enumerate();
        fields.filter_map(move |(at, field)| is_named(field).then_some((at, field.value)))
    }

    /// The value of the first field of a name.
    pub(super) fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next().map(|(_, value)| value)
    }
}

/// Without the end of the last line.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
