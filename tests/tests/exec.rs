//! What the sensor in the kernel sees of real processes.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use picket_agent::config::Process as Settings;
use picket_agent::observation::{ProcessSeen, Sighting};
use picket_agent::sense::Notice;
use picket_common::event::{Direction, ExecEvent, ExitStatus};
use picket_tests::binary;
use picket_tests::sensor::Watching;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long something that happened may take until it is seen.
const PATIENCE: Duration = Duration::from_secs(20);

fn watching() -> Option<Watching> {
    Watching::in_the_kernel(&Settings::default())
}

/// Runs a command to its end, and gives what was seen of the program that it is.
fn seen_of(watching: &mut Watching, command: &mut Command) -> ExecEvent {
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let pid = child.id();
    child.wait().expect("it ends");
    watching.exec_of(pid)
}

fn odd(how: &[&str]) -> Command {
    let mut command = Command::new(binary("odd_exec"));
    command.args(how);
    command
}

#[test]
fn a_program_is_seen_with_all_that_is_gone_a_moment_later() {
    let Some(mut watching) = watching() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", "read line"])
        .env_clear()
        .env("LD_PRELOAD", "")
        .env("SECRET", "not to be taken")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let exec = watching.wait("sh", |seen| match &seen.what {
        ProcessSeen::Exec(event) if event.process.pid == pid => Some((**event).clone()),
        _ => None,
    });
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start: u64 = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(exec.process.start, start, "the unit and the value of /proc");
    let image = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(exec.executable, image.to_str().unwrap());
    let file = exec.file.unwrap();
    let stat = fs::metadata(&image).unwrap();
    assert_eq!((file.device, file.inode), (stat.dev(), stat.ino()));
    assert!(!file.unlinked && !file.memfd);
    let version = exec.version.unwrap();
    let changed = stat.ctime() * 1_000_000 + stat.ctime_nsec() / 1000;
    assert_eq!(
        (version.changed.as_micros(), version.size),
        (changed, stat.size())
    );
    assert_eq!(exec.args, ["/bin/sh", "-c", "read line"]);
    assert!(!exec.args_cut);
    assert_eq!(exec.environment, ["LD_PRELOAD="]);
    let cwd = folder.path().canonicalize().unwrap();
    assert_eq!(exec.working_directory.as_deref(), cwd.to_str());
    let namespace = |name| fs::metadata(format!("/proc/{pid}/ns/{name}")).unwrap().ino();
    let namespaces = exec.namespaces.unwrap();
    assert_eq!(u64::from(namespaces.mount), namespace("mnt"));
    assert_eq!(u64::from(namespaces.pid), namespace("pid"));
    let own = std::process::id();
    assert_eq!(exec.ancestors[0].process.pid, own);
    assert_eq!(exec.ancestors[1].process.pid, std::os::unix::process::parent_id());
    let login = fs::read_to_string(format!("/proc/{pid}/loginuid")).unwrap_or_default();
    let login = login.trim().parse().ok().filter(|uid| *uid != u32::MAX);
    assert_eq!(exec.credentials.login_uid, login);
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    if let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::")) {
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            if let Ok(folder) = fs::metadata(format!("{root}{path}")) {
                assert_eq!(exec.cgroup, Some(folder.ino()));
            }
        }
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    child.wait().unwrap();
    watching.exec_of(pid);
}

#[test]
fn arguments_are_told_as_they_are() {
    let Some(mut watching) = watching() else { return };
    let mut command = Command::new("/bin/true");
    command
        .arg("two\nlines")
        .arg("\u{1b}]0;title\u{7}")
        .arg("")
        .arg(OsStr::from_bytes(b"not \xff\xfe text"));
    let exec = seen_of(&mut watching, &mut command);
    assert_eq!(
        exec.args,
        [
            "/bin/true",
            "two\nlines",
            "\u{1b}]0;title\u{7}",
            "",
            "not \u{fffd}\u{fffd} text"
        ]
    );
    assert!(!exec.args_cut);

    let mut command = Command::new("/bin/true");
    command.args(["", ""]);
    assert_eq!(seen_of(&mut watching, &mut command).args, ["/bin/true", "", ""]);
}

#[test]
fn two_megabytes_of_arguments_are_cut_and_said_to_be() {
    let Some(mut watching) = watching() else { return };
    let exec = seen_of(&mut watching, &mut odd(&["many-arguments"]));
    assert!(exec.args_cut);
    assert_eq!(exec.args[0], "true");
    let kept: usize = exec.args.iter().map(|arg| arg.len() + 1).sum();
    assert!((32_000..=33_000).contains(&kept), "{kept}");
    // Just as many as are kept are not cut.
    let mut command = Command::new("/bin/true");
    command.arg("x".repeat((32 << 10) - "/bin/true".len() - 2));
    let exec = seen_of(&mut watching, &mut command);
    assert!(!exec.args_cut);
    assert_eq!(exec.args[1].len(), (32 << 10) - 11);
    command.arg("");
    assert!(seen_of(&mut watching, &mut command).args_cut);
}

#[test]
fn a_program_without_arguments_is_seen() {
    let Some(mut watching) = watching() else { return };
    let exec = seen_of(&mut watching, &mut odd(&["no-arguments"]));
    assert_eq!(
        exec.executable,
        fs::canonicalize("/bin/true").unwrap().to_str().unwrap()
    );
    // Linux gives it an empty one since 5.18.
    assert!(exec.args.iter().all(|arg| arg.is_empty()), "{:?}", exec.args);
    assert!(!exec.args_cut);
}

#[test]
fn who_takes_another_name_is_known_by_the_file_that_runs() {
    let Some(mut watching) = watching() else { return };
    let exec = seen_of(&mut watching, &mut odd(&["rename", "[kthreadd]"]));
    assert_eq!(
        exec.executable,
        fs::canonicalize("/bin/true").unwrap().to_str().unwrap()
    );
    assert_eq!(exec.args, ["harmless"]);
}

#[test]
fn a_file_without_a_name_is_said_to_have_none() {
    let Some(mut watching) = watching() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("gone");
    let exec = seen_of(&mut watching, &mut odd(&["unlinked", file.to_str().unwrap()]));
    assert_eq!(exec.executable, file.to_str().unwrap());
    assert!(exec.file.unwrap().unlinked && !exec.file.unwrap().memfd);

    let exec = seen_of(&mut watching, &mut odd(&["memfd"]));
    assert_eq!(exec.executable, "/memfd:payload");
    assert!(exec.file.unwrap().unlinked && exec.file.unwrap().memfd);
    assert_eq!(exec.args, ["[kworker/0:1]"]);
}

#[test]
fn a_file_whose_mount_or_namespace_is_gone_is_seen() {
    let Some(mut watching) = watching() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for how in ["gone-namespace", "detached"] {
        let exec = seen_of(&mut watching, &mut odd(&[how, folder.to_str().unwrap()]));
        assert_eq!(exec.args, ["orphan"], "{how}");
        assert!(exec.executable.ends_with("/true"), "{how}: {}", exec.executable);
        assert!(exec.file.is_some_and(|file| !file.unlinked), "{how}");
    }
}

#[test]
fn forks_and_ends_are_seen_with_their_reason() {
    let Some(mut watching) = watching() else { return };
    let mut child = Command::new("sh")
        .args(["-c", "(exit 3); (kill -KILL $(exec sh -c 'echo $PPID')); exit 7"])
        .spawn()
        .unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watching.exec_of(pid);
    let parent = |seen: &Sighting| match &seen.what {
        ProcessSeen::Forked { parent, child } if child.pid == pid => Some((parent.pid, *child)),
        _ => None,
    };
    let (parent, process) = watching.wait("the fork", parent);
    assert_eq!(parent, std::process::id());
    let end = |watching: &mut Watching, of: u32| {
        watching.wait("the end", |seen| match &seen.what {
            ProcessSeen::Exited { process, status } if process.pid == of => Some((*process, *status)),
            _ => None,
        })
    };
    assert_eq!(end(&mut watching, pid), (process, ExitStatus::Code(7)));
    let children: Vec<u32> = watching
        .seen
        .iter()
        .filter_map(|sighting| match sighting.what {
            ProcessSeen::Forked { parent, child } if parent.pid == pid => Some(child.pid),
            _ => None,
        })
        .collect();
    assert_eq!(children.len(), 2);
    assert_eq!(end(&mut watching, children[0]).1, ExitStatus::Code(3));
    assert_eq!(end(&mut watching, children[1]).1, ExitStatus::Signal(9));
}

#[test]
fn a_process_of_many_threads_ends_once() {
    let Some(mut watching) = watching() else { return };
    let mut pids = HashSet::new();
    for _ in 0..50 {
        let mut child = odd(&["threads", "8"]).spawn().unwrap();
        pids.insert(child.id());
        child.wait().unwrap();
    }
    for pid in &pids {
        watching.exec_of(*pid);
    }
    let (seen, _) = watching.finish();
    let ends = seen
        .iter()
        .filter(|sighting| matches!(sighting.what, ProcessSeen::Exited { process, .. } if pids.contains(&process.pid)));
    assert_eq!(ends.count(), 50);
}

#[test]
fn connections_are_seen_from_both_sides_and_accepted_by_whoever_listens() {
    // One that listened before the sensor came, one that does so after.
    let before = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(mut watching) = watching() else { return };
    let after = TcpListener::bind("[::1]:0").unwrap();
    let own = std::process::id();
    for listener in [&before, &after] {
        let address = listener.local_addr().unwrap();
        // Another process connects, so that the two sides are not the same.
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}",
            address.ip().to_string().trim_matches(['[', ']']),
            address.port()
        );
        let mut client = Command::new("bash").args(["-c", &script]).spawn().unwrap();
        let pid = client.id();
        let (_, peer) = listener.accept().unwrap();
        assert!(client.wait().unwrap().success());
        let outbound = watching.wait("the connection that is asked for", |seen| match &seen.what {
            ProcessSeen::Connected {
                process,
                direction: Direction::Outbound,
                remote,
                ..
            } if *remote == address => Some(process.pid),
            _ => None,
        });
        assert_eq!(outbound, pid);
        let inbound = watching.wait("the connection that is accepted", |seen| match &seen.what {
            ProcessSeen::Connected {
                process,
                direction: Direction::Inbound,
                local,
                remote,
            } if *remote == peer => Some((process.pid, *local)),
            _ => None,
        });
        assert_eq!(inbound, (own, address));
    }
    let (_, notices) = watching.finish();
    assert_eq!(notices, []);
}

#[test]
fn a_connection_that_is_accepted_in_another_network_as_a_containers_is_seen() {
    let Some(mut watching) = watching() else { return };
    let script = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, inet_aton('127.0.0.1'))); \
                  listen($s, 5); my $here = getsockname($s); \
                  if (!fork) { socket(my $c, PF_INET, SOCK_STREAM, 0); connect($c, $here); exit } \
                  accept(my $c, $s); wait";
    let mut listener = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up; exec perl -e \"$0\"",
            script,
        ])
        .spawn()
        .unwrap();
    let pid = listener.id();
    assert!(listener.wait().unwrap().success());
    watching.wait("the accepted connection", |seen| match &seen.what {
        ProcessSeen::Connected {
            process,
            direction: Direction::Inbound,
            ..
        } => (process.pid == pid).then_some(()),
        _ => None,
    });
}

#[test]
fn a_connection_is_accepted_by_the_child_of_whoever_listened_and_ended() {
    let Some(mut watching) = watching() else { return };
    // The socket is made by a process that hands it to a child and ends, as daemons do.
    let script = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, inet_aton('127.0.0.1'))); \
                  listen($s, 5); my ($port) = sockaddr_in(getsockname($s)); my $child = fork; \
                  if (!$child) { accept(my $c, $s); sleep 1 while <STDIN>; exit } \
                  $| = 1; print \"$port $child\\n\"; exit";
    let mut parent = Command::new("perl")
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    // Held open: the child lives until it is closed.
    let input = parent.stdin.take();
    parent.wait().unwrap();
    let mut output = parent.stdout.take().unwrap();
    while !told.ends_with('\n') {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        told.push(char::from(byte[0]));
    }
    let (port, child) = told.trim().split_once(' ').unwrap();
    let (port, child): (u16, u32) = (port.parse().unwrap(), child.parse().unwrap());
    watching.exec_of(parent.id());
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let own = stream.local_addr().unwrap();
    let acceptor = watching.wait("the accepted connection", |seen| match &seen.what {
        ProcessSeen::Connected {
            process,
            direction: Direction::Inbound,
            remote,
            ..
        } if *remote == own => Some(process.pid),
        _ => None,
    });
    assert_eq!(acceptor, child);
    drop((stream, input));
}

#[test]
fn who_signals_whom_is_seen() {
    let Some(mut watching) = watching() else { return };
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    let (from, signal) = watching.wait("the signal", |seen| match &seen.what {
        ProcessSeen::Signalled {
            process,
            signal,
            target,
        } if target.pid == pid => Some((process.pid, *signal)),
        _ => None,
    });
    assert_eq!((from, signal), (std::process::id(), 15));
}

#[test]
fn who_becomes_root_without_a_set_uid_file_is_seen_and_who_does_so_by_one_is_not() {
    let Some(mut watching) = watching() else { return };
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["odd_exec", "set_uid"] {
        fs::copy(binary("odd_exec"), path(name)).unwrap();
    }
    for (file, mode) in [(folder.path().to_owned(), "755"), (path("set_uid"), "4755")] {
        assert!(
            Command::new("chmod")
                .arg(mode)
                .arg(file)
                .status()
                .unwrap()
                .success()
        );
    }
    // Its right to take any user comes from outside; it had been nobody.
    let mut raised = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=+setuid", "--ambient-caps=+setuid"])
        .arg(path("odd_exec"))
        .arg("become-root")
        .spawn()
        .unwrap();
    let pid = raised.id();
    assert!(raised.wait().unwrap().success());
    let (former, now) = watching.wait("who became root", |seen| match &seen.what {
        ProcessSeen::Raised {
            process,
            former_uid,
            credentials,
        } if process.pid == pid => Some((*former_uid, *credentials)),
        _ => None,
    });
    assert_eq!((former, now.effective_uid), (65534, 0));

    let mut allowed = Command::new(path("set_uid"))
        .arg("become-root")
        .uid(65534)
        .gid(65534)
        .spawn()
        .unwrap();
    let pid = allowed.id();
    assert!(allowed.wait().unwrap().success());
    let last = watching.exec_of(pid);
    assert_eq!(last.credentials.effective_uid, 0);
    let (seen, _) = watching.finish();
    let others = seen.iter().filter(
        |sighting| matches!(sighting.what, ProcessSeen::Raised { process, .. } if process.pid == pid),
    );
    assert_eq!(others.count(), 0);
}

#[test]
fn what_runs_already_is_told_with_its_arguments() {
    let mut child = Command::new("cat")
        .args(["-u", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let Some(mut watching) = watching() else {
        drop(child.stdin.take());
        child.wait().unwrap();
        return;
    };
    let running = watching.wait("what runs already", |seen| match &seen.what {
        ProcessSeen::Running(event) if event.process.pid == pid => Some((**event).clone()),
        _ => None,
    });
    assert_eq!(running.args, ["cat", "-u", "-"]);
    assert_eq!(
        running.executable,
        fs::canonicalize("/bin/cat").unwrap().to_str().unwrap()
    );
    assert_eq!(running.ancestors[0].process.pid, std::process::id());
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// All that a storm of so many programs comes to: how many were seen, and what was said of losses.
fn storm(settings: &Settings, count: usize, workers: usize) -> Option<(usize, Vec<Notice>)> {
    let watching = Watching::in_the_kernel(settings)?;
    // None of the machine's own: the name tells them.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("storm");
    fs::copy("/bin/true", &file).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                for number in 0..count / workers {
                    let mut command = Command::new(&file);
                    command.arg(number.to_string());
                    assert!(command.status().unwrap().success());
                }
            });
        }
    });
    let (seen, notices) = watching.finish();
    let name = file.to_str().unwrap();
    let seen = seen
        .iter()
        .filter(|sighting| matches!(&sighting.what, ProcessSeen::Exec(event) if event.executable == name && event.args.len() == 2));
    Some((seen.count(), notices))
}

#[test]
fn a_storm_is_seen_whole() {
    let Some((seen, notices)) = storm(&Settings::default(), 4000, 4) else {
        return;
    };
    assert_eq!((seen, notices), (4000, vec![]));
}

#[test]
fn of_a_storm_that_the_ring_has_no_room_for_what_was_seen_and_what_was_lost_are_what_was_made() {
    let Some(mut all) = watching() else { return };
    let small = Settings {
        // Large enough for what happens on the machine while it tells of what ran before.
        ring: 256 << 10,
        environment: Vec::new(),
        ..Settings::default()
    };
    // Its queue holds one observation, which nobody takes: the ring is all that there is.
    let mut few = Watching::with_queue(1, &small).unwrap();
    let (first, begin) = few.mark(PATIENCE).unwrap();
    for _ in 0..3000 {
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
    // From here on it is read, and once it sees what happens just now there is room again.
    let end = (0..100).find_map(|_| few.mark(Duration::from_secs(1)));
    let (last, end) = end.expect("there is room in the end");
    all.exec_of(last);
    let made = |seen: &[Sighting]| {
        let within = seen.iter().filter(|sighting| {
            // Each has its own idea of when the first and the last were.
            matches!(&sighting.what, ProcessSeen::Exec(event) if ![first, last].contains(&event.process.pid))
                && (begin..end).contains(&sighting.number)
        });
        within.count()
    };
    let (few, told) = few.finish();
    let (all, untold) = all.finish();
    assert_eq!(untold, [], "the other had room for all");
    let lost: u64 = told
        .iter()
        .map(|notice| match notice {
            Notice::Lost { place, reason, .. } => {
                assert_eq!(place, "exec_ebpf");
                let (before, _) = reason
                    .split_once(" programs that started")
                    .unwrap_or(("room for 0", ""));
                before.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
            }
            Notice::Warning(text) => panic!("{text}"),
        })
        .sum();
    let (few, all) = (made(&few), made(&all));
    assert!(lost > 1000, "the storm was too small: {lost}");
    assert_eq!(few + usize::try_from(lost).unwrap(), all);
}

#[test]
fn an_excluded_image_is_not_judged_and_what_it_starts_is() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().canonicalize().unwrap().join("excluded");
    fs::copy("/bin/sh", &image).unwrap();
    let settings = Settings {
        exclude_images: vec![image.clone()],
        ..Settings::default()
    };
    let Some(mut watching) = Watching::in_the_kernel(&settings) else {
        return;
    };
    let name = image.to_str().unwrap();
    let look = |watching: &mut Watching| {
        let mut child = Command::new(&image)
            .args(["-c", "/bin/true inner; exit 0"])
            .spawn()
            .unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let running = watching.wait("the excluded", |seen| match &seen.what {
            ProcessSeen::Running(event) if event.process.pid == pid && event.executable == name => {
                Some((**event).clone())
            }
            _ => None,
        });
        let inner = watching.wait("what it starts", |seen| match &seen.what {
            ProcessSeen::Exec(event) if event.ancestors[0].process == running.process => {
                Some((**event).clone())
            }
            _ => None,
        });
        assert_eq!(inner.args, ["/bin/true", "inner"]);
        assert_eq!(watching.execs(pid), []);
        running
    };
    let known_to_the_kernel = |watching: &mut Watching| {
        // The first time it is known by its path; soon the kernel leaves out its arguments, unless the file system has no
        // generations.
        (0..10).any(|_| {
            let told = look(watching);
            let file = told.file.unwrap();
            assert_eq!(file.inode, fs::metadata(&image).unwrap().ino());
            told.args.is_empty()
        })
    };
    let known = known_to_the_kernel(&mut watching);
    // An update puts another file there.
    let fresh = folder.path().join("fresh");
    fs::copy("/bin/sh", &fresh).unwrap();
    fs::rename(&fresh, &image).unwrap();
    assert_eq!(known_to_the_kernel(&mut watching), known);
    // A copy elsewhere is another program, also where it has the inode of one that was excluded.
    let other = folder.path().join("other");
    fs::copy("/bin/sh", &other).unwrap();
    let exec = seen_of(&mut watching, Command::new(&other).args(["-c", "exit 0"]));
    assert_eq!(exec.args[1], "-c");
}

#[test]
fn nothing_is_seen_in_an_excluded_cgroup() {
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .find(|root| fs::metadata(format!("{root}/cgroup.procs")).is_ok());
    let Some(root) = root.filter(|_| nix::unistd::geteuid().is_root()) else {
        println!("skipped: needs root and cgroups of the second version");
        return;
    };
    let group = format!("{root}/picket-test-{}", std::process::id());
    let below = format!("{group}/below");
    fs::create_dir(&group).unwrap();
    fs::create_dir(&below).unwrap();
    let settings = Settings {
        exclude_cgroups: vec![group.clone().into()],
        ..Settings::default()
    };
    let mut watching = Watching::in_the_kernel(&settings).unwrap();
    let mut inside = Vec::new();
    for folder in [&group, &below] {
        let script = format!("echo $$ > {folder}/cgroup.procs && exec /bin/true inside");
        let mut child = Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
        inside.push(child.id());
        assert!(child.wait().unwrap().success());
    }
    let outside = seen_of(&mut watching, Command::new("/bin/true").arg("outside"));
    assert_eq!(outside.args[1], "outside");
    for pid in inside {
        let execs = watching.execs(pid);
        assert!(
            matches!(&execs[..], [shell] if shell.args[0] == "/bin/sh"),
            "{execs:?}"
        );
    }
    fs::remove_dir(&below).unwrap();
    fs::remove_dir(&group).unwrap();
}

#[test]
fn two_sensors_see_the_same() {
    let (Some(mut one), Some(mut other)) = (watching(), watching()) else {
        return;
    };
    let mut child = Command::new("/bin/true").arg("twice").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert_eq!(one.exec_of(pid), other.exec_of(pid));
}

#[test]
fn a_fork_bomb_is_seen_whole() {
    let Some(mut watching) = watching() else { return };
    // Nine times all of them fork: 512 in the end, none of which runs a program of its own.
    let script = "fork for 1..9; 1 while wait > 0;";
    let mut child = Command::new("perl").args(["-e", script]).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    watching.exec_of(pid);
    let (seen, notices) = watching.finish();
    assert_eq!(notices, []);
    let mut family = HashSet::from([pid]);
    for sighting in &seen {
        if let ProcessSeen::Forked { parent, child } = &sighting.what
            && family.contains(&parent.pid)
        {
            family.insert(child.pid);
        }
    }
    assert_eq!(family.len(), 512);
    let ended = seen
        .iter()
        .filter(|sighting| matches!(&sighting.what, ProcessSeen::Exited { process, .. } if family.contains(&process.pid)));
    assert_eq!(ended.count(), 512);
}
