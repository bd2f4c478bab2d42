use super::*;

use proptest::prelude::*;
use std::collections::HashMap;

const MS: Duration = Duration::from_millis(1);

/// Files with contents, writers that hold them open, and the signs that the kernel would give.
#[derive(Default)]
struct World {
    files: BTreeMap<PathBuf, Content>,
    open: BTreeSet<PathBuf>,
    signs: Vec<Sign>,
    clock: u64,
    moves: usize,
}

#[derive(Clone, Copy, PartialEq)]
struct Content {
    stamp: Stamp,
    version: u64,
}

impl World {
    fn next(&mut self) -> SystemTime {
        self.clock += 1;
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock)
    }

    fn write(&mut self, path: &Path) {
        let modified = Some(self.next());
        let version = self.clock;
        if !self.files.contains_key(path) {
            self.signs.push(Sign::Created(path.into()));
        }
        if self.open.insert(path.into()) {
            self.signs.push(Sign::Opened(path.into()));
        }
        let size = self.files.get(path).map_or(0, |file| file.stamp.size) + 7;
        let inode = self
            .files
            .get(path)
            .map_or(version, |file| file.stamp.inode);
        let stamp = Stamp {
            size,
            modified,
            inode,
            status_changed: 0,
        };
        self.files.insert(path.into(), Content { stamp, version });
        self.signs.push(Sign::Written(path.into()));
    }

    fn close(&mut self, path: &Path) {
        if self.open.remove(path) {
            self.signs.push(Sign::Closed(path.into()));
        }
    }

    fn touch(&mut self, path: &Path) {
        let modified = Some(self.next());
        if let Some(file) = self.files.get_mut(path) {
            file.stamp.modified = modified;
            self.signs.push(Sign::Touched(path.into()));
        }
    }

    fn delete(&mut self, path: &Path) {
        if self.files.remove(path).is_some() {
            self.open.remove(path);
            self.signs.push(Sign::Gone(path.into()));
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        if from == to {
            return;
        }
        let Some(content) = self.files.remove(from) else {
            return;
        };
        self.moves += 1;
        let tracker = Some(self.moves);
        self.open.remove(to);
        if self.open.remove(from) {
            self.open.insert(to.into());
        }
        self.files.insert(to.into(), content);
        self.signs.push(Sign::Left {
            path: from.into(),
            tracker,
        });
        self.signs.push(Sign::Arrived {
            path: to.into(),
            tracker,
            folder: false,
        });
    }

    fn look(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).map(|file| file.stamp)
    }

    fn sweep(&self) -> Sweep {
        let visible = self
            .files
            .iter()
            .filter(|(path, _)| !is_passing(Path::new("/in"), path));
        Sweep {
            files: visible
                .map(|(path, file)| (path.clone(), file.stamp))
                .collect(),
            ..Sweep::new("/in".into())
        }
    }
}

/// Passes time; nobody has a file open.
fn tick(machine: &mut Settle, now: Duration, look: &mut Look) {
    machine.tick(now, look);
    for path in machine.questions() {
        machine.answer(now, &path, Writer::Absent);
    }
}

/// A user of the machine: believes what it is told, and complains when it is told something twice.
struct Bench {
    world: World,
    machine: Settle,
    now: Duration,
    /// It cannot find out who has a file open.
    is_blind: bool,
    /// What each file held when it was reported.
    believed: HashMap<PathBuf, Content>,
    told: Vec<WatchEvent>,
}

impl Bench {
    fn new() -> Self {
        Self {
            world: World::default(),
            machine: Settle::new("/in".into(), Times::default()),
            now: Duration::ZERO,
            is_blind: false,
            believed: HashMap::new(),
            told: Vec::new(),
        }
    }

    fn deliver(&mut self, count: usize) {
        let count = count.min(self.world.signs.len());
        for sign in self.world.signs.drain(..count).collect::<Vec<_>>() {
            self.machine.sign(self.now, sign);
        }
        self.hear();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.machine.next().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let world = &self.world;
            self.machine.tick(self.now, &mut |path| world.look(path));
            for path in self.machine.questions() {
                let writer = match (self.is_blind, world.open.contains(&path)) {
                    (true, _) => Writer::Unknown,
                    (_, true) => Writer::Present,
                    (_, false) => Writer::Absent,
                };
                self.machine.answer(self.now, &path, writer);
            }
            self.hear();
        }
        self.now = end;
    }

    fn sweep(&mut self) {
        let world = &self.world;
        self.machine
            .swept(self.now, world.sweep(), false, &|_, _| false, &mut |path| {
                world.look(path)
            });
        self.hear();
    }

    fn hear(&mut self) {
        for event in taken(&mut self.machine) {
            match &event {
                WatchEvent::Touched { .. } => continue,
                WatchEvent::Ready { path, .. } => {
                    let now = self.world.files[path];
                    // Other times of change alone can mean another content, if the signs were lost.
                    let before = self.believed.insert(path.clone(), now);
                    assert!(before != Some(now), "{} told twice", path.display());
                }
                WatchEvent::Removed(path) => {
                    self.believed.retain(|file, _| !file.starts_with(path));
                }
                WatchEvent::Renamed { from, to } => {
                    let content = self
                        .believed
                        .remove(from)
                        .expect("only what was told is renamed");
                    self.believed.insert(to.clone(), content);
                }
                other => panic!("{other:?} is not the machine's"),
            }
            self.told.push(event);
        }
    }

    /// All signs arrive, all writers close, time passes: what is believed is what is there.
    fn conclude(&mut self) {
        for path in self.world.open.clone() {
            self.world.close(&path);
        }
        self.deliver(usize::MAX);
        self.pass(Duration::from_secs(60));
        let there: HashMap<PathBuf, u64> = self
            .world
            .sweep()
            .files
            .into_iter()
            .map(|(path, _)| (path.clone(), self.world.files[&path].version))
            .collect();
        let believed = self
            .believed
            .iter()
            .map(|(path, content)| (path.clone(), content.version));
        assert_eq!(believed.collect::<HashMap<_, _>>(), there);
        assert_eq!(self.machine.next(), None, "nothing is waited for");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Close(usize),
    Touch(usize),
    Delete(usize),
    Rename(usize, usize),
    Deliver(usize),
    Pass(u64),
    /// The kernel's queue overflows: what waits is lost, and the tree is read.
    Overflow,
    Sweep,
}

const NAMES: [&str; 5] = ["a.png", "b.dcm", "c.png.part", "sub/d.dcm", ".e.png.x1"];

fn name(index: usize) -> PathBuf {
    Path::new("/in").join(NAMES[index])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..NAMES.len();
    let step = prop_oneof![
        4 => file.clone().prop_map(Step::Write),
        3 => file.clone().prop_map(Step::Close),
        1 => file.clone().prop_map(Step::Touch),
        1 => file.clone().prop_map(Step::Delete),
        2 => (file.clone(), file).prop_map(|(from, to)| Step::Rename(from, to)),
        5 => (1_usize..9).prop_map(Step::Deliver),
        4 => prop_oneof![1_u64..80, 80_u64..900, 900_u64..5000].prop_map(Step::Pass),
        1 => Just(Step::Overflow),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the files, however late the signs come and whichever are lost: each complete content is
    /// told once, and in the end what was told is what is there.
    #[test]
    fn each_content_is_told_once_and_none_is_lost(steps in steps()) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Write(file) => bench.world.write(&name(file)),
                Step::Close(file) => bench.world.close(&name(file)),
                Step::Touch(file) => bench.world.touch(&name(file)),
                Step::Delete(file) => bench.world.delete(&name(file)),
                Step::Rename(from, to) => bench.world.rename(&name(from), &name(to)),
                Step::Deliver(count) => bench.deliver(count),
                Step::Pass(time) => bench.pass(MS * time as u32),
                Step::Overflow => {
                    bench.world.signs.clear();
                    bench.sweep();
                }
                Step::Sweep => bench.sweep(),
            }
        }
        bench.conclude();
    }

    /// With signs in time, a file is not told while its writer pauses: ever, or, where nobody can tell whether it still
    /// has the file open, for less than the longest wait.
    #[test]
    fn a_slow_writer_is_waited_for(
        is_blind in any::<bool>(),
        pauses in proptest::collection::vec(1_u64..300_000, 1..20),
    ) {
        let mut bench = Bench { is_blind, ..Bench::new() };
        for pause in pauses {
            bench.world.write(&name(0));
            bench.deliver(usize::MAX);
            bench.pass(MS * if is_blind { pause / 6 } else { pause } as u32);
            prop_assert_eq!(&bench.told, &[]);
        }
        bench.world.close(&name(0));
        bench.deliver(usize::MAX);
        bench.pass(Times::default().grace);
        prop_assert_eq!(&bench.told, &[ready("a.png", News::New)]);
        bench.conclude();
    }
}

/// What no test here is about: how a file looked.
const SOME: Stamp = Stamp {
    size: 0,
    modified: None,
    inode: 0,
    status_changed: 0,
};

fn ready(name: &str, news: News) -> WatchEvent {
    WatchEvent::Ready {
        path: Path::new("/in").join(name),
        news,
        stamp: SOME,
    }
}

/// What the machine found out, without how files looked.
fn taken(machine: &mut Settle) -> Vec<WatchEvent> {
    let events = machine.take().into_iter();
    let plain = events.map(|event| match event {
        WatchEvent::Ready { path, news, .. } => WatchEvent::Ready {
            path,
            news,
            stamp: SOME,
        },
        other => other,
    });
    plain.collect()
}

fn stamp(size: u64, second: u64) -> Stamp {
    Stamp {
        size,
        modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
        inode: second,
        status_changed: 0,
    }
}

#[test]
fn a_name_without_a_writer_is_ready_when_it_does_not_change() {
    // A hard link: created, never opened, never closed.
    let mut machine = Settle::new("/in".into(), Times::default());
    machine.sign(Duration::ZERO, Sign::Created("/in/a.png".into()));
    tick(&mut machine, MS * 500, &mut |_| Some(stamp(9, 1)));
    assert_eq!(taken(&mut machine), []);
    tick(&mut machine, MS * 1000, &mut |_| Some(stamp(9, 1)));
    assert_eq!(taken(&mut machine), [ready("a.png", News::New)]);
}

#[test]
fn a_close_that_is_not_told_is_not_waited_for_forever() {
    for is_blind in [false, true] {
        let mut bench = Bench {
            is_blind,
            ..Bench::new()
        };
        bench.world.write(&name(0));
        bench.deliver(usize::MAX);
        bench.world.close(&name(0));
        bench.world.signs.clear();
        let times = Times::default();
        bench.pass(
            times.held * 2
                + if is_blind {
                    times.unsure
                } else {
                    Duration::ZERO
                },
        );
        assert_eq!(bench.told, [ready("a.png", News::New)]);
    }
}

#[test]
fn a_file_that_grows_unseen_waits_for_its_writer() {
    let mut bench = Bench::new();
    bench.world.write(&name(0));
    bench.world.signs.clear();
    bench.sweep();
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.told, []);
    bench.world.close(&name(0));
    bench.world.signs.clear();
    bench.pass(Times::default().held);
    assert_eq!(bench.told, [ready("a.png", News::New)]);
}

#[test]
fn a_temporary_name_waits_for_the_final_one() {
    for passing in [2, 4] {
        let mut bench = Bench::new();
        bench.world.write(&name(passing));
        bench.world.close(&name(passing));
        bench.deliver(usize::MAX);
        bench.pass(Duration::from_secs(9));
        assert_eq!(bench.told, []);
        bench.world.rename(&name(passing), &name(0));
        bench.deliver(usize::MAX);
        bench.pass(Times::default().grace);
        assert_eq!(bench.told, [ready("a.png", News::New)]);
        bench.conclude();
    }
}

#[test]
fn a_rename_is_followed_and_its_content_not_told_again() {
    let mut bench = Bench::new();
    bench.world.write(&name(0));
    bench.world.close(&name(0));
    bench.deliver(usize::MAX);
    bench.pass(MS * 100);
    bench.world.rename(&name(0), &name(1));
    bench.deliver(usize::MAX);
    bench.pass(MS * 100);
    let renamed = WatchEvent::Renamed {
        from: name(0),
        to: name(1),
    };
    assert_eq!(bench.told, [ready("a.png", News::New), renamed]);
    bench.conclude();
}

#[test]
fn a_replaced_file_is_told_as_changed() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.world.write(&name(2));
        bench.world.close(&name(2));
        bench.world.rename(&name(2), &name(0));
        bench.deliver(usize::MAX);
        bench.pass(MS * 100);
    }
    assert_eq!(
        bench.told,
        [ready("a.png", News::New), ready("a.png", News::Changed)]
    );
    bench.conclude();
}

#[test]
fn the_end_of_a_file_is_told_though_it_was_never_reported() {
    // Who listed the folder meanwhile has it in its list.
    let mut bench = Bench::new();
    bench.world.write(&name(0));
    bench.deliver(usize::MAX);
    bench.world.rename(&name(0), &name(1));
    bench.deliver(usize::MAX);
    bench.world.delete(&name(1));
    bench.deliver(usize::MAX);
    let gone = [0, 1].map(|index| WatchEvent::Removed(name(index)));
    assert_eq!(bench.told, gone);
    // Nor does the machine have to know it: it came and went while the tree was read for the first time.
    bench
        .machine
        .sign(Duration::ZERO, Sign::Gone("/in/x.png".into()));
    assert_eq!(
        taken(&mut bench.machine),
        [WatchEvent::Removed("/in/x.png".into())]
    );
    bench.machine.sign(Duration::ZERO, Sign::Gone(name(2)));
    assert_eq!(taken(&mut bench.machine), [], "a name in passing");
}

#[test]
fn setting_times_after_the_close_is_no_new_content() {
    let mut bench = Bench::new();
    bench.world.write(&name(0));
    bench.world.close(&name(0));
    bench.deliver(usize::MAX);
    bench.pass(MS * 200);
    bench.world.touch(&name(0));
    bench.deliver(usize::MAX);
    bench.pass(MS * 200);
    bench.sweep();
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.told, [ready("a.png", News::New)]);
}

#[test]
fn what_is_old_at_the_start_is_ready_at_once_and_the_rest_settles() {
    let mut machine = Settle::new("/in".into(), Times::default());
    let files = vec![
        ("/in/new".into(), stamp(1, 2)),
        ("/in/old".into(), stamp(1, 1)),
    ];
    let sweep = Sweep {
        files,
        ..Sweep::new("/in".into())
    };
    machine.swept(
        Duration::ZERO,
        sweep,
        true,
        &|_, stamp| stamp.inode == 1,
        &mut |_| None,
    );
    assert_eq!(taken(&mut machine), [ready("old", News::There)]);
    tick(&mut machine, MS * 500, &mut |_| Some(stamp(1, 2)));
    assert_eq!(taken(&mut machine), [ready("new", News::There)]);
}

#[test]
fn a_folder_that_moves_takes_its_files_along() {
    let mut machine = Settle::new("/in".into(), Times::default());
    let world = |path: &Path| path.ends_with("x.png").then(|| stamp(1, 1));
    let swept = |machine: &mut Settle, dir: &str, at_start| {
        let sweep = Sweep {
            files: vec![(Path::new(dir).join("sub/x.png"), stamp(1, 1))],
            folders: vec![dir.into(), Path::new(dir).join("sub")],
            ..Sweep::new("/in".into())
        };
        machine.swept(Duration::ZERO, sweep, at_start, &|_, _| true, &mut |path| {
            world(path)
        });
    };
    swept(&mut machine, "/in/p", true);
    assert_eq!(taken(&mut machine), [ready("p/sub/x.png", News::There)]);
    let tracker = Some(5);
    machine.sign(
        MS,
        Sign::Left {
            path: "/in/p".into(),
            tracker,
        },
    );
    machine.sign(
        MS,
        Sign::Arrived {
            path: "/in/q".into(),
            tracker,
            folder: true,
        },
    );
    swept(&mut machine, "/in/q", false);
    tick(&mut machine, Duration::from_secs(9), &mut |path| {
        world(path)
    });
    let renamed = WatchEvent::Renamed {
        from: "/in/p".into(),
        to: "/in/q".into(),
    };
    assert_eq!(taken(&mut machine), [renamed]);
    machine.sign(MS, Sign::Gone("/in/q".into()));
    assert_eq!(taken(&mut machine), [WatchEvent::Removed("/in/q".into())]);
}

#[test]
fn a_folder_that_cannot_be_read_is_not_taken_for_empty() {
    let mut machine = Settle::new("/in".into(), Times::default());
    let full = Sweep {
        files: vec![("/in/p/a".into(), stamp(1, 1))],
        folders: vec!["/in/p".into()],
        ..Sweep::new("/in".into())
    };
    machine.swept(MS, full, true, &|_, _| true, &mut |_| None);
    taken(&mut machine);
    let blind = Sweep {
        folders: vec!["/in/p".into()],
        unreadable: vec!["/in/p".into()],
        ..Sweep::new("/in".into())
    };
    machine.swept(MS, blind, false, &|_, _| true, &mut |_| None);
    assert_eq!(taken(&mut machine), []);
    machine.swept(
        MS,
        Sweep::new("/in".into()),
        false,
        &|_, _| true,
        &mut |_| None,
    );
    assert_eq!(
        taken(&mut machine),
        [
            WatchEvent::Removed("/in/p/a".into()),
            WatchEvent::Removed("/in/p".into())
        ]
    );
}

#[test]
fn a_folder_moved_in_from_outside_is_not_taken_for_a_file() {
    let mut machine = Settle::new("/in".into(), Times::default());
    machine.sign(
        MS,
        Sign::Arrived {
            path: "/in/p".into(),
            tracker: Some(1),
            folder: true,
        },
    );
    let sweep = Sweep {
        files: vec![("/in/p/x.png".into(), stamp(1, 1))],
        ..Sweep::new("/in/p".into())
    };
    machine.swept(MS, sweep, false, &|_, _| false, &mut |_| None);
    tick(&mut machine, Duration::from_secs(9), &mut |path| {
        path.ends_with("x.png").then(|| stamp(1, 1))
    });
    assert_eq!(
        taken(&mut machine),
        [
            WatchEvent::Folder("/in/p".into()),
            ready("p/x.png", News::New)
        ]
    );
}

#[test]
fn rights_that_change_are_told_of_files_and_bring_folders_back() {
    let mut machine = Settle::new("/in".into(), Times::default());
    let file = |status_changed| {
        let path = PathBuf::from("/in/a.png");
        let stamp = Stamp {
            status_changed,
            ..stamp(1, 1)
        };
        (path, stamp)
    };
    let sweep = |status_changed, refused: &[&str]| {
        let paths: Vec<PathBuf> = refused.iter().map(PathBuf::from).collect();
        Sweep {
            files: vec![file(status_changed)],
            folders: vec!["/in/t".into()],
            unreadable: paths.clone(),
            refused: paths,
            ..Sweep::new("/in".into())
        }
    };
    let mut none = |_: &Path| None;
    machine.swept(
        1000 * MS,
        sweep(1, &["/in/t"]),
        true,
        &|_, _| true,
        &mut none,
    );
    let refused = WatchEvent::Refused("/in/t".into());
    assert!(taken(&mut machine).contains(&refused));
    assert!(machine.is_refused(Path::new("/in/t")));
    machine.swept(
        1000 * MS,
        sweep(1, &["/in/t"]),
        false,
        &|_, _| false,
        &mut none,
    );
    assert_eq!(machine.take(), [], "told once");
    machine.swept(1000 * MS, sweep(2, &[]), false, &|_, _| false, &mut none);
    let touched = |event: &WatchEvent| matches!(event, WatchEvent::Touched { path, .. } if path.ends_with("a.png"));
    assert!(machine.take().iter().any(touched), "by polling");
    assert!(!machine.is_refused(Path::new("/in/t")));
    machine.sign(1000 * MS, Sign::Touched("/in/a.png".into()));
    tick(&mut machine, 2000 * MS, &mut |_| Some(file(3).1));
    assert!(machine.take().iter().any(touched), "by the kernel's signs");
}
