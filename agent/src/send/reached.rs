//! At which addresses the collector was reached lately. One that is named by a name has no other address that is certain.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are remembered: a collector has few, and whoever made the courier tell lies could not shield more.
const KEPT: usize = 4;
/// The file is no longer.
const LONGEST: u64 = 4096;

/// The last few, the latest last. Kept in a file, so that they are known before the next connection.
#[derive(Debug)]
pub struct Reached {
    file: PathBuf,
    addresses: Mutex<Vec<IpAddr>>,
}

impl Reached {
    /// Those that `file` holds; none when it cannot be read, which the next connection mends.
    pub fn open(file: PathBuf) -> Self {
        let mut addresses = read(&file).unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", file.display());
            Vec::new()
        });
        addresses.truncate(KEPT);
        Self {
            file,
            addresses: Mutex::new(addresses),
        }
    }

    /// Takes note that it was reached at `address`.
    pub fn note(&self, address: IpAddr) {
        let address = address.to_canonical();
        let mut addresses = self.lock();
        let known = addresses.contains(&address);
        addresses.retain(|other| *other != address);
        addresses.push(address);
        if known {
            return;
        }
        let surplus = addresses.len().saturating_sub(KEPT);
        addresses.drain(..surplus);
        if let Err(error) = write(&self.file, &addresses) {
            tracing::warn!("{}: {error}", self.file.display());
        }
    }

    /// All of them.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> io::Result<Vec<IpAddr>> {
    let mut text = String::new();
    match File::open(file) {
        Ok(file) => file.take(LONGEST).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_str(&text)?)
}

/// So that a crash leaves the old file or the new one.
fn write(file: &Path, addresses: &[IpAddr]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut output = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    output.write_all(&serde_json::to_vec(addresses)?)?;
    output.sync_all()?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_are_known_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reached.json");
        let reached = Reached::open(file.clone());
        assert_eq!(reached.addresses(), Vec::<IpAddr>::new());
        for last in [1, 2, 1, 3, 4, 5] {
            reached.note(format!("::ffff:198.51.100.{last}").parse().unwrap());
        }
        let wanted: Vec<IpAddr> = [1, 3, 4, 5].map(|last| [198, 51, 100, last].into()).to_vec();
        assert_eq!(reached.addresses(), wanted);
        assert_eq!(Reached::open(file.clone()).addresses(), wanted);
        fs::write(&file, "[\"nonsense\"]").unwrap();
        assert_eq!(Reached::open(file).addresses(), Vec::<IpAddr>::new());
    }
}
