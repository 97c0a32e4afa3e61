//! The members of a tar archive that lies in memory.

const BLOCK: usize = 512;

/// Whether the bytes begin as a tar archive does, of POSIX or of GNU.
pub fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262).is_some_and(|magic| magic == b"ustar")
}

/// The regular files, each with its name, which may be anything, and its bytes; of one that is cut off what is there. A header
/// that makes no sense ends them.
pub fn members(archive: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let mut rest = archive;
    let mut long_name = None;
    std::iter::from_fn(move || {
        loop {
            let header = rest.get(..BLOCK)?;
            if !is_tar(header) {
                return None;
            }
            let size = number(header.get(124..136)?)?;
            let from = rest.get(BLOCK..)?;
            let data = from.get(..size).unwrap_or(from);
            let padded = size.checked_next_multiple_of(BLOCK)?;
            rest = from.get(padded..).unwrap_or_default();
            match header.get(156)? {
                b'L' => long_name = Some(text(data).to_owned()),
                b'x' => long_name = extended_name(data).or_else(|| long_name.take()),
                b'0' | 0 | b'7' => {
                    let name = long_name.take().unwrap_or_else(|| short_name(header));
                    return Some((name, data));
                }
                // Folders, links and devices have no content.
                b'g' => {}
                _ => long_name = None,
            }
        }
    })
}

fn short_name(header: &[u8]) -> Vec<u8> {
    let name = text(header.get(..100).unwrap_or_default());
    match text(header.get(345..500).unwrap_or_default()) {
        [] => name.to_owned(),
        folder => [folder, b"/", name].concat(),
    }
}

/// `path` in an extended header: lines of `LENGTH KEY=VALUE\n`.
fn extended_name(mut data: &[u8]) -> Option<Vec<u8>> {
    loop {
        let space = data.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(data.get(..space)?).ok()?.parse().ok()?;
        let line = data.get(space + 1..length)?;
        if let Some(value) = line.strip_prefix(b"path=") {
            return Some(value.strip_suffix(b"\n").unwrap_or(value).to_owned());
        }
        data = data.get(length..)?;
    }
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits, or with the highest bit set a binary number.
fn number(field: &[u8]) -> Option<usize> {
    if field.first()? & 0x80 != 0 {
        let (head, tail) = field.split_at_checked(field.len().checked_sub(8)?)?;
        let spare = head.iter().skip(1).any(|byte| *byte != 0);
        let value = u64::from_be_bytes(tail.try_into().ok()?);
        return usize::try_from(value).ok().filter(|_| !spare);
    }
    let digits = std::str::from_utf8(text(field)).ok()?.trim();
    usize::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Tool;
    use std::time::Duration;

    /// What the system's own `tar` makes of two files, one with a name too long for a plain header.
    fn archive(format: &str) -> (Vec<u8>, String) {
        let folder = tempfile::tempdir().unwrap();
        // More than the oldest form can hold, where that is not the one.
        let name = if format == "ustar" { 90 } else { 120 };
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(name));
        std::fs::create_dir(folder.path().join("d".repeat(120))).unwrap();
        std::fs::write(folder.path().join("short"), "one").unwrap();
        std::fs::write(folder.path().join(&long), vec![b'x'; 1000]).unwrap();
        let file = folder.path().join("a.tar");
        let format = format!("--format={format}");
        let at = folder.path().to_str().unwrap();
        let arguments = ["-C", at, &format, "-cf", file.to_str().unwrap(), "short", &long];
        let tar = Tool::find("tar").unwrap();
        tar.run(&arguments, "", Duration::from_secs(60)).unwrap();
        (std::fs::read(file).unwrap(), long)
    }

    #[test]
    fn what_tar_writes_is_read_back_in_each_of_its_forms() {
        for format in ["gnu", "pax", "ustar"] {
            let (bytes, long) = archive(format);
            assert!(is_tar(&bytes));
            let all: Vec<_> = members(&bytes).collect();
            assert_eq!(all.len(), 2, "{format}");
            assert_eq!(all[0], (b"short".to_vec(), &b"one"[..]));
            assert_eq!(String::from_utf8_lossy(&all[1].0), long, "{format}");
            assert_eq!(all[1].1.len(), 1000);
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_or_changed_is_read_without_harm() {
        let (bytes, _) = archive("pax");
        for end in (0..bytes.len()).step_by(97) {
            assert!(members(&bytes[..end]).count() <= 2);
        }
        for at in (0..bytes.len()).step_by(3) {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            assert!(members(&changed).count() <= 2);
        }
    }
}
