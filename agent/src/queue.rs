//! Bounded queues between threads, which count what they lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Makes a queue of at most `bound` items. Its name is how a loss is reported.
pub fn queue<T>(name: &'static str, bound: usize) -> (Sender<T>, Receiver<T>) {
    let (inner, receiver) = sync_channel(bound);
    let sender = Sender {
        name,
        inner,
        lost: Arc::default(),
    };
    (sender, receiver)
}

/// The end that items are put into; its clones share one count.
#[derive(Debug)]
pub struct Sender<T> {
    name: &'static str,
    inner: SyncSender<T>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            inner: self.inner.clone(),
            lost: Arc::clone(&self.lost),
        }
    }
}

/// Nobody reads the queue any more: the agent is ending.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the queue was closed")]
pub struct Closed;

impl<T> Sender<T> {
    /// Puts an item in, waiting for room: for sources that can be read again, which are their own buffer.
    pub fn wait(&self, item: T) -> Result<(), Closed> {
        self.inner.send(item).map_err(|_| Closed)
    }

    /// Puts an item in, or counts it as lost when there is no room: for what happens once and must not be held up.
    pub fn offer(&self, item: T) -> Result<(), Closed> {
        match self.inner.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Closed),
        }
    }

    /// The queue's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many items were lost since this was last asked.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_full_queue_counts_what_it_loses_and_a_closed_one_says_so() {
        let (sender, receiver) = super::queue("test", 1);
        sender.offer(1).unwrap();
        sender.clone().offer(2).unwrap();
        assert_eq!((sender.take_lost(), sender.take_lost()), (1, 0));
        assert_eq!(receiver.recv().unwrap(), 1);
        drop(receiver);
        assert!(sender.offer(3).is_err() && sender.wait(4).is_err());
    }
}
