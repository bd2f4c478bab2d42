//! Which images a prompt set or a rule is for.

use crate::media::anatomy::{self, BodyPart, BodyRegion};
use crate::media::{DicomOrigin, clean};

/// Modalities that do not say how an image was made (DICOM PS3.3 C.7.3.1.1.1): secondary capture, and other.
const UNINFORMATIVE_MODALITIES: [&str; 2] = ["SC", "OT"];
/// The modality of radiographs on film.
const FILM: &str = "RG";
/// The modalities of radiographs without film.
const RADIOGRAPHS: [&str; 2] = ["CR", "DX"];
/// What devices send for digital radiography, although DICOM defines it not as a modality.
const DIGITAL_RADIOGRAPHY: &str = "DR";
/// Words of side that rules and prompt sets may name.
const SIDES: [[&str; 2]; 4] = [
    ["L", "LEFT"],
    ["LT", "LEFT"],
    ["R", "RIGHT"],
    ["RT", "RIGHT"],
];

/// The DICOM attributes of images of a kind.
struct KindAttributes {
    /// A condition of the set `kinds`.
    kind: &'static str,
    modalities: &'static [&'static str],
    /// `None` where it may be any.
    region: Option<BodyRegion>,
    /// Whether images with these attributes are of the kind; otherwise they may be.
    is_told: bool,
}

/// The kinds that attributes tell or exclude; they say nothing of charts, and nothing of what is none of these.
const KIND_ATTRIBUTES: [KindAttributes; 7] = [
    told("CT slice", &["CT"], None),
    told("ultrasound", &["US"], None),
    told("brain MRI", &["MR"], Some(BodyRegion::Brain)),
    told("chest radiograph", &RADIOGRAPHS, Some(BodyRegion::Chest)),
    told("limb radiograph", &RADIOGRAPHS, Some(BodyRegion::Limb)),
    // External-camera photography is of anything, dermoscopy (DMS) only of skin; microscopy is not only of blood.
    possible("skin photograph", &["XC", "DMS"]),
    possible("blood smear", &["GM", "SM"]),
];

const fn told(
    kind: &'static str,
    modalities: &'static [&'static str],
    region: Option<BodyRegion>,
) -> KindAttributes {
    KindAttributes {
        kind,
        modalities,
        region,
        is_told: true,
    }
}

const fn possible(kind: &'static str, modalities: &'static [&'static str]) -> KindAttributes {
    KindAttributes {
        kind,
        modalities,
        region: None,
        is_told: false,
    }
}

/// A value, unless it is empty or says nothing.
fn informative<'a>(value: Option<&'a str>, uninformative: &[&str]) -> Option<&'a str> {
    let value = value.map(str::trim).filter(|value| !value.is_empty());
    let says_nothing = |value: &&str| {
        uninformative
            .iter()
            .any(|own| own.eq_ignore_ascii_case(value))
    };
    value.filter(|value| !says_nothing(value))
}

/// Whether a modality is one of a list. A digitised film (RG) is of each that makes radiographs, and DR is DX.
fn is_modality<T: AsRef<str>>(list: &[T], value: &str) -> bool {
    let canonical = |text: &str| {
        let text = text.trim().to_uppercase();
        if text == DIGITAL_RADIOGRAPHY {
            RADIOGRAPHS[1].to_owned()
        } else {
            text
        }
    };
    let value = canonical(value);
    let mut listed = list.iter().map(|item| canonical(item.as_ref()));
    listed.any(|item| item == value || (value == FILM && RADIOGRAPHS.contains(&item.as_str())))
}

/// The body part of an image, to be compared with those of lists.
struct NamedParts {
    words: Vec<String>,
    /// Those that are known, without those that tell nothing.
    known: Vec<&'static BodyPart>,
}

impl NamedParts {
    fn new(value: &str) -> Self {
        let mut known = anatomy::named_body_parts(value);
        known.retain(|part| part.region != BodyRegion::Unspecific);
        Self {
            words: words(value),
            known,
        }
    }

    /// Whether it is within a region, and not only of a part that images of others show, too.
    fn is_of(&self, region: BodyRegion) -> bool {
        self.known.iter().all(|part| is_shown(part, region))
            && self.known.iter().any(|part| part.region == region)
    }

    /// Whether it is known to be outside a region.
    fn is_outside(&self, region: BodyRegion) -> bool {
        let mut known = self.known.iter();
        !self.known.is_empty() && !known.any(|part| is_shown(part, region))
    }

    /// Whether an item of a list has other words than terms, and all of them occur.
    fn has_words(&self, item: &str) -> bool {
        let words = words(item);
        let is_term = anatomy::body_part(item).is_some();
        !is_term && !words.is_empty() && words.iter().all(|word| self.words.contains(word))
    }

    /// Whether it is that of a list: all parts that are known are, or its words are.
    fn is_listed<T: AsRef<str>>(&self, list: &[T]) -> bool {
        let terms = terms(list);
        let is_listed = |part: &&BodyPart| terms.iter().any(|own| own.is_same(part));
        let by_terms = self.known.iter().any(is_listed)
            && self.known.iter().all(|part| is_shown_by(&terms, part));
        by_terms || list.iter().any(|item| self.has_words(item.as_ref()))
    }

    /// Whether it is known, and nothing of it is in a list.
    fn is_another<T: AsRef<str>>(&self, list: &[T]) -> bool {
        let terms = terms(list);
        !self.known.is_empty()
            && !self.known.iter().any(|part| is_shown_by(&terms, part))
            && !list.iter().any(|item| self.has_words(item.as_ref()))
    }
}

/// Whether an image of a part shows that of a region: a film of the chest shows ribs, too.
fn is_shown(part: &BodyPart, region: BodyRegion) -> bool {
    part.region == region || (region == BodyRegion::Chest && part.region == BodyRegion::Thorax)
}

/// Whether images of one of the terms show a part.
fn is_shown_by(terms: &[&BodyPart], part: &BodyPart) -> bool {
    let is_within = |own: &BodyPart| own.region == BodyRegion::Chest && is_shown(part, own.region);
    let mut terms = terms.iter();
    terms.any(|own| own.is_same(part) || is_within(own))
}

/// The items of a list that are terms and nothing else.
fn terms<T: AsRef<str>>(list: &[T]) -> Vec<&'static BodyPart> {
    let terms = list.iter().map(|item| anatomy::body_part(item.as_ref()));
    terms.flatten().collect()
}

/// The words of a body part, those of side written out.
fn words(text: &str) -> Vec<String> {
    let written_out = |word: String| {
        let side = SIDES.iter().find(|[short, _]| *short == word);
        side.map_or(word, |[_, long]| (*long).to_owned())
    };
    anatomy::words(text).into_iter().map(written_out).collect()
}

/// What is asked of an image before it is classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageTraits<'a> {
    /// DICOM modality.
    pub modality: Option<&'a str>,
    /// DICOM body part.
    pub body_part: Option<&'a str>,
    /// Name of the station that made the image.
    pub station: Option<&'a str>,
    /// The kind of image by its pixels: a condition of the set `kinds`; `None` where it was not read, or is uncertain.
    pub kind: Option<&'a str>,
}

impl<'a> ImageTraits<'a> {
    /// The traits of an image of this modality, body part and origin.
    pub fn new(
        modality: Option<&'a String>,
        body_part: Option<&'a String>,
        origin: &'a DicomOrigin,
    ) -> Self {
        Self {
            modality: modality.map(String::as_str),
            body_part: body_part.map(String::as_str),
            station: origin.station.as_deref(),
            kind: None,
        }
    }

    /// The kind of image as the DICOM attributes alone tell it: a condition of the set `kinds`.
    pub fn kind_by_attributes(&self) -> Option<&'static str> {
        let parts = self.parts();
        let mut kinds = KIND_ATTRIBUTES.iter().filter(|own| own.is_told);
        let own = kinds.find(|own| {
            let is_technique = self
                .modality
                .is_some_and(|value| is_modality(own.modalities, value));
            is_technique && own.region.is_none_or(|region| parts.is_of(region))
        });
        own.map(|own| own.kind)
    }

    /// Whether the DICOM attributes exclude that the image is of a kind: a condition of the set `kinds`. What says nothing excludes
    /// nothing.
    pub fn contradicts_kind(&self, kind: &str) -> bool {
        let own = KIND_ATTRIBUTES.iter().find(|own| own.kind == kind);
        own.is_some_and(|own| {
            let is_outside = |region| self.parts().is_outside(region);
            self.contradicts_modalities(own.modalities) || own.region.is_some_and(is_outside)
        })
    }

    /// The kinds that the DICOM attributes exclude: conditions of the set `kinds`.
    pub fn contradicted_kinds(&self) -> Vec<&'static str> {
        let kinds = KIND_ATTRIBUTES.iter().map(|own| own.kind);
        kinds.filter(|kind| self.contradicts_kind(kind)).collect()
    }

    /// Whether the image has one of these modalities; an empty list names all.
    pub(super) fn has_modality<T: AsRef<str>>(&self, list: &[T]) -> bool {
        list.is_empty() || self.modality.is_some_and(|value| is_modality(list, value))
    }

    /// Whether the image has another modality than these; an empty list names all. A secondary capture may be of any.
    pub(super) fn contradicts_modalities<T: AsRef<str>>(&self, list: &[T]) -> bool {
        let value = informative(self.modality, &UNINFORMATIVE_MODALITIES);
        !list.is_empty() && value.is_some_and(|value| !is_modality(list, value))
    }

    fn parts(&self) -> NamedParts {
        NamedParts::new(self.body_part.unwrap_or_default())
    }

    /// Whether the image has one of these body parts; an empty list names all.
    pub(super) fn has_body_part<T: AsRef<str>>(&self, list: &[T]) -> bool {
        list.is_empty() || self.parts().is_listed(list)
    }

    /// Whether the image has another body part than these; an empty list names all.
    pub(super) fn contradicts_body_parts<T: AsRef<str>>(&self, list: &[T]) -> bool {
        !list.is_empty() && self.parts().is_another(list)
    }

    /// Modality and body part in words, as far as they say anything.
    pub fn attribute_words(&self) -> String {
        let modality = informative(self.modality, &UNINFORMATIVE_MODALITIES);
        let part = informative(self.body_part, &[]);
        let part = part.filter(|_| !self.parts().known.is_empty());
        let words = [("modality", modality), ("body part", part)];
        let words = words
            .iter()
            .filter_map(|(name, value)| Some(format!("{name} {}", clean((*value)?))));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The traits with the kind that was read from the pixels.
    #[must_use]
    pub fn with_kind(self, kind: Option<&'a str>) -> Self {
        Self { kind, ..self }
    }
}

/// The images that a rule is for. An empty list admits all; case does not matter, nor do words of side and view in a body part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageCriteria {
    /// DICOM modalities.
    pub modality: Vec<String>,
    /// DICOM body parts.
    pub body_part: Vec<String>,
    /// Station names.
    pub station: Vec<String>,
}

impl ImageCriteria {
    /// Whether an image meets all of them.
    pub fn admit(&self, image: ImageTraits) -> bool {
        admits(&self.modality, image.modality)
            && image.has_body_part(&self.body_part)
            && admits(&self.station, image.station)
    }
}

/// Whether a list is empty or contains the value, ignoring case and surrounding spaces.
fn admits(list: &[String], value: Option<&str>) -> bool {
    let is_value = |item: &String, value: &str| item.trim().eq_ignore_ascii_case(value.trim());
    list.is_empty() || value.is_some_and(|value| list.iter().any(|item| is_value(item, value)))
}
