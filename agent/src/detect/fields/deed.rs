//! The fields of how a program ended, whom it signalled, and how it became root.

use super::program::{self, last, number, text};
use picket_common::event::{ExitEvent, ExitStatus, PrivilegeEvent, SignalEvent};
use rsigma_eval::event::EventValue;

/// What a rule about the end of a program can name, beside the fields of [`program`].
pub(super) const OF_EXITS: &[&str] = &[
    "process.exit_code",
    "picket.process.exit_signal",
    "event.duration",
];
/// The same for a program that became root.
pub(super) const OF_PRIVILEGES: &[&str] = &["picket.process.former_user.id"];
/// The same for a signal.
pub(super) const OF_SIGNALS: &[&str] = &[
    "picket.signal.number",
    "picket.signal.target.pid",
    "picket.signal.target.name",
    "picket.signal.target.executable",
    "picket.signal.target.command_line",
];

/// The value of a field of a program that ended.
pub(super) fn exit<'a>(exit: &'a ExitEvent, name: &str) -> Option<EventValue<'a>> {
    match (name, exit.status) {
        ("process.exit_code", ExitStatus::Code(code)) => number(code),
        ("picket.process.exit_signal", ExitStatus::Signal(signal)) => number(signal),
        ("event.duration", _) => number(i64::try_from(exit.ran?.as_nanos()).ok()?),
        _ => program::value(&exit.program, name),
    }
}

/// The value of a field of a program that became root.
pub(super) fn privilege<'a>(privilege: &'a PrivilegeEvent, name: &str) -> Option<EventValue<'a>> {
    match name {
        "picket.process.former_user.id" => number(privilege.former_uid),
        _ => program::value(&privilege.program, name),
    }
}

/// The value of a field of a signal.
pub(super) fn signal<'a>(signal: &'a SignalEvent, name: &str) -> Option<EventValue<'a>> {
    let target = &signal.target;
    match name {
        "picket.signal.number" => number(signal.signal),
        "picket.signal.target.pid" => number(target.process.pid),
        "picket.signal.target.name" => text(target.executable.as_deref().map(last)),
        "picket.signal.target.executable" => text(target.executable.as_deref()),
        "picket.signal.target.command_line" => text(target.command_line.as_deref()),
        _ => program::value(&signal.program, name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, same_as_json};
    use super::*;
    use std::time::Duration;

    #[test]
    fn rules_and_json_know_the_same_fields() {
        let names = |own: &[&'static str]| [program::NAMES, program::WHENCE, own].concat().into_iter();
        let ended = |status| ExitEvent {
            program: program::full(),
            status,
            ran: Some(Duration::from_micros(1500)),
        };
        let not = |left_out| names(OF_EXITS).filter(move |name| *name != left_out);
        let event = ended(ExitStatus::Code(-1));
        same_as_json(&View::Exit(&event), not("picket.process.exit_signal"));
        assert_eq!(exit(&event, "event.duration"), number(1_500_000));
        let event = ended(ExitStatus::Signal(9));
        same_as_json(&View::Exit(&event), not("process.exit_code"));
        let event = PrivilegeEvent {
            program: program::full(),
            former_uid: 33,
        };
        same_as_json(&View::Privilege(&event), names(OF_PRIVILEGES));
        let event = SignalEvent {
            program: program::full(),
            signal: 9,
            target: program::full(),
        };
        same_as_json(&View::Signal(&event), names(OF_SIGNALS));
    }
}
