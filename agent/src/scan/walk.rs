//! The files below a path.

use rustix::fs::{PROC_SUPER_MAGIC, statfs};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// As in `/usr/include/linux/magic.h`.
const SYSFS: u64 = 0x6265_6572;
const CGROUP: u64 = 0x6367_7270;
const DEBUGFS: u64 = 0x6462_6720;
const TRACEFS: u64 = 0x7472_6163;

/// Every regular file at or below some paths, and what could not be looked into. Links are not followed, and what the kernel
/// makes up while it is read, as below `/proc`, is left out. Folders are read one at a time, so that it takes little memory
/// however many files there are.
#[derive(Debug)]
pub struct Walk {
    open: Vec<PathBuf>,
    current: IntoIter<PathBuf>,
    /// What is looked at was found in a folder, and not named.
    is_found: bool,
}

impl Walk {
    /// Begins at some paths.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            open: Vec::new(),
            current: paths.into_iter(),
            is_found: false,
        }
    }

    fn look(&mut self, path: PathBuf) -> Option<(PathBuf, io::Result<u64>)> {
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_file() => Some((path, Ok(data.len()))),
            Ok(data) => {
                if data.is_dir() {
                    self.open.push(path);
                }
                None
            }
            // It is gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_found => None,
            Err(error) => Some((path, Err(error))),
        }
    }
}

impl Iterator for Walk {
    /// A file with its size in bytes.
    type Item = (PathBuf, io::Result<u64>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(path) = self.current.next() {
                let found = self.look(path);
                if found.is_some() {
                    return found;
                }
            }
            let folder = self.open.pop()?;
            if is_made_up(&folder) {
                continue;
            }
            match list(&folder) {
                Ok(paths) => (self.current, self.is_found) = (paths.into_iter(), true),
                Err(error) => return Some((folder, Err(error))),
            }
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in folder.read_dir()? {
        paths.push(entry?.path());
    }
    // The same order each time.
    paths.sort();
    Ok(paths)
}

fn is_made_up(folder: &Path) -> bool {
    let made_up = [
        u64::try_from(PROC_SUPER_MAGIC).unwrap_or(0),
        SYSFS,
        CGROUP,
        DEBUGFS,
        TRACEFS,
    ];
    statfs(folder).is_ok_and(|system| u64::try_from(system.f_type).is_ok_and(|kind| made_up.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_found_once_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "12345").unwrap();
        fs::write(root.join("top"), "").unwrap();
        symlink("..", root.join("a/up")).unwrap();
        symlink("file", root.join("a/b/link")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found: Vec<_> = Walk::new(vec![root.clone()])
            .map(|(path, size)| (path, size.unwrap()))
            .collect();
        assert_eq!(found, [(root.join("top"), 0), (root.join("a/b/file"), 5)]);
        let missing = root.join("missing");
        let found: Vec<_> = Walk::new(vec![root, missing.clone()]).collect();
        assert!(found[0].0 == missing && found[0].1.is_err() && found.len() == 3);
        assert_eq!(Walk::new(vec![PathBuf::from("/proc/self")]).count(), 0);
    }
}
