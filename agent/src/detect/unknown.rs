//! Fields that a rule must not ask about: what no login has, as it would never match and nobody would know why, and what is
//! not known of a program before it starts, in a rule that asks to keep it from starting.

use super::fields::is_of_logins;
use rsigma_parser::{Detection, Detections};
use std::collections::BTreeSet;

/// What a denial knows of a program: its file.
const OF_A_FILE: [&str; 8] = [
    "Hashes",
    "Image",
    "file.hash.sha256",
    "package.name",
    "process.executable",
    "md5",
    "sha1",
    "sha256",
];

/// The names of fields that no login has.
pub(super) fn fields(detections: &Detections) -> BTreeSet<&str> {
    all(detections, is_of_logins)
}

/// The names of fields that a denial cannot judge by; `keywords` for words that may stand anywhere.
pub(super) fn beyond_the_file(detections: &Detections) -> BTreeSet<&str> {
    let of_a_file = |name: &str| OF_A_FILE.contains(&name) || name.starts_with("process.hash.");
    let mut found = all(detections, of_a_file);
    if detections.named.values().any(has_words) {
        found.insert("keywords");
    }
    found
}

fn all(detections: &Detections, known: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    detections
        .named
        .values()
        .for_each(|detection| collect(detection, &known, &mut found));
    found
}

fn collect<'a>(detection: &'a Detection, known: &impl Fn(&str) -> bool, found: &mut BTreeSet<&'a str>) {
    match detection {
        Detection::AllOf(items) => {
            let names = items.iter().filter_map(|item| item.field.name.as_deref());
            found.extend(names.filter(|name| !known(name)));
        }
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().for_each(|part| collect(part, known, found));
        }
        // No field of ours is a list; what is in one has names of its own.
        Detection::ArrayMatch { field, .. } => {
            found.insert(field);
        }
        Detection::Conditional { named, .. } => {
            named.values().for_each(|part| collect(part, known, found));
        }
        Detection::Keywords(_) => {}
    }
}

fn has_words(detection: &Detection) -> bool {
    match detection {
        Detection::AllOf(items) => items.iter().any(|item| item.field.name.is_none()),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().any(has_words),
        Detection::Conditional { named, .. } => named.values().any(has_words),
        Detection::Keywords(_) => true,
        Detection::ArrayMatch { .. } => false,
    }
}

/// The line of a document, from 0, on which a detection names a field; its first where that cannot be told.
pub(super) fn line(document: &str, name: &str) -> usize {
    let mut lines = document.lines().enumerate();
    lines
        .by_ref()
        .find(|(_, line)| line.starts_with("detection"))
        .and_then(|_| lines.find(|(_, line)| names(line, name)))
        .map_or(0, |(at, _)| at)
}

/// Whether a line has it as a key, by itself or with modifiers.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + name.len()..).and_then(|after| after.chars().next());
        before.is_none_or(|sign| " \t\"'{,".contains(sign))
            && after.is_some_and(|sign| ":|\"'[ ".contains(sign))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsigma_parser::parse_sigma_yaml;

    #[test]
    fn every_field_that_no_event_has_is_found_with_its_line() {
        let text = "title: t\ndescription: xevent\nlogsource: {category: authentication}\ndetection:\n    \
                    selection:\n        event.action: login\n        event.actoin|startswith: l\n    \
                    one:\n        - event.outcome: failure\n        - {user.nam: a, user.name: b}\n    \
                    words: [event.code]\n    condition: selection and one and not words\n";
        let collection = parse_sigma_yaml(text).unwrap();
        let found = fields(&collection.rules[0].detection);
        let places: Vec<(&str, usize)> = found.into_iter().map(|name| (name, line(text, name))).collect();
        assert_eq!(places, [("event.actoin", 6), ("user.nam", 9)]);
        assert_eq!(line(text, "event"), 0);
    }
}
