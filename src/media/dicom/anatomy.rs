//! Which part of the body a DICOM object shows.

use dicom_dictionary_std::tags;

use crate::anatomy::{self, BodyPart};
use crate::code;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::groups;

/// Body Part Examined (0018,0015; PS3.3 C.7.3.1); if it is missing, or has not the form of a code, the defined terms that it contains,
/// else the one for Anatomic Region Sequence (0008,2218) of the image or, in an enhanced object, of its first frame (C.7.6.16.2.8). Only
/// a code or defined terms are returned, as free text may name a patient.
pub(crate) fn body_part(set: &DataSet) -> Option<String> {
    let examined = set.first(tags::BODY_PART_EXAMINED);
    if let Some(written) = &examined
        && code(written).is_some()
    {
        return examined;
    }
    let terms = terms(examined.as_deref().unwrap_or_default());
    terms.or_else(|| region(set)).or_else(|| {
        let macros = tags::FRAME_ANATOMY_SEQUENCE;
        groups::find(set, 0, macros, region)
    })
}

/// The term for the code of an anatomic region, else those that its meaning contains.
fn region(set: &DataSet) -> Option<String> {
    let item = set.items(tags::ANATOMIC_REGION_SEQUENCE).first()?;
    let scheme = item.first(tags::CODING_SCHEME_DESIGNATOR);
    let value = item.first(tags::CODE_VALUE);
    let coded = scheme.zip(value);
    let coded = coded.and_then(|(scheme, value)| anatomy::coded_body_part(&scheme, &value));
    let named = || terms(&item.first(tags::CODE_MEANING)?);
    coded.map(|part| part.term.to_owned()).or_else(named)
}

/// The terms of all body parts that a text names.
fn terms(text: &str) -> Option<String> {
    let mut parts: Vec<&BodyPart> = anatomy::named_body_parts(text);
    parts.dedup();
    let terms: Vec<&str> = parts.iter().map(|part| part.term).collect();
    (!terms.is_empty()).then(|| terms.join(" "))
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};

    use super::*;

    fn text(tag: Tag, vr: VR, value: &str) -> DataSet {
        DataSet::from_element_iter([DataElement::new(tag, vr, PrimitiveValue::from(value))])
    }

    fn sequence(tag: Tag, item: DataSet) -> DataSet {
        let items = DataSetSequence::from(vec![item]);
        DataSet::from_element_iter([DataElement::new(tag, VR::SQ, items)])
    }

    fn with_region(scheme: &str, value: &str, meaning: &str) -> DataSet {
        let item = [
            (tags::CODE_VALUE, VR::SH, value),
            (tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
            (tags::CODE_MEANING, VR::LO, meaning),
        ];
        let item =
            item.map(|(tag, vr, value)| DataElement::new(tag, vr, PrimitiveValue::from(value)));
        let item = DataSet::from_element_iter(item);
        sequence(tags::ANATOMIC_REGION_SEQUENCE, item)
    }

    #[test]
    fn the_anatomic_region_says_the_body_part_where_no_attribute_does() {
        for (scheme, value, meaning, term) in [
            ("SCT", "85562004", "Hand", Some("HAND")),
            ("SRT", "T-D8700", "Hand", Some("HAND")),
            ("SCT", "51185008", "Thorax", Some("CHEST")),
            ("99LOCAL", "1", "Left lumbar spine", Some("LSPINE")),
            ("99LOCAL", "85562004", "John Doe", None),
            ("SCT", "0", "", None),
        ] {
            let set = with_region(scheme, value, meaning);
            assert_eq!(body_part(&set).as_deref(), term, "{scheme} {value}");
            let frame = sequence(tags::FRAME_ANATOMY_SEQUENCE, set.clone());
            for group in [
                tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
                tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            ] {
                let enhanced = sequence(group, frame.clone());
                assert_eq!(body_part(&enhanced).as_deref(), term, "{scheme} {value}");
            }
            let mut both = set;
            both.put(
                text(tags::BODY_PART_EXAMINED, VR::CS, "SKULL")
                    .into_iter()
                    .next()
                    .unwrap(),
            );
            assert_eq!(body_part(&both).as_deref(), Some("SKULL"));
        }
    }

    #[test]
    fn what_is_no_code_is_reduced_to_terms() {
        for (value, term) in [
            ("CHEST", Some("CHEST")),
            ("Chest_PA ", Some("Chest_PA")),
            ("C-SPINE", Some("CSPINE")),
            ("CHEST/ABDOMEN/PELVIS", Some("CHESTABDPELVIS")),
            ("KNEE of John^Doe", Some("KNEE")),
            ("John^Doe", None),
            ("", None),
        ] {
            let set = text(tags::BODY_PART_EXAMINED, VR::CS, value);
            assert_eq!(body_part(&set).as_deref(), term, "{value}");
        }
    }
}
