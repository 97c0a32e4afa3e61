//! Accounts that processes without rights run as.

use nix::unistd::{User, geteuid};

/// User and group of an account, or of `nobody` where there is none of that name; `None` when this process has no right to
/// choose, or there is neither.
pub fn unprivileged(name: &str) -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let find = |name| User::from_name(name).ok().flatten();
    let found = find(name).or_else(|| {
        let nobody = find("nobody");
        if nobody.is_some() {
            tracing::warn!("there is no user '{name}'; what needs no rights runs as nobody");
        }
        nobody
    });
    found.map(|user| (user.uid.as_raw(), user.gid.as_raw()))
}
