//! dicom-pixeldata, which shares no code with the DICOM reader of this program, sees the same pictures in the
//! synthetic studies: so neither what is written nor how it is read rests on one program alone.

use std::path::Path;

use dicom_pixeldata::{BitDepthOption, ConvertOptions, PixelDecoder};
use medivision_tui::media::{self, Options, Pixels};
use medivision_tui::phantom;

/// Rounding differs between the two by at most this much, of 255.
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
    let ours = media::load(path, &Options::default()).expect("readable");
    let Pixels::Luma(ours) = ours.picture.pixels else {
        panic!("{}: grey", path.display())
    };
    let object = dicom_object::open_file(path).expect("readable");
    let decoded = object.decode_pixel_data().expect("decodable");
    let options = ConvertOptions::new().with_bit_depth(BitDepthOption::Force8Bit);
    let theirs = decoded
        .to_dynamic_image_with_options(0, &options)
        .expect("a picture")
        .to_luma8();
    assert_eq!(ours.len(), theirs.as_raw().len(), "{}", path.display());
    let worst = ours
        .iter()
        .zip(theirs.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(worst <= Some(TOLERANCE), "{}: {worst:?}", path.display());
}
