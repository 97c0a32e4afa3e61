//! One request: who asks, for what, and the answer.

use super::batch;
use super::server::Shared;
use crate::registry::RegistryError;
use crate::store::Batch;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use picket_common::wire::{
    ENROLL_PATH, EnrollReply, EnrollRequest, LARGEST_BATCH, RECORDS_PATH, RENEW_PATH, Receipt, Refusal,
    VERSION, VERSION_HEADER,
};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a body may take.
const BODY: Duration = Duration::from_secs(60);
/// So much of a body that is too long is still read.
const DRAINED: usize = 4 << 20;
/// A request for a certificate is no longer.
const LONGEST_ENROLL: usize = 64 << 10;

type Answer = Response<Full<Bytes>>;
type Refused = (StatusCode, String);

/// Answers a request of `agent`, the name in the certificate that its connection showed.
pub(super) async fn answer(
    shared: Arc<Shared>,
    agent: Option<Arc<str>>,
    request: Request<Incoming>,
) -> Answer {
    match serve(&shared, agent, request).await {
        Ok(answer) => answer,
        Err((status, error)) => json(status, &Refusal { error }),
    }
}

async fn serve(
    shared: &Arc<Shared>,
    agent: Option<Arc<str>>,
    request: Request<Incoming>,
) -> Result<Answer, Refused> {
    let (parts, body) = request.into_parts();
    let version = parts.headers.get(VERSION_HEADER).map(|value| value.as_bytes());
    if version != Some(VERSION.as_bytes()) {
        let reason = format!("this collector speaks version {VERSION} of the protocol ({VERSION_HEADER})");
        return Err((StatusCode::BAD_REQUEST, reason));
    }
    if parts.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST is served".to_owned()));
    }
    match parts.uri.path() {
        ENROLL_PATH => {
            let body = whole(body, LONGEST_ENROLL).await?;
            let shared = Arc::clone(shared);
            blocking(move || enroll(&shared, &body)).await
        }
        RENEW_PATH => {
            let agent = admitted(shared, agent).await?;
            let body = whole(body, LONGEST_ENROLL).await?;
            let shared = Arc::clone(shared);
            blocking(move || renew(&shared, &agent, &body)).await
        }
        path if path.starts_with(RECORDS_PATH) => {
            let agent = admitted(shared, agent).await?;
            // Bodies are large: only so many are held at once.
            let _room = shared.bodies.acquire().await.map_err(internal)?;
            let body = whole(body, LARGEST_BATCH).await?;
            let compressed = match parts
                .headers
                .get(header::CONTENT_ENCODING)
                .map(|value| value.as_bytes())
            {
                None | Some(b"identity") => false,
                Some(b"zstd") => true,
                Some(_) => {
                    let reason = "content-encoding must be zstd".to_owned();
                    return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
                }
            };
            let receipt = receive(shared, &agent, body, compressed).await?;
            Ok(json(StatusCode::OK, &receipt))
        }
        _ => Err((StatusCode::NOT_FOUND, "there is nothing here".to_owned())),
    }
}

async fn admitted(shared: &Arc<Shared>, agent: Option<Arc<str>>) -> Result<Arc<str>, Refused> {
    let Some(agent) = agent else {
        let reason = "a certificate is needed: enrol this host with `picket enroll`".to_owned();
        return Err((StatusCode::UNAUTHORIZED, reason));
    };
    let registry = Arc::clone(shared);
    let asked = Arc::clone(&agent);
    let admitted = blocking(move || {
        let registry = registry.registry()?;
        let admitted = registry.admits(&asked).map_err(internal)?;
        if admitted {
            registry.saw(&asked).map_err(internal)?;
        }
        Ok(admitted)
    })
    .await?;
    if admitted {
        Ok(agent)
    } else {
        let reason = "this host's certificate was revoked, or is of another collector".to_owned();
        Err((StatusCode::FORBIDDEN, reason))
    }
}

async fn receive(
    shared: &Arc<Shared>,
    agent: &str,
    body: Bytes,
    compressed: bool,
) -> Result<Receipt, Refused> {
    let (shared, agent) = (Arc::clone(shared), agent.to_owned());
    let kept = blocking(move || {
        let lines = batch::read(&body, compressed).map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
        Ok(shared.writer.keep(Batch { agent, lines }))
    })
    .await?;
    let kept = kept.await.map_err(internal)?;
    kept.map_err(|reason| (StatusCode::SERVICE_UNAVAILABLE, reason))
}

fn enroll(shared: &Shared, body: &[u8]) -> Result<Answer, Refused> {
    let request: EnrollRequest = read(body)?;
    let token = request.token.as_deref().unwrap_or_default();
    // A request that cannot be signed must not use up the token.
    shared
        .authority
        .agent("probe", &request.csr)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let agent = shared
        .registry()?
        .enroll(token, &request.host)
        .map_err(|error| match error {
            RegistryError::Token(_) => (StatusCode::FORBIDDEN, error.to_string()),
            error => internal(error),
        })?;
    certificate(shared, agent, &request.csr)
}

fn renew(shared: &Shared, agent: &str, body: &[u8]) -> Result<Answer, Refused> {
    let request: EnrollRequest = read(body)?;
    certificate(shared, agent.to_owned(), &request.csr)
}

fn certificate(shared: &Shared, agent: String, csr: &str) -> Result<Answer, Refused> {
    let certificate = shared
        .authority
        .agent(&agent, csr)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let reply = EnrollReply {
        agent,
        certificate,
        authority: shared.authority.certificate().to_owned(),
    };
    Ok(json(StatusCode::OK, &reply))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, Refused> {
    let too_long = || {
        let reason = format!("the body is longer than {limit} bytes");
        (StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    // Whoever asks first whether to send it need not.
    if body.size_hint().lower() > (limit + DRAINED) as u64 {
        return Err(too_long());
    }
    let read = async {
        let (mut whole, mut length) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            length = length.saturating_add(data.len());
            // The rest is read and thrown away, up to a bound: a connection that is closed with something unread is reset,
            // and the answer may be lost with it.
            if length > limit + DRAINED {
                break;
            }
            if length <= limit {
                whole.extend_from_slice(&data);
            }
        }
        if length > limit {
            return Err(too_long());
        }
        Ok(Bytes::from(whole))
    };
    match timeout(BODY, read).await {
        Ok(read) => read,
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned())),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refused {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}
