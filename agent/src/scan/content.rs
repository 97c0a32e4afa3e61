//! One pass over an open file: its digests, its size, how even its bytes are, and as much of it as is matched.

use super::protocol::Limits;
use compact_str::CompactString;
use md5::Md5;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::{Errno, pread};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::time::Instant;

/// Digests are taken of so much at once: what was just read lies in the processor's cache.
const BLOCK: usize = 128 << 10;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The beginning, up to the limit.
    pub(super) bytes: Vec<u8>,
    /// Empty where not all was hashed.
    pub(super) sha256: CompactString,
    pub(super) sha1: CompactString,
    pub(super) md5: CompactString,
    /// In hundredths of a bit a byte, of what was read.
    pub(super) entropy: u16,
    /// Why this is not the whole file.
    pub(super) missing: Vec<String>,
}

/// Reads a file from its beginning, in blocks, and never maps it: a map of a file that is cut off meanwhile is a fault.
pub(super) fn read(file: impl AsFd, limits: &Limits, until: Instant) -> Content {
    let mut content = Content::default();
    let before = match fstat(&file) {
        Ok(stat) => stat,
        Err(error) => {
            content.missing.push(format!("it cannot be looked at: {error}"));
            return content;
        }
    };
    let kind = FileType::from_raw_mode(before.st_mode);
    if kind != FileType::RegularFile {
        content
            .missing
            .push(format!("it is no regular file but {}", what(kind)));
        return content;
    }
    let size = u64::try_from(before.st_size).unwrap_or(0);
    let whole = size <= limits.hashed;
    let mut digests = Digests::default();
    let expected = usize::try_from(size).unwrap_or(usize::MAX);
    content
        .bytes
        .reserve_exact(expected.min(limits.matched).saturating_add(1));
    let mut block = vec![0; expected.saturating_add(1).clamp(4096, BLOCK)];
    let mut at = 0_u64;
    let ended = loop {
        if !whole && content.bytes.len() >= limits.matched {
            let (part, all, most) = (Size(at), Size(size), Size(limits.hashed));
            content.missing.push(format!(
                "only the first {part} of {all} were looked at, and there are no digests: it is larger than {most}"
            ));
            break false;
        }
        if at > limits.hashed {
            content
                .missing
                .push(format!("it grew over {} while it was read", Size(limits.hashed)));
            break false;
        }
        if Instant::now() >= until {
            content
                .missing
                .push(format!("reading it took too long; {} were read", Size(at)));
            break false;
        }
        match pread(&file, block.as_mut_slice(), at) {
            Ok(0) => break true,
            Ok(read) => {
                let got = block.get(..read).unwrap_or_default();
                digests.take(got, whole);
                let room = limits.matched.saturating_sub(content.bytes.len());
                content.bytes.extend_from_slice(got.get(..room).unwrap_or(got));
                at = at.saturating_add(read as u64);
            }
            Err(Errno::INTR) => {}
            Err(error) => {
                content
                    .missing
                    .push(format!("it cannot be read after {}: {error}", Size(at)));
                break false;
            }
        }
    };
    if ended && at > limits.matched as u64 {
        let (part, all) = (Size(limits.matched as u64), Size(at));
        content
            .missing
            .push(format!("rules were matched against the first {part} of {all}"));
    }
    // Two writes within one tick of the kernel's clock look like none, but what was read tells.
    let is_cut = ended && size > 0 && at != size;
    if is_cut || fstat(&file).map(state) != Ok(state(before)) {
        content.missing.push("it changed while it was read".to_owned());
    }
    content.entropy = digests.entropy();
    if whole && ended {
        content.sha256 = hexadecimal(&digests.sha256.finalize());
        content.sha1 = hexadecimal(&digests.sha1.finalize());
        content.md5 = hexadecimal(&digests.md5.finalize());
    }
    content
}

/// What changes when somebody writes to a file or cuts it off.
fn state(stat: Stat) -> (i64, i64, u64) {
    (stat.st_size, stat.st_mtime, stat.st_mtime_nsec)
}

fn what(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO",
        FileType::Directory => "a folder",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Socket => "a socket",
        FileType::Symlink => "a link",
        _ => "something else",
    }
}

struct Digests {
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
    /// How often each byte was there; four tables, so that equal bytes in a row need not wait for one another.
    counts: [[u64; 256]; 4],
}

impl Default for Digests {
    fn default() -> Self {
        Self {
            sha256: Sha256::new(),
            sha1: Sha1::new(),
            md5: Md5::new(),
            counts: [[0; 256]; 4],
        }
    }
}

impl Digests {
    fn take(&mut self, bytes: &[u8], hash: bool) {
        if hash {
            self.sha256.update(bytes);
            self.sha1.update(bytes);
            self.md5.update(bytes);
        }
        let [first, second, third, fourth] = &mut self.counts;
        let (fours, rest) = bytes.as_chunks();
        for [a, b, c, d] in fours {
            count(first, *a);
            count(second, *b);
            count(third, *c);
            count(fourth, *d);
        }
        rest.iter().for_each(|byte| count(first, *byte));
    }

    /// Shannon's, in hundredths of a bit.
    fn entropy(&self) -> u16 {
        let mut counts = [0_u64; 256];
        for table in &self.counts {
            for (sum, count) in counts.iter_mut().zip(table) {
                *sum += count;
            }
        }
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return 0;
        }
        // Files are shorter than what a floating-point number counts exactly.
        let share = |count: u64| count as f64 / total as f64;
        let bits: f64 = counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| -share(*count) * share(*count).log2())
            .sum();
        let hundredths = (bits * 100.0).round();
        (0..=800)
            .rev()
            .find(|value| f64::from(*value) <= hundredths)
            .unwrap_or(0)
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a place for each byte")]
fn count(table: &mut [u64; 256], byte: u8) {
    table[usize::from(byte)] += 1;
}

fn hexadecimal(digest: &[u8]) -> CompactString {
    let mut text = CompactString::with_capacity(digest.len() * 2);
    for byte in digest {
        // Text has room for whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A number of bytes as people say it.
pub(super) struct Size(pub(super) u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mut rest, mut unit) = (self.0, "bytes");
        for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if rest < 1024 {
                break;
            }
            (rest, unit) = (rest / 1024, larger);
        }
        write!(f, "{rest} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use std::time::Duration;

    fn look(file: &File, limits: &Limits) -> Content {
        read(file, limits, Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn digests_and_entropy_are_those_of_the_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abc").unwrap();
        let content = look(&file, &Limits::default());
        assert_eq!(content.bytes, b"abc");
        assert_eq!(content.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(content.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(content.sha256.starts_with("ba7816bf8f01cfea"));
        assert_eq!(content.entropy, 158);
        assert!(content.missing.is_empty(), "{:?}", content.missing);
        let all: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        file.write_all(&all).unwrap();
        assert!(look(&file, &Limits::default()).entropy >= 799);
    }

    #[test]
    fn a_file_that_is_larger_than_the_limits_says_so() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        let limits = Limits {
            matched: 1 << 20,
            ..Limits::default()
        };
        let content = look(&file, &limits);
        assert!(content.sha256.is_empty() && content.bytes.len() >= 1 << 20);
        assert!(
            content.missing[0].contains("of 1 TiB were looked at"),
            "{:?}",
            content.missing
        );
        file.set_len(2 << 20).unwrap();
        let content = look(&file, &limits);
        assert!(!content.sha256.is_empty());
        assert!(
            content.missing[0].contains("the first 1 MiB of 2 MiB"),
            "{:?}",
            content.missing
        );
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let content = read(&reader, &Limits::default(), until);
        assert!(content.missing[0].contains("a FIFO"), "{:?}", content.missing);
        let device = File::open("/dev/zero").unwrap();
        assert!(look(&device, &Limits::default()).missing[0].contains("a device"));
    }

    #[test]
    fn a_file_that_is_cut_off_while_it_is_read_is_said_to_have_changed() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        let limits = Limits {
            matched: 1 << 20,
            ..Limits::default()
        };
        let writer = file.try_clone().unwrap();
        let reader = std::thread::spawn(move || look(&file, &limits));
        while !reader.is_finished() {
            writer.set_len(4 << 20).unwrap();
            writer.set_len(8 << 20).unwrap();
        }
        let content = reader.join().unwrap();
        assert!(
            content.missing.iter().any(|why| why.contains("changed")),
            "{:?}",
            content.missing
        );
    }
}
