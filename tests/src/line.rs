//! A collector and an enrolled agent, both real, on loopback and in a folder of their own.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub struct Line {
    folder: tempfile::TempDir,
    /// Where the agent is.
    namespace: Option<String>,
    /// Where the collector is.
    far: Option<String>,
    through: Vec<String>,
    collector: Option<Child>,
    address: String,
    agent: Option<Child>,
}

impl Line {
    /// Starts a collector and makes a host known to it; the agent is not started yet.
    pub fn start(settings: &str) -> Self {
        Self::on(None, None, settings)
    }

    /// The same in a network namespace, watching a log that is there already.
    pub fn on(namespace: Option<&str>, log: Option<&Path>, settings: &str) -> Self {
        Self::between(namespace, (namespace, "127.0.0.1"), log, settings)
    }

    /// The same with the collector in a network namespace of its own, at an address that it has there.
    pub fn between(
        namespace: Option<&str>,
        (far, address): (Option<&str>, &str),
        log: Option<&Path>,
        settings: &str,
    ) -> Self {
        // Others may look: the courier runs as another user when the tests run as root.
        let folder = tempfile::Builder::new()
            .prefix("picket-line-")
            .tempdir()
            .expect("a folder");
        let mut line = Self {
            folder,
            namespace: namespace.map(str::to_owned),
            far: far.map(str::to_owned),
            through: Vec::new(),
            collector: None,
            address: format!("{address}:0"),
            agent: None,
        };
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
        let here = line.folder.path().display();
        let log = log.map_or_else(|| line.path("auth.log"), Path::to_owned);
        let text = format!(
            "[agent]\nstate = \"{here}/state\"\nsocket = \"{here}/control.sock\"\n[auth]\nfiles = [\"{}\"]\njournal = \"no\"\nstart = \"beginning\"\n\
             [detect]\nrules = [\"{}\"]\n[spool]\ndirectory = \"{here}/spool\"\n{settings}",
            log.display(),
            rules.display()
        );
        fs::write(line.path("picket.toml"), text).expect("a file");
        line.start_collector();
        let token = line.collect(&["token", "create"]);
        fs::write(line.path("token"), token).expect("a file");
        let enrolled = line.enroll();
        assert!(
            enrolled.status.success(),
            "{}",
            String::from_utf8_lossy(&enrolled.stderr)
        );
        line
    }

    /// `picket enroll` with the token in the file `token`.
    pub fn enroll(&self) -> std::process::Output {
        self.command("picket")
            .args([
                "enroll",
                "--collector",
                &format!("https://{}", self.address),
                "--token-file",
            ])
            .arg(self.path("token"))
            .arg("--config")
            .arg(self.path("picket.toml"))
            .output()
            .expect("picket starts")
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the collector listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Appends to the log that the agent watches.
    pub fn log(&self, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("auth.log"))
            .expect("a log");
        file.write_all(text.as_bytes()).expect("room");
    }

    /// Starts the collector, where it was before if it ran before.
    pub fn start_collector(&mut self) {
        let (own, _) = self.address.rsplit_once(':').expect("an address and a port");
        let mut child = self
            .command("picket-collector")
            .args(["serve", "--name", own, "--listen", &self.address, "--data"])
            .arg(self.path("collector"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the collector starts");
        let said = first_line(&mut child);
        self.address = said.rsplit(' ').next().expect("an address").trim().to_owned();
        self.collector = Some(child);
    }

    /// Runs the agent through another program from now on, which takes it as its last arguments.
    pub fn run_through(&mut self, program: &[&str]) {
        self.through = program.iter().map(|&word| word.to_owned()).collect();
    }

    /// Starts the agent and waits until it is ready.
    pub fn start_agent(&mut self) {
        let errors = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("agent.log"));
        let mut child = self
            .agent_command()
            .arg("run")
            .arg("--config")
            .arg(self.path("picket.toml"))
            .stdout(Stdio::piped())
            .stderr(errors.expect("a file"))
            .spawn()
            .expect("the agent starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        // Findings may come before it is ready in every part.
        let ready = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .any(|said| said == "picket is ready");
        if !ready {
            let log = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            panic!("the agent ended before it was ready:\n{log}");
        }
        // What it says from now on must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        self.agent = Some(child);
    }

    /// Ends the agent, by SIGKILL or asking it to; it must then end well.
    pub fn end_agent(&mut self, kill: bool) {
        let Some(agent) = &mut self.agent.take() else {
            return;
        };
        end(agent, kill, "the agent");
    }

    /// Ends the collector in the same way.
    pub fn end_collector(&mut self, kill: bool) {
        let Some(collector) = &mut self.collector.take() else {
            return;
        };
        end(collector, kill, "the collector");
    }

    /// What a subcommand of the collector prints.
    pub fn collect(&self, arguments: &[&str]) -> String {
        let output = self
            .command("picket-collector")
            .args(arguments)
            .arg("--data")
            .arg(self.path("collector"))
            .output()
            .expect("the collector starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a subcommand of the agent prints, or what it complains of.
    pub fn operate(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self
            .command("picket")
            .args(arguments)
            .arg("--config")
            .arg(self.path("picket.toml"))
            .output()
            .expect("picket starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Waits until a record that is no event fulfils `wanted`.
    pub fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_at_most(PATIENCE, wanted)
    }

    /// The same, giving up when nothing at all has come for `patience`.
    pub fn wait_for_at_most(&self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut child = self
            .command("picket-collector")
            .args(["findings", "--follow", "--json", "--data"])
            .arg(self.path("collector"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the collector starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, receive) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            lines
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let mut seen = Vec::new();
        let found = loop {
            let Ok(line) = receive.recv_timeout(patience) else {
                break None;
            };
            let value: Value = serde_json::from_str(&line).expect("JSON");
            if wanted(&value) {
                break Some(value);
            }
            seen.push(line);
        };
        drop(child.kill());
        drop(child.wait());
        drop(receive);
        drop(reader.join());
        found.unwrap_or_else(|| {
            let log = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            panic!(
                "it did not come; these did:\n{}\nthe agent says:\n{log}",
                seen.join("\n")
            )
        })
    }

    /// The memory of the agent and its child processes, each shared page counted once among those that share it, in bytes.
    pub fn memory(&self) -> f64 {
        let agent = self.agent.as_ref().expect("it runs").id();
        let children = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap_or_default();
        let own = agent.to_string();
        let threads = fs::read_dir(format!("/proc/{agent}/task")).expect("it runs");
        let mut pids: Vec<String> = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
            .chain([children, own])
            .flat_map(|text| {
                text.split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        pids.sort();
        pids.dedup();
        let pss = |pid: &String| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()
        };
        pids.iter().filter_map(pss).sum::<f64>() * 1024.0
    }

    /// A binary of ours, where it belongs.
    fn command(&self, name: &str) -> Command {
        let namespace = if name == "picket" {
            &self.namespace
        } else {
            &self.far
        };
        program(namespace.as_deref(), crate::binary(name).as_os_str())
    }

    fn agent_command(&self) -> Command {
        let Some((first, rest)) = self.through.split_first() else {
            return self.command("picket");
        };
        let mut command = program(self.namespace.as_deref(), OsStr::new(first));
        command.args(rest).arg(crate::binary("picket"));
        command
    }
}

fn program(namespace: Option<&str>, program: &OsStr) -> Command {
    match namespace {
        None => Command::new(program),
        Some(namespace) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(program);
            command
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.collector].into_iter().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn first_line(child: &mut Child) -> String {
    let mut said = String::new();
    let mut output: BufReader<ChildStdout> = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut said).expect("a line");
    said
}

fn end(child: &mut Child, kill: bool, name: &str) {
    if kill {
        child.kill().expect("it runs");
    } else {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    }
    let status = child.wait().expect("it ends");
    assert!(kill || status.success(), "{name} ended with {status}");
}
