mod damage;

use crate::codecs::jpeg::*;
use crate::png::Png;
use crate::read::Stored;
use crate::{ErrorKind, PixelRect, Voi, Warnings};
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/media")
}

/// The picture of a PNG file.
fn png(path: &Path) -> Picture {
    let stored = Stored::Memory(std::fs::read(path).expect("a file"));
    let frame = Png::open(stored).and_then(|png| png.decode(&mut Warnings::default()));
    frame.expect("a picture").render(Voi::default(), false).0
}

/// The description of a JPEG file.
fn probe(bytes: &[u8]) -> Result<ImageInfo, MediaError> {
    crate::codecs::jpeg::probe(bytes).map(|(info, _)| info)
}

fn rgb(picture: &Picture) -> (u32, u32, Vec<u8>) {
    (picture.width, picture.height, picture.to_rgb())
}

fn at(scale: Scale) -> DecodeOptions {
    DecodeOptions {
        scale,
        ..DecodeOptions::default()
    }
}

/// Colour conversion may round differently in vectorised builds of the reference; nothing else may differ.
fn near(ours: &[u8], pillow: &[u8], path: &Path) {
    let differences: Vec<u32> = ours
        .iter()
        .zip(pillow)
        .map(|(&a, &b)| u32::from(a.abs_diff(b)))
        .collect();
    let largest = differences.iter().max().copied().unwrap_or(0);
    let mean = f64::from(differences.iter().sum::<u32>()) / differences.len() as f64;
    println!("{}: mean {mean:.4}, largest {largest}", path.display());
    assert!(
        largest <= 2 && mean <= 0.1,
        "{}: mean {mean}, largest {largest}",
        path.display()
    );
}

/// Every JPEG that the oracle exported, against Pillow's own pixels.
#[test]
fn images_match_those_of_pillow() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        let expected = path.with_extension("expected.png");
        if path.extension().is_none_or(|e| e != "jpg") || !expected.exists() {
            continue;
        }
        seen += 1;
        let ours = decode(
            &std::fs::read(&path).expect("a file"),
            &DecodeOptions::default(),
        )
        .expect("a picture");
        let pillow = png(&expected);
        let ((width, height, ours), (w, h, pillow)) = (rgb(&ours), rgb(&pillow));
        assert_eq!((width, height), (w, h), "{}", path.display());
        near(&ours, &pillow, &path);
    }
    assert!(seen > 25, "{seen} fixtures");
}

/// Also at reduced scale, against libjpeg at that scale.
#[test]
fn reduced_images_match_those_of_libjpeg() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let Some((stem, scale)) = name
            .strip_suffix(".png")
            .and_then(|name| name.split_once(".scale"))
        else {
            continue;
        };
        seen += 1;
        let scale = Scale::ALL
            .into_iter()
            .find(|s| s.divisor().to_string() == scale)
            .expect("a scale");
        let file = std::fs::read(fixtures().join(format!("{stem}.jpg"))).expect("a file");
        let ours = decode(&file, &at(scale)).expect("a picture");
        let pillow = png(&path);
        let ((width, height, ours), (w, h, pillow)) = (rgb(&ours), rgb(&pillow));
        assert_eq!((width, height), (w, h), "{}", path.display());
        near(&ours, &pillow, &path);
    }
    assert_eq!(seen, 24, "scaled pictures");
}

#[test]
fn a_file_is_reported_as_truncated_wherever_it_is_cut() {
    let whole = std::fs::read(fixtures().join("rgb_420_q75.jpg")).expect("a file");
    for length in (2..whole.len() - 2).step_by(7) {
        let error = decode(&whole[..length], &DecodeOptions::default()).expect_err("cut");
        assert_eq!(
            error.kind,
            ErrorKind::Truncated,
            "{length} of {} bytes: {error}",
            whole.len()
        );
    }
}

#[test]
fn a_comment_can_mark_an_image_as_synthetic() {
    let marked = std::fs::read(fixtures().join("synthetic.jpg")).expect("a file");
    assert!(probe(&marked).expect("a picture").synthetic);
    let unmarked = std::fs::read(fixtures().join("grey.jpg")).expect("a file");
    assert!(!probe(&unmarked).expect("a picture").synthetic);
}

#[test]
fn a_rotated_image_is_described_as_it_is_shown() {
    let turned = std::fs::read(fixtures().join("orientation_6.jpg")).expect("a file");
    let info = probe(&turned).expect("a picture");
    assert_eq!((info.width, info.height), (12, 20));
}

/// Files with any byte changed: an image or an error, never a panic.
#[test]
fn damaged_files_never_panic() {
    for name in [
        "rgb_420_q75.jpg",
        "progressive_422.jpg",
        "cmyk.jpg",
        "restart.jpg",
    ] {
        let whole = std::fs::read(fixtures().join(name)).expect("a file");
        for at in 2..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            // The result does not matter, only that there is one.
            let _ = decode(&damaged, &DecodeOptions::default());
        }
    }
}

/// Parts outside the used rectangle may be left out, and two threads may share the work; neither changes a used pixel.
#[test]
fn a_part_is_decoded_like_the_same_part_of_the_whole() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "jpg") {
            continue;
        }
        let file = std::fs::read(&path).expect("a file");
        for scale in Scale::ALL {
            let Ok(whole) = decode(&file, &at(scale)) else {
                continue;
            };
            let info = probe(&file).expect("a picture");
            let parallel = DecodeOptions {
                parallel: true,
                ..at(scale)
            };
            assert!(
                decode(&file, &parallel) == Ok(whole.clone()),
                "{path:?} {scale:?}"
            );
            for (x, y, width, height) in
                [(0, 0, 9, 3), (5, 7, 11, 2), (9, 2, 1, 30), (13, 11, 99, 99)]
            {
                let used = PixelRect {
                    x,
                    y,
                    width,
                    height,
                };
                let part = decode(
                    &file,
                    &DecodeOptions {
                        used: Some(used),
                        ..parallel
                    },
                )
                .expect("a part");
                assert_eq!((part.width, part.height), (whole.width, whole.height));
                let d = scale.divisor();
                let (right, bottom) = ((x + width).min(info.width), (y + height).min(info.height));
                let (part, whole, w) = (part.to_rgb(), whole.to_rgb(), whole.width);
                for y in y / d..bottom.div_ceil(d) {
                    let row =
                        3 * (y * w + x / d) as usize..3 * (y * w + right.div_ceil(d)) as usize;
                    if row.end > row.start {
                        assert!(
                            part[row.clone()] == whole[row],
                            "{path:?} {scale:?} {used:?} {y}"
                        );
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 1000, "{seen} rows compared");
}

/// More blocks than one batch.
#[test]
fn a_large_image_is_the_same_from_two_threads() {
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels: Vec<u8> = (0..400 * 300 * 3).map(noise).collect();
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 60)
        .encode(&pixels, 400, 300, image::ExtendedColorType::Rgb8)
        .expect("a file");
    for scale in Scale::ALL {
        let parallel = DecodeOptions {
            parallel: true,
            ..at(scale)
        };
        assert!(
            decode(&file, &parallel) == decode(&file, &at(scale)),
            "{scale:?}"
        );
    }
}

/// libjpeg takes four components with any Adobe transform but 0 for YCCK.
#[test]
fn four_components_are_luma_chroma_and_ink_if_adobe_names_a_transform() {
    let bytes = std::fs::read(fixtures().join("cmyk.jpg")).expect("a fixture");
    let adobe = bytes.windows(5).position(|w| w == b"Adobe");
    let transform = adobe.expect("an Adobe segment") + 11;
    let shown = |value: u8| {
        let mut bytes = bytes.clone();
        bytes[transform] = value;
        decode(&bytes, &DecodeOptions::default()).expect("a picture")
    };
    assert!(shown(1) == shown(2) && shown(1) != shown(0));
}

/// The same error whatever the memory budget is.
#[test]
fn a_stream_too_short_for_its_size_is_truncated_not_too_large() {
    let mut bytes = std::fs::read(fixtures().join("rgb_444_q75.jpg")).expect("a fixture");
    let frame = bytes.windows(2).position(|w| w == b"\xff\xc0");
    let frame = frame.expect("a frame header");
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    let source = crate::ImageSource::from_bytes(bytes).expect("a source");
    let error = source
        .load(&DecodeOptions::default())
        .expect_err("too short");
    assert_eq!(error.kind, ErrorKind::Truncated);
}
