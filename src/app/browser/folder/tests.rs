use super::lines::ListLine;
use super::*;
use crate::app::filter::Filter;
use proptest::prelude::*;

fn file(name: &str) -> Entry {
    Entry {
        path: Path::new("/d").join(name),
        kind: EntryKind::File,
        stamp: Stamp::default(),
    }
}

fn folder(names: &[&str]) -> Folder {
    let mut folder = Folder::new(PathBuf::from("/d"), 1, None, ListOptions::default());
    let entries = names.iter().map(|name| file(name)).collect();
    folder.extend(entries, true, &Results::default());
    folder
}

fn names(folder: &Folder) -> Vec<&str> {
    folder.rows().map(|row| row.shown.as_str()).collect()
}

#[test]
fn numbers_sort_by_value_and_folders_come_first() {
    let mut folder = folder(&["IM10", "im2", "IM1", "a"]);
    folder.insert(
        Entry {
            kind: EntryKind::Folder,
            ..file("zoo")
        },
        &Results::default(),
    );
    assert_eq!(names(&folder), ["zoo", "a", "IM1", "im2", "IM10"]);
}

#[test]
fn the_cursor_stays_on_its_file_and_its_file_on_its_line() {
    let mut folder = folder(&["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]);
    folder.go_to(5);
    folder.fit(4);
    let line = folder.cursor() - folder.offset();
    folder.insert(file("a"), &Results::default());
    folder.insert(file("z"), &Results::default());
    folder.remove(Path::new("/d/c"));
    folder.insert(file("bb"), &Results::default());
    folder.fit(4);
    assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("g"));
    assert_eq!(folder.cursor() - folder.offset(), line);
}

#[test]
fn when_its_file_goes_the_cursor_goes_to_the_next_and_a_rename_takes_it_along() {
    let mut folder = folder(&["a", "b", "c"]);
    folder.go_to(1);
    folder.remove(Path::new("/d/b"));
    assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("c"));
    folder.rename(Path::new("/d/c"), file("0"), &Results::default());
    assert_eq!((names(&folder), folder.cursor()), (vec!["0", "a"], 0));
}

#[test]
fn a_file_removed_while_the_listing_comes_in_does_not_come_back() {
    let mut folder = Folder::new(PathBuf::from("/d"), 1, None, ListOptions::default());
    folder.remove(Path::new("/d/a"));
    folder.extend(vec![file("a"), file("b")], true, &Results::default());
    assert_eq!(names(&folder), ["b"]);
}

#[test]
fn a_folder_that_was_gone_is_read_again_once_a_file_is_in_it() {
    let mut folder = folder(&["a"]);
    folder.remove(Path::new("/d/a"));
    folder.fail("It has been removed.".to_owned());
    folder.insert(file("b"), &Results::default());
    assert_eq!(
        (names(&folder), folder.listing()),
        (vec!["b"], &Listing::Complete)
    );
}

#[test]
fn hidden_files_are_hidden_until_asked_for() {
    let mut folder = folder(&["a", ".b"]);
    assert_eq!((names(&folder), folder.count()), (vec!["a"], 2));
    assert_eq!(
        folder.unfiltered_count(),
        1,
        "the filter hides what `.` shows"
    );
    let all = ListOptions {
        hidden: true,
        ..ListOptions::default()
    };
    folder.set_options(all, &Results::default());
    assert_eq!(
        (names(&folder), folder.unfiltered_count()),
        (vec![".b", "a"], 2)
    );
    assert_eq!(folder.current().map(|row| row.shown.as_str()), Some("a"));
}

#[test]
fn a_filter_keeps_the_order_and_the_cursor() {
    let mut folder = folder(&["IM1", "scout", "IM12", "im2", "notes"]);
    folder.go_to(2);
    let on = |folder: &Folder| folder.current().map(|row| row.shown.clone());
    assert_eq!(on(&folder).as_deref(), Some("IM12"));
    let matching = |text| ListOptions {
        filter: Filter::new(text),
        ..ListOptions::default()
    };
    folder.set_options(matching("i2"), &Results::default());
    assert_eq!(names(&folder), ["im2", "IM12"]);
    assert_eq!(on(&folder).as_deref(), Some("IM12"));
    folder.insert(file("xi2"), &Results::default());
    folder.insert(file("other"), &Results::default());
    assert_eq!(names(&folder), ["im2", "IM12", "xi2"]);
    folder.set_options(matching("im !12"), &Results::default());
    assert_eq!(names(&folder), ["IM1", "im2"]);
    folder.set_options(ListOptions::default(), &Results::default());
    assert_eq!(folder.len(), 7);
}

#[test]
fn by_time_the_newest_comes_first_and_what_has_no_time_last_either_way() {
    let at = |name: &str, second: Option<u64>| Entry {
        stamp: Stamp {
            modified: second.map(|s| std::time::UNIX_EPOCH + std::time::Duration::from_secs(s)),
            size: 1,
        },
        ..file(name)
    };
    let mut folder = folder(&[]);
    let by_time = |reversed| ListOptions {
        sort: Sort {
            by: Key::Time,
            reversed,
        },
        ..ListOptions::default()
    };
    folder.set_options(by_time(false), &Results::default());
    for entry in [
        at("a", Some(1)),
        at("b", None),
        at("c", Some(3)),
        at("d", Some(2)),
    ] {
        folder.insert(entry, &Results::default());
    }
    assert_eq!(names(&folder), ["c", "d", "a", "b"]);
    folder.restamp(
        Path::new("/d/a"),
        at("a", Some(9)).stamp,
        &Results::default(),
    );
    assert_eq!(names(&folder), ["a", "c", "d", "b"]);
    folder.set_options(by_time(true), &Results::default());
    assert_eq!(names(&folder), ["d", "c", "a", "b"]);
}

/// A way to look at a folder.
fn looks() -> impl Strategy<Value = ListOptions> {
    (
        any::<bool>(),
        prop::sample::select(vec![
            Key::Name,
            Key::Time,
            Key::Size,
            Key::Label,
            Key::Urgency,
        ]),
        any::<bool>(),
        "[abi1!]{0,2}",
    )
        .prop_map(|(hidden, key, reversed, text)| ListOptions {
            hidden,
            sort: Sort { by: key, reversed },
            filter: Filter::new(&text),
        })
}

proptest! {
    /// Changes one by one end where a fresh listing would.
    #[test]
    fn one_by_one_is_as_good_as_all_at_once(
        look in looks(),
        steps in prop::collection::vec((0..12usize, 0..3u64, any::<bool>()), 0..40),
    ) {
        let results = Results::default();
        let entry = |name: usize, second: u64| Entry {
            stamp: Stamp {
                modified: Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second)),
                size: second,
            },
            ..file(&format!("{}{}", ["a", ".b", "I"][name % 3], name))
        };
        let mut folder = Folder::new(PathBuf::from("/d"), 1, None, look.clone());
        folder.extend(Vec::new(), true, &results);
        let mut there = std::collections::BTreeMap::new();
        for (name, second, put) in steps {
            let entry = entry(name, second);
            if put {
                there.insert(entry.path.clone(), entry.clone());
                folder.restamp(&entry.path, entry.stamp, &results);
            } else {
                there.remove(&entry.path);
                folder.remove(&entry.path);
            }
        }
        let mut fresh = Folder::new(PathBuf::from("/d"), 1, None, look);
        fresh.extend(there.into_values().collect(), true, &results);
        prop_assert_eq!(names(&folder), names(&fresh));
        prop_assert_eq!(folder.count(), fresh.count());
    }

    #[test]
    fn parts_in_any_order_make_the_same_folder(order in Just((0..24usize).collect::<Vec<_>>()).prop_shuffle(), part in 1..9usize) {
        let entry = |i: &usize| file(&format!("IM{}", i * 7 % 24));
        let mut whole = Folder::new(PathBuf::from("/d"), 1, Some(PathBuf::from("/d/IM9")), ListOptions::default());
        whole.extend((0..24).map(|i| entry(&i)).collect(), true, &Results::default());
        let mut parts = Folder::new(PathBuf::from("/d"), 1, Some(PathBuf::from("/d/IM9")), ListOptions::default());
        for chunk in order.chunks(part) {
            parts.extend(chunk.iter().map(entry).collect(), false, &Results::default());
        }
        parts.extend(Vec::new(), true, &Results::default());
        whole.fit(8);
        parts.fit(8);
        prop_assert_eq!(names(&parts), names(&whole));
        prop_assert_eq!(parts.current(), whole.current());
    }

    #[test]
    fn with_a_banner_every_row_has_a_line_and_the_cursor_is_in_sight(count in 1..30usize, at in 0..30usize, height in 1..12usize, moves in prop::collection::vec(-9..9isize, 0..20)) {
        let all: Vec<String> = (0..count).map(|i| i.to_string()).collect();
        let mut folder = folder(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let at = at.min(count - 1);
        folder.banner = Some(ListBanner { at, says: BannerMessage::Rejected, images: count - at, is_head: true });
        let lines: Vec<ListLine> = (0..count + 3).map_while(|line| folder.line(line)).collect();
        let mut expected: Vec<ListLine> = (0..count).map(ListLine::Row).collect();
        expected.insert(at, ListLine::Banner);
        prop_assert_eq!(lines, expected);
        for (n, rows) in moves.into_iter().enumerate() {
            if n % 2 == 0 {
                folder.go_by(rows);
            } else {
                folder.scroll_by(rows, height);
            }
            folder.fit(height);
            let mut screen = (0..height).map(|line| folder.line(folder.offset() + line));
            prop_assert!(screen.any(|line| line == Some(ListLine::Row(folder.cursor()))));
        }
    }

    #[test]
    fn the_cursor_is_always_in_sight(count in 0..60usize, height in 1..20usize, moves in prop::collection::vec(-20..20isize, 0..20)) {
        let all: Vec<String> = (0..count).map(|i| i.to_string()).collect();
        let mut folder = folder(&all.iter().map(String::as_str).collect::<Vec<_>>());
        for rows in moves {
            folder.go_by(rows);
            folder.fit(height);
            prop_assert!(folder.offset() <= folder.cursor() && folder.cursor() < folder.offset() + height);
            prop_assert!(folder.offset() == 0 || folder.offset() + height <= folder.len());
        }
    }
}
