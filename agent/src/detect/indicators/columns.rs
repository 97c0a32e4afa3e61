//! The fields of a line of a table, and which of them hold what.

use super::value::Wanted;

/// What stands between two fields, by which a heading is taken apart; the first that gives one counts.
const DELIMITERS: [u8; 3] = *b",\t;";

/// Where the fields of a table are, as its heading names them.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) delimiter: u8,
    /// Fields that hold values, and of which kind.
    pub(super) values: Vec<(usize, Wanted)>,
    /// The field that names the kind of those that do not say it themselves.
    pub(super) kind: Option<usize>,
    pub(super) note: Option<usize>,
    pub(super) expires: Option<usize>,
}

/// What a column holds.
enum Held {
    Value(Wanted),
    Kind,
    Note,
    Expires,
}

impl Columns {
    /// Reads a heading that stands in a comment: words that name columns, and nothing that a sentence would have.
    pub(super) fn of_comment(comment: &[u8]) -> Option<Self> {
        let comment = comment.trim_ascii_start();
        let comment = comment.strip_prefix(b"fields\t").unwrap_or(comment);
        let columns = Self::of_heading(comment)?;
        let mut fields = Fields::default();
        fields.split(comment, columns.delimiter).ok()?;
        let is_word = |field: &[u8]| !field.is_empty() && !field.contains(&b' ');
        (fields.len() > 1 && fields.iter().all(is_word)).then_some(columns)
    }

    /// Reads a heading; `None` for a line that is none, as it names no column of values.
    pub(super) fn of_heading(line: &[u8]) -> Option<Self> {
        DELIMITERS.into_iter().find_map(|delimiter| {
            let mut columns = Self {
                delimiter,
                values: Vec::new(),
                kind: None,
                note: None,
                expires: None,
            };
            let mut fields = Fields::default();
            fields.split(line, delimiter).ok()?;
            for (at, field) in fields.iter().enumerate() {
                match held(&String::from_utf8_lossy(field)) {
                    Some(Held::Value(wanted)) => columns.values.push((at, wanted)),
                    Some(Held::Kind) => columns.kind = columns.kind.or(Some(at)),
                    Some(Held::Note) => columns.note = columns.note.or(Some(at)),
                    Some(Held::Expires) => columns.expires = columns.expires.or(Some(at)),
                    None => {}
                }
            }
            // A line that is a value alone is none, and neither is one that only names a kind.
            (!columns.values.is_empty()).then_some(columns)
        })
    }
}

fn held(name: &str) -> Option<Held> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    Some(match name.as_str() {
        "value" | "indicator" | "ioc" | "ioc_value" => Held::Value(Wanted::Any),
        "type" | "kind" | "indicator_type" | "ioc_type" => Held::Kind,
        "description" | "desc" | "note" | "comment" | "signature" | "malware" | "malware_printable"
        | "threat" | "meta.desc" => Held::Note,
        "expires" | "expiry" | "expiration" | "valid_until" | "meta.expires" => Held::Expires,
        // What a list says of the file beside its digest may be anybody's, and is no indicator by itself.
        "file_name" | "filename" | "name" | "host" | "hash" => return None,
        other => Held::Value(Wanted::named(other).filter(|wanted| *wanted != Wanted::Any)?),
    })
}

/// The fields of one line; those of the next one take their room.
#[derive(Default)]
pub(super) struct Fields {
    /// All of them, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    /// Takes a line apart. Quotes may stand around a field; a doubled one inside is one.
    pub(super) fn split(&mut self, line: &[u8], delimiter: u8) -> Result<(), &'static str> {
        self.bytes.clear();
        self.ends.clear();
        let mut rest = Some(line);
        while let Some(line) = rest {
            let quoted = line.trim_ascii_start().strip_prefix(b"\"");
            rest = match quoted {
                None => {
                    let end = memchr::memchr(delimiter, line).unwrap_or(line.len());
                    let field = line.get(..end).unwrap_or_default();
                    self.bytes.extend_from_slice(field.trim_ascii());
                    line.get(end + 1..)
                }
                Some(quoted) => {
                    let behind = unquote(quoted, &mut self.bytes).ok_or("has a quote that does not end")?;
                    let behind = behind.trim_ascii_start();
                    match behind.split_first() {
                        None => None,
                        Some((first, rest)) if *first == delimiter => Some(rest),
                        Some(_) => return Err("has something behind a quote that has ended"),
                    }
                }
            };
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.bytes.get(start..*self.ends.get(at)?)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

/// Takes what is inside the quotes; gives what is behind them.
fn unquote<'a>(mut text: &'a [u8], field: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let end = memchr::memchr(b'"', text)?;
        field.extend_from_slice(text.get(..end)?);
        text = text.get(end + 1..)?;
        match text.strip_prefix(b"\"") {
            Some(more) => {
                field.push(b'"');
                text = more;
            }
            None => return Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<Vec<String>, &'static str> {
        let mut fields = Fields::default();
        fields.split(b"some,thing,longer,before", b',')?;
        fields.split(line.as_bytes(), b',')?;
        Ok(fields
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect())
    }

    #[test]
    fn a_line_is_taken_apart_at_its_delimiters_and_not_inside_quotes() {
        let good = [
            ("a,b", vec!["a", "b"]),
            (" a , b ", vec!["a", "b"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            (r#""a,""b""", "c""#, vec![r#"a,"b""#, "c"]),
            (r#""", x"#, vec!["", "x"]),
            (r#"a"b,c"#, vec![r#"a"b"#, "c"]),
        ];
        for (line, expected) in good {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        for wrong in [r#""a"#, r#"a,"b"#, r#""a"b,c"#] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headings_of_lists_that_are_handed_around_are_understood() {
        for (heading, values, kind, note, expires) in [
            (
                "type,value,description,expires",
                vec![1],
                Some(0),
                Some(2),
                Some(3),
            ),
            ("Value;Type", vec![0], Some(1), None, None),
            (
                "indicator\tindicator_type\tmeta.source\tmeta.desc",
                vec![0],
                Some(1),
                Some(3),
                None,
            ),
            (
                r#""first_seen_utc","sha256_hash","md5_hash","sha1_hash","file_name","signature""#,
                vec![1, 2, 3],
                None,
                Some(5),
                None,
            ),
            (
                r#""first_seen_utc","dst_ip","dst_port","malware""#,
                vec![1],
                None,
                Some(3),
                None,
            ),
            (
                r#""ioc_id", "ioc_value", "ioc_type", "malware_printable""#,
                vec![1],
                Some(2),
                Some(3),
                None,
            ),
            ("sha256", vec![0], None, None, None),
        ] {
            let columns = Columns::of_heading(heading.as_bytes()).unwrap();
            let places: Vec<usize> = columns.values.iter().map(|(at, _)| *at).collect();
            assert_eq!(places, values, "{heading}");
            assert_eq!(
                (columns.kind, columns.note, columns.expires),
                (kind, note, expires),
                "{heading}"
            );
        }
        for none in [
            "first,second",
            "198.51.100.7,C2",
            "description,expires",
            "",
            "a comment, with a comma",
        ] {
            assert!(Columns::of_heading(none.as_bytes()).is_none(), "{none}");
        }
        let comment = |text: &str| Columns::of_comment(text.as_bytes()).is_some();
        assert!(comment("fields\tindicator\tindicator_type") && comment(r#" "ioc_id", "ioc_value""#));
        for none in ["domain", "every line is an address, domain", "sha256, and more"] {
            assert!(!comment(none), "{none}");
        }
    }
}
