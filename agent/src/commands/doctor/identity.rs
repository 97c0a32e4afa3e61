//! Who this host is to its collector.

use super::report::{Check, span, unseen};
use crate::config::Settings;
use crate::send::{Identity, IdentityError};
use picket_common::time::Timestamp;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const NAME: &str = "identity";
const AGAIN: &str = "enrol this host again: picket enroll --again --collector URL --token-file FILE";
/// A certificate holds for 30 days and is renewed after 20.
const OVERDUE: Duration = Duration::from_secs(9 * 86_400);

pub(super) fn checks(settings: &Settings, now: Timestamp) -> Vec<Check> {
    let file = settings.identity();
    let identity = match Identity::read(&file) {
        Ok(identity) => identity,
        Err(error) => return vec![unread(&error)],
    };
    let open = fs::metadata(&file).is_ok_and(|data| data.permissions().mode() & 0o077 != 0);
    let whose = format!("agent {} of {}", identity.agent, identity.collector);
    let own = if open {
        Check::degraded(
            NAME,
            format!(
                "{whose}; others than its owner may read the key in {}",
                file.display()
            ),
            format!(
                "chmod 600 {}, and enrol again if somebody may have",
                file.display()
            ),
        )
    } else {
        Check::ok(NAME, whose)
    };
    vec![own, certificate(&identity, now)]
}

fn unread(error: &IdentityError) -> Check {
    match error {
        IdentityError::Missing => Check::degraded(
            NAME,
            "this host is not enrolled: what it finds stays on it",
            "picket enroll --collector URL --token-file FILE",
        ),
        IdentityError::File { error: cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            unseen(NAME, error)
        }
        IdentityError::File { .. } => Check::failed(NAME, error.to_string(), AGAIN),
    }
}

fn certificate(identity: &Identity, now: Timestamp) -> Check {
    const NAME: &str = "certificate";
    let Some((from, to)) = identity.validity() else {
        return Check::failed(NAME, "it cannot be read", AGAIN);
    };
    let found = format!("valid from {from} to {to}");
    if now < from {
        return Check::failed(
            NAME,
            format!("{found}: it is not valid yet"),
            "set this host's clock right, or the collector's if that is ahead",
        );
    }
    if now >= to {
        return Check::failed(NAME, format!("{found}: it has expired"), AGAIN);
    }
    let left = to.since(now);
    let found = format!("{found}: {} left", span(left));
    if left < OVERDUE {
        return Check::degraded(
            NAME,
            format!("{found}, and it was not renewed"),
            "it is renewed once the collector can be reached: see to that, or enrol again",
        );
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_the_days_that_it_has_left() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(Vec::new()).unwrap();
        wanted.not_before = rcgen::date_time_ymd(2026, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2026, 1, 31);
        let mut identity = Identity {
            collector: "https://127.0.0.1:1".to_owned(),
            agent: "a".to_owned(),
            authority: String::new(),
            certificate: wanted.self_signed(&key).unwrap().pem(),
            key: String::new(),
        };
        let at = |day: i64| Timestamp::from_micros((1_767_225_600 + day * 86_400) * 1_000_000);
        for (day, state, found) in [
            (-1, State::Failed, "not valid yet"),
            (0, State::Ok, "30 days left"),
            (20, State::Ok, "10 days left"),
            (25, State::Degraded, "5 days left, and it was not renewed"),
            (30, State::Failed, "expired"),
        ] {
            let check = certificate(&identity, at(day));
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.found.contains(found), "{check:?}");
        }
        identity.certificate = "nonsense".to_owned();
        assert_eq!(certificate(&identity, at(0)).state, State::Failed);
    }
}
