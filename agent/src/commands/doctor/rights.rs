//! What the agent may do.

use super::agent::Agent;
use super::report::Check;
use std::fs;

/// What each right is for: its number in the kernel, its name, and what is missing without it.
const RIGHTS: [(u32, &str, &str); 8] = [
    (12, "CAP_NET_ADMIN", "no address can be blocked"),
    (2, "CAP_DAC_READ_SEARCH", "logs that others own cannot be read"),
    (
        19,
        "CAP_SYS_PTRACE",
        "who was logged in before the agent is known from logind alone",
    ),
    (
        7,
        "CAP_SETUID",
        "the courier, which is on the network, runs as the agent's own user",
    ),
    (
        6,
        "CAP_SETGID",
        "the courier, which is on the network, runs in the agent's own group",
    ),
    (39, "CAP_BPF", "processes are not seen from within the kernel"),
    (
        38,
        "CAP_PERFMON",
        "the program in the kernel that sees processes may not read there",
    ),
    (0, "CAP_CHOWN", "the courier may not be able to read the spool"),
];

/// Of the running agent; without one of whoever asks, as if they started it.
pub(super) fn check(agent: &Agent) -> Check {
    const NAME: &str = "rights";
    let (path, whose) = match agent.report() {
        Some(report) => (format!("/proc/{}/status", report.pid), "the agent".to_owned()),
        None => {
            let own = "an agent that this user started".to_owned();
            ("/proc/self/status".to_owned(), own)
        }
    };
    let text = fs::read_to_string(&path).unwrap_or_default();
    let Some((user, held)) = user_and_rights(&text) else {
        return Check::degraded(
            NAME,
            format!("{path} does not tell"),
            "run picket doctor where the agent runs",
        );
    };
    let missing: Vec<String> = RIGHTS
        .iter()
        .filter(|(bit, _, _)| held & (1 << bit) == 0)
        .map(|(_, name, without)| format!("{name} ({without})"))
        .collect();
    let who = if user == 0 {
        "root".to_owned()
    } else {
        format!("user {user}")
    };
    if missing.is_empty() {
        return Check::ok(NAME, format!("{whose} is {who} and has all that it uses"));
    }
    Check::degraded(
        NAME,
        format!("{whose} is {who} and lacks {}", missing.join(", ")),
        "run the agent as root, or give it what is missing",
    )
}

/// The effective user and rights of a process, from its `status`.
fn user_and_rights(text: &str) -> Option<(u32, u64)> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let user = value("Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let rights = u64::from_str_radix(value("CapEff:")?.trim(), 16).ok()?;
    Some((user, rights))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_own_words_are_read() {
        let text =
            "Name:\tpicket\nUid:\t0\t1000\t0\t0\nCapPrm:\t0000000000000000\nCapEff:\t0000000000001004\n";
        assert_eq!(super::user_and_rights(text), Some((1000, 0x1004)));
        assert_eq!(super::user_and_rights(""), None);
    }
}
