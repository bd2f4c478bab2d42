use std::sync::Arc;

use super::*;
use crate::encoder::BuiltinFacts;
use crate::encoder::builtin::MeasuredFinding;
use crate::scoring::known::KnownImages;
use crate::scoring::{Logits, Mode};

pub(in crate::engine) const CHEST: usize = 0;
const LIMB: usize = 1;
pub(in crate::engine) const BRAIN: usize = 2;
const SKIN: usize = 5;
const CHART: usize = 7;
pub(in crate::engine) const NONE: usize = 8;

/// The texts of each condition point in a direction of their own.
pub(in crate::engine) fn scorer(set: &PromptSet) -> Result<Scorer, String> {
    let logits = Logits {
        scale: 20.0,
        bias: None,
    };
    let mut condition = 0;
    Scorer::new(set, Mode::Single, logits, |texts: &[String]| {
        let mut row = vec![0.0; 9];
        row[condition] = 1.0;
        condition += 1;
        Ok(vec![row; texts.len()])
    })
}

/// An image of which the kind is seen as the condition with this index.
pub(in crate::engine) fn image(kind: usize) -> Vec<f32> {
    let mut row = vec![0.0; 9];
    row[kind] = 1.0;
    row
}

fn doubtful() -> Vec<f32> {
    let mut row = vec![0.0; 9];
    row[CHEST] = 0.72;
    row[LIMB] = 0.69;
    row
}

fn other_model(kinds: &'static [String]) -> ModelCard {
    ModelCard {
        id: "org/model".to_owned(),
        digest: "blake3:0".to_owned(),
        device: "cpu".to_owned(),
        dimension: 9,
        logit_scale: 20.0,
        logit_bias: None,
        builtin: None,
        kinds,
    }
}

fn for_kinds(kinds: &[&str]) -> ModelCard {
    let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
    other_model(Vec::leak(kinds))
}

pub(in crate::engine) fn built_in(findings: Vec<MeasuredFinding>) -> ModelCard {
    let known = KnownImages {
        dimension: 9,
        centres: vec![0.0; 9],
        whitening: vec![0.0; 81],
        limit: 1.0,
        slope: 1.0,
    };
    ModelCard {
        builtin: Some(Arc::new(BuiltinFacts {
            known: Arc::new(known),
            findings,
            taught: None,
        })),
        ..other_model(&[])
    }
}

/// The set that is chosen, and why the image is rejected.
fn read(
    prompts: &Prompts,
    card: &ModelCard,
    traits: ImageTraits,
    is_synthetic: bool,
    row: &[f32],
) -> (String, Option<String>) {
    read_taught(prompts, card, &[], (traits, is_synthetic), row)
}

/// The same where reviews have taught findings of a kind under a set.
fn read_taught(
    prompts: &Prompts,
    card: &ModelCard,
    taught: &[(&str, &str)],
    (traits, is_synthetic): (ImageTraits, bool),
    row: &[f32],
) -> (String, Option<String>) {
    let of_set = |set: &PromptSet| {
        let own = taught.iter().find(|(name, _)| *name == set.name);
        own.map(|(_, kind)| (*kind).to_owned())
    };
    let taught: Vec<Option<String>> = prompts.sets().iter().map(of_set).collect();
    let scorers: Vec<Scorer> = prompts
        .sets()
        .iter()
        .map(|set| scorer(set).unwrap())
        .collect();
    let reader = KindReader::new(prompts, &scorers, card, &mut scorer).unwrap();
    let row = std::iter::once(row);
    let reading = reader.read(prompts, card, traits, is_synthetic, &taught, row);
    (prompts.sets()[reading.set].name.clone(), reading.reason)
}

fn auto() -> Prompts {
    Prompts::select("auto", None).unwrap()
}

pub(in crate::engine) fn named(name: &str) -> Prompts {
    Prompts::select(name, None).unwrap()
}

const PLAIN: ImageTraits = ImageTraits {
    modality: None,
    body_part: None,
    station: None,
    kind: None,
};

#[test]
fn a_kind_that_the_attributes_exclude_is_uncertain() {
    let kinds = prompts::kinds().unwrap();
    let verdict = scorer(&kinds).unwrap().verdict(&image(CHEST));
    assert_eq!(verdict.decision, Decision::Confident);
    let judged = |modality, body_part| {
        let traits = ImageTraits {
            modality: Some(modality),
            body_part: Some(body_part),
            ..PLAIN
        };
        let reading = Reading::new(0, None).excluding(&kinds, traits);
        reading.judged(verdict.clone()).decision
    };
    assert_eq!(judged("MR", "KNEE"), Decision::Uncertain);
    assert_eq!(judged("DX", "CHEST"), Decision::Confident);
    assert_eq!(judged("OT", ""), Decision::Confident, "it says nothing");
    // What findings look like says nothing of kinds.
    let general = named("general");
    let reading = Reading::new(0, None).excluding(&general.sets()[0], PLAIN);
    assert_eq!(
        reading.judged(verdict.clone()).decision,
        Decision::Confident
    );
}

#[test]
fn the_built_in_model_tells_the_kind_of_a_real_image_and_judges_no_findings() {
    let card = built_in(Vec::new());
    for kind in [CHEST, BRAIN, SKIN, CHART, NONE] {
        let (set, reason) = read(&auto(), &card, PLAIN, false, &image(kind));
        assert_eq!((set.as_str(), reason), ("kinds", None));
    }
    let (set, reason) = read(&named("kinds"), &card, PLAIN, false, &image(CHEST));
    assert_eq!((set.as_str(), reason), ("kinds", None));
    let (_, reason) = read(&named("chest-xray"), &card, PLAIN, false, &image(CHEST));
    let reason = reason.unwrap();
    assert!(
        reason.contains("this is of the kind: chest radiograph"),
        "{reason}"
    );
    let (_, reason) = read(&named("general"), &card, PLAIN, false, &doubtful());
    assert!(reason.unwrap().contains("this may be of the kind: chest"));
    let (_, reason) = read(&named("general"), &card, PLAIN, false, &image(NONE));
    assert!(
        reason
            .unwrap()
            .contains("this is of none of the kinds that it knows")
    );
}

#[test]
fn phantoms_are_judged_by_the_set_for_their_kind() {
    let card = built_in(Vec::new());
    for (kind, expected) in [
        (CHEST, "chest-xray"),
        (LIMB, "bone-xray"),
        (BRAIN, "brain-mri"),
    ] {
        let (set, reason) = read(&auto(), &card, PLAIN, true, &image(kind));
        assert_eq!((set.as_str(), reason), (expected, None));
    }
    // However strange it looks, a phantom is of one of the kinds.
    let mut strange = image(NONE);
    strange[LIMB] = 0.3;
    let (set, reason) = read(&auto(), &card, PLAIN, true, &strange);
    assert_eq!((set.as_str(), reason), ("bone-xray", None));
    let (set, reason) = read(&named("general"), &card, PLAIN, true, &image(CHEST));
    assert_eq!((set.as_str(), reason), ("general", None));
}

#[test]
fn findings_that_were_earned_are_judged_on_images_of_their_kind() {
    let earned = MeasuredFinding {
        set: "bone-xray".to_owned(),
        kind: "limb radiograph".to_owned(),
        condition: "fracture".to_owned(),
        source: "elsewhere".to_owned(),
        images: 100,
        auroc: 0.9,
        interval: [0.85, 0.95],
        control: Some(0.6),
    };
    let card = built_in(vec![earned]);
    let (set, reason) = read(&auto(), &card, PLAIN, false, &image(LIMB));
    assert_eq!((set.as_str(), reason), ("bone-xray", None));
    let (set, reason) = read(&named("bone-xray"), &card, PLAIN, false, &image(LIMB));
    assert_eq!((set.as_str(), reason), ("bone-xray", None));
    let (_, reason) = read(&named("bone-xray"), &card, PLAIN, false, &image(CHEST));
    assert!(reason.is_some());
    let (set, _) = read(&auto(), &card, PLAIN, false, &image(CHEST));
    assert_eq!(set, "kinds");
}

#[test]
fn the_kind_chooses_the_set_where_attributes_do_not() {
    let card = other_model(&[]);
    let pick = |traits, row: &[f32]| {
        let (set, reason) = read(&auto(), &card, traits, false, row);
        assert_eq!(reason, None, "a model of unknown purpose rejects nothing");
        set
    };
    assert_eq!(pick(PLAIN, &image(BRAIN)), "brain-mri");
    assert_eq!(pick(PLAIN, &image(SKIN)), "kinds", "no set is for skin");
    assert_eq!(pick(PLAIN, &image(3)), "general", "CT");
    assert_eq!(pick(PLAIN, &doubtful()), "general");
    let chest = ImageTraits {
        modality: Some("DX"),
        body_part: Some("CHEST"),
        ..PLAIN
    };
    assert_eq!(pick(chest, &image(BRAIN)), "chest-xray");
    // A section by another technique is not a brain MRI, whatever it looks like.
    let ct = ImageTraits {
        modality: Some("CT"),
        body_part: Some("HEAD"),
        ..PLAIN
    };
    assert_eq!(pick(ct, &image(BRAIN)), "fracture-mass");
    let mr = ImageTraits {
        modality: Some("MR"),
        ..PLAIN
    };
    assert_eq!(pick(mr, &image(BRAIN)), "brain-mri");
    assert_eq!(pick(mr, &image(CHEST)), "general");
}

#[test]
fn a_model_of_the_catalogue_rejects_kinds_that_it_is_not_for() {
    let card = for_kinds(&["chest radiograph", "limb radiograph", "brain MRI"]);
    let general = named("general");
    let rejected = |traits, row: &[f32]| read(&general, &card, traits, false, row).1;
    assert_eq!(rejected(PLAIN, &image(CHEST)), None);
    assert_eq!(rejected(PLAIN, &doubtful()), None);
    let reason = rejected(PLAIN, &image(CHART)).unwrap();
    assert!(
        reason.contains("org/model") && reason.contains("(chart or screenshot)"),
        "{reason}"
    );
    // Attributes are believed more than pixels.
    let ct = ImageTraits {
        modality: Some("CT"),
        ..PLAIN
    };
    assert!(rejected(ct, &image(CHEST)).unwrap().contains("(CT slice)"));
    let chest = ImageTraits {
        modality: Some("CR"),
        body_part: Some("CHEST"),
        ..PLAIN
    };
    assert_eq!(rejected(chest, &image(CHART)), None);
    assert_eq!(
        read(&general, &card, PLAIN, true, &image(CHART)).1,
        None,
        "a phantom"
    );
}

#[test]
fn the_built_in_model_judges_findings_of_the_kinds_that_reviews_have_taught() {
    let card = built_in(Vec::new());
    let taught = [("chest-xray", "chest radiograph")];
    let read =
        |prompts: &Prompts, row: &[f32]| read_taught(prompts, &card, &taught, (PLAIN, false), row);
    let judged = |set: &str| (set.to_owned(), None);
    assert_eq!(read(&auto(), &image(CHEST)), judged("chest-xray"));
    assert_eq!(read(&auto(), &image(BRAIN)), judged("kinds"));
    assert_eq!(read(&auto(), &doubtful()), judged("kinds"));
    let chest = named("chest-xray");
    assert_eq!(read(&chest, &image(CHEST)), judged("chest-xray"));
    assert!(read(&chest, &image(BRAIN)).1.is_some());
    assert!(read(&chest, &doubtful()).1.is_some());
    assert!(read(&named("general"), &image(CHEST)).1.is_some());
}

#[test]
fn the_built_in_model_judges_no_findings_of_what_attributes_exclude() {
    let card = built_in(Vec::new());
    let taught = [("chest-xray", "chest radiograph")];
    let read = |prompts: &Prompts, modality, body_part, row: &[f32]| {
        let traits = ImageTraits {
            modality: Some(modality),
            body_part: Some(body_part),
            ..PLAIN
        };
        read_taught(prompts, &card, &taught, (traits, false), row)
    };
    let chest = named("chest-xray");
    for (modality, body_part, words) in [
        ("MR", "KNEE", "modality MR"),
        ("US", "BREAST", "ultrasound"),
        ("SEG", "", "modality SEG"),
        ("DX", "LEFT KNEE", "limb radiograph"),
        ("DX", "CSPINE", "modality DX, body part CSPINE"),
    ] {
        let (_, reason) = read(&chest, modality, body_part, &image(CHEST));
        let expected = format!(
            "{} is not for this kind of image ({words}); it is for: chest radiograph",
            card.id
        );
        assert_eq!(reason, Some(expected));
        let (set, reason) = read(&auto(), modality, body_part, &image(CHEST));
        assert_eq!((set.as_str(), reason), ("kinds", None));
    }
    for (modality, body_part) in [
        ("DX", "CHEST"),
        ("DR", "THORAX PA"),
        ("SC", ""),
        ("CR", "RIBS"),
    ] {
        let (_, reason) = read(&chest, modality, body_part, &image(CHEST));
        assert_eq!(reason, None, "{modality} {body_part}");
    }
    // What looks to be something else is told as before.
    let (_, reason) = read(&chest, "MR", "KNEE", &image(BRAIN));
    assert!(reason.unwrap().contains("this is of the kind: brain MRI"));
}

#[test]
fn a_model_fine_tuned_from_the_built_in_one_says_what_it_was_taught() {
    let tuned = |kind: Option<&str>| {
        let mut card = built_in(Vec::new());
        let facts = card.builtin.as_deref().unwrap();
        let taught = TaughtFindings {
            kind: kind.map(str::to_owned),
            prompts: "bone-xray".to_owned(),
            prompts_digest: "blake3:0".to_owned(),
            mode: Mode::Multi,
        };
        card.builtin = Some(Arc::new(BuiltinFacts {
            taught: Some(taught),
            ..facts.clone()
        }));
        card
    };
    let bone = named("bone-xray");
    let reason = |card: &ModelCard, taught: &[(&str, &str)], row: &[f32], is_synthetic: bool| {
        read_taught(&bone, card, taught, (PLAIN, is_synthetic), row).1
    };
    let (own, taught) = (
        tuned(Some("limb radiograph")),
        [("bone-xray", "limb radiograph")],
    );
    assert_eq!(reason(&own, &taught, &image(LIMB), false), None);
    let other = reason(&own, &taught, &image(BRAIN), false).unwrap();
    for words in [
        "only of the kind limb radiograph",
        "bone-xray",
        "`--mode multi`",
        "this is of the kind: brain MRI",
    ] {
        assert!(other.contains(words), "{other}");
    }
    // What phantoms taught is of phantoms.
    let own = tuned(None);
    let real = reason(&own, &[], &image(LIMB), false).unwrap();
    assert!(real.contains("with phantoms"), "{real}");
    assert_eq!(reason(&own, &[], &image(LIMB), true), None);
}

#[test]
fn a_model_for_one_kind_takes_images_without_attributes_to_be_of_it() {
    let card = for_kinds(&["chest radiograph"]);
    let (set, reason) = read(&auto(), &card, PLAIN, false, &image(CHART));
    assert_eq!((set.as_str(), reason), ("chest-xray", None));
    let ct = ImageTraits {
        modality: Some("CT"),
        ..PLAIN
    };
    let (_, reason) = read(&auto(), &card, ct, false, &image(CHEST));
    assert!(reason.unwrap().contains("(CT slice)"));
}

#[test]
fn attributes_that_contradict_what_a_model_is_for_reject_the_image() {
    let traits = |modality, body_part| ImageTraits {
        modality: Some(modality),
        body_part: Some(body_part),
        ..PLAIN
    };
    let chest = for_kinds(&["chest radiograph"]);
    let reason = |card: &ModelCard, traits| read(&auto(), card, traits, false, &image(CHEST)).1;
    for (modality, body_part, words) in [
        ("DX", "WRIST", "(limb radiograph)"),
        ("CR", "KNEE", "(limb radiograph)"),
        ("MR", "", "(modality MR)"),
        ("MR", "ABDOMEN", "(modality MR)"),
        ("SEG", "", "(modality SEG)"),
        ("CR", "CSPINE", "(modality CR, body part CSPINE)"),
        ("MG", "BREAST", "(modality MG)"),
        ("SC", "BREAST", "(body part BREAST)"),
    ] {
        let reason = reason(&chest, traits(modality, body_part)).unwrap_or_default();
        let is_told = reason.contains(words) && reason.ends_with("it is for: chest radiograph");
        assert!(is_told, "{modality} {body_part}: {reason}");
        let phantom = read(
            &auto(),
            &chest,
            traits(modality, body_part),
            true,
            &image(CHEST),
        );
        assert_eq!(phantom.1, None);
    }
    for (modality, body_part) in [("DX", "CHEST"), ("RG", "LUNG"), ("SC", ""), ("OT", "OTHER")] {
        let (set, reason) = read(
            &auto(),
            &chest,
            traits(modality, body_part),
            false,
            &image(CHART),
        );
        assert_eq!(
            (set.as_str(), reason),
            ("chest-xray", None),
            "{modality} {body_part}"
        );
    }
    let skin = for_kinds(&["skin photograph"]);
    assert_eq!(reason(&skin, traits("XC", "")), None);
    assert!(reason(&skin, traits("DX", "")).is_some());
    // Of several kinds all have to be excluded, and "none of these" never is.
    let two = for_kinds(&["chest radiograph", "brain MRI"]);
    assert_eq!(reason(&two, traits("MR", "")), None);
    assert!(reason(&two, traits("MG", "BREAST")).is_some());
    let any = for_kinds(&["chest radiograph", "none of these"]);
    assert_eq!(reason(&any, traits("MG", "BREAST")), None);
}
