//! The agent at work: a thread for each stage, joined by queues.
//!
//! ```text
//! sensors of files ▶ scanner, with a process of its own ▶╮
//! sensors ▶ judge (enrich, detect) ▶ actor (respond) ▶ keeper (spool) ▶ courier, a process of its own
//! ```

mod actor;
pub mod control;
pub mod costs;
mod courier;
mod historian;
mod installs;
mod judge;
mod keeper;
mod look_back;
mod mask;
pub mod observer;
mod rule_watch;
mod rules;
pub mod running;
mod scanner;
mod socket;
pub mod status;

use crate::config::Settings;
use crate::enrich::{Enricher, Inquirer};
use crate::observation::{Cursor, Observation};
use crate::plugs;
use crate::queue::{Sender, queue};
use crate::respond::LedgerError;
use crate::send::{Reached, Watch};
use crate::sense::{Notice, Sensor};
use crate::spool::{Spool, SpoolError};
use crate::sys::{Stop, answer_at_once};
use actor::Actor;
use control::Control;
use costs::Costs;
use historian::Historian;
use keeper::{Keeper, Kept};
use nix::sys::signal::{SigSet, Signal};
use observer::Observer;
use rules::Rules;
use status::Status;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many observations wait to be judged. Logs are their own buffer: a sensor that finds the queue full waits.
const OBSERVED: usize = 256;
/// How many findings and logins wait for the actor.
const ASKED: usize = 1024;
/// How many findings and outcomes wait for the history on the host, which may lose some: they are kept elsewhere.
const NOTED: usize = 32;
/// How many judgements wait to be written.
const JUDGED: usize = 1024;
/// How long a sensor that gave up is left alone: doubled up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The operating system says no.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub fn run(settings: &Settings) -> Result<(), AppError> {
    let system = |what| move |error| AppError::System(what, error);
    // Before any thread is there, so that none of them takes a signal.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect();
    signals
        .thread_block()
        .map_err(|error| AppError::System("signals", error.into()))?;
    let stop = Stop::new().map_err(system("eventfd"))?;
    let changes = rules::watch(settings);

    let (spool, recovery) = Spool::open(&settings.spool.directory, settings.spool.quota)?;
    for gap in &recovery.gaps {
        tracing::warn!("{}: lost {}: {}", gap.place, gap.lost, gap.reason);
    }
    let user = crate::sys::unprivileged(&settings.send.user);
    if let Some(user) = user {
        courier::open_to(&settings.spool.directory, user)
            .map_err(|error| AppError::System("the spool's group", error))?;
    }
    let cursors = spool.cursors().clone();
    let spool = Arc::new(Mutex::new(spool));
    let watch = Arc::new(Watch::default());

    let (notice, notices) = mpsc::channel();
    let (judged, to_keep) = queue("judged", JUDGED);
    let (observed, to_judge) = queue("observed", OBSERVED);
    let mut threads = Vec::new();
    let (mut sensors, mut watched) = (Vec::new(), Vec::new());
    let mut begun = plugs::sensors(settings, &cursors, &notice);
    let own = [
        settings.agent.state.clone(),
        settings.spool.directory.clone(),
        settings.respond.quarantine.directory.clone(),
    ];
    let mut begun_files = plugs::file_sensors(&settings.files, &own, &cursors, &notice);
    let seen = &plugs::seen(&begun) | &plugs::seen(&begun_files);
    let (inquiries, inquirer) = Inquirer::new("/");
    let mut enricher =
        Enricher::new(jiff::tz::TimeZone::system(), jiff::Timestamp::now().into()).asking(inquiries.clone());
    let watches_files = !begun_files.is_empty();
    if watches_files {
        enricher = enricher.knowing_files(Path::new("/"));
    }
    let enricher = Arc::new(Mutex::new(enricher));
    let scanned = watches_files.then(scanner::queue).transpose()?;
    let observer = Arc::new(Observer::default());
    let rules = Rules::load(settings, seen.clone(), scanned.clone(), Arc::clone(&observer));
    let rules = Arc::new(rules);
    let all = begun.iter_mut().chain(&mut begun_files);
    let places: Vec<_> = all.flat_map(|sensor| sensor.begin()).collect();
    if let Err(error) = first_places(&spool, &places) {
        tracing::warn!("{error}; were the agent killed now, it would begin somewhere else");
    }
    let (landed, to_scan) = queue("landed", OBSERVED);
    if let Some(scanned) = scanned {
        let enricher = Arc::clone(&enricher);
        sensors.extend(scanner::start(
            settings,
            scanned,
            to_scan,
            enricher,
            observed.clone(),
        )?);
    }
    let begun = begun.into_iter().map(|sensor| (sensor, &observed));
    let begun_files = begun_files.into_iter().map(|sensor| (sensor, &landed));
    for (sensor, queue) in begun.chain(begun_files) {
        tracing::info!("watching {}", sensor.describe());
        watched.push(sensor.describe());
        let (observed, stop) = (queue.clone(), stop.clone());
        let notices = notice.clone();
        let run = move || supervise(sensor, &observed, &notices, &stop);
        sensors.push(spawn_prompt("sensor", run)?);
    }
    drop(landed);
    sensors.push(spawn("inquirer", move || inquirer.answer(&observed))?);
    drop(notice);
    // Before the actor, which has told it more than the queue holds when the last run could not.
    threads.push({
        let keeper = Keeper {
            spool: Arc::clone(&spool),
            courier: Arc::clone(&watch),
            stop: stop.clone(),
        };
        spawn("keeper", move || keeper.keep(&to_keep))?
    });
    let (ask, asked) = queue("asked", ASKED);
    let (note, noted) = queue("history", NOTED);
    let reached = Arc::new(Reached::open(settings.reached()));
    let spooled = cursors.get(actor::LEDGER);
    let mut actor = Actor::start(
        settings,
        spooled,
        judged.clone(),
        note.clone(),
        Arc::clone(&reached),
    )?;
    let acting = actor.acting();
    let status = Status::new(
        settings,
        Arc::clone(&spool),
        Arc::clone(&rules),
        (watched, seen),
        acting,
    );
    let status = Arc::new(status);
    let costs = Arc::new(Costs::default());
    let control = Control {
        ask: ask.clone(),
        status: Arc::clone(&status),
        history: note.clone(),
        costs: Arc::clone(&costs),
        processes: running::Processes {
            enricher: Arc::clone(&enricher),
            mask: mask::Mask::new(&settings.process.mask),
        },
        stop: stop.clone(),
    };
    let control = control.listen(&settings.agent.socket);
    threads.push({
        let (observer, settings) = (Arc::clone(&observer), settings.clone());
        let ways = observer::Ways {
            keeper: judged.clone(),
            historian: note.clone(),
        };
        spawn("observer", move || observer::observe(&observer, &settings, ways))?
    });
    let judging = {
        let (rules, settings) = (Arc::clone(&rules), settings.clone());
        let costs = Arc::clone(&costs);
        let ways = judge::Ways {
            actor: ask,
            keeper: judged.clone(),
            historian: note,
            observer: Arc::clone(&observer),
        };
        spawn_prompt("judge", move || {
            judge::judge(&rules, &settings, &to_judge, &enricher, &costs, ways)
        })?
    };
    let acting = spawn_prompt("actor", move || actor.act(&asked))?;
    if let Some(changes) = changes {
        let (rules, stop) = (Arc::clone(&rules), stop.clone());
        threads.push(spawn("rules", move || rules.follow(changes, &stop))?);
    }
    let mut historian = Historian::new(&settings.findings());
    threads.push(spawn("historian", move || historian.listen(&noted))?);
    threads.push(spawn("notices", move || hear(&notices, &costs, &judged))?);
    let courier = courier::start(settings, user, Arc::clone(&watch), spool, status, reached)?;

    // Whoever started it may wait for this line; nobody has to.
    drop(writeln!(io::stdout(), "picket is ready"));
    loop {
        match signals.wait() {
            Ok(Signal::SIGHUP) => {
                rules.reload();
                watch.nudge();
            }
            Ok(signal) => {
                tracing::info!("{signal}: ending");
                break;
            }
            Err(error) => return Err(AppError::System("signals", error.into())),
        }
    }
    // Downstream: each stage ends once nothing can come any more.
    stop.raise();
    inquiries.end();
    let upstream = sensors.into_iter().chain(control).chain([judging, acting]);
    upstream.for_each(join);
    observer.end();
    threads.into_iter().for_each(join);
    watch.stop();
    join(courier);
    Ok(())
}

/// Keeps where sources begin that were never read before.
fn first_places(spool: &Mutex<Spool>, places: &[(Arc<str>, Cursor)]) -> Result<(), SpoolError> {
    let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
    spool.append(&[], places)?;
    spool.sync()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| AppError::System("a thread", error))
}

/// A thread that lies between what happens and the answer to it.
fn spawn_prompt(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    spawn(name, || {
        if let Err(error) = answer_at_once() {
            tracing::debug!("it may have to wait for its turn: {error}");
        }
        work();
    })
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread panicked; this is a bug");
    }
}

/// Starts a sensor again when it gives up.
fn supervise(
    mut sensor: Box<dyn Sensor>,
    queue: &Sender<Observation>,
    notices: &mpsc::Sender<Notice>,
    stop: &Stop,
) {
    let mut pause = Duration::from_millis(500);
    while let Err(error) = sensor.run(queue, stop) {
        tracing::warn!("{}: {error}; it is started again in {pause:?}", sensor.name());
        if !sensor.resumes() {
            let lost = Notice::Lost {
                place: sensor.name().to_owned(),
                lost: 0,
                reason: format!("{error}; what happened within the next {pause:?} is unknown"),
            };
            // Nobody listens once the agent is ending.
            let _ = notices.send(lost);
        }
        if stop.wait(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn hear(notices: &mpsc::Receiver<Notice>, costs: &Costs, judged: &Sender<Kept>) {
    for notice in notices {
        tracing::warn!("{notice}");
        if let Notice::Lost { place, lost, reason } = notice {
            costs.lost(&place, lost);
            // A closed queue means that the agent is ending.
            let _ = judged.wait(Kept::lost(place, lost, reason));
        }
    }
}
