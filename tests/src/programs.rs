//! Real programs that do odd things, for sensors of programs to see.

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A `cat` that runs until it is dropped.
pub struct Cat(Child);

impl Cat {
    /// Starts it, and waits until it has read and written. `program` is a copy of `/bin/cat`.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        child
            .stdin
            .as_mut()
            .expect("a pipe")
            .write_all(b"x")
            .expect("it reads");
        let mut byte = [0];
        child
            .stdout
            .as_mut()
            .expect("a pipe")
            .read_exact(&mut byte)
            .expect("it writes");
        Self(child)
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// With line breaks, escapes and what is no UTF-8 in its arguments, the first of which is no name of a program.
    pub fn with_odd_arguments() -> Self {
        let mut command = Command::new("/bin/cat");
        command
            .arg0("a b\n\u{1b}[31m")
            .args(["-", ""])
            .arg(OsStr::from_bytes(b"\xff\n"));
        Self::start(&mut command)
    }

    /// Whose file is removed before anybody looks, as it waits for its input.
    pub fn unlinked(folder: &Path) -> Self {
        let path = folder.join("gone");
        fs::copy("/bin/cat", &path).expect("a copy");
        let started = Self::start(&mut Command::new(&path));
        fs::remove_file(path).expect("it is there");
        started
    }

    /// Whose file lies in memory.
    pub fn in_memory() -> Self {
        let mut file = File::from(memfd_create("odd", MFdFlags::empty()).expect("a file"));
        let program = fs::read("/bin/cat").expect("a program");
        file.write_all(&program).expect("room");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Self::start(&mut Command::new(path))
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
