use super::*;
use crate::engine::purpose::tests::{BRAIN, CHEST, built_in, image, named, scorer};

/// The direction along which the labels of these images can be told.
const SIGN: usize = 6;

/// An image that is seen as one of a kind, with a finding that its texts do not describe.
fn shown(kind: usize, has_finding: bool, at: usize) -> LearnImage {
    let mut row = image(kind);
    row[SIGN] = if has_finding { 0.3 } else { -0.3 };
    row[SIGN + 1] = 0.01 * at as f32;
    let length = row.iter().map(|own| own * own).sum::<f32>().sqrt();
    let row: Vec<f32> = row.into_iter().map(|own| own / length).collect();
    LearnImage {
        path: PathBuf::from(at.to_string()),
        embedding: row.into(),
        labels: None,
        study: None,
        synthetic: false,
    }
}

fn labelled(kind: usize, has_finding: bool, label: &str, at: usize) -> LearnImage {
    LearnImage {
        labels: Some(vec![label.to_owned()]),
        ..shown(kind, has_finding, at)
    }
}

/// Twelve chest films with their labels.
fn reviewed() -> Vec<LearnImage> {
    let film = |at: usize| {
        let (has_finding, label) = if at.is_multiple_of(2) {
            (true, "pneumonia")
        } else {
            (false, "normal")
        };
        labelled(CHEST, has_finding, label, at)
    };
    (0..12).map(film).collect()
}

/// What the built-in model learns under the set for chest films, where these kinds were taught before.
fn propose(images: &[LearnImage], taught: &[String]) -> Result<Proposal, String> {
    let (prompts, card) = (named("chest-xray"), built_in(Vec::new()));
    let set = &prompts.sets()[0];
    let own = scorer(set).unwrap();
    let kinds = KindReader::new(&prompts, std::slice::from_ref(&own), &card, &mut scorer).unwrap();
    let subject = LearningSubject {
        card: &card,
        set,
        zero_shot: &own,
        in_use: &own,
        kinds: &kinds,
        taught,
    };
    subject.propose(images)
}

#[test]
fn the_built_in_model_learns_findings_of_the_kind_that_was_reviewed() {
    let mut images = reviewed();
    images.push(shown(CHEST, false, 12));
    images.push(shown(BRAIN, false, 13));
    images.push(LearnImage {
        synthetic: true,
        ..shown(CHEST, false, 14)
    });
    let proposal = propose(&images, &[]).unwrap();
    assert_eq!(proposal.learned.kinds, ["chest radiograph"]);
    assert_eq!((proposal.learned.reviews, proposal.images), (12, 13));
    assert!(proposal.learned.changes_results());
    let mut moved = proposal.moved.iter();
    let new = moved.find(|own| own.path == *"12").unwrap();
    assert_eq!(
        (new.before.label.as_str(), new.after.label.as_str()),
        ("chest radiograph", "normal")
    );
    assert!(moved.all(|own| own.path != *"13" && own.path != *"14"));
    // Once that is in use, what is said before is a finding.
    let again = propose(&images, &proposal.learned.kinds).unwrap();
    let names = |own: &MovedImage| own.before.label.clone();
    assert!(
        again
            .moved
            .iter()
            .map(names)
            .all(|name| name != "chest radiograph")
    );
}

#[test]
fn a_few_images_of_another_kind_teach_nothing_of_that_kind() {
    let mut images = reviewed();
    images.push(labelled(BRAIN, false, "normal", 20));
    assert_eq!(
        propose(&images, &[]).unwrap().learned.kinds,
        ["chest radiograph"]
    );
    images.push(labelled(BRAIN, true, "pneumonia", 21));
    let both = propose(&images, &[]).unwrap().learned.kinds;
    assert_eq!(both, ["brain MRI", "chest radiograph"]);
}

#[test]
fn labels_that_cannot_be_told_from_each_other_earn_no_findings() {
    let film = |at: usize| {
        let label = if at % 4 < 2 { "pneumonia" } else { "normal" };
        labelled(CHEST, at.is_multiple_of(2), label, at)
    };
    let images: Vec<LearnImage> = (0..16).map(film).collect();
    let refused = propose(&images, &[]).unwrap_err();
    assert!(
        refused.contains("16 reviewed images do not show")
            && refused.contains("guessing gets 50 %"),
        "{refused}"
    );
    // Nor do a few that can.
    let refused = propose(&reviewed()[..6], &[]).unwrap_err();
    assert!(refused.contains("review more images"), "{refused}");
}

#[test]
fn phantoms_need_not_earn_what_is_judged_of_them_anyway() {
    let phantom = |own: LearnImage| LearnImage {
        synthetic: true,
        ..own
    };
    let mut images: Vec<LearnImage> = reviewed().into_iter().take(6).map(phantom).collect();
    images.push(shown(CHEST, false, 12));
    let proposal = propose(&images, &[]).unwrap();
    assert_eq!((proposal.images, proposal.learned.kinds.len()), (6, 0));
}
