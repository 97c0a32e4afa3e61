//! An event of authentication or account management, as a log reported it.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What one line of an authentication log says. Field docs name the ECS 9 field that carries each.
///
/// Texts are as the log has them and may have been chosen by an attacker: escape before showing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuthEvent {
    /// `event.action`
    pub action: AuthAction,
    /// `event.outcome`
    pub outcome: Outcome,
    /// `process.name`: the program that said it. The `sshd-session` and `sshd-auth` of newer OpenSSH read as `sshd`.
    pub program: CompactString,
    /// `process.pid`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// `service.name`: the PAM service or the daemon that was asked for access.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<CompactString>,
    /// `host.hostname`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<CompactString>,
    /// `user.name`: who acts, or tries to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<CompactString>,
    /// `user.target.name`: who is acted on, or whom `user` wants to become.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target_user: Option<CompactString>,
    /// `group.name`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<CompactString>,
    /// `source.ip`, `source.port`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Peer>,
    /// `source.domain`: the peer's name where the log gives no address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_domain: Option<CompactString>,
    /// `picket.auth.method`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<AuthMethod>,
    /// `picket.auth.key`: type and fingerprint, as `ED25519 SHA256:…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<CompactString>,
    /// `event.reason`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<CompactString>,
    /// `process.tty.name`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tty: Option<CompactString>,
    /// `process.command_line`: what sudo ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<CompactString>,
    /// `picket.auth.repeated`: how many times it happened, where the logger or PAM folded repetitions into one line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeated: Option<u32>,
}

impl AuthEvent {
    /// An event with nothing known but what it is and who said it.
    pub fn new(action: AuthAction, outcome: Outcome, program: &str) -> Self {
        Self {
            action,
            outcome,
            program: program.into(),
            pid: None,
            service: None,
            host: None,
            user: None,
            target_user: None,
            group: None,
            source: None,
            source_domain: None,
            method: None,
            key: None,
            reason: None,
            tty: None,
            command: None,
            repeated: None,
        }
    }
}

/// The far end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Never an IPv4-mapped IPv6 address: those are unmapped when read.
    pub ip: IpAddr,
    /// The port, where the log has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
}

impl Peer {
    /// A peer with its address brought to the one form that rules and blocks compare.
    pub fn new(ip: IpAddr, port: Option<u16>) -> Self {
        Self {
            ip: ip.to_canonical(),
            port,
        }
    }
}

macro_rules! names {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum $type { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl $type {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name that rules, JSON and people see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

names! {
    /// `event.outcome` of ECS.
    Outcome {
        /// It was granted or done.
        Success = "success",
        /// It was refused or did not work.
        Failure = "failure",
        /// The line does not say.
        Unknown = "unknown",
    }
}

names! {
    /// What was tried or done.
    AuthAction {
        /// A login was accepted or refused: one attempt.
        Login = "login",
        /// The user named does not exist. The attempt's own `login` line may follow.
        InvalidUser = "invalid-user",
        /// The user exists but the configuration refuses them.
        UserNotAllowed = "user-not-allowed",
        /// A connection was cut for too many attempts.
        MaxAuthTries = "max-auth-tries",
        /// The peer left, or was dropped, before it was authenticated.
        PreauthClose = "preauth-close",
        /// The peer did not speak the protocol.
        BadProtocol = "bad-protocol",
        /// The peer offered no algorithm that the server takes.
        NoCommonAlgorithm = "no-common-algorithm",
        /// The peer did not authenticate in time.
        LoginTimeout = "login-timeout",
        /// The connection was refused before any authentication.
        ConnectionRefused = "connection-refused",
        /// A connection was opened.
        Connection = "connection",
        /// The peer's name and address contradict each other.
        ReverseMappingMismatch = "reverse-mapping-mismatch",
        /// A PAM stack refused; the program that asked reports its own attempt in another line.
        PamFailure = "pam-failure",
        /// An account is locked or was refused by account rules.
        AccountLocked = "account-locked",
        /// A session began.
        SessionOpened = "session-opened",
        /// A session ended.
        SessionClosed = "session-closed",
        /// An authenticated connection ended.
        Disconnect = "disconnect",
        /// A command was run, or refused, through sudo.
        Sudo = "sudo",
        /// A change of user by su.
        Su = "su",
        /// An account was created.
        UserAdded = "user-added",
        /// An account was changed.
        UserChanged = "user-changed",
        /// An account was removed.
        UserDeleted = "user-deleted",
        /// A group was created.
        GroupAdded = "group-added",
        /// A group or its members were changed.
        GroupChanged = "group-changed",
        /// A group was removed.
        GroupDeleted = "group-deleted",
        /// A password was set.
        PasswordChanged = "password-changed",
        /// The ageing of a password or account was changed.
        ExpiryChanged = "expiry-changed",
    }
}

names! {
    /// How somebody proved who they are, by sshd's names.
    AuthMethod {
        /// A password.
        Password = "password",
        /// A key or a certificate.
        PublicKey = "publickey",
        /// Questions and answers, mostly PAM.
        KeyboardInteractive = "keyboard-interactive",
        /// Trust in the host.
        HostBased = "hostbased",
        /// Kerberos.
        Gssapi = "gssapi-with-mic",
        /// No proof at all.
        None = "none",
    }
}
