//! One request: who asks, for what, and the answer.

use super::batch;
use super::server::Shared;
use crate::registry::RegistryError;
use crate::store::Batch;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::http::request::Parts;
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
/// How long a body may not get on.
const SILENCE: Duration = Duration::from_secs(10);
/// How long what is left of a refused body is read.
const LINGER: Duration = Duration::from_secs(5);
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
    let (parts, mut body) = request.into_parts();
    match serve(&shared, agent, &parts, &mut body).await {
        Ok(answer) => answer,
        Err((status, error)) => {
            linger(&mut body).await;
            json(status, &Refusal { error })
        }
    }
}

/// Reads on for a while and throws away: a connection that is closed with something unread is reset, and the answer may be
/// lost with it.
async fn linger(body: &mut Incoming) {
    let drain = async {
        let mut left = 2 * LARGEST_BATCH;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else {
                return;
            };
            left = less;
        }
    };
    // Whoever is slower than that does not get to know.
    drop(timeout(LINGER, drain).await);
}

async fn serve(
    shared: &Arc<Shared>,
    agent: Option<Arc<str>>,
    parts: &Parts,
    body: &mut Incoming,
) -> Result<Answer, Refused> {
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
            // Bodies are large: only so many are held at once, and no host may hold them all.
            let _own = shared.hosts.enter(&agent).ok_or_else(|| {
                let reason = "this host sends too many batches at once".to_owned();
                (StatusCode::TOO_MANY_REQUESTS, reason)
            })?;
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

async fn whole(body: &mut Incoming, limit: usize) -> Result<Bytes, Refused> {
    let late = |_| (StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned());
    let too_long = || {
        let reason = format!("the body is longer than {limit} bytes");
        (StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long());
    }
    let read = async {
        let mut whole = Vec::new();
        while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(late)? {
            let frame = frame.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(too_long());
            }
            whole.extend_from_slice(&data);
        }
        Ok(Bytes::from(whole))
    };
    timeout(BODY, read).await.map_err(late)?
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
