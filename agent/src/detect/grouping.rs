//! By which values a correlation tells events apart, and what it counts of one.

use super::fields;
use super::rules::Correlation;
use super::threshold::{Hit, Key, Kind, mark};
use compact_str::CompactString;
use picket_common::event::Event;

/// The group to which an event belongs at a step; `None` when it lacks what is grouped by.
pub(super) fn key(correlation: &Correlation, step: usize, event: &Event) -> Option<Key> {
    let names = correlation.groups.get(step)?;
    match names.as_slice() {
        [name] if correlation.by_address => fields::address(event, name).map(Key::Address),
        _ => joined(event, names).map(Key::Text),
    }
}

/// What is counted.
pub(super) fn hit(correlation: &Correlation, step: usize, event: &Event) -> Hit {
    let value = match &correlation.kind {
        Kind::ValueCount(_, fields) => value_mark(event, fields),
        _ => None,
    };
    let repeated = event.auth().and_then(|auth| auth.repeated);
    let times = repeated.and_then(|times| usize::try_from(times).ok());
    Hit {
        time: event.time.as_micros(),
        event: event.id,
        step,
        value,
        times: times.unwrap_or(1).max(1),
    }
}

/// What the fields' values are remembered by.
fn value_mark(event: &Event, names: &[String]) -> Option<u64> {
    match names {
        [name] if name == fields::ADDRESS => fields::address(event, name).map(|address| mark(&address)),
        [name] => fields::text(event, name).map(|text| mark(&text)),
        _ => joined(event, names).map(|text| mark(&text)),
    }
}

/// The fields' values as one text.
fn joined(event: &Event, names: &[String]) -> Option<CompactString> {
    let mut key = CompactString::const_new("");
    for (index, name) in names.iter().enumerate() {
        let value = fields::text(event, name)?;
        if index > 0 {
            // Framed by length, so that no value can reach into the next.
            key.push_str(&compact_str::format_compact!("\u{1f}{}\u{1f}", key.len()));
        }
        key.push_str(&value);
    }
    Some(key)
}
