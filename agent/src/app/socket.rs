//! The socket of the agent: who may open it, and who is at the other end.

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, chown, geteuid};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The group whose members may read.
const READERS: &str = "picket-read";
/// Listens on `path`, for root, and for the readers to ask.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    // Only one agent has the spool, so a socket that is there is left over.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    if let Ok(Some(group)) = Group::from_name(READERS)
        && chown(path, None, Some(Gid::from_raw(group.gid.as_raw()))).is_ok()
    {
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    }
    Ok(listener)
}

/// Whether the other side is root, or the agent's own user; the kernel says who it is.
pub(super) fn may_act(stream: &UnixStream) -> io::Result<bool> {
    let peer = getsockopt(stream, PeerCredentials)?;
    Ok(peer.uid() == 0 || peer.uid() == geteuid().as_raw())
}
