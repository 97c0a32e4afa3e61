//! The agent's end of one scan worker.

use super::cache::Key;
use super::protocol::{Down, LONGEST, Limits, Up, receive, send};
use super::queue::Task;
use super::rules;
use crate::sys::ended_within;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How workers are started, and what with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program: `picket` itself.
    pub program: PathBuf,
    /// The user and group to run it as; `None` is the agent's own.
    pub user: Option<(u32, u32)>,
    /// How much is looked at.
    pub limits: Limits,
    /// Folders of YARA rules, or single files.
    pub rules: Vec<PathBuf>,
}

/// How long a worker that was killed may take to be gone: less, unless a disk keeps it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A file that a worker was given.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) task: Task<T>,
    /// How often a worker ended that held it.
    pub(super) tries: u32,
    /// Since when.
    pub(super) since: Instant,
    /// What its result is kept under, if it may be.
    pub(super) key: Option<Key>,
}

/// A worker, and what it holds.
#[derive(Debug)]
pub(super) struct Child<T> {
    process: std::process::Child,
    socket: OwnedFd,
    room: Vec<u8>,
    /// Its rules are compiled.
    pub(super) is_ready: bool,
    pub(super) started: Instant,
    pub(super) held: HashMap<u64, Held<T>>,
}

impl<T> Child<T> {
    /// Starts one and hands it the rules.
    pub(super) fn start(options: &Options, sources: &[rules::Source]) -> io::Result<Self> {
        let pair = || {
            socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )
        };
        let (socket, theirs) = pair()?;
        let mut command = Command::new(&options.program);
        command.arg0("picket").arg("scan-worker");
        command.env_clear().current_dir("/");
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null());
        // Signals for the agent are not for the worker, which ends with it.
        command.process_group(0);
        if let Some((user, group)) = options.user {
            command.uid(user).gid(group);
        }
        let mut child = Self {
            process: command.spawn()?,
            socket,
            room: vec![0; LONGEST],
            is_ready: false,
            started: Instant::now(),
            held: HashMap::new(),
        };
        let limits = options.limits;
        let told = rules::pack(sources)
            .and_then(|file| send(child.socket.as_fd(), &Down::Start { limits }, Some(file.as_fd())));
        if let Err(error) = told {
            child.end();
            return Err(error);
        }
        Ok(child)
    }

    /// Can be read when it says something or has ended.
    pub(super) fn signal(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The process.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Hands it a file.
    pub(super) fn give(&mut self, id: u64, held: Held<T>) -> Result<(), Box<(io::Error, Held<T>)>> {
        let down = Down::Scan {
            id,
            path: held.task.path.clone(),
            owner: held.task.owner.clone(),
        };
        match send(self.socket.as_fd(), &down, Some(held.task.file.as_fd())) {
            Ok(()) => {
                self.held.insert(id, held);
                Ok(())
            }
            Err(error) => Err(Box::new((error, held))),
        }
    }

    /// What it says, if anything; an error when it is gone.
    pub(super) fn hear(&mut self) -> io::Result<Option<Up>> {
        match receive(&self.socket, &mut self.room, RecvFlags::DONTWAIT) {
            Ok(Some((up, _))) => Ok(Some(up)),
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends it, and gives how it ended.
    pub(super) fn end(&mut self) -> String {
        // One that has ended by itself tells how.
        if let Ok(Some(status)) = self.process.try_wait() {
            return status.to_string();
        }
        drop(self.process.kill());
        if ended_within(&self.process, LAST_WORDS)
            && let Ok(status) = self.process.wait()
        {
            return status.to_string();
        }
        "it does not go".to_owned()
    }
}
