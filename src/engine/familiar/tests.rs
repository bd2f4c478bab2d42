use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::library::{ImageContent, ImageFacts, ReviewRequest};
use crate::media::{DicomOrigin, FileFormat};
use crate::prompts::Prompts;

const MODEL: &str = "a model on a device";

struct Reviewed {
    _home: tempfile::TempDir,
    library: Library,
    set: PromptSet,
}

/// An embedding near one of the axes.
fn near(axis: usize, number: u16) -> Vec<f32> {
    let mut row: Vec<f32> = (0..16)
        .map(|at| 0.1 * (f32::from(number) * 1.7 + at as f32 * 2.3).sin())
        .collect();
    row[axis] += 1.0;
    row
}

fn content(number: u16) -> String {
    format!("blake3:{number}")
}

impl Reviewed {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let set = Prompts::select("chest-xray", None).unwrap().sets()[0].clone();
        Self {
            library: Library::at(home.path().join("library"), None),
            _home: home,
            set,
        }
    }

    /// Stores an embedding.
    fn encode(&self, number: u16, row: Vec<f32>) {
        let facts = ImageFacts {
            kind: FileFormat::Png,
            width: 4,
            height: 3,
            frames: 1,
            synthetic: false,
            modality: None,
            body_part: None,
            order: Vec::new(),
            origin: DicomOrigin::default(),
            version: 1,
        };
        let hash = content(number);
        let content = Arc::new(ImageContent { hash, facts });
        self.library.put_embedding(content, 0, MODEL, row.into());
        self.library.flush(Duration::from_secs(60));
    }

    fn review(&self, number: u16, labels: &[&str]) {
        let review = Review {
            content: content(number),
            prompts: self.set.name.clone(),
            reviewer: "ann".to_owned(),
            path: PathBuf::from(format!("/in/{number}.png")),
            labels: Some(labels.iter().map(|&label| label.to_owned()).collect()),
            ..Review::default()
        };
        let request = ReviewRequest::Store(Box::new(review));
        self.library.review(&request).unwrap();
    }

    /// Encodes images near an axis, and reviews them.
    fn accept(&self, numbers: std::ops::Range<u16>, axis: usize) {
        for number in numbers {
            self.encode(number, near(axis, number));
            self.review(number, &["normal"]);
        }
    }

    fn undo(&self) {
        let request = ReviewRequest::Undo {
            reviewer: "ann".to_owned(),
            root: PathBuf::from("/in"),
        };
        self.library.review(&request).unwrap();
    }
}

/// Whether an unreviewed image near an axis is strange.
fn is_strange(familiar: &Familiarity, reviewed: &Reviewed, axis: usize) -> bool {
    let row = near(axis, 999);
    let frames = std::iter::once(row.as_slice());
    familiar
        .reason(&reviewed.set, &content(999), frames)
        .is_some()
}

#[test]
fn the_rule_begins_with_the_fiftieth_accepted_image_and_ends_when_that_is_undone() {
    let reviewed = Reviewed::new();
    let familiar = Familiarity::default();
    assert!(
        familiar.update(&reviewed.library).is_empty(),
        "no model yet"
    );
    reviewed.accept(0..49, 1);
    let told = familiar.begin(&reviewed.library, MODEL.to_owned());
    assert_eq!(told, Vec::<String>::new());
    assert!(!is_strange(&familiar, &reviewed, 9));
    reviewed.accept(49..50, 1);
    let told = familiar.update(&reviewed.library);
    assert_eq!(
        told,
        ["images unlike the 50 that were reviewed under chest-xray are rejected"]
    );
    assert!(is_strange(&familiar, &reviewed, 9));
    assert!(!is_strange(&familiar, &reviewed, 1));
    assert!(familiar.update(&reviewed.library).is_empty(), "told once");
    reviewed.undo();
    familiar.update(&reviewed.library);
    assert!(!is_strange(&familiar, &reviewed, 9));
}

#[test]
fn an_image_that_a_person_has_labelled_is_never_strange_and_one_of_no_condition_counts_for_nothing()
{
    let reviewed = Reviewed::new();
    let familiar = Familiarity::default();
    reviewed.accept(0..60, 1);
    familiar.begin(&reviewed.library, MODEL.to_owned());
    let row = near(9, 100);
    let reason = |content: &str| {
        let frames = std::iter::once(row.as_slice());
        familiar.reason(&reviewed.set, content, frames)
    };
    let words = reason(&content(100)).unwrap();
    assert!(
        words.starts_with("unlike the 60 images that were reviewed under chest-xray"),
        "{words}"
    );
    reviewed.encode(100, row.clone());
    reviewed.review(100, &[]);
    familiar.update(&reviewed.library);
    assert!(reason(&content(100)).is_some(), "none of the conditions");
    reviewed.review(100, &["pneumonia"]);
    familiar.update(&reviewed.library);
    assert_eq!(reason(&content(100)), None, "overruled");
    assert!(reason(&content(101)).is_some(), "one oddity opens no gate");
}

#[test]
fn a_file_with_one_familiar_frame_is_familiar_and_a_set_for_all_images_has_no_rule() {
    let reviewed = Reviewed::new();
    let familiar = Familiarity::default();
    reviewed.accept(0..60, 1);
    familiar.begin(&reviewed.library, MODEL.to_owned());
    let (strange, usual) = (near(9, 100), near(1, 101));
    let frames = || [strange.as_slice(), usual.as_slice()].into_iter();
    assert_eq!(familiar.reason(&reviewed.set, "x", frames()), None);
    assert!(
        familiar
            .reason(&reviewed.set, "x", frames().take(1))
            .is_some()
    );
    let kinds = crate::prompts::kinds().unwrap();
    assert_eq!(familiar.reason(&kinds, "x", frames().take(1)), None);
    // Another model has encoded nothing.
    familiar.begin(&reviewed.library, "another model".to_owned());
    assert_eq!(familiar.reason(&reviewed.set, "x", frames().take(1)), None);
}
