//! A process through its folder in `/proc`, read within bounds.
//!
//! All files of a process are opened through its folder, which is opened once: the kernel ties that descriptor to the one
//! process and answers `ESRCH` once it has ended, also when its pid is another's by then. What may still change is the
//! program that it runs; so where its image lies in memory is read first and last, and the rest again if it differs.

use super::Stat;
use compact_str::CompactString;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat, stat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::read;
use picket_common::event::{Ancestor, Credentials, ExecEvent, ExecutedFile, FileVersion, Namespaces};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// So many bytes of the arguments are kept.
const LONGEST_ARGS: usize = 32 << 10;
/// So many bytes of the environment are searched.
const LONGEST_ENVIRONMENT: usize = 256 << 10;
/// So many bytes of one variable are kept.
const LONGEST_VARIABLE: usize = 4096;
/// More than the longest of the kernel's own small files.
const SMALL: usize = 8192;
/// So many bytes of a table of sockets are read: some hundred thousand of them.
const LONGEST_TABLE: usize = 16 << 20;
/// So many descriptors are looked at.
const MOST_DESCRIPTORS: usize = 256;
/// What the kernel adds to the path of a file that lost its name.
const DELETED: &[u8] = b" (deleted)";
/// How often a program is read that becomes another one meanwhile.
const TRIES: usize = 3;
/// `loginuid` and `sessionid` of what no login started.
const UNSET: u32 = u32::MAX;

/// A process, which may have ended.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    folder: OwnedFd,
}

impl Process {
    /// Whoever has the pid now.
    pub fn open(pid: u32) -> io::Result<Self> {
        let path = format!("/proc/{pid}");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = openat(AT_FDCWD, path.as_str(), flags, Mode::empty())?;
        Ok(Self { pid, folder })
    }

    /// The one that is meant, and no other that has its pid by now.
    pub fn find(process: ProcessId) -> io::Result<Self> {
        let found = Self::open(process.pid)?;
        if found.stat()?.process == process {
            Ok(found)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Which process it is, and what it is at.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::parse(self.pid, &self.read("stat", SMALL)?).ok_or_else(strange)
    }

    /// What it runs, with its parent and the variables of these names. Of one that has ended only the name is left in the
    /// place of the path, and the arguments count as cut.
    pub fn program(&self, environment: &[CompactString]) -> io::Result<ExecEvent> {
        let mut before = self.stat()?;
        for _ in 1..TRIES {
            let program = self.look(&before, environment)?;
            let after = self.stat()?;
            if after.image == before.image || after.has_ended() {
                return Ok(program);
            }
            before = after;
        }
        self.look(&before, environment)
    }

    /// Its arguments, a zero behind each; at most so many bytes.
    pub fn arguments(&self, most: usize) -> io::Result<Vec<u8>> {
        self.read("cmdline", most)
    }

    /// The variables of its environment, a zero behind each; at most so many bytes.
    pub fn environment(&self, most: usize) -> io::Result<Vec<u8>> {
        self.read("environ", most)
    }

    /// The text of its `cgroup`.
    pub fn cgroup(&self) -> io::Result<Vec<u8>> {
        self.read("cgroup", SMALL)
    }

    /// The namespaces that it is in; `None` for whoever may not look, and when it has ended.
    pub fn namespaces(&self) -> Option<Namespaces> {
        let number = |name: &str| -> Option<u32> {
            let link = self.link(name).ok()?;
            let (_, number) = std::str::from_utf8(&link).ok()?.split_once(":[")?;
            number.strip_suffix(']')?.parse().ok()
        };
        Some(Namespaces {
            mount: number("ns/mnt")?,
            pid: number("ns/pid")?,
        })
    }

    /// A table of its network namespace, such as `net/tcp`.
    pub fn table(&self, name: &str) -> io::Result<String> {
        let bytes = self.read(name, LONGEST_TABLE)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The numbers of the sockets that it holds, those of its lowest descriptors first.
    pub fn sockets(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid))?;
        let mut descriptors: Vec<u32> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        descriptors.sort_unstable();
        descriptors.truncate(MOST_DESCRIPTORS);
        let inode = |descriptor: u32| {
            let link = String::from_utf8(self.link(&format!("fd/{descriptor}")).ok()?).ok()?;
            let number = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(number.to_owned())
        };
        Ok(descriptors.into_iter().filter_map(inode).collect())
    }

    fn look(&self, stat: &Stat, environment: &[CompactString]) -> io::Result<ExecEvent> {
        let status = self.read("status", SMALL)?;
        let mut credentials = credentials(&status).ok_or_else(strange)?;
        credentials.login_uid = self.number("loginuid");
        credentials.session = credentials.login_uid.and_then(|_| self.number("sessionid"));
        let mut program = ExecEvent::new(stat.process, &stat.name, credentials);
        match self.executable() {
            Ok((path, file, version)) => {
                program.executable = CompactString::from_utf8_lossy(&path);
                program.file = Some(file);
                program.version = Some(version);
                let mut args = self.arguments(LONGEST_ARGS + 1)?;
                program.args_cut = args.len() > LONGEST_ARGS;
                args.truncate(LONGEST_ARGS);
                program.args = split(&args).map(CompactString::from_utf8_lossy).collect();
            }
            Err(_) => program.args_cut = true,
        }
        if !environment.is_empty()
            && let Ok(all) = self.environment(LONGEST_ENVIRONMENT)
        {
            program.environment = chosen(&all, environment);
        }
        program.working_directory = self
            .link("cwd")
            .ok()
            .map(|path| CompactString::from_utf8_lossy(&path));
        program.tty = stat.terminal();
        program.cgroup = self.cgroup().ok().and_then(|text| cgroup_id(&text));
        program.namespaces = self.namespaces();
        if stat.parent != 0 {
            let parent = Self::open(stat.parent).and_then(|parent| parent.stat());
            program.ancestors.push(Ancestor {
                process: parent.map_or(ProcessId::uncertain(stat.parent), |parent| parent.process),
                executable: None,
                command_line: None,
            });
        }
        Ok(program)
    }

    /// The path of its executable without what the kernel adds to it, and the file.
    fn executable(&self) -> io::Result<(Vec<u8>, ExecutedFile, FileVersion)> {
        let mut path = self.link("exe")?;
        // Through the link the kernel gives the file itself, whatever lies at the path now.
        let data = fstatat(&self.folder, "exe", AtFlags::empty())?;
        let mut unlinked = data.st_nlink == 0;
        // A file may be called so: then it is there under that name.
        let named = || {
            stat(Path::new(OsStr::from_bytes(&path)))
                .is_ok_and(|other| (other.st_dev, other.st_ino) == (data.st_dev, data.st_ino))
        };
        if path.ends_with(DELETED) && (unlinked || !named()) {
            unlinked = true;
            path.truncate(path.len() - DELETED.len());
        }
        let file = ExecutedFile {
            device: data.st_dev,
            inode: data.st_ino,
            unlinked,
            memfd: unlinked && path.starts_with(b"/memfd:"),
        };
        Ok((path, file, version(&data)))
    }

    fn number(&self, name: &str) -> Option<u32> {
        let text = self.read(name, SMALL).ok()?;
        let number = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
        (number != UNSET).then_some(number)
    }

    fn link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.folder, name)?.into_encoded_bytes())
    }

    /// At most `most` bytes of a file.
    fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let file = openat(
            &self.folder,
            name,
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let mut bytes = vec![0; most.min(SMALL)];
        let mut filled = 0;
        loop {
            match read(&file, bytes.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if filled == bytes.len() {
                bytes.resize((filled * 4).min(most), 0);
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not as the kernel writes it")
}

/// Which content a file has, as long as nobody sets the clock.
pub fn version(data: &FileStat) -> FileVersion {
    let changed = data.st_ctime.saturating_mul(1_000_000) + data.st_ctime_nsec / 1000;
    FileVersion {
        changed: Timestamp::from_micros(changed),
        size: u64::try_from(data.st_size).unwrap_or(0),
    }
}

/// The parts, each of which a NUL ends; a process that writes over its own arguments may leave out the last.
fn split(args: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_empty = args.is_empty();
    let args = args.strip_suffix(b"\0").unwrap_or(args);
    args.split(|byte| *byte == 0).filter(move |_| !is_empty)
}

/// The variables of these names, of an environment with a zero behind each; no more than there are names, and each cut.
pub fn chosen(environment: &[u8], names: &[CompactString]) -> Vec<CompactString> {
    let is_chosen = |variable: &&[u8]| {
        let name = variable.split(|byte| *byte == b'=').next();
        name.is_some_and(|name| names.iter().any(|wanted| wanted.as_bytes() == name))
    };
    let cut = |variable: &[u8]| {
        CompactString::from_utf8_lossy(variable.get(..LONGEST_VARIABLE).unwrap_or(variable))
    };
    // One name may be there more than once, as often as somebody likes.
    split(environment)
        .filter(is_chosen)
        .take(names.len())
        .map(cut)
        .collect()
}

fn credentials(status: &[u8]) -> Option<Credentials> {
    let text = String::from_utf8_lossy(status);
    let pair = |key: &str| -> Option<(u32, u32)> {
        let mut numbers = text
            .lines()
            .find_map(|line| line.strip_prefix(key))?
            .split_ascii_whitespace();
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    let ((uid, effective_uid), (gid, effective_gid)) = (pair("Uid:")?, pair("Gid:")?);
    Some(Credentials {
        uid,
        effective_uid,
        gid,
        effective_gid,
        login_uid: None,
        session: None,
    })
}

/// Whether a folder is a control group of the unified hierarchy: only there its inode is the group's number.
pub fn is_unified(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|system| system.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// The number of a control group of the unified hierarchy: the inode of its folder.
fn cgroup_id(text: &[u8]) -> Option<u64> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let mut folders = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .iter()
            .map(PathBuf::from);
        folders.find(|path| is_unified(path))
    });
    let path = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::/"))?;
    if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        // It lies outside of what this process may name.
        return None;
    }
    let path = root.as_ref()?.join(OsStr::from_bytes(path));
    stat(&path).ok().map(|data| data.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    /// A `cat` that waits, once it runs.
    fn cat(command: &mut Command) -> Child {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut byte = [0];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut byte).unwrap();
        child
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_is_read_as_it_is() {
        let (folder, name) = (tempfile::tempdir().unwrap(), "a b\n\u{1b}[31m");
        let program = folder.path().join("cat (deleted)");
        fs::copy("/bin/cat", &program).unwrap();
        let mut command = Command::new(&program);
        command
            .arg0(name)
            .args(["-", "-u"])
            .arg(OsStr::from_bytes(b"\xff"))
            .env_clear();
        command
            .env("LD_PRELOAD", "/nowhere")
            .env("OTHER", "1")
            .current_dir(folder.path());
        let mut child = cat(command.args(["", "-"]).stderr(Stdio::null()));
        let process = Process::open(child.id()).unwrap();
        let exec = process.program(&["LD_PRELOAD".into()]).unwrap();
        assert_eq!(exec.executable, program.to_str().unwrap());
        assert_eq!(exec.args, [name, "-", "-u", "\u{fffd}", "", "-"]);
        assert!(!exec.args_cut && exec.process.is_certain());
        assert_eq!(exec.environment, ["LD_PRELOAD=/nowhere"]);
        assert_eq!(
            exec.working_directory.as_deref(),
            Some(folder.path().to_str().unwrap())
        );
        let own = Process::open(std::process::id()).unwrap();
        assert_eq!(exec.ancestors[0].process, own.stat().unwrap().process);
        assert_eq!(exec.credentials.effective_uid, nix::unistd::geteuid().as_raw());
        assert_eq!(exec.namespaces, own.program(&[]).unwrap().namespaces);
        let data = fs::metadata(&program).unwrap();
        let mut file = ExecutedFile {
            device: data.dev(),
            inode: data.ino(),
            unlinked: false,
            memfd: false,
        };
        assert_eq!(exec.file, Some(file));

        // Another name keeps the file, but it was started by the one that is gone.
        fs::hard_link(&program, folder.path().join("other")).unwrap();
        fs::remove_file(&program).unwrap();
        file.unlinked = true;
        let exec = process.program(&[]).unwrap();
        assert_eq!(exec.file, Some(file));
        assert_eq!(exec.executable, program.to_str().unwrap());

        // Of one that has ended its name is left, and of one that nobody remembers nothing.
        child.kill().unwrap();
        nix::sys::wait::waitid(
            nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(child.id().try_into().unwrap())),
            nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT,
        )
        .unwrap();
        let left = process.program(&[]).unwrap();
        assert_eq!(
            (left.executable.as_str(), left.args_cut, left.file),
            ("cat (deleted)", true, None)
        );
        child.wait().unwrap();
        assert!(process.program(&[]).is_err() && process.stat().is_err());
    }

    #[test]
    fn what_is_too_long_is_cut_and_no_arguments_are_none() {
        let child = cat(Command::new("/bin/cat")
            .args(["-", &"é".repeat(50_000)])
            .stderr(Stdio::null()));
        let exec = Process::open(child.id()).unwrap().program(&[]).unwrap();
        assert!(exec.args_cut);
        assert!(exec.args[2].len() <= LONGEST_ARGS && exec.args[2].len() > LONGEST_ARGS - 100);
        end(child);
        assert_eq!(split(b"").count(), 0);
        assert_eq!(split(b"\0").collect::<Vec<_>>(), [b""]);
        assert_eq!(split(b"a\0\0b").collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
    }

    #[test]
    fn a_process_is_found_only_while_it_is_that_one() {
        let own = Stat::read(std::process::id()).unwrap().process;
        let arguments = Process::find(own).unwrap().arguments(LONGEST_ARGS).unwrap();
        assert!(arguments.starts_with(std::env::args().next().unwrap().as_bytes()));
        let other = ProcessId {
            start: own.start + 1,
            ..own
        };
        assert_eq!(Process::find(other).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
