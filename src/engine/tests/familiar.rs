//! Images unlike those that people have reviewed.

use super::*;
use crate::library::{ImageContent, ImageFacts, Library, Review, ReviewRequest};
use crate::media::{DicomOrigin, FileFormat};

/// Classifies an image after so many unlike it were reviewed.
fn decision(reviewed: u16, is_builtin: bool) -> (Decision, Option<String>) {
    let home = tempfile::tempdir().unwrap();
    let library = Arc::new(Library::at(home.path().join("library"), None));
    let (batches, _) = unbounded();
    let encoder = FakeEncoder {
        card: card("cpu", is_builtin),
        behaviour: Behaviour::Answer,
        batches,
        pending: None,
    };
    for number in 0..reviewed {
        review(&library, &embedding_key(&encoder, false), number);
    }
    library.flush(Duration::from_secs(60));
    let settings = Settings {
        library: Some(library),
        ..settings()
    };
    let (_folder, paths) = pictures(1);
    let test = start(Behaviour::Answer, is_builtin, settings);
    test.submit(&paths[0], Lane::Bulk, 0);
    let outcomes = test.finish().remove(&0).unwrap();
    let verdict = &outcomes[0].as_ref().unwrap().verdict;
    (verdict.decision, verdict.reason.clone())
}

/// Stores an image that the model encodes otherwise than any other, and a review of it.
fn review(library: &Library, model_key: &str, number: u16) {
    let (hash, angle) = (format!("blake3:{number}"), f32::from(number));
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
    let review = Review {
        content: hash.clone(),
        prompts: "general".to_owned(),
        reviewer: "ann".to_owned(),
        labels: Some(vec!["normal".to_owned()]),
        ..Review::default()
    };
    let row = [0.1 * angle.sin(), 1.0 + 0.1 * angle.cos()];
    let content = Arc::new(ImageContent { hash, facts });
    library.put_embedding(content, 0, model_key, Arc::from(row.as_slice()));
    let request = ReviewRequest::Store(Box::new(review));
    library.review(&request).unwrap();
}

#[test]
fn an_image_unlike_fifty_reviewed_ones_is_rejected_with_the_reason() {
    let (decision, reason) = decision(50, false);
    assert_eq!(decision, Decision::Rejected);
    let reason = reason.unwrap();
    assert!(reason.contains("unlike the 50 images"), "{reason}");
}

#[test]
fn fewer_reviewed_images_reject_nothing_and_the_built_in_model_has_its_own_rule() {
    assert_ne!(decision(49, false).0, Decision::Rejected);
    let (_, reason) = decision(50, true);
    assert!(!reason.unwrap_or_default().contains("unlike"));
}
