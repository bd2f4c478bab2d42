//! Real files of many encodings, against what the reference implementation makes of them.
//!
//! The files are not part of this repository: `MEDIVISION_CORPUS` names their folder, which holds `dicom/`,
//! `dicom_expected.csv` and `hostile.tar.gz`. `cargo test` lists these tests as ignored; `.ci/run` runs them, or says at
//! its end that it did not.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use medivision_tui::media::{
    self, DecodeOptions, ErrorKind, Frame, Loaded, MediaError, Pixels, walk,
};

/// Files of which the reference makes something else than the object asks for, and what is right: the least and the greatest
/// value shown, and the mean.
const DISTRUSTED: [(&str, [f64; 3]); 2] = [
    // Its windows are in functional groups, which the reference does not look into.
    ("dicom/6_1.dcm", [10.0, 234.0, 30.08]),
    // A window of real values, which the reference leaves out.
    ("dicom/parametric_map_float.dcm", [0.0, 240.0, 149.68]),
];

/// The folder of the corpus.
fn corpus() -> PathBuf {
    let folder = std::env::var_os("MEDIVISION_CORPUS");
    folder.expect("MEDIVISION_CORPUS names the folder").into()
}

type Row = HashMap<String, String>;

fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).expect("the table of expectations");
    reader
        .deserialize()
        .map(|row| row.expect("a row"))
        .collect()
}

fn number(row: &Row, key: &str) -> Option<f64> {
    row.get(key).and_then(|v| v.parse().ok())
}

/// What is wrong with a decoded file, or nothing.
fn complaint(row: &Row, loaded: &Loaded) -> Option<String> {
    let dicom = loaded.info.dicom.as_ref().expect("DICOM");
    let stats = loaded.picture.stats();
    // Colour may turn out to be grey (R = G = B), which has the same luma.
    let is_color = matches!(loaded.picture.pixels, Pixels::Rgb(_));
    if is_color || dicom.samples == 3 || dicom.photometric == "PALETTE COLOR" {
        let column = if row["rgb_mean"].is_empty() {
            "ch_mean"
        } else {
            "rgb_mean"
        };
        let means: Vec<f64> = row[column]
            .split('|')
            .filter_map(|v| v.parse().ok())
            .collect();
        let [r, g, b] = means[..] else {
            return Some("no means of three colours to compare with".to_owned());
        };
        // Deeper samples and palettes state their own range: 16 bits unless all entries were 8.
        let bits = f64::from(if column == "rgb_mean" {
            palette_bits(&means, stats.mean)
        } else {
            dicom.bits_stored
        });
        let luma = (0.299 * r + 0.587 * g + 0.114 * b) * 255.0 / (bits.exp2() - 1.0);
        let wrong = (luma - stats.mean).abs() > 2.0;
        return wrong.then(|| format!("luma {:.2}, expected {luma:.2}", stats.mean));
    }
    let prefix = if row["wc"].is_empty() {
        "u8_minmax"
    } else {
        "u8_win"
    };
    let of = |prefix: &str| {
        let number = |what: &str| number(row, &format!("{prefix}_{what}"));
        Some([number("min")?, number("max")?, number("mean")?])
    };
    // The reference refuses some windows and tables; then the full range is right.
    let expected = of(prefix).or_else(|| of("mod").or_else(|| of("raw")).map(full_range));
    let Some(expected) = expected else {
        return Some("no numbers to compare with".to_owned());
    };
    unlike(loaded, &expected)
}

/// Least, greatest and mean value of a picture shown over its full range; without one it is mid-grey.
fn full_range([min, max, mean]: [f64; 3]) -> [f64; 3] {
    if min < max {
        [0.0, 255.0, (mean - min) / (max - min) * 255.0]
    } else {
        [128.0; 3]
    }
}

/// How a picture differs from the least, the greatest and the mean value expected.
fn unlike(loaded: &Loaded, &[min, max, mean]: &[f64; 3]) -> Option<String> {
    let stats = loaded.picture.stats();
    let off = (f64::from(stats.min) - min).abs() > 2.0
        || (f64::from(stats.max) - max).abs() > 2.0
        || (stats.mean - mean).abs() > 1.0;
    off.then(|| {
        format!(
            "{}–{} mean {:.2}, expected {min}–{max} mean {mean:.2}",
            stats.min, stats.max, stats.mean
        )
    })
}

fn palette_bits(means: &[f64], shown: f64) -> u16 {
    let eight = (0.299 * means[0] + 0.587 * means[1] + 0.114 * means[2] - shown).abs() <= 2.0;
    if eight { 8 } else { 16 }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    total: usize,
}

#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn dicom_is_shown_as_the_reference_shows_it() {
    let corpus = corpus();
    let mut table: BTreeMap<String, Tally> = BTreeMap::new();
    let mut regressions = Vec::new();
    for row in rows(&corpus.join("dicom_expected.csv")) {
        if row["decode"] != "ok" {
            continue;
        }
        let own = DISTRUSTED.iter().find(|(path, _)| *path == row["path"]);
        let wrong = match media::load(&corpus.join(&row["path"]), &DecodeOptions::default()) {
            Ok(loaded) => match own {
                Some((_, expected)) => unlike(&loaded, expected),
                None => complaint(&row, &loaded),
            },
            Err(error) => Some(format!("{:?}: {error}", error.kind)),
        };
        let tally = table
            .entry(format!("{} {}", row["ts_uid"], row["ts_name"]))
            .or_default();
        tally.total += 1;
        match wrong {
            None => tally.passed += 1,
            Some(wrong) => {
                println!("{}: {wrong}", row["path"]);
                regressions.push(format!("{}: {wrong}", row["path"]));
            }
        }
    }
    for (syntax, tally) in &table {
        println!("{:>3}/{:<3} {syntax}", tally.passed, tally.total);
    }
    assert!(regressions.is_empty(), "{regressions:#?}");
    let judged: usize = table.values().map(|tally| tally.total).sum();
    assert!(judged >= 150, "{judged} files");
}

/// What the reference cannot decode, against the uncompressed original where there is one: coarsely, since the
/// compression loses something.
#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn what_the_reference_cannot_decode_is_like_its_original() {
    let corpus = corpus();
    let mut seen = 0;
    for row in rows(&corpus.join("dicom_expected.csv")) {
        let Some(mean) = number(&row, "ref_uncompressed_raw_mean") else {
            continue;
        };
        let frame = media::open(&corpus.join(&row["path"])).and_then(|source| source.frame(0));
        let grey = match frame {
            Ok(Frame::Grey(grey)) => grey,
            Ok(Frame::Color(_)) => panic!("{} is grey", row["path"]),
            // The header of its codestream is overwritten.
            Err(error) => {
                let name = "embedded-sequence-delimiter.dcm";
                assert!(row["path"].ends_with(name), "{}: {error}", row["path"]);
                continue;
            }
        };
        let pixels = (0..grey.height).flat_map(|y| (0..grey.width).map(move |x| (x, y)));
        let sum: f64 = pixels.filter_map(|(x, y)| grey.value(x, y)).sum();
        let ours = sum / f64::from(grey.width) / f64::from(grey.height);
        // libjpeg's 12-bit decoder makes 14.37 of it, too, whose original has 13.72: what is dark rings, and what would be
        // negative is cut off.
        assert!(
            (ours - mean).abs() <= 1.0,
            "{}: {ours:.2}, {mean:.2}",
            row["path"]
        );
        seen += 1;
    }
    assert_eq!(seen, 1);
}

/// One CT slice under many transfer syntaxes, some of which the reference does not decode. The one of 8 bits is another
/// picture: its values were scaled before they were coded.
#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn one_slice_looks_the_same_under_every_syntax() {
    let corpus = corpus();
    let folder = corpus.join("dicom");
    let stats = |path: &Path| {
        let loaded = media::load(path, &DecodeOptions::default());
        loaded.map(|loaded| loaded.picture.stats())
    };
    let plain = "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm";
    let plain = stats(&folder.join(plain)).expect("the uncompressed slice");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("CTImage.dcm_") || name.contains("JPEGProcess1Transfer") {
            continue;
        }
        let stats = stats(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!((stats.mean - plain.mean).abs() < 0.5, "{name}: {stats:?}");
        seen += 1;
    }
    assert!(seen >= 12, "{seen} files");
}

#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn objects_without_pixels_say_so_and_nothing_is_internal() {
    let corpus = corpus();
    let all = rows(&corpus.join("dicom_expected.csv"));
    assert!(all.len() >= 190, "{} files", all.len());
    for row in all {
        match media::load(&corpus.join(&row["path"]), &DecodeOptions::default()) {
            // The reference finds no pixels in an object that lacks only its last delimiter.
            Ok(_) if row["path"].contains("too_short") => {}
            Ok(_) => assert_ne!(row["decode"], "no_pixel_data", "{}", row["path"]),
            Err(error) => {
                assert_ne!(error.kind, ErrorKind::Internal, "{}", row["path"]);
                if row["decode"] != "ok" {
                    println!("{}: {:?} {error}", row["path"], error.kind);
                }
            }
        }
    }
}

#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn hostile_files_are_pictures_or_typed_errors() {
    let corpus = corpus();
    let dir = tempfile::tempdir().expect("a folder");
    let unpacked = Command::new("tar")
        .arg("-xpzf")
        .arg(corpus.join("hostile.tar.gz"))
        .arg("-C")
        .arg(dir.path())
        .status()
        .expect("tar");
    assert!(unpacked.success());
    let expected: HashMap<String, Row> = rows(&dir.path().join("hostile_dev/manifest.csv"))
        .into_iter()
        .map(|row| (row["path"].clone(), row))
        .collect();
    let (mut seen, mut compared) = (0, 0);
    for found in walk::files(dir.path()) {
        let path = found.expect("every folder can be read");
        let shown = path
            .strip_prefix(dir.path())
            .expect("below")
            .to_string_lossy()
            .into_owned();
        let result = media::load(&path, &DecodeOptions::default());
        seen += 1;
        compared += usize::from(check_hostile(&shown, &result, expected.get(&shown)));
    }
    println!("{seen} files, {compared} compared");
    assert!(seen > 200 && compared > 100, "{seen}, {compared}");
}

/// Whether the file was compared with the reference.
fn check_hostile(shown: &str, result: &Result<Loaded, MediaError>, expected: Option<&Row>) -> bool {
    match result {
        Ok(loaded) => {
            let Some(mean) = expected
                .filter(|row| !row["mode"].starts_with("I;16"))
                .and_then(|row| number(row, "mean_L"))
            else {
                return false;
            };
            let ours = loaded.picture.stats().mean;
            assert!(
                (ours - mean).abs() <= 1.0,
                "{shown}: mean {ours:.2}, expected {mean:.2}"
            );
            true
        }
        Err(error) => {
            assert_ne!(error.kind, ErrorKind::Internal, "{shown}: {error}");
            assert!(!error.message.chars().any(char::is_control), "{shown}");
            let reference = expected.map_or("", |row| row["pil"].as_str());
            println!("{shown}: {:?} {error} (reference: {reference})", error.kind);
            false
        }
    }
}

#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn tags_of_all_files_are_listed_without_control_characters() {
    let corpus = corpus();
    let (mut listed, mut refused, mut headers) = (0, 0, 0);
    for path in walk::files(&corpus.join("dicom")).filter_map(Result::ok) {
        match media::tags(&path) {
            Ok(tree) => {
                listed += 1;
                for row in &tree.rows {
                    let texts = [&row.id, &row.vr, &row.name, &row.value, &row.meaning];
                    let controls =
                        |text: &String| text.chars().any(|c| c.is_control() && c != '\n');
                    assert!(
                        !texts.into_iter().any(controls),
                        "{}: {row:?}",
                        path.display()
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert_ne!(error.kind, ErrorKind::Internal, "{}", path.display());
            }
        }
        headers += usize::from(media::header(&path).is_some());
    }
    println!("tags: {listed} files listed, {refused} refused; {headers} headers");
    assert!(listed > 20 * refused, "{refused} of {listed} are refused");
}

/// Images of hospitals that the built-in model was not trained on.
#[test]
#[ignore = "needs MEDIVISION_CORPUS"]
fn the_built_in_model_tells_the_kind_of_films_and_sections_from_elsewhere() {
    let corpus = corpus();
    let kind_of = |row: &Row| match row["modality"].as_str() {
        "X-ray (chest)" => Some("chest radiograph"),
        "X-ray (upper limb)" => Some("limb radiograph"),
        "MRI (brain)" => Some("brain MRI"),
        _ => None,
    };
    let truths: HashMap<String, &str> = rows(&corpus.join("manifest.csv"))
        .iter()
        .filter_map(|row| Some((row["path"].clone(), kind_of(row)?)))
        .collect();
    let output = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .current_dir(&corpus)
        .args(["classify", "chest_xray", "bone_xray", "brain_mri"])
        .args([
            "--model",
            "builtin",
            "--prompts",
            "kinds",
            "--library",
            "none",
        ])
        .args(["--device", "cpu", "--format", "jsonl"])
        .output()
        .expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let (mut right, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a result");
        let path = line["path"].as_str().expect("a path");
        let label = line["label"].as_str().expect("a label");
        refused += usize::from(label == "none of these");
        if truths.get(path) == Some(&label) {
            right += 1;
        } else {
            wrong.push(format!("{path}: {label}"));
        }
    }
    let all = right + wrong.len();
    println!("kind: {right} of {all} right, {refused} refused");
    assert_eq!(all, truths.len(), "{said}");
    assert!(
        right * 100 >= all * 95 && refused * 100 <= all * 5,
        "{wrong:#?}"
    );
}
