//! Files that are looked into: `picket scan`, its worker, and the rules that come with Picket, on real files.

use picket_agent::scan::{self, Backlog, Heard, Limits, Options, Queue, Submitted, Task};
use picket_tests::{picket, samples};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn shipped() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("packaging/rules/yara")
}

/// Exit status, standard output, standard error.
fn run(rules: &Path, arguments: &[&OsStr]) -> (i32, String, String) {
    let mut command = picket();
    command
        .args(["scan", "--config", "/nonexistent", "--rules"])
        .arg(rules)
        .args(arguments);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What `--json` prints, by path.
fn scan_json(rules: &Path, paths: &[&Path]) -> BTreeMap<String, Value> {
    let mut arguments = vec![OsStr::new("--json")];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let (_, output, _) = run(rules, &arguments);
    let line = |line| serde_json::from_str::<Value>(line).unwrap();
    output
        .lines()
        .map(line)
        .map(|value| (value["path"].as_str().unwrap().to_owned(), value))
        .collect()
}

fn rules_of(value: &Value) -> BTreeSet<String> {
    let name = |found: &Value| found["rule"].as_str().unwrap().to_owned();
    value["matches"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn each_rule_finds_its_samples_also_in_archives_and_no_rule_is_without_one() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let samples = samples::write(folder.path());
    let packed = folder.path().join("all.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).arg("-czf").arg(&packed);
    tar.args(samples.iter().map(|(name, _)| *name));
    assert!(tar.status().unwrap().success());
    let found = scan_json(&shipped(), &[folder.path()]);
    let in_archive = rules_of(&found[packed.to_str().unwrap()]);
    for (name, rule) in &samples {
        let path = folder.path().join(name);
        let rules = rules_of(&found[path.to_str().unwrap()]);
        assert!(rules.contains(*rule), "{name}: {rules:?}");
        // Those two look at where a file lies.
        let by_place = ["packed_program_in_a_shared_place"].contains(rule);
        assert!(
            by_place || in_archive.contains(*rule),
            "{name} in an archive: {in_archive:?}"
        );
    }
    let mut all = BTreeSet::new();
    for file in shipped().read_dir().unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("rule "));
        all.extend(names.map(|name| name.split_whitespace().next().unwrap().to_owned()));
    }
    let with_sample: BTreeSet<_> = samples.iter().map(|(_, rule)| (*rule).to_owned()).collect();
    assert_eq!(all, with_sample);
}

#[test]
fn what_this_system_is_made_of_raises_nothing() {
    let root = shipped().ancestors().nth(3).unwrap().to_owned();
    let everyday = [
        "/usr/lib/systemd".into(),
        "/usr/lib/python3".into(),
        "/usr/share/perl".into(),
        root.join("packaging"),
        root.join("tests/src"),
    ];
    let is_small = |path: &PathBuf| {
        path.symlink_metadata()
            .is_ok_and(|data| data.is_file() && data.len() < 1 << 20)
    };
    let programs = Path::new("/usr/bin").read_dir().unwrap();
    let programs = programs.map(|entry| entry.unwrap().path()).filter(is_small);
    let there: Vec<PathBuf> = everyday
        .into_iter()
        .filter(|path: &PathBuf| path.exists())
        .chain(programs)
        .collect();
    let there: Vec<&Path> = there.iter().map(PathBuf::as_path).collect();
    let found = scan_json(&shipped(), &there);
    assert!(
        found.len() > 500,
        "{} files are too few to say anything",
        found.len()
    );
    let raised: Vec<_> = found
        .iter()
        .filter(|(_, value)| value["matches"].as_array().is_some_and(|all| !all.is_empty()))
        .map(|(path, value)| format!("{path}: {:?}", rules_of(value)))
        .collect();
    assert_eq!(raised, [""; 0]);
}

#[test]
fn the_exit_status_tells_and_a_wrong_rule_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, files) = (folder.path().join("rules"), folder.path().join("files"));
    fs::create_dir(&rules).unwrap();
    fs::create_dir(&files).unwrap();
    fs::write(
        rules.join("good.yar"),
        "rule good { strings: $a = \"needle\" condition: $a }",
    )
    .unwrap();
    fs::write(files.join("clean"), "hay").unwrap();
    assert_eq!(run(&rules, &[files.as_os_str()]).0, 0);
    fs::write(files.join("found"), "a needle").unwrap();
    let (status, output, _) = run(&rules, &[files.as_os_str()]);
    assert_eq!(
        (status, output),
        (1, format!("{}: good\n", files.join("found").display()))
    );
    fs::write(rules.join("bad.yar"), "rule bad {\n  condition:\n    $nothing\n}").unwrap();
    let (status, _, complaint) = run(&rules, &[files.as_os_str()]);
    let place = format!("{}:3: ", rules.join("bad.yar").display());
    assert!(status == 1 && complaint.contains(&place), "{complaint}");
    assert_eq!(run(&rules, &[files.join("clean").as_os_str()]).0, 2);
    assert_eq!(run(&rules, &[OsStr::new("/nonexistent")]).0, 2);
    let (status, _, complaint) = run(&files, &[files.as_os_str()]);
    assert!(status == 2 && complaint.contains("no YARA rule"), "{complaint}");
}

#[test]
fn hostile_names_are_scanned_and_steer_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let long = [b'n'; 255];
    let names: [&[u8]; 5] = [
        b"new\nline",
        b"esc\x1b[2Jape",
        b"turn\xe2\x80\xaeed",
        b"no\xff\xfetext",
        &long,
    ];
    for name in names {
        fs::write(folder.path().join(OsStr::from_bytes(name)), "a needle").unwrap();
    }
    let rules = tempfile::tempdir().unwrap();
    fs::write(
        rules.path().join("r.yar"),
        "rule r { strings: $a = \"needle\" condition: $a }",
    )
    .unwrap();
    for mode in ["--json", "--threads=1"] {
        let (status, output, _) = run(rules.path(), &[OsStr::new(mode), folder.path().as_os_str()]);
        assert_eq!((status, output.lines().count()), (1, 5), "{output}");
        let steers = |sign: char| (sign.is_control() && sign != '\n') || sign == '\u{202e}';
        assert!(!output.contains(steers), "{output:?}");
    }
}

#[test]
fn a_fifo_a_device_a_link_and_a_file_of_a_tebibyte_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("link")).unwrap();
    let sparse = folder.path().join("sparse");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    fs::write(folder.path().join("small"), "x").unwrap();
    let began = Instant::now();
    let found = scan_json(&shipped(), &[folder.path()]);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(found.len(), 2, "{found:?}");
    let sparse = &found[sparse.to_str().unwrap()];
    assert_eq!(sparse["sha256"], "");
    assert!(
        sparse["unscanned"].as_str().unwrap().contains("of 1 TiB"),
        "{sparse}"
    );
}

/// A client on a thread of its own, with rules of one text.
struct Client {
    queue: std::sync::Arc<Queue<String>>,
    heard: mpsc::Receiver<Heard<String>>,
    thread: Option<std::thread::JoinHandle<()>>,
    rules: tempfile::TempDir,
}

const PATIENCE: Duration = Duration::from_secs(100);

impl Client {
    fn start(rules: &str, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("r.yar"), rules).unwrap();
        let options = Options {
            program: picket().get_program().into(),
            user: None,
            limits,
            rules: vec![folder.path().to_owned()],
        };
        let queue = std::sync::Arc::new(Queue::new(4096).unwrap());
        let (told, heard) = mpsc::channel();
        let theirs = queue.clone();
        let run = move || scan::run(&theirs, &options, |what| told.send(what).unwrap());
        let thread = Some(std::thread::spawn(run));
        Self {
            queue,
            heard,
            thread,
            rules: folder,
        }
    }

    fn give(&self, file: File, path: &str) {
        let task = Task {
            file: file.into(),
            path: path.to_owned(),
            owner: String::new(),
            what: path.to_owned(),
        };
        assert!(matches!(self.queue.submit(task), Ok(Submitted::Waits)));
    }

    fn next(&self) -> Heard<String> {
        self.heard
            .recv_timeout(PATIENCE)
            .expect("the client says something")
    }

    /// The process of the next worker that is ready.
    fn ready(&self) -> u32 {
        loop {
            if let Heard::Ready { pid, .. } = self.next() {
                return pid;
            }
        }
    }

    /// Rules that matched, and why not all was scanned, of so many files.
    fn answers(&self, count: usize) -> BTreeMap<String, (Vec<String>, Option<String>)> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            if let Heard::Scanned { what, content } = self.next() {
                let rules = content
                    .matches
                    .iter()
                    .map(|found| found.rule.to_string())
                    .collect();
                answers.insert(what, (rules, content.unscanned.map(Into::into)));
            }
        }
        answers
    }

    fn end(mut self) -> Backlog {
        self.queue.finish();
        self.thread.take().unwrap().join().unwrap();
        self.queue.backlog()
    }
}

fn file(bytes: &[u8]) -> File {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

const NEEDLE: &str = "rule needle { strings: $a = \"needle\" condition: $a }";

#[test]
fn a_worker_that_is_killed_again_and_again_loses_no_file() {
    let client = Client::start(NEEDLE, Limits::default());
    let mut pid = client.ready();
    let mut answers = BTreeMap::new();
    for turn in 0..5 {
        for number in 0..200 {
            client.give(file(b"a needle"), &format!("/{turn}/{number}"));
        }
        let process = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
        let mut next = None;
        while next.is_none() {
            match client.next() {
                Heard::Ready { pid, .. } => next = Some(pid),
                Heard::Scanned { what, content } => drop(answers.insert(what, content)),
                Heard::Trouble { reason } => assert!(reason.contains("SIGKILL"), "{reason}"),
            }
        }
        pid = next.unwrap();
        // A file that two workers in a row held when they died counts as one that ends them: none may wait for the next.
        while answers.len() < (turn + 1) * 200 {
            if let Heard::Scanned { what, content } = client.next() {
                answers.insert(what, content);
            }
        }
    }
    assert!(
        answers
            .values()
            .all(|content| content.matches.len() == 1 && content.unscanned.is_none())
    );
    let backlog = client.end();
    assert_eq!((backlog.unscanned, backlog.deaths, backlog.held), (0, 5, 0));
}

#[test]
fn a_file_that_ends_every_worker_is_recorded_with_its_reason_and_takes_no_other_with_it() {
    let limits = Limits {
        matched: 1 << 30,
        hashed: 1 << 30,
        memory: 400 << 20,
        threads: 2,
        ..Limits::default()
    };
    let client = Client::start(NEEDLE, limits);
    for number in 0..10 {
        client.give(file(b"a needle"), &format!("/good/{number}"));
        if number % 5 == 0 {
            // More than the worker has memory for.
            let large = file(b"");
            large.set_len(900 << 20).unwrap();
            client.give(large, &format!("/bad/{number}"));
        }
    }
    for (path, (rules, unscanned)) in client.answers(12) {
        if path.starts_with("/good") {
            assert_eq!((rules.len(), unscanned), (1, None), "{path}");
        } else {
            let why = unscanned.unwrap();
            assert!(why.contains("ended whenever it held this file"), "{path}: {why}");
        }
    }
    assert_eq!(client.end().unscanned, 2);
}

#[test]
fn a_rule_that_takes_too_long_is_named_or_its_worker_replaced() {
    let limits = Limits {
        time: Duration::from_secs(1),
        threads: 1,
        ..Limits::default()
    };
    let slow = "rule slow { condition: extension == \".slow\" and for all i in (0..100000000000) : (uint8(i % filesize) == 97) }";
    // Between two looks at the clock it goes over the file a thousand times.
    let stuck = "rule stuck { condition: extension == \".stuck\" and for all i in (0..100000000000) : (math.entropy(i % 9, filesize) >= 0.0) }";
    let client = Client::start(&format!("import \"math\"\n{NEEDLE}\n{slow}\n{stuck}"), limits);
    client.ready();
    client.give(file(b"aaaa"), "/a.slow");
    client.give(file(&vec![b'a'; 16 << 20]), "/a.stuck");
    client.give(file(b"a needle"), "/a");
    let answers = client.answers(3);
    let why = |path: &str| answers[path].1.clone().unwrap();
    assert!(why("/a.slow").starts_with("the rule slow of ") && why("/a.slow").ends_with("took too long"));
    assert!(
        why("/a.stuck").contains("did not answer in time whenever it held this file"),
        "{}",
        why("/a.stuck")
    );
    assert_eq!(answers["/a"], (vec!["needle".to_owned()], None));
    client.end();
}

#[test]
fn new_rules_take_over_without_a_gap_and_known_results_are_forgotten() {
    let client = Client::start(NEEDLE, Limits::default());
    client.ready();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old");
    fs::write(&path, "hay").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    File::open(&path).unwrap().set_modified(long_ago).unwrap();
    // Until the change of its times is a second old, a result is not kept.
    let mut scanned = 0;
    while client.queue.backlog().known == 0 {
        client.give(File::open(&path).unwrap(), "/old");
        assert!(client.answers(1)["/old"].0.is_empty());
        scanned += 1;
    }
    assert!(scanned > 1);
    fs::write(
        client.rules.path().join("hay.yar"),
        "rule hay { strings: $a = \"hay\" condition: $a }",
    )
    .unwrap();
    client.queue.reload();
    let mut number = 0;
    loop {
        client.give(File::open(&path).unwrap(), "/old");
        let answer = client.answers(1)["/old"].clone();
        assert_eq!(answer.1, None, "there was a gap");
        number += 1;
        if answer.0 == ["hay"] {
            break;
        }
        assert!(number < 1_000_000);
    }
    let backlog = client.end();
    assert_eq!((backlog.unscanned, backlog.deaths), (0, 0));
}

#[test]
fn a_worker_has_no_rights_and_steps_behind_others() {
    let client = Client::start(NEEDLE, Limits::default());
    let pid = client.ready();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(
        (field("NoNewPrivs").as_str(), field("Seccomp").as_str()),
        ("1", "2")
    );
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(
            text.contains("Seccomp:\t2") && text.contains("CapEff:\t0000000000000000"),
            "{text}"
        );
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max address space") && line.contains("2147483648"))
    );
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    assert_eq!(after_name.split_whitespace().nth(16), Some("5"), "nice");
    client.end();
}

/// The other half of the test below: what a worker must not do, tried behind its locks.
#[test]
fn behind_the_locks() {
    if std::env::var_os("PICKET_BEHIND_THE_LOCKS").is_none() {
        return;
    }
    let before = File::open("/etc/hostname").unwrap();
    let parent = nix::unistd::Pid::parent();
    scan::give_up(2 << 30).unwrap();
    let refused = |what: &str, result: Result<(), std::io::Error>| match result {
        Err(error) => println!("refused {what}: {:?}", error.kind()),
        Ok(()) => println!("ALLOWED {what}"),
    };
    // Landlock alone, where the kernel has it, and then the filter of calls as well.
    for round in ["landlock", "seccomp"] {
        if round == "seccomp" {
            scan::give_up_calls().unwrap();
        }
        refused(&format!("{round} open"), File::open("/etc/hostname").map(drop));
        refused(
            &format!("{round} create"),
            File::create("/tmp/picket-must-not-be").map(drop),
        );
        let tcp = std::net::TcpStream::connect(("127.0.0.1", 9)).map(drop);
        refused(&format!("{round} connect"), tcp);
        let signal = nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGCONT);
        refused(&format!("{round} signal"), signal.map_err(Into::into));
    }
    refused(
        "seccomp socket",
        std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
    );
    refused("seccomp unix", std::os::unix::net::UnixStream::pair().map(drop));
    refused("seccomp run", Command::new("/bin/true").status().map(drop));
    refused(
        "seccomp thread",
        std::thread::Builder::new().spawn(|| ()).map(drop),
    );
    let still = std::os::unix::fs::FileExt::read_at(&before, &mut [0; 1], 0);
    println!("open files can be read: {}", still.is_ok());
}

#[test]
fn a_worker_can_open_no_file_and_no_socket_run_nothing_and_reach_nobody() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "behind_the_locks", "--nocapture", "--test-threads=1"])
        .env("PICKET_BEHIND_THE_LOCKS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    for what in [
        "open", "create", "connect", "signal", "socket", "unix", "run", "thread",
    ] {
        assert!(
            said.contains(&format!("refused seccomp {what}: PermissionDenied")),
            "{what}: {said}"
        );
    }
    assert!(said.contains("open files can be read: true"), "{said}");
    assert!(!Path::new("/tmp/picket-must-not-be").exists());
    if said.contains("refused landlock open") {
        assert!(said.contains("refused landlock create"), "{said}");
    } else {
        println!("skipped: this kernel has no landlock, so seccomp alone was tried");
    }
}

/// What the `yara` command says of one file, with the same variables.
fn yara(compiled: &Path, path: &Path, value: &Value, kind: &str) -> BTreeSet<String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let extension = name.rfind('.').map_or("", |at| &name[at..]).to_ascii_lowercase();
    let (file, md5) = (path.to_str().unwrap(), value["md5"].as_str().unwrap());
    let output = Command::new("yara")
        .args(["-w", "-C", "--max-strings-per-rule=100000"])
        .args([
            "-d",
            &format!("filename={name}"),
            "-d",
            &format!("filepath={file}"),
        ])
        .args([
            "-d",
            &format!("extension={extension}"),
            "-d",
            &format!("filetype={kind}"),
        ])
        .args(["-d", "owner=root", "-d", &format!("md5={md5}")])
        .args([compiled, path])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// Compiles all files of rules below a folder, each in a namespace of its own.
fn yarac(rules: &Path, compiled: &Path) {
    let mut command = Command::new("yarac");
    command.arg("-w");
    for variable in ["filename", "filepath", "extension", "filetype", "owner", "md5"] {
        command.args(["-d", &format!("{variable}=x")]);
    }
    for (number, file) in rules.read_dir().unwrap().enumerate() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|name| name == "yar" || name == "yara")
        {
            command.arg(format!("n{number}:{}", path.display()));
        }
    }
    let output = command.arg(compiled).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Files of which both have the same to say, and those of which they have not.
fn compare(rules: &Path, paths: &[&Path]) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("rules.yarc");
    yarac(rules, &compiled);
    let (mut same, mut different) = (0, Vec::new());
    for (path, value) in scan_json(rules, paths) {
        // Of what is in an archive `yara` knows nothing.
        let own = |found: &&Value| found["member"].is_null();
        let ours: BTreeSet<String> = value["matches"]
            .as_array()
            .unwrap()
            .iter()
            .filter(own)
            .map(|found| found["rule"].as_str().unwrap().to_owned())
            .collect();
        let kind = match value["mime_type"].as_str() {
            Some("application/x-elf") => "ELF",
            Some("image/gif") => "GIF",
            _ => "",
        };
        let theirs = yara(&compiled, Path::new(&path), &value, kind);
        if ours == theirs {
            same += 1;
        } else {
            different.push(format!("{path}: {ours:?}, but yara says {theirs:?}"));
        }
    }
    (same, different)
}

#[test]
fn files_are_judged_as_the_yara_command_judges_them() {
    if Command::new("yarac").arg("--version").output().is_err() {
        println!("skipped: the yara command is not installed");
        return;
    }
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let samples = samples::write(folder.path());
    // Near misses: each sample without its end.
    for (name, _) in &samples {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        let half = folder.path().join(format!("half-{}", name.replace('/', "-")));
        fs::write(half, &bytes[..bytes.len() / 2]).unwrap();
    }
    let (same, different) = compare(&shipped(), &[folder.path(), Path::new("/usr/lib/systemd")]);
    assert!(same > samples.len() * 2, "{same}");
    assert_eq!(different, [""; 0]);
}

#[test]
fn a_large_set_of_rules_loads_and_is_judged_alike() {
    let Some(rules) = std::env::var_os("PICKET_SIGNATURE_BASE").map(PathBuf::from) else {
        println!("skipped: PICKET_SIGNATURE_BASE names no folder of signature-base");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    samples::write(folder.path());
    let (status, _, complaints) = run(&rules, &[folder.path().as_os_str()]);
    assert!(status < 2 && !complaints.contains(".yar"), "{complaints}");
    if Command::new("yarac").arg("--version").output().is_err() {
        println!("skipped: the yara command is not installed");
        return;
    }
    let (same, different) = compare(&rules, &[folder.path(), Path::new("/usr/lib/systemd")]);
    println!("{same} files are judged alike");
    assert_eq!(different, [""; 0]);
}
