//! The agent's side of the scan worker: it is started, given files, and replaced when it ends or stalls.
//!
//! A worker has one set of rules for its life. New rules are a new worker: the old one goes on until the new one has compiled
//! them, and what it holds by then it finishes.
//!
//! What a worker held when it ended is given once more, each file alone: so the one that ends workers is known, and takes no
//! other with it.

use super::cache::{Cache, Key};
use super::child::{Child, Held, Options};
use super::protocol::{Problem, Up};
use super::queue::{Queue, Task};
use super::rules;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use picket_common::event::FileContent;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// What the client has to say.
#[derive(Debug)]
pub enum Heard<T> {
    /// A worker is ready.
    Ready {
        /// Its process.
        pid: u32,
        /// How many rules it has.
        rules: usize,
        /// What is wrong with others; the files that they are in are left out.
        problems: Vec<Problem>,
        /// How long it took to compile them.
        took: Duration,
    },
    /// A file was looked into, or could not be, which its content says.
    Scanned {
        /// What came with the file.
        what: T,
        /// What was found.
        content: FileContent,
    },
    /// A worker ended or could not be started; another one follows.
    Trouble {
        /// Why, in a sentence.
        reason: String,
    },
}

/// How long a worker may take to compile its rules.
const COMPILING: Duration = Duration::from_secs(60);
/// What a worker may be late.
const GRACE: Duration = Duration::from_secs(2);
/// A file that this many workers held when they ended is not given to another.
const TRIES: u32 = 2;
/// After so many starts that came to nothing, and this long without a worker, what waits is not kept waiting any more.
const STARTS: u32 = 4;
const WITHOUT: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Scans what is in the queue until that is stopped or finished, and tells `heard`, for which it waits.
pub fn run<T>(queue: &Queue<T>, options: &Options, heard: impl FnMut(Heard<T>)) {
    let mut client = Client {
        queue,
        options,
        heard,
        children: Vec::new(),
        suspects: VecDeque::new(),
        cache: Cache::new(),
        next_id: 0,
        failures: 0,
        barren: 0,
        last_ready: Instant::now(),
        not_before: Instant::now(),
    };
    while client.turn() {}
    for mut child in client.children.drain(..) {
        child.end();
    }
}

struct Client<'a, T, H> {
    queue: &'a Queue<T>,
    options: &'a Options,
    heard: H,
    /// The last one that is ready is given files; those before it finish theirs.
    children: Vec<Child<T>>,
    /// What was held by a worker that ended.
    suspects: VecDeque<Held<T>>,
    cache: Cache,
    next_id: u64,
    /// Workers that ended since the last result.
    failures: u32,
    /// Workers in a row that never had their rules.
    barren: u32,
    /// When there was a worker, or might have been.
    last_ready: Instant,
    not_before: Instant,
}

impl<T, H: FnMut(Heard<T>)> Client<'_, T, H> {
    /// Whether to go on.
    fn turn(&mut self) -> bool {
        self.queue.rest();
        let orders = self.queue.orders();
        if orders.stop {
            return false;
        }
        if orders.reload || (self.children.is_empty() && Instant::now() >= self.not_before) {
            self.start();
        }
        if self.children.iter().any(|child| child.is_ready) {
            self.last_ready = Instant::now();
        } else if self.barren >= STARTS && self.last_ready.elapsed() > WITHOUT {
            self.give_up();
        }
        self.hand_out();
        let held: usize = self.children.iter().map(|child| child.held.len()).sum();
        self.queue
            .count(|backlog| backlog.held = held + self.suspects.len());
        if orders.finish && held == 0 && self.suspects.is_empty() && self.queue.is_empty() {
            return false;
        }
        self.wait();
        for at in (0..self.children.len()).rev() {
            self.hear(at);
        }
        self.end_the_late();
        self.end_the_replaced();
        true
    }

    fn start(&mut self) {
        let (sources, problems) = rules::gather(&self.options.rules);
        for problem in problems {
            self.trouble(problem.to_string());
        }
        match Child::start(self.options, &sources) {
            Ok(child) => self.children.push(child),
            Err(error) => {
                self.barren = self.barren.saturating_add(1);
                self.failed(format!("the scanner could not be started: {error}"));
            }
        }
    }

    fn failed(&mut self, reason: String) {
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(12))
            .min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + wait;
        self.queue.count(|backlog| backlog.deaths += 1);
        self.trouble(reason);
    }

    fn trouble(&mut self, reason: String) {
        (self.heard)(Heard::Trouble { reason });
    }

    /// Nobody is there to scan, and was not for long: what waits goes on without.
    fn give_up(&mut self) {
        while let Some(held) = self.suspects.pop_front() {
            self.unscanned(held.task, "no scanner could be started");
        }
        while let Some(task) = self.queue.next() {
            self.unscanned(task, "no scanner could be started");
        }
    }

    fn hand_out(&mut self) {
        let Some(at) = self.children.iter().rposition(|child| child.is_ready) else {
            return;
        };
        // One more for each thread, so that none has to wait for the next.
        let most = self.options.limits.threads.max(1) * 2;
        while let Some(child) = self.children.get(at) {
            let held = child.held.len();
            let alone = child.held.values().any(|held| held.tries > 0);
            let next = if !self.suspects.is_empty() || alone {
                // It waits until nobody else can be meant.
                if held > 0 {
                    return;
                }
                self.suspects.pop_front()
            } else if held < most {
                self.next()
            } else {
                return;
            };
            let Some(next) = next else { return };
            if !self.give(at, next) {
                return;
            }
        }
    }

    /// The next file whose result is not known yet.
    fn next(&mut self) -> Option<Held<T>> {
        loop {
            let task = self.queue.next()?;
            let key = Key::of(&task.file, &task.path);
            if let Some(content) = key.as_ref().and_then(|key| self.cache.get(key)) {
                let content = content.clone();
                self.queue.count(|backlog| backlog.known += 1);
                let what = task.what;
                (self.heard)(Heard::Scanned { what, content });
                continue;
            }
            return Some(Held {
                task,
                tries: 0,
                since: Instant::now(),
                key,
            });
        }
    }

    /// Whether the worker takes more.
    fn give(&mut self, at: usize, mut held: Held<T>) -> bool {
        let Some(child) = self.children.get_mut(at) else {
            return false;
        };
        held.since = Instant::now();
        self.next_id += 1;
        match child.give(self.next_id, held) {
            Ok(()) => true,
            Err(failed) if failed.0.kind() == io::ErrorKind::FileTooLarge => {
                self.unscanned(failed.1.task, "its path is too long");
                true
            }
            // It is gone, which is heard next; the file is not to blame.
            Err(failed) => {
                self.suspects.push_front(failed.1);
                false
            }
        }
    }

    /// Waits for a worker, for the queue, or for the next thing that is late.
    fn wait(&self) {
        let now = Instant::now();
        let lates = self.children.iter().flat_map(|child| {
            let held = child.held.values().map(|held| held.since + self.patience());
            held.chain((!child.is_ready).then_some(child.started + COMPILING))
        });
        let starts = self.children.is_empty().then_some(self.not_before);
        let next = lates.chain(starts).min();
        let span = next.map(|next| next.saturating_duration_since(now) + Duration::from_millis(1));
        let timeout = span.map_or(PollTimeout::NONE, |span| {
            PollTimeout::try_from(span).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.queue.signal(), PollFlags::POLLIN)];
        let signals = self.children.iter().map(Child::signal);
        fds.extend(signals.map(|signal| PollFd::new(signal, PollFlags::POLLIN)));
        // An interruption only makes the wait shorter.
        let _ = poll(&mut fds, timeout);
    }

    /// How long a file may be held: behind another, each looked into and then once more for the rule that took long.
    fn patience(&self) -> Duration {
        self.options.limits.time * 4 + GRACE
    }

    fn hear(&mut self, at: usize) {
        while let Some(child) = self.children.get_mut(at) {
            match child.hear() {
                Ok(None) => return,
                Ok(Some(Up::Ready {
                    rules,
                    problems,
                    more,
                })) => {
                    child.is_ready = true;
                    self.barren = 0;
                    let (pid, took) = (child.pid(), child.started.elapsed());
                    self.cache.clear();
                    (self.heard)(Heard::Ready {
                        pid,
                        rules,
                        problems,
                        took,
                    });
                    if more > 0 {
                        self.trouble(format!("{more} more files of rules have mistakes"));
                    }
                }
                Ok(Some(Up::Scanned { id, content })) => {
                    self.failures = 0;
                    // What it was not given is of no interest.
                    let Some(held) = child.held.remove(&id) else {
                        continue;
                    };
                    if let Some(key) = held.key {
                        self.cache.keep(key, &content);
                    }
                    self.queue.count(|backlog| {
                        backlog.scanned += 1;
                        backlog.partial += u64::from(content.unscanned.is_some());
                    });
                    let what = held.task.what;
                    (self.heard)(Heard::Scanned { what, content });
                }
                Err(_) => {
                    self.bury(at, "ended");
                    return;
                }
            }
        }
    }

    fn end_the_late(&mut self) {
        let (now, patience) = (Instant::now(), self.patience());
        for at in (0..self.children.len()).rev() {
            let is_late = self.children.get(at).is_some_and(|child| {
                let stalls = child.held.values().any(|held| now > held.since + patience);
                stalls || (!child.is_ready && now > child.started + COMPILING)
            });
            if is_late {
                self.bury(at, "did not answer in time");
            }
        }
    }

    /// A worker with old rules that holds nothing has nothing more to do.
    fn end_the_replaced(&mut self) {
        let Some(last) = self.children.iter().rposition(|child| child.is_ready) else {
            return;
        };
        for at in (0..last).rev() {
            if self.children.get(at).is_some_and(|child| child.held.is_empty()) {
                self.children.remove(at).end();
            }
        }
    }

    fn bury(&mut self, at: usize, how: &str) {
        let mut child = self.children.remove(at);
        let status = child.end();
        let what = if child.is_ready {
            "the scanner"
        } else {
            self.barren = self.barren.saturating_add(1);
            "the scanner, which was loading its rules,"
        };
        self.failed(format!("{what} {how} ({status})"));
        let mut held: Vec<_> = child.held.drain().collect();
        held.sort_by_key(|(id, _)| *id);
        for (_, mut held) in held {
            held.tries += 1;
            if held.tries < TRIES {
                self.suspects.push_back(held);
            } else {
                let reason = format!("the scanner {how} whenever it held this file ({status})");
                self.unscanned(held.task, &reason);
            }
        }
    }

    fn unscanned(&mut self, task: Task<T>, reason: &str) {
        self.queue.count(|backlog| backlog.unscanned += 1);
        let content = FileContent {
            unscanned: Some(reason.into()),
            ..FileContent::default()
        };
        let what = task.what;
        (self.heard)(Heard::Scanned { what, content });
    }
}
