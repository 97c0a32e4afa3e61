//! What waits to be scanned: bounded, and each file once, for its last state.

use hashlink::LinkedHashMap;
use nix::sys::eventfd::{EfdFlags, EventFd};
use picket_common::event::FileIdentity;
use rustix::fs::fstat;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A file to look into.
#[derive(Debug)]
pub struct Task<T> {
    /// The file, opened for reading. What is looked into is this, and never its path again.
    pub file: OwnedFd,
    /// Its path, as rules may ask for it.
    pub path: String,
    /// The name of its owner, or empty.
    pub owner: String,
    /// What comes back with the answer.
    pub what: T,
}

/// What became of a file that was to be scanned.
#[derive(Debug)]
pub enum Submitted<T> {
    /// It waits.
    Waits,
    /// It waits in the place of an earlier state of the same file under the same path, which is not looked into any more.
    Replaces(T),
    /// There is no room.
    Full(T),
}

/// How much waits and what was done, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Backlog {
    /// Files that wait.
    pub waiting: usize,
    /// Files that a worker holds.
    pub held: usize,
    /// Files that were scanned.
    pub scanned: u64,
    /// Those of them that were scanned only in part, as for a limit.
    pub partial: u64,
    /// Files whose result was known already.
    pub known: u64,
    /// Files that were written again before they were scanned.
    pub replaced: u64,
    /// Files that had no room.
    pub refused: u64,
    /// Files that could not be scanned at all.
    pub unscanned: u64,
    /// Workers that ended or were ended before their time.
    pub deaths: u64,
}

/// See the module. `T` is what comes back with the answer for a file.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    room: Condvar,
    wake: EventFd,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: LinkedHashMap<(FileIdentity, String), Task<T>>,
    backlog: Backlog,
    orders: Orders,
}

/// What the client is to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    pub(super) stop: bool,
    pub(super) finish: bool,
    pub(super) reload: bool,
}

impl<T> Queue<T> {
    /// A queue in which at most so many files wait. Each is an open descriptor.
    pub fn new(most: usize) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                waiting: LinkedHashMap::new(),
                backlog: Backlog::default(),
                orders: Orders::default(),
            }),
            room: Condvar::new(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            most,
        })
    }

    /// Lets a file wait; never waits itself.
    pub fn submit(&self, task: Task<T>) -> io::Result<Submitted<T>> {
        let stat = fstat(&task.file)?;
        let identity = FileIdentity {
            device: stat.st_dev,
            inode: stat.st_ino,
        };
        let key = (identity, task.path.clone());
        let mut state = self.state();
        if let Some(waits) = state.waiting.get_mut(&key) {
            let earlier = std::mem::replace(waits, task);
            state.backlog.replaced += 1;
            return Ok(Submitted::Replaces(earlier.what));
        }
        if state.waiting.len() >= self.most {
            state.backlog.refused += 1;
            return Ok(Submitted::Full(task.what));
        }
        state.waiting.insert(key, task);
        drop(state);
        self.wake();
        Ok(Submitted::Waits)
    }

    /// Waits until there is room for a file. Whether there will be any: not once it was stopped.
    pub fn wait_for_room(&self) -> bool {
        let is_full = |state: &mut State<T>| state.waiting.len() >= self.most && !state.orders.stop;
        let state = self.room.wait_while(self.state(), is_full);
        !state.unwrap_or_else(PoisonError::into_inner).orders.stop
    }

    /// Loads the rules anew. Files are scanned by the old ones until the new ones are there.
    pub fn reload(&self) {
        self.state().orders.reload = true;
        self.wake();
    }

    /// Ends once nothing waits any more.
    pub fn finish(&self) {
        self.state().orders.finish = true;
        self.wake();
    }

    /// Ends now.
    pub fn stop(&self) {
        self.state().orders.stop = true;
        self.wake();
        self.room.notify_all();
    }

    /// How much waits.
    pub fn backlog(&self) -> Backlog {
        let state = self.state();
        let waiting = state.waiting.len();
        Backlog {
            waiting,
            ..state.backlog
        }
    }

    /// The file that waits longest.
    pub(super) fn next(&self) -> Option<Task<T>> {
        let (_, task) = self.state().waiting.pop_front()?;
        self.room.notify_one();
        Some(task)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().waiting.is_empty()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Backlog)) {
        change(&mut self.state().backlog);
    }

    /// What is to be done; a reload is told once.
    pub(super) fn orders(&self) -> Orders {
        let mut state = self.state();
        let orders = state.orders;
        state.orders.reload = false;
        orders
    }

    /// Can be read when there is something new, until [`Self::rest`].
    pub(super) fn signal(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub(super) fn rest(&self) {
        // There may have been nothing.
        let _ = self.wake.read();
    }

    fn wake(&self) {
        // A counter that is full is a signal as well.
        let _ = self.wake.write(1);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn task(file: &File, path: &str, what: usize) -> Task<usize> {
        Task {
            file: file.try_clone().unwrap().into(),
            path: path.to_owned(),
            owner: String::new(),
            what,
        }
    }

    #[test]
    fn a_file_that_is_written_a_thousand_times_waits_once_for_its_last_state() {
        let queue = Queue::new(2).unwrap();
        let (file, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        assert!(matches!(queue.submit(task(&file, "/a", 0)), Ok(Submitted::Waits)));
        assert!(matches!(
            queue.submit(task(&other, "/b", 0)),
            Ok(Submitted::Waits)
        ));
        for turn in 1..1000 {
            let submitted = queue.submit(task(&file, "/a", turn)).unwrap();
            assert!(matches!(submitted, Submitted::Replaces(earlier) if earlier == turn - 1));
        }
        // Under another name it is another question.
        assert!(matches!(
            queue.submit(task(&file, "/c", 7)),
            Ok(Submitted::Full(7))
        ));
        let backlog = queue.backlog();
        assert_eq!((backlog.waiting, backlog.replaced, backlog.refused), (2, 999, 1));
        let first = queue.next().unwrap();
        assert_eq!(
            (first.path.as_str(), first.what),
            ("/a", 999),
            "its place was kept"
        );
    }
}
