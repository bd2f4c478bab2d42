use super::*;
use crate::engine::purpose::tests::{BRAIN, CHEST, NONE, built_in, image, named, scorer};
use crate::scoring::calibration::Calibration;

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
        content: format!("blake3:{at:04}"),
        embedding: row.into(),
        labels: None,
        patients: Vec::new(),
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

/// What the built-in model learns under the set for chest films, where this kind was taught before.
fn propose(images: &[LearnImage], taught: Option<&str>) -> Result<Proposal, String> {
    propose_under("chest-xray", images, taught)
}

fn propose_under(
    set: &str,
    images: &[LearnImage],
    taught: Option<&str>,
) -> Result<Proposal, String> {
    propose_beside(set, images, (taught, false))
}

fn propose_beside(
    set: &str,
    images: &[LearnImage],
    taught: (Option<&str>, bool),
) -> Result<Proposal, String> {
    propose_instead(set, images, taught, |scorer| scorer)
}

/// `in_use`: what becomes of the texts' scores in use.
fn propose_instead(
    set: &str,
    images: &[LearnImage],
    (taught, phantoms_taught): (Option<&str>, bool),
    in_use: impl FnOnce(Scorer) -> Scorer,
) -> Result<Proposal, String> {
    let (prompts, card) = (named(set), built_in(Vec::new()));
    let set = &prompts.sets()[0];
    let own = scorer(set).unwrap();
    let in_use = in_use(own.clone());
    let kinds = KindReader::new(&prompts, std::slice::from_ref(&own), &card, &mut scorer).unwrap();
    let subject = LearningSubject {
        card: &card,
        set,
        zero_shot: &own,
        in_use: &in_use,
        kinds: &kinds,
        taught,
        phantoms_taught,
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
    let proposal = propose(&images, None).unwrap();
    assert_eq!(proposal.learned.kind.as_deref(), Some("chest radiograph"));
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
    let again = propose(&images, proposal.learned.kind.as_deref()).unwrap();
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
fn other_kinds_and_phantoms_take_no_part_whatever_is_said_of_them() {
    let mut images = reviewed();
    images.push(labelled(BRAIN, false, "normal", 20));
    images.push(LearnImage {
        labels: Some(Vec::new()),
        ..shown(BRAIN, false, 21)
    });
    images.push(labelled(NONE, true, "pneumonia", 22));
    images.push(LearnImage {
        synthetic: true,
        ..labelled(CHEST, true, "normal", 23)
    });
    let proposal = propose(&images, None).unwrap();
    assert_eq!(proposal.learned.kind.as_deref(), Some("chest radiograph"));
    assert_eq!((proposal.learned.reviews, proposal.other_kinds), (12, 4));
    assert_eq!(proposal.rare, ["tumor"], "of which nothing is known");
    // Another kind is not replaced unasked.
    let refused = propose(&images, Some("brain MRI")).unwrap_err();
    assert!(refused.contains("would replace them"), "{refused}");
    let odd = |at: usize| labelled(NONE, at.is_multiple_of(2), "pneumonia", at);
    let refused = propose(&(0..12).map(odd).collect::<Vec<_>>(), None).unwrap_err();
    assert!(refused.contains("is not certain"), "{refused}");
}

#[test]
fn labels_that_cannot_be_told_from_each_other_earn_no_findings() {
    let film = |at: usize| {
        let label = if at % 4 < 2 { "pneumonia" } else { "normal" };
        labelled(CHEST, at.is_multiple_of(2), label, at)
    };
    let images: Vec<LearnImage> = (0..16).map(film).collect();
    let refused = propose(&images, None).unwrap_err();
    assert!(
        refused.contains("16 reviewed images do not show that findings can be told")
            && refused.contains("guessing gets 50 %"),
        "{refused}"
    );
    let refused = propose(&reviewed()[..6], None).unwrap_err();
    assert!(refused.contains("there are 6 of 6"), "{refused}");
    // Many slices of a few patients are a few.
    let slices = (0..40).map(|at| LearnImage {
        patients: vec![(at % 4).to_string()],
        ..reviewed()[at % 12].clone()
    });
    let refused = propose(&slices.collect::<Vec<_>>(), None).unwrap_err();
    assert!(refused.contains("there are 40 of 4"), "{refused}");
}

#[test]
fn phantoms_need_not_earn_what_is_judged_of_them_anyway() {
    let phantom = |own: LearnImage| LearnImage {
        synthetic: true,
        ..own
    };
    let mut images: Vec<LearnImage> = reviewed().into_iter().take(6).map(phantom).collect();
    images.push(shown(CHEST, false, 12));
    images.push(labelled(CHEST, false, "normal", 13));
    let proposal = propose(&images, None).unwrap();
    assert_eq!((proposal.images, proposal.learned.kind), (6, None));
    let refused = propose(&images, Some("chest radiograph")).unwrap_err();
    assert!(refused.contains("would replace them"), "{refused}");
}

#[test]
fn kinds_themselves_are_learned_from_images_of_all_kinds() {
    let image = |at: usize| {
        let (kind, label) = if at.is_multiple_of(2) {
            (CHEST, "chest radiograph")
        } else {
            (BRAIN, "brain MRI")
        };
        labelled(kind, false, label, at)
    };
    let images: Vec<LearnImage> = (0..8).map(image).collect();
    let proposal = propose_under("kinds", &images, None).unwrap();
    assert_eq!((proposal.learned.reviews, proposal.learned.kind), (8, None));
}

#[test]
fn what_phantoms_taught_is_not_replaced_unasked() {
    let refused = propose_beside("chest-xray", &reviewed(), (None, true)).unwrap_err();
    assert!(
        refused.contains("scores that phantoms taught are in use")
            && refused.contains("undo that first"),
        "{refused}"
    );
    let phantom = |own: LearnImage| LearnImage {
        synthetic: true,
        ..own
    };
    let phantoms: Vec<LearnImage> = reviewed().into_iter().map(phantom).collect();
    assert!(propose_beside("chest-xray", &phantoms, (None, true)).is_ok());
}

#[test]
fn the_order_of_the_images_changes_nothing() {
    let mut images = reviewed();
    images.extend((12..60).map(|at| shown(CHEST, at % 3 == 0, at)));
    let learned = |images: &[LearnImage]| {
        let own = propose(images, None).unwrap().learned;
        (own.digest(), own.held_out, own.shots)
    };
    let first = learned(&images);
    assert_eq!(first.2.len(), 12);
    for turn in [1, 7, 31] {
        images.rotate_left(turn);
        assert_eq!(learned(&images), first);
    }
    images.reverse();
    assert_eq!(learned(&images), first);
}

#[test]
fn images_of_one_patient_count_once_whatever_their_studies() {
    let of_one = reviewed().into_iter().map(|own| LearnImage {
        patients: vec!["p".to_owned()],
        ..own
    });
    let refused = propose(&of_one.collect::<Vec<_>>(), None).unwrap_err();
    assert!(refused.contains("are of one patient"), "{refused}");
}

#[test]
fn scores_that_real_images_never_had_are_not_lost() {
    let calibrated = |scorer: Scorer| {
        let calibration = Calibration {
            model: "builtin".to_owned(),
            model_digest: String::new(),
            prompts: "chest-xray".to_owned(),
            prompts_digest: String::new(),
            mode: Mode::Single,
            learned: None,
            fit: None,
            synthetic: false,
            at: String::new(),
            images: 40,
            error_before: 0.1,
            error_after: 0.1,
            single: None,
            conditions: Vec::new(),
            normal: Vec::new(),
            left_out: Vec::new(),
        };
        scorer.calibrated(Some(calibration))
    };
    let was_calibrated = |images: &[LearnImage], taught: Option<&str>| {
        let proposal = propose_instead("chest-xray", images, (taught, false), calibrated);
        proposal.unwrap().was_calibrated
    };
    let phantom = |own: LearnImage| LearnImage {
        synthetic: true,
        ..own
    };
    let phantoms: Vec<LearnImage> = reviewed().into_iter().map(phantom).collect();
    assert!(was_calibrated(&phantoms, None));
    assert!(!was_calibrated(&reviewed(), None), "that was for phantoms");
    assert!(was_calibrated(&reviewed(), Some("chest radiograph")));
}

#[test]
fn a_patient_is_told_by_a_table_or_by_its_files_whichever_names_it() {
    // Tables name four patients, and half of the files do, too, with names of their own.
    let reviewed = reviewed();
    let films = reviewed.iter().cloned().cycle().take(40).enumerate();
    let of_four = films.map(|(at, own)| {
        let [table, file] = ["case", "id"].map(|by| format!("{by} {}", at % 4));
        LearnImage {
            content: format!("blake3:{at:04}"),
            patients: match at % 8 {
                0..4 => vec![table],
                _ => vec![table, file],
            },
            ..own
        }
    });
    let refused = propose(&of_four.collect::<Vec<_>>(), None).unwrap_err();
    assert!(refused.contains("there are 40 of 4"), "{refused}");
}

#[test]
fn a_reason_counts_one_image_as_one() {
    let unused = UnusedImages {
        rejected: 1,
        disputed: 2,
        ..UnusedImages::default()
    };
    let words: Vec<String> = unused.reasons().collect();
    assert_eq!(
        words,
        [
            "1 reviewed image: rejected by the model",
            "2 reviewed images: judged differently by several reviewers"
        ]
    );
}
