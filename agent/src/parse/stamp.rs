//! The times that log lines carry, and the year that old syslog leaves out.

use super::scan::number;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use picket_common::time::Timestamp;

/// A time as a line has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    /// A point in time.
    Exact(Timestamp),
    /// RFC 3164: local time without a year.
    Yearless(Yearless),
}

/// `Dec 31 23:59:58`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Yearless {
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
}

/// The most that a host's clock may run ahead of the reference before a line is taken for last year's.
const AHEAD: i64 = 86_400;

/// Gives yearless times their year and their zone. Remembers the last hour, as lines come in order.
pub struct Calendar {
    zone: TimeZone,
    reference: Timestamp,
    last: Option<(i8, i8, i8, i64)>,
}

impl Calendar {
    /// `reference` is the latest that a line can be: now for a live log, its last change for an old file.
    pub fn new(zone: TimeZone, reference: Timestamp) -> Self {
        Self {
            zone,
            reference,
            last: None,
        }
    }

    /// Moves the reference, as time goes on.
    pub fn advance(&mut self, reference: Timestamp) {
        // A day of slack hides the difference within a day, so the cache is dropped only when the day may matter.
        if reference.as_secs() / 3600 != self.reference.as_secs() / 3600 {
            self.last = None;
        }
        self.reference = reference;
    }

    /// The point in time that `stamp` means: the latest year that does not lie more than a day past the reference.
    /// `None` for days that no such year has.
    pub fn resolve(&mut self, stamp: Stamp) -> Option<Timestamp> {
        let stamp = match stamp {
            Stamp::Exact(time) => return Some(time),
            Stamp::Yearless(stamp) => stamp,
        };
        let hour_start = match self.last {
            Some((month, day, hour, start)) if (month, day, hour) == (stamp.month, stamp.day, stamp.hour) => {
                start
            }
            _ => {
                let start = self.hour_start(stamp)?;
                self.last = Some((stamp.month, stamp.day, stamp.hour, start));
                start
            }
        };
        let seconds = hour_start + i64::from(stamp.minute) * 60 + i64::from(stamp.second);
        Some(Timestamp::from_micros(seconds * 1_000_000))
    }

    fn hour_start(&self, stamp: Yearless) -> Option<i64> {
        let limit = self.reference.as_secs().saturating_add(AHEAD);
        let latest = jiff::Timestamp::from_second(limit)
            .ok()?
            .to_zoned(self.zone.clone())
            .year();
        // Nine years back reach a leap day even across a century that has none.
        (0..9_i16).find_map(|back| {
            let civil = DateTime::new(
                latest.checked_sub(back)?,
                stamp.month,
                stamp.day,
                stamp.hour,
                0,
                0,
                0,
            )
            .ok()?;
            let start = self.zone.to_timestamp(civil).ok()?.as_second();
            (start <= limit).then_some(start)
        })
    }
}

/// `Mmm d hh:mm:ss` with one or two blanks before a one-digit day; gives what follows the blank behind it.
pub(super) fn yearless(line: &str) -> Option<(Stamp, &str)> {
    let (name, rest) = line.split_at_checked(4)?;
    let month = match name {
        "Jan " => 1,
        "Feb " => 2,
        "Mar " => 3,
        "Apr " => 4,
        "May " => 5,
        "Jun " => 6,
        "Jul " => 7,
        "Aug " => 8,
        "Sep " => 9,
        "Oct " => 10,
        "Nov " => 11,
        "Dec " => 12,
        _ => return None,
    };
    let (day, rest) = rest.strip_prefix(' ').unwrap_or(rest).split_once(' ')?;
    let day: i8 = number(day).filter(|day| (1..=31).contains(day))?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2, b' '] = *clock.as_bytes() else {
        return None;
    };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((
        Stamp::Yearless(Yearless {
            month,
            day,
            hour,
            minute,
            second,
        }),
        rest,
    ))
}

/// An RFC 3339 time and the blank behind it.
pub(super) fn exact(line: &str) -> Option<(Stamp, &str)> {
    if !line.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (word, rest) = line.split_once(' ')?;
    if word.len() > 40 {
        return None;
    }
    Some((Stamp::Exact(word.parse().ok()?), rest))
}

fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'));
    i8::try_from(digit(tens)? * 10 + digit(ones)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(reference: &str, line: &str) -> Option<String> {
        let mut calendar = Calendar::new(TimeZone::UTC, reference.parse().unwrap());
        let (stamp, _) = yearless(line)?;
        calendar.resolve(stamp).map(|time| time.to_string())
    }

    #[test]
    fn the_year_is_right_across_new_year() {
        let cases = [
            (
                "2027-01-01T00:00:10Z",
                "Dec 31 23:59:58 h x",
                "2026-12-31T23:59:58.000000Z",
            ),
            (
                "2026-12-31T23:59:59Z",
                "Jan  1 00:00:01 h x",
                "2027-01-01T00:00:01.000000Z",
            ),
            (
                "2026-06-01T00:00:00Z",
                "Dec 10 06:55:46 h x",
                "2025-12-10T06:55:46.000000Z",
            ),
            (
                "2026-06-01T00:00:00Z",
                "Feb 29 12:00:00 h x",
                "2024-02-29T12:00:00.000000Z",
            ),
            (
                "2026-06-01T00:00:00Z",
                "Jun 1 18:00:00 h x",
                "2026-06-01T18:00:00.000000Z",
            ),
        ];
        for (reference, line, expected) in cases {
            assert_eq!(at(reference, line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn days_and_hours_that_do_not_exist_are_refused() {
        for bad in [
            "Feb 30 12:00:00 h",
            "Jan 32 12:00:00 h",
            "Jan 1 24:00:00 h",
            "Jan 1 1:00:00 h",
            "Foo 1 10:00:00 h",
        ] {
            assert_eq!(at("2026-06-01T00:00:00Z", bad), None, "{bad}");
        }
    }

    #[test]
    fn a_calendar_that_goes_on_changes_its_mind_at_the_turn_of_the_year() {
        let mut calendar = Calendar::new(TimeZone::UTC, "2026-12-30T10:00:00Z".parse().unwrap());
        let (stamp, _) = yearless("Jan  1 08:00:00 x").unwrap();
        assert_eq!(
            calendar.resolve(stamp).unwrap().to_string(),
            "2026-01-01T08:00:00.000000Z"
        );
        calendar.advance("2027-01-01T08:00:00Z".parse().unwrap());
        assert_eq!(
            calendar.resolve(stamp).unwrap().to_string(),
            "2027-01-01T08:00:00.000000Z"
        );
    }

    #[test]
    fn exact_times_keep_microseconds_and_zone() {
        let (stamp, rest) = exact("2023-11-14T00:20:42.738197+01:00 host x").unwrap();
        assert_eq!(
            stamp,
            Stamp::Exact("2023-11-13T23:20:42.738197Z".parse().unwrap())
        );
        assert_eq!(rest, "host x");
        assert!(exact("2023-11-14 00:20:42 host").is_none());
    }
}
