//! The last events, from which those behind a finding are taken.

use compact_str::CompactString;
use picket_common::event::{Ancestor, AuthEvent, Container, Event, ExecEvent, Login, Payload, Program};
use picket_common::ids::RecordId;
use std::collections::VecDeque;

/// How many events are kept: together well below a mebibyte.
const MOST: usize = 320;

/// How much of an event is kept.
struct Extent {
    /// Of longer texts the beginning is kept.
    text: usize,
    /// So many arguments, and variables, of a program.
    args: usize,
    /// So many of those who started it.
    ancestors: usize,
}

const SHORT: Extent = Extent {
    text: 96,
    args: 3,
    ancestors: 2,
};
const LONG: Extent = Extent {
    text: 512,
    args: 24,
    ancestors: 8,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    event: Event,
    /// It is on its way to the collector.
    sent: bool,
}

impl Recent {
    /// Keeps an event, in the place of the oldest when there are many. `sent`: it is on its way to the collector.
    pub fn keep(&mut self, event: &Event, sent: bool) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let mut event = event.clone();
        SHORT.shorten(&mut event);
        self.0.push_back(Kept { event, sent });
    }

    /// An event as far as a person wants to read it: of what a program was started with more than is kept here.
    pub fn long(event: &Event) -> Event {
        let mut event = event.clone();
        LONG.shorten(&mut event);
        event
    }

    /// An event as it is kept here.
    pub(super) fn short(event: &mut Event) {
        SHORT.shorten(event);
    }

    /// Those of some events that are still there, in their order.
    pub fn find(&self, ids: &[RecordId]) -> Vec<Event> {
        let newest_first = self.0.iter().rev();
        let mut found: Vec<Event> = newest_first
            .filter(|kept| ids.contains(&kept.event.id))
            .take(ids.len())
            .map(|kept| kept.event.clone())
            .collect();
        found.reverse();
        found
    }

    /// Whether an event is still there and was sent.
    pub fn is_sent(&self, id: RecordId) -> bool {
        self.0.iter().any(|kept| kept.sent && kept.event.id == id)
    }

    /// Those of some events that are still there and were never sent, in their order; from now on they were.
    pub fn unsent(&mut self, ids: &[RecordId]) -> Vec<Event> {
        let unsent = self
            .0
            .iter_mut()
            .filter(|kept| !kept.sent && ids.contains(&kept.event.id));
        unsent
            .map(|kept| {
                kept.sent = true;
                kept.event.clone()
            })
            .collect()
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

impl Extent {
    fn shorten(&self, event: &mut Event) {
        match &mut event.payload {
            Payload::Auth(auth) => texts(auth).into_iter().flatten().for_each(|text| self.cut(text)),
            Payload::Exec(exec) => self.exec(exec),
            Payload::Exit(exit) => self.program(&mut exit.program),
            Payload::Connect(connect) => self.program(&mut connect.program),
            Payload::Privilege(privilege) => self.program(&mut privilege.program),
            Payload::Signal(signal) => {
                self.program(&mut signal.program);
                self.program(&mut signal.target);
            }
            Payload::Install(install) => install
                .manager
                .iter_mut()
                .for_each(|manager| self.program(manager)),
            Payload::File(file) => {
                self.cut(&mut file.path);
                file.target.iter_mut().for_each(|target| self.cut(target));
                if let Some(change) = &mut file.change {
                    change.added.truncate(self.args);
                    change.removed.truncate(self.args);
                    let lines = change.added.iter_mut().chain(&mut change.removed);
                    lines.for_each(|line| self.cut(line));
                }
                if let Some(content) = &mut file.content {
                    content.matches.truncate(self.args);
                    for found in &mut content.matches {
                        found.tags.truncate(self.args);
                        let own = [&mut found.rule, &mut found.source];
                        let more = found.description.iter_mut().chain(&mut found.member);
                        own.into_iter()
                            .chain(more)
                            .chain(&mut found.tags)
                            .for_each(|text| self.cut(text));
                    }
                    content.unscanned.iter_mut().for_each(|why| self.cut(why));
                }
                file.writer.iter_mut().for_each(|writer| self.program(writer));
            }
        }
    }

    /// What a program was started with can be long: only what a person reads is kept.
    fn exec(&self, exec: &mut ExecEvent) {
        exec.args_cut |= exec.args.len() > self.args;
        exec.args.truncate(self.args);
        exec.environment.truncate(self.args);
        exec.ancestors.truncate(self.ancestors);
        let own = [
            Some(&mut exec.executable),
            exec.working_directory.as_mut(),
            exec.user.as_mut(),
            exec.tty.as_mut(),
            exec.host.as_mut(),
            exec.package.as_mut(),
        ];
        let lists = exec.args.iter_mut().chain(&mut exec.environment);
        let own = own.into_iter().flatten().chain(lists);
        own.for_each(|text| self.cut(text));
        self.whence(&mut exec.ancestors, &mut exec.login, &mut exec.container);
    }

    fn program(&self, program: &mut Program) {
        program.ancestors.truncate(self.ancestors);
        let own = [
            program.executable.as_mut(),
            program.command_line.as_mut(),
            program.user.as_mut(),
        ];
        own.into_iter().flatten().for_each(|text| self.cut(text));
        self.whence(&mut program.ancestors, &mut program.login, &mut program.container);
    }

    fn whence(
        &self,
        ancestors: &mut [Ancestor],
        login: &mut Option<Box<Login>>,
        container: &mut Option<Box<Container>>,
    ) {
        for ancestor in ancestors {
            let texts = [ancestor.executable.as_mut(), ancestor.command_line.as_mut()];
            texts.into_iter().flatten().for_each(|text| self.cut(text));
        }
        if let Some(login) = login {
            let texts = [
                Some(&mut login.user),
                login.program.as_mut(),
                login.method.as_mut(),
            ];
            texts.into_iter().flatten().for_each(|text| self.cut(text));
        }
        if let Some(container) = container {
            let Container {
                runtime,
                id,
                pod,
                unit,
            } = container.as_mut();
            let texts = [runtime, id, pod, unit].into_iter().flatten();
            texts.for_each(|text| self.cut(text));
        }
    }

    fn cut(&self, text: &mut CompactString) {
        if text.len() > self.text {
            let end = text.floor_char_boundary(self.text);
            *text = compact_str::format_compact!("{}…", text.get(..end).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_common::event::{AuthAction, Outcome};
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
        events.iter().for_each(|event| recent.keep(event, true));
        let ids: Vec<RecordId> = [1, MOST + 1, 2, MOST].map(|at| events[at].id).to_vec();
        let expected = [2, MOST, MOST + 1].map(|at| events[at].clone());
        assert_eq!(recent.find(&ids), expected);
    }

    #[test]
    fn what_was_not_sent_is_given_away_once() {
        let mut recent = Recent::default();
        let events: Vec<Event> = (0..4).map(|number| event(number, "bob")).collect();
        for (number, event) in events.iter().enumerate() {
            recent.keep(event, number == 1);
        }
        let ids: Vec<RecordId> = [2, 1, 0].map(|at| events[at].id).to_vec();
        assert_eq!(recent.unsent(&ids), [events[0].clone(), events[2].clone()]);
        assert_eq!(recent.unsent(&ids), []);
        assert_eq!(recent.find(&ids).len(), 3);
    }

    #[test]
    fn all_together_stay_below_a_mebibyte() {
        let mut event = event(0, "");
        let Payload::Auth(auth) = &mut event.payload else {
            panic!()
        };
        let most = size_of::<Kept>() + texts(auth).len() * (SHORT.text + "…".len());
        assert!(MOST * most <= 1 << 20, "{most} bytes for one");
        let texts = 6 + 2 * SHORT.args + 2 * SHORT.ancestors + 3 + 4;
        let most = size_of::<Kept>()
            + size_of::<ExecEvent>()
            + 2 * SHORT.args * size_of::<CompactString>()
            + SHORT.ancestors * size_of::<Ancestor>()
            + size_of::<Login>()
            + size_of::<Container>()
            + texts * (SHORT.text + "…".len());
        assert!(MOST * most <= 1 << 20, "{most} bytes for one program");
    }

    #[test]
    fn long_texts_are_cut_between_two_characters() {
        let mut recent = Recent::default();
        let event = event(0, &"é".repeat(5000).replacen('é', "e", 1));
        recent.keep(&event, true);
        let found = recent.find(&[event.id]);
        let user = found[0].auth().unwrap().user.as_deref().unwrap();
        assert!(user.len() <= SHORT.text + 3 && user.ends_with("é…"), "{user}");
    }
}
