//! A collector and an enrolled agent, both real, on loopback and in a folder of their own.

use crate::booted::Booted;
use crate::follow;
use crate::inside::{Inside, only_child};
use crate::laboratory::Laboratory;
use crate::network::NEIGHBOUR;
use crate::surroundings::Surroundings;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub struct Line {
    folder: tempfile::TempDir,
    place: Place,
    /// The collector's network namespace.
    far: Option<String>,
    /// A program that runs the agent.
    through: Vec<String>,
    collector: Option<Child>,
    address: String,
    agent: Option<Child>,
    /// The agent's process: what was started to get to its place may be its parent.
    pid: i32,
    /// Copies what the agent prints into the file `agent.out`.
    printed: Option<JoinHandle<()>>,
    /// What the agent's next start finds.
    pub agent_finds: Surroundings,
    /// What the collector's next start finds.
    pub collector_finds: Surroundings,
}

/// Where the agent runs.
enum Place {
    /// Here.
    Here,
    /// In a network namespace, as the collector does.
    Namespace(String),
    /// On a host with processes of its own, which outlives the line; the program is the agent there.
    Inside(Inside, PathBuf),
}

impl Line {
    /// Starts a collector and makes a host known to it; the agent is not started yet.
    pub fn start(settings: &str) -> Self {
        Self::on(None, None, settings)
    }

    /// The same with a collector that finds something.
    pub fn with_collector(finds: Surroundings, settings: &str) -> Self {
        Self::around(None, (None, "127.0.0.1"), None, finds, settings)
    }

    /// The same in a network namespace, watching a log that is there already.
    pub fn on(namespace: Option<&str>, log: Option<&Path>, settings: &str) -> Self {
        Self::between(namespace, (namespace, "127.0.0.1"), log, settings)
    }

    /// The same with the collector in a network namespace of its own, at an address that it has there.
    pub fn between(
        namespace: Option<&str>,
        far: (Option<&str>, &str),
        log: Option<&Path>,
        settings: &str,
    ) -> Self {
        Self::around(namespace, far, log, Surroundings::default(), settings)
    }

    fn around(
        namespace: Option<&str>,
        far: (Option<&str>, &str),
        log: Option<&Path>,
        finds: Surroundings,
        settings: &str,
    ) -> Self {
        let place = namespace.map_or(Place::Here, |name| Place::Namespace(name.to_owned()));
        let folder = tempfile::Builder::new().prefix("picket-line-").tempdir();
        let folder = folder.expect("a folder");
        let log = log.map_or_else(|| folder.path().join("auth.log"), Path::to_owned);
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
        let auth = format!(
            "files = [\"{}\"]\njournal = \"no\"\nstart = \"beginning\"\n",
            log.display()
        );
        Self::at(place, far, folder, (&auth, &rules, settings), finds)
    }

    /// The same with the agent on a booted host; `auth` is the section that says what it watches.
    pub fn inside(host: &Booted, auth: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir_in(host.shared()).expect("a folder");
        let rules = Path::new("/usr/share/picket/rules");
        let config = (auth, rules, settings);
        let far = (Some(host.network().attacker.as_str()), NEIGHBOUR[0]);
        let place = Place::Inside(host.inside(), "picket".into());
        Self::at(place, far, folder, config, Surroundings::default())
    }

    /// The same with agent and collector in a laboratory, whose processes are all that the agent sees; it watches their log.
    pub fn in_laboratory(lab: &Laboratory, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("picket-line-").tempdir();
        let auth = format!(
            "files = [\"{}\"]\njournal = \"no\"\nstart = \"beginning\"\n",
            lab.log(false).display()
        );
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rules");
        let place = Place::Inside(lab.inside(), crate::binary("picket"));
        let far = (Some(lab.host()), "127.0.0.1");
        let finds = Surroundings::default();
        Self::at(
            place,
            far,
            folder.expect("a folder"),
            (&auth, &rules, settings),
            finds,
        )
    }

    fn at(
        place: Place,
        (far, address): (Option<&str>, &str),
        folder: tempfile::TempDir,
        (auth, rules, settings): (&str, &Path, &str),
        collector_finds: Surroundings,
    ) -> Self {
        let mut line = Self {
            folder,
            place,
            far: far.map(str::to_owned),
            through: Vec::new(),
            collector: None,
            address: format!("{address}:0"),
            agent: None,
            pid: 0,
            printed: None,
            agent_finds: Surroundings::default(),
            collector_finds,
        };
        let here = line.folder.path().display();
        // Whatever else runs on this machine is none of the test's, unless it is about that.
        let unwatched = |section: &str| match settings.contains(section) {
            true => String::new(),
            false => format!("{section}\nsensor = \"none\"\n"),
        };
        let (process, files) = (unwatched("[process]"), unwatched("[files]"));
        let text = format!(
            "[agent]\nstate = \"{here}/state\"\nsocket = \"{here}/control.sock\"\n[auth]\n{auth}{process}{files}\
             [detect]\nrules = [\"{}\"]\n[spool]\ndirectory = \"{here}/spool\"\n{settings}",
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
            .server("picket-collector", &self.collector_finds)
            .args(["serve", "--listen", &self.address, "--name", own])
            .arg("--data")
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
            .server("picket", &self.agent_finds)
            .arg("run")
            .arg("--config")
            .arg(self.path("picket.toml"))
            .stdout(Stdio::piped())
            .stderr(errors.expect("a file"))
            .spawn()
            .expect("the agent starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut copy = fs::File::create(self.path("agent.out")).expect("a file");
        // Findings may come before it is ready in every part.
        let ready = output.by_ref().lines().map_while(Result::ok).any(|said| {
            writeln!(copy, "{said}").expect("room");
            said == "picket is ready"
        });
        if !ready {
            let log = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            panic!("the agent ended before it was ready:\n{log}");
        }
        // What it says from now on must not fill the pipe.
        self.printed = Some(std::thread::spawn(move || {
            std::io::copy(&mut output, &mut copy).expect("room");
        }));
        self.pid = i32::try_from(child.id()).expect("a pid");
        if let Place::Inside(..) = self.place {
            self.pid = i32::try_from(only_child(child.id())).expect("a pid");
        }
        self.agent = Some(child);
    }

    /// Ends the agent, by SIGKILL or asking it to; it must then end well.
    pub fn end_agent(&mut self, kill: bool) {
        let Some(agent) = &mut self.agent.take() else {
            return;
        };
        end(agent, self.pid, kill, "the agent");
        let printed = self.printed.take().map(JoinHandle::join);
        assert!(
            printed.is_some_and(|copied| copied.is_ok()),
            "its output was copied"
        );
    }

    /// Ends the collector in the same way.
    pub fn end_collector(&mut self, kill: bool) {
        let Some(collector) = &mut self.collector.take() else {
            return;
        };
        let pid = i32::try_from(collector.id()).expect("a pid");
        end(collector, pid, kill, "the collector");
    }

    /// A subcommand of the collector.
    pub fn collector(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.collector {
            // It sees what the collector sees.
            Some(collector) if !self.collector_finds.script.is_empty() => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &collector.id().to_string(), "--mount"]);
                command.arg(crate::binary("picket-collector"));
                command
            }
            _ => self.command("picket-collector"),
        };
        command.args(arguments).arg("--data").arg(self.path("collector"));
        command.envs(self.collector_finds.environment.iter().cloned());
        command
    }

    /// A subcommand of the agent.
    pub fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("picket");
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("picket.toml"));
        command
    }

    /// What a subcommand of the collector prints.
    pub fn collect(&self, arguments: &[&str]) -> String {
        let output = self.collector(arguments).output().expect("the collector starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a subcommand of the agent prints, or what it complains of.
    pub fn operate(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.agent(arguments).output().expect("picket starts");
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
            .collector(&["findings", "--follow", "--json"])
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
        let pss = |pid: &String| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()
        };
        self.processes().iter().filter_map(pss).sum::<f64>() * 1024.0
    }

    /// The processor time that the agent and its child processes have used.
    pub fn processor_time(&self) -> Duration {
        let used = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        let tasks = |pid: &String| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
        let processes = self.processes();
        let nanoseconds = processes.iter().flat_map(tasks).flatten().filter_map(used).sum();
        Duration::from_nanos(nanoseconds)
    }

    /// The pids of the agent and its child processes.
    fn processes(&self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("it runs");
        let mut pids: Vec<String> = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
            .flat_map(|text| {
                text.split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .chain([self.pid.to_string()])
            .collect();
        pids.sort();
        pids.dedup();
        pids
    }

    /// The agent's process.
    pub fn agent_pid(&self) -> i32 {
        self.pid
    }

    /// Starts the agent, which must refuse to run. Gives what it says.
    pub fn refused_start(&self) -> String {
        let output = self
            .server("picket", &self.agent_finds)
            .arg("run")
            .arg("--config")
            .arg(self.path("picket.toml"))
            .output()
            .expect("the agent starts");
        assert!(!output.status.success(), "it ran");
        String::from_utf8(output.stderr).expect("text")
    }

    /// A path as the agent sees it, which may be in a mount namespace of its own.
    pub fn seen_by_agent(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        root.join(self.path(name).strip_prefix("/").expect("an absolute path"))
    }

    /// A path as the collector sees it.
    pub fn seen_by_collector(&self, name: &str) -> PathBuf {
        let collector = self.collector.as_ref().expect("it runs").id();
        let root = PathBuf::from(format!("/proc/{collector}/root"));
        root.join(self.path(name).strip_prefix("/").expect("an absolute path"))
    }

    /// Waits until the agent has said `text` so many times since its first start.
    pub fn wait_until_agent_says(&self, text: &str, times: usize) {
        let said = follow(&self.path("agent.log"), text, times, PATIENCE);
        said.unwrap_or_else(|log| panic!("the agent does not say '{text}':\n{}", log.join("\n")));
    }

    /// Lays settings over those of the line.
    pub fn drop_in(&self, settings: &str) {
        fs::create_dir_all(self.path("conf.d")).expect("a folder");
        fs::write(self.path("conf.d/test.toml"), settings).expect("a file");
    }

    /// A binary of ours, where the line is.
    fn command(&self, name: &str) -> Command {
        self.program(name, crate::binary(name).as_os_str())
    }

    /// A binary of ours that stays, in what it finds.
    fn server(&self, name: &str, finds: &Surroundings) -> Command {
        let script = format!("{}\nexec \"$0\" \"$@\"", finds.script);
        let through: Vec<&str> = if !finds.script.is_empty() {
            vec!["unshare", "--mount", "sh", "-euc", &script]
        } else if name == "picket" {
            self.through.iter().map(String::as_str).collect()
        } else {
            Vec::new()
        };
        let mut command = match through.split_first() {
            None => self.command(name),
            Some((first, rest)) => {
                let mut command = self.program(name, first.as_ref());
                command.args(rest).arg(crate::binary(name));
                command
            }
        };
        command.env("FOLDER", self.folder.path());
        command.envs(finds.environment.iter().cloned());
        command
    }

    /// A program where the binary `name` runs.
    fn program(&self, name: &str, program: &OsStr) -> Command {
        let namespace = match &self.place {
            Place::Inside(host, picket) if name == "picket" => return host.command(picket),
            Place::Namespace(namespace) if name == "picket" => Some(namespace),
            Place::Here if name == "picket" => None,
            _ => self.far.as_ref(),
        };
        let Some(namespace) = namespace else {
            return Command::new(program);
        };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.agent.is_some() {
            // It may have ended by itself.
            let _ = signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
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

fn end(child: &mut Child, pid: i32, kill: bool, name: &str) {
    let wanted = if kill { Signal::SIGKILL } else { Signal::SIGTERM };
    signal::kill(Pid::from_raw(pid), wanted).expect("it runs");
    let status = child.wait().expect("it ends");
    assert!(kill || status.success(), "{name} ended with {status}");
}
