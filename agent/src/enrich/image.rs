//! What a process runs, as far as it is remembered.

use compact_str::CompactString;
use picket_common::event::{Container, Credentials};
use picket_common::process::ProcessId;

/// What lets people in, by the names of the programs, and what each is called in logs: newer OpenSSH has several programs and
/// one name.
const SERVERS: [(&str, &str); 10] = [
    ("sshd", "sshd"),
    ("sshd-session", "sshd"),
    ("sshd-auth", "sshd"),
    ("dropbear", "dropbear"),
    ("login", "login"),
    ("in.telnetd", "in.telnetd"),
    ("xrdp-sesman", "xrdp-sesman"),
    ("cron", "cron"),
    ("crond", "crond"),
    ("atd", "atd"),
];

/// What a process runs.
pub(super) struct Image {
    pub(super) executable: CompactString,
    pub(super) command_line: CompactString,
    pub(super) credentials: Credentials,
    pub(super) container: Option<Box<Container>>,
}

impl Image {
    /// How much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.executable, &self.command_line];
        let texts: usize = texts
            .iter()
            .filter(|text| text.is_heap_allocated())
            .map(|text| text.capacity())
            .sum();
        // A container's id takes most of what its texts do.
        let container = self
            .container
            .as_ref()
            .map_or(0, |_| size_of::<Container>() + 100);
        size_of::<Self>() + texts + container
    }
}

/// A process that lets people in, or runs what they asked for.
#[derive(Clone, Copy)]
pub(super) struct Server {
    pub(super) process: ProcessId,
    pub(super) name: &'static str,
}

impl Server {
    /// If it is one: what anybody but root runs under such a name is none.
    pub(super) fn of(process: ProcessId, image: &Image) -> Option<Self> {
        if image.credentials.effective_uid != 0 {
            return None;
        }
        let path = image.executable.as_str();
        let own = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let (_, name) = SERVERS.iter().find(|(program, _)| *program == own)?;
        Some(Self { process, name })
    }
}
