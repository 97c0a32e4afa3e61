//! What is never taken away.

use super::package;
use super::subject::Subject;
use crate::config::Respond;
use crate::respond::denials::Critical;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Without these nobody could start the host, log in, or be known to it.
const NEEDED: [&str; 12] = [
    "/etc/fstab",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/machine-id",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/ssh/sshd_config",
    "/etc/sudoers",
];
const BOOT: [&str; 2] = ["/boot", "/efi"];
const MAIL: [&str; 2] = ["/var/mail", "/var/spool/mail"];
/// How a file begins that holds many mails.
const MBOX: &[u8] = b"From ";
/// The folders of a maildir, in which each file is one mail.
const MAILDIR: [&str; 3] = ["cur", "new", "tmp"];

/// See the module.
pub(super) struct Spare {
    critical: Critical,
    protect: Vec<PathBuf>,
    /// The agent's own folders.
    own: Vec<PathBuf>,
}

impl Spare {
    pub(super) fn new(settings: &Respond, own: &[PathBuf]) -> Self {
        let mut own = own.to_vec();
        own.push(settings.quarantine.directory.clone());
        own.extend(["/etc/picket", "/usr/share/picket"].map(PathBuf::from));
        Self {
            critical: Critical::new(&settings.protect_images),
            protect: settings.quarantine.protect.clone(),
            own,
        }
    }

    /// Why a file is not to be taken away; `None` when it may be.
    pub(super) fn refuses(&self, subject: &Subject) -> Option<String> {
        let path = subject.path.as_path();
        let inside = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
        let because = if self.own.iter().any(|own| path.starts_with(own)) {
            "it is the agent's own".to_owned()
        } else if let Some(protected) = self.protect.iter().find(|own| path.starts_with(own)) {
            format!(
                "{} is protected by respond.quarantine.protect",
                protected.display()
            )
        } else if inside(&BOOT) {
            "the host starts with it".to_owned()
        } else if NEEDED.iter().any(|needed| path == Path::new(needed)) {
            "a host cannot do without it".to_owned()
        } else if is_mailbox(subject) {
            "it is a whole mailbox, and not one mail".to_owned()
        } else {
            self.critical
                .spares(&subject.file, path)
                .or_else(|| package::spares(subject))?
        };
        Some(format!("it stays where it is: {because}"))
    }
}

fn is_mailbox(subject: &Subject) -> bool {
    let path = subject.path.as_path();
    let folder = path.parent().and_then(Path::file_name);
    if MAIL.iter().any(|mail| path.starts_with(mail)) {
        return !MAILDIR.iter().any(|name| folder == Some(name.as_ref()));
    }
    let mut begin = [0; MBOX.len()];
    // A program may begin as it likes.
    subject.attributes.mode & 0o111 == 0 && subject.file.read_exact_at(&mut begin, 0).is_ok() && begin == MBOX
}
