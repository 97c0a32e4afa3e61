//! Files of YARA rules: finding them, reading them, handing them to the worker, which has no file system.

use super::protocol::Problem;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A longer file is no rule.
const LONGEST: u64 = 16 << 20;
/// All files together.
const MOST: usize = 128 << 20;

/// The text of one file of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Source {
    /// The file, as text.
    pub(super) name: String,
    /// What is in it.
    pub(super) text: String,
}

/// Reads every `.yar` and `.yara` file below the folders, in the order of their names; also what is a file itself.
pub(super) fn gather(folders: &[PathBuf]) -> (Vec<Source>, Vec<Problem>) {
    let (mut sources, mut problems, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut files = Vec::new();
    for folder in folders {
        match list(folder) {
            Ok(found) => files.extend(found),
            // A folder for what somebody may want to add need not be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folders.len() > 1 => {}
            Err(error) => problems.push(problem(folder, format!("cannot be read: {error}"))),
        }
    }
    for file in files {
        match read(&file) {
            Ok(text) if bytes + text.len() > MOST => {
                problems.push(problem(&file, "has no room beside the others".to_owned()));
                drop(text);
            }
            Ok(text) => {
                bytes += text.len();
                let name = file.to_string_lossy().into_owned();
                sources.push(Source { name, text });
            }
            Err(reason) => problems.push(problem(&file, reason)),
        }
    }
    (sources, problems)
}

fn problem(file: &Path, message: String) -> Problem {
    Problem {
        file: file.to_string_lossy().into_owned(),
        line: None,
        message,
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if fs::metadata(folder)?.is_file() {
        files.push(folder.to_owned());
        return Ok(files);
    }
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir()? {
            let entry = entry?;
            let path = entry.path();
            let is_rule = path
                .extension()
                .is_some_and(|name| name == "yar" || name == "yara");
            // A link is not followed into a folder: it may lead back up.
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if is_rule {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String, String> {
    let data = fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !data.is_file() || data.len() > LONGEST {
        return Err("is no regular file of at most 16 MiB".to_owned());
    }
    fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

/// Writes the sources into a file in memory, which nothing but its descriptor leads to.
pub(super) fn pack(sources: &[Source]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("picket-rules", MFdFlags::MFD_CLOEXEC)?);
    let mut output = io::BufWriter::new(&mut file);
    for source in sources {
        for text in [&source.name, &source.text] {
            output.write_all(&(text.len() as u64).to_le_bytes())?;
            output.write_all(text.as_bytes())?;
        }
    }
    output.flush()?;
    drop(output);
    file.rewind()?;
    Ok(file.into())
}

/// Reads what [`pack`] wrote.
pub(super) fn unpack(file: OwnedFd) -> io::Result<Vec<Source>> {
    let mut input = io::BufReader::new(File::from(file));
    let mut sources = Vec::new();
    while let Some(name) = text(&mut input)? {
        let text = text(&mut input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        sources.push(Source { name, text });
    }
    Ok(sources)
}

fn text(input: &mut impl io::Read) -> io::Result<Option<String>> {
    let mut length = [0; 8];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let mut text = String::new();
    input.take(u64::from_le_bytes(length)).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_folders_and_arrive_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/b.yara"), "rule b { condition: true }").unwrap();
        fs::write(folder.path().join("a.yar"), "rule a { condition: true }").unwrap();
        fs::write(folder.path().join("c.yml"), "no: rule").unwrap();
        fs::write(folder.path().join("d.yar"), b"\xff\xfe").unwrap();
        std::os::unix::fs::symlink("..", folder.path().join("deep/up")).unwrap();
        let missing = folder.path().join("missing");
        let (sources, problems) = gather(&[folder.path().to_owned(), missing.clone()]);
        assert_eq!(sources.len(), 2);
        assert!(sources[0].name.ends_with("/a.yar") && sources[1].text.contains("rule b"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].file.ends_with("/d.yar"), "{problems:?}");
        assert_eq!(unpack(pack(&sources).unwrap()).unwrap(), sources);
        // Of a folder that is the only one somebody does mean something.
        assert_eq!(gather(&[missing]).1.len(), 1);
    }
}
