//! Reads `/proc/PID/mountinfo`: which file systems are mounted where.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// One mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// The number that no other mount has.
    pub id: u64,
    /// The device's number, as `98:0`.
    pub device: String,
    /// Where.
    pub point: PathBuf,
    /// The type of its file system, as `ext4`.
    pub kind: String,
}

/// All mounts, in the order in which they lie over one another.
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?;
    let point = plain(fields.nth(1)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount {
        id,
        device: String::from_utf8_lossy(device).into_owned(),
        point: OsString::from_vec(point).into(),
        kind: String::from_utf8_lossy(kind).into_owned(),
    })
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, after @ ..] = rest {
        rest = after;
        match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', further @ ..] if *byte == b'\\' => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = further;
            }
            _ => plain.push(*byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_odd_names_and_what_is_none_is_passed_over() {
        let text = b"22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n\
            23 22 0:5 /a /mnt/a\\040b\\012\\134 rw - tmpfs tmpfs rw\n\
            nonsense\n24 22 0:5 / /x rw\n25 22 0:6 / /y\\9 rw - fuse.sshfs - rw\n\n";
        let mounts = mounts(text);
        let points: Vec<_> = mounts
            .iter()
            .map(|mount| {
                let point = mount.point.to_str().unwrap();
                (mount.device.as_str(), point, mount.kind.as_str())
            })
            .collect();
        assert_eq!(
            points,
            [
                ("8:1", "/", "ext4"),
                ("0:5", "/mnt/a b\n\\", "tmpfs"),
                ("0:6", "/y\\9", "fuse.sshfs")
            ]
        );
    }

    #[test]
    fn the_kernels_own_words_are_read() {
        let text = std::fs::read("/proc/self/mountinfo").unwrap();
        let mounts = mounts(&text);
        assert!(
            mounts
                .iter()
                .any(|mount| mount.point == std::path::Path::new("/proc") && mount.kind == "proc")
        );
    }
}
