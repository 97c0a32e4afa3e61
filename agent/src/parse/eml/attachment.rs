//! What is attached to a mail: its name, what it says it is, what it is, and its digests.

use super::clip;
use super::structure::Part;
use crate::parse::magic::{LOOKED_AT, Magic};
use md5::Md5;
use serde::Serialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How much of an attachment's ends is looked at; a disk image tells what it is after 32 KiB, a zip file at its end.
const END: usize = LOOKED_AT;

/// An attachment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Attachment {
    /// The name that it gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type that it is declared to be, as `application/pdf`.
    pub declared: String,
    /// What its first bytes say.
    pub magic: Magic,
    /// It cannot be looked into without a password.
    pub encrypted: bool,
    /// It holds macros, programs of a document.
    pub macros: bool,
    /// Names of the files in it, when it is a zip file, the first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Its size in bytes, decoded.
    pub size: usize,
    /// Its digests; none when its end was not looked at.
    #[serde(flatten)]
    pub digests: Option<Digests>,
}

/// Digests in lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Digests {
    /// SHA-256.
    pub sha256: String,
    /// SHA-1, as lists of indicators still use it.
    pub sha1: String,
    /// MD5, for the same reason.
    pub md5: String,
}

/// Reads an attachment, piece by piece.
pub(super) fn read(part: &Part<'_>, whole: bool) -> Attachment {
    let (mut sha256, mut sha1, mut md5) = (Sha256::new(), Sha1::new(), Md5::new());
    let (mut head, mut tail, mut size) = (Vec::new(), Vec::new(), 0);
    part.encoding.decode(part.content, &mut |piece| {
        sha256.update(piece);
        sha1.update(piece);
        md5.update(piece);
        size += piece.len();
        let room = END.saturating_sub(head.len());
        head.extend_from_slice(piece.get(..room).unwrap_or(piece));
        tail.extend_from_slice(piece);
        if tail.len() > 2 * END {
            tail.drain(..tail.len() - END);
        }
        true
    });
    let magic = Magic::of(&head);
    let members = if magic == Magic::Zip {
        members(&tail)
    } else {
        Vec::new()
    };
    let digests = Digests {
        sha256: hex(&sha256.finalize()),
        sha1: hex(&sha1.finalize()),
        md5: hex(&md5.finalize()),
    };
    Attachment {
        name: part.file_name().map(|name| clip(&name, 255).to_owned()),
        declared: clip(&part.kind.essence, 255).to_owned(),
        magic: magic.of_members(&members),
        encrypted: is_encrypted(magic, &head),
        macros: has_macros(magic, &head, &tail, &members),
        members,
        size,
        digests: whole.then_some(digests),
    }
}

/// The names in a zip file's directory, which lies at its end.
fn members(tail: &[u8]) -> Vec<String> {
    let entries = memchr::memmem::find_iter(tail, b"PK\x01\x02");
    let name = |at: usize| {
        let entry = tail.get(at..)?;
        let length = u16::from_le_bytes(entry.get(28..30)?.try_into().ok()?);
        let name = entry.get(46..46 + usize::from(length.min(512)))?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    entries.filter_map(name).take(100).collect()
}

fn is_encrypted(magic: Magic, head: &[u8]) -> bool {
    match magic {
        // The flag of the first member.
        Magic::Zip => head.get(6).is_some_and(|flags| flags & 1 == 1),
        Magic::Pdf => memchr::memmem::find(head, b"/Encrypt").is_some(),
        // An encrypted document of Office is an OLE file with this stream in it, its name in UTF-16.
        Magic::Ole => memchr::memmem::find(head, &wide("EncryptedPackage")).is_some(),
        Magic::Rar => {
            head.get(..7) == Some(b"Rar!\x1a\x07\x00") && head.get(10).is_some_and(|flags| flags & 0x80 != 0)
        }
        _ => false,
    }
}

fn has_macros(magic: Magic, head: &[u8], tail: &[u8], members: &[String]) -> bool {
    let in_ole = |bytes: &[u8]| memchr::memmem::find(bytes, &wide("_VBA_PROJECT")).is_some();
    match magic {
        Magic::Ole => in_ole(head) || in_ole(tail),
        _ => members
            .iter()
            .any(|name| name.to_ascii_lowercase().ends_with("vbaproject.bin")),
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.bytes().flat_map(|byte| [byte, 0]).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
