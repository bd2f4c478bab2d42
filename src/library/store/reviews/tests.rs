use proptest::prelude::*;

use super::*;

fn library() -> (tempfile::TempDir, Library) {
    let home = tempfile::tempdir().unwrap();
    let library = Library::at(home.path().join("library.sqlite3"), None);
    (home, library)
}

fn a_review(content: &str, label: &str) -> Review {
    Review {
        content: content.to_owned(),
        prompts: "chest".to_owned(),
        reviewer: "ana".to_owned(),
        path: PathBuf::from(format!("/in/{content}")),
        labels: Some(vec![label.to_owned()]),
        ..Review::default()
    }
}

fn store(library: &Library, review: &Review) -> Review {
    let request = ReviewRequest::Store(Box::new(review.clone()));
    match library.review(&request).unwrap() {
        ReviewOutcome::Review(stored) => *stored,
        other => panic!("{other:?}"),
    }
}

/// Undoes or redoes a change below a folder. Returns the review in force after it (of an import, the last), if there was a change.
fn turn(library: &Library, undo: bool, root: &str) -> Option<Review> {
    let (reviewer, root) = ("ana".to_owned(), PathBuf::from(root));
    let request = if undo {
        ReviewRequest::Undo { reviewer, root }
    } else {
        ReviewRequest::Redo { reviewer, root }
    };
    match library.review(&request).unwrap() {
        ReviewOutcome::Review(review) => Some(*review),
        ReviewOutcome::Import(mut reviews) => reviews.pop(),
        ReviewOutcome::Nothing => None,
        other @ ReviewOutcome::Sampled(_) => panic!("{other:?}"),
    }
}

fn labels(review: Option<Review>) -> Option<String> {
    review?.labels.map(|labels| labels.join(" "))
}

#[test]
fn a_review_is_kept_with_all_that_it_says_and_replaces_the_earlier_one() {
    let (_home, library) = library();
    let review = Review {
        labels: Some(vec!["tumor".to_owned(), "\"quoted\"; ärm".to_owned()]),
        note: "see\nagain".to_owned(),
        flagged: true,
        blind: true,
        patient: Some("9f".to_owned()),
        ..a_review("1", "")
    };
    store(&library, &a_review("1", "normal"));
    let stored = store(&library, &review);
    assert!(stored.at.ends_with('Z'), "{}", stored.at);
    assert_eq!(
        stored,
        Review {
            at: stored.at.clone(),
            ..review
        }
    );
    let others = [
        Review {
            reviewer: "bo".to_owned(),
            ..a_review("1", "normal")
        },
        Review {
            prompts: "bone".to_owned(),
            ..a_review("1", "fracture")
        },
    ];
    for other in &others {
        store(&library, other);
    }
    let kept = library.reviews().unwrap();
    assert_eq!(kept.len(), 3, "by content, prompt set and reviewer");
    assert!(kept.contains(&stored));
    assert_eq!(library.state().unwrap().unwrap().reviews, 3);
}

#[test]
fn undo_and_redo_go_on_after_a_restart_and_stay_in_their_folder() {
    let (home, first) = library();
    store(&first, &a_review("1", "normal"));
    store(&first, &a_review("1", "tumor"));
    let elsewhere = Review {
        path: PathBuf::from("/other/2"),
        ..a_review("2", "normal")
    };
    store(&first, &elsewhere);
    drop(first);
    let library = Library::at(home.path().join("library.sqlite3"), None);
    let step = |undo| labels(turn(&library, undo, "/in"));
    assert_eq!(step(true).as_deref(), Some("normal"));
    let none = turn(&library, true, "/in").unwrap();
    assert!(none.is_empty() && none.path == Path::new("/in/1"));
    assert_eq!(
        turn(&library, true, "/in"),
        None,
        "the other folder's stays"
    );
    assert_eq!(
        library
            .reviews()
            .unwrap()
            .iter()
            .filter(|r| !r.is_empty())
            .count(),
        1
    );
    assert_eq!(step(false).as_deref(), Some("normal"));
    assert_eq!(step(false).as_deref(), Some("tumor"));
    assert_eq!(turn(&library, false, "/in"), None);
    step(true);
    store(&library, &a_review("3", "normal"));
    assert_eq!(
        turn(&library, false, "/in"),
        None,
        "another change followed"
    );
}

#[test]
fn an_import_is_undone_and_redone_as_one_step_wherever_its_images_are() {
    let (_home, library) = library();
    store(&library, &a_review("1", "normal"));
    let elsewhere = Review {
        path: PathBuf::from("/other/3"),
        ..a_review("3", "tumor")
    };
    let known = a_review("1", "normal");
    let import = [known, a_review("2", "tumor"), elsewhere];
    assert_eq!(library.import_reviews(&import).unwrap(), 2);
    let kept = || -> Vec<String> {
        let reviews = library.reviews().unwrap().into_iter();
        let decided = reviews.filter(|review| review.labels.is_some());
        decided.map(|review| review.content).collect()
    };
    assert_eq!(kept(), ["1", "2", "3"]);
    let request = |undo| {
        let (reviewer, root) = ("ana".to_owned(), PathBuf::from("/in"));
        let request = if undo {
            ReviewRequest::Undo { reviewer, root }
        } else {
            ReviewRequest::Redo { reviewer, root }
        };
        library.review(&request).unwrap()
    };
    let ReviewOutcome::Import(undone) = request(true) else {
        panic!("no import was undone");
    };
    assert!(undone.iter().all(Review::is_empty) && undone.len() == 2);
    assert_eq!(kept(), ["1"]);
    let ReviewOutcome::Import(redone) = request(false) else {
        panic!("no import was redone");
    };
    assert_eq!(redone.len(), 2);
    assert_eq!(kept(), ["1", "2", "3"]);
    // What was decided since is undone first.
    store(&library, &a_review("2", "normal"));
    assert!(matches!(request(true), ReviewOutcome::Review(_)));
    request(true);
    assert_eq!(kept(), ["1"]);
}

#[test]
fn an_import_that_names_the_patient_leaves_the_rest_of_a_review_as_it_is() {
    let (_home, library) = library();
    let mine = Review {
        note: "see again".to_owned(),
        flagged: true,
        blind: true,
        ..a_review("1", "tumor")
    };
    store(&library, &mine);
    let named = Review {
        patient: Some("9f".to_owned()),
        ..a_review("1", "tumor")
    };
    for stored in [1, 0] {
        let import = library.import_reviews(std::slice::from_ref(&named));
        assert_eq!(import.unwrap(), stored);
        let [kept] = &library.reviews().unwrap()[..] else {
            panic!("one review");
        };
        let expected = Review {
            at: kept.at.clone(),
            patient: named.patient.clone(),
            ..mine.clone()
        };
        assert_eq!(*kept, expected);
    }
    // A table without patients does not take them away.
    library.import_reviews(&[a_review("1", "normal")]).unwrap();
    let kept = library.reviews().unwrap().remove(0);
    assert_eq!((kept.patient, kept.blind), (named.patient, false));
}

#[test]
fn changes_are_seen_once_by_another_process() {
    let (home, own) = library();
    let other = Library::at(home.path().join("library.sqlite3"), None);
    let mut position = ReviewPosition::default();
    let mut news = || {
        let (changes, now) = other.review_changes(position).unwrap();
        position = now;
        changes
    };
    assert!(news().is_empty());
    let stored = store(&own, &a_review("1", "normal"));
    store(&own, &a_review("2", "normal"));
    let second = store(&own, &a_review("2", "tumor"));
    let seen = news();
    assert_eq!(seen.reviews, [stored, second]);
    assert!(news().is_empty());
    turn(&own, true, "/in");
    let seen = news().reviews;
    assert_eq!(labels(seen.into_iter().next()).as_deref(), Some("normal"));
}

#[test]
fn a_sample_is_drawn_from_the_images_offered_without_repetition() {
    let (_home, library) = library();
    let images: Vec<_> = (0..50)
        .map(|n| (n.to_string(), "chest".to_owned()))
        .collect();
    let sample = |count| {
        let request = ReviewRequest::Sample {
            reviewer: "ana".to_owned(),
            images: images.clone(),
            count,
        };
        match library.review(&request).unwrap() {
            ReviewOutcome::Sampled(drawn) => drawn,
            other => panic!("{other:?}"),
        }
    };
    let mut drawn: Vec<String> = sample(40).into_iter().map(|image| image.content).collect();
    let (changes, _) = library.review_changes(ReviewPosition::default()).unwrap();
    assert_eq!(changes.samples.len(), 40);
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 40);
    assert!(
        drawn
            .iter()
            .all(|content| content.parse::<u32>().unwrap() < 50)
    );
    assert_ne!(drawn, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(sample(80).len(), 50);
}

#[test]
fn what_is_forgotten_takes_its_reviews_along_and_the_audit_tells_every_step() {
    let (home, library) = library();
    store(&library, &a_review("1", "normal"));
    store(&library, &a_review("2", "tumor"));
    turn(&library, true, "/in");
    turn(&library, false, "/in");
    let reader = Connection::open(home.path().join("library.sqlite3")).unwrap();
    let audit = || -> Vec<(String, Option<String>, Option<String>)> {
        let sql = "SELECT event, label, reviewer FROM audit_log";
        let mut statement = reader.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let entry = |event: &str, label: Option<&str>| {
        (
            event.to_owned(),
            label.map(str::to_owned),
            Some("ana".to_owned()),
        )
    };
    assert_eq!(
        audit(),
        [
            entry("reviewed", Some("normal")),
            entry("reviewed", Some("tumor")),
            entry("undone", None),
            entry("redone", Some("tumor")),
        ]
    );
    let sql = "INSERT INTO contents (hash, facts) VALUES ('1', '{}')";
    reader.execute(sql, []).unwrap();
    library.forget_hash("1").unwrap();
    let left = library.reviews().unwrap();
    assert_eq!(
        left.iter().map(|r| r.content.as_str()).collect::<Vec<_>>(),
        ["2"]
    );
    let labels: Vec<_> = audit()
        .into_iter()
        .filter(|(_, label, _)| label.as_deref() == Some("normal"))
        .collect();
    assert!(labels.is_empty(), "{labels:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn undo_and_redo_follow_a_plain_history(steps in prop::collection::vec((0..5u8, 0..3u8), 1..25)) {
        let (_home, library) = library();
        // The states after each change, and the position in them.
        let mut history = vec![std::collections::BTreeMap::new()];
        let mut at = 0;
        for (n, (step, content)) in steps.into_iter().enumerate() {
            match step {
                0 | 1 => {
                    let (content, label) = (content.to_string(), n.to_string());
                    store(&library, &a_review(&content, &label));
                    history.truncate(at + 1);
                    let mut state = history[at].clone();
                    state.insert(content, label);
                    history.push(state);
                    at += 1;
                }
                2 => {
                    let all = (0..=content).map(|content| a_review(&content.to_string(), &n.to_string()));
                    library.import_reviews(&all.collect::<Vec<_>>()).unwrap();
                    history.truncate(at + 1);
                    let mut state = history[at].clone();
                    state.extend((0..=content).map(|content| (content.to_string(), n.to_string())));
                    history.push(state);
                    at += 1;
                }
                3 => {
                    let done = turn(&library, true, "/").is_some();
                    prop_assert_eq!(done, at > 0);
                    at -= usize::from(done);
                }
                _ => {
                    let done = turn(&library, false, "/").is_some();
                    prop_assert_eq!(done, at + 1 < history.len());
                    at += usize::from(done);
                }
            }
            let kept = library.reviews().unwrap().into_iter();
            let kept = kept.filter_map(|r| Some((r.content.clone(), labels(Some(r))?)));
            prop_assert_eq!(&kept.collect::<std::collections::BTreeMap<_, _>>(), &history[at]);
        }
    }
}
