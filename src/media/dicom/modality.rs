//! Which kind of device made a DICOM object.

use dicom_dictionary_std::{tags, uids};

use crate::code;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};

/// The classes whose objects have one modality (PS3.3 A.2 to A.89), which is the value of Modality where that is missing. Secondary
/// captures and what is computed from images have that of their source, which only the attribute can tell.
const CLASSES: [(&str, &[&str]); 18] = [
    ("CR", &[uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE]),
    (
        "CT",
        &[
            uids::CT_IMAGE_STORAGE,
            uids::ENHANCED_CT_IMAGE_STORAGE,
            uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
        ],
    ),
    (
        "DX",
        &[
            uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
            uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        ],
    ),
    (
        "ES",
        &[
            uids::VL_ENDOSCOPIC_IMAGE_STORAGE,
            uids::VIDEO_ENDOSCOPIC_IMAGE_STORAGE,
        ],
    ),
    (
        "GM",
        &[
            uids::VL_MICROSCOPIC_IMAGE_STORAGE,
            uids::VIDEO_MICROSCOPIC_IMAGE_STORAGE,
        ],
    ),
    (
        "IO",
        &[
            uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
            uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        ],
    ),
    (
        "MG",
        &[
            uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
            uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
            uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
            uids::BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
            uids::BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
        ],
    ),
    (
        "MR",
        &[
            uids::MR_IMAGE_STORAGE,
            uids::ENHANCED_MR_IMAGE_STORAGE,
            uids::ENHANCED_MR_COLOR_IMAGE_STORAGE,
            uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
        ],
    ),
    (
        "NM",
        &[
            uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
            "1.2.840.10008.5.1.4.1.1.5",
        ],
    ),
    (
        "OP",
        &[
            uids::OPHTHALMIC_PHOTOGRAPHY8_BIT_IMAGE_STORAGE,
            uids::OPHTHALMIC_PHOTOGRAPHY16_BIT_IMAGE_STORAGE,
        ],
    ),
    ("OPT", &[uids::OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE]),
    (
        "PT",
        &[
            uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
            uids::ENHANCED_PET_IMAGE_STORAGE,
            uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
        ],
    ),
    (
        "RF",
        &[
            uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
            uids::ENHANCED_XRF_IMAGE_STORAGE,
        ],
    ),
    ("RTDOSE", &[uids::RT_DOSE_STORAGE]),
    (
        "SM",
        &[
            uids::VL_SLIDE_COORDINATES_MICROSCOPIC_IMAGE_STORAGE,
            uids::VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE,
        ],
    ),
    (
        "US",
        &[
            uids::ULTRASOUND_IMAGE_STORAGE,
            uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
            uids::ENHANCED_US_VOLUME_STORAGE,
            "1.2.840.10008.5.1.4.1.1.3",
            "1.2.840.10008.5.1.4.1.1.6",
        ],
    ),
    (
        "XA",
        &[
            uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
            uids::ENHANCED_XA_IMAGE_STORAGE,
            uids::X_RAY3_D_ANGIOGRAPHIC_IMAGE_STORAGE,
            uids::X_RAY3_D_CRANIOFACIAL_IMAGE_STORAGE,
            "1.2.840.10008.5.1.4.1.1.12.3",
        ],
    ),
    (
        "XC",
        &[
            uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
            uids::VIDEO_PHOTOGRAPHIC_IMAGE_STORAGE,
        ],
    ),
];

/// Modality (0008,0060), else that of the object's class. What has not the form of a code is not returned, as it may name a patient.
pub(crate) fn modality(set: &DataSet) -> Option<String> {
    match set.first(tags::MODALITY) {
        Some(written) => code(&written).is_some().then_some(written),
        None => of_class(&set.first(tags::SOP_CLASS_UID)?).map(str::to_owned),
    }
}

fn of_class(class: &str) -> Option<&'static str> {
    let (modality, _) = CLASSES.iter().find(|(_, of)| of.contains(&class))?;
    Some(modality)
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};

    use super::*;

    #[test]
    fn the_class_says_the_modality_where_no_attribute_does() {
        let ct = uids::CT_IMAGE_STORAGE;
        let capture = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
        for (class, attribute, expected) in [
            (ct, None, Some("CT")),
            (ct, Some(""), Some("CT")),
            (ct, Some("PT"), Some("PT")),
            (ct, Some("John^Doe of Bath"), None),
            (uids::MR_IMAGE_STORAGE, None, Some("MR")),
            (uids::ULTRASOUND_IMAGE_STORAGE, None, Some("US")),
            (capture, None, None),
            (capture, Some("DX"), Some("DX")),
            ("1.2.3", None, None),
        ] {
            let class = (tags::SOP_CLASS_UID, VR::UI, class);
            let attribute = attribute.map(|value| (tags::MODALITY, VR::CS, value));
            let elements = [Some(class), attribute].into_iter().flatten();
            let elements = elements
                .map(|(tag, vr, value)| DataElement::new(tag, vr, PrimitiveValue::from(value)));
            let set = DataSet::from_element_iter(elements);
            assert_eq!(
                modality(&set).as_deref(),
                expected,
                "{class:?} {attribute:?}"
            );
        }
    }
}
