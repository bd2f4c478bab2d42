use super::*;
use crate::media::anatomy::{self, BodyRegion};

const MINIMAL: &str = r#"
name = "t"
[[condition]]
name = "a"
phrases = ["one"]
[[condition]]
name = "b"
phrases = ["two"]
"#;

#[test]
fn keys_that_are_left_out_have_defaults() {
    let set = PromptSet::parse(MINIMAL, "t.toml").unwrap();
    assert_eq!((set.min_probability, set.min_margin), (0.7, 0.2));
    assert_eq!(set.templates, ["{}"]);
    assert_eq!(set.title, "t");
}

#[test]
fn errors_name_file_line_and_reason() {
    let cases = [
        ("name = \"t\"\n", None, "at least two"),
        ("name = \"t\"\ncolour = 1\n", Some(2), "colour"),
        (
            "name = \"t\"\ntemplates = [\"x\"]\n[[condition]]\nname=\"a\"\nphrases=[\"p\"]\n[[condition]]\nname=\"b\"\nphrases=[\"p\"]\n",
            Some(2),
            "`{}` once",
        ),
        (
            "name = \"t\"\n[[condition]]\nname = \"a\"\nphrases = []\n",
            Some(4),
            "at least one phrase",
        ),
        (
            "name = \"t\"\n[[condition]]\nname = \"a\"\nphrases = [\" \"]\n",
            Some(4),
            "empty",
        ),
        (
            "name = \"t\"\n[[condition]]\nname = \"a\"\nphrases = [\"x\"]\n[[condition]]\nname = \"a\"\nphrases = [\"y\"]\n",
            Some(6),
            "twice",
        ),
        (
            "name = \"t\"\nmin_margin = 2.0\n[[condition]]\nname=\"a\"\nphrases=[\"p\"]\n[[condition]]\nname=\"b\"\nphrases=[\"p\"]\n",
            Some(2),
            "between 0 and 1",
        ),
        ("name = \"t\n", Some(1), ""),
    ];
    for (text, line, reason) in cases {
        let error = PromptSet::parse(text, "t.toml").unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(error.to_string().starts_with("t.toml"), "{error}");
    }
}

#[test]
fn all_errors_in_a_file_are_reported_from_the_top() {
    let text = "nam = \"x\"\nname = \"t\"\nmin_margin = 2\ntemplates = [\"x\", 3]\n\
                [[condition]]\nname = \"a\"\nphrase = [\"p\"]\nnormal = 1\n\
                [[condition]]\nname = \"a\"\nphrases = \"p\"\nabsent = [\"\\u001b[2J\"]\n";
    let error = PromptSet::parse(text, "t.toml").unwrap_err();
    let told: Vec<_> = error.all().map(ToString::to_string).collect();
    let expected = [
        "t.toml:1: unknown key `nam`; did you mean `name`?",
        "t.toml:3: min_margin must be between 0 and 1",
        "t.toml:4: the template `x` must contain `{}` once, where the phrase goes",
        "t.toml:4: a template must be a string",
        "t.toml:5: the condition `a` needs at least one phrase",
        "t.toml:7: unknown key `phrase`; did you mean `phrases`?",
        "t.toml:8: normal must be true or false",
        "t.toml:10: the condition `a` is given twice",
        "t.toml:11: phrases must be a list",
        "t.toml:12: an absent phrase contains a control character",
    ];
    assert_eq!(told, expected);
    // If the syntax is wrong, only that is reported.
    let error = PromptSet::parse("name = \"a\nx = ?\n", "t.toml").unwrap_err();
    assert!(error.all().count() >= 2, "{error:?}");
    assert!(error.all().all(|fault| fault.line.is_some()), "{error:?}");
}

#[test]
fn only_regular_files_of_reasonable_size_are_read() {
    for path in ["/dev/zero", "/dev/tty", "/"] {
        let error = PromptSet::read(std::path::Path::new(path)).unwrap_err();
        assert!(error.reason.contains("not a file"), "{error}");
    }
}

#[test]
fn the_built_in_sets_are_complete() {
    let sets = all(None).unwrap();
    let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "general",
            "chest-xray",
            "brain-mri",
            "bone-xray",
            "mass",
            "fracture-mass",
            "kinds"
        ]
    );
    let general: Vec<_> = sets[0].conditions.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(general, ["pneumonia", "tumor", "fracture", "normal"]);
    let (kinds, findings) = sets.split_last().unwrap();
    assert_eq!(kinds.without_absent(), Vec::<&str>::new());
    assert!(kinds.is_exhaustive() && *kinds == super::kinds().unwrap());
    for kind in findings.iter().flat_map(|set| &set.kinds) {
        let is_named = kinds.conditions.iter().any(|own| own.name == *kind);
        assert!(is_named, "{kind}");
    }
    for set in findings {
        assert_eq!(set.without_absent(), Vec::<&str>::new(), "{}", set.name);
        assert_eq!(
            set.conditions.iter().filter(|c| c.normal).count(),
            1,
            "{}",
            set.name
        );
        assert!(
            set.conditions.iter().all(|c| !c.description.is_empty()),
            "{}",
            set.name
        );
    }
}

/// The set that `auto` chooses, and what it asks for.
fn chosen(modality: &str, body_part: &str, seen: &str) -> (String, Vec<String>) {
    let auto = Prompts::select("auto", None).unwrap();
    let value = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let attributes = ImageTraits {
        modality: value(modality),
        body_part: value(body_part),
        station: None,
        kind: None,
    };
    let kind = attributes.kind_by_attributes().or(value(seen));
    let set = &auto.sets()[auto.choose(attributes.with_kind(kind))];
    let names = set.conditions.iter().map(|own| own.name.clone());
    (set.name.clone(), names.collect())
}

#[test]
fn auto_picks_by_modality_and_body_part_else_by_kind_else_general() {
    for (modality, body_part, seen, set) in [
        ("DX", "CHEST", "", "chest-xray"),
        ("CR", "chest ", "", "chest-xray"),
        ("MR", "HEAD", "", "brain-mri"),
        ("MR", "", "brain MRI", "brain-mri"),
        ("DX", "EXTREMITY", "", "bone-xray"),
        ("DX", "LEFT KNEE", "", "bone-xray"),
        ("CT", "", "", "general"),
        ("CT", "CHEST", "", "general"),
        ("CT", "WHOLE BODY", "", "general"),
        ("CR", "", "", "general"),
        ("", "", "", "general"),
        // What says nothing contradicts nothing.
        ("SC", "", "chest radiograph", "chest-xray"),
        ("OT", "UNKNOWN", "chest radiograph", "chest-xray"),
        ("RG", "", "chest radiograph", "chest-xray"),
        ("RG", "CHEST", "", "chest-xray"),
        ("DX", "LUNG", "", "chest-xray"),
        ("DX", "THORAX", "", "chest-xray"),
        ("CR", "CHEST_PA", "", "chest-xray"),
        ("SC", "", "ultrasound", "mass"),
        ("SC", "", "", "general"),
        ("MR", "", "", "general"),
        ("MR", "CHEST", "", "general"),
        ("PT", "", "", "general"),
        ("CR", "ORTHO", "chest radiograph", "chest-xray"),
        // What says something does.
        ("MR", "BREAST", "brain MRI", "kinds"),
        ("CT", "", "chest radiograph", "general"),
    ] {
        let (found, _) = chosen(modality, body_part, seen);
        assert_eq!(found, set, "{modality} {body_part} {seen}");
    }
}

#[test]
fn of_sets_that_suit_alike_the_users_own_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str, keys: &str| {
        let conditions = "[[condition]]\nname=\"a\"\nphrases=[\"x\"]\n[[condition]]\nname=\"b\"\nphrases=[\"y\"]\n";
        let text = format!("name=\"{name}\"\n{keys}\n{conditions}");
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    };
    own(
        "ward",
        "modalities=[\"CR\",\"DX\"]\nbody_parts=[\"CHEST\"]\nkinds=[\"chest radiograph\"]",
    );
    own("films", "modalities=[\"CR\",\"DX\"]");
    let auto = Prompts::select("auto", Some(folder.path())).unwrap();
    let chosen = |modality, body_part, kind| {
        let image = ImageTraits {
            modality,
            body_part,
            station: None,
            kind,
        };
        auto.sets()[auto.choose(image)].name.clone()
    };
    assert_eq!(chosen(Some("DX"), Some("CHEST"), None), "ward");
    assert_eq!(chosen(None, None, Some("chest radiograph")), "ward");
    // What names the body part, too, is for the image more than what names the modality alone.
    assert_eq!(chosen(Some("DX"), Some("KNEE"), None), "bone-xray");
    assert_eq!(chosen(Some("DX"), None, None), "films");
}

#[test]
fn whatever_a_file_calls_itself_one_set_tells_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let text = built_in_text(KINDS).unwrap();
    let renamed = text.replacen("name = \"kinds\"", "name = \"my kinds\"", 1);
    assert_ne!(renamed, text);
    std::fs::write(folder.path().join("kinds.toml"), renamed).unwrap();
    let findings = "name=\"kinds\"\n[[condition]]\nname=\"a\"\nphrases=[\"x\"]\n[[condition]]\nname=\"b\"\nphrases=[\"y\"]\nnormal=true\n";
    std::fs::write(folder.path().join("loop.toml"), findings).unwrap();
    let auto = Prompts::select("auto", Some(folder.path())).unwrap();
    let kinds = &auto.sets()[auto.kinds().expect("one")];
    assert!(kinds.file.is_none() && kinds.tells_kinds());
}

#[test]
fn auto_asks_for_no_condition_that_an_image_cannot_show() {
    let tumor = ["tumor", "normal"];
    for (modality, body_part, seen, offered) in [
        ("", "", "ultrasound", &tumor[..]),
        ("US", "", "", &tumor),
        ("US", "CHEST", "", &tumor),
        ("US", "BREAST", "", &tumor),
        ("MG", "BREAST", "chest radiograph", &tumor),
        ("MG", "", "", &tumor),
        ("MR", "KNEE", "brain MRI", &["fracture", "tumor", "normal"]),
        ("CT", "HEAD", "", &["fracture", "tumor", "normal"]),
        ("CR", "CSPINE", "", &["fracture", "tumor", "normal"]),
        ("MR", "BRAIN", "", &tumor),
    ] {
        let (_, found) = chosen(modality, body_part, seen);
        assert_eq!(found, offered, "{modality} {body_part} {seen}");
    }
    // Nothing is left to choose from: the kind alone is told.
    for modality in ["XC", "SEG", "RTDOSE", "OP", "ES"] {
        assert_eq!(chosen(modality, "", "").0, "kinds", "{modality}");
    }
    assert_eq!(chosen("MR", "BREAST", "").0, "kinds");
}

#[test]
fn attributes_tell_kinds_and_exclude_them() {
    let image = |modality, body_part| ImageTraits {
        modality: Some(modality),
        body_part: Some(body_part),
        station: None,
        kind: None,
    };
    let bone = Prompts::select("bone-xray", None).unwrap();
    for part in &bone.sets()[0].body_parts {
        let kind = image("DX", part).kind_by_attributes();
        assert_eq!(kind, Some("limb radiograph"), "{part}");
    }
    for (modality, part) in [("DX", "ABDOMEN"), ("XC", "SKIN"), ("MR", "KNEE")] {
        assert_eq!(image(modality, part).kind_by_attributes(), None);
    }
    let chest = "chest radiograph";
    for (modality, part) in [("", ""), ("SC", "OTHER"), ("RG", "n/a"), ("DX", "CHEST AP")] {
        let image = image(modality, part);
        assert!(!image.contradicts_kind(chest), "{modality} {part}");
    }
    for (modality, part) in [("MR", ""), ("MG", ""), ("CR", "CSPINE"), ("SC", "KNEE")] {
        let image = image(modality, part);
        assert!(image.contradicts_kind(chest), "{modality} {part}");
        assert!(!image.contradicts_kind("none of these"));
    }
    assert!(image("RG", "").contradicts_kind("brain MRI"));
}

#[test]
fn the_shipped_sets_list_the_terms_of_their_regions_and_only_terms() {
    use BodyRegion::{Bones, Brain, Chest, Limb, Thorax, Trunk};
    let sets = all(None).unwrap();
    let regions_of = |name: &str| -> &[BodyRegion] {
        match name {
            "general" => &[Chest, Thorax, Trunk],
            "chest-xray" => &[Chest],
            "brain-mri" => &[Brain],
            "bone-xray" => &[Limb],
            "fracture-mass" => &[Brain, Bones, Limb],
            _ => &[],
        }
    };
    for set in sets {
        let listed = set.body_parts.iter().map(|term| {
            let part = anatomy::body_part(term).filter(|part| part.term == term);
            part.unwrap_or_else(|| panic!("{}: {term} is not a term", set.name))
        });
        let listed: Vec<_> = listed.collect();
        for part in anatomy::body_parts() {
            let is_meant = regions_of(&set.name).contains(&part.region);
            let is_listed = listed.iter().any(|own| own.is_same(part));
            assert_eq!(is_listed, is_meant, "{}: {}", set.name, part.term);
        }
    }
    // Each term is of one region, so of these kinds an image is of one, too.
    for part in anatomy::body_parts() {
        let traits = ImageTraits {
            modality: Some("DX"),
            body_part: Some(part.term),
            ..ImageTraits::default()
        };
        let kind = match part.region {
            Chest => Some("chest radiograph"),
            Limb => Some("limb radiograph"),
            _ => None,
        };
        assert_eq!(traits.kind_by_attributes(), kind, "{}", part.term);
        for own in ["chest radiograph", "limb radiograph"] {
            let may_be = kind == Some(own)
                || part.region == BodyRegion::Unspecific
                || (part.region == Thorax && own == "chest radiograph");
            assert_eq!(
                traits.contradicts_kind(own),
                !may_be,
                "{}: {own}",
                part.term
            );
        }
    }
}

#[test]
fn words_of_side_and_view_do_not_change_what_is_asked() {
    for (modalities, values, set) in [
        (
            "CT MR",
            "KNEE|LEFT KNEE|KNEE RIGHT|KNEE_R|RIGHT HAND|LEFT FOOT|RIGHT SHOULDER|LOWER EXTREMITY|UPPERARM|LOWERLEG|PATELLA|KNEES",
            "fracture-mass",
        ),
        (
            "CR DX RG DR",
            "KNEE|LEFT KNEE|RIGHT HAND|PATELLA|SCAPULA|CALF|THUMB|UPPER LIMB|LOWER LIMB|LOW_EXM|UP_EXM|HANDS|FEET",
            "bone-xray",
        ),
        (
            "CR DX RG DR CT MR",
            "SPINE|LSPINE|CSPINE|LUMBAR SPINE|CERVICAL SPINE|L SPINE|WHOLE SPINE|C-SPINE|HEADNECK|HEAD AND NECK|HEAD_NECK|\
             ABDOMENPELVIS|ABDOMEN PELVIS|PELVIS HIP|TMJ|ZYGOMA|SINUS|PARANASAL SINUS|FACIAL BONES",
            "fracture-mass",
        ),
        (
            "CR DX RG DR",
            "CHEST|THORAX|LUNG|CHEST_PA|CHEST WALL|THORAX AP",
            "chest-xray",
        ),
        (
            "CR DX RG DR CT MR",
            "CHESTABDOMEN|CHEST ABDOMEN|CHEST ABDOMEN PELVIS|WHOLEBODY|WHOLE BODY|RIB|RIBS|STERNUM|MEDIASTINUM|NECKCHEST|THORAX ABDOMEN",
            "general",
        ),
        (
            "MR",
            "HEAD|BRAIN|BRAIN W CONTRAST|INTRACRANIAL|CEREBELLUM",
            "brain-mri",
        ),
        ("CT DX", "HEAD|BRAIN|SKULL", "fracture-mass"),
        (
            "DX CT MR",
            "BREAST LEFT|LIVER|KIDNEY|PROSTATE|TOOTH|ABDOMINALAORTA",
            "kinds",
        ),
        // Of no standard: nothing is known.
        (
            "DX CT MR",
            "GENOU|KNIE|UNKNOWN|OTHER|NEPHROLOGY|胸部",
            "general",
        ),
    ] {
        for modality in modalities.split(' ') {
            for body_part in values.split('|') {
                let (found, _) = chosen(modality, body_part, "");
                assert_eq!(found, set, "{modality} {body_part}");
            }
        }
    }
}

#[test]
fn the_body_parts_of_users_sets_are_compared_by_words() {
    let image = |body_part| ImageTraits {
        body_part: Some(body_part),
        ..ImageTraits::default()
    };
    for (listed, value, has, contradicts) in [
        ("KNEE", "LEFT KNEE", true, false),
        ("knee", "Knee_r", true, false),
        ("LEFT KNEE", "KNEE L", true, false),
        ("LEFT KNEE", "RIGHT KNEE", false, true),
        ("LUMBAR SPINE", "LSPINE", true, false),
        ("CHEST", "THORAX", true, false),
        ("CHEST", "RIB", false, false),
        ("CHEST", "CHEST ABDOMEN", false, true),
        ("HEAD", "HEADNECK", false, true),
        ("ORTHO", "ORTHO 3", true, false),
        ("ORTHO", "LEG ORTHO", true, false),
        ("ORTHO", "LEG", false, true),
        ("ORTHO", "ORTHOPEDICS", false, false),
        ("KNEE", "JOINT", false, false),
        ("KNEE", "", false, false),
    ] {
        let traits = image(value);
        let found = (
            traits.has_body_part(&[listed]),
            traits.contradicts_body_parts(&[listed]),
        );
        assert_eq!(found, (has, contradicts), "{listed}: {value}");
        let criteria = ImageCriteria {
            body_part: vec![listed.to_owned()],
            ..ImageCriteria::default()
        };
        assert_eq!(criteria.admit(traits), has, "{listed}: {value}");
    }
    let none: [&str; 0] = [];
    assert!(image("KNEE").has_body_part(&none) && !image("KNEE").contradicts_body_parts(&none));
}

#[test]
fn the_digest_is_of_what_is_scored() {
    let digest = |head: &str| {
        let text = format!(
            "name = \"t\"\n{head}{}",
            MINIMAL.replace("name = \"t\"\n", "")
        );
        let set = PromptSet::parse(&text, "t.toml").unwrap();
        (set.digest.clone(), set)
    };
    let (plain, without) = digest("");
    for head in [
        "modalities = [\"CR\"]\n",
        "  body_parts = [\n  \"KNEE\", # both\n]  \nkinds = []\n",
        "kinds = [\"CT slice\"]\nmodalities = []\r\n",
    ] {
        assert_eq!(digest(head).0, plain, "{head}");
    }
    let (_, with) = digest("modalities = [\"CR\"]\n");
    assert!(!with.has_content_of(&without) && with.has_content_of(&with));
    for head in [
        "title = \"T\"\n",
        "min_margin = 0.1\n",
        "templates = [\"a {}\"]\n",
        "# x\n",
    ] {
        assert_ne!(digest(head).0, plain, "{head}");
    }
}

#[test]
fn the_first_rule_for_an_image_chooses_its_set_and_others_are_as_without_rules() {
    let set = |name: &str| Prompts::select(name, None).unwrap().sets()[0].clone();
    let criteria = |modality: &str, station: &str| {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect();
        ImageCriteria {
            modality: list(modality),
            station: if station.is_empty() {
                Vec::new()
            } else {
                list(station)
            },
            ..ImageCriteria::default()
        }
    };
    for (name, otherwise, of_head) in [
        ("general", "general", "general"),
        ("auto", "brain-mri", "kinds"),
    ] {
        let prompts = Prompts::select(name, None)
            .unwrap()
            .with_rule(criteria("MR", "ORTHO"), set("bone-xray"))
            .with_rule(criteria("MR DX", "ORTHO CHEST"), set("chest-xray"));
        let pick = |modality, station| {
            let image = ImageTraits {
                modality,
                body_part: Some("HEAD"),
                station,
                kind: None,
            };
            prompts.sets()[prompts.choose(image)].name.as_str()
        };
        assert_eq!(pick(Some("MR"), Some("ortho")), "bone-xray");
        assert_eq!(pick(Some("DX"), Some("ortho")), "chest-xray");
        assert_eq!(pick(Some("MR"), Some("CHEST")), "chest-xray");
        assert_eq!(pick(Some("MR"), None), otherwise);
        assert_eq!(pick(None, Some("ORTHO")), of_head);
        assert_eq!(prompts.name(), name);
        let names = prompts.sets().iter().map(|set| &set.name);
        let distinct: std::collections::BTreeSet<_> = names.collect();
        assert_eq!(distinct.len(), prompts.sets().len());
    }
}

#[test]
fn an_edited_set_takes_the_place_of_the_built_in_one_and_leaves_the_rest() {
    let set = |name: &str| Prompts::select(name, None).unwrap().sets()[0].clone();
    let criteria = ImageCriteria {
        modality: vec!["MR".to_owned()],
        ..ImageCriteria::default()
    };
    let prompts = Prompts::only(set("general")).with_rule(criteria, set("bone-xray"));
    let edited = PromptSet {
        file: Some("/home/u/bone-xray.toml".into()),
        digest: "new".to_owned(),
        ..set("bone-xray")
    };
    let replaced = prompts.replacing(&edited).expect("a set of this name");
    assert_eq!(replaced.sets(), [set("general"), edited.clone()]);
    assert_eq!(replaced.name(), "general");
    // One with a file of its own is not another version of it.
    assert_eq!(replaced.replacing(&edited), None);
    assert_eq!(prompts.replacing(&set("brain-mri")), None);
}

#[test]
fn a_users_file_replaces_the_built_in_set_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("general.toml"), MINIMAL).unwrap();
    let prompts = Prompts::select("general", Some(folder.path())).unwrap();
    assert_eq!(prompts.sets()[0].conditions.len(), 2);
    assert!(prompts.sets()[0].file.is_some());
    let error = Prompts::select("nothing", Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
}

#[test]
fn every_phrase_is_inserted_into_every_template() {
    let mut set = PromptSet::parse(MINIMAL, "t.toml").unwrap();
    set.templates = vec!["{}".into(), "a scan of {}".into()];
    let texts = set.texts(&["x".into(), "y".into()]);
    assert_eq!(texts, ["x", "y", "a scan of x", "a scan of y"]);
}
