//! `make demo`: the story in a laboratory, and how long it took.

use picket_tests::laboratory::Laboratory;
use picket_tests::story;

fn main() {
    if let Some(reason) = Laboratory::missing() {
        println!("the laboratory cannot run here: {reason}");
        std::process::exit(1);
    }
    println!("A real sshd and a real rsyslogd in network namespaces of their own; Picket in enforce mode.\n");
    let timelines = story::tell(|step| println!("  {step}"));
    for timeline in timelines {
        println!("\n{}", timeline.address);
        for (what, time) in [
            ("first failed login", timeline.first_failure),
            ("the failed login that was one too many", timeline.last_failure),
            ("finding", timeline.detected),
            ("block in force", timeline.blocked),
            ("collector's receipt", timeline.received),
        ] {
            println!("  {time:.6}  {what}");
        }
        println!(
            "  time to detect  {:8.3} ms, from sshd's own timestamp",
            timeline.time_to_detect()
        );
        println!(
            "  time to respond {:8.3} ms, from the finding to the block in force",
            timeline.time_to_respond()
        );
    }
}
