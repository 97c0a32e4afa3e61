//! Programs of the system, run with fixed arguments and never through a shell, for a bounded time.

use super::child::ended_within;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where programs of the system lie. An agent's own `PATH` may be anything.
const FOLDERS: [&str; 6] = [
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];
/// As much of what a program prints is read.
const LONGEST: u64 = 16 << 20;
/// As much of a complaint is repeated.
const COMPLAINT: usize = 300;

/// A program that is there.
#[derive(Clone, Debug)]
pub struct Tool {
    name: &'static str,
    path: PathBuf,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not there.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// It could not be run.
    #[error("{0} cannot be run: {1}")]
    System(&'static str, io::Error),
    /// It took too long and was killed.
    #[error("{0} did not end within {1:?}")]
    Slow(&'static str, Duration),
    /// It says no.
    #[error("{name} says: {complaint}")]
    Failed {
        /// Which.
        name: &'static str,
        /// In its own words.
        complaint: String,
    },
}

impl Tool {
    /// Looks where programs of the system lie.
    pub fn find(name: &'static str) -> Result<Self, ToolError> {
        let is_program = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        };
        let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        let path = paths.find(is_program).ok_or(ToolError::Missing(name))?;
        Ok(Self { name, path })
    }

    /// What it prints, given `input`. It and its complaint are none of ours: to be escaped before they are shown.
    pub fn run(&self, arguments: &[&str], input: &str, patience: Duration) -> Result<String, ToolError> {
        self.try_run(arguments, input, patience)
            .map_err(|error| ToolError::System(self.name, error))?
            .unwrap_or(Err(ToolError::Slow(self.name, patience)))
    }

    /// `None` when it took too long.
    fn try_run(
        &self,
        arguments: &[&str],
        input: &str,
        patience: Duration,
    ) -> io::Result<Option<Result<String, ToolError>>> {
        // Files in memory and no pipes: nobody waits for anybody, however much there is to read and to say.
        let [mut given, mut printed, mut complained] = [memory()?, memory()?, memory()?];
        given.write_all(input.as_bytes())?;
        given.rewind()?;
        let mut child = Command::new(&self.path)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::from(given))
            .stdout(Stdio::from(printed.try_clone()?))
            .stderr(Stdio::from(complained.try_clone()?))
            .spawn()?;
        if !ended_within(&child, patience) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(Some(Ok(read(&mut printed)?)));
        }
        let said = read(&mut complained)?;
        let complaint = match said.trim() {
            "" => status.to_string(),
            said => said.chars().take(COMPLAINT).collect(),
        };
        let name = self.name;
        Ok(Some(Err(ToolError::Failed { name, complaint })))
    }
}

fn memory() -> io::Result<File> {
    Ok(memfd_create("picket", MFdFlags::MFD_CLOEXEC)?.into())
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_prints_complains_of_or_takes_too_long_for_is_told() {
        let much = "a line that a pipe would not hold many of\n".repeat(100_000);
        let cat = Tool::find("cat").unwrap();
        assert_eq!(cat.run(&[], &much, MINUTE).unwrap(), much);
        let failed = cat.run(&["/nowhere; echo"], "", MINUTE).unwrap_err().to_string();
        assert!(
            failed.contains("/nowhere; echo") && failed.contains("No such file"),
            "{failed}"
        );
        let endless = Tool::find("tail").unwrap();
        let slow = endless.run(&["-f", "/dev/null"], "", Duration::from_millis(10));
        assert!(matches!(slow, Err(ToolError::Slow("tail", _))), "{slow:?}");
        assert!(matches!(
            Tool::find("no-such-program"),
            Err(ToolError::Missing(_))
        ));
    }
}
