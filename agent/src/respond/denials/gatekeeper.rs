//! The gatekeeper, a process of its own: whoever starts a program waits for its answer.
//!
//! The host must never wait for long. So it knows all that it needs, asks nobody, opens no file by its path and starts no
//! program; what it cannot judge it lets go on. A timer of the kernel's ends it when it hangs or is stopped, also when the
//! agent is stopped with it, and with its end all go on that wait. It ends when the agent does.

use super::protocol::{Said, Wanted};
use super::{critical, identity};
use crate::sys::{Deadman, ExecGate, Start, proc};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::action::DeniedFile;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

/// How long it may hang before it ends.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it shows that it does not.
const TICK: u16 = 100;
/// A longer line is none of the agent's.
const LONGEST: usize = 16 << 20;

struct Gatekeeper {
    gate: ExecGate,
    deadman: Deadman,
    said: File,
    denied: Vec<DeniedFile>,
    spared: BTreeSet<(u64, u64)>,
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
        deadman: Deadman::arm(PATIENCE)?,
        said: said.into(),
        denied: Vec::new(),
        spared: BTreeSet::new(),
        unjudged: 0,
        reason: String::new(),
    };
    let (mut wanted, mut line) = (File::from(wanted), Vec::new());
    loop {
        keeper.deadman.rewind()?;
        let mut fds = [
            PollFd::new(wanted.as_fd(), PollFlags::POLLIN),
            PollFd::new(keeper.gate.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::from(TICK)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let waits = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let [told, asked] = fds.each_ref().map(waits);
        if asked {
            keeper.judge_all()?;
        }
        if told && !keeper.listen(&mut wanted, &mut line)? {
            return Ok(());
        }
        keeper.tell_unjudged();
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
                    self.say(&Said::Denied {
                        file,
                        pid: start.pid(),
                        start: begun,
                    });
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
        // What was let start before may be denied now.
        self.gate.forget_all()?;
        let (mut seen, mut unseen) = (0, Vec::new());
        for place in wanted.places {
            self.deadman.rewind()?;
            match self.gate.watch(&place) {
                Ok(()) => seen += 1,
                // The line must stay short.
                Err(error) if unseen.len() < 4 => unseen.push((place, error.to_string())),
                Err(_) => {}
            }
        }
        self.say(&Said::Holds {
            number: wanted.number,
            seen,
            unseen,
        });
        Ok(())
    }

    fn tell_unjudged(&mut self) {
        let count = std::mem::take(&mut self.unjudged);
        if count > 0 {
            let reason = std::mem::take(&mut self.reason);
            self.say(&Said::Unjudged { count, reason });
        }
    }

    fn say(&mut self, said: &Said) {
        let mut line = serde_json::to_vec(said).unwrap_or_default();
        line.push(b'\n');
        // A pipe that is full belongs to an agent that is stopped; up to 4096 bytes go in as a whole or not at all.
        drop(self.said.write(&line));
    }
}
