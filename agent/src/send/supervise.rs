//! The agent's side of the courier: it is started, heard, and started again when it ends.

use super::backoff::Backoff;
use super::identity::Identity;
use super::protocol::{Down, Progress, Up};
use crate::sys::ended_within;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the courier is started.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The folder of the spool.
    pub spool: PathBuf,
    /// The file of the identity.
    pub identity: PathBuf,
    /// The user and group to run it as; `None` is the agent's own.
    pub user: Option<(u32, u32)>,
}

/// The hand that other threads have on the courier.
#[derive(Debug, Default)]
pub struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    socket: Option<UnixStream>,
    stopping: bool,
    nudged: bool,
}

impl Watch {
    /// Tells the courier that there is something new in the spool.
    pub fn spooled(&self) {
        if let Some(socket) = &self.state().socket {
            // A full socket holds enough of these already.
            drop((&*socket).write(b"\"spooled\"\n"));
        }
    }

    /// Ends the wait for an identity or for the next try.
    pub fn nudge(&self) {
        self.state().nudged = true;
        self.changed.notify_all();
    }

    /// Ends the courier and its supervision.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        if let Some(socket) = &state.socket {
            // It may have ended by itself.
            drop(socket.shutdown(Shutdown::Both));
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a nudge, or for at most `span`.
    fn wait(&self, span: Duration) {
        let quiet = |state: &mut State| !state.stopping && !state.nudged;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.state(), span, quiet)
            .unwrap_or_else(PoisonError::into_inner);
        state.nudged = false;
    }
}

impl Supervisor {
    /// Keeps a courier running until `watch` is stopped. What it says goes to `said`; `progress` tells where it goes on.
    pub fn run(&self, watch: &Watch, progress: impl Fn() -> Progress, said: impl Fn(Up)) {
        let mut backoff = Backoff::default();
        let mut last_trouble = String::new();
        while !watch.state().stopping {
            let identity = match Identity::read(&self.identity) {
                Ok(identity) => identity,
                Err(error) => {
                    let reason = error.to_string();
                    if reason != last_trouble {
                        said(Up::Trouble {
                            reason: reason.clone(),
                        });
                        last_trouble = reason;
                    }
                    watch.wait(UNENROLLED);
                    continue;
                }
            };
            last_trouble.clear();
            let mut heard = false;
            let ended = self.once(watch, identity, progress(), |up| {
                heard |= matches!(up, Up::Acknowledged { .. });
                self.keep(&up);
                said(up);
            });
            if heard {
                backoff.reset();
            }
            let reason = match ended {
                Ok(status) => format!("the courier ended: {status}"),
                Err(error) => format!("the courier could not be run: {error}"),
            };
            if watch.state().stopping {
                break;
            }
            said(Up::Trouble { reason });
            watch.wait(backoff.after_failure());
        }
    }

    fn keep(&self, up: &Up) {
        if let Up::Renewed { identity } = up
            && let Err(error) = identity.write(&self.identity)
        {
            // The courier goes on with the new one; the next start renews the old one again.
            tracing::warn!("the renewed identity could not be kept: {error}");
        }
    }

    fn once(
        &self,
        watch: &Watch,
        identity: Identity,
        progress: Progress,
        mut said: impl FnMut(Up),
    ) -> io::Result<std::process::ExitStatus> {
        let (own, theirs) = UnixStream::pair()?;
        let mut child = self.spawn(theirs.into())?;
        let spoken = self.converse(watch, own, identity, progress, &mut said);
        watch.state().socket = None;
        // The socket is closed by now, so the child ends by itself; should it hang, it must not hold up the stop.
        let status = wait_or_kill(&mut child)?;
        spoken.map(|()| status)
    }

    fn spawn(&self, socket: OwnedFd) -> io::Result<Child> {
        // Neither the binary nor the spool need lie where the courier's user can walk: the binary is the one that runs, and
        // the spool's folder comes as an open descriptor.
        let spool = File::open(&self.spool)?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("picket")
            .args(["courier", "--spool", "/proc/self/fd/1"]);
        command.env_clear().current_dir("/");
        command.stdin(Stdio::from(socket)).stdout(Stdio::from(spool));
        // Signals for the agent are not for the courier, which ends with it.
        command.process_group(0);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.spawn()
    }

    fn converse(
        &self,
        watch: &Watch,
        own: UnixStream,
        identity: Identity,
        progress: Progress,
        said: &mut impl FnMut(Up),
    ) -> io::Result<()> {
        let mut start = serde_json::to_vec(&Down::Start { identity, progress })?;
        start.push(b'\n');
        (&own).write_all(&start)?;
        let poke = own.try_clone()?;
        {
            let mut state = watch.state();
            if state.stopping {
                return Ok(());
            }
            state.socket = Some(poke);
        }
        // What was spooled before there was a socket to say it through may have come after the courier's first look.
        watch.spooled();
        for line in BufReader::new(&own).lines() {
            said(serde_json::from_str(&line?)?);
        }
        // A clone of the socket is still in `watch`, so closing ours would not tell the child.
        drop(own.shutdown(Shutdown::Both));
        Ok(())
    }
}

/// How often a host that is not enrolled looks for its identity, unless it is nudged.
const UNENROLLED: Duration = Duration::from_secs(5);
/// How long a courier may take to end once its socket is closed.
const LAST_WORDS: Duration = Duration::from_secs(5);

fn wait_or_kill(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    if !ended_within(child, LAST_WORDS) {
        child.kill()?;
    }
    child.wait()
}
