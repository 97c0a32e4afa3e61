//! What the agent and its scan worker say to one another: one JSON object a message, over a pair of sockets that keep
//! messages apart, with open files beside them.

use picket_common::event::FileContent;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A longer message is none of ours. Sockets carry a little more by default.
pub(super) const LONGEST: usize = 160 << 10;

/// How much is looked at, and for how long. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// How many files are scanned at once.
    pub threads: usize,
    /// How long one file may take, what is in it included.
    pub time: Duration,
    /// So much of a file's beginning is matched, and of a member of an archive.
    pub matched: usize,
    /// A file up to this size is hashed.
    pub hashed: u64,
    /// How deep archives in archives are opened.
    pub depth: usize,
    /// How many members of one file's archives are looked at.
    pub members: usize,
    /// How much the members of one file's archives may unpack to.
    pub unpacked: usize,
    /// How many times its packed size a member may unpack to, once that is more than 1 MiB.
    pub ratio: usize,
    /// How much address space the worker has.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(4));
        Self {
            threads,
            time: Duration::from_secs(30),
            matched: 64 << 20,
            hashed: 1 << 30,
            depth: 3,
            members: 10_000,
            unpacked: 256 << 20,
            ratio: 250,
            memory: 2 << 30,
        }
    }
}

/// A file of rules that is wrong, or a folder that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Which.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// From the agent to its worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Down {
    /// The first thing said; beside it a file of rules, as `rules` writes it.
    Start { limits: Limits },
    /// Look into the file beside it.
    Scan { id: u64, path: String, owner: String },
}

/// From the worker to the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Up {
    /// The rules are compiled, those that can be.
    Ready {
        rules: usize,
        problems: Vec<Problem>,
        /// How many more problems there are than have room here.
        more: usize,
    },
    /// What was found in a file.
    Scanned { id: u64, content: FileContent },
}

/// Sends a message, with at most one file.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > LONGEST {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
    if !files.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(&files));
    }
    let flags = SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(&bytes)], &mut beside, flags))?;
    Ok(())
}

/// Waits for the next message and the file that came with it, if there is one; `None` when the other end is gone. `room` is
/// [`LONGEST`] bytes.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    room: &mut [u8],
    flags: RecvFlags,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let got =
        rustix::io::retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(room)], &mut beside, flags))?;
    if got.bytes == 0 {
        return Ok(None);
    }
    if got.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut file = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = message {
            file = files.next();
        }
    }
    let bytes = room.get(..got.bytes).unwrap_or_default();
    Ok(Some((serde_json::from_slice(bytes)?, file)))
}

/// A message of either side, written again as its sender would; `None` for what is none.
pub fn written_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let down = serde_json::from_slice::<Down>(bytes).map(|down| serde_json::to_vec(&down));
    let message = down.or_else(|_| serde_json::from_slice::<Up>(bytes).map(|up| serde_json::to_vec(&up)));
    message.ok()?.ok()
}
