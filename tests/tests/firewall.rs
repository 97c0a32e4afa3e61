//! What the firewall does to real traffic, through nftables and through what takes its place. Each story needs root; without
//! it the story says so and is not told.

use picket_tests::line::Line;
use picket_tests::network::{ATTACKER, HOST, NEIGHBOUR, Network, run};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this machine cannot tell the stories.
fn is_missing() -> bool {
    let missing = [
        "ip",
        "nft",
        "ipset",
        "iptables-legacy",
        "ip6tables-legacy",
        "setpriv",
        "unshare",
    ]
    .into_iter()
    .find(|tool| {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", tool])
            .output();
        found.is_ok_and(|found| !found.status.success())
    });
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root for network namespaces");
    } else if let Some(tool) = missing {
        println!("skipped: needs {tool}");
    } else {
        return false;
    }
    true
}

fn settings(firewall: &str) -> String {
    format!("[respond]\nmode = \"enforce\"\nfirewall = \"{firewall}\"\n")
}

/// What a program says in the host's namespace; it must end well.
fn on_host(network: &Network, command: &str) -> String {
    let mut program = Command::new("ip");
    program.args(["netns", "exec", &network.host]);
    let output = run(program.args(command.split(' ')));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until what a program says in the host's namespace is as it should be.
fn wait_until(network: &Network, command: &str, wanted: impl Fn(&str) -> bool) {
    let started = Instant::now();
    loop {
        let mut program = Command::new("ip");
        program
            .args(["netns", "exec", &network.host])
            .args(command.split(' '));
        let output = program.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        if output.status.success() && wanted(&said) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{command} says: {said}");
    }
}

fn acting(line: &Line) -> String {
    let status: Value = serde_json::from_str(&line.operate(&["status", "--json"]).unwrap()).unwrap();
    status["acting"].as_str().unwrap().to_owned()
}

/// A connection, seen from both ends.
struct Talk {
    client: TcpStream,
    server: TcpStream,
}

impl Talk {
    fn begin(network: &Network, listener: &TcpListener, source: &str) -> Self {
        let client = network.connect(source, listener.local_addr().unwrap());
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(Ok(peer.ip()), source.parse());
        for end in [&client, &server] {
            end.set_nonblocking(false).unwrap();
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Self { client, server }
    }

    fn say(&mut self) {
        self.client.write_all(b".").unwrap();
    }

    fn hear(&mut self) {
        self.server.read_exact(&mut [0]).unwrap();
    }

    fn hears_nothing(&mut self) -> bool {
        self.server.set_nonblocking(true).unwrap();
        let heard = self.server.read(&mut [0]);
        self.server.set_nonblocking(false).unwrap();
        matches!(heard, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// Attacker and neighbour speak over connections that are there already, the attacker first: whether only the neighbour is heard.
fn is_cut_off(attacker: &mut Talk, neighbour: &mut Talk) -> bool {
    attacker.say();
    neighbour.say();
    neighbour.hear();
    attacker.hears_nothing()
}

/// A source's packets are dropped, also over a connection that is there, and another's are not; undo lets all of them in again.
fn cuts_off_and_lets_in_again(firewall: &str, sabotage: &[&[&str]], there_again: &str) {
    let network = Network::start();
    let mut line = Line::on(Some(&network.host), None, &settings(firewall));
    line.start_agent();
    assert!(acting(&line).contains(firewall), "{}", acting(&line));
    for (at, host) in HOST.iter().enumerate() {
        let address = SocketAddr::new(host.parse().unwrap(), 0);
        let listener = Network::within(&network.host, || TcpListener::bind(address).unwrap());
        let mut attacker = Talk::begin(&network, &listener, ATTACKER[at]);
        let mut neighbour = Talk::begin(&network, &listener, NEIGHBOUR[at]);
        attacker.say();
        attacker.hear();

        line.operate(&["blocks", "add", ATTACKER[at], "--minutes", "5"])
            .unwrap();
        assert!(is_cut_off(&mut attacker, &mut neighbour));
        let begun = network.connect(ATTACKER[at], listener.local_addr().unwrap());
        drop(Talk::begin(&network, &listener, NEIGHBOUR[at]));
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();

        for commands in sabotage {
            for command in *commands {
                on_host(&network, command);
            }
            wait_until(&network, there_again, |said| said.contains(ATTACKER[at]));
            // The last step of putting back is not the one that is seen.
            let started = Instant::now();
            while !is_cut_off(&mut attacker, &mut neighbour) {
                assert!(started.elapsed() < PATIENCE);
            }
        }

        line.operate(&["undo", ATTACKER[at]]).unwrap();
        attacker.hear();
        let (again, peer) = listener.accept().unwrap();
        assert_eq!(Ok(peer.ip()), ATTACKER[at].parse());
        drop((again, begun));
    }
    line.end_agent(false);
}

#[test]
fn nftables_cuts_off_established_traffic_and_is_put_back() {
    if is_missing() {
        return;
    }
    cuts_off_and_lets_in_again("nftables", &[&["nft flush ruleset"]], "nft list ruleset");
}

#[test]
fn iptables_cuts_off_established_traffic_and_is_put_back() {
    if is_missing() {
        return;
    }
    let destroyed = [
        "iptables-legacy -t raw -F",
        "ip6tables-legacy -t raw -F",
        "ipset destroy",
    ];
    let rules = ["iptables-legacy -t raw -F", "ip6tables-legacy -t raw -F"];
    let sabotage: [&[&str]; 3] = [&destroyed, &rules, &["ipset flush"]];
    cuts_off_and_lets_in_again("iptables", &sabotage, "ipset list");
}

#[test]
fn iptables_holds_what_is_wanted_and_leaves_alone_what_is_others() {
    if is_missing() {
        return;
    }
    let network = Network::start();
    on_host(&network, "ipset create foreign hash:ip");
    on_host(&network, "ipset add foreign 192.0.2.1");
    on_host(
        &network,
        "iptables-legacy -t raw -A PREROUTING -m set --match-set foreign src -j ACCEPT",
    );
    let mut line = Line::on(Some(&network.host), None, &settings("iptables"));
    line.start_agent();
    for target in [
        "203.0.113.9",
        "203.0.113.128/25",
        "2001:db8:7::9",
        "2001:db8:8::/64",
    ] {
        line.operate(&["blocks", "add", target, "--minutes", "5"])
            .unwrap();
    }
    line.operate(&["blocks", "add", "203.0.113.10"]).unwrap();
    // A crash, and a bound that is another one at the next start, which is a property of the sets.
    line.end_agent(true);
    let file = line.path("picket.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}max_blocks = 70000\n")).unwrap();
    line.start_agent();
    line.operate(&["undo", "203.0.113.128/25"]).unwrap();
    let listed = on_host(&network, "ipset list");
    for (name, kind, element) in [
        ("picket-v4", "hash:ip", "203.0.113.9 timeout 2"),
        ("picket-v4", "hash:ip", "203.0.113.10 timeout 0"),
        ("picket-v6", "hash:ip", "2001:db8:7::9 timeout 2"),
        ("picket-v6net", "hash:net", "2001:db8:8::/64 timeout 2"),
    ] {
        let own = listed
            .split("Name: ")
            .find(|own| own.starts_with(&format!("{name}\n")));
        let own = own.unwrap_or_else(|| panic!("no {name} in {listed}"));
        assert!(own.contains(kind) && own.contains(element), "{own}");
        assert!(own.contains("maxelem 71024"), "{own}");
    }
    assert!(
        !listed.contains("203.0.113.128/25") && !listed.contains("-new"),
        "{listed}"
    );
    assert!(
        listed.contains("Name: foreign\n") && listed.contains("192.0.2.1"),
        "{listed}"
    );
    let rules = on_host(&network, "iptables-legacy -t raw -S PREROUTING");
    assert_eq!(rules.matches("--match-set picket-").count(), 2, "{rules}");
    assert!(rules.contains("--match-set foreign src -j ACCEPT"), "{rules}");
    assert_eq!(on_host(&network, "nft list tables"), "");

    // Once nftables is told to do it, nothing of ours is left behind.
    line.end_agent(false);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"iptables\"", "\"auto\"")).unwrap();
    line.start_agent();
    assert!(acting(&line).contains("nftables"), "{}", acting(&line));
    assert_eq!(on_host(&network, "ipset list -name").trim(), "foreign");
    let rules = on_host(&network, "iptables-legacy -t raw -S PREROUTING");
    assert!(!rules.contains("picket") && rules.contains("foreign"), "{rules}");
    let table = on_host(&network, "nft list table inet picket");
    assert!(
        table.contains("203.0.113.9") && table.contains("2001:db8:8::/64"),
        "{table}"
    );
    // And the other way round.
    line.end_agent(false);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"auto\"", "\"iptables\"")).unwrap();
    line.start_agent();
    assert!(on_host(&network, "ipset list").contains("203.0.113.9"));
    assert_eq!(on_host(&network, "nft list tables"), "");
}

#[test]
fn a_start_in_monitor_mode_lets_in_what_enforce_mode_blocked_and_the_collector_hears_of_it() {
    if is_missing() {
        return;
    }
    for firewall in ["nftables", "iptables"] {
        let network = Network::start();
        let mut line = Line::on(Some(&network.host), None, &settings(firewall));
        line.start_agent();
        let blocks = ["203.0.113.9", "203.0.113.128/25", "2001:db8:7::9"];
        for target in blocks {
            line.operate(&["blocks", "add", target]).unwrap();
        }
        line.end_agent(false);
        let file = line.path("picket.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"enforce\"", "\"monitor\"")).unwrap();
        line.start_agent();
        assert_eq!(line.operate(&["blocks", "list"]).unwrap(), "");
        assert_eq!(on_host(&network, "nft list ruleset"), "");
        assert_eq!(on_host(&network, "ipset list -name"), "");
        for tool in ["iptables-legacy", "ip6tables-legacy"] {
            let rules = on_host(&network, &format!("{tool} -t raw -S"));
            assert!(!rules.contains("picket"), "{rules}");
        }
        for target in blocks {
            let undone = line.wait_for(|value| {
                value["record"] == "outcome"
                    && value["body"]["action"]["target"]["target"] == target
                    && value["body"]["decision"] == "undone"
            });
            let reason = undone["body"]["action"]["reason"].as_str().unwrap();
            assert!(
                reason.ends_with("lifted, as the agent was started in monitor mode"),
                "{reason}"
            );
        }
        line.end_agent(false);
    }
}

#[test]
fn where_nftables_refuses_iptables_takes_its_place_and_it_is_said() {
    if is_missing() {
        return;
    }
    let network = Network::start();
    // Somebody else owns a table of our name: the kernel refuses to let us change it.
    let mut owner = Command::new("ip")
        .args(["netns", "exec", &network.host, "nft", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = owner.stdin.take().unwrap();
    input
        .write_all(b"add table inet picket { flags owner; }\n")
        .unwrap();
    wait_until(&network, "nft list tables", |said| said.contains("inet picket"));
    let mut line = Line::on(Some(&network.host), None, &settings("auto"));
    line.log("");
    line.start_agent();
    assert!(
        acting(&line).contains("iptables matches, at the cost of a process"),
        "{}",
        acting(&line)
    );
    let log = fs::read_to_string(line.path("agent.log")).unwrap();
    assert!(log.contains("ipset and iptables take its place"), "{log}");
    line.operate(&["blocks", "add", ATTACKER[0]]).unwrap();
    assert!(on_host(&network, "ipset list picket-v4").contains(ATTACKER[0]));
    let doctor = line.operate(&["doctor"]).unwrap();
    assert!(
        doctor.contains("degraded  firewall: nftables cannot be used, so the agent blocks"),
        "{doctor}"
    );
    drop(input);
    owner.wait().unwrap();
}

#[test]
fn with_no_firewall_at_all_every_block_fails_with_its_reason_and_the_agent_goes_on_watching() {
    if is_missing() {
        return;
    }
    let network = Network::start();
    let mut line = Line::on(Some(&network.host), None, &settings("auto"));
    // Without the right, nftables refuses; with nothing where ipset was, there is nothing else.
    let script = "mount --bind /dev/null \"$(readlink -f \"$(command -v ipset)\")\"\nexec setpriv --bounding-set=-net_admin --inh-caps=-net_admin \"$@\"";
    line.run_through(&["unshare", "--mount", "sh", "-euc", script, "sh"]);
    line.log("");
    line.start_agent();
    assert!(acting(&line).contains("can block nothing"), "{}", acting(&line));
    for address in ["203.0.113.7", "2001:db8:7::7"] {
        let now = jiff::Timestamp::now();
        let attack =
            |at| format!("{now:.6} host sshd[{at}]: Failed password for root from {address} port 1 ssh2\n");
        line.log(&(0..10).map(attack).collect::<String>());
        let outcome = line.wait_for(|value| {
            value["record"] == "outcome" && value["body"]["action"]["target"]["target"] == address
        });
        assert_eq!(outcome["body"]["decision"], "failed", "{outcome}");
        let because = outcome["body"]["because"].as_str().unwrap();
        assert!(
            because.contains("CAP_NET_ADMIN") && because.contains("ipset is not installed"),
            "{because}"
        );
    }
    assert_eq!(line.operate(&["blocks", "list"]).unwrap(), "");
    line.end_agent(false);
}
