//! An event of a program that was started.

use super::{Container, Login};
use crate::process::ProcessId;
use crate::time::Timestamp;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A process became another program. Field docs name the ECS 9 field that carries each.
///
/// Texts are what the process itself chose, with what is no UTF-8 replaced: escape before showing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExecEvent {
    /// `process.pid`, `picket.process.start`
    pub process: ProcessId,
    /// `process.executable`: the path of the file that runs, with all links followed; of a script that of its interpreter. Where
    /// that could not be had, the path by which it was started, made absolute.
    pub executable: CompactString,
    /// `process.args`
    pub args: Vec<CompactString>,
    /// `picket.process.args_cut`: there were more, or longer ones, than are kept.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub args_cut: bool,
    /// `process.env_vars`: of those that the settings name, as `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub environment: Vec<CompactString>,
    /// `process.working_directory`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub working_directory: Option<CompactString>,
    /// Whom it runs as.
    pub credentials: Credentials,
    /// `process.tty.name`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tty: Option<CompactString>,
    /// The file behind `executable`; `None` where it could not be looked at in time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<ExecutedFile>,
    /// `picket.file.changed`, `.size`: which content that has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<FileVersion>,
    /// `picket.process.cgroup.id`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cgroup: Option<u64>,
    /// `picket.process.namespace.mount`, `.pid`: the inode numbers of its namespaces.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespaces: Option<Namespaces>,
    /// Who started it, the parent first; what is known of each is the more the later the agent saw it start.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ancestors: Vec<Ancestor>,
    /// `picket.login`: the login that it belongs to; `None` for what no login started, or where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login: Option<Box<Login>>,
    /// `container`, `picket.systemd`: what it runs in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<Box<Container>>,
    /// `package.name`: the package that owns the file; `None` for a file of no package, or where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package: Option<CompactString>,
    /// `process.hash.sha256`: of the file, in lower-case hexadecimal digits, where it was known when the program started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<CompactString>,
    /// `user.name`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<CompactString>,
    /// `host.hostname`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<CompactString>,
}

impl ExecEvent {
    /// A program of which no more is known.
    pub fn new(process: ProcessId, executable: &str, credentials: Credentials) -> Self {
        Self {
            process,
            executable: executable.into(),
            args: Vec::new(),
            args_cut: false,
            environment: Vec::new(),
            working_directory: None,
            credentials,
            tty: None,
            file: None,
            version: None,
            cgroup: None,
            namespaces: None,
            ancestors: Vec::new(),
            login: None,
            container: None,
            package: None,
            sha256: None,
            user: None,
            host: None,
        }
    }

    /// `process.command_line`: the arguments with blanks in between.
    pub fn command_line(&self) -> String {
        let mut line = String::with_capacity(self.args.iter().map(|arg| arg.len() + 1).sum());
        for (at, arg) in self.args.iter().enumerate() {
            if at > 0 {
                line.push(' ');
            }
            line.push_str(arg);
        }
        line
    }
}

/// Whom a process runs as. The default is root without a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// `process.real_user.id`
    pub uid: u32,
    /// `process.user.id`
    pub effective_uid: u32,
    /// `process.real_group.id`
    pub gid: u32,
    /// `process.group.id`
    pub effective_gid: u32,
    /// `picket.process.login_uid`: whoever logged in, however often the user was changed since; `None` for what no login
    /// started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login_uid: Option<u32>,
    /// `picket.process.session`: the audit session, with `login_uid`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<u32>,
}

/// The file that is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExecutedFile {
    /// The device's number, as `stat` gives it.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// It has no name any more.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unlinked: bool,
    /// It lies in memory only.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub memfd: bool,
}

/// Which content a file has: what changes that changes these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FileVersion {
    /// When the file, or what is said of it, was last changed: `st_ctime`.
    pub changed: Timestamp,
    /// Its length in bytes.
    pub size: u64,
}

/// In which namespaces a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Namespaces {
    /// Of mounts.
    pub mount: u32,
    /// Of pids.
    pub pid: u32,
}

/// A process further up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ancestor {
    /// `process.parent.pid`, `picket.process.parent.start` for the first.
    pub process: ProcessId,
    /// `process.parent.executable` for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<CompactString>,
    /// `process.parent.command_line` for the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_line: Option<CompactString>,
}
