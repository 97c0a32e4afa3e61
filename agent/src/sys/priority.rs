//! How much a process yields to others.

use nix::libc;
use rustix::process::setpriority_process;
use std::io;

/// The lowest of the best-effort class: served last, but served. The idle class would starve on a busy disk.
const LAST_OF_BEST_EFFORT: libc::c_int = (2 << 13) | 7;
const PROCESS: libc::c_int = 1;

/// Lets others go first, with the processor and with disks, from now on: this process, and threads that begin after this.
pub fn yield_to_others(nice: i32) -> io::Result<()> {
    setpriority_process(None, nice)?;
    #[expect(unsafe_code, reason = "no crate at hand wraps it")]
    // SAFETY: the call takes three numbers and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, LAST_OF_BEST_EFFORT) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
