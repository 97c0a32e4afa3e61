//! A host that is really booted: systemd, sshd, rsyslog and journald of a Debian root, and an attacker beside it.
//!
//! systemd-nspawn boots it over an overlay of a root that is made once (`packaging/lab-root.sh`), in namespaces of its own.
//! Nothing of the machine is changed, and all ends with the value, also when the test panics; what a test that was killed
//! has left ends when the next host starts.

use crate::inside::Inside;
use crate::laboratory::add_account;
use crate::load;
use crate::network::{ATTACKER, Network, lacks};
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long booting may take, and powering off, before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub struct Booted {
    network: Network,
    folder: PathBuf,
    /// The process that waits for its end.
    boot: Option<Child>,
    /// Its first process, as the machine numbers it.
    leader: u32,
}

impl Booted {
    /// Why this machine cannot boot one; `None` when it can. Makes the root if it is not there yet.
    pub fn missing() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("needs root to boot a host".to_owned());
        }
        let tools = [
            "ip",
            "unshare",
            "nsenter",
            "systemd-nspawn",
            "debootstrap",
            "sshpass",
            "ssh",
            "openssl",
        ];
        lacks(&tools).or_else(|| root().err())
    }

    /// Boots one and waits until all of its services run.
    pub fn start() -> Self {
        let root = root().expect("a root");
        let hosts = root.parent().expect("a folder").join("hosts");
        fs::create_dir_all(&hosts).expect("a folder");
        sweep(&hosts);
        let network = Network::start();
        let folder = hosts.join(network.name());
        let mut host = Self {
            network,
            folder,
            boot: None,
            leader: 0,
        };
        fs::create_dir_all(host.shared()).expect("a folder");
        host.write_files(&root);
        host.boot(&root);
        host
    }

    /// The host and the attacker.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A folder that has the same path on the host and on the machine.
    pub fn shared(&self) -> PathBuf {
        self.folder.join("shared")
    }

    /// A program on the host. The process that this starts is `nsenter`, whose one child is the program.
    pub fn command(&self, program: &str) -> Command {
        self.inside().command(program)
    }

    /// The way in, for whoever lasts no longer than the host.
    pub(crate) fn inside(&self) -> Inside {
        Inside::booted(self.leader)
    }

    /// What a program on the host prints; it must succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = crate::network::run(self.command(program).args(arguments));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A program of the host that writes to its syslog whatever lines it is given, as `sshd` of root's would.
    pub fn syslog(&self) -> Syslog {
        let mut child = self
            .command("logger")
            .args(["--tag", "sshd", "--priority", "authpriv.info"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("logger starts");
        Syslog {
            input: child.stdin.take(),
            child,
        }
    }

    /// One login over SSH from the attacker's address, with one password.
    pub fn login(&self, host: &str, user: &str, password: &str) -> Output {
        let source = ATTACKER[usize::from(host.contains(':'))];
        self.network.login(source, host, user, password)
    }

    fn write_files(&self, root: &Path) {
        let files = self.folder.join("files");
        let write = |path: &str, text: &str| {
            let path = files.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("etc/hostname", "lab\n");
        write(
            "etc/ssh/sshd_config.d/lab.conf",
            "LogLevel VERBOSE\nMaxStartups 100\nUseDNS no\n",
        );
        // What a test writes at once is more than a service may by default.
        write(
            "etc/systemd/journald.conf.d/lab.conf",
            "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n",
        );
        write(
            "etc/systemd/system/systemd-journald.service.d/lab.conf",
            "[Unit]\nStartLimitIntervalSec=0\n",
        );
        add_account(&root.join("etc"), &files.join("etc"));
    }

    fn boot(&mut self, root: &Path) {
        let socket = self.folder.join("notify");
        let notify = UnixDatagram::bind(&socket).expect("a socket");
        notify.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let console = fs::File::create(self.folder.join("console")).expect("a console");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/boot.sh");
        let boot = Command::new("setsid")
            .args(["unshare", "--mount", "sh"])
            .arg(script)
            .args([self.network.name(), self.network.host.as_str()])
            .args([root, &self.folder, &crate::binary("picket"), &rules])
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a console"))
            .stderr(console)
            .spawn();
        self.boot = Some(boot.expect("it starts"));
        let mut message = [0; 4096];
        loop {
            let Ok(length) = notify.recv(&mut message) else {
                let console = fs::read_to_string(self.folder.join("console")).unwrap_or_default();
                panic!("the host did not boot:\n{console}");
            };
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            for line in text.lines() {
                if let Some(leader) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                    fs::write(self.folder.join("leader"), leader).expect("a file");
                    self.leader = leader.parse().expect("a pid");
                }
                if line == "READY=1" {
                    return;
                }
            }
        }
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if let Some(mut boot) = self.boot.take() {
            // Poweroff, as systemd understands it. To end nspawn would leave its first process alive.
            signal(self.leader, "RTMIN+4");
            let (ended, end) = mpsc::channel();
            let waiter = std::thread::spawn(move || {
                drop(boot.wait());
                // Nobody waits any more when it took too long.
                let _ = ended.send(());
            });
            if end.recv_timeout(PATIENCE).is_err() {
                signal(self.leader, "KILL");
            }
            drop(waiter.join());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Writes to a host's syslog.
pub struct Syslog {
    input: Option<ChildStdin>,
    child: Child,
}

impl Syslog {
    /// Writes whole lines.
    pub fn log(&mut self, text: &str) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(text.as_bytes()).expect("logger reads");
    }

    /// Writes numbered lines.
    pub fn messages(&mut self, numbers: Range<u64>) {
        for number in numbers {
            self.log(&(load::message(number) + "\n"));
        }
    }

    /// Waits until all of it is written.
    pub fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.input = None;
        drop(self.child.wait());
    }
}

/// The root of all hosts, or why there is none.
fn root() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/lab-root.sh");
    let output = Command::new(script).stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        }
        Ok(output) => Err(format!("packaging/lab-root.sh: {}", output.status)),
        Err(error) => Err(format!("packaging/lab-root.sh: {error}")),
    }
}

/// Ends what tests have left that were killed before they could.
fn sweep(hosts: &Path) {
    for entry in fs::read_dir(hosts).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("pk").and_then(|rest| rest.split('-').next());
        if owner.is_none_or(|pid| Path::new("/proc").join(pid).exists()) {
            continue;
        }
        let leader = fs::read_to_string(entry.path().join("leader")).unwrap_or_default();
        let groups = fs::read_to_string(format!("/proc/{leader}/cgroup")).unwrap_or_default();
        // The number may be somebody else's by now.
        if let Ok(leader) = leader.parse()
            && groups.contains(&format!("/{name}/"))
        {
            signal(leader, "KILL");
        }
        Network::remove(&name);
        drop(fs::remove_dir_all(entry.path()));
    }
}

fn signal(pid: u32, name: &str) {
    // It may have ended by itself.
    drop(Command::new("kill").args(["-s", name, &pid.to_string()]).status());
}
