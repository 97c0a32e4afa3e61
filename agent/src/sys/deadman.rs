//! A timer of the kernel's that kills this process unless it is wound up again and again.

use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use std::io;
use std::time::Duration;

/// For a process that others wait for: should it hang, or be stopped by SIGSTOP, it ends, and whoever waits goes on. No other
/// process is needed for that, so it also holds when all of them are stopped.
pub struct Deadman {
    timer: Timer,
    patience: Duration,
}

impl Deadman {
    /// Winds it up for the first time.
    pub fn arm(patience: Duration) -> io::Result<Self> {
        // Unlike any other signal it is not kept from a process that is stopped.
        let event = SigEvent::new(SigevNotify::SigevSignal {
            signal: Signal::SIGKILL,
            si_value: 0,
        });
        let timer = Timer::new(ClockId::CLOCK_MONOTONIC, event)?;
        let mut deadman = Self { timer, patience };
        deadman.rewind()?;
        Ok(deadman)
    }

    /// Winds it up again.
    pub fn rewind(&mut self) -> io::Result<()> {
        let end = Expiration::OneShot(TimeSpec::from_duration(self.patience));
        Ok(self.timer.set(end, TimerSetTimeFlags::empty())?)
    }
}
