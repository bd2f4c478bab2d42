//! The content tree of a structured report (PS3.3 C.17.3).

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::codes::{OWN_SCHEME, StandardCode};
use crate::media::clean;

/// Maximum length of a Code Value (SH), in characters.
const MAX_CODE: usize = 16;
/// Maximum length of a Code Meaning (LO), in characters.
const MAX_MEANING: usize = 64;
/// Maximum length of a decimal string (DS), in bytes.
const MAX_DECIMAL: usize = 16;

/// A coded concept: Code Value, Coding Scheme Designator, Code Meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concept {
    code: String,
    scheme: &'static str,
    meaning: String,
}

impl Concept {
    /// A concept of a public scheme.
    pub fn of((code, scheme, meaning): (&str, &'static str, &str)) -> Self {
        Self {
            code: code.to_owned(),
            scheme,
            meaning: meaning.to_owned(),
        }
    }

    /// A concept of this program: a code of at most 16 characters, and its meaning.
    pub fn private(code: &str, meaning: &str) -> Self {
        Self::of((code, OWN_SCHEME, meaning))
    }

    /// A condition of a prompt set. Its code is its name, or, where the name cannot be one, a hash of it.
    pub fn condition(name: &str) -> Self {
        let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let code = if !name.is_empty() && name.len() <= MAX_CODE && name.chars().all(is_code) {
            name.to_owned()
        } else {
            blake3::hash(name.as_bytes()).to_hex()[..MAX_CODE].to_owned()
        };
        let meaning: String = clean(&name.replace('\\', "/"))
            .chars()
            .take(MAX_MEANING)
            .collect();
        let meaning = Some(meaning.trim()).filter(|meaning| !meaning.is_empty());
        Self::private(&code, meaning.unwrap_or("unnamed"))
    }

    /// A sequence of one item.
    pub(super) fn sequence(&self, tag: Tag) -> DataElement<InMemDicomObject> {
        let item = InMemDicomObject::from_element_iter([
            text(tags::CODE_VALUE, VR::SH, &self.code),
            text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.scheme),
            text(tags::CODE_MEANING, VR::LO, &self.meaning),
        ]);
        sequence(tag, vec![item])
    }
}

impl From<StandardCode> for Concept {
    fn from(standard: StandardCode) -> Self {
        Self::of(standard)
    }
}

/// How a content item relates to the one that contains it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Relation {
    /// It is a part.
    Contains,
    /// It says who observed, or what.
    Context,
    /// It makes the name more exact.
    Modifier,
    /// It is what a value was derived from.
    Inferred,
    /// It is what a region is part of.
    Selected,
}

/// A node of the content tree.
#[derive(Debug)]
pub(super) struct ContentItem {
    object: InMemDicomObject,
    children: Vec<ContentItem>,
}

impl ContentItem {
    fn new(relation: Option<Relation>, kind: &str, name: impl Into<Concept>) -> Self {
        let relation = relation.map(|relation| match relation {
            Relation::Contains => "CONTAINS",
            Relation::Context => "HAS OBS CONTEXT",
            Relation::Modifier => "HAS CONCEPT MOD",
            Relation::Inferred => "INFERRED FROM",
            Relation::Selected => "SELECTED FROM",
        });
        let relation = relation.map(|name| text(tags::RELATIONSHIP_TYPE, VR::CS, name));
        let elements = [
            text(tags::VALUE_TYPE, VR::CS, kind),
            name.into().sequence(tags::CONCEPT_NAME_CODE_SEQUENCE),
        ];
        Self {
            object: InMemDicomObject::from_element_iter(relation.into_iter().chain(elements)),
            children: Vec::new(),
        }
    }

    fn with(mut self, element: DataElement<InMemDicomObject>) -> Self {
        self.object.put(element);
        self
    }

    pub(super) fn container(
        relation: Option<Relation>,
        name: impl Into<Concept>,
        children: Vec<Self>,
    ) -> Self {
        Self::new(relation, "CONTAINER", name)
            .with(text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"))
            .with_children(children)
    }

    pub(super) fn code(relation: Relation, name: impl Into<Concept>, value: Concept) -> Self {
        Self::new(Some(relation), "CODE", name).with(value.sequence(tags::CONCEPT_CODE_SEQUENCE))
    }

    pub(super) fn text(relation: Relation, name: impl Into<Concept>, value: &str) -> Self {
        // A text must not be empty.
        let value = if value.trim().is_empty() { "-" } else { value };
        Self::new(Some(relation), "TEXT", name).with(text(tags::TEXT_VALUE, VR::UT, value))
    }

    pub(super) fn uid(relation: Relation, name: impl Into<Concept>, value: &str) -> Self {
        Self::new(Some(relation), "UIDREF", name).with(text(tags::UID, VR::UI, value))
    }

    /// A person, whose name is written as its family name.
    pub(super) fn person(relation: Relation, name: impl Into<Concept>, value: &str) -> Self {
        let value = clean(value).replace(['\\', '^', '='], " ");
        let value: String = value.trim().chars().take(MAX_MEANING).collect();
        let value = if value.is_empty() { "-" } else { &value };
        Self::new(Some(relation), "PNAME", name).with(text(tags::PERSON_NAME, VR::PN, value))
    }

    pub(super) fn number(name: impl Into<Concept>, value: f64, unit: Concept) -> Self {
        let measured = InMemDicomObject::from_element_iter([
            unit.sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE),
            text(tags::NUMERIC_VALUE, VR::DS, &decimal(value)),
        ]);
        Self::new(Some(Relation::Contains), "NUM", name)
            .with(sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured]))
    }

    /// A reference to an image, or to one of its frames, from 0.
    pub(super) fn image(
        relation: Relation,
        name: impl Into<Concept>,
        sop_class: &str,
        instance: &str,
        frame: Option<u32>,
    ) -> Self {
        let mut reference = instance_reference(sop_class, instance);
        if let Some(frame) = frame {
            let number = (u64::from(frame) + 1).to_string();
            reference.put(text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number));
        }
        Self::new(Some(relation), "IMAGE", name)
            .with(sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference]))
    }

    /// Spatial coordinates: points in pairs of column and row from the upper left corner of the first pixel, whose centre is
    /// (0.5, 0.5), which is how the standard counts them in an image of one pixel matrix (PS3.3 C.18.6.1.1).
    pub(super) fn coordinates(
        relation: Relation,
        name: impl Into<Concept>,
        graphic_type: &str,
        points: &[[f64; 2]],
    ) -> Self {
        let data: Vec<f32> = points.iter().flatten().map(|at| *at as f32).collect();
        let data = PrimitiveValue::F32(data.into());
        Self::new(Some(relation), "SCOORD", name)
            .with(DataElement::new(tags::GRAPHIC_DATA, VR::FL, data))
            .with(text(tags::GRAPHIC_TYPE, VR::CS, graphic_type))
    }

    #[must_use]
    pub(super) fn with_children(mut self, children: Vec<Self>) -> Self {
        self.children = children;
        self
    }

    /// Names the template of the standard (PS3.16) that a container follows.
    #[must_use]
    pub(super) fn by_template(self, number: &str) -> Self {
        let template = InMemDicomObject::from_element_iter([
            text(tags::MAPPING_RESOURCE, VR::CS, "DCMR"),
            text(tags::TEMPLATE_IDENTIFIER, VR::CS, number),
        ]);
        self.with(sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]))
    }

    /// States when it was observed: RFC 3339, UTC, whole seconds.
    #[must_use]
    pub(super) fn observed_at(self, at: &str) -> Self {
        let Some((date, time)) = date_and_time(at) else {
            return self;
        };
        // The document's Timezone Offset From UTC applies.
        let value = format!("{date}{time}");
        self.with(text(tags::OBSERVATION_DATE_TIME, VR::DT, &value))
    }

    /// The data set of the item with all below it.
    pub(super) fn into_object(self) -> InMemDicomObject {
        let mut object = self.object;
        if !self.children.is_empty() {
            let items = self.children.into_iter().map(Self::into_object).collect();
            object.put(sequence(tags::CONTENT_SEQUENCE, items));
        }
        object
    }
}

/// An item that refers to an instance.
pub(super) fn instance_reference(sop_class: &str, instance: &str) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class),
        text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, instance),
    ])
}

/// An element with a text.
pub(super) fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// A sequence.
pub(super) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// The date (DA) and time (TM) of an RFC 3339 time in UTC with whole seconds.
pub(super) fn date_and_time(at: &str) -> Option<(String, String)> {
    let digits: String = at.chars().filter(char::is_ascii_digit).collect();
    (digits.len() == 14).then(|| (digits[..8].to_owned(), digits[8..].to_owned()))
}

/// A decimal string (DS) as exact as its 16 bytes allow.
fn decimal(value: f64) -> String {
    let fits = |text: &String| text.len() <= MAX_DECIMAL;
    let shortest = value.to_string();
    if fits(&shortest) {
        return shortest;
    }
    let is_plain = (1e-4..1e9).contains(&value.abs());
    let mut rounded = (0..MAX_DECIMAL).rev().map(|digits| {
        if is_plain {
            format!("{value:.digits$}")
        } else {
            format!("{value:.digits$e}")
        }
    });
    rounded.find(fits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_and_are_exact_where_they_can_be() {
        assert_eq!(decimal(0.25), "0.25");
        assert_eq!(decimal(1.0 / 3.0), "0.33333333333333");
        for value in [
            1.0 / 3.0,
            -1.0 / 3.0e7,
            1.234_567_890_123_456e100,
            123_456_789.123_456_78,
        ] {
            let text = decimal(value);
            assert!(text.len() <= MAX_DECIMAL, "{text}");
            let read: f64 = text.parse().unwrap();
            assert!((read / value - 1.0).abs() < 1e-8, "{text}");
        }
    }

    #[test]
    fn a_condition_of_any_name_has_a_code() {
        let concept = |name| Concept::condition(name);
        assert_eq!(
            concept("pneumonia"),
            Concept::private("pneumonia", "pneumonia")
        );
        for name in [
            "a name of more than 16 letters",
            "a\\b",
            "胸",
            "",
            "\u{1b}[31m",
        ] {
            let Concept { code, meaning, .. } = concept(name);
            assert_eq!(code.len(), MAX_CODE, "{name}");
            assert!(
                !meaning.is_empty() && !meaning.contains(['\\', '\u{1b}']),
                "{meaning}"
            );
        }
        assert_ne!(concept("a\\b").code, concept("a/b").code);
    }
}
