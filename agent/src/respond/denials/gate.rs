//! The agent's side of the gatekeeper: it is started with the first denial, told what is denied, and heard.

use super::protocol::{Said, Wanted};
use picket_common::action::{Decision, DeniedFile};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the gatekeeper may take to hold what is wanted.
const PATIENCE: Duration = Duration::from_secs(3);
/// File systems that hold programs and that no server far away can make wait.
const KINDS: [&str; 21] = [
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs",
    "msdos", "ntfs3", "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
];

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
    /// Who was kept from starting which file: its pid and when it was started.
    pub denied: Vec<(DeniedFile, u32, u64)>,
    /// How many programs were let start without being judged, and why.
    pub unjudged: Option<(u64, String)>,
    /// Nothing is denied any more, and should be.
    pub ended: bool,
}

/// Denies through a process of its own.
pub struct Gate {
    /// The program, with its arguments.
    command: Vec<String>,
    /// Where the file systems are that it watches; `None` is all that hold programs.
    places: Option<Vec<PathBuf>>,
    process: Option<Process>,
    number: u64,
    /// Something is to be denied.
    wanted: bool,
}

struct Process {
    child: Child,
    /// Closed, it ends.
    wanted: Option<ChildStdin>,
    said: Receiver<Said>,
    /// What came while something else was waited for.
    waiting: Vec<Said>,
}

impl Gate {
    /// One that is not there until something is denied.
    pub fn new() -> Self {
        Self {
            command: ["/proc/self/exe", "deny-guard"].map(str::to_owned).to_vec(),
            places: None,
            process: None,
            number: 0,
            wanted: false,
        }
    }

    /// One that watches only some file systems, and runs another program.
    #[cfg(test)]
    pub(super) fn only(command: Vec<String>, places: Vec<PathBuf>) -> Self {
        Self {
            command,
            places: Some(places),
            process: None,
            number: 0,
            wanted: false,
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
        let (tell, said) = mpsc::sync_channel(1024);
        let lines = BufReader::new(output.ok_or(io::ErrorKind::BrokenPipe)?).lines();
        // It ends with the gatekeeper. What nobody takes waits in the pipe, and then is not said.
        thread::Builder::new().name("gate".to_owned()).spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str(&line)
                    && tell.send(said).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Process {
            child,
            wanted,
            said,
            waiting: Vec::new(),
        })
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
            places: self.places.clone().unwrap_or_else(places),
            spared,
        };
        let held = self.process.take().map(|process| process.hold(&wanted));
        self.process = Some(match held {
            Some(Ok(process)) => process,
            // It has ended since it was last looked at, or hung and was ended: another one takes its place.
            Some(Err(_)) | None => self.start()?.hold(&wanted)?,
        });
        Ok(())
    }

    fn hear(&mut self) -> Heard {
        let mut heard = Heard::default();
        let Some(process) = &mut self.process else {
            heard.ended = self.wanted;
            return heard;
        };
        // First this: what it said before it ended is heard below.
        heard.ended = !matches!(process.child.try_wait(), Ok(None));
        let said = std::mem::take(&mut process.waiting).into_iter();
        for said in said.chain(process.said.try_iter()) {
            match said {
                Said::Denied { file, pid, start } => heard.denied.push((file, pid, start)),
                Said::Unjudged { count, reason } => {
                    let before = heard.unjudged.map_or(0, |(count, _)| count);
                    heard.unjudged = Some((before.saturating_add(count), reason));
                }
                Said::Holds { .. } => {}
            }
        }
        if heard.ended {
            self.process = None;
        }
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
        let (seen, unseen) = loop {
            match self.said.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(Said::Holds { number, seen, unseen }) if number == wanted.number => {
                    break (seen, unseen);
                }
                Ok(said) => self.waiting.push(said),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(DenyError::Silent);
                }
            }
        };
        for (place, reason) in &unseen {
            tracing::warn!("programs on {} are not denied: {reason}", place.display());
        }
        match unseen.into_iter().next() {
            Some((_, reason)) if seen == 0 => Err(DenyError::Blind(reason)),
            _ => Ok(self),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.wanted.take());
        // All that wait for it go on with its end, however it ends.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A path in each file system that holds programs, as the agent sees them.
fn places() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut devices = std::collections::BTreeSet::new();
    let place = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let (device, path) = (fields.nth(2)?, fields.nth(1)?);
        let kind = after.split(' ').next()?;
        (KINDS.contains(&kind) && devices.insert(device.to_owned())).then(|| PathBuf::from(unescaped(path)))
    };
    text.lines().filter_map(place).collect()
}

/// The kernel writes blanks and the like as three octal digits.
fn unescaped(path: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let mut text = path.to_owned();
    for (escape, sign) in escapes {
        text = text.replace(escape, sign);
    }
    text
}
