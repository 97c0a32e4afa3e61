//! How the C library's allocator behaves for an agent that should be forgotten.

/// Keeps what threads have freed from staying with the process: few arenas, which give back their ends, and large pieces
/// apart, each of which goes back by itself. By its own measure glibc keeps an arena for each thread, and grows both bounds with
/// what was freed before, as the rules that were read in at the start. Other C libraries do not.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate at hand wraps it")]
pub fn keep_small() {
    use nix::libc;
    const ARENAS: libc::c_int = 2;
    const APART: libc::c_int = 64 << 10;
    const LOOSE: libc::c_int = 128 << 10;
    for (what, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, APART),
        (libc::M_TRIM_THRESHOLD, LOOSE),
    ] {
        // SAFETY: it takes two numbers and holds the allocator's own lock. A value that it does not take changes nothing.
        let _ = unsafe { libc::mallopt(what, value) };
    }
}

/// See above.
#[cfg(not(target_env = "gnu"))]
pub fn keep_small() {}
