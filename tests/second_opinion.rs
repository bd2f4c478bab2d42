//! dicom-pixeldata's own rules of pixels, which this program does not use, make the same values of the synthetic studies
//! and of real files: so neither what is written nor how it is read rests on one program alone.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use dicom_pixeldata::{ConvertOptions, PixelDecoder, VoiLutOption};
use medivision_tui::media::{self, DecodeOptions, Frame, Pixels, walk};
use medivision_tui::phantom;

/// Rounding may differ by this much, of 255.
const TOLERANCE: u8 = 1;

#[test]
fn synthetic_dicom_looks_the_same_to_another_reader() {
    let folder = tempfile::tempdir().expect("made");
    let studies = phantom::write_studies(folder.path(), 11, 48, |_| {}).expect("written");
    let files: Vec<_> = studies
        .iter()
        .map(|study| folder.path().join(&study.path))
        .filter(|path| path.extension().is_some_and(|extension| extension == "dcm"))
        .collect();
    assert!(files.len() >= 8, "enough to judge by: {}", files.len());
    for path in files {
        compare(&path);
    }
}

fn compare(path: &Path) {
    let ours = media::load(path, &DecodeOptions::default()).expect("readable");
    let Pixels::Luma(ours) = ours.picture.pixels else {
        panic!("{}: grey", path.display())
    };
    let object = dicom_object::open_file(path).expect("readable");
    let theirs = shown(&object);
    assert_eq!(ours.len(), theirs.len(), "{}", path.display());
    let worst = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(TOLERANCE), "{}: {worst:?}", path.display());
}

/// The first frame through the file's window (PS3.3 C.11.2.1.2.1), MONOCHROME1 turned upright.
fn shown(object: &DefaultDicomObject) -> Vec<u8> {
    let number = |tag| {
        object
            .element(tag)
            .expect("there")
            .to_float64()
            .expect("a number")
    };
    let (center, width) = (number(tags::WINDOW_CENTER), number(tags::WINDOW_WIDTH));
    let photometric = object
        .element(tags::PHOTOMETRIC_INTERPRETATION)
        .expect("there");
    let inverted = photometric.to_str().expect("text").trim() == "MONOCHROME1";
    let decoded = object.decode_pixel_data().expect("decodable");
    let options = ConvertOptions::new().with_voi_lut(VoiLutOption::Identity);
    let values: Vec<f64> = decoded
        .to_vec_frame_with_options(0, &options)
        .expect("values");
    let eight_bits = |value: f64| {
        let grey = ((value - (center - 0.5)) / (width - 1.0) + 0.5).clamp(0.0, 1.0) * 255.0;
        let grey = grey.round() as u8;
        if inverted { 255 - grey } else { grey }
    };
    values.into_iter().map(eight_bits).collect()
}

/// Files of which it makes other values. Those that pydicom makes are this program's, as `tests/corpus.rs` shows.
const WRONG_THERE: [&str; 4] = [
    // Signed samples of JPEG 2000 are taken for unsigned ones.
    "693_J2KR.dcm",
    "explicit_VR-UN.dcm",
    // The table of a Modality LUT Sequence is left out.
    "CR-ModalitySequenceLUT.dcm",
    "mlut_18.dcm",
];

/// Of every file of the corpus that it can decode: the values of the first frame, before any window.
#[test]
#[ignore = "reads the corpus that MEDIVISION_CORPUS names"]
fn real_files_have_the_same_values_to_another_reader() {
    let corpus = std::env::var_os("MEDIVISION_CORPUS").expect("MEDIVISION_CORPUS names the folder");
    let mut compared = 0;
    let mut unlike = Vec::new();
    let mut known = Vec::new();
    for path in walk::files(&Path::new(&corpus).join("dicom")).flatten() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(theirs) = values(&path) else {
            continue;
        };
        let Ok(Frame::Grey(grey)) = media::open(&path).and_then(|source| source.frame(0)) else {
            continue;
        };
        let places = (0..grey.height).flat_map(|y| (0..grey.width).map(move |x| (x, y)));
        let ours: Vec<Option<f64>> = places.map(|(x, y)| grey.value(x, y)).collect();
        if ours.len() != theirs.len() {
            continue;
        }
        // Padding has no value here.
        let off = ours
            .iter()
            .zip(&theirs)
            .filter_map(|(a, b)| Some((*a)? - b));
        let worst = off.fold(0.0, |worst: f64, off| worst.max(off.abs()));
        compared += 1;
        let range = theirs
            .iter()
            .fold(0.0, |range: f64, value| range.max(value.abs()));
        if worst > 1e-6 * range {
            if WRONG_THERE.contains(&name.as_str()) {
                known.push(name);
            } else {
                unlike.push(format!("{name}: off by {worst}, of {range}"));
            }
        }
    }
    // A file that it reads rightly by now is to be taken off the list.
    known.sort();
    let mut expected = WRONG_THERE;
    expected.sort_unstable();
    assert_eq!(known, expected);
    assert_eq!(unlike, Vec::<String>::new());
    assert!(compared >= 40, "{compared} files");
}

/// What dicom-pixeldata makes of the first frame; `None` where it cannot.
fn values(path: &Path) -> Option<Vec<f64>> {
    let object = dicom_object::open_file(path).ok()?;
    let decoded = object.decode_pixel_data_frame(0).ok()?;
    let options = ConvertOptions::new().with_voi_lut(VoiLutOption::Identity);
    decoded.to_vec_frame_with_options(0, &options).ok()
}
