//! The directory of a zip archive that lies in memory.
//!
//! The directory at the archive's end says what is unpacked; what it says is checked against the bytes that are there and
//! nothing else: sizes are hints that an archive may lie about.

/// The longest comment behind the directory, and the record before it.
const TAIL: usize = 65_535 + END;
const END: usize = 22;
const ENTRY: usize = 46;
const LOCAL: usize = 30;

/// One file in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its name as it is written, which may be anything.
    pub name: &'a [u8],
    /// How it is packed.
    pub method: Method,
    /// Whether a password is needed.
    pub is_encrypted: bool,
    /// The packed bytes; of a stored one the bytes themselves. They may go on after its end where the archive says so.
    pub packed: &'a [u8],
}

/// How a member is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Not at all.
    Stored,
    /// By deflate.
    Deflated,
    /// By something else, as its number.
    Other(u16),
}

/// Whether the bytes begin as a zip archive does.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The members, in the order of the directory; `None` where there is no directory, as in an archive that is cut off. An entry
/// that points to nowhere ends them.
pub fn members(archive: &[u8]) -> Option<impl Iterator<Item = Member<'_>>> {
    let from = archive.len().saturating_sub(TAIL);
    let at = memchr::memmem::rfind(archive.get(from..)?, b"PK\x05\x06")? + from;
    let end = archive.get(at..at.checked_add(END)?)?;
    let (size, offset) = (place(end, 12)?, place(end, 16)?);
    // What lies in front of an archive, such as a program that unpacks it, is not counted in its offsets.
    let start = at.checked_sub(size)?;
    let before = start.checked_sub(offset)?;
    let mut directory = archive.get(start..at)?;
    Some(std::iter::from_fn(move || {
        let entry = directory.get(..ENTRY)?;
        if !entry.starts_with(b"PK\x01\x02") {
            return None;
        }
        let (name, extra, comment) = (short(entry, 28)?, short(entry, 30)?, short(entry, 32)?);
        let name_end = ENTRY + usize::from(name);
        let next = name_end + usize::from(extra) + usize::from(comment);
        let member = member(archive, before, entry, directory.get(ENTRY..name_end)?)?;
        directory = directory.get(next..).unwrap_or_default();
        Some(member)
    }))
}

fn member<'a>(archive: &'a [u8], before: usize, entry: &[u8], name: &'a [u8]) -> Option<Member<'a>> {
    let local = archive.get(before.checked_add(place(entry, 42)?)?..)?;
    let header = local.get(..LOCAL)?;
    if !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let data = LOCAL + usize::from(short(header, 26)?) + usize::from(short(header, 28)?);
    let rest = local.get(data..)?;
    let method = match short(entry, 10)? {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => Method::Other(other),
    };
    // Deflate knows its own end.
    let packed = match method {
        Method::Deflated => rest,
        _ => rest.get(..place(entry, 20)?).unwrap_or(rest),
    };
    Some(Member {
        name,
        method,
        is_encrypted: short(entry, 8)? & 1 != 0,
        packed,
    })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn place(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stored member, named `a`, that holds `abc`.
    fn archive() -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend([0; 14]);
        bytes.extend([3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
        bytes.extend(b"aabc");
        let directory = bytes.len();
        bytes.extend(b"PK\x01\x02");
        bytes.extend([0; 16]);
        bytes.extend([3, 0, 0, 0, 3, 0, 0, 0, 1, 0]);
        bytes.extend([0; 16]);
        bytes.extend(b"a");
        let size = u32::try_from(bytes.len() - directory).unwrap();
        bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        bytes.extend(size.to_le_bytes());
        bytes.extend(u32::try_from(directory).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn members_are_found_also_behind_a_program_that_unpacks_them() {
        for before in ["", "#!/bin/sh\n"] {
            let bytes = [before.as_bytes(), &archive()].concat();
            let all: Vec<_> = members(&bytes).unwrap().collect();
            assert_eq!(all.len(), 1);
            assert_eq!((all[0].name, all[0].packed), (&b"a"[..], &b"abc"[..]));
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_or_has_any_byte_changed_is_read_without_harm() {
        let whole = archive();
        for end in 0..whole.len() {
            assert!(members(&whole[..end]).is_none_or(|all| all.count() <= 1));
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                assert!(members(&changed).is_none_or(|all| all.count() <= 1));
            }
        }
    }
}
