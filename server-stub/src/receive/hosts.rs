//! How many batches each host has on their way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One for each lane, and one that a broken connection left behind.
const AT_ONCE: usize = 3;

/// See the module.
#[derive(Default)]
pub(super) struct Hosts(Mutex<HashMap<Arc<str>, usize>>);

/// One batch on its way; dropped, it makes room for another.
pub(super) struct Entered<'a> {
    hosts: &'a Hosts,
    host: Arc<str>,
}

impl Hosts {
    /// Lets a batch of a host in, unless it has too many on their way already.
    pub(super) fn enter(&self, host: &Arc<str>) -> Option<Entered<'_>> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = hosts.entry(Arc::clone(host)).or_default();
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        Some(Entered {
            hosts: self,
            host: Arc::clone(host),
        })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut hosts = self.hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_as_much_room_as_it_needs_and_no_more() {
        let hosts = Hosts::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let entered: Vec<_> = (0..AT_ONCE).map(|_| hosts.enter(&one).unwrap()).collect();
        assert!(hosts.enter(&one).is_none());
        assert!(hosts.enter(&two).is_some());
        drop(entered);
        assert!(hosts.enter(&one).is_some());
        assert!(
            hosts.0.lock().unwrap().is_empty(),
            "nothing is left of those that are done"
        );
    }
}
