//! The kernel's clocks, and what it thinks of them.

use nix::libc;
use nix::time::{ClockId, clock_gettime};
use picket_common::time::Timestamp;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Whether something, such as an NTP client, keeps the clock right. Asking takes no rights.
pub fn is_synchronised() -> io::Result<bool> {
    let mut status = MaybeUninit::<libc::timex>::zeroed();
    #[expect(unsafe_code, reason = "no crate at hand wraps it")]
    // SAFETY: all of `timex` are integers, for which zero is a value; with `modes` zero the call only reads, and it writes
    // nothing but the structure that it is given, which lives until after it.
    let (state, status) = unsafe {
        let state = libc::adjtimex(status.as_mut_ptr());
        (state, status.assume_init())
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(status.status & libc::STA_UNSYNC == 0)
}

/// How the clocks stand to one another now. They do not drift apart by much while a few messages are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clocks {
    /// What the clock of the day showed, or would have, when the monotonic clock was at zero.
    zero: Timestamp,
    /// How much longer the host is up than the monotonic clock says, which stands still while the host sleeps.
    slept: Duration,
    now: Duration,
}

impl Clocks {
    /// Asks them.
    pub fn read() -> io::Result<Self> {
        let time = |clock| -> io::Result<Duration> { Ok(clock_gettime(clock)?.into()) };
        // The latest is asked first, so that nothing seems to happen after it was seen.
        let day = time(ClockId::CLOCK_REALTIME)?;
        let now = time(ClockId::CLOCK_MONOTONIC)?;
        let up = time(ClockId::CLOCK_BOOTTIME)?;
        let zero = i64::try_from(day.saturating_sub(now).as_micros()).unwrap_or(i64::MAX);
        Ok(Self {
            zero: Timestamp::from_micros(zero),
            slept: up.saturating_sub(now),
            now,
        })
    }

    /// The monotonic clock, in nanoseconds.
    pub fn monotonic(&self) -> u64 {
        self.now.as_nanos().try_into().unwrap_or(u64::MAX)
    }

    /// The time of day at which the monotonic clock stood at so many nanoseconds.
    pub fn day(&self, monotonic: u64) -> Timestamp {
        self.zero.plus(Duration::from_nanos(monotonic))
    }

    /// The time of day at which a process began, from its start.
    pub fn began(&self, start: u64) -> Timestamp {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let booted = self.zero.as_micros().saturating_sub(micros(self.slept));
        Timestamp::from_micros(booted).plus(Duration::from_millis(start.saturating_mul(10)))
    }

    /// The same in the unit of the start of a process, of which there are a hundred in a second on every Linux.
    pub fn ticks(&self, monotonic: u64) -> u64 {
        let up = self.slept.saturating_add(Duration::from_nanos(monotonic));
        u64::try_from(up.as_millis() / 10).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        super::is_synchronised().unwrap();
    }

    #[test]
    fn a_process_that_just_began_began_now() {
        let clocks = super::Clocks::read().unwrap();
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let began = crate::sys::Process::open(child.id()).unwrap().stat().unwrap();
        let later = super::Clocks::read().unwrap();
        let between = clocks.ticks(clocks.monotonic())..=later.ticks(later.monotonic());
        assert!(between.contains(&began.process.start), "{began:?} {between:?}");
        let day = later.day(later.monotonic()).as_micros() - jiff::Timestamp::now().as_microsecond();
        assert!(day.abs() < 1_000_000, "{day}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
