//! How much a process yields to others, and which of its threads are not to wait for them.

use nix::libc;
use rustix::process::{getpriority_process, setpriority_process};
use std::io;

/// The lowest of the best-effort class: served last, but served. The idle class would starve on a busy disk.
const LAST_OF_BEST_EFFORT: libc::c_int = (2 << 13) | 7;
const PROCESS: libc::c_int = 1;
/// How long a thread that answers at once runs before another may have its turn. The kernel lets a thread that wakes go before
/// one that has asked for longer; from its own measure of some milliseconds it would wait until that one's turn is over.
const SLICE_NS: u64 = 100_000;

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

/// Lets the calling thread run as soon as it has something to do, also where others keep every processor busy. It takes no more
/// of them than its share. Kernels before 6.12 take the wish and do nothing with it.
pub fn answer_at_once() -> io::Result<()> {
    let wanted = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).map_err(io::Error::other)?,
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: u64::from(libc::SCHED_FLAG_RESET_ON_FORK.cast_unsigned()),
        sched_nice: getpriority_process(None)?,
        sched_priority: 0,
        sched_runtime: SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(unsafe_code, reason = "no crate at hand wraps it")]
    // SAFETY: the structure tells its own size, is only read, and outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
