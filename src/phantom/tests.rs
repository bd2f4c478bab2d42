//! What users of the demo and other tests rely on.

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;

use super::*;

const CELLS: [(Anatomy, PhantomCondition); 7] = [
    (Anatomy::Chest, PhantomCondition::Normal),
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Chest, PhantomCondition::Tumor),
    (Anatomy::Head, PhantomCondition::Normal),
    (Anatomy::Head, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Normal),
    (Anatomy::Limb, PhantomCondition::Fracture),
];

fn plan(cell: usize, seed: u64, side: u32) -> Plan {
    let (anatomy, condition) = CELLS[cell];
    Plan {
        anatomy,
        condition,
        seed,
        width: side,
        height: side,
        level: 0.0,
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_seed_gives_the_same_pixels_on_every_machine() {
    let mut digest = blake3::Hasher::new();
    for cell in 0..CELLS.len() {
        digest.update(&draw(&plan(cell, 7, 96)).to_luma8());
    }
    // Changes only when the drawing code does; the built-in model must then be trained again.
    assert_eq!(&digest.finalize().to_hex()[..16], "f44540c40e9f4125");
}

#[test]
fn seeds_and_conditions_change_the_image() {
    for cell in 0..CELLS.len() {
        assert_ne!(draw(&plan(cell, 1, 64)), draw(&plan(cell, 2, 64)));
    }
    assert_ne!(draw(&plan(0, 3, 64)).values, draw(&plan(1, 3, 64)).values);
    assert_ne!(draw(&plan(3, 3, 64)).values, draw(&plan(4, 3, 64)).values);
    assert_ne!(draw(&plan(5, 3, 64)).values, draw(&plan(6, 3, 64)).values);
}

#[test]
fn the_anatomy_does_not_depend_on_the_size() {
    for (cell, named) in CELLS.iter().enumerate() {
        let (small, large) = (draw(&plan(cell, 5, 64)), draw(&plan(cell, 5, 256)));
        let difference: f32 = (0..64 * 64)
            .map(|index| {
                let (x, y) = (index % 64, index / 64);
                let block: f32 = (0..16)
                    .map(|k| large.values[(y * 4 + k / 4) * 256 + x * 4 + k % 4])
                    .sum();
                (small.values[index] - block / 16.0).abs()
            })
            .sum::<f32>()
            / 4096.0;
        assert!(difference < 0.04, "{named:?}: {difference}");
    }
}

#[test]
fn images_use_the_range_from_dark_to_bright() {
    for (cell, named) in CELLS.iter().enumerate() {
        let mut bytes = draw(&plan(cell, 11, 128)).to_luma8();
        bytes.sort_unstable();
        let (dark, bright) = (bytes[bytes.len() / 50], bytes[bytes.len() * 49 / 50]);
        assert!(dark < 60 && bright > 120, "{named:?}: {dark} to {bright}");
    }
}

#[test]
fn a_demo_is_reproducible_and_lists_its_truth() {
    let (one, two) = (folder(), folder());
    let mut seen = Vec::new();
    let studies = write_studies(one.path(), 42, 24, |done| seen.push(done)).unwrap();
    assert_eq!(seen, (1..=24).collect::<Vec<_>>());
    write_studies(two.path(), 42, 24, |_| {}).unwrap();
    let files = |dir: &std::path::Path| {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            files.insert(entry.file_name(), std::fs::read(entry.path()).unwrap());
        }
        files
    };
    assert_eq!(files(one.path()), files(two.path()));
    assert_eq!(
        files(one.path()).len(),
        24 + 2,
        "the images, the truth and the marker"
    );
    let mut reader = csv::Reader::from_path(one.path().join(TRUTH)).unwrap();
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["path", "condition", "modality", "body_part"]
    );
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let mut conditions: BTreeMap<String, usize> = BTreeMap::new();
    for (row, study) in rows.iter().zip(&studies) {
        assert!(one.path().join(&row[0]).is_file());
        assert_eq!(
            (&row[0], &row[1]),
            (study.path.to_str().unwrap(), study.condition.name())
        );
        *conditions.entry(row[1].to_owned()).or_default() += 1;
    }
    assert!(
        ["fracture", "normal", "pneumonia", "tumor"]
            .iter()
            .all(|name| conditions[*name] == 6),
        "{conditions:?}"
    );
}

#[test]
fn every_format_can_be_read_and_is_marked_as_synthetic() {
    let dir = folder();
    let studies = write_studies(dir.path(), 3, 24, |_| {}).unwrap();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for study in &studies {
        let path = dir.path().join(&study.path);
        let bytes = std::fs::read(&path).unwrap();
        let kind = match path.extension().and_then(|e| e.to_str()).unwrap() {
            "dcm" => check_dicom(&dicom_object::open_file(&path).unwrap(), study),
            extension => {
                let picture = image::load_from_memory(&bytes).unwrap();
                assert!(picture.width() >= 256 && picture.height() >= 256);
                let place = bytes
                    .windows(9)
                    .position(|window| window == b"SYNTHETIC")
                    .unwrap();
                let before = if extension == "jpg" {
                    &bytes[place - 4..place - 2]
                } else {
                    &bytes[place - 16..place]
                };
                let expected = if extension == "jpg" {
                    &b"\xFF\xFE"[..]
                } else {
                    b"tEXtDescription\0"
                };
                assert_eq!(before, expected, "{}", path.display());
                format!("{extension} {:?}", picture.color())
            }
        };
        *kinds.entry(kind).or_default() += 1;
    }
    for kind in [
        "jpg L8",
        "png L8",
        "png L16",
        "dcm 8 MONOCHROME1",
        "dcm 12 MONOCHROME1",
        "dcm 8 MONOCHROME2",
        "dcm 12 MONOCHROME2",
    ] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
    assert_eq!(kinds.get("dcm series"), Some(&1), "{kinds:?}");
}

fn check_dicom(object: &DefaultDicomObject, study: &PhantomStudy) -> String {
    let text = |tag| {
        object
            .element(tag)
            .unwrap()
            .to_str()
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(text(tags::SYNTHETIC_DATA), "YES");
    assert!(text(tags::IMAGE_COMMENTS).starts_with("SYNTHETIC"));
    assert!(text(tags::PATIENT_NAME).contains("SYNTHETIC"));
    assert_eq!(
        (text(tags::MODALITY), text(tags::BODY_PART_EXAMINED)),
        (study.modality.into(), study.body_part.into())
    );
    for tag in [
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
    ] {
        assert!(text(tag).starts_with("2.25.") && text(tag).len() <= 64);
    }
    assert_eq!(text(tags::PIXEL_SPACING).split('\\').count(), 2);
    let number = |tag| object.element(tag).unwrap().to_int::<u32>().unwrap();
    let frames = object
        .element_opt(tags::NUMBER_OF_FRAMES)
        .unwrap()
        .map_or(1, |e| e.to_int::<u32>().unwrap());
    let bytes = object
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap()
        .len() as u32;
    let expected =
        number(tags::ROWS) * number(tags::COLUMNS) * frames * number(tags::BITS_ALLOCATED) / 8;
    assert_eq!(bytes, expected + expected % 2);
    let width: f64 = text(tags::WINDOW_WIDTH).parse().unwrap();
    assert!(width > 1.0 && width <= f64::from(1_u32 << number(tags::BITS_STORED)));
    if frames > 1 {
        "dcm series".into()
    } else {
        format!(
            "dcm {} {}",
            number(tags::BITS_STORED),
            text(tags::PHOTOMETRIC_INTERPRETATION)
        )
    }
}

#[test]
fn a_folder_with_other_files_is_refused_and_not_changed() {
    let dir = folder();
    std::fs::write(dir.path().join("holiday.jpg"), b"mine").unwrap();
    let error = write_studies(dir.path(), 1, 4, |_| {}).unwrap_err();
    assert!(matches!(error, PhantomError::Occupied(_)), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_earlier_demo_is_replaced_and_the_users_files_stay() {
    let dir = folder();
    write_studies(dir.path(), 1, 8, |_| {}).unwrap();
    std::fs::write(dir.path().join("notes.txt"), b"mine").unwrap();
    let studies = write_studies(dir.path(), 2, 4, |_| {}).unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("notes.txt")).unwrap(),
        b"mine"
    );
    let pictures = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| {
            !["notes.txt", TRUTH, MARKER]
                .contains(&entry.as_ref().unwrap().file_name().to_str().unwrap())
        })
        .count();
    assert_eq!(pictures, studies.len());
    // A file of the user's under a name that the next demo would use is in the way.
    std::fs::write(
        dir.path().join(MARKER),
        "medivision-tui demo: SYNTHETIC studies; the files below may be replaced\n",
    )
    .unwrap();
    assert!(matches!(
        write_studies(dir.path(), 2, 4, |_| {}),
        Err(PhantomError::Occupied(_))
    ));
}

#[test]
fn a_marker_cannot_delete_files_outside_its_folder() {
    let dir = folder();
    let demo = dir.path().join("demo");
    write_studies(&demo, 1, 1, |_| {}).unwrap();
    let outside = dir.path().join("outside.txt");
    std::fs::write(&outside, b"mine").unwrap();
    let marker = std::fs::read_to_string(demo.join(MARKER)).unwrap();
    std::fs::write(
        demo.join(MARKER),
        format!("{marker}../outside.txt\n{}\n", outside.display()),
    )
    .unwrap();
    write_studies(&demo, 1, 1, |_| {}).unwrap();
    assert!(outside.is_file());
}

#[test]
fn a_chest_can_show_two_conditions_at_once() {
    let plan = |condition| Plan {
        anatomy: Anatomy::Chest,
        condition,
        seed: 11,
        width: 128,
        height: 128,
        level: 0.0,
    };
    let haze = draw(&plan(PhantomCondition::Pneumonia));
    let both = draw_with(
        &plan(PhantomCondition::Pneumonia),
        &[PhantomCondition::Tumor],
    );
    assert_eq!(both.findings.len(), haze.findings.len() + 1);
    assert_eq!(both.findings[..haze.findings.len()], haze.findings);
    // It differs where the mass is, and nowhere far from it.
    let mass = both.findings.last().unwrap();
    let reach = |at: usize| {
        let (x, y) = ((at % 128) as f32 - mass.x, (at / 128) as f32 - mass.y);
        (x * x + y * y).sqrt() / mass.radius
    };
    let pairs = haze.values.iter().zip(&both.values).enumerate();
    let changed: Vec<f32> = pairs
        .filter(|(_, (a, b))| (*a - *b).abs() > 0.02)
        .map(|(at, _)| reach(at))
        .collect();
    assert!(changed.iter().filter(|reach| **reach < 1.0).count() > 20);
    assert!(changed.iter().all(|reach| *reach < 3.0), "{changed:?}");
}
