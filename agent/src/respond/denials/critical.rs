//! What a host cannot do without: it is never denied nor taken away, as long as nobody but root could have changed it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where programs of the system lie, also in folders inside.
const FOLDERS: [&str; 7] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/lib",
    "/lib64",
];
/// By how their names begin: what starts the host and others' programs, lets people in, and mends it.
const NAMES: [&str; 58] = [
    "agetty",
    "apk",
    "apt",
    "awk",
    "bash",
    "busybox",
    "cat",
    "chmod",
    "chown",
    "coreutils",
    "cp",
    "cron",
    "dash",
    "dbus",
    "dnf",
    "dpkg",
    "fsck",
    "gawk",
    "grep",
    "init",
    "ip",
    "iptables",
    "journalctl",
    "kmod",
    "ksh",
    "ld-linux",
    "ld.so",
    "ld-musl",
    "login",
    "ls",
    "mawk",
    "mount",
    "mv",
    "nft",
    "nologin",
    "pacman",
    "passwd",
    "perl",
    "picket",
    "pkexec",
    "ps",
    "python",
    "rm",
    "rpm",
    "runuser",
    "sed",
    "sftp-server",
    "sh",
    "ssh",
    "sshd",
    "su",
    "sudo",
    "systemctl",
    "systemd",
    "toybox",
    "udevadm",
    "umount",
    "yum",
];
/// As [`NAMES`], beside them.
const MORE: [&str; 4] = ["unattended-upgrade", "xtables", "zsh", "zypper"];

/// See the module.
pub(in crate::respond) struct Critical {
    images: Vec<PathBuf>,
    own: Option<(u64, u64)>,
}

impl Critical {
    pub(in crate::respond) fn new(images: &[PathBuf]) -> Self {
        Self {
            images: images.to_vec(),
            own: fs::metadata("/proc/self/exe")
                .ok()
                .map(|data| (data.dev(), data.ino())),
        }
    }

    /// Why a file is not to be denied; `None` when it may be. The path is only believed where the file lies there.
    pub(in crate::respond) fn spares(&self, file: &File, path: &Path) -> Option<String> {
        let data = file.metadata().ok()?;
        let own = (data.dev(), data.ino());
        let lies_at = |path: &Path| fs::metadata(path).is_ok_and(|data| (data.dev(), data.ino()) == own);
        if self.own == Some(own) {
            return Some("it is the agent's own program".to_owned());
        }
        if let Some(image) = self.images.iter().find(|image| lies_at(image)) {
            let image = image.display();
            return Some(format!("{image} is protected by respond.protect_images"));
        }
        let path = fs::canonicalize(path).ok()?;
        let name = path.file_name()?.to_str()?;
        let named = NAMES.iter().chain(&MORE).any(|start| {
            // `python3.13` and `systemd-journald`, and `sshd-session`; not `shred`.
            let rest = name.strip_prefix(start);
            rest.is_some_and(|rest| rest.chars().next().is_none_or(|sign| !sign.is_ascii_alphabetic()))
        });
        let is_roots = data.uid() == 0 && data.mode() & 0o022 == 0;
        let of_the_system = FOLDERS.iter().any(|folder| path.starts_with(folder));
        (named && is_roots && of_the_system && lies_at(&path))
            .then(|| format!("a host cannot do without {}", path.display()))
    }
}
