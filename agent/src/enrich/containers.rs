//! The container or unit that a process runs in, by its control group.

use crate::parse::cgroup;
use crate::sys::Process;
use hashlink::LruCache;
use picket_common::event::{Container, ExecEvent};

/// So many control groups are remembered.
const MOST: usize = 4096;

/// Remembers what each control group is. A group's number is never given twice while the host runs.
pub(super) struct Containers(LruCache<u64, Option<Box<Container>>>);

impl Default for Containers {
    fn default() -> Self {
        Self(LruCache::new(MOST))
    }
}

impl Containers {
    /// What a program runs in. The first in a group is looked at; one that has ended by then says nothing, and the next is.
    pub(super) fn of(&mut self, exec: &ExecEvent) -> Option<Box<Container>> {
        if let Some(known) = exec.cgroup.and_then(|id| self.0.get(&id)) {
            return known.clone();
        }
        let process = Process::open(exec.process.pid).ok()?;
        let text = process.cgroup().ok()?;
        if process.stat().ok()?.process != exec.process {
            return None;
        }
        let text = String::from_utf8_lossy(&text);
        let found = cgroup::container(&text).map(Box::new);
        // The number is that of version 2, which tells nothing where containers are made with version 1.
        let is_unified = text.lines().all(|line| line.starts_with("0::"));
        if let Some(id) = exec.cgroup.filter(|_| is_unified) {
            self.0.insert(id, found.clone());
        }
        found
    }
}
