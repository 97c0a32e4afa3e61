//! login at a console, and the sessions of systemd-logind.

use crate::parse::scan::peer;
use picket_common::event::{AuthAction, AuthEvent, Outcome};

pub(super) fn console(text: &str) -> Option<AuthEvent> {
    let mut event = AuthEvent::new(AuthAction::Login, Outcome::Success, "login");
    event.service = Some("login".into());
    if let Some(rest) = text.strip_prefix("FAILED LOGIN ") {
        event.outcome = Outcome::Failure;
        // `(1) on '/dev/tty1' FOR 'root', …` or `1 FROM host FOR root, …`
        let (_, rest) = rest.split_once(' ')?;
        let (place, rest) = rest.split_once(" FOR ")?;
        let (user, reason) = rest.rsplit_once(", ")?;
        event.user = Some(user.trim_matches('\'').into());
        event.reason = Some(reason.into());
        if let Some(from) = place.strip_prefix("FROM ") {
            match peer(from) {
                Some(source) => event.source = Some(source),
                None => event.source_domain = Some(from.into()),
            }
        } else {
            event.tty = Some(place.strip_prefix("on ")?.trim_matches('\'').into());
        }
        return Some(event);
    }
    if let Some(tty) = text
        .strip_prefix("ROOT LOGIN")
        .map(str::trim_start)
        .and_then(|rest| rest.strip_prefix("on "))
    {
        event.user = Some("root".into());
        event.tty = Some(tty.trim_matches('\'').into());
        return Some(event);
    }
    let (tty, user) = text.strip_prefix("LOGIN ON ")?.split_once(" BY ")?;
    let (user, from) = user
        .split_once(" FROM ")
        .map_or((user, None), |(user, from)| (user, Some(from)));
    event.tty = Some(tty.into());
    event.user = Some(user.into());
    event.source = from.and_then(peer);
    Some(event)
}

/// `New session 12 of user alice.`; newer versions add `with class 'user' and type 'tty'`.
pub(super) fn logind(text: &str) -> Option<AuthEvent> {
    let (_, rest) = text.strip_prefix("New session ")?.split_once(" of user ")?;
    let user = rest.split_once(" with class ").map_or(rest, |(user, _)| user);
    let user = user.strip_suffix('.').unwrap_or(user).trim_matches('\'');
    let mut event = AuthEvent::new(AuthAction::SessionOpened, Outcome::Success, "systemd-logind");
    event.user = Some(user.into());
    Some(event)
}
