//! Points in time and spans between them, in microseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z, the finest unit that any of the logs carries.
///
/// Written as RFC 3339 in UTC with six decimals, in text and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A point from microseconds since the epoch; negative before 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since the epoch, rounded down; never negative, as UUIDv7 needs it.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// This point moved forward by `span`, held at the end of the range instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` to this point; zero when `earlier` is later, as when a clock stepped back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(value: jiff::Timestamp) -> Self {
        Self(value.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(point) => write!(f, "{point:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(Into::into)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_microseconds_both_ways() {
        let point = Timestamp::from_micros(1_699_917_642_738_197);
        assert_eq!(point.to_string(), "2023-11-13T23:20:42.738197Z");
        assert_eq!(point.to_string().parse::<Timestamp>().unwrap(), point);
        let json = serde_json::to_string(&point).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), point);
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_negative_span() {
        let late = Timestamp::from_micros(2_000_000);
        assert_eq!(Timestamp::from_micros(1_000_000).since(late), Duration::ZERO);
        assert_eq!(
            late.since(Timestamp::from_micros(500_000)),
            Duration::from_millis(1500)
        );
        assert_eq!(
            Timestamp::from_micros(i64::MAX).plus(Duration::MAX).as_micros(),
            i64::MAX
        );
    }
}
