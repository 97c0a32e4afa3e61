//! Being let in: a token from the collector's operator in, an identity out.

use super::dial::{self, Connection, DialError, Endpoint};
use super::identity::Identity;
use picket_common::wire::{ENROLL_PATH, EnrollReply, EnrollRequest, RENEW_PATH};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::{self, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// `picket1.ID.SECRET.PIN`: the secret lets the host in, the pin says which collector it is to trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    pin: [u8; 32],
}

/// A text that is no token.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is no enrolment token; it begins with 'picket1.' and comes from `picket-collector token create`"
)]
pub struct TokenError;

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let mut parts = text.split('.');
        let (Some("picket1"), Some(id), Some(secret), Some(pin), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(TokenError);
        };
        if id.is_empty() || secret.is_empty() || pin.len() != 64 || text.len() > 512 {
            return Err(TokenError);
        }
        let mut bytes = [0_u8; 32];
        for (byte, digits) in bytes.iter_mut().zip(pin.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| TokenError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| TokenError)?;
        }
        Ok(Self {
            secret: text.to_owned(),
            pin: bytes,
        })
    }
}

/// Why the host was not let in.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The collector could not be spoken to, or refused.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No key could be made.
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
}

/// Makes a key, asks the collector for a certificate, and gives the identity to keep.
pub async fn enroll(endpoint: &Endpoint, token: &Token, host: &str) -> Result<Identity, EnrollError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(PinnedAuthority {
        pin: token.pin,
        provider,
    });
    let mut connection = Connection::open(endpoint, dial::anonymous(verifier)?).await?;
    request(
        &mut connection,
        ENROLL_PATH,
        endpoint,
        Some(token.secret.clone()),
        host,
    )
    .await
}

/// Asks for a certificate for a fresh key, over a connection that the present one opened.
pub(super) async fn renew(connection: &mut Connection, identity: &Identity) -> Result<Identity, EnrollError> {
    let endpoint = identity.collector.parse()?;
    request(connection, RENEW_PATH, &endpoint, None, &identity.agent).await
}

async fn request(
    connection: &mut Connection,
    path: &str,
    endpoint: &Endpoint,
    token: Option<String>,
    host: &str,
) -> Result<Identity, EnrollError> {
    let key = KeyPair::generate()?;
    // The collector takes nothing from the request but the key.
    let csr = CertificateParams::new(Vec::new())?
        .serialize_request(&key)?
        .pem()?;
    let body = EnrollRequest {
        token,
        host: host.to_owned(),
        csr,
    };
    let body = serde_json::to_vec(&body).map_err(|error| DialError::Answer(error.to_string()))?;
    let reply: EnrollReply = connection.post(path, None, body).await?;
    let identity = Identity {
        collector: endpoint.to_string(),
        agent: reply.agent,
        authority: reply.authority,
        certificate: reply.certificate,
        key: key.serialize_pem(),
    };
    // What the collector gave must fit the key, or every later connection would fail.
    dial::mutual(&identity)?;
    Ok(identity)
}

/// Trusts the authority whose public key has this SHA-256, and whom that authority vouches for.
#[derive(Debug)]
struct PinnedAuthority {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = |certificate: &&CertificateDer<'_>| {
            X509Certificate::from_der(certificate)
                .is_ok_and(|(_, parsed)| *Sha256::digest(parsed.public_key().raw) == self.pin)
        };
        let Some(authority) = intermediates.iter().find(pinned) else {
            return Err(rustls::Error::General(
                "this is not the collector that the token came from: its authority has another key"
                    .to_owned(),
            ));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn tokens_are_checked() {
        let pin = "0a".repeat(32);
        let token: Token = format!(" picket1.id.secret.{pin}\n").parse().ok().unwrap();
        assert_eq!(token.pin, [10; 32]);
        for bad in [
            "",
            "picket1.a.b.c",
            &format!("picket2.a.b.{pin}"),
            &format!("picket1.a.b.{}", "zz".repeat(32)),
            &format!("picket1.a.b.{pin}.d"),
            &format!("picket1.a.b.{}é", "0".repeat(62)),
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }
}
