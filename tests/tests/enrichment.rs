//! What the host knows of a program that starts: real programs of this machine, and a real login over SSH.

use picket_common::event::Payload;
use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST, Session};
use picket_tests::programs::Cat;
use picket_tests::watched::{Known, Watched};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn a_program_is_known_with_who_started_it_its_package_and_its_hash() {
    Watched::each(|watched, name| {
        let mut known = Known::of(watched);
        // A file that nobody has run before, so that its hash cannot be known.
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        fs::copy("/bin/cat", &own).unwrap();
        let first = Cat::start(&mut Command::new(&own));
        let (event, exec) = known.exec(first.pid());
        assert_eq!(exec.user.as_deref(), Some("root"), "{name}: {exec:?}");
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        assert_eq!(exec.host.as_deref(), Some(host.as_str()));
        let test = fs::read_link("/proc/self/exe").unwrap();
        assert_eq!(exec.ancestors[0].executable.as_deref(), test.to_str(), "{name}");
        assert!(exec.ancestors[0].command_line.is_some() && exec.ancestors.len() > 1);
        assert_eq!((exec.package, exec.sha256), (None, None), "{name}");

        let sum = Command::new("sha256sum").arg(&own).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let (sum, _) = sum.split_once(' ').unwrap();
        let amended = known.amended(&event);
        let Payload::Exec(whole) = &amended.payload else {
            panic!("{amended:?}")
        };
        assert_eq!(
            (whole.sha256.as_deref(), amended.id),
            (Some(sum), event.id),
            "{name}"
        );
        let second = Cat::start(&mut Command::new(&own));
        assert_eq!(known.exec(second.pid()).1.sha256.as_deref(), Some(sum), "{name}");
        // Another content under the same name and number.
        drop((first, second));
        fs::write(&own, fs::read("/bin/tee").unwrap()).unwrap();
        let third = Cat::start(&mut Command::new(&own));
        assert_ne!(known.exec(third.pid()).1.sha256.as_deref(), Some(sum), "{name}");

        let of_a_package = Cat::start(Command::new("/bin/cat").arg("-"));
        let (_, exec) = known.exec(of_a_package.pid());
        let process = exec.process;
        if Path::new("/var/lib/dpkg/info/coreutils.list").exists() {
            assert_eq!(exec.package.as_deref(), Some("coreutils"), "{name}");
        }
        drop(of_a_package);
        let exit = known.wait(|event| match &event.payload {
            Payload::Exit(exit) if exit.program.process == process => Some(exit.clone()),
            _ => None,
        });
        assert_eq!(exit.program.executable.as_deref(), Some(exec.executable.as_str()));
        assert_eq!(exit.program.command_line.as_deref(), Some("/bin/cat -"));
        assert!(exit.ran.is_some_and(|ran| ran.as_secs() < 60), "{name}: {exit:?}");
    });
}

#[test]
fn the_path_of_a_package_in_another_mount_namespace_makes_no_file_one_of_the_package() {
    if !Path::new("/var/lib/dpkg/info/coreutils.list").exists() || !nix::unistd::geteuid().is_root() {
        println!("skipped: needs dpkg, and root for a mount namespace");
        return;
    }
    Watched::each(|watched, name| {
        let mut known = Known::of(watched);
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::copy("/bin/cat", &other).unwrap();
        for (script, package) in [
            ("exec /usr/bin/tee", Some("coreutils")),
            ("mount --bind \"$0\" /usr/bin/tee; exec /usr/bin/tee", None),
        ] {
            let mut command = Command::new("unshare");
            let started = Cat::start(command.args(["--mount", "sh", "-c", script]).arg(&other));
            let exec = known.wait(|event| match &event.payload {
                Payload::Exec(exec) if exec.process.pid == started.pid() && exec.args == ["/usr/bin/tee"] => {
                    Some(exec.clone())
                }
                _ => None,
            });
            assert_eq!(exec.executable, "/usr/bin/tee", "{name}");
            assert_eq!(exec.package.as_deref(), package, "{name}: {script}");
        }
    });
}

#[test]
fn who_started_a_program_stays_known_when_they_have_ended() {
    Watched::each(|watched, name| {
        let mut known = Known::of(watched);
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("pid");
        // The shell in the middle ends, and somebody else takes its child. Each waits a while, so that whoever only looks now
        // and then sees both.
        let script = "sh -c 'sleep 0.5; (sleep 0.5; exec sleep 60) & echo $! > \"$0\"; sleep 0.3' \"$0\"; exec sleep 60";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .arg(&said)
            .spawn()
            .unwrap();
        let exec = known.wait(|event| match &event.payload {
            Payload::Exec(exec) if exec.args == ["sleep", "60"] && exec.process.pid != shell.id() => {
                Some(exec.clone())
            }
            _ => None,
        });
        let child: u32 = fs::read_to_string(&said).unwrap().trim().parse().unwrap();
        assert_eq!(exec.process.pid, child, "{name}");
        let middle = &exec.ancestors[0];
        assert!(
            middle
                .command_line
                .as_deref()
                .is_some_and(|line| line.starts_with("sh -c sleep 0.5")),
            "{name}: {:?}",
            exec.ancestors
        );
        assert_eq!(exec.ancestors[1].process.pid, shell.id(), "{name}");
        let end = |pid: u32| drop(Command::new("kill").arg(pid.to_string()).status());
        end(child);
        shell.kill().unwrap();
        shell.wait().unwrap();
    });
}

#[test]
fn in_a_pid_namespace_a_process_has_the_number_that_the_host_gives_it() {
    Watched::each(|watched, name| {
        let mut known = Known::of(watched);
        let own = Cat::start(&mut Command::new("/bin/cat"));
        let (_, outside) = known.exec(own.pid());
        let mut child = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "sh", "-c", "echo $$; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 2];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"1\n", "{name}: it is the first there");
        let unshare = child.id();
        let inside = known.wait(|event| match &event.payload {
            Payload::Exec(exec) if exec.args == ["cat"] && exec.ancestors[0].process.pid == unshare => {
                Some(exec.clone())
            }
            _ => None,
        });
        assert_ne!(inside.process.pid, 1, "{name}");
        let spaces = |exec: &picket_common::event::ExecEvent| exec.namespaces.unwrap();
        assert_ne!(spaces(&inside).pid, spaces(&outside).pid, "{name}");
        assert_eq!(spaces(&inside).mount, spaces(&outside).mount, "{name}");
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

/// A control group of our own, gone with the value.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        for folder in [&self.0.join("docker").join(ID), &self.0.join("docker"), &self.0] {
            drop(fs::remove_dir(folder));
        }
    }
}

const ID: &str = "3f0d9c3e5b1a4d7c8e2f6a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293";

#[test]
fn the_container_is_told_by_the_real_control_group() {
    let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(Path::new);
    let Some(root) = roots.into_iter().find(|root| root.join("cgroup.procs").exists()) else {
        println!("skipped: no control groups here");
        return;
    };
    let group = Group(root.join(format!("picket-test-{}", std::process::id())));
    let inner = group.0.join("docker").join(ID);
    if let Err(error) = fs::create_dir_all(&inner) {
        println!("skipped: {}: {error}", inner.display());
        return;
    }
    Watched::each(|watched, name| {
        let mut known = Known::of(watched);
        let outside = Cat::start(&mut Command::new("/bin/cat"));
        let runtime = |container: Option<Box<picket_common::event::Container>>| {
            container.and_then(|container| container.runtime.map(String::from))
        };
        assert_eq!(runtime(known.exec(outside.pid()).1.container), None, "{name}");
        let script = "echo $$ > \"$0\"; exec cat";
        let mut command = Command::new("sh");
        let inside = Cat::start(command.args(["-c", script]).arg(inner.join("cgroup.procs")));
        let exec = known.wait(|event| match &event.payload {
            Payload::Exec(exec) if exec.process.pid == inside.pid() && exec.args == ["cat"] => {
                Some(exec.clone())
            }
            _ => None,
        });
        let container = exec.container.unwrap_or_else(|| panic!("{name}: none"));
        assert_eq!(
            (container.runtime.as_deref(), container.id.as_deref()),
            (Some("docker"), Some(ID)),
            "{name}"
        );
    });
}

#[test]
fn what_somebody_runs_over_ssh_is_known_to_be_theirs_by_the_log_and_without_it() {
    if let Some(reason) = Booted::missing() {
        println!("skipped: {reason}");
        return;
    }
    let host = Booted::start();
    let process = "[process]\nsensor = \"poll\"\n";
    for (auth, is_logged) in [
        ("journal = \"yes\"\n", true),
        ("files = [\"/var/log/none\"]\njournal = \"no\"\n", false),
    ] {
        let mut line = Line::inside(&host, auth, process);
        line.start_agent();
        for (source, address) in ATTACKER.into_iter().zip(HOST) {
            let mut session = host.network().session(source, address, ACCOUNT.0, ACCOUNT.1);
            // What it says of itself is a lie.
            let lie = "export SSH_CONNECTION='203.0.113.66 1 203.0.113.67 22'";
            session.say(&format!("{lie}; cp /bin/sleep /tmp/tool; echo"));
            let mut login = login_of_a_tool(&line, &mut session);
            // The log may come a moment later than the program: then it is known of the next.
            for _ in 0..5 {
                if is_logged && login["method"].is_null() {
                    login = login_of_a_tool(&line, &mut session);
                }
            }
            assert_eq!(login["user"], "alice", "{login}");
            assert_eq!(login["source"], source, "{login}");
            assert_eq!(login["program"], "sshd", "{login}");
            assert!(login["port"].as_u64().is_some_and(|port| port > 1), "{login}");
            assert_eq!(login["method"] == "password", is_logged, "{login}");
            session.end();
        }
        line.end_agent(false);
        line.end_collector(false);
    }
}

/// Runs a program that a rule finds, and gives the login that its event names.
fn login_of_a_tool(line: &Line, session: &mut Session) -> Value {
    let started = session.say("/tmp/tool 5 > /dev/null 2>&1 & echo $!");
    let pid: u64 = started.trim().parse().expect("a pid");
    let finding = line.wait_for(|value| {
        value["record"] == "finding"
            && value["body"]["rule"]["title"] == "Program run from a folder that anybody may write to"
            && value["body"]["process"]["pid"] == pid
    });
    let id = finding["body"]["id"].as_str().unwrap();
    let told = line.operate(&["explain", id, "--json"]).expect("it is known");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    find(&told, "login")
        .unwrap_or_else(|| panic!("no login: {told}"))
        .clone()
}

/// The first value of that name, however deep.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields
            .get(name)
            .filter(|value| !value.is_null())
            .or_else(|| fields.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}
