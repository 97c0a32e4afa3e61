//! What others write into logs, and what a kernel says of them.

use jiff::tz::TimeZone;
use picket_agent::parse::auditd::{Joiner, Record};
use picket_agent::parse::stamp::Calendar;
use picket_agent::parse::{auth, cgroup, ecs as ecs_json, journal_json, mount_info, scan, sockets, syslog};
use picket_agent::sense::program_of;
use picket_agent::sys::Stat;
use picket_common::ecs;
use picket_common::event::{AuthEvent, Payload};
use picket_common::ndjson;
use picket_common::time::Timestamp;
use serde::Serialize;

/// The first use of the year 2024.
const NOW: Timestamp = Timestamp::from_micros(1_704_067_200_000_000);

/// One line, and one alone, that steers no terminal.
fn one_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    ndjson::write(&mut line, value).expect("memory takes all");
    let text = std::str::from_utf8(&line).expect("JSON is UTF-8");
    let body = text.strip_suffix('\n').expect("it is a line");
    assert!(!body.contains(char::is_control), "{body:?}");
    line
}

fn told(event: &AuthEvent, time: Option<Timestamp>) {
    one_line(&ecs::auth(event, time));
    let again = serde_json::to_vec(event).expect("it can be spooled");
    let again: AuthEvent = serde_json::from_slice(&again).expect("it can be read back");
    assert_eq!(again, *event);
}

pub(super) fn auth_line(bytes: &[u8]) {
    let mut calendar = Calendar::new(TimeZone::UTC, NOW);
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = scan::text(line);
        let Some(frame) = syslog::frame(&text) else {
            continue;
        };
        let time = frame.stamp.and_then(|stamp| calendar.resolve(stamp));
        if let Some(event) = auth::event(&frame) {
            told(&event, time);
        }
    }
}

pub(super) fn journal_entry(bytes: &[u8]) {
    if let Some(entry) = journal_json::entry(bytes)
        && let Some(event) = auth::message(&entry.program, &entry.message)
    {
        told(&event, Some(entry.time));
    }
}

pub(super) fn auditd(bytes: &[u8]) {
    let mut joiner = Joiner::default();
    let mut joined = Vec::new();
    for (at, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = scan::text(line);
        joined.extend(Record::read(&text).and_then(|record| joiner.push(&record, at)));
    }
    joined.extend(joiner.finish());
    for joined in joined {
        one_line(&ecs::exec(&joined.event, Some(joined.time)));
    }
}

pub(super) fn ecs(bytes: &[u8]) {
    let Ok(Some((time, payload))) = ecs_json::event(bytes) else {
        return;
    };
    let again = |time, payload: &Payload| {
        let written = one_line(&ecs::event(payload, time));
        ecs_json::event(&written).expect("what was read can be written and read again")
    };
    // Others name things otherwise; once written by us it stays as it is.
    let (time, payload) = again(time, &payload).expect("it tells of the same");
    assert_eq!(again(time, &payload), Some((time, payload)));
}

pub(super) fn ring(bytes: &[u8]) {
    if let Some(event) = program_of(bytes, &["LD_PRELOAD".into()]) {
        one_line(&ecs::exec(&event, Some(NOW)));
        assert!(event.args.len() <= bytes.len() && event.ancestors.len() <= bytes.len());
    }
}

/// The files of `/proc` in which others choose names, one after the other.
pub(super) fn proc(bytes: &[u8]) {
    if let Some(stat) = Stat::parse(7, bytes) {
        assert_eq!(stat.process.pid, 7);
    }
    for mount in mount_info::mounts(bytes) {
        assert!(mount.point.as_os_str().len() <= bytes.len());
    }
    let text = scan::text(bytes);
    if let Some(container) = cgroup::container(&text) {
        one_line(&container);
    }
    let lines = text.lines().count();
    assert!(sockets::sockets(&text).count() <= lines);
}
