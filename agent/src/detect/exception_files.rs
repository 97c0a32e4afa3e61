//! Files of exceptions, read with every mistake named; an entry that has one is left out, the others count.

use super::exceptions::{Exception, Pattern, Values, Wanted};
use super::fields;
use super::rule_files::Problem;
use crate::config::{Document, Placed, Section};
use picket_common::action::NetworkError;
use picket_common::time::Timestamp;
use std::path::Path;

const UNTIL: &str =
    r#"a day such as "2027-01-31", a time such as "2027-01-31T12:00:00Z", or "never" for one without end"#;

/// The exceptions in the text of one file, and what is wrong in it.
pub(super) fn read(file: &Path, text: &str) -> (Vec<Exception>, Vec<Problem>) {
    let (mut document, table) = Document::read(file, text);
    let mut root = Section::root(table);
    let mut found = Vec::new();
    for section in root.sections(&mut document, "exception") {
        let (at, before) = (document.line_and_column(section.place()), document.mistakes());
        let exception = entry(&mut document, section);
        // What is half understood could hold back more than was meant.
        if let Some((rule, reason, until, wanted)) = exception
            && document.mistakes() == before
        {
            found.push(Exception::new(rule, reason, until, (file.to_owned(), at), wanted));
        }
    }
    root.finish(&mut document);
    let problems = document.into_problems().into_iter().map(Problem::from);
    (found, problems.collect())
}

type Entry = (String, String, Option<Timestamp>, Wanted);

fn entry(document: &mut Document<'_>, mut section: Section<'_>) -> Option<Entry> {
    let needed = [
        ("rule", "the id or the title of a rule"),
        ("reason", "why it is there"),
        ("until", UNTIL),
    ];
    for (key, expected) in needed {
        if !section.has(key) {
            document.problem(section.place(), format!("exception.{key} is missing: {expected}"));
        }
    }
    let filled = |text: &str| match text.trim() {
        "" => Err("it is empty".to_owned()),
        text => Ok(text.to_owned()),
    };
    let rule = section.text(document, "rule", "the id or the title of a rule", filled);
    let reason = section.text(document, "reason", "a text that says why", filled);
    let until = section.text_or_date(document, "until", UNTIL, until);
    let before = document.mistakes();
    let hosts = section.texts(document, "hosts", PATTERN, |text| {
        Pattern::read(text).ok_or_else(String::new)
    });
    if hosts.as_ref().is_some_and(Vec::is_empty) && document.mistakes() == before {
        let message = "exception.hosts is empty: leave it out for every host".to_owned();
        document.problem(section.place(), message);
    }
    let mut wanted = Wanted {
        fields: Vec::new(),
        hosts: hosts.unwrap_or_default(),
    };
    for ((name, at), items) in section.lists(document, "fields") {
        if !fields::is_known(&name) {
            let name = name.escape_debug();
            let known = fields::names().join(", ");
            document.problem(at, format!("events have no field '{name}'; they have {known}"));
        } else if items.is_empty() {
            document.problem(at, format!("exception.fields.{name} has no value"));
        } else {
            let values = values(document, &name, &items);
            wanted.fields.push((name, values));
        }
    }
    section.finish(document);
    Some((rule?, reason?, until?, wanted))
}

const PATTERN: &str = "a text that may begin or end with '*'";

fn values(document: &mut Document<'_>, name: &str, items: &[Placed]) -> Values {
    match name {
        "source.ip" | "destination.ip" | "picket.login.source.ip" => {
            Values::Networks(each(document, name, items, |text| {
                text.parse().map_err(|error: NetworkError| error.to_string())
            }))
        }
        name if name.ends_with(".port") || name.ends_with(".pid") => {
            Values::Numbers(each(document, name, items, |text| {
                text.parse().map_err(|_| "it must be a whole number".to_owned())
            }))
        }
        _ => Values::Texts(each(document, name, items, |text| {
            Pattern::read(text).ok_or_else(|| format!("it must be {PATTERN}"))
        })),
    }
}

fn each<T>(
    document: &mut Document<'_>,
    name: &str,
    items: &[Placed],
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut good = Vec::new();
    for (text, at) in items {
        match read(text) {
            Ok(value) => good.push(value),
            Err(reason) => document.problem(*at, format!("exception.fields.{name}: {reason}")),
        }
    }
    good
}

/// A day holds to its end, in UTC.
fn until(text: &str) -> Result<Option<Timestamp>, String> {
    if text == "never" {
        return Ok(None);
    }
    let wrong = |error: jiff::Error| error.to_string();
    if text.len() > "2027-01-31".len() {
        return Ok(Some(text.parse().map_err(wrong)?));
    }
    let day: jiff::civil::Date = text.parse().map_err(wrong)?;
    let end = day.tomorrow().map_err(wrong)?;
    let end = end.to_zoned(jiff::tz::TimeZone::UTC).map_err(wrong)?;
    Ok(Some(end.timestamp().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> (Vec<Exception>, Vec<String>) {
        let (found, problems) = read(Path::new("a.toml"), text);
        (found, problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn every_way_to_write_an_exception_is_understood() {
        let (found, problems) = load(
            r#"
[[exception]]
rule = "Many failed logins"
reason = "The scanner of the security team"
until = "2027-01-31"
hosts = ["web*"]
[exception.fields]
source.ip = ["198.51.100.0/24", "2001:db8::/32"]
"user.name" = ["scan*"]

[[exception]]
rule = "e6eaea49-7676-599c-9182-a26a24d9acd7"
reason = "It was moved"
until = 2027-01-31T12:00:00+01:00

[[exception]]
rule = "a"
reason = "b"
until = "never"
fields = { "source.port" = ["22"] }
"#,
        );
        assert_eq!(problems, [] as [&str; 0]);
        let said: Vec<_> = found
            .iter()
            .map(|exception| {
                (
                    exception.at.0,
                    exception.until.map(|until| until.to_string()),
                    exception.condition(),
                )
            })
            .collect();
        let time = |text: &str| Some(text.to_owned());
        assert_eq!(
            said,
            [
                (
                    2,
                    time("2027-02-01T00:00:00.000000Z"),
                    "source.ip is 198.51.100.0/24 or 2001:db8::/32 and user.name is scan* and host is web*"
                        .to_owned()
                ),
                (11, time("2027-01-31T11:00:00.000000Z"), "every event".to_owned()),
                (16, None, "source.port is 22".to_owned()),
            ]
        );
    }

    #[test]
    fn all_mistakes_are_named_with_their_places_and_the_rest_counts() {
        let (found, problems) = load(
            r#"[[exception]]
rule = "a"
reason = " "
until = "2027-13-01"
hots = []
[exception.fields]
source.ip = ["198.51.100.0/33", 7]
source.address = ["x"]
user.name = []
process.pid = ["x"]
group.name = "x"

[[exception]]
hosts = ["a*b"]

[[exception]]
rule = "a"
reason = "b"
until = "never"

[bogus]
"#,
        );
        assert_eq!(found.len(), 1);
        let expected = [
            "a.toml:3:10: exception.reason must be",
            "a.toml:4:9: exception.until must be",
            "a.toml:5:1: unknown key 'hots' in [exception]; did you mean 'hosts'?",
            "a.toml:7:14: exception.fields.source.ip: '198.51.100.0/33' is no address or network",
            "a.toml:7:33: an item of exception.fields.source.ip must be a text",
            "a.toml:8:8: events have no field 'source.address'",
            "a.toml:9:6: exception.fields.user.name has no value",
            "a.toml:10:16: exception.fields.process.pid: it must be a whole number",
            "a.toml:11:14: exception.fields.group.name must be a list of texts",
            "a.toml:13:1: exception.rule is missing",
            "a.toml:13:1: exception.reason is missing",
            "a.toml:13:1: exception.until is missing",
            "a.toml:14:10: an item of exception.hosts must be",
            "a.toml:21:2: unknown key 'bogus'",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem} is not {expected}");
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        for text in [
            "exception = 1",
            "[exception]",
            "[[exception]]\nfields = [1]",
            "[[[",
            "until = \"\"\n\u{0}",
        ] {
            let (found, problems) = load(text);
            assert!(found.is_empty() && !problems.is_empty(), "{text}");
        }
    }
}
