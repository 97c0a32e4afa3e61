//! Files that land, from whoever writes them to the finding in the spool, by the real agent: how soon one is found, how long a burst
//! takes, whether slow writers are missed, what it costs them and the host; and looking into what lies there already.
//!
//! `PICKET_BENCH_YARA` names a folder of YARA rules beside ours, as a clone of signature-base. The word behind `--bench files --`
//! chooses one part. Peers are those of Debian, where they are installed: `clamonacc` with `clamd`, `inotifywait` with `yara`.

mod peers;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use picket_tests::line::Line;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const MORE_RULES: &str = "PICKET_BENCH_YARA";
const PROBES: usize = 300;
/// Between two of them the host is idle.
const APART: Duration = Duration::from_millis(20);
const BURST: usize = 5000;
const SLOW: usize = 100;
const ROUNDS: usize = 7;
/// What the rule of the bench finds: whole, and alone in its file.
const BAIT: [&str; 4] = ["picket-", "bench-", "bait", "-whole"];
const RULE: &str =
    "rule picket_bench { strings: $a = \"picket-bench-bait-whole\" condition: $a at 0 and filesize == 23 }\n";
/// Writes a file that the rule finds for each line that it reads, and says when it was closed.
const WRITER: &str = "import sys,time
for line in sys.stdin:
  f=open(line.strip(),'w'); f.write('picket-bench-bait-whole'); f.close()
  print(time.time_ns(),flush=True)
";
/// So many at once write a piece each 50 ms.
const SLOW_WRITERS: &str = "import sys,time
folder,count,pieces=sys.argv[1],int(sys.argv[2]),sys.argv[3:]
files=[open(f'{folder}/slow{i}','w') for i in range(count)]
for piece in pieces:
  for f in files: f.write(piece); f.flush()
  time.sleep(0.05)
for f in files: f.close()
";

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("the bench of files needs root, as the agent does");
        return;
    }
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let parts: [(&str, fn()); 7] = [
        ("soon", soon),
        ("burst", burst),
        ("slow", slow),
        ("writers", writers),
        ("scan", scan),
        ("load", load),
        ("peers", peers::all),
    ];
    for (name, part) in parts {
        if only.as_ref().is_none_or(|only| only == name) {
            part();
        }
    }
}

fn tell(what: &str, figure: String) {
    println!("{what:<64} {figure}");
}

/// The rules that are shipped, and that of the bench, in a folder; with more, where there are to be more.
fn rules(folder: &Path, more: Option<&Path>) -> String {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules");
    let bench = folder.join("rules");
    fs::create_dir_all(&bench).expect("a folder");
    fs::write(bench.join("bench.yar"), RULE).expect("a file");
    let more = more.map_or_else(String::new, |more| format!(", \"{}\"", more.display()));
    format!("[detect]\nrules = [\"{own}\", \"{}\"{more}]\n", bench.display())
}

/// An agent that watches a folder, and has compiled its rules.
fn agent(watched: &Path, more: Option<&Path>) -> Line {
    let mut line = Line::start(&format!("[files]\npaths = [\"{}\"]\n", watched.display()));
    line.drop_in(&rules(&line.path(""), more));
    line.start_agent();
    line.wait_until_agent_says("YARA rules, compiled in", 1);
    line
}

fn status(line: &Line, name: &str) -> usize {
    let text = line.operate(&["status", "--json"]).expect("it answers");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let number = |name: &str| value["scanned"][name].as_u64().expect("a number");
    let all = match name {
        "scanned" => number("scanned") + number("known"),
        other => number(other),
    };
    usize::try_from(all).expect("few")
}

/// Waits until so many files were looked into.
fn scanned(line: &Line, count: usize) -> Duration {
    let begun = Instant::now();
    while status(line, "scanned") < count {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{} of {count}",
            status(line, "scanned")
        );
        thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

fn percentiles(mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| all[all.len() * percent / 100];
    format!("p50 {:.3} ms, p99 {:.3} ms", at(50), at(99))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// From the end of the writer's `close` to the finding's first byte in the spool.
fn soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = agent(folder.path(), None);
    let spool = Inotify::init(InitFlags::empty()).expect("inotify");
    spool
        .add_watch(&line.path("spool/findings"), AddWatchFlags::IN_MODIFY)
        .expect("there is a spool");
    let mut writer = Writer::start(folder.path());
    let mut late = Vec::new();
    for number in 0..PROBES {
        thread::sleep(APART);
        let closed = writer.write(&format!("bait{number}"));
        spool.read_events().expect("it is found");
        late.push((now() - closed) as f64 / 1e6);
        // What else of this finding is written.
        let more = Instant::now();
        while more.elapsed() < Duration::from_millis(5) {
            thread::sleep(Duration::from_millis(1));
        }
        drain(&spool);
    }
    tell("file closed → finding in the spool, idle", percentiles(late));
}

/// Takes what has been told of already.
fn drain(told: &Inotify) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    while poll(
        &mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)],
        PollTimeout::ZERO,
    ) == Ok(1)
    {
        told.read_events().expect("it can be read");
    }
}

fn now() -> u64 {
    let time = jiff::Timestamp::now().as_nanosecond();
    u64::try_from(time).expect("after 1970")
}

/// A process that writes when it is told to.
struct Writer(std::process::Child, std::io::BufReader<std::process::ChildStdout>);

impl Writer {
    fn start(folder: &Path) -> Self {
        let mut writer = Command::new("python3")
            .args(["-c", WRITER])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let output = std::io::BufReader::new(writer.stdout.take().expect("a pipe"));
        Self(writer, output)
    }

    /// Writes a file, and gives when it was closed, in nanoseconds since 1970.
    fn write(&mut self, name: &str) -> u64 {
        use std::io::BufRead as _;
        writeln!(self.0.stdin.as_mut().expect("a pipe"), "{name}").expect("it reads");
        let mut line = String::new();
        self.1.read_line(&mut line).expect("it answers");
        line.trim().parse().expect("a time")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// Small files by one shell, as fast as it can; each another.
fn shower(folder: &Path) {
    let script = format!("i=0; while [ $i -lt {BURST} ]; do echo \"$i $$ words\" > f$i; i=$((i+1)); done");
    let done = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .status();
    assert!(done.expect("sh starts").success());
}

fn burst() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = agent(folder.path(), None);
    let (mut took, mut writing, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let within = folder.path().join(round.to_string());
        fs::create_dir(&within).expect("a folder");
        let before = (status(&line, "scanned"), line.processor_time());
        let begun = Instant::now();
        shower(&within);
        writing.push(begun.elapsed().as_secs_f64());
        scanned(&line, before.0 + BURST);
        took.push(begun.elapsed().as_secs_f64());
        used.push((line.processor_time() - before.1).as_secs_f64() * 1000.0 / BURST as f64);
    }
    tell(
        &format!("{BURST} small files by one shell, first one begun → all judged"),
        format!("{:.2} s, written in {:.2} s", median(took), median(writing)),
    );
    tell(
        "processor time of the agent for a small file",
        format!("{:.3} ms", median(used)),
    );
}

fn slow() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = agent(folder.path(), None);
    let before = status(&line, "scanned");
    let done = Command::new("python3")
        .args(["-c", SLOW_WRITERS])
        .arg(folder.path())
        .arg(SLOW.to_string())
        .args(BAIT)
        .status();
    assert!(done.expect("python3 starts").success());
    scanned(&line, before + SLOW);
    // One more, so that a file that is looked into twice would have been by now.
    Writer::start(folder.path()).write("last");
    scanned(&line, before + SLOW + 1);
    line.wait_for(|value| {
        value["body"]["summary"]
            .as_str()
            .is_some_and(|text| text.contains("/last"))
    });
    let all = line.collect(&["findings", "--json"]);
    let found = all.lines().filter(|text| text.contains("/slow")).count();
    let times = status(&line, "scanned") - before - 1;
    tell(
        "slow writers, a piece each 50 ms: found, and looked into",
        format!("{found} of {SLOW}, {times} times"),
    );
}

/// An archive of what lies below `/usr/share`, unpacked with and without the agent, by turns.
fn writers() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("tree.tar");
    let script = "tar --create --file \"$1\" --directory /usr/share --ignore-failed-read $(ls /usr/share | head -60) 2> /dev/null || true";
    let made = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&archive)
        .status();
    assert!(made.expect("sh starts").success());
    let watched = folder.path().join("watched");
    let unpack = || {
        drop(fs::remove_dir_all(&watched));
        fs::create_dir(&watched).expect("a folder");
        let begun = Instant::now();
        let done = Command::new("tar")
            .args(["--extract", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&watched)
            .status();
        assert!(done.expect("tar starts").success());
        begun.elapsed().as_secs_f64()
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(unpack());
        let line = agent(&watched, None);
        with.push(unpack());
        drop(line);
    }
    let (without, with) = (median(without), median(with));
    tell(
        "a large tree unpacked where it is watched and scanned",
        format!("{:+.1} %, {without:.2} s without", (with / without - 1.0) * 100.0),
    );
}

/// The same rules and files, one thread each, by turns.
fn scan() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/yara");
    let place = std::env::var("PICKET_BENCH_SCAN").unwrap_or_else(|_| "/usr/bin".to_owned());
    let picket = Command::new(picket_tests::binary("picket"));
    let bytes = size(Path::new(&place)) as f64 / f64::from(1 << 20);
    let run = |mut command: Command| {
        let begun = Instant::now();
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        done.expect("it starts");
        bytes / begun.elapsed().as_secs_f64()
    };
    let ours = || {
        let mut command = Command::new(picket.get_program());
        command.args(["scan", "--threads", "1", "--json", "--rules", own, &place]);
        run(command)
    };
    // What `yara` is told on the command line is what rules ask of a file that `picket` fills in.
    let compiled = folder.path().join("rules.yarc");
    let theirs = peers::compile(Path::new(own), &compiled).then_some(|| {
        let mut command = Command::new("yara");
        command.args(["--recursive", "--threads=1", "--no-warnings", "--compiled-rules"]);
        command.args(
            peers::VARIABLES
                .iter()
                .flat_map(|name| ["-d".to_owned(), format!("{name}=x")]),
        );
        command.arg(&compiled).arg(&place);
        run(command)
    });
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        our.push(ours());
        their.extend(theirs.as_ref().map(|theirs| theirs()));
    }
    let our = median(our);
    let beside = if their.is_empty() {
        "yara is not installed".to_owned()
    } else {
        let their = median(their);
        format!("yara {their:.0} MiB/s, ratio {:.2}", our / their)
    };
    tell(
        &format!("`picket scan` of {place} ({bytes:.0} MiB) with our rules, one thread"),
        format!("{our:.0} MiB/s; {beside}"),
    );
}

fn size(place: &Path) -> u64 {
    let output = Command::new("find")
        .arg(place)
        .args(["-type", "f", "-printf", "%s\\n"])
        .output()
        .expect("find starts");
    let text = String::from_utf8(output.stdout).expect("numbers");
    text.lines()
        .map(|line| line.parse::<u64>().expect("a number"))
        .sum()
}

fn load() {
    let more = std::env::var(MORE_RULES).ok().map(PathBuf::from);
    if more.is_none() {
        println!("{MORE_RULES} names no folder of more rules: ours alone are loaded");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for rules in [None, more.as_deref()]
        .into_iter()
        .take(1 + usize::from(more.is_some()))
    {
        let line = agent(folder.path(), rules);
        let log = fs::read_to_string(line.path("agent.log")).expect("a log");
        let said = log
            .lines()
            .find(|text| text.contains("YARA rules, compiled in"))
            .expect("it was waited for");
        let said = said.split("are scanned by ").nth(1).expect("it says by which");
        let pid = said.split(' ').nth(1).expect("a pid");
        let memory = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let field = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kibibytes.expect("a number") / 1024.0
        };
        tell(
            said.split(" with ")
                .nth(1)
                .expect("it says how many")
                .trim_end_matches('"'),
            format!(
                "worker {:.0} MiB, at most {:.0} MiB",
                field("VmRSS:"),
                field("VmHWM:")
            ),
        );
    }
}
