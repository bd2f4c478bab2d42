use super::*;

use proptest::prelude::*;

use harness::{Harness, MS, name, ready, stamp, take_events, tick};

mod harness;

#[derive(Clone, Debug)]
enum TreeAction {
    Write(usize),
    Rewrite(usize),
    Close(usize),
    Touch(usize),
    Delete(usize),
    Rename(usize, usize),
    Deliver(usize),
    Pass(u64),
    /// The kernel's queue overflows: waiting events are lost, and the tree is scanned.
    Overflow,
    TreeScan,
}

fn steps() -> impl Strategy<Value = Vec<TreeAction>> {
    let file = 0..harness::NAMES.len();
    let step = prop_oneof![
        4 => file.clone().prop_map(TreeAction::Write),
        2 => file.clone().prop_map(TreeAction::Rewrite),
        3 => file.clone().prop_map(TreeAction::Close),
        1 => file.clone().prop_map(TreeAction::Touch),
        1 => file.clone().prop_map(TreeAction::Delete),
        2 => (file.clone(), file).prop_map(|(from, to)| TreeAction::Rename(from, to)),
        5 => (1_usize..9).prop_map(TreeAction::Deliver),
        4 => prop_oneof![1_u64..80, 80_u64..900, 900_u64..5000].prop_map(TreeAction::Pass),
        1 => Just(TreeAction::Overflow),
        1 => Just(TreeAction::TreeScan),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the files, however late events arrive and whichever are lost: each complete content is reported
    /// once, and in the end what was reported is what exists.
    #[test]
    fn each_content_is_reported_once_and_none_is_lost(steps in steps()) {
        let mut harness = Harness::new();
        for step in steps {
            match step {
                TreeAction::Write(file) => harness.tree.write(&name(file)),
                TreeAction::Rewrite(file) => drop(harness.tree.rewrite(&name(file))),
                TreeAction::Close(file) => harness.tree.close(&name(file)),
                TreeAction::Touch(file) => harness.tree.touch(&name(file)),
                TreeAction::Delete(file) => harness.tree.delete(&name(file)),
                TreeAction::Rename(from, to) => harness.tree.rename(&name(from), &name(to)),
                TreeAction::Deliver(count) => harness.deliver(count),
                TreeAction::Pass(time) => harness.pass(MS * time as u32),
                TreeAction::Overflow => {
                    harness.tree.events.clear();
                    harness.machine.events_lost(harness.now);
                    harness.scan();
                }
                TreeAction::TreeScan => harness.scan(),
            }
        }
        harness.conclude();
    }

    /// With timely events, a file is not reported while its writer pauses, also where it is unknown whether the writer still has the
    /// file open.
    #[test]
    fn a_slow_writer_is_given_time(
        is_blind in any::<bool>(),
        pauses in proptest::collection::vec(1_u64..300_000, 1..20),
    ) {
        let mut harness = Harness { is_blind, ..Harness::new() };
        for pause in pauses {
            harness.tree.write(&name(0));
            harness.deliver(usize::MAX);
            harness.pass(MS * pause as u32);
            prop_assert_eq!(&harness.events, &[]);
        }
        harness.tree.close(&name(0));
        harness.deliver(usize::MAX);
        harness.pass(SettleTimes::default().grace);
        prop_assert_eq!(&harness.events, &[ready("a.png", ReadyKind::New)]);
        harness.conclude();
    }
}

#[test]
fn a_name_without_a_writer_is_ready_when_it_does_not_change() {
    // A hard link: created, never opened, never closed.
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    machine.apply_event(Duration::ZERO, FsEvent::Created("/in/a.png".into()));
    tick(&mut machine, MS * 500, &mut |_| Some(stamp(9, 1)));
    assert_eq!(take_events(&mut machine), []);
    tick(&mut machine, MS * 1000, &mut |_| Some(stamp(9, 1)));
    assert_eq!(take_events(&mut machine), [ready("a.png", ReadyKind::New)]);
}

#[test]
fn a_lost_close_event_does_not_delay_a_file_forever() {
    let times = SettleTimes::default();
    for (is_blind, is_noticed, longest) in [
        (false, false, Duration::ZERO),
        (true, true, times.unsure),
        (true, false, times.unclosed),
    ] {
        let mut harness = Harness {
            is_blind,
            ..Harness::new()
        };
        harness.tree.write(&name(0));
        harness.deliver(usize::MAX);
        harness.tree.close(&name(0));
        harness.tree.events.clear();
        if is_noticed {
            harness.machine.events_lost(harness.now);
        }
        harness.pass(times.held * 2 + longest);
        assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
    }
}

#[test]
fn a_file_of_which_nobody_knows_whether_it_is_being_written_gets_time() {
    let times = SettleTimes::default();
    for (is_filled, wait) in [(Some(true), times.unsure), (Some(false), times.unfilled)] {
        let mut harness = Harness {
            is_blind: true,
            is_filled,
            ..Harness::new()
        };
        // Written before the watch began, by another user, or on another machine.
        harness.tree.write(&name(0));
        harness.tree.events.clear();
        harness.scan();
        harness.pass(wait.saturating_sub(MS));
        assert_eq!(harness.events, [], "not while its writer may pause");
        harness.tree.write(&name(0));
        harness.tree.events.clear();
        harness.pass(wait.saturating_sub(MS));
        assert_eq!(harness.events, [], "from the last change");
        harness.pass(times.held * 2);
        assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_reported_at_once() {
    let mut harness = Harness {
        is_blind: true,
        is_filled: None,
        ..Harness::new()
    };
    harness.tree.write(&name(0));
    harness.tree.events.clear();
    harness.scan();
    harness.pass(SettleTimes::default().held * 2);
    assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
}

#[test]
fn a_report_says_whether_the_writer_is_known_to_be_done() {
    for (writer, expected) in [
        (WriterPresence::Absent, true),
        (WriterPresence::Unknown, false),
    ] {
        let mut machine = Settle::new("/in".into(), SettleTimes::default());
        machine.apply_event(Duration::ZERO, FsEvent::Created("/in/a.png".into()));
        while let Some(now) = machine.next_due() {
            machine.tick(now, &mut |_| Some(stamp(9, 1)));
            for path in machine.take_writer_queries() {
                machine.answer_writer_query(now, &path, writer, || Some(true));
            }
        }
        let events = machine.take_events();
        let [WatchEvent::Ready { is_closed, .. }] = events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(is_closed, expected);
    }
}

#[test]
fn other_content_of_the_same_size_and_time_is_reported() {
    for has_events in [true, false] {
        let mut harness = Harness::new();
        harness.tree.write(&name(0));
        harness.tree.close(&name(0));
        harness.deliver(usize::MAX);
        harness.pass(MS * 100);
        harness.tree.rewrite(&name(0)).expect("it is there");
        if !has_events {
            harness.tree.events.clear();
            harness.scan();
        }
        harness.deliver(usize::MAX);
        harness.pass(Duration::from_secs(9));
        let kinds = [ReadyKind::New, ReadyKind::Changed];
        assert_eq!(harness.events, kinds.map(|kind| ready("a.png", kind)));
        harness.scan();
        harness.pass(Duration::from_secs(9));
        assert_eq!(harness.events.len(), 2, "once");
    }
}

#[test]
fn a_file_that_grows_without_events_waits_for_its_writer() {
    let mut harness = Harness::new();
    harness.tree.write(&name(0));
    harness.tree.events.clear();
    harness.scan();
    harness.pass(Duration::from_secs(600));
    assert_eq!(harness.events, []);
    harness.tree.close(&name(0));
    harness.tree.events.clear();
    harness.pass(SettleTimes::default().held);
    assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
}

#[test]
fn a_file_with_a_temporary_name_waits_for_the_final_one() {
    for temporary in [2, 4] {
        let mut harness = Harness::new();
        harness.tree.write(&name(temporary));
        harness.tree.close(&name(temporary));
        harness.deliver(usize::MAX);
        harness.pass(Duration::from_secs(9));
        assert_eq!(harness.events, []);
        harness.tree.rename(&name(temporary), &name(0));
        harness.deliver(usize::MAX);
        harness.pass(SettleTimes::default().grace);
        assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
        harness.conclude();
    }
}

#[test]
fn a_renamed_file_is_not_reported_as_new() {
    let mut harness = Harness::new();
    harness.tree.write(&name(0));
    harness.tree.close(&name(0));
    harness.deliver(usize::MAX);
    harness.pass(MS * 100);
    harness.tree.rename(&name(0), &name(1));
    harness.deliver(usize::MAX);
    harness.pass(MS * 100);
    let renamed = WatchEvent::Renamed {
        from: name(0),
        to: name(1),
    };
    assert_eq!(harness.events, [ready("a.png", ReadyKind::New), renamed]);
    harness.conclude();
}

#[test]
fn a_replaced_file_is_reported_as_changed() {
    let mut harness = Harness::new();
    for _ in 0..2 {
        harness.tree.write(&name(2));
        harness.tree.close(&name(2));
        harness.tree.rename(&name(2), &name(0));
        harness.deliver(usize::MAX);
        harness.pass(MS * 100);
    }
    assert_eq!(
        harness.events,
        [
            ready("a.png", ReadyKind::New),
            ready("a.png", ReadyKind::Changed)
        ]
    );
    harness.conclude();
}

#[test]
fn the_removal_of_a_file_that_was_never_reported_is_reported() {
    // The caller may have listed the folder meanwhile.
    let mut harness = Harness::new();
    harness.tree.write(&name(0));
    harness.deliver(usize::MAX);
    harness.tree.rename(&name(0), &name(1));
    harness.deliver(usize::MAX);
    harness.tree.delete(&name(1));
    harness.deliver(usize::MAX);
    let gone = [0, 1].map(|index| WatchEvent::Removed(name(index)));
    assert_eq!(harness.events, gone);
    // Even one that the machine does not know, because it came and went during the first scan.
    harness
        .machine
        .apply_event(Duration::ZERO, FsEvent::Gone("/in/x.png".into()));
    assert_eq!(
        take_events(&mut harness.machine),
        [WatchEvent::Removed("/in/x.png".into())]
    );
    harness
        .machine
        .apply_event(Duration::ZERO, FsEvent::Gone(name(2)));
    assert_eq!(take_events(&mut harness.machine), [], "a temporary name");
}

#[test]
fn setting_times_after_the_close_does_not_report_the_file_again() {
    let mut harness = Harness::new();
    harness.tree.write(&name(0));
    harness.tree.close(&name(0));
    harness.deliver(usize::MAX);
    harness.pass(MS * 200);
    harness.tree.touch(&name(0));
    harness.deliver(usize::MAX);
    harness.pass(MS * 200);
    harness.scan();
    harness.pass(Duration::from_secs(9));
    assert_eq!(harness.events, [ready("a.png", ReadyKind::New)]);
}

#[test]
fn old_files_are_ready_at_the_start_and_others_settle_first() {
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    let files = vec![
        ("/in/new".into(), stamp(1, 2)),
        ("/in/old".into(), stamp(1, 1)),
    ];
    let scan = TreeScan {
        files,
        ..TreeScan::new("/in".into())
    };
    machine.apply_scan(
        Duration::ZERO,
        scan,
        true,
        &|_, stamp| stamp.inode == 1,
        &mut |_| None,
    );
    assert_eq!(
        take_events(&mut machine),
        [ready("old", ReadyKind::Existing)]
    );
    tick(&mut machine, MS * 500, &mut |_| Some(stamp(1, 2)));
    assert_eq!(
        take_events(&mut machine),
        [ready("new", ReadyKind::Unsettled)]
    );
}

#[test]
fn a_renamed_folder_takes_its_files_along() {
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    let tree = |path: &Path| path.ends_with("x.png").then(|| stamp(1, 1));
    let apply_scan = |machine: &mut Settle, dir: &str, at_start| {
        let scan = TreeScan {
            files: vec![(Path::new(dir).join("sub/x.png"), stamp(1, 1))],
            folders: vec![dir.into(), Path::new(dir).join("sub")],
            ..TreeScan::new("/in".into())
        };
        machine.apply_scan(Duration::ZERO, scan, at_start, &|_, _| true, &mut |path| {
            tree(path)
        });
    };
    apply_scan(&mut machine, "/in/p", true);
    assert_eq!(
        take_events(&mut machine),
        [ready("p/sub/x.png", ReadyKind::Existing)]
    );
    let tracker = Some(5);
    machine.apply_event(
        MS,
        FsEvent::Left {
            path: "/in/p".into(),
            tracker,
        },
    );
    machine.apply_event(
        MS,
        FsEvent::Arrived {
            path: "/in/q".into(),
            tracker,
            folder: true,
        },
    );
    apply_scan(&mut machine, "/in/q", false);
    tick(&mut machine, Duration::from_secs(9), &mut |path| tree(path));
    let renamed = WatchEvent::Renamed {
        from: "/in/p".into(),
        to: "/in/q".into(),
    };
    assert_eq!(take_events(&mut machine), [renamed]);
    machine.apply_event(MS, FsEvent::Gone("/in/q".into()));
    assert_eq!(
        take_events(&mut machine),
        [WatchEvent::Removed("/in/q".into())]
    );
}

#[test]
fn a_folder_that_cannot_be_read_is_not_taken_for_empty() {
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    let full = TreeScan {
        files: vec![("/in/p/a".into(), stamp(1, 1))],
        folders: vec!["/in/p".into()],
        ..TreeScan::new("/in".into())
    };
    machine.apply_scan(MS, full, true, &|_, _| true, &mut |_| None);
    take_events(&mut machine);
    let blind = TreeScan {
        folders: vec!["/in/p".into()],
        unreadable: vec!["/in/p".into()],
        ..TreeScan::new("/in".into())
    };
    machine.apply_scan(MS, blind, false, &|_, _| true, &mut |_| None);
    assert_eq!(take_events(&mut machine), []);
    machine.apply_scan(
        MS,
        TreeScan::new("/in".into()),
        false,
        &|_, _| true,
        &mut |_| None,
    );
    assert_eq!(
        take_events(&mut machine),
        [
            WatchEvent::Removed("/in/p/a".into()),
            WatchEvent::Removed("/in/p".into())
        ]
    );
}

#[test]
fn a_folder_moved_in_from_outside_is_not_taken_for_a_file() {
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    machine.apply_event(
        MS,
        FsEvent::Arrived {
            path: "/in/p".into(),
            tracker: Some(1),
            folder: true,
        },
    );
    let scan = TreeScan {
        files: vec![("/in/p/x.png".into(), stamp(1, 1))],
        ..TreeScan::new("/in/p".into())
    };
    machine.apply_scan(MS, scan, false, &|_, _| false, &mut |_| None);
    tick(&mut machine, Duration::from_secs(9), &mut |path| {
        path.ends_with("x.png").then(|| stamp(1, 1))
    });
    assert_eq!(
        take_events(&mut machine),
        [
            WatchEvent::Folder("/in/p".into()),
            ready("p/x.png", ReadyKind::New)
        ]
    );
}

#[test]
fn changed_permissions_are_reported_for_files_and_bring_folders_back() {
    let mut machine = Settle::new("/in".into(), SettleTimes::default());
    let file = |status_changed| {
        let path = PathBuf::from("/in/a.png");
        let stamp = FileStamp {
            status_changed,
            ..stamp(1, 1)
        };
        (path, stamp)
    };
    let scan = |status_changed, refused: &[&str]| {
        let paths: Vec<PathBuf> = refused.iter().map(PathBuf::from).collect();
        TreeScan {
            files: vec![file(status_changed)],
            folders: vec!["/in/t".into()],
            unreadable: paths.clone(),
            refused: paths,
            ..TreeScan::new("/in".into())
        }
    };
    let mut none = |_: &Path| None;
    machine.apply_scan(
        1000 * MS,
        scan(1, &["/in/t"]),
        true,
        &|_, _| true,
        &mut none,
    );
    let refused = WatchEvent::Refused("/in/t".into());
    assert!(take_events(&mut machine).contains(&refused));
    assert!(machine.is_refused(Path::new("/in/t")));
    machine.apply_scan(
        1000 * MS,
        scan(1, &["/in/t"]),
        false,
        &|_, _| false,
        &mut none,
    );
    assert_eq!(machine.take_events(), [], "events once");
    machine.apply_scan(1000 * MS, scan(2, &[]), false, &|_, _| false, &mut none);
    let touched = |event: &WatchEvent| matches!(event, WatchEvent::Touched { path, .. } if path.ends_with("a.png"));
    assert!(machine.take_events().iter().any(touched), "by polling");
    assert!(!machine.is_refused(Path::new("/in/t")));
    tick(&mut machine, 1500 * MS, &mut |_| Some(file(2).1));
    machine.apply_event(1000 * MS, FsEvent::Touched("/in/a.png".into()));
    tick(&mut machine, 2000 * MS, &mut |_| Some(file(3).1));
    assert!(
        machine.take_events().iter().any(touched),
        "by the kernel's events"
    );
}
