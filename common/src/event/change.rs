//! What changed in a file that decides who may do what, or what is run.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What is new in a file of the system's configuration, and what is gone from it, line by line. Secrets, such as the hashes of
/// passwords, are never in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileChange {
    /// `picket.file.change.kind`: what the file is for.
    pub kind: ChangeKind,
    /// `picket.file.change.added`: lines that were not there before; the first of them, and each cut where it is long. Rules see more of
    /// them than is kept and sent, which holds no secrets. Of a file of passwords, whose they are and whether they can be used.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub added: Vec<CompactString>,
    /// `picket.file.change.added_count`
    #[serde(default)]
    pub added_count: u32,
    /// `picket.file.change.removed`: lines that are gone, of a small file: the first of them, as they are kept. Of a large one none,
    /// as the agent keeps no copy of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub removed: Vec<CompactString>,
    /// `picket.file.change.removed_count`
    #[serde(default)]
    pub removed_count: u32,
    /// `picket.file.change.unknown`: why the lines are not known, such as that the file is too long.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<CompactString>,
}

impl FileChange {
    /// A change of which no more is known.
    pub fn new(kind: ChangeKind) -> Self {
        Self {
            kind,
            added: Vec::new(),
            added_count: 0,
            removed: Vec::new(),
            removed_count: 0,
            unknown: None,
        }
    }
}

/// What was otherwise about a file when one was last seen at its path: what is as it was is not here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileBefore {
    /// `picket.file.before.size`: in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// `picket.file.before.uid`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    /// `picket.file.before.gid`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gid: Option<u32>,
    /// `picket.file.before.mode`: as [`super::FileEvent::mode`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<u32>,
    /// `picket.file.before.target_path`: where it led, of a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<CompactString>,
}

/// What a file of the system's configuration is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Keys that let somebody in by SSH.
    AuthorizedKeys,
    /// Who may become whom.
    Sudoers,
    /// What is run at times.
    Cron,
    /// What systemd runs, and when.
    Systemd,
    /// What other systems of start-up run: `/etc/init.d`, `/etc/rc.local`, udev, `/etc/xdg/autostart`.
    Startup,
    /// What is loaded into every program.
    Preload,
    /// How it is proved who somebody is.
    Pam,
    /// What shells run as they start.
    ShellProfile,
    /// The accounts: `/etc/passwd`, `/etc/group`.
    Accounts,
    /// Their passwords: `/etc/shadow`, `/etc/gshadow`.
    Passwords,
    /// How SSH lets in.
    SshServer,
    /// Where names lead: `/etc/hosts`, `/etc/resolv.conf`, `/etc/nsswitch.conf`.
    NameResolution,
    /// Which modules the kernel loads.
    KernelModules,
    /// A file that runs as its owner, or group, whoever starts it.
    SetUid,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AuthorizedKeys,
        Self::Sudoers,
        Self::Cron,
        Self::Systemd,
        Self::Startup,
        Self::Preload,
        Self::Pam,
        Self::ShellProfile,
        Self::Accounts,
        Self::Passwords,
        Self::SshServer,
        Self::NameResolution,
        Self::KernelModules,
        Self::SetUid,
    ];

    /// The name in `picket.file.change.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizedKeys => "authorized_keys",
            Self::Sudoers => "sudoers",
            Self::Cron => "cron",
            Self::Systemd => "systemd",
            Self::Startup => "startup",
            Self::Preload => "preload",
            Self::Pam => "pam",
            Self::ShellProfile => "shell_profile",
            Self::Accounts => "accounts",
            Self::Passwords => "passwords",
            Self::SshServer => "ssh_server",
            Self::NameResolution => "name_resolution",
            Self::KernelModules => "kernel_modules",
            Self::SetUid => "set_uid",
        }
    }
}
