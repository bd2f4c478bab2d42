//! Real files of many encodings, against what the reference implementation makes of them.
//!
//! The files are not part of this repository: `MEDIVISION_CORPUS` names their folder, which holds `dicom/` with
//! `dicom_expected.csv` and `hostile.tar.gz`. Without it these tests say that they were skipped.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use medivision_tui::media::{self, ErrorKind, Frame, Loaded, MediaError, Options, Pixels, walk};

/// Files of which the reference makes something else than the object asks for, by what the corpus' README says of
/// them; what this program makes of them is printed, and judged by tests of its own.
const DISTRUSTED: &[&str] = &[
    // Signed in the attributes, unsigned in the stream or the other way round.
    "J2K_pixelrep_mismatch",
    "TOSHIBA_J2K_SIZ",
    "693_J2K",
    // Says RGB, holds YCbCr.
    "SC_rgb_jpeg_lossy_gdcm",
    "JPEGLossless_1s_1f_i_16_16_bad",
    "GH340",
    // Enhanced multi-frame: the windows are in functional groups, which the reference does not look into.
    "emri_small",
    "6_1.dcm",
    // Segmentations, doses and parametric maps.
    "liver",
    "rtdose",
    "parametric_map",
];

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("MEDIVISION_CORPUS").map(PathBuf::from);
    if corpus.is_none() {
        println!("skipped: MEDIVISION_CORPUS is not set");
    }
    corpus
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
    let dicom = loaded.info.dicom.as_ref()?;
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
        let [r, g, b] = means[..] else { return None };
        // Deeper samples and palettes state their own range: 16 bits unless all entries were 8.
        let bits = f64::from(if column == "rgb_mean" {
            palette_bits(&means, stats.mean)
        } else {
            dicom.bits_stored
        });
        let luma = (0.299 * r + 0.587 * g + 0.114 * b) * 255.0 / (bits.exp2() - 1.0);
        return ((luma - stats.mean).abs() > 2.0)
            .then(|| format!("luma {:.2}, expected {luma:.2}", stats.mean));
    }
    let prefix = if row["wc"].is_empty() {
        "u8_minmax"
    } else {
        "u8_win"
    };
    let expected = |what: &str| number(row, &format!("{prefix}_{what}"));
    let (min, max, mean) = (expected("min")?, expected("max")?, expected("mean")?);
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
fn dicom_is_shown_as_the_reference_shows_it() {
    let Some(corpus) = corpus() else { return };
    let mut table: BTreeMap<String, Tally> = BTreeMap::new();
    let mut regressions = Vec::new();
    for row in rows(&corpus.join("dicom_expected.csv")) {
        if row["decode"] != "ok" {
            continue;
        }
        let wrong = match media::load(&corpus.join(&row["path"]), &Options::default()) {
            Ok(loaded) => complaint(&row, &loaded),
            Err(error) => Some(format!("{:?}: {error}", error.kind)),
        };
        let distrusted =
            DISTRUSTED.iter().any(|name| row["path"].contains(name)) || !row["ts_guess"].is_empty();
        if distrusted {
            println!(
                "not judged: {}: {}",
                row["path"],
                wrong.as_deref().unwrap_or("alike")
            );
            continue;
        }
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
}

/// What the reference cannot decode, against the uncompressed original where there is one: coarsely, since the
/// compression loses something.
#[test]
fn what_the_reference_cannot_decode_is_like_its_original() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for row in rows(&corpus.join("dicom_expected.csv")) {
        let Some(mean) = number(&row, "ref_uncompressed_raw_mean") else {
            continue;
        };
        let source = match media::open(&corpus.join(&row["path"])) {
            Ok(source) => source,
            Err(error) => {
                println!("{}: {:?} {error}", row["path"], error.kind);
                continue;
            }
        };
        let Ok(Frame::Grey(grey)) = source.frame(0) else {
            println!("{}: no grey frame", row["path"]);
            continue;
        };
        let pixels = (0..grey.height).flat_map(|y| (0..grey.width).map(move |x| (x, y)));
        let sum: f64 = pixels.filter_map(|(x, y)| grey.value(x, y)).sum();
        let ours = sum / f64::from(grey.width) / f64::from(grey.height);
        println!("{}: mean {ours:.2}, original {mean:.2}", row["path"]);
        // Of the one file that is left libjpeg's 12-bit decoder makes 14.37 too, whose original has 13.72: what is
        // dark rings, and what would be negative is cut off.
        assert!((ours - mean).abs() <= 1.0, "{}", row["path"]);
        seen += 1;
    }
    // The other one has a codestream whose header is overwritten.
    assert!(seen >= 1);
}

/// One CT slice under many transfer syntaxes, some of which the reference does not decode. The one of 8 bits is another
/// picture: its values were scaled before they were coded.
#[test]
fn one_slice_looks_the_same_under_every_syntax() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("dicom");
    let stats = |path: &Path| {
        let loaded = media::load(path, &Options::default());
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
fn objects_without_pixels_say_so_and_nothing_is_internal() {
    let Some(corpus) = corpus() else { return };
    for row in rows(&corpus.join("dicom_expected.csv")) {
        match media::load(&corpus.join(&row["path"]), &Options::default()) {
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
fn hostile_files_are_pictures_or_typed_errors() {
    let Some(corpus) = corpus() else { return };
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
    let mut seen = 0;
    for found in walk::files(dir.path()) {
        let path = found.expect("every folder can be read");
        seen += 1;
        let shown = path
            .strip_prefix(dir.path())
            .expect("below")
            .to_string_lossy()
            .into_owned();
        let result = media::load(&path, &Options::default());
        check_hostile(&shown, &result, expected.get(&shown));
    }
    println!("{seen} files");
    assert!(seen > 200);
}

fn check_hostile(shown: &str, result: &Result<Loaded, MediaError>, expected: Option<&Row>) {
    match result {
        Ok(loaded) => {
            let Some(mean) = expected
                .filter(|row| !row["mode"].starts_with("I;16"))
                .and_then(|row| number(row, "mean_L"))
            else {
                return;
            };
            let off = (loaded.picture.stats().mean - mean).abs();
            if off > 1.0 {
                println!(
                    "{shown}: mean {:.2}, expected {mean:.2}",
                    loaded.picture.stats().mean
                );
            }
        }
        Err(error) => {
            assert_ne!(error.kind, ErrorKind::Internal, "{shown}: {error}");
            assert!(!error.message.chars().any(char::is_control), "{shown}");
            let reference = expected.map_or("", |row| row["pil"].as_str());
            println!("{shown}: {:?} {error} (reference: {reference})", error.kind);
        }
    }
}

#[test]
fn tags_of_all_files_are_listed_without_control_characters() {
    let Some(corpus) = corpus() else { return };
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
