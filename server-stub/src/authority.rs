//! The collector's own certificate authority: who it vouches for, and how an agent knows it.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const DAY: Duration = Duration::from_secs(86_400);
/// A clock that is off by less than this is no reason to be refused.
const SKEW: Duration = DAY;
const AGENT: Duration = DAY.saturating_mul(30);
const SERVER: Duration = DAY.saturating_mul(825);
const AUTHORITY: Duration = DAY.saturating_mul(3650);

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file of it cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// Its key or certificate, or a request to it, makes no sense.
    #[error("certificate: {0}")]
    Certificate(String),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// See the module.
pub struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    certificate: String,
    der: CertificateDer<'static>,
    pin: String,
}

impl Authority {
    /// Reads the authority in `folder`, or founds it.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let file = |path: &Path, error| AuthorityError::File {
            path: path.to_owned(),
            error,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| file(folder, error))?;
        // Key and certificate are one file, so that there is never one without the other.
        let path = folder.join("authority.pem");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found(folder, &path)?;
                // Another process may have been faster: what is there now counts.
                fs::read_to_string(&path)
            }
            other => other,
        }
        .map_err(|error| file(&path, error))?;
        let key = KeyPair::from_pem(&text)?;
        let wrong = |error: rustls_pki_types::pem::Error| {
            file(
                &path,
                io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            )
        };
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(wrong)?;
        let (_, parsed) = X509Certificate::from_der(&der)
            .map_err(|error| AuthorityError::Certificate(error.to_string()))?;
        let pin = hex(&Sha256::digest(parsed.public_key().raw));
        let start = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
        Ok(Self {
            issuer: rcgen::Issuer::from_ca_cert_der(&der, key)?,
            certificate: text.get(start..).unwrap_or_default().to_owned(),
            pin,
            der,
        })
    }

    /// SHA-256 of its public key, in hexadecimal: what a token pins.
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A fresh key and certificate for the collector itself, under `names` (DNS names and addresses). The chain holds the
    /// authority too: a host that enrols knows no more of it than the pin.
    pub fn server(
        &self,
        names: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let key = KeyPair::generate()?;
        let mut wanted = CertificateParams::default();
        for name in names {
            wanted.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        name(&mut wanted, "Picket collector");
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        valid_for(&mut wanted, SERVER);
        let certificate = wanted.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())
            .map_err(|error| AuthorityError::Certificate(error.to_string()))?;
        Ok((vec![certificate.der().clone(), self.der.clone()], key))
    }

    /// A certificate, PEM, for the key of a request; nothing else is taken from the request.
    pub fn agent(&self, agent: &str, request: &str) -> Result<String, AuthorityError> {
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        let mut wanted = CertificateParams::default();
        name(&mut wanted, agent);
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        valid_for(&mut wanted, AGENT);
        request.params = wanted;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

fn found(folder: &Path, path: &Path) -> Result<(), AuthorityError> {
    let key = KeyPair::generate()?;
    let mut wanted = CertificateParams::default();
    name(&mut wanted, "Picket authority");
    wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut wanted, AUTHORITY);
    let key_pem = key.serialize_pem();
    let certificate = CertifiedIssuer::self_signed(wanted, key)?.pem();
    let fresh = folder.join(format!("authority.{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(key_pem.as_bytes())?;
        file.write_all(certificate.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces the authority that another process founded meanwhile.
        match fs::hard_link(&fresh, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::remove_file(&fresh)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| AuthorityError::File {
        path: fresh.clone(),
        error,
    })
}

fn name(wanted: &mut CertificateParams, name: &str) {
    wanted.distinguished_name = DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, name);
}

fn valid_for(wanted: &mut CertificateParams, span: Duration) {
    let now = SystemTime::now();
    wanted.not_before = (now - SKEW).into();
    wanted.not_after = (now + span).into();
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
