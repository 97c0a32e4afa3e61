//! Archives: their members, unpacked in memory to a bounded depth, number and size.

use super::protocol::Limits;
use crate::parse::{tar, zip};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use std::io::{self, Read};
use std::time::Instant;

/// A member that unpacks to less is no bomb, whatever its packed size.
const HARMLESS: usize = 1 << 20;
/// A longer name is cut.
const LONGEST_NAME: usize = 512;
/// So much is unpacked between two looks at the clock.
const STEP: usize = 1 << 20;

/// What is left of the limits of one file.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    limits: &'a Limits,
    until: Instant,
    members: usize,
    bytes: usize,
    /// Why something was left out, each reason once.
    missing: Vec<&'static str>,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(limits: &'a Limits, until: Instant) -> Self {
        Self {
            limits,
            until,
            members: limits.members,
            bytes: limits.unpacked,
            missing: Vec::new(),
        }
    }

    /// Shows each member of an archive, and of those in it, with the path inside. Does nothing with what is no archive.
    pub(super) fn unpack(&mut self, bytes: &[u8], path: &str, show: &mut dyn FnMut(&str, &[u8])) {
        self.open(bytes, path, "", 0, show);
    }

    /// Why not all was shown.
    pub(super) fn missing(self) -> impl Iterator<Item = String> {
        self.missing.into_iter().map(ToOwned::to_owned)
    }

    fn open(
        &mut self,
        bytes: &[u8],
        path: &str,
        inside: &str,
        depth: usize,
        show: &mut dyn FnMut(&str, &[u8]),
    ) {
        let is_gzip = bytes.starts_with(b"\x1f\x8b");
        if !(is_gzip || zip::is_zip(bytes) || tar::is_tar(bytes)) {
            return;
        }
        if depth == self.limits.depth {
            return self.lacks("archives lie in one another deeper than is looked");
        }
        if is_gzip {
            let name = path.rsplit('/').next().unwrap_or_default();
            let name = name
                .strip_suffix(".gz")
                .or(name.strip_suffix(".tgz"))
                .unwrap_or(name);
            let packed = Until(bytes, self.until);
            let unpacked = self.inflate(MultiGzDecoder::new(packed), bytes.len());
            self.show(&join(inside, name), &unpacked, depth, show);
        } else if tar::is_tar(bytes) {
            for (name, member) in tar::members(bytes) {
                if !self.goes_on() {
                    return;
                }
                let name = join(inside, &String::from_utf8_lossy(&name));
                self.take(&name, member, depth, show);
            }
        } else {
            self.open_zip(bytes, inside, depth, show);
        }
    }

    fn open_zip(&mut self, bytes: &[u8], inside: &str, depth: usize, show: &mut dyn FnMut(&str, &[u8])) {
        let Some(members) = zip::members(bytes) else {
            return self.lacks("an archive is without its directory");
        };
        for member in members {
            if !self.goes_on() {
                return;
            }
            let name = join(inside, &String::from_utf8_lossy(member.name));
            match member.method {
                _ if member.is_encrypted => self.lacks("an archive needs a password"),
                zip::Method::Stored => self.take(&name, member.packed, depth, show),
                zip::Method::Deflated => {
                    let mut decoder = DeflateDecoder::new(member.packed);
                    let unpacked = self.inflate(&mut decoder, member.packed.len());
                    self.show(&name, &unpacked, depth, show);
                }
                zip::Method::Other(_) => self.lacks("an archive is packed in a way that is not known here"),
            }
        }
    }

    /// Shows a member that lies there as it is. Many may lie in the same place, so it counts as one that was unpacked.
    fn take(&mut self, inside: &str, bytes: &[u8], depth: usize, show: &mut dyn FnMut(&str, &[u8])) {
        let taken = bytes.get(..self.bytes).unwrap_or(bytes);
        self.bytes -= taken.len();
        if taken.len() < bytes.len() {
            self.lacks("members unpack to more than is looked at");
        }
        self.show(inside, taken, depth, show);
    }

    fn show(&mut self, inside: &str, bytes: &[u8], depth: usize, show: &mut dyn FnMut(&str, &[u8])) {
        self.members = self.members.saturating_sub(1);
        if bytes.is_empty() {
            return;
        }
        show(inside, bytes.get(..self.limits.matched).unwrap_or(bytes));
        if bytes.len() > self.limits.matched {
            self.lacks("a member is larger than is matched");
        }
        self.open(bytes, inside, inside, depth + 1, show);
    }

    fn goes_on(&mut self) -> bool {
        if Instant::now() >= self.until {
            self.lacks("the time was over before all members were looked at");
        } else if self.members == 0 {
            self.lacks("there are more members than are looked at");
        } else if self.bytes == 0 {
            self.lacks("members unpack to more than is looked at");
        } else {
            return true;
        }
        false
    }

    /// Unpacks up to the limits. What comes before an error is taken.
    fn inflate(&mut self, mut packed: impl Read, size: usize) -> Vec<u8> {
        let bomb = size.saturating_mul(self.limits.ratio).max(HARMLESS);
        let most = self.bytes.min(self.limits.matched.saturating_add(1)).min(bomb);
        let mut unpacked = Vec::new();
        let mut failed = false;
        while unpacked.len() < most && !failed {
            if Instant::now() >= self.until {
                self.lacks("the time was over before all was unpacked");
                break;
            }
            let step = STEP.min(most - unpacked.len());
            match packed.by_ref().take(step as u64).read_to_end(&mut unpacked) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => failed = true,
            }
        }
        self.bytes = self.bytes.saturating_sub(unpacked.len());
        if failed && Instant::now() >= self.until {
            self.lacks("the time was over before all was unpacked");
        } else if failed {
            self.lacks("an archive is damaged");
        } else if unpacked.len() == bomb {
            self.lacks("a member unpacks to so many times its size that it may be a bomb");
        } else if self.bytes == 0 {
            self.lacks("members unpack to more than is looked at");
        }
        unpacked
    }

    fn lacks(&mut self, reason: &'static str) {
        if !self.missing.contains(&reason) {
            self.missing.push(reason);
        }
    }
}

/// Bytes that end with an error once the time is over: many streams of nothing one after the other unpack to nothing for long.
struct Until<'a>(&'a [u8], Instant);

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.1 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.read(buffer)
    }
}

fn join(inside: &str, name: &str) -> String {
    let joined = if inside.is_empty() {
        name.to_owned()
    } else {
        format!("{inside}/{name}")
    };
    // The end tells more: it holds the name.
    let cut = joined.chars().count().saturating_sub(LONGEST_NAME);
    joined.chars().skip(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use std::io::Write as _;
    use std::time::Duration;

    fn unpack(bytes: &[u8], limits: &Limits) -> (Vec<(String, usize)>, Vec<String>) {
        let mut shown = Vec::new();
        let until = Instant::now() + Duration::from_secs(60);
        let mut unpacker = Unpacker::new(limits, until);
        unpacker.unpack(bytes, "/tmp/name.gz", &mut |path, bytes| {
            shown.push((path.to_owned(), bytes.len()))
        });
        (shown, unpacker.missing().collect())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A zip archive of deflated members; `flags` of each as they are.
    fn zip(members: &[(&str, &[u8])], flags: u16, method: u16) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in members {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            let packed = encoder.finish().unwrap();
            let at = u32::try_from(archive.len()).unwrap();
            let mut header = vec![20, 0];
            header.extend(flags.to_le_bytes());
            header.extend(method.to_le_bytes());
            header.extend([0; 8]);
            header.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
            header.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            header.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            header.extend([0; 2]);
            archive.extend(b"PK\x03\x04");
            archive.extend(&header);
            archive.extend(name.as_bytes());
            archive.extend(packed);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(header);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let at = u32::try_from(archive.len()).unwrap();
        archive.extend(&directory);
        archive.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
        archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        archive.extend(at.to_le_bytes());
        archive.extend([0, 0]);
        archive
    }

    #[test]
    fn archives_in_archives_are_opened_as_deep_as_is_allowed() {
        let innermost = zip(&[("in/shell.php", b"bytes"), ("empty", b"")], 0, 8);
        let limits = Limits::default();
        let (shown, missing) = unpack(&gzip(&zip(&[("inner.zip", &innermost)], 0, 8)), &limits);
        let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["name", "name/inner.zip", "name/inner.zip/in/shell.php"]);
        assert_eq!(shown[2].1, 5);
        assert_eq!(missing, [""; 0]);
        let limits = Limits { depth: 2, ..limits };
        let (shown, missing) = unpack(&gzip(&zip(&[("inner.zip", &innermost)], 0, 8)), &limits);
        assert_eq!(shown.len(), 2);
        assert!(missing[0].contains("deeper"), "{missing:?}");
    }

    #[test]
    fn bombs_end_with_a_limit_that_is_said() {
        let zeros = vec![0; 16 << 20];
        let limits = Limits::default();
        let (shown, missing) = unpack(&gzip(&zeros), &limits);
        assert!(
            shown[0].1 < 16 << 20 && missing[0].contains("bomb"),
            "{missing:?}"
        );
        // Each of them harmless, all of them too much.
        let limits = Limits {
            unpacked: 3 << 20,
            ratio: 10_000,
            ..limits
        };
        let member = &zeros[..1 << 20];
        let bomb = zip(
            &[("1", member), ("2", member), ("3", member), ("4", member)],
            0,
            8,
        );
        let (shown, missing) = unpack(&bomb, &limits);
        assert_eq!(shown.iter().map(|(_, size)| size).sum::<usize>(), 3 << 20);
        assert_eq!(missing, ["members unpack to more than is looked at"]);
        let limits = Limits {
            members: 2,
            ..Limits::default()
        };
        let (shown, missing) = unpack(&zip(&[("1", b"a"), ("2", b"b"), ("3", b"c")], 0, 8), &limits);
        assert_eq!(shown.len(), 2);
        assert!(missing[0].contains("more members"), "{missing:?}");
    }

    #[test]
    fn what_lies_there_once_and_is_named_often_counts_as_often() {
        let mut archive = zip(&[("a", &[b'x'; 4000])], 0, 0);
        // The directory names it a hundred times.
        let at = memchr::memmem::find(&archive, b"PK\x01\x02").unwrap();
        let end = memchr::memmem::find(&archive, b"PK\x05\x06").unwrap();
        let entry = archive[at..end].to_vec();
        let mut tail = archive.split_off(end);
        archive.extend(entry.repeat(99));
        let size = u32::try_from(archive.len() - at).unwrap();
        tail[12..16].copy_from_slice(&size.to_le_bytes());
        archive.extend(tail);
        let limits = Limits {
            unpacked: 100,
            ..Limits::default()
        };
        let (shown, missing) = unpack(&archive, &limits);
        assert_eq!(shown.iter().map(|(_, size)| size).sum::<usize>(), 100);
        assert_eq!(missing, ["members unpack to more than is looked at"]);
    }

    #[test]
    fn streams_of_nothing_take_no_longer_than_there_is_time() {
        let nothing = gzip(b"").repeat(100_000);
        let limits = Limits::default();
        let mut unpacker = Unpacker::new(&limits, Instant::now() + Duration::from_millis(1));
        unpacker.unpack(&nothing, "/tmp/name.gz", &mut |_, _| {
            panic!("there is nothing in it")
        });
        assert_eq!(
            unpacker.missing().collect::<Vec<_>>(),
            ["the time was over before all was unpacked"]
        );
    }

    #[test]
    fn what_cannot_be_unpacked_is_said() {
        let limits = Limits::default();
        assert!(unpack(&zip(&[("a", b"a")], 1, 8), &limits).1[0].contains("password"));
        assert!(unpack(&zip(&[("a", b"a")], 0, 99), &limits).1[0].contains("not known here"));
        let whole = zip(&[("a", b"a")], 0, 8);
        assert!(unpack(&whole[..40], &limits).1[0].contains("directory"));
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(100_000)
            .collect();
        let packed = gzip(&noise);
        let (shown, missing) = unpack(&packed[..packed.len() / 2], &limits);
        assert!(
            shown[0].1 > 10_000 && missing[0].contains("damaged"),
            "{missing:?}"
        );
        assert_eq!(unpack(b"no archive", &limits), (Vec::new(), Vec::new()));
    }
}
