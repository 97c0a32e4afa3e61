//! Records as kernels and auditd write them, and as they never would.

use super::*;
use picket_common::event::ExecEvent;

fn joined(log: &str) -> Vec<ExecEvent> {
    let mut joiner = Joiner::default();
    let mut found = Vec::new();
    for (line, text) in (1..).zip(log.lines()) {
        let record = Record::read(text).unwrap_or_else(|| panic!("{text}"));
        found.extend(joiner.push(&record, line));
    }
    found.extend(std::iter::from_fn(|| joiner.finish()));
    found.into_iter().map(|joined| joined.event).collect()
}

fn one(log: &str) -> ExecEvent {
    let mut found = joined(log);
    assert_eq!(found.len(), 1, "{log}");
    found.remove(0)
}

/// The records of a program, with what is asked for in the place of `{EXECVE}`.
fn records(serial: u64, execve: &str) -> String {
    let head = format!("msg=audit(1700000000.123:{serial}):");
    let execve: String = execve
        .lines()
        .map(|line| format!("type=EXECVE {head} {line}\n"))
        .collect();
    format!(
        "type=SYSCALL {head} arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d1 a2=55d2 a3=8 items=2 ppid=41 pid=42 auid=1000 uid=1000 gid=1000 euid=0 suid=0 fsuid=0 egid=1000 sgid=1000 fsgid=1000 tty=pts0 ses=3 comm=\"id\" exe=\"/usr/bin/id\" subj=unconfined key=(null)\n\
         {execve}\
         type=CWD {head} cwd=\"/home/bob\"\n\
         type=PATH {head} item=0 name=\"../bob/./id\" inode=131 dev=08:01 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL\n\
         type=PATH {head} item=1 name=\"/lib64/ld-linux-x86-64.so.2\" inode=9 dev=08:01 mode=0100755 nametype=NORMAL\n\
         type=PROCTITLE {head} proctitle=6964002D75\n"
    )
}

#[test]
fn a_program_is_put_together_from_its_records() {
    let event = one(&records(7, "argc=3 a0=\"id\" a1=\"-u\" a2=C3A92062"));
    assert_eq!(event.executable, "/home/bob/id");
    assert_eq!(event.command_line(), "id -u é b");
    assert_eq!((event.process.pid, event.process.is_certain()), (42, false));
    assert_eq!(event.ancestors[0].process.pid, 41);
    assert_eq!(event.working_directory.as_deref(), Some("/home/bob"));
    assert_eq!(event.tty.as_deref(), Some("pts/0"));
    assert_eq!(event.user.as_deref(), Some("root"));
    let credentials = event.credentials;
    assert_eq!((credentials.uid, credentials.effective_uid), (1000, 0));
    assert_eq!(
        (credentials.login_uid, credentials.session),
        (Some(1000), Some(3))
    );
    let file = event.file.unwrap();
    assert_eq!((file.device, file.inode), (0x801, 131));
    assert!(!event.args_cut);
}

#[test]
fn long_arguments_and_many_are_put_together_over_records() {
    let event = one(&records(
        7,
        "argc=4 a0=\"sh\" a1_len=12 a1[0]=6162\na1[1]=6364 a1[2]=\"e\" a2=\"f\"\na3=\"g\"",
    ));
    assert_eq!(event.args, ["sh", "abcde", "f", "g"]);
    assert!(!event.args_cut);
    // A record in between was lost, or the last one.
    let lost = one(&records(7, "argc=4 a0=\"sh\"\na3=\"g\""));
    assert_eq!((lost.args.len(), lost.args_cut), (4, true));
    assert!(one(&records(7, "argc=2 a0=\"sh\"")).args_cut);
    let far = one(&records(
        7,
        "argc=2 a0=\"sh\" a4294967295=\"x\" a99999=\"x\" a1[7]=\"x\"",
    ));
    assert_eq!((far.args.len(), far.args_cut), (2, true));
    let long = format!(
        "argc=3 a0=\"sh\" a1[0]=\"{}\"\na1[1]=\"{}\"",
        "x".repeat(100_000),
        "y".repeat(100_000)
    );
    let long = one(&records(7, &long));
    assert_eq!((long.args[1].len(), long.args_cut), (100_000, true));
}

#[test]
fn serials_may_be_mixed_and_the_last_may_be_open() {
    let (one, two) = (records(7, "argc=1 a0=\"one\""), records(8, "argc=1 a0=\"two\""));
    let (one, two): (Vec<_>, Vec<_>) = (one.lines().collect(), two.lines().collect());
    let mut mixed: Vec<&str> = one.iter().zip(&two).flat_map(|(one, two)| [*two, *one]).collect();
    mixed.truncate(mixed.len() - 2);
    let lines: Vec<String> = joined(&mixed.join("\n"))
        .iter()
        .map(ExecEvent::command_line)
        .collect();
    assert_eq!(lines, ["two", "one"]);
    // The same serial at another time, and on another host, is another event.
    let again = records(7, "argc=1 a0=\"later\"").replace("1700000000.123", "1700000001.123");
    let node: String = records(7, "argc=1 a0=\"there\"")
        .lines()
        .map(|line| format!("node=web1 {line}\n"))
        .collect();
    let all = joined(&[one.join("\n"), again, node].join("\n").replace("\n\n", "\n"));
    assert_eq!(all.len(), 3);
    assert_eq!(all[2].host.as_deref(), Some("web1"));
}

#[test]
fn newer_events_push_an_open_one_out() {
    let head: Vec<String> = (0..100)
        .map(|serial| {
            let all = records(serial, "argc=1 a0=\"id\"");
            all.lines().take(2).map(|line| format!("{line}\n")).collect()
        })
        .collect();
    let mut joiner = Joiner::default();
    let mut found = 0;
    for text in head.concat().lines() {
        found += usize::from(joiner.push(&Record::read(text).unwrap(), 1).is_some());
    }
    assert_eq!(found, 100 - 64);
    assert_eq!(std::iter::from_fn(|| joiner.finish()).count(), 64);
}

#[test]
fn names_of_the_enriched_form_count_and_none_is_none() {
    let plain = records(7, "argc=1 a0=\"id\"");
    let enriched = plain.replace(
        "key=(null)",
        "key=(null)\u{1d}ARCH=x86_64 SYSCALL=execve AUID=\"unset\" UID=\"bob\" GID=\"bob\" EUID=\"alice\"",
    );
    assert_eq!(one(&enriched).user.as_deref(), Some("alice"));
    let service = plain
        .replace("auid=1000", "auid=4294967295")
        .replace("ses=3", "ses=4294967295")
        .replace("tty=pts0", "tty=(none)")
        .replace("euid=0", "euid=1000");
    let event = one(&service);
    assert_eq!(
        (event.credentials.login_uid, event.credentials.session),
        (None, None)
    );
    assert_eq!((event.tty, event.user), (None, None));
}

#[test]
fn what_was_not_started_is_no_event_and_what_has_no_name_is_called_by_its_image() {
    let log = records(7, "argc=1 a0=\"id\"");
    assert!(joined(&log.replace("success=yes", "success=no")).is_empty());
    assert!(joined(&log.replace("type=EXECVE", "type=FD_PAIR")).is_empty());
    assert_eq!(
        one(&log.replace("type=PATH", "type=OTHER")).executable,
        "/usr/bin/id"
    );
    let memory = log.replace("exe=\"/usr/bin/id\"", "exe=2F6D656D66643A78202864656C6574656429");
    let event = one(&memory);
    assert_eq!(event.executable, "/memfd:x (deleted)");
    assert!(event.file.unwrap().memfd);
}

#[test]
fn a_value_forges_no_field() {
    let forged = "argc=2 a0=\"id\" a1=\"x";
    let event = one(&records(7, &format!("{forged}\"\nargc=1 a0=\"forged\"")));
    // What is there is never overwritten.
    assert_eq!(event.args, ["id", "x"]);
    for bad in [
        "",
        "type=SYSCALL",
        "type= msg=audit(1.000:1): x",
        "type=A B msg=audit(1.000:1): x",
        "type=EXECVE msg=audit(1.1000:1): x",
        "type=EXECVE msg=audit(-1.000:1): x",
        "type=EXECVE msg=audit(99999999999999999.000:1): x",
        "type=EXECVE msg=audit(1.000:): x",
        "node=x",
        "x type=EXECVE msg=audit(1.000:1): x",
    ] {
        assert_eq!(Record::read(bad), None, "{bad}");
    }
    let long = format!("node={} type=EXECVE msg=audit(1.000:1): x", "x".repeat(256));
    assert_eq!(Record::read(&long), None);
    let long = records(7, "argc=1 a0=\"id\"").replace("../bob/./id", &"x".repeat(5000));
    assert_eq!(one(&long).executable, "/usr/bin/id");
}

#[test]
fn nothing_makes_it_panic_and_nothing_is_kept_for_ever() {
    let whole = records(7, "argc=3 a0=\"id\" a1_len=4 a1[0]=6162 a2=\"x\"").into_bytes();
    let mut random = fastrand::Rng::with_seed(11);
    let mut joiner = Joiner::default();
    for round in 0..3_000 {
        let mut broken = whole.clone();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(..broken.len());
            broken[at] = random.u8(..);
        }
        for line in broken.split(|byte| *byte == b'\n') {
            let text = crate::parse::scan::text(line);
            if let Some(record) = Record::read(&text)
                && let Some(joined) = joiner.push(&record, round)
            {
                assert!(joined.event.args.len() <= 4096);
                assert!(!joined.event.executable.is_empty());
            }
        }
    }
    assert!(std::iter::from_fn(|| joiner.finish()).count() <= 64);
}
