//! Phantoms as DICOM files: digital radiographs, and MR sections as single images or one multi-frame object.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::{Phantom, files::MARK, random::PhantomRng};

/// The format of an object's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// 16 bits allocated and 12 stored; otherwise 8.
    pub(super) deep: bool,
    /// MONOCHROME1: the lowest value is white; otherwise MONOCHROME2.
    pub(super) inverted: bool,
}

/// The attributes of an object besides its samples.
pub(super) struct PhantomInfo<'a> {
    /// `DX`, `CR` or `MR`.
    pub(super) modality: &'static str,
    /// The study's number, from 1; part of the patient's ID.
    pub(super) number: usize,
    /// Part of the study's description.
    pub(super) subject: &'a str,
    /// Field of view along the shorter side, in mm.
    pub(super) field: f32,
}

/// Encodes a Part 10 file (explicit VR, little endian) whose frames are the phantoms; all must have the same size.
pub(super) fn encode(
    frames: &[Phantom],
    storage: Storage,
    header: &PhantomInfo<'_>,
    rng: &mut PhantomRng,
) -> Result<Vec<u8>, String> {
    let first = frames.first().ok_or("no frame to write")?;
    let class = sop_class(header.modality, frames.len());
    let mut object = InMemDicomObject::new_empty();
    let instance = uid(rng);
    identify(&mut object, class, &instance, header, rng);
    describe(&mut object, first, header);
    if frames.len() > 1 {
        stack(&mut object, frames.len());
    }
    pixels(&mut object, frames, storage, rng);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(&instance);
    let file = object.with_meta(meta).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn sop_class(modality: &str, frames: usize) -> &'static str {
    match (modality, frames) {
        // The enhanced MR class demands functional groups; secondary capture stores the same frames without them.
        (_, 2..) => uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
        ("MR", _) => uids::MR_IMAGE_STORAGE,
        ("CR", _) => uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
        _ => uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    }
}

/// A UID derived from a random 128-bit number (PS3.5 B.2): `2.25.` and up to 39 digits.
fn uid(rng: &mut PhantomRng) -> String {
    let number = (0..4).fold(0_u128, |number, _| (number << 32) | u128::from(rng.bits()));
    format!("2.25.{number}")
}

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn number(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// Sets the attributes of the patient, study, series and common modules.
fn identify(
    object: &mut InMemDicomObject,
    class: &str,
    instance: &str,
    header: &PhantomInfo<'_>,
    rng: &mut PhantomRng,
) {
    let study = uid(rng);
    let series = uid(rng);
    let patient = format!("SYNTHETIC-{:04}", header.number);
    let title = format!("SYNTHETIC {}", header.subject);
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY"),
        (tags::SYNTHETIC_DATA, VR::CS, "YES"),
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (tags::STUDY_DATE, VR::DA, "20260101"),
        (tags::STUDY_TIME, VR::TM, "120000"),
        (tags::ACCESSION_NUMBER, VR::SH, ""),
        (tags::MODALITY, VR::CS, header.modality),
        (tags::MANUFACTURER, VR::LO, "medivision-tui"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
        (tags::STUDY_DESCRIPTION, VR::LO, &title),
        (tags::PATIENT_NAME, VR::PN, "SYNTHETIC^PHANTOM"),
        (tags::PATIENT_ID, VR::LO, &patient),
        (tags::PATIENT_BIRTH_DATE, VR::DA, ""),
        (tags::PATIENT_SEX, VR::CS, "O"),
        (tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
        (tags::DEIDENTIFICATION_METHOD, VR::LO, "drawn by formulas"),
        (tags::STUDY_INSTANCE_UID, VR::UI, &study),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series),
        (tags::STUDY_ID, VR::SH, "1"),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::IMAGE_COMMENTS, VR::LT, MARK),
    ] {
        text(object, tag, vr, value);
    }
}

/// Sets body part, laterality, view and pixel spacing.
fn describe(object: &mut InMemDicomObject, drawing: &Phantom, header: &PhantomInfo<'_>) {
    text(object, tags::BODY_PART_EXAMINED, VR::CS, drawing.body_part);
    if let Some(side) = drawing.side {
        text(object, tags::LATERALITY, VR::CS, &side.to_string());
    }
    if drawing.body_part == "CHEST" {
        text(object, tags::VIEW_POSITION, VR::CS, "PA");
    }
    let spacing = header.field / drawing.width.min(drawing.height) as f32;
    let spacing = format!("{spacing:.4}\\{spacing:.4}");
    text(object, tags::PIXEL_SPACING, VR::DS, &spacing);
    if header.modality == "MR" {
        text(object, tags::SLICE_THICKNESS, VR::DS, "5");
    } else {
        text(object, tags::IMAGER_PIXEL_SPACING, VR::DS, &spacing);
    }
}

/// Sets the attributes of a multi-frame object (PS3.3 C.7.6.6 and C.8.6.3).
fn stack(object: &mut InMemDicomObject, frames: usize) {
    let locations = (0..frames)
        .map(|index| (index * 5).to_string())
        .collect::<Vec<_>>();
    text(object, tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    text(object, tags::CONVERSION_TYPE, VR::CS, "SYN");
    text(
        object,
        tags::SLICE_LOCATION_VECTOR,
        VR::DS,
        &locations.join("\\"),
    );
    let pointer = PrimitiveValue::from(tags::SLICE_LOCATION_VECTOR);
    object.put(DataElement::new(
        tags::FRAME_INCREMENT_POINTER,
        VR::AT,
        pointer,
    ));
}

/// Sets the samples, and the window that displays them as drawn.
fn pixels(
    object: &mut InMemDicomObject,
    frames: &[Phantom],
    storage: Storage,
    rng: &mut PhantomRng,
) {
    let (bits, highest) = if storage.deep {
        (12_u16, 4095.0_f32)
    } else {
        (8, 255.0)
    };
    // As receptors rarely use their whole range, the values fill a part of it, to which the window is set.
    let (low, range) = if storage.deep {
        (
            rng.between(0.0, 500.0).floor(),
            rng.between(1800.0, 3500.0).floor(),
        )
    } else {
        (0.0, highest)
    };
    let stored = |value: &f32| {
        let level = if storage.inverted {
            1.0 - value
        } else {
            *value
        };
        (low + level * range + 0.5).min(highest) as u16
    };
    let samples = frames
        .iter()
        .flat_map(|frame| frame.values.iter().map(stored));
    number(object, tags::SAMPLES_PER_PIXEL, 1);
    let photometric = if storage.inverted {
        "MONOCHROME1"
    } else {
        "MONOCHROME2"
    };
    text(
        object,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        photometric,
    );
    text(
        object,
        tags::PRESENTATION_LUT_SHAPE,
        VR::CS,
        if storage.inverted {
            "INVERSE"
        } else {
            "IDENTITY"
        },
    );
    number(object, tags::ROWS, frames[0].height as u16);
    number(object, tags::COLUMNS, frames[0].width as u16);
    number(
        object,
        tags::BITS_ALLOCATED,
        if storage.deep { 16 } else { 8 },
    );
    number(object, tags::BITS_STORED, bits);
    number(object, tags::HIGH_BIT, bits - 1);
    number(object, tags::PIXEL_REPRESENTATION, 0);
    text(object, tags::RESCALE_INTERCEPT, VR::DS, "0");
    text(object, tags::RESCALE_SLOPE, VR::DS, "1");
    text(object, tags::RESCALE_TYPE, VR::LO, "US");
    // LINEAR maps center − 0.5 ± (width − 1) / 2 to the ends of the display (PS3.3 C.11.2.1.2.1).
    text(
        object,
        tags::WINDOW_CENTER,
        VR::DS,
        &format!("{}", low + f32::midpoint(range, 1.0)),
    );
    text(
        object,
        tags::WINDOW_WIDTH,
        VR::DS,
        &format!("{}", range + 1.0),
    );
    let (vr, value) = if storage.deep {
        (VR::OW, PrimitiveValue::U16(samples.collect()))
    } else {
        (
            VR::OB,
            PrimitiveValue::U8(padded(samples.map(|sample| sample as u8).collect()).into()),
        )
    };
    object.put(DataElement::new(tags::PIXEL_DATA, vr, value));
}

/// Pads to an even length (PS3.5 7.1.1).
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}
