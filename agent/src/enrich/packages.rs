//! Which package owns a file, by the lists that dpkg keeps.
//!
//! A list says who put a file there, not that it is still what was put there.

use compact_str::CompactString;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A longer list belongs to no package that anybody made.
const LONGEST_LIST: u64 = 64 << 20;
/// So many files are known: ten times those of a large installation.
const MOST: usize = 4_000_000;
/// Folders of `/` that are links into `/usr` where the two were merged; dpkg's lists may name either.
const MERGED: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// The owners of all files of packages: eight bytes and two for each.
#[derive(Default)]
pub(super) struct Packages {
    names: Vec<CompactString>,
    /// Of paths, sorted. Their seed is this table's own, so that nobody can make a path that is taken for another.
    hashes: Vec<u64>,
    /// The place in `names`, for each of them.
    owners: Vec<u16>,
    hasher: RandomState,
    merged: Vec<&'static str>,
    /// When the folder of lists was changed.
    version: Option<SystemTime>,
}

impl Packages {
    /// Where dpkg keeps its lists.
    pub(super) const DPKG: &str = "/var/lib/dpkg/info";

    /// Reads the lists in a folder, of a system that lies below `root`. `Ok(None)` when they are as they were at `version`, or
    /// when there are none.
    pub(super) fn read(root: &Path, before: Option<SystemTime>) -> io::Result<Option<Self>> {
        let folder = root.join(Self::DPKG.trim_start_matches('/'));
        let version = match fs::metadata(&folder) {
            Ok(data) => data.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if before == Some(version) {
            return Ok(None);
        }
        let mut packages = Self {
            merged: MERGED
                .into_iter()
                .filter(|folder| {
                    let target = fs::read_link(root.join(folder.trim_start_matches('/')));
                    target.is_ok_and(|target| target.ends_with(format!("usr{folder}")))
                })
                .collect(),
            version: Some(version),
            ..Self::default()
        };
        let mut found: Vec<(u64, u16)> = Vec::new();
        for entry in folder.read_dir()? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(package) = name.and_then(|name| name.strip_suffix(".list")) else {
                continue;
            };
            let Ok(owner) = u16::try_from(packages.names.len()) else {
                break;
            };
            // One that goes away while all are read has left a newer folder behind.
            let Ok(text) = read(&path) else { continue };
            packages.add(&text, owner, &mut found);
            let (bare, _) = package.split_once(':').unwrap_or((package, ""));
            packages.names.push(bare.into());
        }
        found.sort_unstable();
        found.dedup_by_key(|(hash, _)| *hash);
        packages.hashes = found.iter().map(|(hash, _)| *hash).collect();
        packages.owners = found.iter().map(|(_, owner)| *owner).collect();
        Ok(Some(packages))
    }

    /// The package that a path of this host belongs to.
    pub(super) fn owner(&self, path: &str) -> Option<&CompactString> {
        let at = self.hashes.binary_search(&self.hash(path)).ok()?;
        self.names.get(usize::from(*self.owners.get(at)?))
    }

    /// Of which lists this was made.
    pub(super) fn version(&self) -> Option<SystemTime> {
        self.version
    }

    /// A folder is named before what is in it, and runs nothing.
    fn add(&self, text: &str, owner: u16, found: &mut Vec<(u64, u16)>) {
        let mut lines = text.lines().peekable();
        while let Some(path) = lines.next() {
            let is_folder = lines
                .peek()
                .is_some_and(|next| next.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
            if !is_folder && found.len() < MOST {
                found.push((self.hash(path), owner));
            }
        }
    }

    fn hash(&self, path: &str) -> u64 {
        let merged = self.merged.iter().any(|folder| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        let path = path.as_bytes();
        // In two halves, so that nothing need be put together.
        self.hasher.hash_one(if merged {
            (&b"/usr"[..], path)
        } else if let Some(rest) = path.strip_prefix(b"/usr") {
            (&b"/usr"[..], rest)
        } else {
            (&b""[..], path)
        })
    }
}

fn read(path: &PathBuf) -> io::Result<String> {
    if fs::metadata(path)?.len() > LONGEST_LIST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_found_by_either_of_its_names_and_a_change_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        symlink("usr/bin", root.path().join("bin")).unwrap();
        fs::create_dir(root.path().join("lib")).unwrap();
        fs::write(
            info.join("coreutils.list"),
            "/.\n/bin\n/bin/cat\n/usr\n/usr/bin\n/usr/bin/env\n",
        )
        .unwrap();
        fs::write(info.join("libc6:amd64.list"), "/lib/ld.so\n\u{fffd}\n").unwrap();
        fs::write(info.join("coreutils.md5sums"), "/usr/bin/sum\n").unwrap();
        let packages = Packages::read(root.path(), None).unwrap().unwrap();
        let owner = |path| packages.owner(path).map(CompactString::as_str);
        for path in ["/bin/cat", "/usr/bin/cat", "/usr/bin/env", "/bin/env"] {
            assert_eq!(owner(path), Some("coreutils"), "{path}");
        }
        // That folder is no link here.
        assert_eq!(
            (owner("/lib/ld.so"), owner("/usr/lib/ld.so")),
            (Some("libc6"), None)
        );
        for path in ["/usr/bin/sum", "/usr/bin", "/", "", "bin/cat", "/usr"] {
            assert_eq!(owner(path), None, "{path}");
        }
        assert!(Packages::read(root.path(), packages.version()).unwrap().is_none());
        fs::write(info.join("new.list"), "/opt/new\n").unwrap();
        let changed = Packages::read(root.path(), packages.version()).unwrap().unwrap();
        assert_eq!(changed.owner("/opt/new").map(CompactString::as_str), Some("new"));
        assert!(Packages::read(Path::new("/nowhere"), None).unwrap().is_none());
    }

    #[test]
    fn this_hosts_packages_own_what_dpkg_says_within_bounds() {
        if !Path::new(Packages::DPKG).exists() {
            println!("skipped: no dpkg here");
            return;
        }
        let packages = Packages::read(Path::new("/"), None).unwrap().unwrap();
        let bytes = packages.hashes.len() * 10;
        println!("{} files, {bytes} bytes", packages.hashes.len());
        assert!(packages.hashes.len() < 1000 || bytes / packages.hashes.len() <= 10);
        let said = std::process::Command::new("dpkg-query")
            .args(["-L", "coreutils"])
            .output()
            .unwrap();
        for path in String::from_utf8(said.stdout).unwrap().lines() {
            if Path::new(path).is_file() {
                assert_eq!(
                    packages.owner(path).map(CompactString::as_str),
                    Some("coreutils"),
                    "{path}"
                );
            }
        }
        assert_eq!(packages.owner("/usr/bin/not-of-any-package"), None);
    }
}
