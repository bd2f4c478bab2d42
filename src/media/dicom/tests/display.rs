//! The rules by which values become grey or colour in files with faults.

use super::*;
use crate::Warnings;
use dicom_dictionary_std::tags;

impl ObjectBuilder {
    fn ds(self, tag: Tag, text: &str) -> Self {
        let padded = if text.len().is_multiple_of(2) {
            text.to_owned()
        } else {
            format!("{text} ")
        };
        self.text(tag, *b"DS", &padded)
    }

    fn cs(self, tag: Tag, text: &str) -> Self {
        self.text(tag, *b"CS", text)
    }

    fn shorts(self, tag: Tag, vr: [u8; 2], values: &[u16]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.element(tag, vr, &bytes)
    }

    fn lut(descriptor: [u16; 3], entries: &[u16]) -> Self {
        Self::default()
            .shorts(tags::LUT_DESCRIPTOR, *b"US", &descriptor)
            .shorts(tags::LUT_DATA, *b"OW", entries)
    }

    fn palette(mut self, descriptors: [[u16; 3]; 3], tables: [&[u16]; 3]) -> Self {
        for (channel, (descriptor, table)) in (0..).zip(descriptors.iter().zip(tables)) {
            self = self
                .shorts(
                    Tag(
                        0x0028,
                        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR.1 + channel,
                    ),
                    *b"US",
                    descriptor,
                )
                .shorts(
                    Tag(
                        0x0028,
                        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA.1 + channel,
                    ),
                    *b"OW",
                    table,
                );
        }
        self
    }

    /// The pixels shown, the window applied, and all warnings.
    fn rendered_with_warnings(&self) -> (Vec<u8>, Option<Window>, Warnings) {
        let bytes = self.file("1.2.840.10008.1.2.1");
        let source = ImageSource::from_bytes(bytes).expect("a source");
        let shown = source.load(&DecodeOptions::default()).expect("a picture");
        let mut warnings = source.info().warnings.clone();
        warnings.append(&shown.warnings);
        let pixels = shown.picture.pixels.bytes().to_vec();
        (pixels, shown.window, warnings)
    }

    fn warns_of(&self, what: &str) -> bool {
        self.rendered_with_warnings()
            .2
            .iter()
            .any(|warning| warning.contains(what))
    }
}

fn ramp() -> ObjectBuilder {
    ObjectBuilder::grey16(1, 3, "MONOCHROME2", false)
}

fn range(window: Option<Window>) -> (f64, f64, WindowSource) {
    let window = window.expect("a window");
    (window.center, window.width, window.source)
}

#[test]
fn a_decimal_comma_is_read_as_a_point_with_a_warning() {
    let object = ramp()
        .ds(CENTER, "20,5")
        .ds(WIDTH, "11,0")
        .ds(tags::RESCALE_INTERCEPT, "-10")
        .ds(tags::RESCALE_SLOPE, "0,5")
        .words(&[50, 60, 70]);
    let (shown, window, warnings) = object.rendered_with_warnings();
    assert_eq!(range(window), (20.5, 11.0, WindowSource::File));
    assert_eq!(shown, [0, 128, 255]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|w| w.contains("decimal comma")));
}

/// Windows are in modality units, which are unknown here.
#[test]
fn values_of_unknown_scale_are_shown_over_their_full_range() {
    for (slope, intercept) in [("a", "0"), ("0.5", "1,000.0"), ("1", "--5"), ("nan", "0")] {
        let object = ramp()
            .ds(CENTER, "20")
            .ds(WIDTH, "4")
            .ds(tags::RESCALE_INTERCEPT, intercept)
            .ds(tags::RESCALE_SLOPE, slope)
            .words(&[50, 60, 70]);
        let (shown, window, warnings) = object.rendered_with_warnings();
        assert_eq!(shown, [0, 128, 255]);
        assert_eq!(range(window), (60.0, 20.0, WindowSource::Minmax));
        assert!(warnings[0].contains("(0028,105") && warnings.len() == 2);
        assert!(!warnings.iter().any(|w| w.contains(slope) && slope == "--5"));
    }
}

#[test]
fn a_scale_beyond_all_numbers_is_unknown() {
    for (slope, intercept) in [("1e308", "0"), ("-1e305", "1e308"), ("1e304", "-1.79e308")] {
        let object = ramp()
            .ds(tags::RESCALE_INTERCEPT, intercept)
            .ds(tags::RESCALE_SLOPE, slope)
            .words(&[50, 60, 70]);
        let (shown, window, warnings) = object.rendered_with_warnings();
        assert_eq!(shown, [0, 128, 255], "{slope} {intercept}");
        assert_eq!(range(window), (60.0, 20.0, WindowSource::Minmax));
        assert!(warnings[0].contains("too large for a number"));
    }
}

#[test]
fn assumptions_about_the_rescale_slope_are_reported() {
    let scaled = |slope: &str, intercept: &str| {
        let object = ramp().ds(tags::RESCALE_SLOPE, slope);
        object
            .ds(tags::RESCALE_INTERCEPT, intercept)
            .words(&[1, 2, 3])
    };
    assert!(scaled("0", "7").warns_of("Rescale Slope (0028,1053) is 0"));
    assert!(scaled("", "7").warns_of("Rescale Slope (0028,1053) is missing"));
    assert!(scaled("2", "").warns_of("Rescale Intercept (0028,1052) is missing"));
    assert!(scaled("2\\3", "0").warns_of("several values"));
    assert!(scaled("2", "0").rendered_with_warnings().2.is_empty());
    assert!(scaled("", "").rendered_with_warnings().2.is_empty());
}

#[test]
fn unusable_windows_are_reported() {
    let windowed = |center: &str, width: &str| {
        ramp()
            .ds(CENTER, center)
            .ds(WIDTH, width)
            .words(&[0, 50, 100])
    };
    for (center, width, warning, shown) in [
        (
            "x",
            "100",
            "Window Center (0028,1050)",
            WindowSource::Minmax,
        ),
        ("50", "0", "is not above 0", WindowSource::Minmax),
        ("50", "-3", "is not above 0", WindowSource::Minmax),
        ("50\\60", "100", "differ in number", WindowSource::File),
        ("50", "", "differ in number", WindowSource::Minmax),
        ("50", "0.5", "LINEAR_EXACT", WindowSource::File),
        ("50\\x", "100\\200", "cannot be read", WindowSource::File),
    ] {
        let object = windowed(center, width);
        assert!(object.warns_of(warning), "{center} {width}");
        assert_eq!(object.window().source, shown, "{center} {width}");
    }
    assert!(windowed("50", "100").rendered_with_warnings().2.is_empty());
    let function = |name| {
        ramp()
            .cs(tags::VOILUT_FUNCTION, name)
            .ds(CENTER, "50")
            .ds(WIDTH, "0")
    };
    assert!(
        function("SIGMOID ")
            .words(&[0, 50, 100])
            .warns_of("is not above 0")
    );
    let odd = function("LOG ").words(&[0, 50, 100]);
    assert!(odd.warns_of("VOI LUT Function (0028,1056)"));
}

#[test]
fn a_voi_lut_reaches_white_even_if_its_descriptor_gives_the_word_width() {
    let shown = |photometric: &str, declared: u16| {
        let lut = ObjectBuilder::lut([3, 0, declared], &[0, 2048, 4095]);
        let object =
            ObjectBuilder::grey16(1, 3, photometric, false).item(tags::VOILUT_SEQUENCE, &lut);
        object.words(&[0, 1, 2])
    };
    for declared in [12, 16] {
        assert_eq!(shown("MONOCHROME2", declared).shown(), [0, 128, 255]);
        assert_eq!(shown("MONOCHROME1", declared).shown(), [255, 127, 0]);
        let rendered_with_warnings = shown("MONOCHROME2", declared)
            .warns_of("16 bits; judging by their values they have 12");
        assert_eq!(rendered_with_warnings, declared == 16);
    }
    // A modality LUT gives values, not shades.
    let lut = ObjectBuilder::lut([3, 0, 16], &[0, 2048, 4095]);
    let object = ramp().item(tags::MODALITY_LUT_SEQUENCE, &lut);
    let object = object
        .ds(CENTER, "4096")
        .ds(WIDTH, "8192")
        .words(&[0, 1, 2]);
    assert_eq!(object.shown(), [0, 64, 127]);
    let damaged = ramp().item(tags::VOILUT_SEQUENCE, &ObjectBuilder::lut([3, 0, 16], &[]));
    assert!(damaged.words(&[0, 1, 2]).warns_of("VOI LUT is damaged"));
}

/// The first value of a table is written in 16 bits. Its sign follows from the values that the table is for.
#[test]
fn a_voi_lut_lies_where_the_values_are_after_the_modality_transform() {
    let table = |vr: [u8; 2], first: u16| {
        ObjectBuilder::default()
            .shorts(tags::LUT_DESCRIPTOR, vr, &[3, first, 8])
            .shorts(tags::LUT_DATA, *b"OW", &[0, 100, 255])
    };
    let shown = |signed: bool, slope: &str, intercept: &str, (vr, first): ([u8; 2], u16)| {
        ObjectBuilder::grey16(1, 3, "MONOCHROME2", signed)
            .ds(tags::RESCALE_INTERCEPT, intercept)
            .ds(tags::RESCALE_SLOPE, slope)
            .item(tags::VOILUT_SEQUENCE, &table(vr, first))
    };
    let minus_two = 0xfffe;
    for vr in [*b"SS", *b"US"] {
        let negative = shown(false, "-1", "0", (vr, minus_two)).words(&[0, 1, 2]);
        assert_eq!(negative.shown(), [255, 100, 0]);
        let below = shown(false, "1", "-1000", (vr, minus_two)).words(&[998, 999, 1000]);
        assert_eq!(below.shown(), [0, 100, 255]);
        let signed = shown(true, "1", "0", (vr, minus_two)).words(&[-2, -1, 0]);
        assert_eq!(signed.shown(), [0, 100, 255]);
    }
    let raised = shown(true, "1", "40000", (*b"US", 40_000)).words(&[0, 1, 2]);
    assert_eq!(raised.shown(), [0, 100, 255]);
    // Signed values that a modality LUT makes unsigned.
    let modality = ObjectBuilder::default()
        .shorts(tags::LUT_DESCRIPTOR, *b"SS", &[3, minus_two, 16])
        .shorts(tags::LUT_DATA, *b"OW", &[40_000, 40_001, 40_002]);
    let looked_up = ObjectBuilder::grey16(1, 3, "MONOCHROME2", true)
        .item(tags::MODALITY_LUT_SEQUENCE, &modality)
        .item(tags::VOILUT_SEQUENCE, &table(*b"US", 40_000))
        .words(&[-2, -1, 0]);
    assert_eq!(looked_up.shown(), [0, 100, 255]);
}

/// PS3.3 C.11.2.1.3: LINEAR is what the file says, LINEAR_EXACT the default of real numbers.
#[test]
fn a_window_of_real_numbers_follows_the_function_that_the_file_names() {
    let shown = |function: &str, center: &str, width: &str| {
        let object = ObjectBuilder::grey(1, 3, "MONOCHROME2", (32, 32), false);
        let bytes = [0.0_f32, 2.0, 4.0].map(f32::to_le_bytes).concat();
        let object = object.ds(CENTER, center).ds(WIDTH, width);
        let object = if function.is_empty() {
            object
        } else {
            object.cs(tags::VOILUT_FUNCTION, function)
        };
        object
            .element(tags::FLOAT_PIXEL_DATA, *b"OF", &bytes)
            .shown()
    };
    assert_eq!(shown("LINEAR", "2.5", "5"), [0, 128, 255]);
    assert_eq!(shown("", "2.5", "5"), [0, 102, 204]);
    assert_eq!(shown("LINEAR_EXACT", "2.5", "5"), [0, 102, 204]);
    // A width for which LINEAR is a step.
    assert_eq!(shown("LINEAR", "2.25", "1"), [0, 64, 255]);
}

/// PS3.3 C.8.7.1.1.2: the transform back to beam intensity is for measurements.
#[test]
fn angiography_is_windowed_before_its_modality_lut() {
    let shown = |class: &str, relationship: &str| {
        let lut = ObjectBuilder::lut([3, 0, 16], &[4000, 4000, 4000]);
        let object = ramp()
            .text(tags::SOP_CLASS_UID, *b"UI", class)
            .cs(tags::PIXEL_INTENSITY_RELATIONSHIP, relationship)
            .item(tags::MODALITY_LUT_SEQUENCE, &lut)
            .ds(CENTER, "1.5")
            .ds(WIDTH, "3");
        object.words(&[0, 1, 2]).shown()
    };
    let (xa, xrf, ct) = (
        "1.2.840.10008.5.1.4.1.1.12.1",
        "1.2.840.10008.5.1.4.1.1.12.2\0",
        "1.2.840.10008.5.1.4.1.1.2\0",
    );
    for (class, relationship) in [(xa, "LOG "), (xa, "DISP"), (xrf, "LOG ")] {
        assert_eq!(shown(class, relationship), [0, 128, 255]);
    }
    for (class, relationship) in [(xa, "LIN "), (ct, "LOG ")] {
        assert_eq!(shown(class, relationship), [255, 255, 255]);
    }
}

#[test]
fn a_voi_lut_of_a_functional_group_is_applied() {
    let lut = ObjectBuilder::lut([3, 10, 8], &[0, 50, 255]);
    let voi = ObjectBuilder::default().item(tags::VOILUT_SEQUENCE, &lut);
    let group = ObjectBuilder::default().item(tags::FRAME_VOILUT_SEQUENCE, &voi);
    for place in [
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    ] {
        let object = ramp().item(place, &group).words(&[10, 11, 12]);
        assert_eq!(object.shown(), [0, 50, 255]);
        assert_eq!(object.window().source, WindowSource::Lut);
    }
}

#[test]
fn a_uniform_frame_is_distinguished_from_its_padding_or_mid_grey() {
    let padded = |values: &[i16]| {
        let object = ramp().shorts(tags::PIXEL_PADDING_VALUE, *b"US", &[0]);
        object.words(values).shown()
    };
    assert_eq!(padded(&[0, 7, 7]), [0, 255, 255]);
    assert_eq!(padded(&[0, 7, 9]), [0, 0, 255]);
    assert_eq!(padded(&[0, 0, 0]), [128; 3]);
    assert_eq!(padded(&[7, 7, 7]), [128; 3]);
    let inverted = ObjectBuilder::grey16(1, 3, "MONOCHROME1", false).words(&[7, 7, 7]);
    assert_eq!(inverted.shown(), [128; 3]);
    // Range limits in the wrong order.
    let object = ramp().shorts(tags::PIXEL_PADDING_VALUE, *b"US", &[9]);
    let object = object.shorts(tags::PIXEL_PADDING_RANGE_LIMIT, *b"US", &[5]);
    assert_eq!(object.words(&[6, 10, 20]).shown(), [0, 0, 255]);
    // Twelve bits, with the sign as in the cell.
    let mut object = ObjectBuilder::grey16(1, 3, "MONOCHROME2", true);
    let at = object.bytes.windows(4).position(|w| w == [0x28, 0, 1, 1]);
    let at = at.expect("Bits Stored") + 8;
    (object.bytes[at], object.bytes[at + 10]) = (12, 11);
    let object = object.shorts(tags::PIXEL_PADDING_VALUE, *b"US", &[0x0800]);
    assert_eq!(object.words(&[-2048, 0, 100]).shown(), [0, 0, 255]);
}

#[test]
fn segmentations_have_the_range_of_their_type() {
    let segments = |kind: &str, values: &[i16]| {
        let object = ramp().cs(tags::SEGMENTATION_TYPE, kind);
        object
            .short(tags::MAXIMUM_FRACTIONAL_VALUE, 200)
            .words(values)
            .shown()
    };
    assert_eq!(segments("BINARY", &[1, 1, 1]), [255; 3]);
    assert_eq!(segments("BINARY", &[0, 0, 0]), [0; 3]);
    assert_eq!(segments("FRACTIONAL", &[0, 100, 100]), [0, 128, 128]);
    assert_eq!(segments("LABELMAP", &[3, 3, 3]), [128; 3]);
}

/// Each label has its own shade, the same in all frames, and none is as dark as the background.
#[test]
fn a_label_map_is_shown_from_the_background_to_its_last_label() {
    let label_map = |values: &[i16]| {
        let segments = [2, 5, 3].map(|number| {
            let segment = ObjectBuilder::default().short(tags::SEGMENT_NUMBER, number);
            let length = (segment.bytes.len() as u32).to_le_bytes();
            [&[0xfe, 0xff, 0x00, 0xe0], &length[..], &segment.bytes].concat()
        });
        ramp()
            .shorts(tags::PIXEL_PADDING_VALUE, *b"US", &[0])
            .cs(tags::SEGMENTATION_TYPE, "LABELMAP")
            .element(tags::SEGMENT_SEQUENCE, *b"SQ", &segments.concat())
            .words(values)
    };
    assert_eq!(label_map(&[0, 2, 3]).shown(), [0, 102, 153]);
    assert_eq!(label_map(&[2, 3, 5]).shown(), [102, 153, 255]);
    assert_eq!(label_map(&[0, 0, 0]).shown(), [0; 3]);
}

#[test]
fn grey_stored_as_colour_is_shown_as_grey() {
    let frame = |object: &ObjectBuilder| {
        let bytes = object.file("1.2.840.10008.1.2.1");
        ImageSource::from_bytes(bytes)
            .expect("a source")
            .frame(0)
            .expect("a frame")
    };
    let grey = ObjectBuilder::color8(1, 2, "RGB", 0).octets(&[9, 9, 9, 200, 200, 200]);
    assert!(matches!(frame(&grey), Frame::Grey(_)));
    assert_eq!(grey.shown(), [9, 200]);
    let ybr = ObjectBuilder::color8(1, 2, "YBR_FULL", 0).octets(&[9, 128, 128, 200, 128, 128]);
    assert_eq!(ybr.shown(), [9, 200]);
    let nearly = ObjectBuilder::color8(1, 2, "RGB", 0).octets(&[9, 9, 9, 200, 200, 201]);
    assert!(matches!(frame(&nearly), Frame::Color(_)));
    let table: &[u16] = &[0x1000, 0xff00];
    let palette =
        ObjectBuilder::grey16(1, 3, "PALETTE COLOR", false).palette([[2, 0, 16]; 3], [table; 3]);
    assert_eq!(palette.words(&[0, 1, 0]).shown(), [0x10, 0xff, 0x10]);
}

#[test]
fn the_depth_of_a_palette_is_found_from_its_three_tables() {
    let shown = |bits: u16, tables: [&[u16]; 3]| {
        let object = ObjectBuilder::grey16(1, 2, "PALETTE COLOR", false);
        object.palette([[2, 0, bits]; 3], tables).words(&[0, 1])
    };
    let dark = shown(16, [&[0, 0xff00], &[0, 0x8000], &[0, 1]]);
    assert_eq!(dark.shown(), [0, 0, 0, 255, 128, 0]);
    assert!(dark.rendered_with_warnings().2.is_empty());
    let words = shown(8, [&[0, 0x7f00], &[0xff00, 0], &[0, 0x0300]]);
    assert_eq!(words.shown(), [0, 255, 0, 127, 0, 3]);
    assert!(words.warns_of("8 bits; judging by their values they have 16"));
    let bytes = shown(16, [&[0, 255], &[0, 128], &[0, 1]]);
    assert_eq!(bytes.shown(), [0, 0, 0, 255, 128, 1]);
    assert!(bytes.warns_of("16 bits; judging by their values they have 8"));
    let tables: [&[u16]; 3] = [&[0xff00], &[0, 0x8000, 0], &[0, 0, 0]];
    let short =
        ObjectBuilder::grey16(1, 2, "PALETTE COLOR", false).palette([[3, 0, 16]; 3], tables);
    let short = short.words(&[0, 1]);
    assert_eq!(short.shown(), [255, 0, 0, 255, 128, 0]);
    assert!(short.warns_of("fewer entries"));
}

/// PS3.3 C.8.16.2.1.1.1: values from the palette's first on are coloured, the others stay grey.
#[test]
fn a_supplemental_palette_colours_its_values_only() {
    let object = |presentation: &str| {
        let tables: [&[u16]; 3] = [&[0xff00, 0], &[0, 0xff00], &[0, 0]];
        ramp()
            .cs(tags::PIXEL_PRESENTATION, presentation)
            .ds(CENTER, "50")
            .ds(WIDTH, "101")
            .palette([[2, 1000, 16]; 3], tables)
            .words(&[50, 1000, 1001])
    };
    assert_eq!(
        object("COLOR ").shown(),
        [129, 129, 129, 255, 0, 0, 0, 255, 0]
    );
    let uncolored = object("COLOR ").bytes;
    let uncolored = uncolored[..uncolored.len() - 6].to_vec();
    let uncolored = [&uncolored[..], &[50, 0, 0, 0, 100, 0]].concat();
    assert_eq!(ObjectBuilder { bytes: uncolored }.shown(), [129, 1, 255]);
    assert_eq!(object("MONOCHROME").shown(), [129, 255, 255]);
}

#[test]
fn inverse_means_one_inversion_and_a_contradiction_is_reported() {
    let shaped = |photometric: &str, shape: &str| {
        let object = ObjectBuilder::grey16(1, 3, photometric, false);
        object
            .cs(tags::PRESENTATION_LUT_SHAPE, shape)
            .words(&[0, 50, 100])
    };
    for (photometric, shape, shown, is_reported) in [
        ("MONOCHROME1", "INVERSE ", [255, 127, 0], false),
        ("MONOCHROME2", "IDENTITY", [0, 128, 255], false),
        ("MONOCHROME2", "INVERSE ", [255, 127, 0], true),
        ("MONOCHROME1", "IDENTITY", [255, 127, 0], true),
    ] {
        let object = shaped(photometric, shape);
        assert_eq!(object.shown(), shown, "{photometric} {shape}");
        assert_eq!(object.warns_of("Presentation LUT Shape"), is_reported);
    }
}

#[test]
fn retired_and_contradictory_colours_are_shown() {
    let fours = |photometric: &str| {
        let mut object = ObjectBuilder::color8(1, 1, photometric, 0);
        object.bytes[8] = 4;
        object
    };
    let cmyk = fours("CMYK").octets(&[255, 204, 51, 0]);
    assert_eq!(cmyk.shown(), [0, 51, 204]);
    let argb = |alpha| fours("ARGB").octets(&[alpha, 1, 2, 3]);
    assert_eq!(argb(0).shown(), [1, 2, 3]);
    assert!(argb(1).warns_of("no palette"));
    let tables: [&[u16]; 3] = [&[0xff00], &[0], &[0x8000]];
    let looked_up = fours("ARGB").palette([[1, 1, 16]; 3], tables);
    assert_eq!(looked_up.octets(&[1, 1, 2, 3]).shown(), [255, 0, 128]);
    let four = fours("RGB ").octets(&[1, 2, 3, 255]);
    assert_eq!(four.shown(), [1, 2, 3]);
    let partial = ObjectBuilder::color8(1, 2, "YBR_PARTIAL_422", 0).octets(&[81, 81, 90, 240]);
    assert_eq!(partial.shown(), [254, 0, 0, 254, 0, 0]);
    let unpacked = ObjectBuilder::color8(1, 1, "YBR_RCT", 0).octets(&[1, 2, 3, 0]);
    assert_eq!(unpacked.shown(), [1, 2, 3]);
    assert!(unpacked.warns_of("read as RGB"));
}

#[test]
fn the_length_of_the_pixels_decides_the_number_of_samples() {
    let three = ObjectBuilder::color8(1, 2, "MONOCHROME2", 0).octets(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(three.shown(), [1, 2, 3, 4, 5, 6]);
    assert!(three.warns_of("shown as RGB"));
    let one = ObjectBuilder::color8(1, 2, "MONOCHROME2", 0).octets(&[0, 200]);
    assert_eq!(one.shown(), [0, 255]);
    assert!(one.warns_of("by their length"));
    let grey = |values: &[u8]| {
        let mut object = ObjectBuilder::color8(1, 2, "RGB ", 0);
        object.bytes[8] = 1;
        object.octets(values)
    };
    assert_eq!(grey(&[0, 200]).shown(), [0, 255]);
    assert!(grey(&[0, 200]).warns_of("shown as MONOCHROME2"));
    assert_eq!(grey(&[1, 2, 3, 4, 5, 6]).shown(), [1, 2, 3, 4, 5, 6]);
    let mut two = ObjectBuilder::color8(1, 2, "RGB ", 0);
    two.bytes[8] = 2;
    assert_eq!(two.octets(&[0; 4]).error().kind, ErrorKind::Malformed);
}

#[test]
fn missing_and_invalid_attributes_of_the_pixel_module_are_reported() {
    let frames = ramp()
        .text(tags::NUMBER_OF_FRAMES, *b"IS", "x ")
        .words(&[1, 2, 3]);
    assert!(frames.warns_of("Number of Frames (0028,0008)"));
    let mut bits = ramp();
    let at = bits.bytes.windows(4).position(|w| w == [0x28, 0, 1, 1]);
    bits.bytes[at.expect("Bits Stored") + 8] = 17;
    assert!(bits.words(&[1, 2, 3]).warns_of("Bits Stored (0028,0101)"));
    let mut wide = ramp();
    let at = wide.bytes.windows(4).position(|w| w == [0x28, 0, 0, 1]);
    wide.bytes[at.expect("Bits Allocated") + 8] = 64;
    assert_eq!(wide.words(&[0; 12]).error().kind, ErrorKind::Unsupported);
}

#[test]
fn invalid_spacing_is_reported() {
    let spaced = |text: &str| ramp().ds(tags::PIXEL_SPACING, text).words(&[1, 2, 3]);
    for wrong in ["0.5", "0\\0", "a\\b", "0.5\\0.5\\0.5"] {
        let object = spaced(wrong);
        assert!(object.warns_of("Pixel Spacing (0028,0030)"), "{wrong}");
        let bytes = object.file("1.2.840.10008.1.2.1");
        let source = ImageSource::from_bytes(bytes).expect("a source");
        assert_eq!(source.geometry(0).spacing, None, "{wrong}");
    }
    assert!(spaced("0.5\\0.4").rendered_with_warnings().2.is_empty());
    let comma = spaced("0,5\\0,4").file("1.2.840.10008.1.2.1");
    let spacing = ImageSource::from_bytes(comma)
        .expect("a source")
        .geometry(0)
        .spacing;
    assert_eq!(spacing.map(|s| (s.rows_mm, s.columns_mm)), Some((0.5, 0.4)));
}

#[test]
fn an_overlay_in_a_bit_of_the_values_is_drawn_with_a_warning() {
    let overlaid = |allocated: u16| {
        ramp()
            .short(Tag(0x6000, 0x0010), 1)
            .short(Tag(0x6000, 0x0011), 3)
            .short(Tag(0x6000, 0x0100), allocated)
            .short(Tag(0x6000, 0x0102), 0)
            .words(&[1, 2, 3])
    };
    let count = |object: &ObjectBuilder| {
        let bytes = object.file("1.2.840.10008.1.2.1");
        ImageSource::from_bytes(bytes)
            .expect("a source")
            .overlays(0)
            .len()
    };
    assert!(overlaid(16).warns_of("lies in bit 0") && count(&overlaid(16)) == 1);
    assert!(overlaid(1).warns_of("has no data") && count(&overlaid(1)) == 0);
    let cut = ramp()
        .short(Tag(0x6000, 0x0010), 40)
        .short(Tag(0x6000, 0x0011), 40);
    let cut = cut
        .element(Tag(0x6000, 0x3000), *b"OW", &[0, 0])
        .words(&[1, 2, 3]);
    assert!(cut.warns_of("cut off") && count(&cut) == 0);
}

/// PS3.3 C.7.6.3.1.7: the ratio is for images without a physical spacing.
#[test]
fn the_spacing_of_the_pixels_decides_on_their_shape() {
    let shape = |spacing: Option<&str>, ratio: &str| {
        let mut object = ramp().text(tags::PIXEL_ASPECT_RATIO, *b"IS", ratio);
        if let Some(spacing) = spacing {
            object = object.ds(tags::PIXEL_SPACING, spacing);
        }
        let bytes = object.words(&[1, 2, 3]).file("1.2.840.10008.1.2.1");
        let source = ImageSource::from_bytes(bytes).expect("a source");
        let warned = source
            .info()
            .warnings
            .iter()
            .any(|w| w.contains("contradicts the spacing"));
        (source.geometry(0).aspect, warned)
    };
    assert_eq!(shape(Some("1.0\\0.5"), "1\\1 "), (2.0, true));
    assert_eq!(shape(Some("1.0\\0.5"), "2\\1 "), (2.0, false));
    assert_eq!(shape(Some("0.333\\1.0"), "1\\3 "), (0.333, false));
    assert_eq!(shape(None, "2\\1 "), (2.0, false));
}
