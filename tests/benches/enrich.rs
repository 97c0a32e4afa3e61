//! What it costs to know where a program comes from: a storm of execs through the enricher, on one thread.
//!
//! Each is told of as the sensors do: it is forked, becomes a program by a path of a package, with a hash that is known, in a
//! shell of somebody who logged in over SSH, and ends.

use jiff::tz::TimeZone;
use picket_agent::enrich::{Enricher, Inquirer};
use picket_agent::observation::{Body, Observation, Origin, ProcessSeen, Sighting};
use picket_agent::queue::queue;
use picket_agent::sys::Process;
use picket_common::event::{Ancestor, Credentials, ExecEvent, ExitStatus, Payload};
use picket_common::process::ProcessId;
use picket_common::time::Timestamp;
use std::time::{Duration, Instant};

const EXECS: u32 = 200_000;
const TOGETHER: usize = 10;

fn main() {
    let own = Process::open(std::process::id()).unwrap().program(&[]).unwrap();
    let (inquiries, inquirer) = Inquirer::new("/");
    let (send, hashed) = queue("hashed", 64);
    let answering = std::thread::spawn(move || inquirer.answer(&send));
    let mut enricher = Enricher::new(TimeZone::UTC, now()).asking(inquiries.clone());
    let mut events = Vec::new();

    let id = |pid| ProcessId { pid, start: 1000 };
    let mut root = Credentials::default();
    let chain = [
        "/usr/sbin/sshd",
        "/bin/bash",
        "/usr/bin/make",
        "/bin/sh",
        "/bin/sh",
    ];
    let mut parent = own.process;
    let mut what = Vec::new();
    for (pid, path) in (4_000_001..).zip(chain) {
        what.push(ProcessSeen::Running(
            program(id(pid), parent, path, root, &own).into(),
        ));
        parent = id(pid);
        root.login_uid = Some(0);
        root.session = Some(7);
    }
    // Until its hash is known.
    what.push(ProcessSeen::Exec(
        program(id(4_100_000), parent, &own.executable, root, &own).into(),
    ));
    enricher.enrich(observation(0, what), &mut events);
    enricher.enrich(hashed.recv_timeout(Duration::from_secs(30)).unwrap(), &mut events);
    events.clear();

    let (mut execs, mut exits, mut whole, mut took) = (0, 0, 0, Duration::ZERO);
    let mut number = 1;
    for count in (0..EXECS).step_by(TOGETHER) {
        let what = (count..EXECS.min(count + TOGETHER as u32)).flat_map(|count| {
            // Pids are given anew, as they are on a host.
            let pid = 4_200_000 + count % 60_000;
            let process = ProcessId {
                pid,
                start: 2000 + u64::from(count),
            };
            let exec = program(process, parent, &own.executable, root, &own);
            let status = ExitStatus::Code(0);
            [
                ProcessSeen::Forked {
                    parent,
                    child: process,
                },
                ProcessSeen::Exec(exec.into()),
                ProcessSeen::Exited { process, status },
            ]
        });
        let seen = observation(number, what.collect());
        number += 3 * TOGETHER as u64;
        let began = Instant::now();
        enricher.enrich(seen, &mut events);
        took += began.elapsed();
        for event in events.drain(..) {
            match event.payload {
                Payload::Exec(exec) => {
                    execs += 1;
                    whole +=
                        u32::from(exec.sha256.is_some() && exec.login.is_some() && exec.ancestors.len() == 6);
                }
                _ => exits += 1,
            }
        }
    }
    inquiries.end();
    answering.join().unwrap();
    assert_eq!((execs, exits, whole), (EXECS, EXECS, EXECS));
    println!(
        "an exec with its fork and exit, known in full: {:.2} µs",
        took.as_secs_f64() * 1e6 / f64::from(EXECS)
    );
}

fn program(
    process: ProcessId,
    parent: ProcessId,
    path: &str,
    credentials: Credentials,
    own: &ExecEvent,
) -> ExecEvent {
    let mut exec = ExecEvent::new(process, path, credentials);
    exec.args = ["-x", "--a-longer-option=value", "some/path/to/a/file.c"]
        .map(Into::into)
        .to_vec();
    exec.file = own.file;
    exec.version = own.version;
    exec.cgroup = own.cgroup;
    exec.namespaces = own.namespaces;
    exec.ancestors = vec![Ancestor {
        process: parent,
        executable: None,
        command_line: None,
    }];
    exec
}

fn observation(number: u64, what: Vec<ProcessSeen>) -> Observation {
    let sighting = |(what, number)| Sighting {
        time: now(),
        number,
        what,
    };
    Observation {
        origin: Origin {
            source: "bench".into(),
            position: Vec::new(),
            cursor: None,
        },
        observed: now(),
        again: false,
        body: Body::Processes(what.into_iter().zip(number..).map(sighting).collect()),
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}
