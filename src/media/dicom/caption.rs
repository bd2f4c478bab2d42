//! What radiology viewers write into the corners of an image.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dicom::geometry;
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::groups;
use crate::dicom::studies::header;
use crate::dicom::studies::series::DicomHeader;
use crate::dicom::tags::values;

/// What the corners of a frame say about it besides its window and its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caption {
    /// Patient, study, series and instance. Names, IDs, dates and descriptions identify the patient.
    pub header: DicomHeader,
    /// Patient's Birth Date (0010,0030) as written (`YYYYMMDD`). Identifying.
    pub birth_date: String,
    /// Patient's Sex (0010,0040). Identifying.
    pub sex: String,
    /// Slice Thickness (0018,0050), else Spacing Between Slices (0018,0088), in millimetres.
    pub thickness: Option<f64>,
    /// How the frame was acquired, such as `120 kV` or `TE 90 ms`.
    pub technique: Vec<String>,
}

/// Numbers that tell how a frame was acquired: the words around each, its attribute, and the sequence of the functional groups
/// that holds it in an enhanced object.
const TECHNIQUE: [(&str, &str, Tag, Tag); 6] = [
    ("", " kV", tags::KVP, tags::CTX_RAY_DETAILS_SEQUENCE),
    ("", " mAs", tags::EXPOSURE, tags::CT_EXPOSURE_SEQUENCE),
    (
        "TR ",
        " ms",
        tags::REPETITION_TIME,
        tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
    ),
    ("TE ", " ms", tags::ECHO_TIME, tags::MR_ECHO_SEQUENCE),
    (
        "TI ",
        " ms",
        tags::INVERSION_TIME,
        tags::MR_MODIFIER_SEQUENCE,
    ),
    (
        "flip ",
        "°",
        tags::FLIP_ANGLE,
        tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
    ),
];

impl DicomObject {
    /// What the corners of a frame say.
    pub(crate) fn caption(&self, frame: u32) -> Caption {
        let set = self.set();
        let text = |tag: Tag, vr: VR| {
            let bytes = set.bytes(tag).unwrap_or_default();
            values::format_value(&bytes, vr, Charset::default()).text
        };
        Caption {
            header: header::from_set(set, Charset::default()),
            birth_date: text(tags::PATIENT_BIRTH_DATE, VR::DA),
            sex: text(tags::PATIENT_SEX, VR::CS),
            thickness: geometry::thickness(set, frame),
            technique: technique(set, frame),
        }
    }
}

fn technique(set: &DataSet, frame: u32) -> Vec<String> {
    let known = TECHNIQUE.iter().filter_map(|(before, after, tag, group)| {
        let read = |set: &DataSet| set.decimal(*tag).filter(|value| *value > 0.0);
        let value = groups::find(set, frame, *group, read).or_else(|| read(set))?;
        let rounded = (value * 10.0).round() / 10.0;
        Some(format!("{before}{rounded}{after}"))
    });
    known.collect()
}
