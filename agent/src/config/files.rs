//! `[files]`: which files are watched, and how.

use super::document::{Document, Section};
use super::glob::Glob;
use super::process::Keep;
use super::values::{ABSOLUTE, path};
use std::path::PathBuf;

/// Which files are watched as they land, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// What sees them.
    pub sensor: FilesSensor,
    /// The folders, and single files, under which they are watched, with all file systems that are mounted there.
    pub paths: Vec<PathBuf>,
    /// Those of them that are not.
    pub exclude: Vec<Glob>,
    /// Which events about files travel to the collector.
    pub keep: Keep,
}

/// What sees files land.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FilesSensor {
    /// The first of the others that works here.
    Auto,
    /// The kernel's fanotify: whole file systems, and who wrote.
    Fanotify,
    /// The kernel's inotify: folder by folder, and nobody knows who wrote.
    Inotify,
    /// Nothing.
    None,
}

/// Where what an attacker brings, or changes, lies on a server: what others may write, what is served, what is run, what says
/// what is run. Not where databases, logs and images of containers lie, which are written to all day.
const PATHS: [&str; 23] = [
    "/bin",
    "/boot",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run/lock",
    "/run/systemd/system",
    "/run/user",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/var/crash",
    "/var/mail",
    "/var/spool/cron",
    "/var/tmp",
    "/var/vmail",
    "/var/www",
];

/// What is written often and cannot be looked into: compressed.
const EXCLUDE: [&str; 1] = ["**/.git/objects/**"];

impl Default for Files {
    fn default() -> Self {
        Self {
            sensor: FilesSensor::Auto,
            paths: PATHS.map(PathBuf::from).to_vec(),
            exclude: EXCLUDE.iter().filter_map(|text| Glob::parse(text).ok()).collect(),
            keep: Keep::Findings,
        }
    }
}

impl Files {
    /// Lays what a section sets over these settings.
    pub(super) fn overlay(&mut self, document: &mut Document<'_>, mut section: Section<'_>) {
        let wanted = r#""auto", "fanotify", "inotify" or "none""#;
        let sensor = section.text(document, "sensor", wanted, |text| match text {
            "auto" => Ok(FilesSensor::Auto),
            "fanotify" => Ok(FilesSensor::Fanotify),
            "inotify" => Ok(FilesSensor::Inotify),
            "none" => Ok(FilesSensor::None),
            _ => Err(String::new()),
        });
        self.sensor = sensor.unwrap_or(self.sensor);
        let paths = section.texts(document, "paths", ABSOLUTE, path);
        self.paths = paths.unwrap_or(std::mem::take(&mut self.paths));
        let wanted = r#"a pattern of paths from the root, such as "/srv/*/cache/**""#;
        let exclude = section.texts(document, "exclude", wanted, Glob::parse);
        self.exclude = exclude.unwrap_or(std::mem::take(&mut self.exclude));
        self.keep = Keep::of(&mut section, document).unwrap_or(self.keep);
        section.finish(document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_patterns_and_absolute_paths() {
        let files = Files::default();
        assert_eq!(files.exclude.len(), EXCLUDE.len());
        assert!(files.paths.iter().all(|path| path.is_absolute()));
    }
}
