//! A disk and a clock of a server's own.

use std::path::Path;

/// What a server finds where it starts.
#[derive(Default)]
pub struct Surroundings {
    /// Commands of a shell that come first, in a mount namespace that is then its own; `$FOLDER` is that of the line.
    pub script: String,
    /// Its environment, beside that of the test.
    pub environment: Vec<(&'static str, String)>,
}

impl Surroundings {
    /// A folder of the line that is a disk of so many megabytes.
    pub fn small_disk(folder: &str, megabytes: u32) -> Self {
        let mount = format!("mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs");
        Self {
            script: format!("mkdir -p \"$FOLDER/{folder}\"; {mount} \"$FOLDER/{folder}\""),
            environment: Vec::new(),
        }
    }

    /// A clock that `faketime` sets: `-40d`, or as a file says from now on.
    pub fn clock(set: &str) -> Self {
        let what = if Path::new(set).is_absolute() {
            "FAKETIME_TIMESTAMP_FILE"
        } else {
            "FAKETIME"
        };
        let library = "/usr/$LIB/faketime/libfaketimeMT.so.1".to_owned();
        let yes = || "1".to_owned();
        Self {
            script: String::new(),
            environment: vec![
                ("LD_PRELOAD", library),
                (what, set.to_owned()),
                ("FAKETIME_NO_CACHE", yes()),
                // No clock that is set goes back for whoever measures how long something takes.
                ("FAKETIME_DONT_FAKE_MONOTONIC", yes()),
                ("NO_FAKE_STAT", yes()),
            ],
        }
    }
}
