//! Objects that refer to images of a study: presentation states (PS3.3 A.33), segmentations (A.51, A.90) and RT
//! structure sets (A.19).

mod annotation;
mod index;
pub(crate) mod plane;
mod presentation;
mod segmentation;
mod shutter;
mod structures;
mod values;

use std::fs::File;

use crate::dicom::geometry;
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::parsed::ParsedFile;
use crate::error::{MediaError, unsupported};
use crate::grey::Grey;
use crate::read::{self, MAX_IN_MEMORY};
use crate::related::{ColorMap, Layers, RelatedKind, RelatedObject, TargetFrame};
use dicom_dictionary_std::tags;
pub(crate) use index::{References, index};
use segmentation::Segmentation;
use structures::Structures;
pub(super) use values::{integers, lab};

/// Storage classes (PS3.4 table B.5-1) by kind. Of presentation states: those for grey, colour and pseudo-colour
/// images, and for XA and XRF, which are the first with more modules.
const CLASSES: [(&str, RelatedKind); 7] = [
    ("1.2.840.10008.5.1.4.1.1.11.1", RelatedKind::Presentation),
    ("1.2.840.10008.5.1.4.1.1.11.2", RelatedKind::Presentation),
    (PSEUDO_COLOR, RelatedKind::Presentation),
    ("1.2.840.10008.5.1.4.1.1.11.5", RelatedKind::Presentation),
    ("1.2.840.10008.5.1.4.1.1.66.4", RelatedKind::Segmentation),
    ("1.2.840.10008.5.1.4.1.1.66.7", RelatedKind::Segmentation),
    ("1.2.840.10008.5.1.4.1.1.481.3", RelatedKind::Structures),
];
/// Color Softcopy Presentation State.
const COLOR: &str = "1.2.840.10008.5.1.4.1.1.11.2";
/// Pseudo-Color Softcopy Presentation State.
const PSEUDO_COLOR: &str = "1.2.840.10008.5.1.4.1.1.11.3";

/// Largest file that is read into memory as a whole, in bytes; the pixels of a larger segmentation stay in the file.
const MAX_WHOLE: u64 = MAX_IN_MEMORY;
/// Bytes read first of a larger file.
const FIRST_READ: u64 = 1 << 20;

/// The kind of object that a storage class stores; `None` for other classes.
fn kind(class: &str) -> Option<RelatedKind> {
    let found = CLASSES.iter().find(|(uid, _)| *uid == class);
    found.map(|(_, kind)| *kind)
}

/// The storage class of a file; empty if it names none.
fn class(file: &ParsedFile) -> String {
    file.set
        .first(tags::SOP_CLASS_UID)
        .or_else(|| file.meta.sop_class.clone())
        .unwrap_or_default()
}

/// The content of an object.
pub(crate) enum RelatedObjectContent {
    Presentation { class: String, set: Box<DataSet> },
    Segmentation(Box<Segmentation>),
    Structures(Structures),
}

impl RelatedObjectContent {
    /// Reads a file of `length` bytes, and describes the object.
    pub(crate) fn open(file: File, length: u64) -> Result<(RelatedObject, Self), MediaError> {
        let head = read::range(
            &file,
            0..if length > MAX_WHOLE {
                FIRST_READ
            } else {
                length
            },
        )?;
        Self::read(if length > MAX_WHOLE {
            Body::partial(file, length, head)
        } else {
            Body::whole(head)
        })
    }

    /// Reads an object, and describes it.
    pub(crate) fn read(body: Body) -> Result<(RelatedObject, Self), MediaError> {
        let file = ParsedFile::read(body)?;
        let class = class(&file);
        let kind = kind(&class).ok_or_else(|| {
            unsupported(
                "DICOM: neither a presentation state nor a segmentation nor a structure set",
            )
        })?;
        let object = index::describe(&file.set, kind);
        let content = match kind {
            RelatedKind::Segmentation => Self::Segmentation(Box::new(Segmentation::read(
                DicomObject::from_parsed(file)?,
            )?)),
            RelatedKind::Structures => Self::Structures(Structures::read(&file.set)),
            RelatedKind::Presentation => Self::Presentation {
                class,
                set: Box::new(file.set),
            },
        };
        Ok((object, content))
    }

    /// What the object draws on a frame.
    pub(crate) fn layers(&self, target: &TargetFrame) -> Layers {
        match self {
            Self::Presentation { set, .. } => presentation::layers(set, target),
            Self::Segmentation(segmentation) => segmentation.layers(target),
            Self::Structures(structures) => structures.layers(target),
        }
    }

    /// A grey frame with the transformations of a presentation state; `None` if the object is not one for grey images.
    pub(crate) fn present(&self, grey: &Grey, target: &TargetFrame) -> Option<Grey> {
        match self {
            Self::Presentation { class, set } if class != COLOR => {
                Some(presentation::grey(set, grey, target))
            }
            _ => None,
        }
    }

    /// The colours of a pseudo-colour presentation state; `None` for any other object.
    pub(crate) fn color_map(&self) -> Result<Option<ColorMap>, MediaError> {
        match self {
            Self::Presentation { class, set } if class == PSEUDO_COLOR => {
                presentation::color_map(set).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl DicomObject {
    /// The frame as other objects refer to it.
    pub(crate) fn target(&self, frame: u32) -> TargetFrame {
        let (set, layout) = (self.set(), self.layout());
        let uid = |tag| values::uid(set, tag);
        TargetFrame {
            instance: uid(tags::SOP_INSTANCE_UID),
            series: uid(tags::SERIES_INSTANCE_UID),
            frame_of_reference: uid(tags::FRAME_OF_REFERENCE_UID),
            frame,
            frames: layout.frames,
            width: layout.columns,
            height: layout.rows,
            geometry: self.geometry(frame),
            thickness: geometry::thickness(set, frame),
            bits_stored: layout.stored,
            signed: layout.signed,
        }
    }
}

#[cfg(test)]
mod tests;
