//! The last events, from which those behind a finding are taken.

use compact_str::CompactString;
use picket_common::event::{AuthEvent, Event, ExecEvent, Payload, Program};
use picket_common::ids::RecordId;
use std::collections::VecDeque;

/// How many events are kept: together with [`LONGEST`] well below a mebibyte.
const MOST: usize = 384;
/// Of longer texts the beginning is kept.
const LONGEST: usize = 96;
/// So many arguments, and variables, of a program.
const ARGS: usize = 3;
/// So many of those who started it.
const ANCESTORS: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Event>);

impl Recent {
    /// Keeps an event, in the place of the oldest when there are many.
    pub fn keep(&mut self, event: &Event) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let mut event = event.clone();
        match &mut event.payload {
            Payload::Auth(auth) => texts(auth).into_iter().flatten().for_each(cut),
            Payload::Exec(exec) => shorten(exec),
            Payload::Exit(exit) => shorten_program(&mut exit.program),
            Payload::Connect(connect) => shorten_program(&mut connect.program),
            Payload::Privilege(privilege) => shorten_program(&mut privilege.program),
            Payload::File(file) => {
                cut(&mut file.path);
                file.target.iter_mut().for_each(cut);
                if let Some(change) = &mut file.change {
                    change.added.truncate(ARGS);
                    change.added.iter_mut().for_each(cut);
                }
                file.writer.iter_mut().for_each(|writer| shorten_program(writer));
            }
            Payload::Signal(signal) => {
                shorten_program(&mut signal.program);
                shorten_program(&mut signal.target);
            }
        }
        self.0.push_back(event);
    }

    /// Those of some events that are still there, in their order.
    pub fn find(&self, ids: &[RecordId]) -> Vec<Event> {
        let newest_first = self.0.iter().rev();
        let mut found: Vec<Event> = newest_first
            .filter(|event| ids.contains(&event.id))
            .take(ids.len())
            .cloned()
            .collect();
        found.reverse();
        found
    }
}

fn texts(auth: &mut AuthEvent) -> [Option<&mut CompactString>; 11] {
    [
        Some(&mut auth.program),
        auth.service.as_mut(),
        auth.host.as_mut(),
        auth.user.as_mut(),
        auth.target_user.as_mut(),
        auth.group.as_mut(),
        auth.source_domain.as_mut(),
        auth.key.as_mut(),
        auth.reason.as_mut(),
        auth.tty.as_mut(),
        auth.command.as_mut(),
    ]
}

/// What a program was started with can be long: only what a person reads is kept.
fn shorten(exec: &mut ExecEvent) {
    exec.args_cut |= exec.args.len() > ARGS;
    exec.args.truncate(ARGS);
    exec.environment.truncate(ARGS);
    exec.ancestors.truncate(ANCESTORS);
    let own = [
        Some(&mut exec.executable),
        exec.working_directory.as_mut(),
        exec.user.as_mut(),
    ];
    let further = [exec.tty.as_mut(), exec.host.as_mut()];
    let lists = exec.args.iter_mut().chain(&mut exec.environment);
    let ancestors = exec
        .ancestors
        .iter_mut()
        .flat_map(|ancestor| [ancestor.executable.as_mut(), ancestor.command_line.as_mut()]);
    own.into_iter()
        .chain(further)
        .chain(ancestors)
        .flatten()
        .chain(lists)
        .for_each(cut);
}

fn shorten_program(program: &mut Program) {
    program.ancestors.truncate(ANCESTORS);
    let own = [
        program.executable.as_mut(),
        program.command_line.as_mut(),
        program.user.as_mut(),
    ];
    let ancestors = program
        .ancestors
        .iter_mut()
        .flat_map(|ancestor| [ancestor.executable.as_mut(), ancestor.command_line.as_mut()]);
    own.into_iter().chain(ancestors).flatten().for_each(cut);
}

fn cut(text: &mut CompactString) {
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST);
        *text = compact_str::format_compact!("{}…", text.get(..end).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{Ancestor, AuthAction, Outcome};
    use picket_common::time::Timestamp;

    fn event(number: usize, user: &str) -> Event {
        let time = Timestamp::from_micros(1_000_000);
        let mut auth = AuthEvent::new(AuthAction::Login, Outcome::Failure, "sshd");
        auth.user = Some(user.into());
        Event {
            id: RecordId::derived(time, &[&number.to_le_bytes()]),
            time,
            observed: time,
            payload: Payload::Auth(auth.into()),
        }
    }

    #[test]
    fn the_last_events_are_found_in_their_order_and_older_ones_are_gone() {
        let mut recent = Recent::default();
        let events: Vec<Event> = (0..MOST + 2).map(|number| event(number, "bob")).collect();
        events.iter().for_each(|event| recent.keep(event));
        let ids: Vec<RecordId> = [1, MOST + 1, 2, MOST].map(|at| events[at].id).to_vec();
        let expected = [2, MOST, MOST + 1].map(|at| events[at].clone());
        assert_eq!(recent.find(&ids), expected);
    }

    #[test]
    fn all_together_stay_below_a_mebibyte() {
        let mut event = event(0, "");
        let Payload::Auth(auth) = &mut event.payload else {
            panic!()
        };
        let most = size_of::<Event>() + texts(auth).len() * (LONGEST + "…".len());
        assert!(MOST * most <= 1 << 20, "{most} bytes for one");
        let texts = 5 + 2 * ARGS + 2 * ANCESTORS;
        let most = size_of::<Event>()
            + size_of::<ExecEvent>()
            + 2 * ARGS * size_of::<CompactString>()
            + ANCESTORS * size_of::<Ancestor>()
            + texts * (LONGEST + "…".len());
        assert!(MOST * most <= 1 << 20, "{most} bytes for one program");
    }

    #[test]
    fn long_texts_are_cut_between_two_characters() {
        let mut recent = Recent::default();
        let event = event(0, &"é".repeat(5000).replacen('é', "e", 1));
        recent.keep(&event);
        let found = recent.find(&[event.id]);
        let user = found[0].auth().unwrap().user.as_deref().unwrap();
        assert!(user.len() <= LONGEST + 3 && user.ends_with("é…"), "{user}");
    }
}
