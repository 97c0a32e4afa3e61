//! Which file a finding is about.

use super::place::{Place, identity_of};
use crate::respond::denials::identity::open_program;
use picket_common::event::FileRef;
use picket_common::finding::Finding;
use std::os::unix::fs::MetadataExt as _;

/// The file that a finding is about: the one that it names, or the one that its process runs. A process tells its file's path
/// byte for byte.
pub(super) fn file_of(finding: &Finding) -> Option<FileRef> {
    let program = finding.process.and_then(open_program).and_then(|(file, path)| {
        let named = file.metadata().is_ok_and(|data| data.nlink() > 0);
        let identity = identity_of(&file).ok().filter(|_| named)?;
        Some(FileRef {
            path: path.as_path().into(),
            identity: Some(identity),
            sha256: None,
        })
    });
    match (finding.file.as_deref(), program) {
        (Some(file), Some(program)) if file.identity == program.identity => Some(FileRef {
            sha256: file.sha256.clone(),
            ..program
        }),
        // What nothing proves to be the one that was judged is left alone.
        (Some(file), _) => {
            let proven = file.identity.is_some() || file.sha256.is_some();
            proven.then(|| with_its_bytes(file).unwrap_or_else(|| file.clone()))
        }
        (None, program) => program,
    }
}

/// An event keeps of a name only what is UTF-8. The file itself tells which of its folder's names was meant.
fn with_its_bytes(file: &FileRef) -> Option<FileRef> {
    let path = file.path.as_path();
    let name = path.file_name()?.to_str()?;
    let identity = file
        .identity
        .filter(|_| name.contains(char::REPLACEMENT_CHARACTER))?;
    let names = Place::of(path)
        .and_then(|place| place.other_names(identity))
        .ok()?;
    let meant = names.iter().find(|other| other.lossy() == name)?;
    Some(FileRef {
        path: path.with_file_name(meant.as_path()).as_path().into(),
        ..file.clone()
    })
}
