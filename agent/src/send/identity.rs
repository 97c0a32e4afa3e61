//! Who this host is to its collector: a key that never leaves it, a certificate, and the authority it trusts.

use picket_common::time::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// All that it takes to speak to the collector.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Where the collector is, as `https://collector.example:7443`.
    pub collector: String,
    /// The agent's id, given by the collector.
    pub agent: String,
    /// The collector's authority, PEM.
    pub authority: String,
    /// The agent's certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
}

/// Why the identity could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none yet.
    #[error("this host is not enrolled: run `picket enroll --collector URL --token-file FILE`")]
    Missing,
    /// The file is there, but it cannot be used.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong with it.
        error: io::Error,
    },
}

impl Identity {
    /// Reads it from `file`.
    pub fn read(file: &Path) -> Result<Self, IdentityError> {
        let wrong = |error| IdentityError::File {
            path: file.display().to_string(),
            error,
        };
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| wrong(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(IdentityError::Missing),
            Err(error) => Err(wrong(error)),
        }
    }

    /// The collector's address, where it is named by one.
    pub fn collector_address(&self) -> Option<IpAddr> {
        let host = self.collector.strip_prefix("https://")?.rsplit_once(':')?.0;
        host.trim_matches(['[', ']']).parse().ok()
    }

    /// From when and until when its certificate is valid; `None` when that cannot be read.
    pub fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let validity = parsed.validity();
        let time = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        Some((
            time(validity.not_before.timestamp()),
            time(validity.not_after.timestamp()),
        ))
    }

    /// Writes it to `file` for the owner alone, and so that a crash leaves the old one or the new one.
    pub fn write(&self, file: &Path) -> Result<(), IdentityError> {
        self.replace(file).map_err(|error| IdentityError::File {
            path: file.display().to_string(),
            error,
        })
    }

    fn replace(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        let fresh = file.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut output = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        output.write_all(&serde_json::to_vec_pretty(self)?)?;
        output.sync_all()?;
        fs::rename(&fresh, file)?;
        fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_kept_for_its_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/identity.json");
        assert!(matches!(Identity::read(&file), Err(IdentityError::Missing)));
        let identity = Identity {
            collector: "https://127.0.0.1:1".to_owned(),
            agent: "a".to_owned(),
            authority: "b".to_owned(),
            certificate: "c".to_owned(),
            key: "d".to_owned(),
        };
        identity.write(&file).unwrap();
        identity.write(&file).unwrap();
        assert_eq!(Identity::read(&file).unwrap(), identity);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "{").unwrap();
        let error = Identity::read(&file).unwrap_err().to_string();
        assert!(error.contains("identity.json"), "{error}");
    }
}
