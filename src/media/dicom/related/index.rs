//! What an object is about, read without its content: a folder of thousands of images is gone through for the few objects
//! that belong to them.

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

/// Bytes by which an image is told from the objects sought here: the meta group names its class.
const FIRST: u64 = 4 << 10;
/// Bytes that are read first of an object that is sought.
const HEAD: u64 = 64 << 10;

/// The images that an object is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct References {
    images: ImageReferences,
    /// Series that are meant as a whole.
    series: HashSet<String>,
    /// Frames of Reference that its places are counted in.
    spaces: HashSet<String>,
    arrangements: presentation::Arrangements,
}

impl References {
    pub(crate) fn concern(&self, target: &TargetFrame) -> bool {
        let space = &target.frame_of_reference;
        self.images.name(target)
            || self.series.contains(&target.series)
            || (!space.is_empty() && self.spaces.contains(space))
    }

    pub(crate) fn arrangement(&self, target: &TargetFrame) -> Arrangement {
        self.arrangements.of(target)
    }
}

/// Reads what a file is about; `None` of one that is no such object.
pub(crate) fn index(path: &Path) -> Result<Option<RelatedObject>, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..FIRST.min(length))?;
    if sniff(&head) != Sniffed::Dicom {
        return Ok(None);
    }
    let class = match meta_group(&head)?.first(tags::MEDIA_STORAGE_SOP_CLASS_UID) {
        Some(class) => class,
        None => uid(
            &parsed(path, Some(tags::SOP_CLASS_UID))?.set,
            tags::SOP_CLASS_UID,
        ),
    };
    let Some(kind) = kind(&class) else {
        return Ok(None);
    };
    // The last attribute that is needed stands before the bulk of each.
    let mut file = match kind {
        RelatedKind::Presentation => parsed(path, None)?,
        RelatedKind::Segmentation => parsed(path, Some(tags::CONTENT_DESCRIPTION))?,
        RelatedKind::Structures => parsed(path, Some(tags::STRUCTURE_SET_ROI_SEQUENCE))?,
    };
    let named = !file.set.items(tags::REFERENCED_SERIES_SEQUENCE).is_empty();
    if kind == RelatedKind::Segmentation && !named {
        file = parsed(path, Some(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE))?;
    }
    Ok(Some(of(&file.set, kind)))
}

/// A file up to its `last` attribute.
fn parsed(path: &Path, last: Option<Tag>) -> Result<ParsedFile, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..HEAD.min(length))?;
    let body = if length > HEAD {
        Body::partial(file, length, head)
    } else {
        Body::whole(head)
    };
    match last {
        Some(last) => ParsedFile::read_to(body, last),
        None => ParsedFile::read(body),
    }
}

/// What a data set of a kind is about.
pub(super) fn of(set: &DataSet, kind: RelatedKind) -> RelatedObject {
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
            RelatedKind::Presentation => presented(set),
            RelatedKind::Segmentation => segmented(set),
            RelatedKind::Structures => contoured(set),
        },
    }
}

/// Presentation State Relationship (PS3.3 C.11.11): images of series, or, where none are named, all of a series.
fn presented(set: &DataSet) -> References {
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

/// Common Instance Reference (C.12.2), the source images of the frames, and the Frame of Reference.
fn segmented(set: &DataSet) -> References {
    let mut references = References::default();
    references
        .spaces
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

/// Structure Set (C.8.8.5): images and Frames of Reference that contours are drawn in.
fn contoured(set: &DataSet) -> References {
    let mut references = References::default();
    let spaces = set.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE);
    for space in spaces {
        references
            .spaces
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
        .spaces
        .extend(named.filter(|uid| !uid.is_empty()));
    references
}
