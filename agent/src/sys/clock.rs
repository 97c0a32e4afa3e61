//! What the kernel thinks of its clock.

use nix::libc;
use std::io;
use std::mem::MaybeUninit;

/// Whether something, such as an NTP client, keeps the clock right. Asking takes no rights.
pub fn is_synchronised() -> io::Result<bool> {
    let mut status = MaybeUninit::<libc::timex>::zeroed();
    #[expect(unsafe_code, reason = "no crate at hand wraps it")]
    // SAFETY: all of `timex` are integers, for which zero is a value; with `modes` zero the call only reads, and it writes
    // nothing but the structure that it is given, which lives until after it.
    let (state, status) = unsafe {
        let state = libc::adjtimex(status.as_mut_ptr());
        (state, status.assume_init())
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(status.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        super::is_synchronised().unwrap();
    }
}
