//! Which files decide who may do what, and what is run.

use crate::config::Glob;
use picket_common::event::ChangeKind;

/// The first that fits counts.
const PATTERNS: &[(ChangeKind, &[&str])] = &[
    (
        ChangeKind::Passwords,
        &["/etc/shadow", "/etc/gshadow", "/etc/security/opasswd"],
    ),
    (
        ChangeKind::Accounts,
        &["/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"],
    ),
    (
        ChangeKind::AuthorizedKeys,
        &["**/.ssh/authorized_keys*", "/etc/ssh/authorized_keys/**"],
    ),
    (
        ChangeKind::Sudoers,
        &[
            "/etc/sudoers",
            "/etc/sudoers.d/*",
            "/etc/doas.conf",
            "/etc/polkit-1/rules.d/*",
            "/usr/share/polkit-1/rules.d/*",
        ],
    ),
    (
        ChangeKind::Cron,
        &[
            "/etc/crontab",
            "/etc/anacrontab",
            "/etc/cron.*/*",
            "/var/spool/cron/**",
        ],
    ),
    (
        ChangeKind::Systemd,
        &[
            "/etc/systemd/**",
            "/lib/systemd/**",
            "/usr/lib/systemd/**",
            "/usr/local/lib/systemd/**",
            "/run/systemd/system/**",
            "**/.config/systemd/user/**",
        ],
    ),
    (
        ChangeKind::Startup,
        &[
            "/etc/init.d/*",
            "/etc/rc.local",
            "/etc/rc*.d/*",
            "/etc/udev/rules.d/*",
            "/usr/lib/udev/rules.d/*",
            "/etc/xdg/autostart/*",
            "**/.config/autostart/*",
            "/etc/NetworkManager/dispatcher.d/**",
            "/etc/update-motd.d/*",
            "/etc/apt/apt.conf.d/*",
        ],
    ),
    (
        ChangeKind::Preload,
        &[
            "/etc/ld.so.preload",
            "/etc/ld.so.conf",
            "/etc/ld.so.conf.d/*",
            "/etc/environment",
        ],
    ),
    (
        ChangeKind::Pam,
        &[
            "/etc/pam.conf",
            "/etc/pam.d/*",
            "/etc/security/**",
            "/usr/lib/**/security/pam_*",
        ],
    ),
    (
        ChangeKind::ShellProfile,
        &[
            "/etc/profile",
            "/etc/profile.d/*",
            "/etc/bash.bashrc",
            "/etc/bashrc",
            "/etc/zsh/*",
            "**/.bashrc",
            "**/.bash_profile",
            "**/.bash_login",
            "**/.bash_logout",
            "**/.profile",
            "**/.zshrc",
            "**/.zshenv",
            "**/.zprofile",
            "**/.zlogin",
            "**/.config/fish/config.fish",
        ],
    ),
    (
        ChangeKind::SshServer,
        &[
            "/etc/ssh/sshd_config",
            "/etc/ssh/sshd_config.d/*",
            "**/.ssh/rc",
            "/etc/ssh/sshrc",
        ],
    ),
    (
        ChangeKind::NameResolution,
        &["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"],
    ),
    (
        ChangeKind::KernelModules,
        &[
            "/etc/modules",
            "/etc/modules-load.d/*",
            "/etc/modprobe.d/*",
            "/etc/sysctl.conf",
            "/etc/sysctl.d/*",
        ],
    ),
];

/// The patterns, read.
#[derive(Debug)]
pub(super) struct Kinds(Vec<(ChangeKind, Glob)>);

impl Kinds {
    pub(super) fn new() -> Self {
        let all = PATTERNS.iter().flat_map(|(kind, texts)| {
            let read = texts.iter().filter_map(|text| Glob::parse(text).ok());
            read.map(|glob| (*kind, glob))
        });
        Self(all.collect())
    }

    /// What a file is for; `None` for all those that are for nothing of this.
    pub(super) fn of(&self, path: &str) -> Option<ChangeKind> {
        let fits = |(_, glob): &&(ChangeKind, Glob)| glob.matches(path.as_bytes());
        self.0.iter().find(fits).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_settings_watch_by_themselves_where_such_files_lie_and_not_where_all_day_is_written() {
        let watched = crate::config::Files::default();
        let is_watched = |path: &str| watched.paths.iter().any(|own| Path::new(path).starts_with(own));
        for (kind, texts) in PATTERNS {
            for text in *texts {
                // What may be anywhere is in somebody's home.
                let place = text.replacen("**/", "/home/a/", usize::from(text.starts_with("**")));
                assert!(is_watched(&place), "{kind:?} {place}");
            }
        }
        for path in [
            "/root/.ssh/authorized_keys",
            "/var/www/html/x.php",
            "/srv/www/x.php",
            "/usr/local/bin/x",
            "/bin/x",
        ] {
            assert!(is_watched(path), "{path}");
        }
        for path in [
            "/var/log/syslog",
            "/proc/1/status",
            "/sys/x",
            "/var/cache/apt/x",
            "/var/lib/mysql/x",
            "/var/lib/docker/x",
            "/dev/null",
        ] {
            assert!(!is_watched(path), "{path}");
        }
    }

    #[test]
    fn every_pattern_is_read_and_the_usual_files_are_known() {
        let kinds = Kinds::new();
        let texts: usize = PATTERNS.iter().map(|(_, texts)| texts.len()).sum();
        assert_eq!(kinds.0.len(), texts);
        for (path, kind) in [
            ("/root/.ssh/authorized_keys", Some(ChangeKind::AuthorizedKeys)),
            ("/home/a/.ssh/authorized_keys2", Some(ChangeKind::AuthorizedKeys)),
            ("/etc/cron.d/x", Some(ChangeKind::Cron)),
            ("/var/spool/cron/crontabs/www-data", Some(ChangeKind::Cron)),
            ("/etc/security/opasswd", Some(ChangeKind::Passwords)),
            ("/etc/security/limits.conf", Some(ChangeKind::Pam)),
            (
                "/etc/systemd/system/multi-user.target.wants/x.service",
                Some(ChangeKind::Systemd),
            ),
            (
                "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
                Some(ChangeKind::Pam),
            ),
            ("/etc/ssh/ssh_host_ed25519_key", None),
            ("/home/a/.ssh/id_ed25519", None),
            ("/home/a/notes/passwd", None),
        ] {
            assert_eq!(kinds.of(path), kind, "{path}");
        }
    }
}
