//! The listening socket and the connections on it.

use super::hosts::Hosts;
use super::request::{answer, internal};
use crate::authority::{Authority, AuthorityError};
use crate::registry::{Registry, RegistryError};
use crate::store::{StoreError, Writer};
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto, version};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How many connections are served at once.
const CONNECTIONS: usize = 12_000;
/// How many bodies are held at once: the bound of the memory that batches take.
const BODIES: usize = 16;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a host that was let in may be silent.
const IDLE: Duration = Duration::from_secs(600);
/// How long a stranger may be silent.
const STRANGER_IDLE: Duration = Duration::from_secs(10);
/// How long open connections are given to end when the collector does.
const GOODBYE: Duration = Duration::from_secs(5);

/// What all requests share.
pub(super) struct Shared {
    pub(super) authority: Authority,
    pub(super) writer: Writer,
    pub(super) bodies: Semaphore,
    pub(super) hosts: Hosts,
    registry: Mutex<Registry>,
}

impl Shared {
    pub(super) fn registry(&self) -> Result<MutexGuard<'_, Registry>, (StatusCode, String)> {
        self.registry.lock().map_err(internal)
    }
}

/// Why the collector cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// The socket.
    #[error("{0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// A collector that listens.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

impl Server {
    /// Opens all that is in `folder` and listens on `address`, known by `names`.
    pub async fn open(folder: &Path, address: SocketAddr, names: &[String]) -> Result<Self, ServeError> {
        let authority = Authority::open(folder)?;
        let (chain, key) = authority.server(names)?;
        let tls = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).map_err(|error| tls(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| tls(&error))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| tls(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| tls(&error))?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServeError::Listen(address, error))?;
        let shared = Shared {
            authority,
            writer: Writer::start(&folder.join("records"))?,
            bodies: Semaphore::new(BODIES),
            hosts: Hosts::default(),
            registry: Mutex::new(Registry::open(folder)?),
        };
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shared: Arc::new(shared),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then ends what is open.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        let mut open = tokio::task::JoinSet::new();
        loop {
            let permit = tokio::select! {
                () = &mut stop => break,
                permit = Arc::clone(&room).acquire_owned() => permit,
            };
            let stream = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            while open.try_join_next().is_some() {}
            let Ok((stream, _)) = stream else {
                // Out of descriptors, mostly: others have to end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (acceptor, shared) = (self.acceptor.clone(), Arc::clone(&self.shared));
            open.spawn(async move {
                let _permit = permit;
                connection(acceptor, shared, stream).await;
            });
        }
        drop(self.listener);
        // What is being committed is answered; whoever is idle is not waited for.
        let ended = timeout(GOODBYE, async {
            while self.shared.bodies.available_permits() < BODIES {
                tokio::task::yield_now().await;
            }
        });
        drop(ended.await);
        open.shutdown().await;
        if let Ok(shared) = Arc::try_unwrap(self.shared) {
            shared.writer.finish();
            drop(
                shared
                    .registry
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }
}

async fn connection(acceptor: TlsAcceptor, shared: Arc<Shared>, stream: TcpStream) {
    // An acknowledgement is small and waited for.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let agent = agent(&stream);
    let idle = if agent.is_some() { IDLE } else { STRANGER_IDLE };
    let service = service_fn(move |request| {
        let answer = answer(Arc::clone(&shared), agent.clone(), request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    // Whoever breaks a connection hears of it; there is nobody else to tell.
    drop(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

/// The common name of the certificate that the other side showed.
fn agent(stream: &tokio_rustls::server::TlsStream<TcpStream>) -> Option<Arc<str>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    name.as_str().ok().map(Arc::from)
}
