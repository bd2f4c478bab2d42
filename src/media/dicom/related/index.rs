//! Finds out which images an object refers to without reading its content, so that a folder of thousands of images can
//! be searched for the few related objects.

use std::collections::HashSet;
use std::path::Path;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::kind;
use super::presentation;
use super::values::{ImageReferences, charset, text, uid};
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::file::meta_group;
use crate::dicom::parsing::parsed::ParsedFile;
use crate::dicom::tags::phi;
use crate::error::MediaError;
use crate::read;
use crate::related::{Arrangement, RelatedKind, RelatedObject, TargetFrame, Wording};
use crate::sniff::{Sniffed, sniff};

/// Bytes by which images are told from related objects: the file meta information names the storage class.
const CLASS_BYTES: u64 = 4 << 10;
/// Bytes read first of a related object.
const FIRST_READ: u64 = 64 << 10;

/// The images that an object refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct References {
    images: ImageReferences,
    /// UIDs of series that are referenced as a whole.
    series: HashSet<String>,
    /// UIDs of the Frames of Reference of its coordinates.
    frames_of_reference: HashSet<String>,
    arrangements: presentation::Arrangements,
}

impl References {
    pub(crate) fn concern(&self, target: &TargetFrame) -> bool {
        let space = &target.frame_of_reference;
        self.images.include(target)
            || self.series.contains(&target.series)
            || (!space.is_empty() && self.frames_of_reference.contains(space))
    }

    pub(crate) fn arrangement(&self, target: &TargetFrame) -> Arrangement {
        self.arrangements.for_frame(target)
    }
}

/// Reads which images a file refers to; `None` if it is not a related object.
pub(crate) fn index(path: &Path) -> Result<Option<RelatedObject>, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..CLASS_BYTES.min(length))?;
    if sniff(&head) != Sniffed::Dicom {
        return Ok(None);
    }
    let class = match meta_group(&head)?.first(tags::MEDIA_STORAGE_SOP_CLASS_UID) {
        Some(class) => class,
        None => uid(
            &parse(path, Some(tags::SOP_CLASS_UID))?.set,
            tags::SOP_CLASS_UID,
        ),
    };
    let Some(kind) = kind(&class) else {
        return Ok(None);
    };
    // In each kind, the last attribute that is needed comes before the bulk of the data.
    let mut file = match kind {
        RelatedKind::Presentation => parse(path, None)?,
        RelatedKind::Segmentation => parse(path, Some(tags::CONTENT_DESCRIPTION))?,
        RelatedKind::Structures => parse(path, Some(tags::STRUCTURE_SET_ROI_SEQUENCE))?,
    };
    let named = !file.set.items(tags::REFERENCED_SERIES_SEQUENCE).is_empty();
    if kind == RelatedKind::Segmentation && !named {
        file = parse(path, Some(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE))?;
    }
    Ok(Some(describe(&file.set, kind)))
}

/// Parses a file up to its `last` attribute.
fn parse(path: &Path, last: Option<Tag>) -> Result<ParsedFile, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..FIRST_READ.min(length))?;
    let body = if length > FIRST_READ {
        Body::partial(file, length, head)
    } else {
        Body::whole(head)
    };
    match last {
        Some(last) => ParsedFile::read_to(body, last),
        None => ParsedFile::read(body),
    }
}

/// Describes the object in a data set.
pub(super) fn describe(set: &DataSet, kind: RelatedKind) -> RelatedObject {
    let charset = charset(set);
    let wording = |tags: &[(Tag, VR)]| {
        let all = tags.iter().map(|(tag, vr)| Wording {
            text: text(set, *tag, *vr, charset),
            identifying: phi::identifies(*tag, *vr),
        });
        all.into_iter()
            .find(|wording| !wording.text.is_empty())
            .unwrap_or_default()
    };
    let first = |tags: &[Tag]| {
        tags.iter()
            .find_map(|tag| set.first(*tag))
            .unwrap_or_default()
    };
    let series = (tags::SERIES_DESCRIPTION, VR::LO);
    let (label, description, date) = match kind {
        RelatedKind::Structures => (
            wording(&[(tags::STRUCTURE_SET_LABEL, VR::SH)]),
            wording(&[(tags::STRUCTURE_SET_NAME, VR::LO), series]),
            first(&[tags::STRUCTURE_SET_DATE]),
        ),
        _ => (
            wording(&[(tags::CONTENT_LABEL, VR::CS)]),
            wording(&[(tags::CONTENT_DESCRIPTION, VR::LO), series]),
            first(&[tags::PRESENTATION_CREATION_DATE, tags::CONTENT_DATE]),
        ),
    };
    let count = |tag| Some(set.items(tag).len() as u32);
    RelatedObject {
        kind,
        label,
        description,
        date: crate::clean(&date),
        parts: match kind {
            RelatedKind::Presentation => None,
            RelatedKind::Segmentation => count(tags::SEGMENT_SEQUENCE),
            RelatedKind::Structures => count(tags::STRUCTURE_SET_ROI_SEQUENCE),
        },
        references: match kind {
            RelatedKind::Presentation => presentation_references(set),
            RelatedKind::Segmentation => segmentation_references(set),
            RelatedKind::Structures => structure_references(set),
        },
    }
}

/// References of a presentation state (Presentation State Relationship, PS3.3 C.11.11): images of series or, if none
/// are named, whole series.
fn presentation_references(set: &DataSet) -> References {
    let mut references = References {
        arrangements: presentation::Arrangements::read(set),
        ..References::default()
    };
    for series in set.items(tags::REFERENCED_SERIES_SEQUENCE) {
        if series.items(tags::REFERENCED_IMAGE_SEQUENCE).is_empty() {
            references
                .series
                .insert(uid(series, tags::SERIES_INSTANCE_UID));
        }
        references
            .images
            .add(series, tags::REFERENCED_IMAGE_SEQUENCE);
    }
    references
}

/// References of a segmentation: Common Instance Reference (C.12.2), the source images of the frames, and the Frame of
/// Reference.
fn segmentation_references(set: &DataSet) -> References {
    let mut references = References::default();
    references
        .frames_of_reference
        .extend(set.first(tags::FRAME_OF_REFERENCE_UID));
    for series in set.items(tags::REFERENCED_SERIES_SEQUENCE) {
        references
            .images
            .add(series, tags::REFERENCED_INSTANCE_SEQUENCE);
    }
    for group in set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
        for derivation in group.items(tags::DERIVATION_IMAGE_SEQUENCE) {
            references
                .images
                .add(derivation, tags::SOURCE_IMAGE_SEQUENCE);
        }
    }
    references
}

/// References of a structure set (C.8.8.5): images and Frames of Reference that contours are drawn in.
fn structure_references(set: &DataSet) -> References {
    let mut references = References::default();
    let spaces = set.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
    for space in spaces {
        references
            .frames_of_reference
            .extend(space.first(tags::FRAME_OF_REFERENCE_UID));
        for study in space.items(tags::RT_REFERENCED_STUDY_SEQUENCE) {
            for series in study.items(tags::RT_REFERENCED_SERIES_SEQUENCE) {
                references.images.add(series, tags::CONTOUR_IMAGE_SEQUENCE);
            }
        }
    }
    let rois = set.items(tags::STRUCTURE_SET_ROI_SEQUENCE);
    let named = rois
        .iter()
        .map(|roi| uid(roi, tags::REFERENCED_FRAME_OF_REFERENCE_UID));
    references
        .frames_of_reference
        .extend(named.filter(|uid| !uid.is_empty()));
    references
}
