//! The child process that carries the spool to the collector.
//!
//! Each lane has a connection of its own, so that a finding never waits behind a batch of events. A batch goes out as it
//! lies in the spool: the frames are compressed once, when they are written.

use super::backoff::Backoff;
use super::dial::{self, Connection, DialError, Endpoint};
use super::enroll;
use super::identity::Identity;
use super::protocol::{Down, Progress, Up};
use crate::spool::{Reader, SpoolError};
use picket_common::record::Lane;
use picket_common::time::Timestamp;
use picket_common::wire::{RECORDS_PATH, Receipt};
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, watch};

/// How many compressed bytes go out at once: enough to keep a link busy, little enough to hold twice.
const CHUNK: usize = 512 << 10;
/// How often the certificate's age is looked at.
const AGE_CHECK: Duration = Duration::from_secs(3600);

/// Why the courier gave up; the agent starts another.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The agent is gone, or says what the courier does not understand.
    #[error("the agent cannot be heard: {0}")]
    Agent(#[from] io::Error),
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] DialError),
}

/// Carries until the agent hangs up. `agent` is this end of the pair of sockets.
pub fn courier(agent: OwnedFd, spool: &Path) -> Result<(), CourierError> {
    let agent = StdUnixStream::from(agent);
    agent.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (input, output) = UnixStream::from_std(agent)?.into_split();
        let mut input = BufReader::new(input);
        let Some(Down::Start { identity, progress }) = hear(&mut input).await? else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        let endpoint: Endpoint = identity.collector.parse()?;
        let (identity_in, identity) = watch::channel(identity);
        let (up, said) = mpsc::channel(64);
        let spooled = [Notify::new(), Notify::new()];
        let [findings, events] = &spooled;
        let load = |lane, after, spooled| Load {
            lane,
            after,
            spooled,
            endpoint: endpoint.clone(),
            identity: identity.clone(),
            up: up.clone(),
        };
        let Progress {
            findings: findings_after,
            events: events_after,
        } = progress;
        let findings_load = load(Lane::Findings, findings_after, findings);
        let events_load = load(Lane::Events, events_after, events);
        tokio::select! {
            ended = listen(&mut input, &spooled) => ended,
            ended = speak(output, said) => ended,
            failed = carry(findings_load, spool) => failed.map(|_| ()),
            failed = carry(events_load, spool) => failed.map(|_| ()),
            failed = stay_valid(&endpoint, &identity_in, &up) => failed.map(|_| ()),
        }
    })
}

async fn hear(input: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Down>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

async fn listen(input: &mut BufReader<OwnedReadHalf>, spooled: &[Notify; 2]) -> Result<(), CourierError> {
    while hear(input).await?.is_some() {
        spooled.iter().for_each(Notify::notify_one);
    }
    Ok(())
}

async fn speak(mut output: OwnedWriteHalf, mut said: mpsc::Receiver<Up>) -> Result<(), CourierError> {
    while let Some(up) = said.recv().await {
        let mut line = serde_json::to_vec(&up).map_err(io::Error::from)?;
        line.push(b'\n');
        output.write_all(&line).await?;
    }
    Ok(())
}

/// One lane's work.
struct Load<'a> {
    lane: Lane,
    after: u64,
    spooled: &'a Notify,
    endpoint: Endpoint,
    identity: watch::Receiver<Identity>,
    up: mpsc::Sender<Up>,
}

async fn carry(mut load: Load<'_>, spool: &Path) -> Result<Infallible, CourierError> {
    let mut reader = Reader::open(spool, load.lane);
    let path = format!("{RECORDS_PATH}{}", load.lane.as_str());
    let mut backoff = Backoff::default();
    let mut connection = None;
    loop {
        let Some(chunk) = reader.next(load.after, CHUNK)? else {
            load.spooled.notified().await;
            continue;
        };
        match load.deliver(&mut connection, &path, chunk.payload).await {
            Ok(receipt) => {
                backoff.reset();
                load.took(receipt).await;
            }
            Err(error) => {
                connection = None;
                let mut reason = error.to_string();
                // A collector that does not know the certificate any more just hangs up.
                if has_expired(&load.identity.borrow(), jiff::Timestamp::now().into()) {
                    reason.push_str("; this host's certificate has expired: enrol this host again");
                }
                load.say(Up::Trouble { reason }).await;
                tokio::time::sleep(backoff.after_failure()).await;
            }
        }
    }
}

impl Load<'_> {
    async fn deliver(
        &mut self,
        connection: &mut Option<Connection>,
        path: &str,
        payload: Vec<u8>,
    ) -> Result<Receipt, DialError> {
        if self.identity.has_changed().unwrap_or(false) {
            *connection = None;
        }
        if let Some(open) = connection {
            match open.post(path, Some("zstd"), payload.clone()).await {
                // The collector closes what was idle for long; that is no failure, the next connection tells.
                Err(DialError::Broken(_)) => *connection = None,
                done => return done,
            }
        }
        let config = dial::mutual(&self.identity.borrow_and_update())?;
        let open = connection.insert(Connection::open(&self.endpoint, config).await?);
        let address = open.peer();
        self.say(Up::Reached { address }).await;
        open.post(path, Some("zstd"), payload).await
    }

    async fn took(&mut self, receipt: Receipt) {
        let Receipt {
            acknowledged,
            refused,
            ..
        } = receipt;
        if let Some(first) = refused.first() {
            self.say(Up::Refused {
                lane: self.lane,
                count: refused.len() as u64,
                reason: first.reason.clone(),
            })
            .await;
        }
        match acknowledged {
            Some(sequence) if sequence > self.after => {
                self.after = sequence;
                self.say(Up::Acknowledged {
                    lane: self.lane,
                    sequence,
                })
                .await;
            }
            _ => {
                // Without this a collector that never acknowledges would be sent the same for ever, at full speed.
                self.say(Up::Trouble {
                    reason: "the collector acknowledged nothing of a batch".to_owned(),
                })
                .await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }

    async fn say(&self, up: Up) {
        // When nobody hears any more, `speak` has ended, and with it this process.
        drop(self.up.send(up).await);
    }
}

/// Renews the certificate once two thirds of its life are over.
async fn stay_valid(
    endpoint: &Endpoint,
    identity: &watch::Sender<Identity>,
    up: &mpsc::Sender<Up>,
) -> Result<Infallible, CourierError> {
    loop {
        let present = identity.borrow().clone();
        if two_thirds_over(&present, jiff::Timestamp::now().into()) {
            let renewed = async {
                let mut connection = Connection::open(endpoint, dial::mutual(&present)?).await?;
                enroll::renew(&mut connection, &present).await
            };
            let said = match renewed.await {
                Ok(renewed) => {
                    identity.send_replace(renewed.clone());
                    Up::Renewed { identity: renewed }
                }
                Err(error) => Up::Trouble {
                    reason: format!("the certificate could not be renewed: {error}"),
                },
            };
            drop(up.send(said).await);
        }
        tokio::time::sleep(AGE_CHECK).await;
    }
}

/// Whether two thirds of a certificate's life are over; one that cannot be read is as good as over.
fn two_thirds_over(identity: &Identity, now: Timestamp) -> bool {
    identity
        .validity()
        .is_none_or(|(from, to)| now.since(from) >= to.since(from) / 3 * 2)
}

fn has_expired(identity: &Identity, now: Timestamp) -> bool {
    identity.validity().is_some_and(|(_, to)| now > to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(Vec::new()).unwrap();
        wanted.not_before = rcgen::date_time_ymd(2026, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2026, 1, 31);
        let mut identity = Identity {
            collector: String::new(),
            agent: String::new(),
            authority: String::new(),
            certificate: wanted.self_signed(&key).unwrap().pem(),
            key: String::new(),
        };
        let day = |day: i64| Timestamp::from_micros((1_767_225_600 + day * 86_400) * 1_000_000);
        assert!(!two_thirds_over(&identity, day(0)));
        assert!(!two_thirds_over(&identity, day(19)));
        assert!(two_thirds_over(&identity, day(20)));
        assert!(two_thirds_over(&identity, day(400)));
        assert!(!has_expired(&identity, day(29)));
        assert!(has_expired(&identity, day(31)));
        identity.certificate = "nonsense".to_owned();
        assert!(two_thirds_over(&identity, day(0)));
    }
}
