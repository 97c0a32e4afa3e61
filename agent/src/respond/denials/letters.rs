//! What the gatekeeper says, on its way to an agent that may not listen.

use super::protocol::Said;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

/// Each arrives whole and in its turn, however little room there is at a time; nobody waits for that.
pub(super) struct Letters {
    pipe: File,
    /// What found no room yet.
    waiting: Vec<u8>,
}

impl Letters {
    /// Into a pipe that makes nobody wait.
    pub(super) fn new(pipe: File) -> Self {
        Self {
            pipe,
            waiting: Vec::new(),
        }
    }

    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Whether anything found no room yet.
    pub(super) fn wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn add(&mut self, said: &Said) {
        let line = serde_json::to_vec(said).unwrap_or_default();
        self.waiting.extend_from_slice(&line);
        self.waiting.push(b'\n');
    }

    /// Sends what there is room for.
    pub(super) fn send(&mut self) {
        while !self.waiting.is_empty() {
            match self.pipe.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The agent has ended.
                Err(_) => self.waiting.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::io::{BufRead as _, BufReader};
    use std::os::fd::OwnedFd;

    #[test]
    fn a_line_that_finds_little_room_arrives_whole_and_none_is_lost() {
        let (read, write) = io::pipe().unwrap();
        let write = OwnedFd::from(write);
        fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut letters = Letters::new(write.into());
        let long = "\"".repeat(5000);
        for count in 0..100 {
            let reason = long.clone();
            letters.add(&Said::Unjudged { count, reason });
            letters.send();
        }
        assert!(letters.wait(), "a pipe holds 64 KiB");
        let mut lines = BufReader::new(read).lines();
        for number in 0..100 {
            letters.send();
            let line = lines.next().unwrap().unwrap();
            let said: Said = serde_json::from_str(&line).unwrap();
            assert!(matches!(said, Said::Unjudged { count, reason } if count == number && reason == long));
        }
        assert!(!letters.wait());
    }
}
