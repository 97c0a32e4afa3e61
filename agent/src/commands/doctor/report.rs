//! What one look came to, and how it is said.

use serde::Serialize;
use std::time::Duration;

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, but not all of it, or nobody knows.
    Degraded,
    /// It does not work.
    Failed,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// One look. Its texts may hold what others wrote: they are escaped where they are shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: String,
    pub(super) state: State,
    /// What was found.
    pub(super) found: String,
    /// What to do about it; empty when there is nothing to do.
    pub(super) advice: String,
}

impl Check {
    pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(State::Ok, check, found, "")
    }

    pub(super) fn degraded(
        check: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(State::Degraded, check, found, advice)
    }

    pub(super) fn failed(
        check: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(State::Failed, check, found, advice)
    }

    fn new(
        state: State,
        check: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check: check.into(),
            state,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

/// What only root may see is no failure: nobody knows.
pub(super) fn unseen(check: impl Into<String>, error: &dyn std::fmt::Display) -> Check {
    Check::degraded(
        check,
        format!("this user may not see it: {error}"),
        "run picket doctor as root",
    )
}

/// A span in one unit, as people say it.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Several things in one sentence, the first few of them by name.
pub(super) fn some<T: std::fmt::Display>(things: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = things.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = things.len().saturating_sub(SHOWN);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", shown.join("; "))
}
