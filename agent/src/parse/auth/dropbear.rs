//! Dropbear, the SSH server of small machines.

use crate::parse::scan::socket;
use picket_common::event::{AuthAction, AuthEvent, AuthMethod, Outcome};

pub(super) fn message(text: &str) -> Option<AuthEvent> {
    let new = |action, outcome| {
        let mut event = AuthEvent::new(action, outcome, "dropbear");
        event.service = Some("dropbear".into());
        event
    };
    // `Exit before auth from <A:N>: …`: the address comes before anything that the peer says.
    if let Some(rest) = text.strip_prefix("Exit before auth") {
        let mut event = new(AuthAction::PreauthClose, Outcome::Failure);
        let (from, reason) = rest.split_once(": ")?;
        if let Some(from) = from
            .strip_prefix(" from <")
            .and_then(|from| from.strip_suffix('>'))
        {
            event.source = socket(from);
        }
        event.reason = Some(reason.into());
        return Some(event);
    }
    if let Some(from) = text.strip_prefix("Child connection from ") {
        let mut event = new(AuthAction::Connection, Outcome::Unknown);
        event.source = Some(socket(from)?);
        return Some(event);
    }
    // All others end in ` from A:N`, after a name of the peer's choice.
    let (said, from) = text.rsplit_once(" from ")?;
    let source = Some(socket(from)?);
    if let Some(user) = said.strip_prefix("Login attempt for nonexistent user") {
        let mut event = new(AuthAction::InvalidUser, Outcome::Failure);
        event.user = user
            .trim_start()
            .strip_prefix('\'')
            .and_then(|user| user.strip_suffix('\''))
            .map(Into::into);
        event.source = source;
        return Some(event);
    }
    if let Some(user) = said.strip_prefix("Max auth tries reached - user '") {
        let mut event = new(AuthAction::MaxAuthTries, Outcome::Failure);
        event.user = Some(user.strip_suffix('\'')?.into());
        event.source = source;
        return Some(event);
    }
    let (outcome, method, rest) = if let Some(rest) = said.strip_prefix("Bad password attempt for '") {
        (Outcome::Failure, AuthMethod::Password, rest)
    } else if let Some(rest) = said.strip_prefix("Bad PAM password attempt for user '") {
        (Outcome::Failure, AuthMethod::Password, rest)
    } else if let Some(rest) = said.strip_prefix("Password auth succeeded for '") {
        (Outcome::Success, AuthMethod::Password, rest)
    } else if let Some(rest) = said.strip_prefix("PAM password auth succeeded for '") {
        (Outcome::Success, AuthMethod::Password, rest)
    } else {
        (
            Outcome::Success,
            AuthMethod::PublicKey,
            said.strip_prefix("Pubkey auth succeeded for '")?,
        )
    };
    let mut event = new(AuthAction::Login, outcome);
    event.method = Some(method);
    event.source = source;
    match rest.strip_suffix('\'') {
        Some(user) => event.user = Some(user.into()),
        None => {
            let (user, key) = rest.rsplit_once("' with ")?;
            event.user = Some(user.into());
            event.key = Some(key.into());
        }
    }
    Some(event)
}
