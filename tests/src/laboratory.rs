//! A host with a real sshd and a real rsyslogd, and an attacker beside it, in network namespaces of their own.
//!
//! The host's processes see their own `/dev/log`, accounts and processes; nothing of the machine is changed, and all ends
//! with the value. Addresses are those that RFC 5737 and RFC 3849 keep for documentation.

use crate::network::{Network, run};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub use crate::network::{ATTACKER, HOST, NEIGHBOUR};

/// The one account that can log in by password, and its password.
pub const ACCOUNT: (&str, &str) = ("alice", "a long word for the laboratory");

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
        [
            "ip",
            "unshare",
            "/usr/sbin/sshd",
            "rsyslogd",
            "ssh",
            "sshpass",
            "ssh-keygen",
            "openssl",
            "tail",
        ]
        .into_iter()
        .find(|tool| {
            Command::new("sh")
                .args(["-c", "command -v \"$0\"", tool])
                .output()
                .is_ok_and(|found| !found.status.success())
        })
        .map(|tool| format!("needs {tool}"))
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
                &lab.network.host,
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
        let mut ssh = self.ssh(source, host, user, password);
        ssh.arg("true").stdin(Stdio::null()).output().expect("ssh starts")
    }

    /// Somebody who has logged in from an address and stays until the process is told that its input has ended.
    pub fn stay(&self, source: &str, host: &str) -> Child {
        let mut ssh = self.ssh(source, host, ACCOUNT.0, ACCOUNT.1);
        let mut child = ssh
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ssh starts");
        let mut input = child.stdin.as_ref().expect("a pipe");
        input.write_all(b"I am in\n").expect("it listens");
        let mut said = String::new();
        let output = child.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut said).expect("it answers");
        assert_eq!(said, "I am in\n");
        child
    }

    fn ssh(&self, source: &str, host: &str, user: &str, password: &str) -> Command {
        let mut ssh = Command::new("ip");
        ssh.args([
            "netns",
            "exec",
            &self.network.attacker,
            "sshpass",
            "-p",
            password,
            "ssh",
            "-F",
            "none",
            "-b",
            source,
            "-l",
            user,
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "ConnectTimeout=3",
            // Whoever is cut off in the middle gives up as well.
            "-o",
            "ServerAliveInterval=1",
            "-o",
            "ServerAliveCountMax=3",
        ])
        .args([
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "NumberOfPasswordPrompts=1",
            host,
        ]);
        ssh
    }

    /// Waits until `count` lines of the log hold `text`, and gives them.
    pub fn wait_for(&self, text: &str, count: usize) -> Vec<String> {
        let log = self.log(false);
        let mut tail = Command::new("tail")
            .args(["--lines=+1", "--follow=name", "--retry", "--quiet"])
            .arg(&log)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tail starts");
        let lines = BufReader::new(tail.stdout.take().expect("a pipe"));
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let mut found = Vec::new();
        let mut seen = Vec::new();
        while found.len() < count {
            match receive.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => found.push(line),
                Ok(line) => seen.push(line),
                Err(_) => break,
            }
        }
        end(&mut tail);
        let errors = fs::read_to_string(self.path("errors")).unwrap_or_default();
        assert!(
            found.len() >= count,
            "no {count} lines with '{text}' in:\n{}\n{found:?}\n{errors}",
            seen.join("\n")
        );
        found
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let here = self.folder.path();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path("key")));
        let hash = run(Command::new("openssl").args(["passwd", "-6", ACCOUNT.1]));
        let (name, hash) = (
            ACCOUNT.0,
            String::from_utf8(hash.stdout).expect("a hash is ASCII"),
        );
        let account = |file: &str, line: String| {
            let own = fs::read_to_string(Path::new("/etc").join(file)).expect("an account file");
            fs::write(self.path(file), format!("{own}{line}\n")).expect("a copy");
        };
        account("passwd", format!("{name}:x:4242:4242::/:/bin/sh"));
        account("group", format!("{name}:x:4242:"));
        account("shadow", format!("{name}:{}:20000::::::", hash.trim()));
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
                 mount -t tmpfs tmpfs /run && mkdir /run/sshd\n\
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

fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}
