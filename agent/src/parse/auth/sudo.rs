//! sudo and su: one user becoming another.

use crate::parse::scan::number;
use picket_common::event::{AuthAction, AuthEvent, Outcome};

/// `bob : [REASON ; ]TTY=… ; PWD=… ; USER=… ; [GROUP=… ; ][ENV=… ; ]COMMAND=…`
pub(super) fn sudo(text: &str) -> Option<AuthEvent> {
    let (user, rest) = text.trim_start_matches(' ').split_once(" : ")?;
    if user.contains(' ') {
        return None;
    }
    let mut event = AuthEvent::new(AuthAction::Sudo, Outcome::Success, "sudo");
    event.user = Some(user.into());
    // Everything after COMMAND= is the user's own text, and may look like the fields before it.
    let (fields, command) = match rest.strip_prefix("COMMAND=") {
        Some(command) => ("", Some(command)),
        None => rest
            .split_once(" ; COMMAND=")
            .map_or((rest, None), |(fields, command)| (fields, Some(command))),
    };
    event.command = command.map(Into::into);
    for (index, field) in fields.split(" ; ").enumerate() {
        match field.split_once('=') {
            Some(("TTY", tty)) => event.tty = Some(tty.into()),
            Some(("USER", target)) => event.target_user = Some(target.into()),
            Some(("GROUP", group)) => event.group = Some(group.into()),
            Some(("PWD" | "ENV" | "CHROOT" | "TSID", _)) => {}
            _ if index == 0 && !field.is_empty() => {
                event.outcome = Outcome::Failure;
                event.reason = Some(field.into());
                event.repeated = field
                    .strip_suffix(" incorrect password attempts")
                    .and_then(number);
            }
            _ => {}
        }
    }
    (command.is_some() || event.outcome == Outcome::Failure && event.target_user.is_some()).then_some(event)
}

/// Shadow's, util-linux's and old su's ways to say it.
pub(super) fn su(text: &str) -> Option<AuthEvent> {
    let said = |outcome, target: &str, user: &str, tty: Option<&str>| {
        let mut event = AuthEvent::new(AuthAction::Su, outcome, "su");
        event.target_user = Some(target.into());
        event.user = Some(user.into());
        event.tty = tty.map(Into::into);
        Some(event)
    };
    let outcomes = [
        ("Successful su for ", Outcome::Success),
        ("FAILED su for ", Outcome::Failure),
    ];
    for (start, outcome) in outcomes {
        if let Some((target, user)) = text.strip_prefix(start).and_then(|rest| rest.split_once(" by ")) {
            return said(outcome, target, user, None);
        }
    }
    let (outcome, rest) = match text.strip_prefix("FAILED SU ") {
        Some(rest) => (Outcome::Failure, rest),
        None => (Outcome::Success, text),
    };
    let (target, rest) = rest.strip_prefix("(to ")?.split_once(") ")?;
    let (user, tty) = rest.split_once(" on ")?;
    said(outcome, target, user, Some(tty))
}
