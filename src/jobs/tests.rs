use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::media::FileContent;

const S: Duration = Duration::from_secs(1);

fn failure(kind: ErrorKind) -> Vec<Outcome> {
    vec![Err(Failure {
        kind,
        message: String::new(),
        content: FileContent::Image,
    })]
}

/// The files started by the commands.
fn started<W>(jobs: &mut Jobs<W>) -> Vec<(String, Lane, u64)> {
    let commands = jobs.commands();
    let starts = commands.into_iter().filter_map(|command| match command {
        JobCommand::Start(job) => Some((job.path.display().to_string(), job.lane, job.generation)),
        _ => None,
    });
    starts.collect()
}

fn start_one<W>(jobs: &mut Jobs<W>) -> u64 {
    let starts = started(jobs);
    assert_eq!(starts.len(), 1, "{starts:?}");
    starts[0].2
}

fn arrived(jobs: &mut Jobs, path: &str) -> u64 {
    jobs.request(Path::new(path), Lane::Bulk, Reason::Arrived, ());
    start_one(jobs)
}

#[test]
fn a_file_requested_interactively_as_well_is_classified_once_and_first() {
    let mut jobs = Jobs::default();
    for (name, lane, waiter) in [
        ("a", Lane::Bulk, 0),
        ("b", Lane::Bulk, 1),
        ("b", Lane::Interactive, 2),
    ] {
        jobs.request(Path::new(name), lane, Reason::Wanted, waiter);
    }
    let starts = started(&mut jobs);
    let order: Vec<_> = starts.iter().map(|s| (s.0.as_str(), s.1)).collect();
    assert_eq!(order, [("b", Lane::Interactive), ("a", Lane::Bulk)]);
    let ended = jobs.answered(starts[0].2, failure(ErrorKind::Unsupported));
    assert_eq!(ended.expect("an end").waiters, [1, 2]);
}

#[test]
fn a_running_file_is_promoted_without_being_started_again() {
    let mut jobs = Jobs::default();
    let generation = arrived(&mut jobs, "a");
    assert!(jobs.promote(Path::new("a")));
    assert!(!jobs.promote(Path::new("a")), "once");
    assert!(!jobs.promote(Path::new("unknown")));
    assert_eq!(jobs.commands(), [JobCommand::Promote(generation)]);
}

#[test]
fn a_truncated_arrival_is_tried_again_before_it_fails() {
    let mut jobs = Jobs::default();
    let (mut generation, mut now) = (arrived(&mut jobs, "a.dcm"), S);
    for wait in retry::WAITS {
        let ended = jobs.answered(generation, failure(ErrorKind::Truncated));
        assert_eq!((ended, jobs.is_idle()), (None, false));
        assert_eq!((jobs.pending_count(), jobs.retrying_count()), (0, 1));
        assert_eq!(
            jobs.next_tick(now),
            Some(Duration::ZERO),
            "a tick is needed to learn the time"
        );
        jobs.tick(now);
        assert_eq!(jobs.next_tick(now), Some(wait));
        assert_eq!(started(&mut jobs), []);
        now += wait;
        jobs.tick(now);
        assert_eq!((jobs.pending_count(), jobs.retrying_count()), (1, 0));
        generation = start_one(&mut jobs);
        assert_eq!((jobs.pending_count(), jobs.retrying_count()), (1, 0));
    }
    let ended = jobs.answered(generation, failure(ErrorKind::Truncated));
    assert!(ended.is_some() && jobs.is_idle());
}

#[test]
fn failures_that_no_writer_can_cause_are_final() {
    let mut jobs = Jobs::default();
    jobs.request(Path::new("old"), Lane::Bulk, Reason::Wanted, ());
    let old = start_one(&mut jobs);
    assert!(jobs.answered(old, failure(ErrorKind::Truncated)).is_some());
    let unsupported = arrived(&mut jobs, "a");
    let ended = jobs.answered(unsupported, failure(ErrorKind::Unsupported));
    assert!(ended.is_some());
    let text = arrived(&mut jobs, "notes");
    let mut empty = failure(ErrorKind::Truncated);
    if let Some(Err(failure)) = empty.first_mut() {
        failure.content = FileContent::Other;
    }
    assert!(jobs.answered(text, empty).is_some());
}

#[test]
fn new_content_outdates_the_running_attempt_and_restarts_the_count() {
    let mut jobs = Jobs::default();
    let old = arrived(&mut jobs, "a");
    assert_eq!(jobs.answered(old, failure(ErrorKind::Malformed)), None);
    let again = arrived(&mut jobs, "a");
    jobs.request(Path::new("a"), Lane::Bulk, Reason::Arrived, ());
    let commands = jobs.commands();
    let [JobCommand::Cancel(cancelled), JobCommand::Start(job)] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(*cancelled, again);
    assert_eq!(jobs.answered(again, failure(ErrorKind::Unsupported)), None);
    let ended = jobs.answered(job.generation, failure(ErrorKind::Unsupported));
    assert_eq!(ended.expect("an end").waiters.len(), 3);
}

#[test]
fn draining_ends_waiting_files_with_their_last_outcome() {
    let mut jobs = Jobs::default();
    let generation = arrived(&mut jobs, "a");
    jobs.answered(generation, failure(ErrorKind::Truncated));
    jobs.tick(S);
    assert_eq!(jobs.drain().len(), 1);
    assert!(jobs.is_idle() && jobs.next_tick(S).is_none());
    let late = arrived(&mut jobs, "b");
    assert!(jobs.answered(late, failure(ErrorKind::Truncated)).is_some());
}

#[test]
fn a_removed_file_is_answered_only_if_it_was_read_before() {
    let mut jobs: Jobs = Jobs::default();
    let unread = arrived(&mut jobs, "in/a");
    let read = arrived(&mut jobs, "in/b");
    jobs.request(Path::new("in/c"), Lane::Bulk, Reason::Arrived, ());
    let ended = jobs.removed(Path::new("in"));
    assert_eq!(
        (ended.len(), ended[0].path.as_path()),
        (1, Path::new("in/c"))
    );
    // Another file has the name by now.
    let new = arrived(&mut jobs, "in/a");
    let ended = jobs
        .answered(unread, failure(ErrorKind::NotFound))
        .expect("an end");
    assert_eq!(ended.end, End::Gone);
    let ended = jobs.answered(read, Vec::new()).expect("an end");
    assert_eq!(
        (ended.end, ended.is_there),
        (End::Answered(Vec::new()), false)
    );
    let ended = jobs
        .answered(new, failure(ErrorKind::Unsupported))
        .expect("an end");
    assert!(ended.is_there && jobs.is_idle());
}

#[test]
fn a_running_file_that_is_renamed_is_started_again() {
    let mut jobs = Jobs::default();
    let old = arrived(&mut jobs, "in/p/a");
    assert_eq!(jobs.renamed(Path::new("in/p"), Path::new("in/q")), []);
    let commands = jobs.commands();
    let [JobCommand::Cancel(_), JobCommand::Start(job)] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(job.path, Path::new("in/q/a"));
    assert_eq!(jobs.answered(old, failure(ErrorKind::NotFound)), None);
    let ended = jobs.answered(job.generation, failure(ErrorKind::Unsupported));
    assert_eq!(ended.expect("an end").path, Path::new("in/q/a"));
}

#[test]
fn a_finished_file_that_is_renamed_twice_has_a_result_under_its_last_name() {
    let mut jobs = Jobs::default();
    let record = crate::library::export::tests::record(crate::scoring::Decision::Confident);
    let done = arrived(&mut jobs, "in/p/a");
    assert!(jobs.answered(done, vec![Ok(record.clone())]).is_some());
    for (from, to) in [("in/p", "in/q"), ("in/q", "in/r")] {
        jobs.renamed(Path::new(from), Path::new(to));
        let below = jobs.start_over_below(Path::new(to));
        assert_eq!(below, [Path::new(to).join("a")]);
        // When the first rename is told of, nothing is there any more to be requested.
        assert_eq!(started(&mut jobs), []);
    }
    jobs.request(Path::new("in/r/a"), Lane::Bulk, Reason::Wanted, ());
    let again = start_one(&mut jobs);
    let ended = jobs.answered(again, vec![Ok(record)]).expect("an end");
    assert_eq!((ended.path, ended.is_repeated), ("in/r/a".into(), false));
}

#[test]
fn a_refused_file_is_requested_again_when_its_permissions_change() {
    let mut jobs = Jobs::default();
    for (name, kind) in [
        ("refused", ErrorKind::Permission),
        ("large", ErrorKind::TooLarge),
    ] {
        jobs.request(Path::new(name), Lane::Bulk, Reason::Wanted, ());
        let generation = start_one(&mut jobs);
        jobs.answered(generation, failure(kind));
    }
    assert!(!jobs.touched(Path::new("large"), ()) && !jobs.touched(Path::new("unknown"), ()));
    assert!(jobs.touched(Path::new("refused"), ()));
    assert_eq!(started(&mut jobs).len(), 1);
}

#[test]
fn no_more_files_are_started_than_results_are_read() {
    let mut jobs = Jobs::default();
    for n in 0..MAX_RUNNING + 10 {
        jobs.request(Path::new(&n.to_string()), Lane::Bulk, Reason::Wanted, n);
    }
    let starts = started(&mut jobs);
    assert_eq!((starts.len(), jobs.queued_count()), (MAX_RUNNING, 10));
    assert_eq!(started(&mut jobs), []);
    jobs.request(Path::new("1030"), Lane::Interactive, Reason::Wanted, 0);
    assert_eq!(
        started(&mut jobs)[0].1,
        Lane::Interactive,
        "there is room in its lane"
    );
    jobs.answered(starts[0].2, Vec::new());
    assert_eq!(started(&mut jobs).len(), 1);
}

#[test]
fn a_new_engine_gets_the_files_of_the_last_one() {
    let mut jobs = Jobs::default();
    let old = arrived(&mut jobs, "a");
    assert_eq!(jobs.engine_lost(), []);
    assert_eq!(started(&mut jobs), [], "there is none");
    jobs.engine_found();
    let new = start_one(&mut jobs);
    assert_eq!(jobs.answered(old, failure(ErrorKind::Internal)), None);
    assert!(jobs.answered(new, failure(ErrorKind::Internal)).is_some());
}

#[test]
fn after_a_change_of_prompts_each_classified_file_is_answered_anew() {
    let mut jobs = Jobs::default();
    let done = arrived(&mut jobs, "done");
    let failed = arrived(&mut jobs, "failed");
    let record = crate::library::export::tests::record(crate::scoring::Decision::Confident);
    let outcomes = || vec![Ok(record.clone())];
    assert!(jobs.answered(done, outcomes()).is_some());
    assert!(
        jobs.answered(failed, failure(ErrorKind::Unsupported))
            .is_some()
    );
    jobs.start_over();
    let again = start_one(&mut jobs);
    let ended = jobs.answered(again, outcomes()).expect("an end");
    assert_eq!((ended.path, ended.is_repeated), ("done".into(), false));
    assert!(jobs.is_idle());
}

#[derive(Clone, Debug)]
enum JobAction {
    Request(u8, bool, bool),
    Promote(u8),
    Carry,
    Answer(usize, u8),
    Drop(usize),
    Remove(u8),
    Rename(u8, u8),
    Touch(u8),
    Tick(u64),
    Lose,
    Find,
}

fn steps() -> impl Strategy<Value = Vec<JobAction>> {
    let step = prop_oneof![
        8 => (0..6u8, any::<bool>(), any::<bool>()).prop_map(|(f, i, a)| JobAction::Request(f, i, a)),
        2 => (0..6u8).prop_map(JobAction::Promote),
        6 => Just(JobAction::Carry),
        8 => (any::<usize>(), 0..4u8).prop_map(|(n, o)| JobAction::Answer(n, o)),
        1 => any::<usize>().prop_map(JobAction::Drop),
        1 => (0..8u8).prop_map(JobAction::Remove),
        2 => (0..8u8, 0..8u8).prop_map(|(f, t)| JobAction::Rename(f, t)),
        2 => (0..6u8).prop_map(JobAction::Touch),
        3 => (0..5000u64).prop_map(JobAction::Tick),
        1 => Just(JobAction::Lose),
        2 => Just(JobAction::Find),
    ];
    prop::collection::vec(step, 0..120)
}

/// Six files in two folders; 6 and 7 are the folders.
fn path(n: u8) -> PathBuf {
    match n {
        6 | 7 => PathBuf::from(format!("/r/{}", n - 6)),
        n => PathBuf::from(format!("/r/{}/{n}", n % 2)),
    }
}

fn outcome(kind: u8) -> Vec<Outcome> {
    match kind {
        0 => Vec::new(),
        1 => failure(ErrorKind::Truncated),
        2 => failure(ErrorKind::Permission),
        _ => failure(ErrorKind::Unsupported),
    }
}

/// The state machine with an engine that may do anything, and the invariants that must hold.
struct Simulation {
    jobs: Jobs<usize>,
    /// The files with the engine, by generation: the version of the content that it reads.
    engine: BTreeMap<u64, u64>,
    /// The current version of each file's content.
    versions: HashMap<PathBuf, u64>,
    next_version: u64,
    /// Number of waiters, and those that have been answered.
    asked: usize,
    answered: BTreeSet<usize>,
    ended: BTreeSet<u64>,
    failures: HashMap<u64, usize>,
    promoted: usize,
    now: Duration,
}

impl Simulation {
    fn new() -> Self {
        let mut jobs = Jobs::default();
        jobs.running.set_limit(2);
        Self {
            jobs,
            engine: BTreeMap::new(),
            versions: HashMap::new(),
            next_version: 0,
            asked: 0,
            answered: BTreeSet::new(),
            ended: BTreeSet::new(),
            failures: HashMap::new(),
            promoted: 0,
            now: Duration::ZERO,
        }
    }

    fn rewrite(&mut self, path: PathBuf) {
        self.next_version += 1;
        self.versions.insert(path, self.next_version);
    }

    fn carry_out_commands(&mut self) {
        let mut bulk = false;
        for command in self.jobs.commands() {
            match command {
                JobCommand::Start(job) => {
                    assert!(
                        !(bulk && job.lane == Lane::Interactive),
                        "interactive before bulk"
                    );
                    bulk |= job.lane == Lane::Bulk;
                    let version = self.versions.get(&job.path).copied().unwrap_or(0);
                    let before = self.engine.insert(job.generation, version);
                    assert_eq!(before, None, "started twice at one time");
                }
                JobCommand::Promote(_) => self.promoted += 1,
                JobCommand::Cancel(_) => {}
            }
        }
        assert!(
            self.engine.len() <= 4 + self.promoted,
            "two per lane: {:?}",
            self.engine
        );
        if !self.jobs.queue.interactive_is_empty() {
            assert!(!bulk, "no bulk while an interactive file waits");
        }
    }

    fn end(&mut self, ended: Ended<usize>, read: Option<u64>) {
        assert!(
            self.ended.insert(ended.generation),
            "each generation ends once"
        );
        for waiter in ended.waiters {
            assert!(self.answered.insert(waiter), "each is answered once");
        }
        if let (End::Answered(_), true, Some(read)) = (&ended.end, ended.is_there, read) {
            let now = self.versions.get(&ended.path).copied().unwrap_or(0);
            assert_eq!(read, now, "an outdated result is never reported");
        }
    }

    fn all_end(&mut self, ended: Vec<Ended<usize>>) {
        for one in ended {
            self.end(one, None);
        }
    }

    fn answer(&mut self, generation: u64, outcomes: Vec<Outcome>) {
        let read = self.engine.remove(&generation).expect("the engine has it");
        if outcomes.iter().any(Result::is_err) {
            let failures = self.failures.entry(generation).or_default();
            *failures += 1;
            assert!(*failures <= 1 + retry::WAITS.len(), "retries are bounded");
        }
        if let Some(ended) = self.jobs.answered(generation, outcomes) {
            self.end(ended, Some(read));
        }
    }

    fn nth(&self, n: usize) -> Option<u64> {
        let count = self.engine.len();
        self.engine.keys().nth(n.checked_rem(count)?).copied()
    }

    fn rename(&mut self, from: u8, to: u8) {
        if (from < 6) != (to < 6) || from == to {
            return;
        }
        let (from, to) = (path(from), path(to));
        self.versions.retain(|file, _| !file.starts_with(&to));
        let versions = std::mem::take(&mut self.versions);
        let renamed = versions.into_iter().map(|(file, version)| {
            let file = crate::paths::renamed(&file, &from, &to).unwrap_or(file);
            (file, version)
        });
        self.versions = renamed.collect();
        let ended = self.jobs.renamed(&from, &to);
        self.all_end(ended);
    }

    fn step(&mut self, step: JobAction) {
        match step {
            JobAction::Request(file, interactive, arrives) => {
                let lane = if interactive {
                    Lane::Interactive
                } else {
                    Lane::Bulk
                };
                let reason = if arrives {
                    self.rewrite(path(file));
                    Reason::Arrived
                } else {
                    Reason::Wanted
                };
                self.jobs.request(&path(file), lane, reason, self.asked);
                self.asked += 1;
            }
            JobAction::Promote(file) => drop(self.jobs.promote(&path(file))),
            JobAction::Carry => self.carry_out_commands(),
            JobAction::Answer(n, kind) => {
                if let Some(generation) = self.nth(n) {
                    self.answer(generation, outcome(kind));
                }
            }
            JobAction::Drop(n) => {
                if let Some(generation) = self.nth(n) {
                    self.engine.remove(&generation);
                    let ended = self.jobs.dropped(generation);
                    self.all_end(ended.into_iter().collect());
                }
            }
            JobAction::Remove(file) => {
                self.versions
                    .retain(|name, _| !name.starts_with(path(file)));
                let ended = self.jobs.removed(&path(file));
                self.all_end(ended);
            }
            JobAction::Rename(from, to) => self.rename(from, to),
            JobAction::Touch(file) => {
                if self.jobs.touched(&path(file), self.asked) {
                    self.asked += 1;
                }
            }
            JobAction::Tick(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.jobs.tick(self.now);
            }
            JobAction::Lose => {
                self.engine.clear();
                let ended = self.jobs.engine_lost();
                self.all_end(ended);
            }
            JobAction::Find => self.jobs.engine_found(),
        }
    }

    /// Lets every generation end.
    fn finish(&mut self) {
        self.jobs.engine_found();
        for _ in 0..1000 {
            self.carry_out_commands();
            for generation in self.engine.keys().copied().collect::<Vec<_>>() {
                self.answer(generation, Vec::new());
            }
            self.now += 10 * S;
            self.jobs.tick(self.now);
            if self.jobs.is_idle() {
                return;
            }
        }
        panic!("not idle after 1000 rounds");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn whatever_happens_every_request_is_answered_once_and_up_to_date(steps in steps()) {
        let mut simulation = Simulation::new();
        for step in steps {
            simulation.step(step);
        }
        simulation.finish();
        let all: BTreeSet<usize> = (0..simulation.asked).collect();
        prop_assert_eq!(&simulation.answered, &all, "everyone who asked is answered");
    }
}
