//! What a scan worker gives up before it looks at anything.
//!
//! Three locks, each of which would do: it has no capabilities and gains none; landlock takes files, connections and signals
//! to others away; seccomp lets through what computing, reading open files and answering needs, and refuses the rest.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetError, Scope,
};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use rustix::thread::set_no_new_privs;
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::io;

/// Why it could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel says no.
    #[error("rights cannot be given up: {0}")]
    System(#[from] io::Error),
    /// Landlock says no. Where the kernel has none of it, that is no error.
    #[error("files cannot be given up: {0}")]
    Landlock(#[from] RulesetError),
    /// The filter of calls cannot be set.
    #[error("system calls cannot be given up: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// The filter cannot be made for this processor.
    #[error("system calls cannot be given up: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// So many descriptors may be open at once: one for each thread, and a few.
const DESCRIPTORS: u64 = 256;

/// Gives up rights, files and connections, for this thread and those that it starts. `memory` is in bytes of address space.
pub fn give_up(memory: u64) -> Result<(), SandboxError> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, memory),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        // What it looked at would lie in the image.
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, most, most).map_err(io::Error::from)?;
    }
    set_no_new_privs(true).map_err(io::Error::from)?;
    // Kernels before 4.3 have no such set.
    let _ = clear_ambient_capability_set();
    let nothing = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: nothing,
        permitted: nothing,
        inheritable: nothing,
    };
    set_capabilities(None, sets).map_err(io::Error::from)?;
    let abi = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(())
}

/// Gives up all system calls but those that scanning needs, for all threads; none can be started any more. What is refused
/// fails as if there were no right to it.
pub fn give_up_calls() -> Result<(), SandboxError> {
    let (mut rules, permission) = (std::collections::BTreeMap::new(), libc::EPERM.unsigned_abs());
    for call in CALLS {
        rules.insert(*call, Vec::new());
    }
    // Memory, but none that could be run.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let runs = u64::from(libc::PROT_EXEC.unsigned_abs());
        let never = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(runs), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![never])?]);
    }
    // To itself alone, so that an abort is one.
    let own = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        std::process::id().into(),
    )?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own])?]);
    let (refuse, allow) = (SeccompAction::Errno(permission), SeccompAction::Allow);
    let filter = SeccompFilter::new(rules, refuse, allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}

/// No file can be opened by them and no process reached; `write` is for last words on standard error.
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_futex,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
