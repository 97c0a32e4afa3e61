//! The child process that looks into files.
//!
//! It reads what anybody may have written, so it holds nothing that is worth taking and can do nothing with what it is told
//! to do: see [`sandbox`](super::sandbox). Its threads take requests from one socket and answer there, in any order.

use super::look::Look;
use super::protocol::{Down, LONGEST, Problem, Up, receive, send};
use super::rules;
use super::sandbox::{self, SandboxError};
use super::yara::{Rules, cut};
use crate::sys::yield_to_others;
use picket_common::event::FileContent;
use rustix::net::RecvFlags;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{OnceLock, mpsc};
use std::thread;

/// How far it steps behind others: to a quarter of what they get. Much less, and whoever keeps the processors busy keeps files
/// from being looked into in time.
const NICE: i32 = 5;
/// As many problems of rules are told.
const MOST_PROBLEMS: usize = 100;
/// A rule may nest its conditions, an archive its archives.
const STACK: usize = 4 << 20;

/// Why the worker gave up; the agent starts another.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The agent is gone, or says what the worker does not understand.
    #[error("the agent cannot be heard: {0}")]
    Agent(#[from] io::Error),
    /// It would have had more rights than it should.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Scans until the agent hangs up. `agent` is this end of the pair of sockets.
pub fn worker(agent: OwnedFd) -> Result<(), WorkerError> {
    let mut room = vec![0; LONGEST];
    let started = receive(&agent, &mut room, RecvFlags::empty())?;
    let Some((Down::Start { limits }, Some(file))) = started else {
        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
    };
    // Slower than the others is better than not at all.
    drop(yield_to_others(NICE));
    sandbox::give_up(limits.memory)?;
    let rules: OnceLock<Option<Rules>> = OnceLock::new();
    let (begun, is_begun) = mpsc::channel();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..limits.threads.max(1) {
            let (agent, rules, limits, begun) = (&agent, &rules, &limits, begun.clone());
            let run = move || {
                drop(begun);
                match rules.wait() {
                    Some(rules) => serve(agent, Look::with(rules.clone(), *limits)),
                    None => Ok(()),
                }
            };
            threads.push(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run));
        }
        // A thread that begins makes calls that are not needed later. This ends when all have dropped their end.
        drop(begun);
        let _: Result<(), _> = is_begun.recv();
        let prepared = prepare(&agent, file);
        let (compiled, failed) = match prepared {
            Ok(compiled) => (Some(compiled), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Nobody else sets it.
        drop(rules.set(compiled));
        failed?;
        for thread in threads {
            thread?
                .join()
                .map_err(|_| io::Error::other("a thread failed"))??;
        }
        Ok(())
    })
}

/// Once all threads are there.
fn prepare(agent: &OwnedFd, file: OwnedFd) -> Result<Rules, WorkerError> {
    sandbox::give_up_calls()?;
    let (compiled, mut problems) = Rules::compile(&rules::unpack(file)?);
    let more = problems.len().saturating_sub(MOST_PROBLEMS);
    problems.truncate(MOST_PROBLEMS);
    problems.iter_mut().for_each(shorten);
    let ready = Up::Ready {
        rules: compiled.count(),
        problems,
        more,
    };
    send(agent.as_fd(), &ready, None)?;
    Ok(compiled)
}

fn shorten(problem: &mut Problem) {
    problem.file = cut(&problem.file).into();
}

fn serve(agent: &OwnedFd, mut look: Look) -> io::Result<()> {
    let mut room = vec![0; LONGEST];
    while let Some((down, file)) = receive(agent, &mut room, RecvFlags::empty())? {
        let (Down::Scan { id, path, owner }, Some(file)) = (down, file) else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        // A fault in a parser is one file that is not scanned. What it left behind is this file's own.
        let looked = catch_unwind(AssertUnwindSafe(|| look.inspect(&file, &path, &owner)));
        let content = looked.unwrap_or_else(|_| FileContent {
            unscanned: Some("the scanner failed at it".into()),
            ..FileContent::default()
        });
        answer(agent, id, content)?;
    }
    Ok(())
}

fn answer(agent: &OwnedFd, id: u64, content: FileContent) -> io::Result<()> {
    let mut up = Up::Scanned { id, content };
    loop {
        match send(agent.as_fd(), &up, None) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {}
            done => return done,
        }
        // Names that are all signs to be escaped take more room than others.
        let Up::Scanned { content, .. } = &mut up else {
            return Ok(());
        };
        content.matches.truncate(content.matches.len() / 2);
        content.unscanned = Some("more rules match than there is room to tell".into());
    }
}
