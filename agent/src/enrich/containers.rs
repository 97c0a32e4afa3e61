//! The container or unit that a process runs in, by its control group.

use crate::parse::cgroup;
use crate::sys::Process;
use hashlink::LruCache;
use picket_common::event::{Container, ExecEvent};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::time::Duration;

/// So many control groups, and parents, are remembered.
const MOST: usize = 4096;
/// How long what one process started is taken to be where its last child was.
const ALIKE: Duration = Duration::from_secs(1);
/// How long it is not tried again what one parent started, when that had ended.
const GONE: Duration = Duration::from_millis(20);
/// systemd starts each process in a group of its own.
const INIT: u32 = 1;

/// Remembers what each control group is.
///
/// Where there is only version 2, a group has a number, which is never given twice while the host runs. Version 1 has one
/// group for each controller, and none has a number that a sensor could tell: there a process is looked at, or it is where
/// the last was that the same parent started in the same namespace just before. That holds for a copy of that parent which has run
/// nothing else before: those that start containers move first.
pub(super) struct Containers {
    is_unified: bool,
    groups: LruCache<u64, Option<Box<Container>>>,
    children: LruCache<(ProcessId, u32), Child>,
}

/// When the last child of a parent in a namespace was looked at, for how long that counts, and what it was in.
type Child = (Timestamp, Duration, Option<Box<Container>>);

impl Containers {
    pub(super) fn new() -> Self {
        let own = Process::open(std::process::id()).and_then(|own| own.cgroup());
        let own = own.unwrap_or_default();
        Self {
            is_unified: String::from_utf8_lossy(&own)
                .lines()
                .all(|line| line.starts_with("0::")),
            groups: LruCache::new(MOST),
            children: LruCache::new(MOST),
        }
    }

    /// What a program runs in. One that has ended before it is looked at says nothing, and the next is looked at.
    pub(super) fn of(&mut self, exec: &ExecEvent, is_copy: bool, now: Timestamp) -> Option<Box<Container>> {
        let group = exec.cgroup.filter(|_| self.is_unified);
        let parent = exec.ancestors.first().map(|parent| parent.process);
        let parent = parent.filter(|parent| !self.is_unified && parent.is_certain() && parent.pid != INIT);
        let child = parent.map(|parent| (parent, exec.namespaces.map_or(0, |spaces| spaces.mount)));
        if let Some(known) = group.and_then(|group| self.groups.get(&group)) {
            return known.clone();
        }
        if let Some((looked, counts, known)) = child
            .filter(|_| is_copy)
            .and_then(|child| self.children.get(&child))
            && now >= *looked
            && now.since(*looked) < *counts
        {
            return known.clone();
        }
        let (found, counts) = match look(exec) {
            Some(found) => (found, ALIKE),
            None => (None, GONE),
        };
        if let Some(group) = group.filter(|_| counts == ALIKE) {
            self.groups.insert(group, found.clone());
        }
        if let Some(child) = child.filter(|_| is_copy) {
            self.children.insert(child, (now, counts, found.clone()));
        }
        found
    }
}

/// `None` when it has ended.
fn look(exec: &ExecEvent) -> Option<Option<Box<Container>>> {
    let process = Process::open(exec.process.pid).ok()?;
    let text = process.cgroup().ok()?;
    let is_it = process.stat().ok()?.process == exec.process;
    is_it.then(|| cgroup::container(&String::from_utf8_lossy(&text)).map(Box::new))
}
