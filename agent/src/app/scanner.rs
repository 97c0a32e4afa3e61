//! The threads that have files looked into before they are judged.

use super::AppError;
use super::spawn;
use crate::config::Settings;
use crate::enrich::Enricher;
use crate::observation::{Body, Cursor, Observation, Origin};
use crate::queue::{Closed, Sender};
use crate::scan::{self, Heard, Limits, Options, Queue, Submitted, Task};
use crate::sys::unprivileged;
use picket_common::event::FileContent;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// So many files wait to be looked into; a sensor that finds them waits. Each is open, and sensors open no more than 512.
const WAITING: usize = 256;

/// A file that waits, with its number among those of its source.
pub(super) type Waiting = (u64, Observation);

/// What both threads share.
struct Scanner {
    queue: Arc<Queue<Waiting>>,
    /// Held while something is handed on: what comes later is never handed on as if all before it had been.
    places: Mutex<Places>,
    observed: Sender<Observation>,
}

/// What is to be scanned, for those who ask how much waits and who load rules anew.
pub(super) fn queue() -> Result<Arc<Queue<Waiting>>, AppError> {
    let queue = Queue::new(WAITING).map_err(|error| AppError::System("eventfd", error))?;
    Ok(Arc::new(queue))
}

/// Starts the threads. They end once nothing can land any more; what waits then is found again by the next run, as its sensor has
/// not been told that it was judged.
pub(super) fn start(
    settings: &Settings,
    queue: Arc<Queue<Waiting>>,
    landed: Receiver<Observation>,
    enricher: Arc<Mutex<Enricher>>,
    observed: Sender<Observation>,
) -> Result<[JoinHandle<()>; 2], AppError> {
    let options = Options {
        program: "/proc/self/exe".into(),
        user: unprivileged(&settings.send.user),
        limits: Limits::default(),
        rules: settings.detect.rules.clone(),
    };
    let scanner = Arc::new(Scanner {
        queue,
        places: Mutex::default(),
        observed,
    });
    let scanning = Arc::clone(&scanner);
    let scanning = spawn("scan", move || {
        let hear = |heard| scanning.hear(heard);
        scan::run(&scanning.queue, &options, hear);
    })?;
    let taking = spawn("files", move || {
        for seen in landed {
            if scanner.take(seen, &enricher).is_err() {
                break;
            }
        }
        scanner.queue.stop();
    })?;
    Ok([scanning, taking])
}

impl Scanner {
    /// Lets a file wait until it was looked into. What cannot be goes on at once.
    fn take(&self, mut seen: Observation, enricher: &Mutex<Enricher>) -> Result<(), Closed> {
        let number = self.places().begin(&mut seen.origin);
        let observed = seen.observed;
        let Body::File(file) = &mut seen.body else {
            return self.pass(number, seen);
        };
        enricher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(file, observed);
        let (path, owner) = (file.event.path.to_string(), file.event.owner.clone());
        let Some(open) = file.file.take() else {
            return self.pass(number, seen);
        };
        if !self.queue.wait_for_room() {
            return Err(Closed);
        }
        let task = Task {
            file: open,
            path,
            owner: owner.unwrap_or_default().into(),
            what: (number, seen),
        };
        match self.queue.submit(task) {
            Ok(Submitted::Waits) => Ok(()),
            // Its last state is looked into; that it was written in between is told all the same.
            Ok(Submitted::Replaces((number, seen))) => self.pass(number, seen),
            Ok(Submitted::Full((number, mut seen))) => {
                put(&mut seen, unscanned("there was no room for it"));
                self.pass(number, seen)
            }
            Err(error) => {
                // The kernel does not know a descriptor that it gave; nothing of the file is left.
                tracing::error!("a file that landed cannot be looked at: {error}");
                Ok(())
            }
        }
    }

    fn hear(&self, heard: Heard<Waiting>) {
        match heard {
            Heard::Scanned {
                what: (number, mut seen),
                content,
            } => {
                put(&mut seen, content);
                if self.pass(number, seen).is_err() {
                    self.queue.stop();
                }
            }
            Heard::Ready {
                pid,
                rules,
                problems,
                took,
            } => {
                for problem in problems {
                    tracing::warn!("{problem}");
                }
                tracing::info!(
                    "files are scanned by process {pid} with {rules} YARA rules, compiled in {took:?}"
                );
            }
            Heard::Trouble { reason } => tracing::warn!("{reason}"),
        }
    }

    fn pass(&self, number: u64, mut seen: Observation) -> Result<(), Closed> {
        let mut places = self.places();
        seen.origin.cursor = places.end(&seen.origin, number);
        self.observed.wait(seen)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(seen: &mut Observation, content: FileContent) {
    if let Body::File(file) = &mut seen.body {
        file.event.content = Some(content.into());
    }
}

fn unscanned(reason: &str) -> FileContent {
    FileContent {
        unscanned: Some(reason.into()),
        ..FileContent::default()
    }
}

/// What is looked into, by source. Files come back in another order than they landed in: a source has been read as far as all of
/// it came back.
#[derive(Default)]
struct Places {
    next: u64,
    open: HashMap<Arc<str>, BTreeMap<u64, Place>>,
}

struct Place {
    cursor: Option<Cursor>,
    is_back: bool,
}

impl Places {
    /// Numbers what is to be looked into, and keeps its cursor.
    fn begin(&mut self, origin: &mut Origin) -> u64 {
        let number = self.next;
        self.next += 1;
        let place = Place {
            cursor: origin.cursor.take(),
            is_back: false,
        };
        let open = self.open.entry(Arc::clone(&origin.source)).or_default();
        open.insert(number, place);
        number
    }

    /// It came back: how far its source has been read with it, if that is further than before.
    fn end(&mut self, origin: &Origin, number: u64) -> Option<Cursor> {
        let open = self.open.get_mut(&origin.source)?;
        open.get_mut(&number)?.is_back = true;
        let mut read = None;
        while let Some(first) = open.first_entry().filter(|first| first.get().is_back) {
            read = first.remove().cursor.or(read);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_far_as_all_of_it_came_back() {
        let mut places = Places::default();
        let origin = |source: &str, number: Option<u64>| Origin {
            source: source.into(),
            position: Vec::new(),
            cursor: number.map(|number| Cursor::Number { number }),
        };
        let [mut one, mut two, mut three] = [Some(1), Some(2), None].map(|at| origin("a", at));
        let mut other = origin("b", Some(9));
        let numbers = [&mut one, &mut two, &mut three, &mut other].map(|origin| places.begin(origin));
        assert!(one.cursor.is_none());
        assert_eq!(places.end(&two, numbers[1]), None, "the first is not back");
        assert_eq!(places.end(&other, numbers[3]), Some(Cursor::Number { number: 9 }));
        assert_eq!(places.end(&one, numbers[0]), Some(Cursor::Number { number: 2 }));
        assert_eq!(places.end(&three, numbers[2]), None);
        assert!(places.open.values().all(BTreeMap::is_empty));
    }
}
