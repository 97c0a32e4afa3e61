//! An sshd log under attack, made up line by line in the shapes and proportions of real ones.

use std::fmt::Write as _;

/// A sequence of numbers that is the same in every run (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// Any seed but 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

/// At least `lines` lines of guessing from a few hundred addresses, with now and then a legitimate login.
///
/// The proportions are those of the OpenSSH sample of the Loghub collection: of 2,000 lines there 520 are failed
/// passwords, 480 PAM failures, 413 disconnects, 135 unknown users, 85 contradictory names and 1 accepted login.
pub fn attack_log(lines: usize, seed: u64) -> String {
    const NAMES: &[&str] = &[
        "root", "root", "root", "admin", "oracle", "test", "ubuntu", "git", "pi", "user1",
    ];
    let mut dice = Dice::new(seed);
    let mut log = String::with_capacity(lines * 120);
    let (mut count, mut second) = (0, 0_u64);
    while count < lines {
        second += dice.below(3);
        let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
        let head = format!(
            "Dec {:>2} {hour:02}:{minute:02}:{:02} web1 sshd[{}]:",
            10 + second / 86_400 % 20,
            second % 60,
            20_000 + count / 6
        );
        let address = format!("198.51.100.{}", 1 + dice.below(250));
        let port = 1024 + dice.below(60_000);
        let name = NAMES[usize::try_from(dice.below(10)).expect("small")];
        let unknown = name != "root" && dice.below(2) == 0;
        let mut say = |text: &str| {
            writeln!(log, "{head} {text}").expect("a string takes all");
            count += 1;
        };
        if dice.below(5) == 0 {
            say(&format!(
                "reverse mapping checking getaddrinfo for host-{port}.example.net [{address}] failed - POSSIBLE BREAK-IN ATTEMPT!"
            ));
        }
        if unknown {
            say(&format!("Invalid user {name} from {address}"));
            say(&format!("input_userauth_request: invalid user {name} [preauth]"));
            say("pam_unix(sshd:auth): check pass; user unknown");
        }
        let known = if unknown {
            String::new()
        } else {
            format!(" user={name}")
        };
        say(&format!(
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address} {known}"
        ));
        let who = if unknown { "invalid user " } else { "" };
        say(&format!(
            "Failed password for {who}{name} from {address} port {port} ssh2"
        ));
        say(&format!(
            "Received disconnect from {address}: 11: Bye Bye [preauth]"
        ));
        if dice.below(500) == 0 {
            say(&format!(
                "Accepted password for alice from 203.0.113.7 port {port} ssh2"
            ));
            say("pam_unix(sshd:session): session opened for user alice by (uid=0)");
        }
    }
    log
}

/// `lines` failed logins within a minute, each from the next of `addresses` addresses of as many IPv6 networks.
pub fn rotating_log(lines: usize, addresses: usize) -> String {
    let mut log = String::with_capacity(lines * 100);
    for at in 0..lines {
        let second = at * 60 / lines;
        let network = at % addresses;
        writeln!(
            log,
            "Dec 10 06:00:{second:02} web1 sshd[{}]: Failed password for root from 2001:db8:{:x}:{:x}::9 port 40000 ssh2",
            20_000 + at % 10_000,
            network >> 16,
            network & 0xffff
        )
        .expect("a string takes all");
    }
    log
}
