//! Objects written byte by byte, and how their attributes determine the image.

mod builder;
mod damage;
mod display;
mod encapsulated;
mod native;
mod slides;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::{
    DecodeOptions, DicomOrigin, ErrorKind, Frame, ImageInfo, ImageSource, MediaError, OverlayPlane,
    Picture, Sniffed, Window, WindowSource, sniff,
};
use builder::ObjectBuilder;

/// Does for a file in memory what `load` does for one on disk.
fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<(ImageInfo, Picture), MediaError> {
    let source = ImageSource::from_bytes(bytes.to_vec())?;
    let shown = source.load(options)?;
    let mut info = source.info().clone();
    if let Some(dicom) = &mut info.dicom {
        dicom.window = shown.window;
    }
    Ok((info, shown.picture))
}

const CENTER: Tag = tags::WINDOW_CENTER;
const WIDTH: Tag = tags::WINDOW_WIDTH;

#[test]
fn without_a_window_the_full_range_is_shown_and_monochrome1_is_inverted() {
    let upright = ObjectBuilder::grey16(1, 3, "MONOCHROME2", true).words(&[-100, 0, 100]);
    assert_eq!(upright.shown(), [0, 128, 255]);
    assert_eq!(upright.window().source, WindowSource::Minmax);
    let inverted = ObjectBuilder::grey16(1, 3, "MONOCHROME1", true).words(&[-100, 0, 100]);
    assert_eq!(inverted.shown(), [255, 127, 0]);
}

#[test]
fn the_first_window_is_applied_to_rescaled_values() {
    let object = ObjectBuilder::grey16(1, 4, "MONOCHROME2", false)
        .text(CENTER, *b"DS", "40\\300 ")
        .text(WIDTH, *b"DS", "400\\1500")
        .text(tags::RESCALE_INTERCEPT, *b"DS", "-1024")
        .text(tags::RESCALE_SLOPE, *b"DS", "1")
        .words(&[0, 864, 1064, 2000]);
    assert_eq!(object.shown(), [0, 0, 128, 255]);
    let expected = Window {
        center: 40.0,
        width: 400.0,
        source: WindowSource::File,
    };
    assert_eq!(object.window(), expected);
    let argued = object.decode(&DecodeOptions {
        window: Some((300.0, 1500.0)),
        ..DecodeOptions::default()
    });
    let window = argued.expect("a picture").0.dicom.and_then(|d| d.window);
    assert_eq!(window.map(|w| w.source), Some(WindowSource::Argument));
}

#[test]
fn a_voi_lut_is_used_if_there_is_no_window() {
    let lut = ObjectBuilder::default()
        .element(tags::LUT_DESCRIPTOR, *b"US", &[4, 0, 10, 0, 8, 0])
        .element(tags::LUT_DATA, *b"OW", &[0, 0, 50, 0, 100, 0, 255, 0]);
    let object =
        ObjectBuilder::grey16(1, 4, "MONOCHROME2", false).item(tags::VOILUT_SEQUENCE, &lut);
    let object = object.words(&[0, 11, 12, 99]);
    assert_eq!(object.shown(), [0, 50, 100, 255]);
    assert_eq!(object.window().source, WindowSource::Lut);
}

#[test]
fn a_frame_of_an_enhanced_object_has_its_own_window() {
    let voi = |center: &str| {
        let macro_item = ObjectBuilder::default()
            .text(CENTER, *b"DS", center)
            .text(WIDTH, *b"DS", "100 ");
        ObjectBuilder::default().item(tags::FRAME_VOILUT_SEQUENCE, &macro_item)
    };
    let mut groups = Vec::new();
    for center in ["50", "1050"] {
        let item = voi(center).bytes;
        groups.extend([0xfe, 0xff, 0x00, 0xe0]);
        groups.extend((item.len() as u32).to_le_bytes());
        groups.extend(item);
    }
    let object = ObjectBuilder::grey16(1, 2, "MONOCHROME2", false)
        .text(tags::NUMBER_OF_FRAMES, *b"IS", "2 ")
        .element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, *b"SQ", &groups)
        .words(&[0, 50, 1000, 1050]);
    for frame in [0, 1] {
        let (info, picture) = object
            .decode(&DecodeOptions {
                frame,
                window: None,
                ..DecodeOptions::default()
            })
            .expect("a picture");
        assert_eq!(picture.pixels.bytes(), [0, 129]);
        let window = info.dicom.and_then(|d| d.window).expect("a window");
        assert_eq!(window.source, WindowSource::FunctionalGroup);
    }
    let beyond = object.decode(&DecodeOptions {
        frame: 2,
        window: None,
        ..DecodeOptions::default()
    });
    assert_eq!(beyond.expect_err("no such frame").kind, ErrorKind::NotFound);
}

#[test]
fn colour_is_converted_to_rgb() {
    let red = [255, 0, 0, 0, 0, 255];
    assert_eq!(
        ObjectBuilder::color8(1, 2, "RGB", 0).octets(&red).shown(),
        red
    );
    let planes = [255, 0, 0, 0, 0, 255];
    assert_eq!(
        ObjectBuilder::color8(1, 2, "RGB", 1)
            .octets(&planes)
            .shown(),
        [255, 0, 0, 0, 0, 255]
    );
    let ybr = ObjectBuilder::color8(1, 1, "YBR_FULL", 0).octets(&[76, 85, 255, 0]);
    assert_eq!(ybr.shown(), [254, 0, 0]);
    let shared = ObjectBuilder::color8(1, 2, "YBR_FULL_422", 0).octets(&[76, 150, 128, 128]);
    // Without chroma it is grey.
    assert_eq!(shared.shown(), [76, 150]);
    let info = ybr.decode(&DecodeOptions::default()).expect("a picture").0;
    assert_eq!(info.dicom.and_then(|d| d.window), None);
}

#[test]
fn palette_colour_is_looked_up() {
    let table = |values: [u16; 2]| values.map(u16::to_le_bytes).concat();
    let mut object = ObjectBuilder::grey16(1, 3, "PALETTE COLOR", false);
    for (channel, values) in (0..).zip([[0xff00, 0x0000], [0x8000, 0x4000], [0x0000, 0xff00]]) {
        object = object
            .element(
                Tag(
                    0x0028,
                    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR.1 + channel,
                ),
                *b"US",
                &[2, 0, 5, 0, 16, 0],
            )
            .element(
                Tag(
                    0x0028,
                    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA.1 + channel,
                ),
                *b"OW",
                &table(values),
            );
    }
    assert_eq!(
        object.words(&[0, 5, 6]).shown(),
        [255, 128, 0, 255, 128, 0, 0, 64, 255]
    );
}

/// One grey and one colour image that the oracle wrote under every lossless transfer syntax.
#[test]
fn every_lossless_syntax_gives_the_same_image() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/media/");
    let load = |name: &str| {
        let bytes = std::fs::read(format!("{fixtures}{name}.dcm")).expect("a fixture");
        decode(&bytes, &DecodeOptions::default()).map_err(|error| format!("{name}: {error}"))
    };
    for (kind, names) in [
        ("grey", ["jpeg_lossless", "jpeg2000_signed"].as_slice()),
        ("rgb", &["planar"]),
    ] {
        let native = load(&format!("{kind}_native")).expect("a picture").1;
        assert_eq!((native.width, native.height), (37, 29));
        let common = [
            "encapsulated",
            "deflated_frame",
            "jpegls",
            "jpeg2000",
            "htj2k",
            "jpegxl",
        ];
        for name in common.iter().chain(names) {
            let (_, picture) = load(&format!("{kind}_{name}")).expect("a picture");
            let differing = native
                .pixels
                .bytes()
                .iter()
                .zip(picture.pixels.bytes())
                .filter(|(a, b)| a != b)
                .count();
            assert!(
                picture == native,
                "{kind}_{name}: {differing} samples differ"
            );
        }
    }
}

/// A wrong statement of the file is reported, not only corrected.
#[test]
fn a_stream_of_another_codec_is_shown_with_a_warning() {
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/grey_jpegls.dcm"
    );
    let mut bytes = std::fs::read(fixture).expect("a fixture");
    let warnings = |bytes: &[u8]| {
        let source = ImageSource::from_bytes(bytes.to_vec()).expect("a source");
        let shown = source.load(&DecodeOptions::default()).expect("a picture");
        shown.warnings.to_vec()
    };
    assert_eq!(warnings(&bytes), Vec::<String>::new());
    let (jpeg_ls, jpeg_2000) = (b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.90");
    let at = bytes.windows(jpeg_ls.len()).position(|w| w == jpeg_ls);
    let at = at.expect("the transfer syntax");
    bytes[at..at + jpeg_ls.len()].copy_from_slice(jpeg_2000);
    let [warning] = &warnings(&bytes)[..] else {
        panic!("one warning")
    };
    assert!(warning.contains("transfer syntax"), "{warning}");
}

/// Frames whose stream has another size than the object says: rows and columns exchanged, as one archive delivers
/// lossless streams, or smaller, at the edge of a slide.
#[test]
fn a_stream_of_another_size_is_fitted_with_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/media/");
    let with_size = |name: &str, change: fn((u16, u16)) -> (u16, u16)| {
        let mut bytes = std::fs::read(format!("{folder}{name}")).expect("a fixture");
        let whole = ImageSource::from_bytes(bytes.clone()).expect("a source");
        let whole = whole
            .load(&DecodeOptions::default())
            .expect("a picture")
            .picture;
        let at = |tag: [u8; 4]| {
            let head = [&tag[..], b"US\x02\x00"].concat();
            let at = bytes.windows(8).position(|w| w == head);
            at.expect("an attribute") + 8
        };
        let (rows_at, columns_at) = (at([0x28, 0, 0x10, 0]), at([0x28, 0, 0x11, 0]));
        let (rows, columns) = change((whole.height as u16, whole.width as u16));
        bytes[rows_at..rows_at + 2].copy_from_slice(&rows.to_le_bytes());
        bytes[columns_at..columns_at + 2].copy_from_slice(&columns.to_le_bytes());
        let source = ImageSource::from_bytes(bytes).expect("a source");
        (whole, source.load(&DecodeOptions::default()))
    };
    let (whole, turned) = with_size("grey_jpeg_lossless.dcm", |(rows, columns)| (columns, rows));
    let turned = turned.expect("a picture");
    assert!(turned.picture.pixels == whole.pixels);
    assert_eq!(turned.warnings.len(), 1);
    let (whole, padded) = with_size("grey_jpeg_lossless.dcm", |(rows, columns)| {
        (rows + 3, columns + 5)
    });
    let padded = padded.expect("a picture");
    assert_eq!(padded.warnings.len(), 1);
    assert_eq!(padded.picture.stats().max, whole.stats().max);
    let (_, cropped) = with_size("grey_jpeg_lossless.dcm", |(rows, columns)| {
        (rows, columns - 1)
    });
    assert_eq!(cropped.err().map(|e| e.kind), Some(ErrorKind::Malformed));
}

/// One object for each rule, and what the oracle (`tests/oracle/dicom_rules.py`) computes for it by the formulas of
/// the standard.
#[test]
fn every_rule_follows_the_formulas_of_the_standard() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/media/rules");
    let expected = std::fs::read(folder.join("expected.json")).expect("the expectations");
    let expected: std::collections::BTreeMap<String, Vec<Vec<u8>>> =
        serde_json::from_slice(&expected).expect("frames by name");
    let mut wrong = Vec::new();
    for (name, frames) in &expected {
        let bytes = std::fs::read(folder.join(format!("{name}.dcm"))).expect("an object");
        for (frame, expected) in (0..).zip(frames) {
            let options = DecodeOptions {
                frame,
                window: None,
                ..DecodeOptions::default()
            };
            match decode(&bytes, &options) {
                Ok((info, picture)) => {
                    assert_eq!(info.frames as usize, frames.len(), "{name}");
                    let shown = if expected.len() == picture.pixels.bytes().len() {
                        picture.pixels.bytes().to_vec()
                    } else {
                        picture.to_rgb()
                    };
                    let pairs = shown.iter().zip(expected);
                    // A value halfway between two shades may be rounded either way; colours may differ by rounding.
                    let off = pairs.map(|(a, b)| a.abs_diff(*b)).max();
                    if shown.len() != expected.len() || off > Some(1) {
                        wrong.push(format!("{name} frame {frame}: {shown:?}, not {expected:?}"));
                    }
                }
                Err(error) => wrong.push(format!("{name} frame {frame}: {error}")),
            }
        }
    }
    assert!(expected.len() > 40, "{} objects", expected.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsupported_interpretations_and_syntaxes_are_named() {
    let hsv = ObjectBuilder::color8(1, 1, "HSV", 0)
        .octets(&[1, 2, 3, 0])
        .error();
    assert_eq!(hsv.kind, ErrorKind::Unsupported);
    assert!(hsv.message.contains("HSV"));
    let video = ObjectBuilder::color8(1, 1, "YBR_PARTIAL_420", 0).octets(&[0]);
    assert!(video.error().message.contains("YBR_PARTIAL_420"));
    let unknown = decode(&video.file("1.2.3.4"), &DecodeOptions::default()).expect_err("unknown");
    assert_eq!(unknown.kind, ErrorKind::Unsupported);
    assert!(unknown.message.contains("1.2.3.4"));
}

#[test]
fn private_syntaxes_without_compression_are_read() {
    let object = ObjectBuilder::grey16(1, 3, "MONOCHROME2", false).words(&[0x0100, 0x0200, 0x0300]);
    let known = decode(
        &object.file("1.3.46.670589.33.1.4.1"),
        &DecodeOptions::default(),
    );
    let (info, picture) = known.expect("Philips' explicit syntax");
    assert_eq!(picture.pixels.bytes(), [0, 128, 255]);
    assert!(info.warnings.is_empty());
    // An unknown syntax is read as uncompressed if the length of the pixels fits, and only then.
    let (info, picture) =
        decode(&object.file("1.2.3.4"), &DecodeOptions::default()).expect("plain");
    assert_eq!(picture.pixels.bytes(), [0, 128, 255]);
    assert_eq!(info.warnings.len(), 1);
    let longer = ObjectBuilder::grey16(1, 3, "MONOCHROME2", false).words(&[1, 2, 3, 4, 5]);
    let error = decode(&longer.file("1.2.3.4"), &DecodeOptions::default()).expect_err("unknown");
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[test]
fn a_damaged_transfer_syntax_is_not_quoted() {
    let object = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false).words(&[1]);
    let error = decode(
        &object.file("1.2.840 SECRET^NAME"),
        &DecodeOptions::default(),
    )
    .expect_err("no");
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(!error.message.contains("SECRET"));
}

#[test]
fn video_and_referenced_pixels_are_named_by_their_syntax() {
    for (uid, name) in [
        ("1.2.840.10008.1.2.4.102", "H.264"),
        ("1.2.840.10008.1.2.4.100.1", "MPEG2"),
        ("1.2.840.10008.1.2.4.94", "JPIP"),
    ] {
        let object = ObjectBuilder::color8(1, 1, "YBR_PARTIAL_420", 0);
        let error = decode(&object.file(uid), &DecodeOptions::default()).expect_err("no picture");
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(
            error.content.is_image() && error.message.contains(name) && error.message.contains(uid)
        );
    }
}

#[test]
fn values_have_units_and_windows_have_names() {
    let object = ObjectBuilder::grey16(1, 2, "MONOCHROME2", false)
        .text(CENTER, *b"DS", "40\\300 ")
        .text(WIDTH, *b"DS", "400\\1500")
        .text(tags::WINDOW_CENTER_WIDTH_EXPLANATION, *b"LO", "SOFT\\BONE ")
        .text(tags::RESCALE_INTERCEPT, *b"DS", "-1024")
        .text(tags::RESCALE_SLOPE, *b"DS", "1")
        .words(&[0, 1100]);
    let source = ImageSource::from_bytes(object.file("1.2.840.10008.1.2.1")).expect("a source");
    let Frame::Grey(grey) = source.frame(0).expect("a frame") else {
        panic!("grey")
    };
    assert_eq!((grey.unit(), grey.value(1, 0)), (Some("HU"), Some(76.0)));
    let names: Vec<_> = grey.windows().iter().map(|w| w.name.as_deref()).collect();
    assert_eq!(names, [Some("SOFT"), Some("BONE")]);
}

#[test]
fn spacing_and_position_are_read_from_the_object() {
    let object = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
        .text(tags::IMAGE_POSITION_PATIENT, *b"DS", "-1\\2.5\\30 ")
        .text(tags::IMAGE_ORIENTATION_PATIENT, *b"DS", "1\\0\\0\\0\\1\\0")
        .text(tags::PIXEL_SPACING, *b"DS", "0.8\\0.4 ");
    let geometry = |object: &ObjectBuilder| {
        let bytes = object.clone().words(&[1]).file("1.2.840.10008.1.2.1");
        ImageSource::from_bytes(bytes)
            .expect("a source")
            .geometry(0)
    };
    let found = geometry(&object);
    let spacing = found.spacing.expect("spacing");
    assert_eq!((spacing.rows_mm, spacing.columns_mm), (0.8, 0.4));
    assert!(!spacing.at_detector);
    assert!((found.aspect - 2.0).abs() < 1e-12);
    assert_eq!(found.position, Some([-1.0, 2.5, 30.0]));
    let detector = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
        .text(tags::IMAGER_PIXEL_SPACING, *b"DS", "0.1\\0.1 ")
        .text(tags::PIXEL_ASPECT_RATIO, *b"IS", "3\\4 ");
    let found = geometry(&detector);
    assert!(found.spacing.is_some_and(|s| s.at_detector));
    assert!(
        (found.aspect - 1.0).abs() < 1e-12,
        "by the spacing, not the ratio"
    );
}

#[test]
fn station_and_uids_are_read_unless_they_are_malformed() {
    let origin = |instance: &str, station: &str| {
        let object = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
            .text(tags::SOP_INSTANCE_UID, *b"UI", instance)
            .text(tags::STATION_NAME, *b"SH", station)
            .text(tags::STUDY_INSTANCE_UID, *b"UI", "1.2\0")
            .text(tags::SERIES_INSTANCE_UID, *b"UI", "1.2.34")
            .words(&[1]);
        let info = object.decode(&DecodeOptions::default()).expect("a picture");
        info.0.dicom.expect("DICOM").origin
    };
    let expected = DicomOrigin {
        instance: Some("1.2.34.5".to_owned()),
        series: Some("1.2.34".to_owned()),
        study: Some("1.2".to_owned()),
        station: Some("XRAY-1".to_owned()),
        patient: None,
    };
    assert_eq!(origin("1.2.34.5", "XRAY-1"), expected);
    let malformed = DicomOrigin {
        instance: None,
        station: None,
        ..expected
    };
    assert_eq!(origin("Doe^Jane", &"X".repeat(66)), malformed);
}

#[test]
fn patients_are_told_apart_by_their_id_without_naming_it() {
    let mark = |id: &str| {
        let object = ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
            .text(tags::PATIENT_ID, *b"LO", id)
            .words(&[1]);
        let info = object.decode(&DecodeOptions::default()).expect("a picture");
        info.0.dicom.expect("DICOM").origin.patient
    };
    let own = mark("MRN-0017").expect("a mark");
    assert!(own.len() == 32 && !own.contains("0017"), "{own}");
    assert_eq!(mark("MRN-0017 "), Some(own.clone()), "padding");
    assert_ne!(mark("MRN-0018"), Some(own));
    for of_nobody in ["  ", "ANONYMOUS", "Anonymized", "00000", "N/A"] {
        assert_eq!(mark(of_nobody), None, "{of_nobody}");
    }
    assert!(mark("1000").is_some());
}

#[test]
fn overlays_are_read_from_their_own_data_or_from_the_pixel_cells() {
    let plane = ObjectBuilder::grey16(2, 3, "MONOCHROME2", false)
        .short(Tag(0x6000, 0x0010), 2)
        .short(Tag(0x6000, 0x0011), 3)
        .text(Tag(0x6000, 0x0040), *b"CS", "G ")
        .element(Tag(0x6000, 0x0050), *b"SS", &[1, 0, 1, 0])
        .text(Tag(0x6000, 0x1500), *b"LO", "MARKS ")
        .element(Tag(0x6000, 0x3000), *b"OW", &[0b0010_0001, 0])
        .words(&[0; 6]);
    let overlays = |object: &ObjectBuilder| {
        let source = ImageSource::from_bytes(object.file("1.2.840.10008.1.2.1")).expect("a source");
        source.overlays(0)
    };
    let drawn = |overlay: &OverlayPlane| {
        (0..2)
            .flat_map(|y| (0..3).map(move |x| (x, y)))
            .filter(|(x, y)| overlay.covers(*x, *y))
            .collect::<Vec<_>>()
    };
    let [own] = &overlays(&plane)[..] else {
        panic!("one overlay")
    };
    assert_eq!(drawn(own), [(0, 0), (2, 1)]);
    assert_eq!((own.label.as_deref(), own.group), (Some("MARKS"), 0x6000));
    // In bit 15 of 12-bit values, as before 2004; the values do not include it.
    let mut embedded = ObjectBuilder::grey16(2, 3, "MONOCHROME2", false);
    let at = embedded.bytes.windows(4).position(|w| w == [0x28, 0, 1, 1]);
    let at = at.expect("Bits Stored") + 8;
    (embedded.bytes[at], embedded.bytes[at + 10]) = (12, 11);
    let embedded = embedded
        .short(Tag(0x6002, 0x0010), 2)
        .short(Tag(0x6002, 0x0011), 3)
        .short(Tag(0x6002, 0x0100), 16)
        .short(Tag(0x6002, 0x0102), 15)
        .words(&[0, i16::MIN, 5, 5, 5, i16::MIN + 10]);
    let [inside] = &overlays(&embedded)[..] else {
        panic!("one overlay")
    };
    assert_eq!(drawn(inside), [(1, 0), (2, 1)]);
    assert_eq!(embedded.shown(), [0, 0, 128, 128, 128, 255]);
}

#[test]
fn objects_without_pixels_say_what_they_are() {
    let report = ObjectBuilder::default().text(
        tags::SOP_CLASS_UID,
        *b"UI",
        "1.2.840.10008.5.1.4.1.1.88.11\0",
    );
    assert_eq!(report.error().kind, ErrorKind::NoPixels);
    assert!(!report.error().content.is_image());
    assert!(report.error().message.contains("structured report"));
    let image =
        ObjectBuilder::default().text(tags::SOP_CLASS_UID, *b"UI", "1.2.840.10008.5.1.4.1.1.2");
    assert_eq!(image.error().kind, ErrorKind::NoPixels);
}

#[test]
fn an_object_is_reported_as_truncated_wherever_it_is_cut() {
    let object = ObjectBuilder::grey16(4, 4, "MONOCHROME2", false).text(
        tags::SOP_CLASS_UID,
        *b"UI",
        "1.2.840.10008.5.1.4.1.1.2",
    );
    let bytes = object.words(&[7; 16]).file("1.2.840.10008.1.2.1");
    for missing in 1..38 {
        let error =
            decode(&bytes[..bytes.len() - missing], &DecodeOptions::default()).expect_err("cut");
        assert_eq!(error.kind, ErrorKind::Truncated, "{missing}: {error}");
    }
}

#[test]
fn preamble_and_meta_information_are_optional() {
    let object = ObjectBuilder::grey16(1, 2, "MONOCHROME2", false).words(&[1, 2]);
    let mut bare = ObjectBuilder::default().text(Tag(0x0008, 0x0005), *b"CS", "ISO_IR 100");
    bare.bytes.extend(&object.bytes);
    assert_eq!(sniff(&bare.bytes), Sniffed::Dicom);
    let picture = decode(&bare.bytes, &DecodeOptions::default())
        .expect("a picture")
        .1;
    assert_eq!(picture.pixels.bytes(), [0, 255]);
    // The syntax says implicit VR, the data set is explicit.
    let mislabelled = decode(&object.file("1.2.840.10008.1.2"), &DecodeOptions::default());
    assert_eq!(mislabelled.expect("a picture").1.pixels.bytes(), [0, 255]);
}

#[test]
fn the_synthetic_mark_is_read() {
    let object = ObjectBuilder::default().text(tags::SYNTHETIC_DATA, *b"CS", "YES ");
    let mut bytes = object.bytes;
    bytes.extend(
        ObjectBuilder::grey16(1, 1, "MONOCHROME2", false)
            .words(&[1])
            .bytes,
    );
    let info = ObjectBuilder { bytes }
        .decode(&DecodeOptions::default())
        .expect("a picture")
        .0;
    assert!(info.synthetic);
}
