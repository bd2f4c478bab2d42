//! DICOM Structured Reports out of the library.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject, open_file};

use super::*;

const STUDY: &str = "1.2.826.0.1.3680043.8.498.13.1";
const INSTANCE: &str = "1.2.826.0.1.3680043.8.498.13.5.50784";

/// A home with the three images of a study of "Phantom^Related" in `in/`, classified.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("made");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/related");
    for name in ["ct1.dcm", "ct2.dcm", "ct3.dcm"] {
        fs::copy(fixtures.join(name), home.path().join("in").join(name)).expect("copied");
    }
    let output = classify(home.path(), &["in"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    home
}

fn export(home: &Path, arguments: &[&str]) -> Output {
    run(home, &[&["export", "--format", "sr"], arguments].concat())
}

/// The reports in a folder, by name.
fn reports(folder: &Path) -> Vec<DefaultDicomObject> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("read").path()).collect();
    paths.sort();
    let open =
        |path: PathBuf| open_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    paths.into_iter().map(open).collect()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.element(tag).expect("the attribute").to_str();
    value
        .expect("text")
        .trim_end_matches([' ', '\0'])
        .to_owned()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    let element = object.element_opt(tag).expect("read");
    element
        .and_then(|element| element.items())
        .unwrap_or_default()
}

/// The meaning of a coded entry.
fn meaning(object: &InMemDicomObject, tag: Tag) -> String {
    text(&items(object, tag)[0], tags::CODE_MEANING)
}

/// The content items in an item, each as `RELATION KIND name = value`.
fn tree(object: &InMemDicomObject) -> Vec<String> {
    let mut lines = Vec::new();
    for item in items(object, tags::CONTENT_SEQUENCE) {
        let kind = text(item, tags::VALUE_TYPE);
        let value = match kind.as_str() {
            "CODE" => meaning(item, tags::CONCEPT_CODE_SEQUENCE),
            "TEXT" => text(item, tags::TEXT_VALUE),
            "UIDREF" => text(item, tags::UID),
            "NUM" => text(
                &items(item, tags::MEASURED_VALUE_SEQUENCE)[0],
                tags::NUMERIC_VALUE,
            ),
            "SCOORD" => {
                let data = item.element(tags::GRAPHIC_DATA).expect("coordinates");
                let data = data.to_multi_float32().expect("numbers");
                format!("{} {data:?}", text(item, tags::GRAPHIC_TYPE))
            }
            "PNAME" => text(item, tags::PERSON_NAME),
            "IMAGE" => text(
                &items(item, tags::REFERENCED_SOP_SEQUENCE)[0],
                tags::REFERENCED_SOP_INSTANCE_UID,
            ),
            _ => String::new(),
        };
        let relation = text(item, tags::RELATIONSHIP_TYPE);
        let name = meaning(item, tags::CONCEPT_NAME_CODE_SEQUENCE);
        lines.push(format!("{relation} {kind} {name} = {value}"));
        lines.extend(tree(item).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

#[test]
fn a_report_says_what_the_model_says_of_an_image_and_on_what_it_rests() {
    let home = home();
    let output = export(
        home.path(),
        &["in/ct1.dcm", "--output", "out", "--show-phi"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = &lines(&run(home.path(), &["export", "in/ct1.dcm"]))[0];
    let [report] = &reports(&home.path().join("out"))[..] else {
        panic!("one report")
    };
    let tree = tree(report);
    let has = |line: &str| assert!(tree.iter().any(|of| of == line), "{line}: {tree:#?}");
    has("HAS OBS CONTEXT CODE Observer Type = Device");
    has("HAS OBS CONTEXT TEXT Device Observer Name = medivision-tui");
    has("    HAS CONCEPT MOD TEXT Algorithm Name = medivision-tui");
    for name in [
        "model",
        "model_digest",
        "prompts",
        "prompts_digest",
        "mode",
        "device",
    ] {
        let value = result[name].as_str().expect("text");
        has(&format!(
            "    HAS CONCEPT MOD TEXT Algorithm Parameters = {name}={value}"
        ));
    }
    let label = result["label"].as_str().expect("a label");
    has(&format!("    CONTAINS CODE Finding = {label}"));
    has(&format!(
        "    CONTAINS IMAGE Source of Measurement = {INSTANCE}"
    ));
    let decision = result["decision"].as_str().expect("a decision");
    has(&format!("    CONTAINS CODE Decision = {decision}"));
    has("  CONTAINS TEXT Comment = Research use only; not a diagnosis.");
    has("  CONTAINS TEXT Comment = Synthetic images, of no patient.");
    // Each score is beside the condition that it is about.
    for score in result["scores"].as_array().expect("scores") {
        let condition = score["condition"].as_str().expect("a name");
        let about = format!("      HAS CONCEPT MOD CODE Finding = {condition}");
        let at = tree
            .iter()
            .position(|line| *line == about)
            .expect("the condition");
        let (name, value) = tree[at - 1].rsplit_once(" = ").expect("a value");
        let meaning = match result["calibrated"].as_bool() {
            Some(true) => "Probability, calibrated",
            _ => "Score, not calibrated",
        };
        assert_eq!(name, format!("    CONTAINS NUM {meaning}"));
        let value: f64 = value.parse().expect("a number");
        let expected = score["probability"].as_f64().expect("a number");
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }
    assert_eq!(text(report, tags::PATIENT_NAME), "Phantom^Related");
    assert_eq!(text(report, tags::PATIENT_ID), "PHANTOM-13");
    assert_eq!(text(report, tags::STUDY_INSTANCE_UID), STUDY);
    assert_eq!(text(report, tags::VERIFICATION_FLAG), "UNVERIFIED");
}

#[test]
fn a_review_is_the_observation_of_a_person_beside_that_of_the_program() {
    let home = home();
    fs::write(
        home.path().join("labels.csv"),
        "path,label\nin/ct1.dcm,tumor\n",
    )
    .expect("written");
    let import = ["reviews", "import", "labels.csv", "--reviewer", "Ana Ruiz"];
    let imported = run(home.path(), &import);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let output = export(home.path(), &["in", "--output", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let trees: Vec<_> = reports(&home.path().join("out"))
        .iter()
        .map(|of| tree(of))
        .collect();
    let count = |tree: &[String], line: &str| tree.iter().filter(|of| of.trim() == line).count();
    let person = "HAS OBS CONTEXT CODE Observer Type = Person";
    assert_eq!(
        trees
            .iter()
            .map(|tree| count(tree, person))
            .collect::<Vec<_>>(),
        [1, 0, 0]
    );
    assert_eq!(
        count(&trees[0], "CONTAINS CODE Finding = tumor"),
        1,
        "{:#?}",
        trees[0]
    );
    let filtered = |filter: &str| {
        let arguments = ["export", "--filter", filter, "--reviewer", "Ana Ruiz"];
        lines(&run(home.path(), &arguments)).len()
    };
    assert_eq!(
        (
            filtered("reviewed"),
            filtered("!reviewed"),
            filtered("review:tum")
        ),
        (1, 2, 1)
    );
}

#[test]
fn measurements_are_numbers_of_a_person_with_the_coordinates_of_their_figures() {
    let home = home();
    let library = home
        .path()
        .join(".local/share/medivision-tui/library.sqlite3");
    let library = rusqlite::Connection::open(library).expect("a library");
    let mut insert = library
        .prepare(
            "INSERT INTO measurements (key, content, frame, kind, points, measured, unit, author, at)
             SELECT ?1, content, 0, ?2, ?3, ?4, 'HU', ?5, '2026-01-31T10:00:00Z' FROM files WHERE path LIKE '%ct1.dcm'",
        )
        .expect("a statement");
    for (key, kind, points, measured, author) in [
        (
            "a",
            "length",
            "[[0.5,1.5],[4.5,1.5]]",
            r#"{"length":{"value":2.8,"unit":"millimetres"}}"#,
            "Ana Ruiz",
        ),
        (
            "b",
            "ellipse",
            "[[1.5,2.5],[5.5,12.5]]",
            r#"{"area":{"value":31.4,"unit":"at_detector"},
                "statistics":{"pixels":12,"mean":-3.5,"deviation":0.25,"min":-9.0,"max":7.0}}"#,
            "bo",
        ),
    ] {
        insert
            .execute([key, kind, points, measured, author])
            .expect("inserted");
    }
    let tree_of = |arguments: &[&str]| {
        let all = [&["in/ct1.dcm", "--output", "out"], arguments].concat();
        let output = export(home.path(), &all);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        tree(&reports(&home.path().join("out"))[0])
    };
    let all = tree_of(&["--show-phi"]);
    for expected in [
        "    HAS OBS CONTEXT TEXT Tracking Identifier = length 1 by Ana Ruiz",
        "    HAS OBS CONTEXT PNAME Person Observer Name = Ana Ruiz",
        "    CONTAINS NUM Length = 2.8",
        "      INFERRED FROM SCOORD Source of Measurement = POLYLINE [0.5, 1.5, 4.5, 1.5]",
        &format!("        SELECTED FROM IMAGE Source of Measurement = {INSTANCE}"),
        "    HAS OBS CONTEXT PNAME Person Observer Name = bo",
        // The longer axis first.
        "    CONTAINS SCOORD Image Region = ELLIPSE [3.5, 2.5, 3.5, 12.5, 1.5, 7.5, 5.5, 7.5]",
        &format!("      SELECTED FROM IMAGE Source Image = {INSTANCE}"),
        "    CONTAINS NUM Area = 31.4",
        "      HAS CONCEPT MOD CODE Measurement Method = at the detector, where what lies before it is magnified",
        "    CONTAINS NUM Attenuation Coefficient = -3.5",
        "      HAS CONCEPT MOD CODE Derivation = Mean",
        "    CONTAINS NUM Attenuation Coefficient = 0.25",
        "      HAS CONCEPT MOD CODE Derivation = Standard Deviation",
    ] {
        assert!(
            all.iter().any(|line| line == expected),
            "{expected}: {all:#?}"
        );
    }
    let blind = tree_of(&["--blind", "--reviewer", "Ana Ruiz"]);
    let says = |words: &str| blind.iter().any(|line| line.contains(words));
    assert!(says("length 1 by Ana Ruiz") && !says("by bo"), "{blind:#?}");
    assert!(!says(INSTANCE), "UIDs are replaced without --show-phi");
    let rows = ["--what", "measurements", "--blind", "--reviewer", "bo"];
    let rows = lines(&run(home.path(), &[&["export"], &rows[..]].concat()));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["author"], "bo");
}

#[test]
fn patient_and_study_are_left_out_and_uids_replaced_unless_asked_for() {
    let home = home();
    for arguments in [
        &["--output", "out"][..],
        &["--output", "studies", "--per", "study"],
    ] {
        let output = export(home.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let folder = home.path().join(arguments[1]);
        for report in reports(&folder) {
            for tag in [
                tags::PATIENT_NAME,
                tags::PATIENT_ID,
                tags::PATIENT_BIRTH_DATE,
                tags::PATIENT_SEX,
                tags::STUDY_DATE,
                tags::ACCESSION_NUMBER,
                tags::STUDY_ID,
            ] {
                assert_eq!(text(&report, tag), "", "{tag}");
            }
            assert_eq!(text(&report, tags::PATIENT_IDENTITY_REMOVED), "YES");
        }
        for entry in fs::read_dir(&folder).expect("a folder") {
            let bytes = fs::read(entry.expect("read").path()).expect("read");
            let text = String::from_utf8_lossy(&bytes);
            for secret in ["Related", "PHANTOM", "1.2.826.0.1.3680043.8.498.13"] {
                assert!(!text.contains(secret), "{secret}");
            }
        }
    }
    let reports = reports(&home.path().join("out"));
    assert_eq!(reports.len(), 3);
    let study = text(&reports[0], tags::STUDY_INSTANCE_UID);
    assert!(
        reports
            .iter()
            .all(|of| text(of, tags::STUDY_INSTANCE_UID) == study)
    );
    let instances: std::collections::HashSet<_> = reports
        .iter()
        .map(|of| text(of, tags::SOP_INSTANCE_UID))
        .collect();
    assert_eq!(instances.len(), 3);
}

#[test]
fn a_report_per_study_has_all_images_as_its_evidence() {
    let home = home();
    let arguments = ["--output", "out", "--per", "study", "--show-phi"];
    let output = export(home.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let [report] = &reports(&home.path().join("out"))[..] else {
        panic!("one report")
    };
    let sources = tree(report);
    let sources = sources.iter().filter(|line| line.contains("IMAGE Source"));
    assert_eq!(sources.count(), 3);
    let evidence = items(report, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    let series = items(&evidence[0], tags::REFERENCED_SERIES_SEQUENCE);
    let instances = items(&series[0], tags::REFERENCED_SOP_SEQUENCE);
    assert_eq!((evidence.len(), series.len(), instances.len()), (1, 1, 3));
}

#[test]
fn the_same_results_make_the_same_report_and_what_cannot_have_one_is_named() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    picture(&at("in/a.png"), 20);
    assert_eq!(classify(home.path(), &["in/a.png"]).status.code(), Some(0));
    let first = export(home.path(), &["--output", "out"]);
    assert_eq!(first.status.code(), Some(1), "{}", stderr(&first));
    let said = stderr(&first);
    assert!(said.contains("a.png: not DICOM"), "{said}");
    assert!(said.contains("3 reports in out, 1 image failed"), "{said}");
    let bytes = |folder: &str| -> Vec<Vec<u8>> {
        let mut paths: Vec<_> = fs::read_dir(at(folder)).expect("a folder").collect();
        paths.sort_by_key(|entry| entry.as_ref().expect("read").path());
        let paths = paths.into_iter().map(|entry| entry.expect("read").path());
        paths.map(|path| fs::read(path).expect("read")).collect()
    };
    let before = bytes("out");
    let again = export(
        home.path(),
        &["in/ct1.dcm", "in/ct2.dcm", "in/ct3.dcm", "--output", "out"],
    );
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(
        stderr(&again).contains("3 replaced an older one"),
        "{}",
        stderr(&again)
    );
    assert_eq!(bytes("out"), before);

    // Another image under the name, and none at all.
    fs::copy(at("in/ct3.dcm"), at("in/ct1.dcm")).expect("copied");
    fs::remove_file(at("in/ct2.dcm")).expect("removed");
    let changed = export(home.path(), &["--output", "later"]);
    assert_eq!(changed.status.code(), Some(1));
    let said = stderr(&changed);
    assert!(said.contains("ct1.dcm: it has changed since"), "{said}");
    assert!(said.contains("ct2.dcm: "), "{said}");
    assert_eq!(bytes("later").len(), 1);

    for arguments in [
        &["--format", "sr"][..],
        &["--format", "csv", "--per", "study"],
    ] {
        let wrong = run(home.path(), &[&["export"], arguments].concat());
        assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    }
}
