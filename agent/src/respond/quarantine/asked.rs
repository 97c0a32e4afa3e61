//! Which file a finding is about.

use super::place::identity_of;
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
        (Some(file), _) => Some(file.clone()).filter(|file| file.identity.is_some() || file.sha256.is_some()),
        (None, program) => program,
    }
}
