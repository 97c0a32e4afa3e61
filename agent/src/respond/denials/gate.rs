//! The agent's side of the gatekeeper: it is started with the first denial, told what is denied, and heard.

use super::protocol::{Holds, Said, Wanted};
use super::refusals::Refusals;
use crate::respond::blocks::Simulated;
use picket_common::action::{Decision, DeniedFile};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the gatekeeper may take to hold what is wanted.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take to say the last.
const LAST: Duration = Duration::from_millis(400);
/// Why programs were not judged.
pub(super) const ENDED: &str =
    "the gatekeeper had ended: programs were let start until it was there again, at least this one";

/// Nothing can be denied.
#[derive(Debug, thiserror::Error)]
pub enum DenyError {
    /// The gatekeeper cannot be started or spoken to.
    #[error("the gatekeeper does not work: {0}")]
    System(#[from] io::Error),
    /// It ends, or says nothing.
    #[error(
        "the gatekeeper does not answer; is CAP_SYS_ADMIN there, and fanotify with permission events in the kernel?"
    )]
    Silent,
    /// No file system can be watched.
    #[error("no file system can be watched: {0}")]
    Blind(String),
}

/// What keeps files from being started, or only says so.
pub trait Denier: Send {
    /// What it does, for an operator.
    fn describe(&self) -> &'static str;

    /// What becomes of a denial: [`Decision::Applied`], or [`Decision::Simulated`] when it changes nothing.
    fn decides(&self) -> Decision;

    /// Denies these files, and no others. The spared, by device and inode, start all the same as long as they are root's.
    fn deny(&mut self, files: &[DeniedFile], spared: Vec<(u64, u64)>) -> Result<(), DenyError>;

    /// What happened since this was last asked.
    fn hear(&mut self) -> Heard;
}

/// What a [`Denier`] tells.
#[derive(Debug, Default)]
pub struct Heard {
    /// Who was kept from starting which file.
    pub denied: Refusals,
    /// How many programs were let start without being judged, and why.
    pub unjudged: Option<(u64, String)>,
    /// Nothing is denied any more, and should be.
    pub ended: bool,
}

impl Heard {
    fn lose(&mut self, count: u64, reason: String) {
        let before = self.unjudged.as_ref().map_or(0, |(count, _)| *count);
        self.unjudged = Some((before.saturating_add(count), reason));
    }
}

/// What was said and nobody has asked for yet. It is small: the refusals are summed.
#[derive(Clone, Debug, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    /// Takes in all that is said, until the gatekeeper ends; what waits for the gatekeeper to hold is told that it does.
    fn listen(&self, lines: impl Iterator<Item = io::Result<String>>, holds: &Sender<Holds>) {
        // Whatever else a library may print there is none of what it says.
        let said = lines.map_while(Result::ok).filter(|line| line.starts_with('{'));
        for line in said {
            match serde_json::from_str(&line) {
                // Nobody may wait for it any more.
                Ok(Said::Holds(held)) => drop(holds.send(held)),
                Ok(Said::Refused { file, refused }) => self.with(|heard| heard.denied.add(file, refused)),
                Ok(Said::Unjudged { count, reason }) => self.with(|heard| heard.lose(count, reason)),
                Ok(Said::Unseen { place, reason }) => {
                    tracing::warn!("programs on {} are not denied: {reason}", place.display());
                }
                Err(error) => self.with(|heard| {
                    heard.lose(1, format!("what the gatekeeper said could not be read: {error}"));
                }),
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Heard) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Denier for Simulated {
    fn describe(&self) -> &'static str {
        "reports which programs it would keep from starting and keeps none"
    }

    fn decides(&self) -> Decision {
        Decision::Simulated
    }

    fn deny(&mut self, _: &[DeniedFile], _: Vec<(u64, u64)>) -> Result<(), DenyError> {
        Ok(())
    }

    fn hear(&mut self) -> Heard {
        Heard::default()
    }
}

/// Denies through a process of its own.
pub struct Gate {
    /// The program, with its arguments.
    command: Vec<String>,
    /// Where the file systems are mounted that it watches, here or further down.
    below: PathBuf,
    process: Option<Process>,
    ear: Ear,
    number: u64,
    /// Something is to be denied.
    wanted: bool,
}

struct Process {
    child: Child,
    /// Closed, it ends.
    wanted: Option<ChildStdin>,
    /// What it holds; closed once it has said all.
    holds: Receiver<Holds>,
    ear: Ear,
}

impl Gate {
    /// One that is not there until something is denied.
    pub fn new() -> Self {
        Self {
            command: ["/proc/self/exe", "deny-guard"].map(str::to_owned).to_vec(),
            below: PathBuf::from("/"),
            process: None,
            ear: Ear::default(),
            number: 0,
            wanted: false,
        }
    }

    /// One that watches only some file systems, and runs another program.
    #[cfg(test)]
    pub(super) fn only(command: Vec<String>, below: PathBuf) -> Self {
        Self {
            command,
            below,
            ..Self::new()
        }
    }

    fn start(&self) -> io::Result<Process> {
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (wanted, output) = (child.stdin.take(), child.stdout.take());
        let (tell, holds) = mpsc::channel();
        let process = Process {
            child,
            wanted,
            holds,
            ear: self.ear.clone(),
        };
        let lines = BufReader::new(output.ok_or(io::ErrorKind::BrokenPipe)?).lines();
        let ear = self.ear.clone();
        // It ends with the gatekeeper.
        thread::Builder::new()
            .name("gate".to_owned())
            .spawn(move || ear.listen(lines, &tell))?;
        Ok(process)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Denier for Gate {
    fn describe(&self) -> &'static str {
        "keeps programs from starting"
    }

    fn decides(&self) -> Decision {
        Decision::Applied
    }

    fn deny(&mut self, files: &[DeniedFile], spared: Vec<(u64, u64)>) -> Result<(), DenyError> {
        self.wanted = !files.is_empty();
        if !self.wanted {
            self.process = None;
            return Ok(());
        }
        self.number += 1;
        let wanted = Wanted {
            number: self.number,
            files: files.to_vec(),
            below: self.below.clone(),
            spared,
        };
        let held = self.process.take().map(|process| process.hold(&wanted));
        self.process = Some(match held {
            Some(Ok(process)) => process,
            // It has ended since it was last looked at, or hung and was ended: another one takes its place.
            Some(Err(_)) => {
                self.ear.with(|heard| heard.lose(1, ENDED.to_owned()));
                self.start()?.hold(&wanted)?
            }
            None => self.start()?.hold(&wanted)?,
        });
        Ok(())
    }

    fn hear(&mut self) -> Heard {
        let runs = |process: &mut Process| matches!(process.child.try_wait(), Ok(None));
        if !self.process.as_mut().is_some_and(runs) {
            // What it said before it ended is heard with that.
            self.process = None;
        }
        let mut heard = self.ear.with(std::mem::take);
        heard.ended = self.wanted && self.process.is_none();
        heard
    }
}

impl Process {
    fn tell(&mut self, wanted: &Wanted) -> io::Result<()> {
        let mut line = serde_json::to_vec(wanted)?;
        line.push(b'\n');
        let mut input = self.wanted.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(&line)
    }

    /// Lets it hold what is wanted.
    fn hold(mut self, wanted: &Wanted) -> Result<Self, DenyError> {
        self.tell(wanted)?;
        let begun = Instant::now();
        let held = loop {
            match self.holds.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(held) if held.number == wanted.number => break held,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(DenyError::Silent);
                }
            }
        };
        for (place, reason) in &held.unseen {
            tracing::warn!("programs on {} are not denied: {reason}", place.display());
        }
        match held.unseen.into_iter().next() {
            Some((_, reason)) if held.seen == 0 => Err(DenyError::Blind(reason)),
            None if held.seen == 0 => Err(DenyError::Blind("none is of a kind that can be".to_owned())),
            _ => Ok(self),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.wanted.take());
        let begun = Instant::now();
        let all = loop {
            match self.holds.recv_timeout(LAST.saturating_sub(begun.elapsed())) {
                Ok(_) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        if !all {
            let reason = "the gatekeeper was ended before it had said whom it kept from starting programs";
            self.ear.with(|heard| heard.lose(1, reason.to_owned()));
        }
        // All that wait for it go on with its end, however it ends.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
