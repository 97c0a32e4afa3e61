//! Mails as files, in folders, or from standard input.

use crate::commands::Failure;
use crate::parse::eml::MOST;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How deep folders are walked.
const DEEPEST: usize = 32;

/// A mail that is to be read.
pub(super) enum MailFile {
    Standard,
    Path(PathBuf),
}

/// A mail's bytes.
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    /// It is longer than what is looked at.
    pub(super) more: bool,
}

/// Goes through files and folders, in the order of their names. Links inside folders are not followed.
pub(super) struct Files {
    /// What is still to be visited, the next one last, with its depth.
    open: Vec<(MailFile, usize)>,
}

impl Files {
    pub(super) fn of(paths: &[String]) -> Self {
        let file = |path: &String| match path.as_str() {
            "-" => MailFile::Standard,
            path => MailFile::Path(path.into()),
        };
        Self {
            open: paths.iter().rev().map(|path| (file(path), 0)).collect(),
        }
    }

    fn enter(&mut self, folder: &Path, depth: usize) -> Result<(), Failure> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| input(folder, error))? {
            let entry = entry.map_err(|error| input(folder, error))?;
            let kind = entry.file_type().map_err(|error| input(folder, error))?;
            if kind.is_file() || kind.is_dir() {
                entries.push(entry.path());
            }
        }
        entries.sort();
        let entries = entries
            .into_iter()
            .rev()
            .map(|path| (MailFile::Path(path), depth + 1));
        self.open.extend(entries);
        Ok(())
    }
}

impl Iterator for Files {
    type Item = Result<MailFile, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((file, depth)) = self.open.pop() {
            match file {
                MailFile::Path(path) if path.is_dir() && depth < DEEPEST => {
                    if let Err(failure) = self.enter(&path, depth) {
                        return Some(Err(failure));
                    }
                }
                file => return Some(Ok(file)),
            }
        }
        None
    }
}

impl MailFile {
    /// Its name, as it was given.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Standard => "-".to_owned(),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// Reads as much of it as is looked at.
    pub(super) fn read(&self) -> Result<Bytes, Failure> {
        let Self::Path(path) = self else {
            return bounded(io::stdin().lock()).map_err(|error| input(Path::new("standard input"), error));
        };
        let file = open(path).map_err(|error| input(path, error))?;
        bounded(file).map_err(|error| input(path, error))
    }
}

/// Reads a file of at most 64 KiB.
pub(super) fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(64 << 10).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens what is a file, without waiting for anybody at the other end of what is none.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file"))
    }
}

fn bounded(source: impl Read) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST).map_err(io::Error::other)?;
    source.take(most + 1).read_to_end(&mut bytes)?;
    let more = bytes.len() > MOST;
    bytes.truncate(MOST);
    Ok(Bytes { bytes, more })
}

fn input(path: &Path, error: io::Error) -> Failure {
    Failure::Input {
        path: path.display().to_string(),
        error,
    }
}
