//! A host with a real sshd and a real rsyslogd, and an attacker beside it, in network namespaces of their own.
//!
//! The host's processes see their own `/dev/log`, accounts and processes; nothing of the machine is changed, and all ends
//! with the value.

use crate::follow;
use crate::inside::{Inside, only_child};
use crate::network::{ACCOUNT, ATTACKER, HOST, Network, Session, lacks, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long anything in the laboratory may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub struct Laboratory {
    folder: tempfile::TempDir,
    network: Network,
    running: Option<Child>,
}

impl Laboratory {
    /// Why this machine cannot run one; `None` when it can.
    pub fn missing() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("needs root for network namespaces".to_owned());
        }
        lacks(&[
            "ip",
            "unshare",
            "/usr/sbin/sshd",
            "rsyslogd",
            "ssh",
            "sshpass",
            "curl",
            "ssh-keygen",
            "openssl",
            "tail",
        ])
    }

    /// Builds the network, starts the host, and waits until its sshd listens.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("picket-lab-")
            .tempdir()
            .expect("a folder");
        let mut lab = Self {
            folder,
            network: Network::start(),
            running: None,
        };
        lab.write_files();
        let script = lab.path("host.sh");
        let host = Command::new("ip")
            .args([
                "netns",
                "exec",
                lab.host(),
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-eu"])
            .arg(script)
            .stdin(Stdio::null())
            .stdout(fs::File::create(lab.path("console")).expect("a console"))
            .stderr(fs::File::create(lab.path("errors")).expect("a console"))
            .spawn();
        lab.running = Some(host.expect("the host starts"));
        lab.wait_for("Server listening on 198.51.100.1 port 22.", 1);
        lab.wait_for("Server listening on 2001:db8::1 port 22.", 1);
        lab
    }

    /// The log as rsyslog writes it: ISO 8601 with microseconds, or as RFC 3164 when `traditional`.
    pub fn log(&self, traditional: bool) -> PathBuf {
        self.path(if traditional {
            "traditional.log"
        } else {
            "auth.log"
        })
    }

    /// The network namespace of the host.
    pub fn host(&self) -> &str {
        &self.network.host
    }

    /// The network, in which things happen to the host.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The way in.
    pub fn inside(&self) -> Inside {
        let host = self.running.as_ref().expect("it runs");
        Inside::laboratory(only_child(host.id()))
    }

    /// One login over SSH from the attacker's address, with one password.
    pub fn login(&self, host: &str, user: &str, password: &str) -> Output {
        let source = if host.contains(':') {
            ATTACKER[1]
        } else {
            ATTACKER[0]
        };
        self.login_from(source, host, user, password)
    }

    /// The same from another address.
    pub fn login_from(&self, source: &str, host: &str, user: &str, password: &str) -> Output {
        self.network.login(source, host, user, password)
    }

    /// Somebody who has logged in from an address and stays.
    pub fn stay(&self, source: &str, host: &str) -> Session {
        let mut session = self.network.session(source, host, ACCOUNT.0, ACCOUNT.1);
        assert_eq!(session.say("echo I am in"), "I am in\n");
        session
    }

    /// Waits until `count` lines of the log hold `text`, and gives them.
    pub fn wait_for(&self, text: &str, count: usize) -> Vec<String> {
        follow(&self.log(false), text, count, PATIENCE).unwrap_or_else(|seen| {
            let errors = fs::read_to_string(self.path("errors")).unwrap_or_default();
            panic!(
                "no {count} lines with '{text}' in:\n{}\n{errors}",
                seen.join("\n")
            )
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let here = self.folder.path();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path("key")));
        add_account(Path::new("/etc"), here);
        fs::write(
            self.path("rsyslog.conf"),
            format!(
                "module(load=\"imuxsock\" SysSock.Name=\"/dev/log\")\n\
                 *.* action(type=\"omfile\" file=\"{0}/auth.log\" template=\"RSYSLOG_FileFormat\")\n\
                 *.* action(type=\"omfile\" file=\"{0}/traditional.log\" template=\"RSYSLOG_TraditionalFileFormat\")\n",
                here.display()
            ),
        )
        .expect("a file");
        fs::write(
            self.path("sshd.conf"),
            format!(
                "HostKey {}/key\nListenAddress {}\nListenAddress {}\nUsePAM yes\nPermitRootLogin yes\nUseDNS no\n\
                 PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPidFile none\nMaxStartups 100\n\
                 LogLevel VERBOSE\n",
                here.display(),
                HOST[0],
                HOST[1]
            ),
        )
        .expect("a file");
        // rsyslogd goes to the background once its socket is there: only then may sshd say that it listens.
        // The host's own /dev is a copy of the few nodes that sshd needs, so that /dev/log is its own.
        fs::write(
            self.path("host.sh"),
            format!(
                "cd {}\n\
                 mkdir dev && mount -t tmpfs tmpfs dev\n\
                 cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx dev/\n\
                 mkdir dev/pts dev/shm && mount --bind /dev/pts dev/pts && mount --bind dev /dev\n\
                 mount -t tmpfs tmpfs /var/tmp && mount -t tmpfs tmpfs /run && mkdir /run/sshd\n\
                 for file in passwd group shadow; do mount --bind $file /etc/$file; done\n\
                 rsyslogd -f rsyslog.conf -i /run/rsyslogd.pid\n\
                 exec /usr/sbin/sshd -D -f sshd.conf\n",
                here.display()
            ),
        )
        .expect("a file");
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        if let Some(mut host) = self.running.take() {
            end(&mut host);
        }
    }
}

/// Copies the files of accounts from `etc` into `folder`, with one account more.
pub(crate) fn add_account(etc: &Path, folder: &Path) {
    let hash = run(Command::new("openssl").args(["passwd", "-6", ACCOUNT.1]));
    let hash = String::from_utf8(hash.stdout).expect("a hash is ASCII");
    let name = ACCOUNT.0;
    for (file, line) in [
        ("passwd", format!("{name}:x:4242:4242::/:/bin/sh")),
        ("group", format!("{name}:x:4242:")),
        ("shadow", format!("{name}:{}:20000::::::", hash.trim())),
    ] {
        let own = fs::read_to_string(etc.join(file)).expect("an account file");
        fs::write(folder.join(file), format!("{own}{line}\n")).expect("a copy");
    }
}

fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}
