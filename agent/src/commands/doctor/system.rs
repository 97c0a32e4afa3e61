//! What the agent takes for granted of the system.

use super::report::Check;
use crate::sys::is_synchronised;
use nix::unistd::User;

pub(super) fn courier_user(name: &str) -> Check {
    const NAME: &str = "courier user";
    match User::from_name(name) {
        Ok(Some(user)) if user.uid.is_root() => Check::degraded(
            NAME,
            format!("'{name}' is root: what talks to the network would have all rights"),
            "name another user in send.user",
        ),
        Ok(Some(user)) => Check::ok(NAME, format!("'{name}' is user {}", user.uid)),
        Ok(None) => Check::degraded(
            NAME,
            format!("there is no user '{name}': the courier of an agent that is root runs as nobody"),
            format!("useradd --system --no-create-home --shell /usr/sbin/nologin {name}"),
        ),
        Err(error) => Check::degraded(
            NAME,
            format!("whether there is a user '{name}' cannot be found out: {error}"),
            "see whether getent passwd answers",
        ),
    }
}

pub(super) fn clock() -> Check {
    const NAME: &str = "clock";
    match is_synchronised() {
        Ok(true) => Check::ok(NAME, "something keeps it right"),
        Ok(false) => Check::degraded(
            NAME,
            "the kernel knows of nothing that keeps it right: times of findings may be wrong, and certificates may seem invalid",
            "run an NTP client, such as systemd-timesyncd or chrony; in a virtual machine the host may keep it right all the same",
        ),
        Err(error) => Check::degraded(
            NAME,
            format!("the kernel does not tell: {error}"),
            "see whether an NTP client runs",
        ),
    }
}
