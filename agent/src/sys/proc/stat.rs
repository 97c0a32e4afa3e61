//! What `stat` says of a process or a thread.

use compact_str::{CompactString, format_compact};
use picket_common::process::ProcessId;
use std::fs::{self, File};
use std::io::{self, Read as _};

/// The flag of a thread of the kernel, which runs no program: `PF_KTHREAD` of the kernel's `sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// It has 52 fields, each a number of at most 20 digits but for a name of at most 15 bytes (more, up to 64, of a thread of the
/// kernel).
const LONGEST: usize = 2048;

/// What `/proc/PID/stat` has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Which process.
    pub process: ProcessId,
    /// Its name, which it may choose: at most 15 bytes.
    pub name: CompactString,
    /// One letter, as `R` or `T`.
    pub state: u8,
    /// Who takes its exit status: its parent, or whoever took the place of one that ended.
    pub parent: u32,
    /// The process group.
    pub group: u32,
    /// The session in the sense of `setsid`, which is none of the audit's.
    pub session: u32,
    /// Where its image and its stack begin: the same for a copy, and with every program others. Zeros where the kernel may not
    /// tell, and of what has ended.
    pub image: (u64, u64),
    /// It is a thread of the kernel.
    pub is_kernel: bool,
    tty: u64,
}

impl Stat {
    /// Reads that of whichever process has the pid now.
    pub fn read(pid: u32) -> io::Result<Self> {
        Self::of(pid, &format!("/proc/{pid}/stat"))
    }

    /// Reads that of a thread.
    pub(super) fn of_thread(pid: u32, thread: u32) -> io::Result<Self> {
        Self::of(thread, &format!("/proc/{pid}/task/{thread}/stat"))
    }

    fn of(pid: u32, path: &str) -> io::Result<Self> {
        // In one call, as the kernel gives it: a file of this size grows in five.
        let mut text = [0; LONGEST];
        let length = File::open(path)?.read(&mut text)?;
        let text = text.get(..length).unwrap_or_default();
        Self::parse(pid, text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Reads the text of that file. The name may hold anything and ends with the last bracket.
    pub fn parse(pid: u32, text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (before, rest) = text.rsplit_once(") ")?;
        let (_, name) = before.split_once('(')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let numbers: Vec<u64> = fields
            .map(|field| {
                field
                    .parse()
                    .or_else(|_| field.parse().map(i64::cast_unsigned))
                    .unwrap_or(0)
            })
            .collect();
        // Numbered from 1, as in proc(5); the state is the third.
        let field = |number: usize| numbers.get(number - 4).copied();
        let start = field(22)?;
        Some(Self {
            process: ProcessId { pid, start },
            name: name.into(),
            state: *state.as_bytes().first()?,
            parent: field(4)?.try_into().ok()?,
            group: field(5)?.try_into().ok()?,
            session: field(6)?.try_into().ok()?,
            image: (field(26)?, field(28)?),
            is_kernel: field(9)? & KERNEL_THREAD != 0,
            tty: field(7)?,
        })
    }

    /// Whether it has ended, and nobody has asked for its status yet.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether it cannot run: it is stopped, or has ended.
    pub(super) fn stands_still(&self) -> bool {
        self.has_ended() || matches!(self.state, b'T' | b't')
    }

    /// Its terminal, by the name under `/dev`.
    pub(super) fn terminal(&self) -> Option<CompactString> {
        tty(self.tty)
    }
}

/// All pids there are, as far as `/proc` shows them.
pub fn pids() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
}

/// The name under `/dev`, from the numbers as `stat` has them: `Documentation/admin-guide/devices.txt` of the kernel.
fn tty(device: u64) -> Option<CompactString> {
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    Some(match (major, minor) {
        (0, 0) => return None,
        (136..=143, _) => format_compact!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..64) => format_compact!("tty{minor}"),
        (4, _) => format_compact!("ttyS{}", minor - 64),
        (5, 1) => "console".into(),
        (229, _) => format_compact!("hvc{minor}"),
        _ => format_compact!("{major}:{minor}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_forges_a_field() {
        let text = b"7 (a) R 1 (b) S 5 1 1 34816 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0 9 11 12 13 0\n";
        let stat = Stat::parse(7, text).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("a) R 1 (b", 5));
        assert_eq!(stat.process, ProcessId { pid: 7, start: 77 });
        assert_eq!(
            (stat.image, stat.has_ended(), stat.is_kernel),
            ((11, 13), false, false)
        );
        assert_eq!(stat.terminal().as_deref(), Some("pts/0"));
        assert_eq!(Stat::parse(7, b"7 (a) S 5 1"), None);
        assert_eq!(Stat::parse(7, b""), None);
    }

    #[test]
    fn all_that_run_can_be_read() {
        let read = pids().unwrap().into_iter().filter(|pid| Stat::read(*pid).is_ok());
        assert!(read.count() > 1);
        let ttys = [
            (0x0403, "tty3"),
            (0x0441, "ttyS1"),
            (0x501, "console"),
            (0x8901, "pts/257"),
        ];
        for (device, name) in ttys {
            assert_eq!(tty(device).as_deref(), Some(name));
        }
    }
}
