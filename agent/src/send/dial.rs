//! One connection to the collector: TCP, TLS 1.3 with both sides known, HTTP.

use super::identity::Identity;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use picket_common::wire::{Refusal, VERSION, VERSION_HEADER};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// How long a connection may take to come about.
const DIAL: Duration = Duration::from_secs(10);
/// How long an answer may take: a collector that commits to a slow disk is slow, one that is silent is gone.
const ANSWER: Duration = Duration::from_secs(60);
/// No answer of a collector is longer.
const LONGEST_ANSWER: usize = 1 << 20;

/// Where the collector is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Why the collector could not be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address makes no sense.
    #[error("'{0}' is no address of a collector; write https://HOST:PORT")]
    Address(String),
    /// The identity makes no sense.
    #[error("the identity cannot be used: {0}; enrol this host again")]
    Identity(String),
    /// No connection.
    #[error("no connection to {0}: {1}")]
    Connect(String, io::Error),
    /// It took too long.
    #[error("{0} did not answer in time")]
    Silent(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The collector said no.
    #[error("the collector refused ({status}): {reason}")]
    Refused {
        /// HTTP's code.
        status: u16,
        /// Its reason.
        reason: String,
    },
    /// The answer makes no sense.
    #[error("the collector's answer cannot be understood: {0}")]
    Answer(String),
}

impl std::str::FromStr for Endpoint {
    type Err = DialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DialError::Address(text.chars().take(256).collect());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
        match (uri.scheme_str(), uri.host(), uri.port_u16()) {
            (Some("https"), Some(host), Some(port)) if plain && port != 0 => Ok(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "https://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "https://{}:{}", self.host, self.port)
        }
    }
}

/// The settings of TLS for an enrolled host.
pub(super) fn mutual(identity: &Identity) -> Result<Arc<ClientConfig>, DialError> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| DialError::Identity(format!("{what}: {error}"));
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(identity.authority.as_bytes()) {
        let authority = authority.map_err(|error| wrong("authority", &error))?;
        roots.add(authority).map_err(|error| wrong("authority", &error))?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect();
    let chain = chain.map_err(|error| wrong("certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|error| wrong("key", &error))?;
    let config = builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong("certificate", &error))?;
    Ok(Arc::new(config))
}

/// The settings of TLS for a host that is to be let in: it shows no certificate, and judges the collector's by `verifier`.
pub(super) fn anonymous(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, DialError> {
    let config = builder()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, DialError> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| DialError::Identity(error.to_string()))
}

/// A connection that is open.
pub(super) struct Connection {
    endpoint: Endpoint,
    peer: IpAddr,
    requests: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(super) async fn open(endpoint: &Endpoint, config: Arc<ClientConfig>) -> Result<Self, DialError> {
        let silent = |_| DialError::Silent(endpoint.to_string());
        timeout(DIAL, Self::dial(endpoint, config))
            .await
            .map_err(silent)?
    }

    async fn dial(endpoint: &Endpoint, config: Arc<ClientConfig>) -> Result<Self, DialError> {
        let failed = |error| DialError::Connect(endpoint.to_string(), error);
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|_| DialError::Address(endpoint.to_string()))?;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
            .await
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let peer = stream.peer_addr().map_err(failed)?.ip();
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(failed)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors reach whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self {
            endpoint: endpoint.clone(),
            peer,
            requests,
        })
    }

    /// The address that whoever proved to be the collector has.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// One request and its answer, read as JSON.
    pub(super) async fn post<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        encoding: Option<&str>,
        body: Vec<u8>,
    ) -> Result<T, DialError> {
        let authority = self.endpoint.to_string();
        let mut request = Request::post(path)
            .header(header::HOST, authority.trim_start_matches("https://"))
            .header(VERSION_HEADER, VERSION);
        if let Some(encoding) = encoding {
            request = request
                .header(header::CONTENT_ENCODING, encoding)
                .header(header::CONTENT_TYPE, "application/x-ndjson");
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| DialError::Answer(error.to_string()))?;
        let exchange = async {
            self.requests.ready().await?;
            let answer = self.requests.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| DialError::Answer(error.to_string()))?
                .to_bytes();
            Ok::<_, DialError>((status, body))
        };
        let (status, body) = timeout(ANSWER, exchange)
            .await
            .map_err(|_| DialError::Silent(self.endpoint.to_string()))??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| DialError::Answer(error.to_string()));
        }
        let reason = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => refusal.error,
            Err(_) => String::from_utf8_lossy(&body).chars().take(256).collect(),
        };
        Err(DialError::Refused {
            status: status.as_u16(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn addresses_are_checked() {
        for good in [
            "https://collector.example:7443",
            "https://198.51.100.1:7443/",
            "https://[2001:db8::1]:7443",
        ] {
            let endpoint: Endpoint = good.parse().unwrap();
            assert_eq!(endpoint.to_string(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "collector:7443",
            "http://a:1",
            "https://a",
            "https://a:0",
            "https://a:1/x",
            "https://a:1?b",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
