use super::*;

fn row(depth: u16, id: &str, name: &str, value: &str) -> TagRow {
    TagRow {
        depth,
        id: id.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        ..TagRow::default()
    }
}

fn open(rows: Vec<TagRow>) -> TagPanel {
    let mut tags = TagPanel::new(PathBuf::from("/a.dcm"), Stamp::default(), 1, None);
    let tree = TagTree { rows };
    tags.fill(Arc::new(tree), false);
    tags
}

/// A sequence of two items between two plain attributes.
fn nested() -> Vec<TagRow> {
    vec![
        row(0, "(0008,0060)", "Modality", "CT"),
        row(0, "(0008,2218)", "AnatomicRegionSequence", "2 items"),
        row(1, "", "Item 1", ""),
        row(2, "(0008,0104)", "CodeMeaning", "Breast"),
        row(1, "", "Item 2", ""),
        row(2, "(0008,0104)", "CodeMeaning", "Brain"),
        row(0, "(0018,0015)", "BodyPartExamined", "BREAST"),
    ]
}

fn names(tags: &TagPanel) -> Vec<&str> {
    tags.shown().map(|(_, _, row)| row.name.as_str()).collect()
}

fn search(tags: &mut TagPanel, text: &str) {
    text.clone_into(&mut tags.search);
    tags.update_rows(false);
}

#[test]
fn folding_hides_what_is_below_and_the_cursor_keeps_its_row() {
    let mut tags = open(nested());
    assert_eq!(names(&tags).len(), 7);
    tags.move_by(1);
    assert!(tags.enter().is_none());
    tags.update_rows(false);
    assert_eq!(
        names(&tags),
        ["Modality", "AnatomicRegionSequence", "BodyPartExamined"]
    );
    assert_eq!(
        tags.current().map(|row| row.value.as_str()),
        Some("2 items")
    );
    tags.move_by(1);
    assert!(!tags.leave(), "nothing is above the last row");
    tags.move_by(-1);
    tags.enter();
    tags.update_rows(false);
    assert_eq!(names(&tags).len(), 7);
}

#[test]
fn leaving_goes_up_level_by_level() {
    let mut tags = open(nested());
    tags.move_by(5);
    assert!(tags.leave());
    assert_eq!(tags.current().map(|row| row.name.as_str()), Some("Item 2"));
    assert!(tags.leave(), "an open row is folded first");
    tags.update_rows(false);
    assert!(tags.leave());
    assert_eq!(
        tags.current().map(|row| row.id.as_str()),
        Some("(0008,2218)")
    );
}

#[test]
fn a_search_shows_matches_and_where_they_are() {
    let mut tags = open(nested());
    search(&mut tags, "brain");
    assert_eq!(
        names(&tags),
        ["AnatomicRegionSequence", "Item 2", "CodeMeaning"]
    );
    assert_eq!(tags.matches(false), 1);
    search(&mut tags, "meaning breast");
    assert_eq!(
        names(&tags),
        ["AnatomicRegionSequence", "Item 1", "CodeMeaning"]
    );
    for by_tag in ["00080060", "0008,0060", "modality ct", "MODAL"] {
        search(&mut tags, by_tag);
        assert_eq!(names(&tags), ["Modality"], "{by_tag}");
    }
    search(&mut tags, "nowhere");
    assert!(names(&tags).is_empty() && tags.current().is_none());
    search(&mut tags, "");
    assert_eq!(names(&tags).len(), 7);
}

#[test]
fn a_search_looks_into_what_is_folded() {
    let mut tags = open(nested());
    tags.folded.insert(1);
    search(&mut tags, "brain");
    assert_eq!(names(&tags).len(), 3);
}

#[test]
fn a_masked_value_cannot_be_found() {
    let name = TagRow {
        identifying: true,
        ..row(0, "(0010,0010)", "PatientName", "Doe^Jane")
    };
    let mut tags = open(vec![name]);
    search(&mut tags, "doe");
    assert!(names(&tags).is_empty());
    tags.update_rows(true);
    assert_eq!(names(&tags), ["PatientName"]);
    search(&mut tags, "patientname");
    assert_eq!(names(&tags), ["PatientName"], "its name can");
}

#[test]
fn long_sequences_are_folded_to_begin_with() {
    let mut rows = vec![row(
        0,
        "(5200,9230)",
        "PerFrameFunctionalGroupsSequence",
        "",
    )];
    for frame in 1..=LONG {
        rows.push(row(1, "", &format!("Item {frame}"), ""));
        rows.push(row(2, "(0020,9111)", "FrameContentSequence", ""));
    }
    assert_eq!(names(&open(rows)).len(), 1);
}

#[test]
fn the_cursor_begins_where_it_was_in_the_file_before() {
    let mut tags = TagPanel::new(
        PathBuf::from("/a.dcm"),
        Stamp::default(),
        1,
        Some("(0018,0015)".to_owned()),
    );
    let tree = TagTree { rows: nested() };
    tags.fill(Arc::new(tree), false);
    assert_eq!(tags.current().map(|row| row.value.as_str()), Some("BREAST"));
}

proptest::proptest! {
    #[test]
    fn the_cursor_is_always_in_sight(moves in proptest::collection::vec(-9..9isize, 0..20), height in 1..9usize, fold: bool) {
        let mut tags = open(nested());
        for by in moves {
            tags.move_by(by);
            if fold {
                tags.enter();
                tags.update_rows(false);
            }
            tags.fit(height);
            proptest::prop_assert!(tags.offset <= tags.cursor && tags.cursor < tags.offset + height);
            proptest::prop_assert!(tags.offset == 0 || tags.offset + height <= tags.visible.len());
            proptest::prop_assert!(tags.current().is_some());
        }
    }
}
