use super::*;

fn condition(name: &str, phrases: &[&str], absent: &[&str]) -> Condition {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Condition {
        name: name.to_owned(),
        description: format!("About {name}."),
        phrases: owned(phrases),
        absent: owned(absent),
        normal: is_normal_name(name),
        other: false,
    }
}

#[test]
fn marks_of_lists_and_quotes_are_removed_and_numbers_in_a_finding_stay() {
    for (drafted, phrase) in [
        ("- hazy opacity.", "hazy opacity"),
        ("1. hazy   opacity", "hazy opacity"),
        ("2) “hazy opacity”", "hazy opacity"),
        ("• hazy\nopacity;", "hazy opacity"),
        ("3 cm round mass", "3 cm round mass"),
        ("0.5 mm calcification", "0.5 mm calcification"),
        ("hazy \u{1b}[31mopacity", "hazy [31mopacity"),
    ] {
        assert_eq!(clean_phrase(drafted), phrase);
    }
}

#[test]
fn what_says_nothing_to_a_model_is_left_out_with_its_reason() {
    let long = "word ".repeat(31);
    let pneumonia = condition(
        "pneumonia",
        &[
            "hazy patchy opacity",
            "Hazy, patchy opacity.",
            "no clear lungs",
            "lungs free of air",
            "signs of Pneumonia",
            "a pleural effusion",
            &long,
            " - ",
        ],
        &["clear lungs", "no opacity", "clear lungs"],
    );
    let effusion = condition(
        "pleural effusion",
        &["blunted costophrenic angle", "hazy patchy opacity"],
        &[],
    );
    let draft = DraftedPhrases::new(vec![pneumonia, effusion]);
    assert_eq!(
        draft.conditions[0].phrases,
        ["pneumonia", "hazy patchy opacity"]
    );
    assert_eq!(
        draft.conditions[0].absent,
        ["clear lungs", "no opacity"],
        "absence may negate"
    );
    assert_eq!(
        draft.conditions[1].phrases,
        ["pleural effusion", "blunted costophrenic angle"]
    );
    let faults: Vec<&PhraseFault> = draft.left_out.iter().map(|left| &left.fault).collect();
    assert!(
        matches!(
            faults[..],
            [
                PhraseFault::Repetition(_),
                PhraseFault::Negation(_),
                PhraseFault::Negation(_),
                PhraseFault::OwnName,
                PhraseFault::OtherName(_),
                PhraseFault::TooLong(31),
                PhraseFault::Repetition(_),
                PhraseFault::Repetition(_),
            ]
        ),
        "{faults:?}"
    );
}

#[test]
fn negations_are_found_however_they_are_worded_and_a_number_is_none() {
    for (phrase, word) in [
        ("cannot see the heart border", Some("cannot")),
        ("isn't clear lung", Some("isn't")),
        ("heart doesn’t touch the diaphragm", Some("doesn't")),
        ("lung free from air", Some("free from")),
        ("nothing seen in the lung", Some("nothing")),
        ("none of the fields is clear", Some("none")),
        ("no 3 mm nodule", Some("no")),
        ("the answer is no. An opacity", Some("no")),
        ("No. 3 rib notch", None),
        ("notch of rib no.3", None),
        ("Kerley’s lines at the base", None),
        ("nodular opacity", None),
    ] {
        assert_eq!(negation(phrase).as_deref(), word, "{phrase}");
    }
}

#[test]
fn what_is_said_of_a_phrase_that_names_its_condition_is_true() {
    let phrases = ["signs of pneumonia", "hazy opacity typical of pneumonia"];
    let draft = DraftedPhrases::new(vec![condition("pneumonia", &phrases, &[])]);
    assert_eq!(draft.left_out.len(), 2);
    for left in draft.left_out {
        assert_eq!(left.fault.to_string(), "it names the condition again");
    }
}

#[test]
fn the_healthy_condition_may_say_normal_and_keeps_a_phrase() {
    let draft = DraftedPhrases::new(vec![condition(
        "normal",
        &["normal heart size", "no opacity"],
        &[],
    )]);
    assert_eq!(draft.conditions[0].phrases, ["normal heart size"]);
    let draft = DraftedPhrases::new(vec![condition("normal", &["no opacity"], &[])]);
    assert_eq!(draft.conditions[0].phrases, ["normal"]);
    assert_eq!(draft.without_phrases(), ["normal"]);
}

#[test]
fn a_model_may_leave_out_more_but_no_name() {
    let mut draft = DraftedPhrases::new(vec![condition(
        "mass",
        &["round opacity", "a round opacity"],
        &["clear lung"],
    )]);
    let similar = |phrase: &str, kept: &[String]| {
        let other = kept.last().filter(|_| phrase == "a round opacity");
        let cosine = 0.97;
        Ok::<_, ()>(other.map(|other| PhraseFault::Similar {
            other: other.clone(),
            cosine,
        }))
    };
    draft.leave_out(similar).unwrap();
    assert_eq!(draft.conditions[0].phrases, ["mass", "round opacity"]);
    assert_eq!(
        draft.left_out[0].fault.to_string(),
        "to the model it is “round opacity” again (cosine 0.970)"
    );
    draft
        .leave_out(|_, _| Ok::<_, ()>(Some(PhraseFault::CutOff(77))))
        .unwrap();
    assert_eq!(draft.conditions[0].phrases, ["mass"]);
    assert_eq!(draft.conditions[0].absent, [""; 0]);
}

#[test]
fn a_modality_is_words_or_codes() {
    let of = |text: &str| {
        let modality = DraftModality::parse(text);
        (modality.words, modality.codes.join(" "))
    };
    assert_eq!(of("CR,DX"), ("X-ray".into(), "CR DX".into()));
    assert_eq!(of("CT, MR"), ("CT or MRI".into(), "CT MR".into()));
    assert_eq!(of("chest  X-ray"), ("chest X-ray".into(), String::new()));
    assert_eq!(of("chest CT"), ("chest CT".into(), String::new()));
    assert_eq!(of(""), (String::new(), String::new()));
}

#[test]
fn a_draft_replaces_the_phrases_of_its_conditions_only() {
    let base = super::super::Prompts::select("chest-xray", None).unwrap();
    let base = &base.sets()[0];
    let draft = DraftedPhrases::new(vec![
        condition("tumor", &["round opacity"], &["clear lung"]),
        condition("effusion", &["blunted angle"], &[]),
    ]);
    let set = draft.to_set("mine", &DraftModality::default(), Some(base));
    assert_eq!(
        (set.name.as_str(), &set.templates),
        ("mine", &base.templates)
    );
    assert_eq!(set.conditions[0], base.conditions[0]);
    assert_eq!(set.conditions[1].phrases, ["tumor", "round opacity"]);
    assert_eq!(
        set.conditions[1].description,
        base.conditions[1].description
    );
    assert_eq!(set.conditions.last().unwrap().name, "effusion");
}

#[test]
fn conditions_of_a_set_are_known_whatever_their_case_and_one_stays_healthy() {
    let mut base = crate::prompts::Prompts::select("chest-xray", None)
        .unwrap()
        .sets()[0]
        .clone();
    base.conditions.last_mut().unwrap().name = "Normal".to_owned();
    let named = ["Pneumonia", " healthy", "edema"].map(str::to_owned);
    assert_eq!(names_in(&base, &named), ["pneumonia", "Normal", "edema"]);
    let draft = DraftedPhrases::new(vec![
        condition("Pneumonia", &["patchy opacity"], &[]),
        condition("healthy", &["clear lungs"], &[]),
    ]);
    let set = draft.to_set("mine", &DraftModality::default(), Some(&base));
    assert_eq!(set.conditions.len(), base.conditions.len() + 1);
    assert_eq!(set.conditions[0].name, "pneumonia");
    assert_eq!(set.conditions[0].phrases, ["Pneumonia", "patchy opacity"]);
    let healthy = set.conditions.iter().filter(|condition| condition.normal);
    assert_eq!(healthy.count(), 1);
    assert!(PromptSet::parse(&set.to_toml(&[]), "mine.toml").is_ok());
}

#[test]
fn a_set_is_looked_at_as_a_draft_is_and_its_names_are_phrases() {
    let text = r#"
name = "ward"
[[condition]]
name = "pneumonia"
phrases = ["pneumonia", "severe pneumonia", "lungs without air", "hazy opacity", "Hazy opacity."]
absent = ["no pneumonia"]
[[condition]]
name = "normal"
phrases = ["normal", "clear lungs"]
normal = true
"#;
    let set = PromptSet::parse(text, "ward.toml").unwrap();
    let found: Vec<(String, PhraseFault)> = faults(&set)
        .into_iter()
        .map(|left| (left.phrase, left.fault))
        .collect();
    assert_eq!(
        found,
        [
            ("severe pneumonia".to_owned(), PhraseFault::OwnName),
            (
                "lungs without air".to_owned(),
                PhraseFault::Negation("without".to_owned())
            ),
            (
                "Hazy opacity".to_owned(),
                PhraseFault::Repetition("hazy opacity".to_owned())
            ),
        ]
    );
}
