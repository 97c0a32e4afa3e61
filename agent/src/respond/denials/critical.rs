//! What a host cannot do without: it is never denied nor taken away, as long as nobody but root could have changed it.

use super::identity;
use crate::respond::folders::{LIBRARIES, PROGRAMS};
use picket_common::action::DeniedFile;
use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The program that this process runs.
const OWN: &str = "/proc/self/exe";
/// By how their names begin: what starts the host and others' programs, lets people in, and mends it.
const NAMES: [&str; 55] = [
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

/// The loader, in a folder of libraries: `ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld64.so.1`, `ld-musl-x86_64.so.1`.
const LOADERS: [&str; 3] = ["ld-", "ld.so", "ld64.so"];
/// So far down in the folders it is looked for them.
const DEPTH: usize = 2;
/// How many names are looked at in all.
const MOST: usize = 200_000;

/// See the module.
pub(in crate::respond) struct Critical {
    /// Where the host's folders are: `/`.
    root: PathBuf,
    images: Vec<PathBuf>,
}

/// A file that the host cannot do without.
struct Needed {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
    size: u64,
}

impl Critical {
    pub(in crate::respond) fn new(images: &[PathBuf]) -> Self {
        Self::below("/", images)
    }

    /// Of a host whose folders are somewhere else.
    pub(super) fn below(root: impl Into<PathBuf>, images: &[PathBuf]) -> Self {
        Self {
            root: root.into(),
            images: images.to_vec(),
        }
    }

    /// Why a file is not to be denied; `None` when it may be. The path is only believed where the file lies there.
    pub(in crate::respond) fn spares(&self, file: &File, path: &Path) -> Option<String> {
        let data = file.metadata().ok()?;
        let own = identity_of(&data);
        let lies_at = |path: &Path| fs::metadata(path).is_ok_and(|data| identity_of(&data) == own);
        if lies_at(Path::new(OWN)) {
            return Some("it is the agent's own program".to_owned());
        }
        if let Some(image) = self.images.iter().find(|image| lies_at(image)) {
            let image = image.display();
            return Some(format!("{image} is protected by respond.protect_images"));
        }
        if !is_roots(&data) {
            return None;
        }
        let named = |path: &PathBuf| self.is_named(path) && lies_at(path);
        let path = fs::canonicalize(path).ok().filter(named).or_else(|| {
            // A name that the host knows it by may only be a link: musl's loader is `libc.so`.
            let mut needed = self.host().into_iter();
            needed
                .find(|needed| needed.identity == own)
                .map(|needed| needed.path)
        })?;
        Some(format!("a host cannot do without {}", path.display()))
    }

    /// All that is there now and never denied.
    fn needed(&self) -> Vec<Needed> {
        let mut needed = self.host();
        let more = self.images.iter().map(PathBuf::as_path).chain([Path::new(OWN)]);
        needed.extend(more.filter_map(|path| {
            let data = fs::metadata(path).ok().filter(Metadata::is_file)?;
            Some(Needed::new(path.to_owned(), &data))
        }));
        needed
    }

    /// By device and inode.
    pub(super) fn identities(&self) -> Vec<(u64, u64)> {
        self.needed().into_iter().map(|needed| needed.identity).collect()
    }

    /// Which of these has the content of a file that is to be denied.
    pub(super) fn twin(&self, denied: &DeniedFile) -> Option<PathBuf> {
        denied.sha256.as_ref()?;
        let mut alike = self
            .needed()
            .into_iter()
            .filter(|needed| needed.size == denied.size);
        let twin = alike.find(|needed| {
            let read = File::open(&needed.path).and_then(|file| identity::sha256(&file, || {}));
            // What cannot be read may well be the same.
            read.map_or(true, |sha256| denied.sha256 == Some(sha256))
        })?;
        Some(twin.path)
    }

    fn host(&self) -> Vec<Needed> {
        let (mut needed, mut known) = (Vec::new(), BTreeSet::new());
        let places = PROGRAMS.iter().chain(&LIBRARIES);
        let mut folders: Vec<(PathBuf, usize)> = places
            .filter_map(|place| fs::canonicalize(self.root.join(place.trim_start_matches('/'))).ok())
            .map(|place| (place, DEPTH))
            .collect();
        // `/bin` may be `/usr/bin`.
        folders.sort_unstable();
        folders.dedup();
        let mut looked = 0;
        while let Some((folder, depth)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().map_while(Result::ok) {
                looked += 1;
                if looked > MOST {
                    return needed;
                }
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && depth > 0 {
                    folders.push((path, depth - 1));
                } else if !is_folder
                    && self.is_named(&path)
                    && let Ok(data) = fs::metadata(&path)
                    && data.is_file()
                    && is_roots(&data)
                    && data.mode() & 0o111 != 0
                    && known.insert(identity_of(&data))
                {
                    needed.push(Needed::new(path, &data));
                }
            }
        }
        needed
    }

    /// Whether the host knows a path by its name and place.
    fn is_named(&self, path: &Path) -> bool {
        let place = path
            .strip_prefix(&self.root)
            .map(|rest| Path::new("/").join(rest));
        let (Ok(place), Some(name)) = (place, path.file_name().and_then(|name| name.to_str())) else {
            return false;
        };
        let inside = |folders: &[&str]| folders.iter().any(|folder| place.starts_with(folder));
        let begins = |start: &str| {
            // `python3.13` and `systemd-journald`, and `sshd-session`; not `shred`.
            let rest = name.strip_prefix(start);
            rest.is_some_and(|rest| rest.chars().next().is_none_or(|sign| !sign.is_ascii_alphabetic()))
        };
        let is_loader = || LOADERS.iter().any(|start| name.starts_with(start));
        inside(&LIBRARIES) && is_loader()
            || (inside(&PROGRAMS) || inside(&LIBRARIES))
                && NAMES.iter().chain(&MORE).any(|start| begins(start))
    }
}

impl Needed {
    fn new(path: PathBuf, data: &Metadata) -> Self {
        Self {
            path,
            identity: identity_of(data),
            size: data.len(),
        }
    }
}

/// Whether nobody but root can have written it.
pub(super) fn is_roots(data: &Metadata) -> bool {
    data.uid() == 0 && data.mode() & 0o022 == 0
}

fn identity_of(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// A host that has these programs, each with a content of its own, and these links.
    fn host(programs: &[&str], links: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in programs {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, target) in links {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        root
    }

    #[test]
    fn shells_and_loaders_are_spared_on_hosts_of_every_layout() {
        let programs = [
            "bin/busybox",
            "bin/bash",
            "sbin/agetty",
            "sbin/dinit",
            "usr/bin/sudo",
            "usr/bin/shred",
            "usr/bin/ld-tool",
            "usr/lib/systemd/systemd",
            "lib/x86_64-linux-gnu/ld-2.31.so",
            "lib64/ld64.so.1",
            "lib/x86_64-linux-musl/libc.so",
            "lib/x86_64-linux-musl/libm.so",
            "home/joe/bin/bash",
        ];
        let links = [
            ("lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-2.31.so"),
            ("lib/ld-musl-x86_64.so.1", "x86_64-linux-musl/libc.so"),
            ("sbin/init", "dinit"),
            ("usr/sbin", "bin"),
        ];
        let root = host(&programs, &links);
        if !fs::metadata(root.path()).is_ok_and(|data| data.uid() == 0) {
            println!("skipped: only what is root's is spared");
            return;
        }
        let critical = Critical::below(fs::canonicalize(root.path()).unwrap(), &[]);
        let spared = |name: &&str| {
            let path = root.path().join(name);
            critical.spares(&File::open(&path).unwrap(), &path).is_some()
        };
        let denied: Vec<_> = programs.iter().filter(|name| !spared(name)).collect();
        let others = [
            "usr/bin/shred",
            "usr/bin/ld-tool",
            "lib/x86_64-linux-musl/libm.so",
            "home/joe/bin/bash",
        ];
        assert_eq!(denied, others.iter().collect::<Vec<_>>());
        assert!(spared(&"lib64/ld-linux-x86-64.so.2"), "by its link");
        // All of them are known together as well, for what has the same content.
        let needed = critical.needed().len();
        assert_eq!(needed, programs.len() - others.len() + 1, "and the agent's own");
        // What others could have written stands for nothing.
        let bash = root.path().join("bin/bash");
        fs::set_permissions(&bash, fs::Permissions::from_mode(0o775)).unwrap();
        assert!(!spared(&"bin/bash"));
    }
}
