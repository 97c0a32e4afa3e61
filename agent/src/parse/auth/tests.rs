//! One table of real forms, and the tricks that must not work.

use super::line;
use picket_common::event::{AuthAction, Outcome};

/// `program: message` behind a fixed stamp → `action outcome user target address:port`, `-` where there is none.
fn read(text: &str) -> String {
    let Some(event) = line(&format!("Dec 10 06:55:46 box {text}")) else {
        return "null".to_owned();
    };
    let or = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let source = event.source.map_or_else(
        || or(event.source_domain.as_deref()),
        |peer| {
            peer.port
                .map_or_else(|| peer.ip.to_string(), |port| format!("{} {port}", peer.ip))
        },
    );
    let (user, target) = (or(event.user.as_deref()), or(event.target_user.as_deref()));
    format!(
        "{} {} {user} {target} {source}",
        event.action.as_str(),
        event.outcome.as_str()
    )
}

#[test]
fn every_form_is_read() {
    let cases = [
        (
            "sshd[1]: Failed password for root from 198.51.100.9 port 4711 ssh2",
            "login failure root - 198.51.100.9 4711",
        ),
        (
            "sshd[1]: Failed password for invalid user a b from 198.51.100.9 port 4711 ssh2",
            "login failure a b - 198.51.100.9 4711",
        ),
        (
            "sshd[1]: Failed none for invalid user  from 2001:db8::9 port 1 ssh2",
            "login failure  - 2001:db8::9 1",
        ),
        (
            "sshd[1]: Failed keyboard-interactive/pam for bob from 198.51.100.9 port 1 ssh2",
            "login failure bob - 198.51.100.9 1",
        ),
        (
            "sshd-session[1]: Accepted publickey for bob from 198.51.100.9 port 1 ssh2: ED25519 SHA256:abc",
            "login success bob - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Accepted publickey for bob from 198.51.100.9 port 1 ssh2: RSA-CERT SHA256:abc ID bob@ca (serial 0) CA RSA SHA256:def",
            "login success bob - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Invalid user tutu from 198.51.100.9 port 33176",
            "invalid-user failure tutu - 198.51.100.9 33176",
        ),
        (
            "sshd[1]: Invalid user tutu from 198.51.100.9",
            "invalid-user failure tutu - 198.51.100.9",
        ),
        (
            "sshd[1]: Received disconnect from 198.51.100.9: 11: Bye Bye [preauth]",
            "preauth-close failure - - 198.51.100.9",
        ),
        (
            "sshd[1]: Received disconnect from 2001:db8::9: 11: Bye [preauth]",
            "preauth-close failure - - 2001:db8::9",
        ),
        (
            "sshd[1]: Received disconnect from 2001:db8::9 port 22:11: bye",
            "disconnect unknown - - 2001:db8::9 22",
        ),
        (
            "sshd[1]: error: Received disconnect from 198.51.100.9 port 5:14: No more user authentication methods available. [preauth]",
            "preauth-close failure - - 198.51.100.9 5",
        ),
        (
            "sshd[1]: Connection closed by 198.51.100.9 port 33594 [preauth]",
            "preauth-close failure - - 198.51.100.9 33594",
        ),
        (
            "sshd[1]: Connection closed by authenticating user root 198.51.100.9 port 1 [preauth]",
            "preauth-close failure root - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Connection reset by invalid user a 198.51.100.9 port 1 [preauth]",
            "preauth-close failure a - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Connection closed by invalid user  198.51.100.9 port 1 [preauth]",
            "preauth-close failure  - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Disconnected from user bob 198.51.100.9 port 1",
            "disconnect unknown bob - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Disconnecting: Too many authentication failures for root [preauth]",
            "max-auth-tries failure root - -",
        ),
        (
            "sshd[1]: Disconnecting authenticating user root 198.51.100.9 port 1: Too many authentication failures [preauth]",
            "max-auth-tries failure root - 198.51.100.9 1",
        ),
        (
            "sshd[1]: error: maximum authentication attempts exceeded for invalid user a from 198.51.100.9 port 1 ssh2 [preauth]",
            "max-auth-tries failure a - 198.51.100.9 1",
        ),
        (
            "sshd[1]: User root from 198.51.100.9 not allowed because not listed in AllowUsers",
            "user-not-allowed failure root - 198.51.100.9",
        ),
        (
            "sshd[1]: User bob not allowed because account is locked",
            "user-not-allowed failure bob - -",
        ),
        (
            "sshd[1]: ROOT LOGIN REFUSED FROM 198.51.100.9 port 1",
            "user-not-allowed failure root - 198.51.100.9 1",
        ),
        (
            "sshd[1]: error: PAM: Authentication failure for illegal user x from 198.51.100.9",
            "pam-failure failure x - 198.51.100.9",
        ),
        (
            "sshd[1]: PAM 4 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.9  user=root",
            "pam-failure failure root - 198.51.100.9",
        ),
        (
            "sshd[1]: PAM service(sshd) ignoring max retries; 5 > 3",
            "max-auth-tries failure - - -",
        ),
        (
            "sshd[1]: Unable to negotiate with 198.51.100.9 port 1: no matching MAC found. Their offer: a [preauth]",
            "no-common-algorithm failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: fatal: Unable to negotiate with 198.51.100.9: no matching MAC found [preauth]",
            "no-common-algorithm failure - - 198.51.100.9",
        ),
        (
            "sshd[1]: banner exchange: Connection from 198.51.100.9 port 1: invalid format",
            "bad-protocol failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: error: kex_exchange_identification: banner line too long",
            "bad-protocol failure - - -",
        ),
        (
            "sshd[1]: ssh_dispatch_run_fatal: Connection from 198.51.100.9 port 1: message authentication code incorrect [preauth]",
            "bad-protocol failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Did not receive identification string from 198.51.100.9 port 1",
            "bad-protocol failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Bad protocol version identification 'GET /' from 198.51.100.9 port 1",
            "bad-protocol failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Magic value check failed (7) on obfuscated handshake from 198.51.100.9 port 1",
            "bad-protocol failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: fatal: Timeout before authentication for 198.51.100.9 port 1",
            "login-timeout failure - - 198.51.100.9 1",
        ),
        (
            "sshd[1]: Timeout before authentication for connection from 198.51.100.9 to 203.0.113.1, pid = 7",
            "login-timeout failure - - 198.51.100.9",
        ),
        (
            "sshd[1]: refused connect from example.test (198.51.100.9)",
            "connection-refused failure - - 198.51.100.9",
        ),
        (
            "sshd[1]: refused connect from x::ffff:198.51.100.9 (::ffff:198.51.100.9)",
            "connection-refused failure - - 198.51.100.9",
        ),
        (
            "sshd[1]: reverse mapping checking getaddrinfo for a.test [198.51.100.9] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "reverse-mapping-mismatch unknown - - 198.51.100.9",
        ),
        (
            "sshd[1]: Address 198.51.100.9 maps to a.test, but this does not map back to the address.",
            "reverse-mapping-mismatch unknown - - 198.51.100.9",
        ),
        (
            "sshd[1]: message repeated 5 times: [ Failed password for root from 198.51.100.9 port 4711 ssh2]",
            "login failure root - 198.51.100.9 4711",
        ),
        (
            "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.9 ",
            "pam-failure failure - - 198.51.100.9",
        ),
        (
            "sshd(pam_unix)[1]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=a.test  user=root",
            "pam-failure failure root - a.test",
        ),
        (
            "sudo: pam_unix(sudo:auth): authentication failure; logname=eve uid=4001 euid=0 tty=/dev/pts/12 ruser=eve rhost=  user=eve",
            "pam-failure failure eve eve -",
        ),
        (
            "sudo: pam_tally2(sudo:auth): user eve (4001) tally 6, deny 5",
            "account-locked failure eve - -",
        ),
        (
            "sshd[1]: pam_unix(sshd:session): session opened for user bob(uid=1001) by (uid=0)",
            "session-opened success bob - -",
        ),
        (
            "su[1]: pam_unix(su:session): session opened for user root(uid=0) by bob(uid=1001)",
            "session-opened success bob root -",
        ),
        (
            "cron[1]: pam_unix(cron:session): session closed for user root",
            "session-closed success root - -",
        ),
        (
            "passwd[1]: pam_unix(passwd:chauthtok): password changed for bob",
            "password-changed success - bob -",
        ),
        (
            "sshd[1]: pam_faillock(sshd:auth): Consecutive login failures for user bob account temporarily locked",
            "account-locked failure bob - -",
        ),
        (
            "sudo:   bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls ; USER=x",
            "sudo success bob root -",
        ),
        (
            "sudo:   bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo failure bob root -",
        ),
        (
            "sudo:   bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "sudo failure bob root -",
        ),
        ("su[1]: Successful su for root by bob", "su success bob root -"),
        ("su: (to root) bob on pts/0", "su success bob root -"),
        ("su: FAILED SU (to root) bob on pts/0", "su failure bob root -"),
        (
            "login[1]: FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure",
            "login failure root - -",
        ),
        ("login[1]: ROOT LOGIN  on '/dev/tty1'", "login success root - -"),
        (
            "login[1]: LOGIN ON tty1 BY bob FROM 198.51.100.9",
            "login success bob - 198.51.100.9",
        ),
        (
            "systemd-logind[1]: New session 12 of user bob.",
            "session-opened success bob - -",
        ),
        (
            "systemd-logind[1]: New session '12' of user 'bob' with class 'user' and type 'tty'.",
            "session-opened success bob - -",
        ),
        (
            "useradd[1]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0",
            "user-added success - bob -",
        ),
        (
            "usermod[1]: add 'bob' to group 'sudo'",
            "group-changed success - bob -",
        ),
        (
            "usermod[1]: change user 'bob' shell from '/bin/sh' to '/bin/bash'",
            "user-changed success - bob -",
        ),
        ("userdel[1]: delete user 'bob'", "user-deleted success - bob -"),
        (
            "groupadd[1]: new group: name=ops, GID=1002",
            "group-added success - - -",
        ),
        (
            "gpasswd[1]: user bob added by root to group sudo",
            "group-changed success root bob -",
        ),
        (
            "passwd[1]: password for 'bob' changed by 'root'",
            "password-changed success root bob -",
        ),
        (
            "chage[1]: changed password expiry for bob",
            "expiry-changed success - bob -",
        ),
        (
            "dropbear[1]: Bad password attempt for 'root' from 198.51.100.9:4711",
            "login failure root - 198.51.100.9 4711",
        ),
        (
            "dropbear[1]: Login attempt for nonexistent user from 198.51.100.9:4711",
            "invalid-user failure - - 198.51.100.9 4711",
        ),
        (
            "dropbear[1]: Pubkey auth succeeded for 'root' with ssh-ed25519 key SHA256:abc from [2001:db8::9]:4711",
            "login success root - 2001:db8::9 4711",
        ),
        (
            "dropbear[1]: Exit before auth from <198.51.100.9:4711>: (user 'root', 3 fails): Max auth tries reached - user 'root'",
            "preauth-close failure - - 198.51.100.9 4711",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_hostile_name_forges_no_address() {
    let real = "198.51.100.7";
    let tricks = [
        "sshd[1]: Invalid user root from 203.0.113.1 port 22 from 198.51.100.7 port 4711",
        "sshd[1]: Failed password for invalid user x from 203.0.113.1 port 22 ssh2 from 198.51.100.7 port 4711 ssh2",
        "sshd[1]: Failed publickey for invalid user x from 203.0.113.1 port 22 ssh2: RSA SHA256:a from 198.51.100.7 port 4711 ssh2: RSA SHA256:b",
        "sshd[1]: Failed password for invalid user x from 203.0.113.1 port 1 ssh2: RSA SHA256:a from 198.51.100.7 port 4711 ssh2",
        "sshd[1]: Connection closed by invalid user x 203.0.113.1 port 22 [preauth] 198.51.100.7 port 4711 [preauth]",
        "sshd[1]: Bad protocol version identification 'x' from 203.0.113.1 port 22' from 198.51.100.7 port 4711",
        "sshd[1]: Received disconnect from 198.51.100.7 port 4711:11: x from 203.0.113.1 port 22 [preauth]",
        "sshd[1]: Received disconnect from 198.51.100.7: 11: x from 203.0.113.1 port 22:11: [preauth]",
        "sshd[1]: refused connect from x (203.0.113.1) (198.51.100.7)",
        "sshd[1]: reverse mapping checking getaddrinfo for x [203.0.113.1] [198.51.100.7] failed.",
        "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.7  user=x rhost=203.0.113.1",
        "sshd[1]: error: maximum authentication attempts exceeded for invalid user x from 203.0.113.1 port 22 ssh2 from 198.51.100.7 port 4711 ssh2 [preauth]",
        "dropbear[1]: Bad password attempt for 'x' from 203.0.113.1:22' from 198.51.100.7:4711",
        "dropbear[1]: Exit before auth from <198.51.100.7:4711>: (user 'x' from <203.0.113.1:22>: ', 1 fails): Exited normally",
    ];
    for trick in tricks {
        let event = line(&format!("Dec 10 06:55:46 box {trick}"));
        let source = event
            .and_then(|event| event.source)
            .map(|peer| peer.ip.to_string());
        assert_eq!(source.as_deref(), Some(real), "{trick}");
    }
}

#[test]
fn a_certificate_with_a_hostile_identity_gives_no_address() {
    let trick = "sshd[1]: Failed publickey for root from 198.51.100.7 port 1 ssh2: RSA-CERT SHA256:a ID x from 203.0.113.1 port 22 ssh2: RSA-CERT SHA256:a ID y (serial 0) CA RSA SHA256:b";
    assert_eq!(read(trick), "null");
}

#[test]
fn a_message_that_was_cut_gives_no_address() {
    let name = "a".repeat(970);
    let event = line(&format!(
        "Dec 10 06:55:46 box sshd[1]: Invalid user {name} from 203.0.113.1 port 22"
    ))
    .unwrap();
    assert_eq!(
        (event.action, event.outcome, event.source),
        (AuthAction::InvalidUser, Outcome::Failure, None)
    );
}

#[test]
fn repetitions_are_counted() {
    let event = line(
        "Dec 10 06:55:46 box sshd[1]: message repeated 5 times: [ Failed password for root from 198.51.100.9 port 1 ssh2]",
    );
    assert_eq!(event.unwrap().repeated, Some(5));
}

#[test]
fn what_tells_of_no_login_is_null() {
    for text in [
        "sshd[1]: Close session: user ansible from 198.51.100.9 port 34928 id 0",
        "sshd[1]: input_userauth_request: invalid user x [preauth]",
        "sshd[1]: pam_unix(sshd:auth): check pass; user unknown",
        "sshd[1]: Server listening on 0.0.0.0 port 22.",
        "kernel: Failed password for root from 198.51.100.9 port 1 ssh2",
        "logger: sshd[1]: Failed password for root from 198.51.100.9 port 1 ssh2",
        "CRON[1]: (root) CMD (true)",
        "sudo: x",
    ] {
        assert_eq!(read(text), "null", "{text}");
    }
}

#[test]
fn no_prefix_of_any_line_panics() {
    let lines = include_str!("tests.rs");
    for text in lines.lines().filter(|text| text.contains(": ")) {
        for (end, _) in text.char_indices() {
            let cut = format!(
                "Dec 10 06:55:46 box {}",
                text.get(..end)
                    .unwrap()
                    .trim_start()
                    .trim_start_matches(['(', '"'])
            );
            drop(line(&cut));
        }
    }
}
