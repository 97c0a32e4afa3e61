//! An event of a file that landed.

use super::{FileBefore, FileChange, Program};
use crate::raw_text::RawText;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A file was written and closed, was moved into place, or had its rights changed. Field docs name the ECS 9 field that
/// carries each.
///
/// A path is what whoever made the file chose, with what is no UTF-8 replaced: escape before showing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileEvent {
    /// `file.path`: absolute.
    pub path: CompactString,
    /// `event.action`
    pub action: FileAction,
    /// `process.*`: who did it, as far as known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub writer: Option<Box<Program>>,
    /// `picket.file.device`, `file.inode`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<FileIdentity>,
    /// `file.target_path`: where it leads, of a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<CompactString>,
    /// `file.size`: in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// `file.uid`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    /// `file.gid`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gid: Option<u32>,
    /// `file.owner`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<CompactString>,
    /// `file.mode`: the lower twelve bits of `st_mode`, written in octal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<u32>,
    /// `package.name`: the package that owns the path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package: Option<CompactString>,
    /// `picket.file.package_manager`: the one who wrote it installs packages, or was started by one that does, as root.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub package_manager: bool,
    /// What a look into it told; `None` where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Box<FileContent>>,
    /// What is new in it, of a file of the system's configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Box<FileChange>>,
    /// What was otherwise when a file was last seen at this path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Box<FileBefore>>,
    /// `host.hostname`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<CompactString>,
}

impl FileEvent {
    /// A file of which no more is known.
    pub fn new(path: impl Into<CompactString>, action: FileAction) -> Self {
        Self {
            path: path.into(),
            action,
            writer: None,
            identity: None,
            target: None,
            size: None,
            uid: None,
            gid: None,
            owner: None,
            mode: None,
            package: None,
            package_manager: false,
            content: None,
            change: None,
            before: None,
            host: None,
        }
    }

    /// `file.name`: the last part of its path.
    pub fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }

    /// `file.directory`: what its path has before that.
    pub fn directory(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// `file.extension`: what its name has behind its last dot, unless that is its first sign.
    pub fn extension(&self) -> Option<&str> {
        let (stem, extension) = self.name().rsplit_once('.')?;
        Some(extension).filter(|extension| !stem.is_empty() && !extension.is_empty())
    }
}

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileAction {
    /// Somebody wrote to it and closed it.
    Written,
    /// It was moved here, or got a further name here.
    Moved,
    /// Its mode or owner changed, so that it can now be run, or run as another.
    Attributes,
    /// It was there when somebody looked for it.
    Found,
}

impl FileAction {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Written, Self::Moved, Self::Attributes, Self::Found];

    /// The name in `event.action`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Moved => "moved",
            Self::Attributes => "attributes",
            Self::Found => "found",
        }
    }
}

/// Which file it is, whatever its names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The device's number, as `stat` gives it.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
}

/// Which file something is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FileRef {
    /// Where it lay, absolute. From an event it is what that could keep of it, with what is no UTF-8 replaced.
    pub path: RawText,
    /// The file itself; `None` where nobody looked at it yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<FileIdentity>,
    /// The SHA-256 of its content in lower-case hexadecimal digits, as far as known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<CompactString>,
}

/// What a look into a file told. Digests are lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileContent {
    /// `file.hash.sha256`
    pub sha256: CompactString,
    /// `file.hash.sha1`: because lists of indicators still use it.
    pub sha1: CompactString,
    /// `file.hash.md5`: because lists of indicators still use it.
    pub md5: CompactString,
    /// `file.mime_type`, by its first bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mime_type: Option<CompactString>,
    /// `picket.file.entropy`: in hundredths of a bit a byte, 0 to 800.
    pub entropy: u16,
    /// `picket.file.matches`: the YARA rules that match, bounded.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub matches: Vec<YaraMatch>,
    /// `picket.file.unscanned`: why the scan is not whole, such as a limit or a rule that took too long.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unscanned: Option<CompactString>,
}

/// A YARA rule that matches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct YaraMatch {
    /// The rule's name.
    pub rule: CompactString,
    /// The file of rules that it comes from.
    pub source: CompactString,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<CompactString>,
    /// Its `description`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<CompactString>,
    /// Its `score`, 0 to 100, where it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<u8>,
    /// The ATT&CK technique ids in its `attack`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attack: Vec<CompactString>,
    /// The response in its `picket_respond`, which it suggests.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub respond: Option<CompactString>,
    /// The member of an archive in which it matched, as the path inside it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member: Option<CompactString>,
}
