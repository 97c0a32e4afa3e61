//! What else looks into files that land: `inotifywait` with the command `yara`, and ClamAV on access.

use super::{APART, BAIT, BURST, PROBES, RULE, SLOW, SLOW_WRITERS, Writer, now, percentiles, shower, tell};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What rules ask about a file beside its bytes.
pub const VARIABLES: [&str; 6] = ["filename", "filepath", "extension", "filetype", "owner", "md5"];
const PATIENCE: Duration = Duration::from_secs(120);

/// Compiles a folder of rules for `yara`. Whether it is installed.
pub fn compile(rules: &Path, to: &Path) -> bool {
    let files = fs::read_dir(rules)
        .expect("a folder")
        .map(|file| file.expect("a file").path());
    let files = files.filter(|file| file.extension().is_some_and(|ending| ending == "yar"));
    let mut command = Command::new("yarac");
    command.arg("-w");
    command.args(
        VARIABLES
            .iter()
            .flat_map(|name| ["-d".to_owned(), format!("{name}=x")]),
    );
    // Two files may have rules of one name.
    command.args(
        files
            .zip(0..)
            .map(|(file, number)| format!("{number}:{}", file.display())),
    );
    command.arg(to);
    command.status().is_ok_and(|status| status.success())
}

/// One of them at work.
struct Peer {
    name: &'static str,
    /// Where it says what it found, and where that it has looked into a file.
    log: PathBuf,
    children: Vec<Child>,
    /// What it says of each file that it has looked into, where it does.
    done: Option<&'static str>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in &mut self.children {
            // What it has started itself has its group.
            let group = child.id().try_into().map(nix::unistd::Pid::from_raw);
            if let Ok(group) = group {
                let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            }
            drop(child.kill());
            drop(child.wait());
        }
    }
}

pub fn all() {
    for start in [inotify, clamav] {
        let folder = tempfile::Builder::new()
            .prefix("picket-peer-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        let watched = folder.path().join("watched");
        fs::create_dir(&watched).expect("a folder");
        if let Some(peer) = start(folder.path(), &watched) {
            measure(&peer, &watched);
        }
    }
}

fn measure(peer: &Peer, watched: &Path) {
    let said = |text: &str| {
        let log = fs::read(&peer.log).unwrap_or_default();
        String::from_utf8_lossy(&log)
            .lines()
            .filter(|line| line.contains(text))
            .count()
    };
    let mut writer = Writer::start(watched);
    let mut late = Vec::new();
    let mut missed = 0;
    for number in 0..PROBES {
        thread::sleep(APART);
        let name = format!("/bait{number} ");
        let other = format!("/bait{number}:");
        let closed = writer.write(name.trim_matches(['/', ' ']));
        // Its log is read all the while: that costs microseconds, where it takes milliseconds.
        loop {
            let log = fs::read_to_string(&peer.log).unwrap_or_default();
            let tail = log.get(log.len().saturating_sub(4096)..).unwrap_or(&log);
            let is_it = |line: &str| {
                line.contains("bench")
                    && (line.contains(&name) || line.contains(&other) || line.ends_with(name.trim_end()))
            };
            if tail.lines().any(is_it) {
                late.push((now() - closed) as f64 / 1e6);
                break;
            }
            if now() - closed > 500_000_000 {
                missed += 1;
                break;
            }
        }
    }
    if late.is_empty() {
        tell(peer.name, "finds nothing".to_owned());
        return;
    }
    tell(
        &format!("{}: file closed → said", peer.name),
        format!("{}, {missed} of {PROBES} missed", percentiles(late)),
    );
    let pieces = Command::new("python3")
        .args(["-c", SLOW_WRITERS])
        .arg(watched)
        .arg(SLOW.to_string())
        .args(BAIT)
        .status();
    assert!(pieces.expect("python3 starts").success());
    let begun = Instant::now();
    while said("/slow") < SLOW && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(50));
    }
    tell(
        &format!("{}: slow writers found", peer.name),
        format!("{} of {SLOW}", said("/slow").min(SLOW)),
    );
    let Some(done) = peer.done else { return };
    let before = said(done);
    let begun = Instant::now();
    shower(watched);
    while said(done) < before + BURST && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    tell(
        &format!("{}: {BURST} small files", peer.name),
        format!(
            "{:.1} s, {} judged",
            begun.elapsed().as_secs_f64(),
            said(done) - before
        ),
    );
}

/// With our rules and that of the bench.
fn inotify(folder: &Path, watched: &Path) -> Option<Peer> {
    let rules = folder.join("rules");
    fs::create_dir(&rules).expect("a folder");
    let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/rules/yara"));
    for file in fs::read_dir(own).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), rules.join(file.file_name())).expect("a copy");
    }
    fs::write(rules.join("bench.yar"), RULE).expect("a file");
    let compiled = folder.join("rules.yarc");
    let there = Command::new("inotifywait")
        .arg("--help")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !there || !compile(&rules, &compiled) {
        println!("inotifywait or yara is not installed");
        return None;
    }
    let log = folder.join("log");
    let variables: String = VARIABLES.iter().map(|name| format!(" -d {name}=x")).collect();
    let script = format!(
        "inotifywait --monitor --recursive --quiet --event close_write --format %w%f \"$1\" | while IFS= read -r file; do \
         yara -w{variables} -C \"$2\" \"$file\"; echo judged; done"
    );
    let output = fs::File::create(&log).expect("a file");
    let child = Command::new("setsid")
        .args(["sh", "-c", &script, "sh"])
        .args([watched, compiled.as_path()])
        .stdout(output)
        .spawn()
        .expect("sh starts");
    // It says nothing when it is ready; a file that is found does.
    let mut writer = Writer::start(watched);
    let begun = Instant::now();
    while fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
        assert!(begun.elapsed() < PATIENCE);
        writer.write("first");
        thread::sleep(Duration::from_millis(50));
    }
    Some(Peer {
        name: "inotifywait and yara, our rules",
        log,
        children: vec![child],
        done: Some("judged"),
    })
}

/// With the rule of the bench alone: what ClamAV takes of YARA has no modules.
fn clamav(folder: &Path, watched: &Path) -> Option<Peer> {
    let database = folder.join("database");
    fs::create_dir(&database).expect("a folder");
    fs::write(database.join("bench.yar"), RULE).expect("a file");
    let (socket, log, settings) = (
        folder.join("socket"),
        folder.join("log"),
        folder.join("clamd.conf"),
    );
    let text = format!(
        "LocalSocket {}\nDatabaseDirectory {}\nForeground yes\nUser clamav\nOnAccessIncludePath {}\nOnAccessPrevention no\n\
         OnAccessExtraScanning yes\nOnAccessExcludeUname clamav\nLogVerbose yes\n",
        socket.display(),
        database.display(),
        watched.display()
    );
    fs::write(&settings, text).expect("a file");
    let owned = Command::new("chown")
        .arg("clamav")
        .arg(folder)
        .stderr(Stdio::null())
        .status();
    if !owned.is_ok_and(|status| status.success()) {
        println!("clamd is not installed");
        return None;
    }
    let option = format!("--config-file={}", settings.display());
    let quiet = |program: &str| {
        let mut command = Command::new(program);
        command.arg(&option).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let Ok(clamd) = quiet("clamd").spawn() else {
        println!("clamd is not installed");
        return None;
    };
    let mut peer = Peer {
        name: "clamonacc, one rule",
        log: log.clone(),
        children: vec![clamd],
        done: None,
    };
    let begun = Instant::now();
    while !socket.exists() {
        if begun.elapsed() > PATIENCE {
            println!("clamd does not start");
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let mut command = quiet("clamonacc");
    command.args(["--foreground", "--fdpass", "--log"]).arg(&log);
    peer.children.insert(0, command.spawn().ok()?);
    let mut writer = Writer::start(watched);
    let begun = Instant::now();
    while !fs::read_to_string(&log).unwrap_or_default().contains("/first") {
        if begun.elapsed() > Duration::from_secs(20) {
            println!(
                "clamonacc finds nothing:\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            return None;
        }
        writer.write("first");
        thread::sleep(Duration::from_millis(50));
    }
    Some(peer)
}
