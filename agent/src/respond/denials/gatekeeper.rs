//! The gatekeeper, a process of its own: whoever starts a program waits for its answer.
//!
//! The host must never wait for long. So it knows all that it needs, asks nobody, opens no program by its path and starts
//! none; what it cannot judge it lets go on. A timer of the kernel's ends it when it hangs or is stopped, also when the
//! agent is stopped with it, and with its end all go on that wait. It ends when the agent does.

use super::letters::Letters;
use super::mounts::{Mounts, Watched};
use super::protocol::{Holds, Said, Wanted};
use super::refusals::{Refusals, Refused};
use super::{critical, identity};
use crate::sys::{Deadman, ExecGate, Start, proc};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::action::DeniedFile;
use picket_common::process::ProcessId;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// How long it may hang before it ends.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it shows that it does not.
const TICK: u16 = 100;
/// How long it may take to say the last when the agent needs it no more; it keeps nobody from starting anything meanwhile.
const LAST: Duration = Duration::from_millis(250);
/// A longer line is none of the agent's.
const LONGEST: usize = 16 << 20;

struct Gatekeeper {
    gate: ExecGate,
    mounts: Mounts,
    deadman: Deadman,
    letters: Letters,
    denied: Vec<DeniedFile>,
    spared: BTreeSet<(u64, u64)>,
    refusals: Refusals,
    unjudged: u64,
    reason: String,
}

/// Keeps the gate until there is nothing more to hear from the agent.
pub fn gatekeeper(wanted: OwnedFd, said: OwnedFd) -> io::Result<()> {
    // An agent that does not listen is not waited for.
    for fd in [&wanted, &said] {
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let mut keeper = Gatekeeper {
        gate: ExecGate::open()?,
        mounts: Mounts::open()?,
        deadman: Deadman::arm(PATIENCE)?,
        letters: Letters::new(said.into()),
        denied: Vec::new(),
        spared: BTreeSet::new(),
        refusals: Refusals::default(),
        unjudged: 0,
        reason: String::new(),
    };
    let (mut wanted, mut line) = (File::from(wanted), Vec::new());
    loop {
        keeper.deadman.rewind()?;
        let room = match keeper.letters.wait() {
            true => PollFlags::POLLOUT,
            false => PollFlags::empty(),
        };
        let mut fds = [
            PollFd::new(wanted.as_fd(), PollFlags::POLLIN),
            PollFd::new(keeper.gate.as_fd(), PollFlags::POLLIN),
            keeper.mounts.changes(),
            PollFd::new(keeper.letters.pipe(), room),
        ];
        match poll(&mut fds, PollTimeout::from(TICK)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let waits = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let [told, asked, mounted, _] = fds.each_ref().map(waits);
        if asked {
            keeper.judge_all()?;
        }
        if told && !keeper.listen(&mut wanted, &mut line)? {
            return keeper.end();
        }
        if mounted {
            keeper.watch_new()?;
        }
        keeper.tell();
    }
}

impl Gatekeeper {
    fn judge_all(&mut self) -> io::Result<()> {
        for start in self.gate.starts()? {
            self.deadman.rewind()?;
            match self.judge(&start) {
                Ok(None) => {
                    self.gate.answer(&start, true)?;
                }
                Ok(Some(file)) => {
                    // Whoever waits has ended by the time that it could be asked later.
                    let begun = proc::Stat::read(start.pid()).map_or(0, |stat| stat.process.start);
                    self.gate.answer(&start, false)?;
                    let process = ProcessId {
                        pid: start.pid(),
                        start: begun,
                    };
                    self.refusals.add(file, Refused::once(process));
                }
                Err(error) => {
                    self.gate.answer(&start, true)?;
                    self.unjudged += 1;
                    self.reason = format!("a program could not be read: {error}");
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, start: &Start) -> io::Result<Option<DeniedFile>> {
        let Some(file) = start.file() else {
            return Err(io::Error::other("it came without its file"));
        };
        let file = File::from(file.try_clone_to_owned()?);
        let deadman = &mut self.deadman;
        // A timer that cannot be wound up ends this process.
        let alive = || drop(deadman.rewind());
        let data = file.metadata()?;
        let found = match self.spared.contains(&(data.dev(), data.ino())) && critical::is_roots(&data) {
            true => None,
            false => identity::find(&self.denied, &file, alive)?,
        };
        if found.is_none() {
            // Without it the file is judged again.
            drop(self.gate.remember(start));
        }
        Ok(found.cloned())
    }

    /// Takes what the agent says. Whether there may be more.
    fn listen(&mut self, wanted: &mut File, line: &mut Vec<u8>) -> io::Result<bool> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match wanted.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => line.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if line.len() > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            let wanted: Wanted = serde_json::from_slice(line)?;
            *line = rest;
            self.hold(wanted)?;
        }
        Ok(true)
    }

    fn hold(&mut self, wanted: Wanted) -> io::Result<()> {
        self.denied = wanted.files;
        self.spared = wanted.spared.into_iter().collect();
        self.mounts.below = wanted.below;
        // What was let start before may be denied now.
        self.gate.forget_all()?;
        let watched = self.watch()?;
        // Whoever hears that these are denied has heard before whom it kept from starting those.
        while let Some((file, refused)) = self.refusals.take_any() {
            self.letters.add(&Said::Refused { file, refused });
        }
        self.letters.add(&Said::Holds(Holds {
            number: wanted.number,
            seen: watched.seen,
            unseen: watched.unseen.into_iter().take(4).collect(),
        }));
        Ok(())
    }

    fn watch(&mut self) -> io::Result<Watched> {
        let deadman = &mut self.deadman;
        // A timer that cannot be wound up ends this process.
        self.mounts.watch(&self.gate, || drop(deadman.rewind()))
    }

    /// Stands before the file systems that were mounted since.
    fn watch_new(&mut self) -> io::Result<()> {
        if self.denied.is_empty() {
            return Ok(());
        }
        for (place, reason) in self.watch()?.unseen {
            self.letters.add(&Said::Unseen { place, reason });
        }
        Ok(())
    }

    /// Tells whom it has kept from starting what, and what it has not judged, as far as there is room; the rest adds up.
    fn tell(&mut self) {
        loop {
            self.letters.send();
            if self.letters.wait() {
                return;
            }
            if let Some((file, refused)) = self.refusals.take_any() {
                self.letters.add(&Said::Refused { file, refused });
            } else if self.unjudged > 0 {
                let count = std::mem::take(&mut self.unjudged);
                let reason = std::mem::take(&mut self.reason);
                self.letters.add(&Said::Unjudged { count, reason });
            } else {
                return;
            }
        }
    }

    /// Lets everything start, and says the last that it has to say.
    fn end(mut self) -> io::Result<()> {
        drop(self.gate);
        while let Some((file, refused)) = self.refusals.take_any() {
            self.letters.add(&Said::Refused { file, refused });
        }
        if self.unjudged > 0 {
            let (count, reason) = (self.unjudged, self.reason);
            self.letters.add(&Said::Unjudged { count, reason });
        }
        let begun = Instant::now();
        self.letters.send();
        while self.letters.wait() && begun.elapsed() < LAST {
            let mut room = [PollFd::new(self.letters.pipe(), PollFlags::POLLOUT)];
            poll(&mut room, PollTimeout::from(TICK))?;
            self.letters.send();
        }
        Ok(())
    }
}
