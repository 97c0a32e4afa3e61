//! PAM's modules, in whichever program they run.

use crate::parse::scan::{number, peer, split};
use picket_common::event::{AuthAction, AuthEvent, Outcome};

/// `pam_unix(sshd:auth): …`
pub(super) fn module(program: &str, text: &str) -> Option<AuthEvent> {
    let (tag, said) = split(text, ": ")?;
    let (_, inside) = tag.split_once('(')?;
    let (service, _phase) = inside.strip_suffix(')')?.split_once(':')?;
    said_by(program, service, said)
}

/// `sshd(pam_unix)[7]: …` of Linux-PAM before 0.99: the module stands in the tag.
pub(super) fn old_style(tag: &str, text: &str) -> Option<AuthEvent> {
    let program = tag.strip_suffix("(pam_unix)")?;
    said_by(program, program, text)
}

fn said_by(program: &str, service: &str, said: &str) -> Option<AuthEvent> {
    let program = program
        .strip_suffix("-session")
        .or_else(|| program.strip_suffix("-auth"))
        .unwrap_or(program);
    let new = |action, outcome| {
        let mut event = AuthEvent::new(action, outcome, program);
        event.service = Some(service.into());
        event
    };
    if let Some(details) = said.strip_prefix("authentication failure; ") {
        return failure(new(AuthAction::PamFailure, Outcome::Failure), details);
    }
    if let Some(rest) = said.strip_prefix("session opened for user ") {
        let mut event = new(AuthAction::SessionOpened, Outcome::Success);
        let (user, by) = rest
            .rsplit_once(" by ")
            .map_or((rest, ""), |(user, by)| (user, by));
        let by = without_uid(by);
        if by.is_empty() || by == "LOGIN" {
            event.user = Some(without_uid(user).into());
        } else {
            event.user = Some(by.into());
            event.target_user = Some(without_uid(user).into());
        }
        return Some(event);
    }
    if let Some(user) = said.strip_prefix("session closed for user ") {
        let mut event = new(AuthAction::SessionClosed, Outcome::Success);
        event.user = Some(user.into());
        return Some(event);
    }
    if let Some(user) = said.strip_prefix("password changed for ") {
        let mut event = new(AuthAction::PasswordChanged, Outcome::Success);
        event.target_user = Some(user.into());
        return Some(event);
    }
    if let Some(rest) = said.strip_prefix("Consecutive login failures for user ") {
        let mut event = new(AuthAction::AccountLocked, Outcome::Failure);
        event.user = Some(rest.strip_suffix(" account temporarily locked")?.into());
        return Some(event);
    }
    if let Some(rest) = said.strip_prefix("account ") {
        let (user, reason) = rest.rsplit_once(" has expired ")?;
        let mut event = new(AuthAction::AccountLocked, Outcome::Failure);
        event.user = Some(user.into());
        event.reason = Some(reason.trim_matches(['(', ')']).into());
        return Some(event);
    }
    if let Some(rest) = said.strip_prefix("access denied for user `") {
        let (user, from) = rest.strip_suffix('\'')?.rsplit_once("' from `")?;
        let mut event = new(AuthAction::UserNotAllowed, Outcome::Failure);
        event.user = Some(user.into());
        match peer(from) {
            Some(source) => event.source = Some(source),
            None => event.source_domain = Some(from.into()),
        }
        return Some(event);
    }
    if let Some(user) = said.strip_prefix("auth could not identify password for [") {
        let mut event = new(AuthAction::PamFailure, Outcome::Failure);
        event.user = Some(user.strip_suffix(']')?.into());
        event.reason = Some("no password was given".into());
        return Some(event);
    }
    // pam_tally, pam_tally2: `user bob (1001) tally 6, deny 5`
    if let Some(rest) = said.strip_prefix("user ") {
        let (who, counts) = rest.rsplit_once(" tally ")?;
        let (user, uid) = who.strip_suffix(')')?.rsplit_once(" (")?;
        number::<u32>(uid)?;
        let mut event = new(AuthAction::AccountLocked, Outcome::Failure);
        event.user = Some(user.into());
        event.reason = Some(compact_str::format_compact!("tally {counts}"));
        return Some(event);
    }
    None
}

/// `bob(uid=1001)` and `(uid=0)`
fn without_uid(text: &str) -> &str {
    text.strip_suffix(')')
        .and_then(|rest| rest.rsplit_once("(uid="))
        .map_or(text, |(name, _)| name)
}

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.9  user=root`, where all but the last are words that the
/// peer does not choose: so each is looked for from the left, and the user's name is what is left at the end.
pub(super) fn failure(mut event: AuthEvent, details: &str) -> Option<AuthEvent> {
    let rest = details.strip_prefix("logname=")?;
    let (logname, rest) = split(rest, " uid=")?;
    let (_, rest) = split(rest, " tty=")?;
    let (tty, rest) = split(rest, " ruser=")?;
    let (ruser, rest) = split(rest, " rhost=")?;
    let (rhost, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let user = rest
        .trim_start_matches(' ')
        .strip_prefix("user=")
        .filter(|user| !user.is_empty());
    let filled = |text: &str| if text.is_empty() { None } else { Some(text.into()) };
    event.tty = filled(tty);
    match peer(rhost) {
        Some(source) => event.source = Some(source),
        None => event.source_domain = filled(rhost),
    }
    // Who asks, where somebody is logged in already (su, sudo), and whom they want to be.
    match filled(ruser).or_else(|| filled(logname)) {
        Some(asker) => {
            event.target_user = user.map(Into::into);
            event.user = Some(asker);
        }
        None => event.user = user.map(Into::into),
    }
    Some(event)
}
