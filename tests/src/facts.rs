//! What makes a file the same as it was.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The extended attribute that is looked at.
pub const ATTRIBUTE: &str = "user.origin";

/// A file's facts that are to come back.
#[derive(PartialEq, Eq, Debug)]
pub struct Facts {
    /// All of its bytes.
    pub content: Vec<u8>,
    /// Its user and its group.
    pub owner: (u32, u32),
    /// Its kind and its permissions.
    pub mode: u32,
    /// When it was written, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// When it was read last, the same way.
    pub read: (i64, i64),
    /// The value of [`ATTRIBUTE`].
    pub attribute: Vec<u8>,
}

impl Facts {
    /// Those of a file, which must be there and have the attribute. To take them changes when it was read last.
    pub fn of(path: &Path) -> Self {
        let data = fs::metadata(path).expect("a file");
        let mut attribute = vec![0; 100];
        let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut attribute[..]).expect("its attribute");
        attribute.truncate(length);
        Self {
            owner: (data.uid(), data.gid()),
            mode: data.mode(),
            modified: (data.mtime(), data.mtime_nsec()),
            read: (data.atime(), data.atime_nsec()),
            attribute,
            content: fs::read(path).expect("its content"),
        }
    }
}
