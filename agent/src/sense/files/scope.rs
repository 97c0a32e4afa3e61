//! Which paths matter.

use crate::config::{Files, Glob};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The paths that are watched, as the settings name them and as they are once links are followed.
#[derive(Debug)]
pub(in crate::sense) struct Scope {
    wanted: Vec<PathBuf>,
    roots: Vec<PathBuf>,
    exclude: Vec<Glob>,
    /// The agent's own folders, whose files are never told of.
    own: Vec<PathBuf>,
}

/// What a directory is to the scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sense) enum Place {
    /// What lies in it is watched.
    Watched,
    /// Something below it is watched.
    Above,
    /// Nothing in it, or below it, matters.
    Outside,
}

impl Scope {
    pub(in crate::sense) fn new(files: &Files, own: &[PathBuf]) -> Self {
        let mut scope = Self {
            wanted: files.paths.clone(),
            roots: Vec::new(),
            exclude: files.exclude.clone(),
            own: own.iter().map(|path| followed(path)).collect(),
        };
        scope.renew();
        scope
    }

    /// Follows links again, as they may lead elsewhere by now. Whether they do.
    pub(in crate::sense) fn renew(&mut self) -> bool {
        let mut roots: Vec<PathBuf> = self.wanted.iter().map(|path| followed(path)).collect();
        roots.sort();
        // What lies below another comes after it.
        roots.dedup_by(|later, earlier| later.starts_with(&*earlier));
        let changed = roots != self.roots;
        self.roots = roots;
        changed
    }

    /// The paths that are watched, none below another.
    pub(in crate::sense) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// What is watched, for an operator.
    pub(in crate::sense) fn describe(&self) -> String {
        let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        format!("files that land below {}", roots.join(", "))
    }

    /// What a directory is, by its path without links.
    pub(in crate::sense) fn place(&self, directory: &Path) -> Place {
        let is_within = self.roots.iter().any(|root| directory.starts_with(root));
        if is_within && !self.passes_over(directory) {
            Place::Watched
        } else if self.leads_down(directory) {
            Place::Above
        } else {
            Place::Outside
        }
    }

    /// Whether a directory that lies within what is watched, and all below it, is not.
    fn passes_over(&self, directory: &Path) -> bool {
        let name = directory.as_os_str().as_bytes();
        self.own.iter().any(|own| directory.starts_with(own))
            || self.exclude.iter().any(|glob| glob.matches_all_below(name))
    }

    /// Whether a file or directory is watched, by its path without links.
    pub(in crate::sense) fn holds(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
            && !self.own.iter().any(|own| path.starts_with(own))
            && !self
                .exclude
                .iter()
                .any(|glob| glob.matches(path.as_os_str().as_bytes()))
    }

    /// Whether something that is watched is, or lies below, this path: when it changes, so may the roots.
    pub(in crate::sense) fn leads_down(&self, path: &Path) -> bool {
        let mut all = self.roots.iter().chain(&self.wanted);
        all.any(|root| root.starts_with(path))
    }
}

/// A path without links, also when the last parts of it are not there yet.
fn followed(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            return match path.strip_prefix(there) {
                Ok(rest) if rest.as_os_str().is_empty() => real,
                Ok(rest) => real.join(rest),
                Err(_) => real,
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_followed_again_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let at = |name: &str| folder.join(name);
        fs::create_dir_all(at("real/below")).unwrap();
        fs::create_dir(at("other")).unwrap();
        symlink("real", at("link")).unwrap();
        let files = Files {
            paths: vec![at("link"), at("real/below"), at("later/x")],
            exclude: vec![Glob::parse("**/objects/**").unwrap()],
            ..Files::default()
        };
        let mut scope = Scope::new(&files, &[at("real/own")]);
        assert_eq!(scope.roots(), [at("later/x"), at("real")]);
        assert_eq!(scope.place(&at("real/a/b")), Place::Watched);
        for passed in ["real/own", "real/own/a", "real/a/objects", "real/objects/ab"] {
            assert_eq!(scope.place(&at(passed)), Place::Outside, "{passed}");
        }
        assert_eq!(scope.place(&at("real/objectsx")), Place::Watched);
        assert_eq!(scope.place(&at("later")), Place::Above);
        assert_eq!(scope.place(&at("other")), Place::Outside);
        assert_eq!(scope.place(&at("really")), Place::Outside);
        assert!(scope.holds(&at("real/f")) && !scope.holds(&at("real/own/f")));
        assert!(!scope.renew());
        symlink("../other", at("later")).unwrap_or(());
        fs::remove_file(at("link")).unwrap();
        symlink("other", at("link")).unwrap();
        assert!(scope.renew());
        assert_eq!(scope.place(&at("other")), Place::Watched);
    }
}
