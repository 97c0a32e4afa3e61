//! Who has become root without having been allowed to.

use super::record::{Identity, Process};
use hashlink::LinkedHashMap;

/// So many processes are known at once. Whoever is forgotten is known again the next time it does something.
const MOST: usize = 65_536;

/// What each process was last seen with.
#[derive(Debug, Default)]
pub(super) struct Privileges {
    known: LinkedHashMap<u32, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    start: u64,
    euid: u32,
    /// It is root, or was root and kept the way back.
    may: bool,
}

impl Privileges {
    /// A process is seen as somebody. Gives the effective user that it was, when it has become root and had no right to.
    pub(super) fn see(&mut self, process: Process, identity: &Identity) -> Option<u32> {
        let before = self.put(process, identity)?;
        (identity.euid == 0 && !before.may).then_some(before.euid)
    }

    /// A process is somebody, which is as it should be: it began so, or its file is set-uid.
    pub(super) fn learn(&mut self, process: Process, identity: &Identity) {
        self.put(process, identity);
    }

    /// Gives what it was before.
    fn put(&mut self, process: Process, identity: &Identity) -> Option<Known> {
        let now = Known {
            start: process.start,
            euid: identity.euid,
            may: [identity.uid, identity.euid, identity.suid].contains(&0),
        };
        let before = self.known.insert(process.pid, now);
        if self.known.len() > MOST {
            self.known.pop_front();
        }
        // Another may have had the pid.
        before.filter(|before| before.start == process.start)
    }

    /// A process ended.
    pub(super) fn ended(&mut self, process: Process) {
        self.known.remove(&process.pid);
    }

    /// Something was not seen: what is known may be older than that.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, start: u64) -> Process {
        Process { pid, start }
    }

    fn identity(uid: u32, euid: u32, suid: u32) -> Identity {
        Identity {
            uid,
            euid,
            suid,
            gid: uid,
            egid: euid,
            login_uid: uid,
            session: 1,
        }
    }

    #[test]
    fn a_user_that_turns_into_root_is_noticed_once() {
        let mut privileges = Privileges::default();
        let user = identity(1000, 1000, 1000);
        assert_eq!(privileges.see(process(5, 1), &user), None);
        assert_eq!(privileges.see(process(5, 1), &identity(0, 0, 0)), Some(1000));
        assert_eq!(privileges.see(process(5, 1), &identity(0, 0, 0)), None);
    }

    #[test]
    fn whoever_had_the_right_may() {
        let root = identity(0, 0, 0);
        let allowed = [
            ("kept the way back", identity(1000, 1000, 0)),
            ("real user", identity(0, 1000, 1000)),
        ];
        for (why, before) in allowed {
            let mut privileges = Privileges::default();
            privileges.see(process(5, 1), &before);
            assert_eq!(privileges.see(process(5, 1), &root), None, "{why}");
        }
        let mut privileges = Privileges::default();
        privileges.see(process(5, 1), &identity(1000, 1000, 1000));
        privileges.learn(process(5, 1), &identity(1000, 0, 0));
        assert_eq!(privileges.see(process(5, 1), &root), None, "a set-uid file");
    }

    #[test]
    fn a_pid_that_another_has_and_what_was_forgotten_say_nothing() {
        let (user, root) = (identity(1000, 1000, 1000), identity(0, 0, 0));
        let mut privileges = Privileges::default();
        privileges.see(process(5, 1), &user);
        assert_eq!(privileges.see(process(5, 2), &root), None);
        privileges.see(process(6, 1), &user);
        privileges.forget();
        assert_eq!(privileges.see(process(6, 1), &root), None);
        privileges.see(process(7, 1), &user);
        privileges.ended(process(7, 1));
        assert_eq!(privileges.see(process(7, 1), &root), None);
        for pid in 0..70_000 {
            privileges.see(process(pid, 1), &user);
        }
        assert_eq!(privileges.known.len(), MOST);
    }
}
