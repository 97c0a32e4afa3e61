//! What a sensor saw, before anybody looked into it.

use compact_str::CompactString;
use picket_common::event::{Credentials, Direction, ExecEvent, ExitStatus, FileEvent, FileVersion};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The source of processes that the kernel tells of: it leaves none out, and nothing of it is late.
pub const EXEC_EBPF: &str = "exec_ebpf";

/// What a sensor saw at once.
#[derive(Debug)]
pub struct Observation {
    /// Where it was, and where to go on after it.
    pub origin: Origin,
    /// When the agent took it in.
    pub observed: Timestamp,
    /// It is read a second time, to rebuild what counting rules knew: it is judged, but nothing comes of it.
    pub again: bool,
    /// The thing itself.
    pub body: Body,
}

/// What was seen.
#[derive(Debug)]
pub enum Body {
    /// A line of an authentication log, without its end; bytes, as nobody promises that they are text.
    Line(Vec<u8>),
    /// An entry of `journalctl -o json`.
    JournalEntry(Vec<u8>),
    /// What processes did, in the order in which it happened.
    Processes(Vec<Sighting>),
    /// A file that landed.
    File(Box<FileSeen>),
    /// What a file holds that was run before.
    Hashed(Hashed),
    /// Whose files are.
    Owned(Owned),
}

/// What a sensor may see, and a rule need to be seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What authentication logs say.
    Logins,
    /// Programs that are started.
    Programs,
    /// Connections.
    Connections,
    /// Programs that end.
    Exits,
    /// Programs that become root as none should.
    Privileges,
    /// Signals from one program to another.
    Signals,
    /// Files that land.
    Files,
    /// Something that this agent knows no events of.
    Others,
}

/// A file that landed, and who did it.
#[derive(Debug)]
pub struct FileSeen {
    /// What is known of it so far; the writer perhaps as a pid alone.
    pub event: FileEvent,
    /// The file itself, opened for reading: what is looked into is this and never its path again. `None` where it could not be
    /// opened, or is nothing to look into.
    pub file: Option<OwnedFd>,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashed {
    /// The file.
    pub file: FileKey,
    /// SHA-256 in lower-case hexadecimal digits; `None` where it could not be taken.
    pub sha256: Option<CompactString>,
}

/// Paths, each with the package that owns it, if any does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Owned(pub Vec<(CompactString, Option<CompactString>)>);

/// A file with its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileKey {
    /// The device's number, as `stat` gives it.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// Which content.
    pub version: FileVersion,
}

/// One thing that a process did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// When.
    pub time: Timestamp,
    /// Never the same for two that one sensor gives within one boot.
    pub number: u64,
    /// What.
    pub what: ProcessSeen,
}

/// What a process did. Of an [`ExecEvent`] the sensor fills in what would be gone a moment later; the ancestors that it names
/// are those that it knows, the parent first, and may be without executable and command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProcessSeen {
    /// It was there before the sensor looked: what it runs, for those that it starts.
    Running(Box<ExecEvent>),
    /// It began as a copy of its parent.
    Forked {
        /// Whose copy it is.
        parent: ProcessId,
        /// The new process.
        child: ProcessId,
    },
    /// It became another program.
    Exec(Box<ExecEvent>),
    /// It ended.
    Exited {
        /// Which.
        process: ProcessId,
        /// How.
        status: ExitStatus,
    },
    /// It asked for a TCP connection, or one came about with whoever listens.
    Connected {
        /// Which; of an accepted connection the one that listens.
        process: ProcessId,
        /// Who asked.
        direction: Direction,
        /// Its own end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// It has root's rights that it did not have before, and ran no set-uid file.
    Raised {
        /// Which.
        process: ProcessId,
        /// The effective user that it had before.
        former_uid: u32,
        /// Whom it runs as now.
        credentials: Credentials,
    },
    /// It sent a signal to another.
    Signalled {
        /// Which.
        process: ProcessId,
        /// The signal's number.
        signal: i32,
        /// To whom.
        target: ProcessId,
    },
}

/// A place in a source.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The source, as `file:/var/log/auth.log` or `journal`.
    pub source: Arc<str>,
    /// Its place there, from which the ids of its records derive: never the same for two things of one source.
    pub position: Vec<u8>,
    /// Where reading goes on once this has been spooled; `None` for a source that cannot be read again.
    pub cursor: Option<Cursor>,
}

/// How far a source has been read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cursor {
    /// A file, known again by its inode and its first bytes.
    File {
        /// Device number.
        device: u64,
        /// Inode number.
        inode: u64,
        /// The byte after the last line that was read.
        offset: u64,
        /// How many of the first bytes the fingerprint covers.
        covered: u64,
        /// SHA-256 of those, shortened to 64 bits.
        fingerprint: u64,
    },
    /// The journal's own cursor.
    Journal {
        /// `__CURSOR` of the last entry.
        cursor: String,
    },
    /// A list that numbers its items.
    Number {
        /// The last item's number.
        number: u64,
    },
}
