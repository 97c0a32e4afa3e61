//! Follows authentication logs that are files, through every kind of rotation.

use super::tail::{LONGEST, Tail};
use super::watch::Watch;
use super::{Broken, Notice, SenseError, Sensor};
use crate::config::Start;
use crate::observation::{Cursor, Observation, Subject};
use crate::queue::Sender;
use crate::sys::Stop;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::SystemTime;

/// How much before the place where reading goes on is read a second time, so that counting rules know what they knew.
const AGAIN: u64 = 4 << 20;
/// A rotated file may still be written to, until its writer has been told.
const ROTATED: usize = 2;

/// See the module. One thread and one inotify instance for all files.
pub struct AuthFile {
    logs: Vec<Log>,
    notices: mpsc::Sender<Notice>,
    buffer: Vec<u8>,
}

struct Log {
    path: PathBuf,
    source: Arc<str>,
    start: Start,
    /// How far it had been read when the agent last ended.
    resume: Option<Cursor>,
    current: Option<Tail>,
    rotated: VecDeque<Tail>,
    complaint: String,
}

impl AuthFile {
    /// What the name of each of its sources begins with.
    pub const SOURCE: &str = "file:";

    /// Follows `files`; `cursors` tells how far each had been read, by source.
    pub fn new(
        files: &[PathBuf],
        start: Start,
        cursors: &BTreeMap<Arc<str>, Cursor>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let log = |path: &PathBuf| {
            let source: Arc<str> = format!("{}{}", Self::SOURCE, path.display()).into();
            Log {
                resume: cursors.get(&source).cloned(),
                path: path.clone(),
                source,
                start,
                current: None,
                rotated: VecDeque::new(),
                complaint: String::new(),
            }
        };
        Self {
            logs: files.iter().map(log).collect(),
            notices,
            buffer: vec![0; LONGEST],
        }
    }

    fn look(&mut self, queue: &Sender<Observation>) -> Result<(), SenseError> {
        for log in &mut self.logs {
            let mut complaint = match log.advance(&mut self.buffer, queue, &self.notices) {
                Ok(()) => String::new(),
                Err(Broken::Closed) => return Ok(()),
                Err(Broken::Source(error)) => {
                    // Once it can be read again, it is gone on with where that ended.
                    if let Some(tail) = log.current.take() {
                        log.resume = Some(tail.cursor());
                    }
                    format!("{}: {error}; it is waited for", log.path.display())
                }
            };
            std::mem::swap(&mut complaint, &mut log.complaint);
            if !log.complaint.is_empty() && log.complaint != complaint {
                tell(&self.notices, Notice::Warning(log.complaint.clone()));
            }
        }
        Ok(())
    }
}

impl Sensor for AuthFile {
    fn name(&self) -> &'static str {
        "auth_file"
    }

    fn describe(&self) -> String {
        let paths: Vec<String> = self
            .logs
            .iter()
            .map(|log| log.path.display().to_string())
            .collect();
        format!("authentication logs {}", paths.join(", "))
    }

    fn sees(&self) -> Vec<Subject> {
        vec![Subject::Logins]
    }

    fn resumes(&self) -> bool {
        true
    }

    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)> {
        let begun = self.logs.iter_mut().map(|log| {
            // What is wrong is said when it is looked at again.
            let cursor = log.begin().ok().flatten()?;
            Some((Arc::clone(&log.source), cursor))
        });
        begun.flatten().collect()
    }

    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError> {
        let files: Vec<PathBuf> = self.logs.iter().map(|log| log.path.clone()).collect();
        let mut watch = Watch::new(&files).map_err(|error| SenseError::System("inotify", error))?;
        // Watched first, looked at second: what happens in between is looked at twice.
        self.look(queue)?;
        while stop
            .wait_for(watch.fd())
            .map_err(|error| SenseError::System("poll", error))?
        {
            if watch
                .take()
                .map_err(|error| SenseError::System("inotify", error))?
            {
                self.look(queue)?;
            }
        }
        Ok(())
    }
}

impl Log {
    /// Goes to the end, where that is where reading begins. Gives the place.
    fn begin(&mut self) -> io::Result<Option<Cursor>> {
        if self.start == Start::Beginning || self.resume.is_some() {
            return Ok(None);
        }
        let cursor = match Tail::open(&self.path) {
            Ok(mut tail) => {
                tail.offset = tail.line_before(tail.length()?, 0)?;
                self.current.insert(tail).cursor()
            }
            // What appears from now on is new from its first line.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Tail::nowhere(),
            Err(error) => return Err(error),
        };
        self.start = Start::Beginning;
        Ok(Some(cursor))
    }

    fn advance(
        &mut self,
        buffer: &mut [u8],
        queue: &Sender<Observation>,
        notices: &mpsc::Sender<Notice>,
    ) -> Result<(), Broken> {
        for tail in &mut self.rotated {
            read(tail, buffer, &self.source, queue, notices)?;
        }
        self.rotated.retain(|tail| !tail.is_removed());
        if self.current.is_none() {
            self.begin()?;
        }
        if let Some(tail) = &mut self.current {
            read(tail, buffer, &self.source, queue, notices)?;
            if tail.is_at(&self.path) {
                return Ok(());
            }
            // What was written between the two looks came before everything in the new file.
            read(tail, buffer, &self.source, queue, notices)?;
            self.rotated.extend(self.current.take());
            while self.rotated.len() > ROTATED {
                self.rotated.pop_front();
            }
        }
        if let Some(at) = self.rotated.iter().position(|tail| tail.is_at(&self.path)) {
            // It was moved away and came back: what was read of it was read.
            self.current = self.rotated.remove(at);
            return Ok(());
        }
        let mut tail = match Tail::open(&self.path) {
            Ok(tail) => tail,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Some(cursor) = self.resume.take() {
            self.resume(&mut tail, &cursor, buffer, queue, notices)?;
        }
        read(&mut tail, buffer, &self.source, queue, notices)?;
        self.current = Some(tail);
        Ok(())
    }

    /// Goes on where the agent ended, be it in a file that has been rotated since.
    fn resume(
        &mut self,
        tail: &mut Tail,
        cursor: &Cursor,
        buffer: &mut [u8],
        queue: &Sender<Observation>,
        notices: &mpsc::Sender<Notice>,
    ) -> Result<(), Broken> {
        let Cursor::File { offset, .. } = cursor else {
            return Ok(());
        };
        if tail.holds(cursor)? {
            return self.go_on(tail, *offset, buffer, queue);
        }
        let mut found = false;
        for path in older(&self.path)? {
            let Ok(mut old) = Tail::open(&path) else { continue };
            if !found && old.holds(cursor)? {
                found = true;
                self.go_on(&mut old, *offset, buffer, queue)?;
            } else if !found {
                continue;
            }
            read(&mut old, buffer, &self.source, queue, notices)?;
            self.rotated.push_back(old);
        }
        while self.rotated.len() > ROTATED {
            self.rotated.pop_front();
        }
        if !found {
            let lost = Notice::Lost {
                place: self.source.to_string(),
                lost: 0,
                reason: "the file that was being read is gone; what was written to it meanwhile is unknown"
                    .to_owned(),
            };
            tell(notices, lost);
        }
        Ok(())
    }

    fn go_on(
        &self,
        tail: &mut Tail,
        offset: u64,
        buffer: &mut [u8],
        queue: &Sender<Observation>,
    ) -> Result<(), Broken> {
        tail.offset = tail.line_before(offset, AGAIN)?;
        tail.read(buffer, Some(offset), &self.source, |seen| {
            queue.wait(seen).map_err(Broken::from)
        })?;
        tail.offset = offset;
        Ok(())
    }
}

fn read(
    tail: &mut Tail,
    buffer: &mut [u8],
    source: &Arc<str>,
    queue: &Sender<Observation>,
    notices: &mpsc::Sender<Notice>,
) -> Result<(), Broken> {
    tail.read(buffer, None, source, |seen| {
        queue.wait(seen).map_err(Broken::from)
    })?;
    let lost = std::mem::take(&mut tail.passed);
    if lost > 0 {
        let reason = format!("a line is longer than {LONGEST} bytes");
        tell(
            notices,
            Notice::Lost {
                place: source.to_string(),
                lost,
                reason,
            },
        );
    }
    Ok(())
}

fn tell(notices: &mpsc::Sender<Notice>, notice: Notice) {
    // Nobody listens once the agent is ending.
    drop(notices.send(notice));
}

/// The rotated forms of a log beside it, the oldest first.
fn older(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let other = entry.file_name();
        let Some(rest) = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes()) else {
            continue;
        };
        if rest.first().is_some_and(|sign| matches!(sign, b'.' | b'-'))
            && let Ok(data) = entry.metadata()
            && let Ok(changed) = data.modified()
        {
            found.push((changed, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
