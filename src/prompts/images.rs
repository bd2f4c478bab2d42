//! Which images a prompt set or a rule is for.

use crate::media::{DicomOrigin, clean};

/// Modalities that do not say how an image was made (DICOM PS3.3 C.7.3.1.1.1): secondary capture, and other.
const UNINFORMATIVE_MODALITIES: [&str; 2] = ["SC", "OT"];
/// Body parts that contradict others (after PS3.16, annex L). Ribs and sternum are left out, as a chest film shows them, too; so are words of
/// no standard, which tell nothing.
const BODY_PARTS: [&str; 100] = [
    "ABDOMEN",
    "ABDOMENPELVIS",
    "ADRENAL",
    "ANKLE",
    "AORTA",
    "ARM",
    "AXILLA",
    "BACK",
    "BLADDER",
    "BRAIN",
    "BREAST",
    "BUTTOCK",
    "CALCANEUS",
    "CALF",
    "CAROTID",
    "CEREBELLUM",
    "CHEST",
    "CHESTABDOMEN",
    "CHESTABDPELVIS",
    "CLAVICLE",
    "COCCYX",
    "COLON",
    "CORNEA",
    "CSPINE",
    "CTSPINE",
    "EAR",
    "ELBOW",
    "ESOPHAGUS",
    "EXTREMITY",
    "EYE",
    "EYELID",
    "FACE",
    "FEMUR",
    "FIBULA",
    "FINGER",
    "FOOT",
    "FOREARM",
    "GALLBLADDER",
    "HAND",
    "HEAD",
    "HEADNECK",
    "HEART",
    "HIP",
    "HUMERUS",
    "IAC",
    "ILEUM",
    "JAW",
    "JEJUNUM",
    "KIDNEY",
    "KNEE",
    "LARYNX",
    "LEG",
    "LIVER",
    "LSPINE",
    "LSSPINE",
    "MANDIBLE",
    "MAXILLA",
    "MOUTH",
    "NECK",
    "NOSE",
    "ORBIT",
    "OVARY",
    "PANCREAS",
    "PAROTID",
    "PATELLA",
    "PELVIS",
    "PENIS",
    "PHARYNX",
    "PROSTATE",
    "RADIUS",
    "RADIUSULNA",
    "RECTUM",
    "RETINA",
    "SACRUM",
    "SCALP",
    "SCAPULA",
    "SCROTUM",
    "SHOULDER",
    "SIJOINT",
    "SKIN",
    "SKULL",
    "SPINE",
    "SPLEEN",
    "SSPINE",
    "STOMACH",
    "TESTIS",
    "THIGH",
    "THYROID",
    "TIBIA",
    "TIBIAFIBULA",
    "TLSPINE",
    "TOE",
    "TOOTH",
    "TONGUE",
    "TRUNK",
    "TSPINE",
    "ULNA",
    "UTERUS",
    "WHOLEBODY",
    "WRIST",
];
/// The modality of radiographs on film.
const FILM: &str = "RG";
/// The modalities of radiographs without film.
const RADIOGRAPHS: [&str; 2] = ["CR", "DX"];
/// Other words for the chest in DICOM body parts.
const CHEST_WORDS: [&str; 4] = ["THORAX", "TORAX", "LUNG", "LUNGS"];
/// What the set `bone-xray` lists as its body parts.
const LIMBS: [&str; 27] = [
    "EXTREMITY",
    "ARM",
    "UPPER ARM",
    "HUMERUS",
    "ELBOW",
    "FOREARM",
    "RADIUS",
    "ULNA",
    "RADIUSULNA",
    "WRIST",
    "HAND",
    "FINGER",
    "SHOULDER",
    "CLAVICLE",
    "HIP",
    "LEG",
    "THIGH",
    "FEMUR",
    "KNEE",
    "LOWER LEG",
    "TIBIA",
    "FIBULA",
    "TIBIAFIBULA",
    "ANKLE",
    "FOOT",
    "CALCANEUS",
    "TOE",
];

/// The DICOM attributes of images of a kind.
struct KindAttributes {
    /// A condition of the set `kinds`.
    kind: &'static str,
    modalities: &'static [&'static str],
    /// Empty where any may be.
    body_parts: &'static [&'static str],
    /// Whether images with these attributes are of the kind; otherwise they may be.
    is_told: bool,
}

/// The kinds that attributes tell or exclude; they say nothing of charts, and nothing of what is none of these.
const KIND_ATTRIBUTES: [KindAttributes; 7] = [
    told("CT slice", &["CT"], &[]),
    told("ultrasound", &["US"], &[]),
    told("brain MRI", &["MR"], &["HEAD", "BRAIN"]),
    told("chest radiograph", &["CR", "DX", FILM], &["CHEST"]),
    told("limb radiograph", &["CR", "DX", FILM], &LIMBS),
    // External-camera photography is of anything, dermoscopy (DMS) only of skin; microscopy is not only of blood.
    possible("skin photograph", &["XC", "DMS"]),
    possible("blood smear", &["GM", "SM"]),
];

const fn told(
    kind: &'static str,
    modalities: &'static [&'static str],
    body_parts: &'static [&'static str],
) -> KindAttributes {
    KindAttributes {
        kind,
        modalities,
        body_parts,
        is_told: true,
    }
}

const fn possible(kind: &'static str, modalities: &'static [&'static str]) -> KindAttributes {
    KindAttributes {
        kind,
        modalities,
        body_parts: &[],
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

/// Whether a body part, perhaps with words of side or view, is that of a list: `LEFT KNEE` is `KNEE`, `CHEST_PA` and `THORAX` are
/// `CHEST`, and `WHOLE BODY` is `WHOLEBODY`.
fn is_named(listed: &str, value: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        let words = words.map(str::to_uppercase);
        let one = |word: String| {
            if CHEST_WORDS.contains(&word.as_str()) {
                "CHEST".to_owned()
            } else {
                word
            }
        };
        words.map(one).collect()
    };
    let (listed, value) = (words(listed), words(value));
    let is_same = listed.concat() == value.concat();
    !listed.is_empty() && (is_same || listed.iter().all(|word| value.contains(word)))
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
        let own = KIND_ATTRIBUTES.iter().find(|own| {
            let is_technique = self.modality.is_some_and(|modality| {
                let modality = modality.trim();
                own.modalities
                    .iter()
                    .any(|m| m.eq_ignore_ascii_case(modality))
            });
            let is_region = || {
                let region = self.body_part;
                region.is_some_and(|part| own.body_parts.iter().any(|own| is_named(own, part)))
            };
            own.is_told && is_technique && (own.body_parts.is_empty() || is_region())
        });
        own.map(|own| own.kind)
    }

    /// Whether the DICOM attributes exclude that the image is of a kind: a condition of the set `kinds`. What says nothing excludes
    /// nothing.
    pub fn contradicts_kind(&self, kind: &str) -> bool {
        let own = KIND_ATTRIBUTES.iter().find(|own| own.kind == kind);
        own.is_some_and(|own| {
            self.contradicts_modalities(own.modalities)
                || self.contradicts_body_parts(own.body_parts)
        })
    }

    /// Whether the image has another modality than these; an empty list names all. A secondary capture may be of any, and a
    /// digitised film (RG) of each that makes radiographs.
    pub(super) fn contradicts_modalities<T: AsRef<str>>(&self, list: &[T]) -> bool {
        let has = |value: &str| {
            let mut all = list.iter().map(|item| item.as_ref().trim());
            all.any(|item| item.eq_ignore_ascii_case(value))
        };
        let is_radiograph = || RADIOGRAPHS.iter().any(|own| has(own));
        let is_admitted =
            |value: &str| has(value) || (value.eq_ignore_ascii_case(FILM) && is_radiograph());
        let value = informative(self.modality, &UNINFORMATIVE_MODALITIES);
        !list.is_empty() && value.is_some_and(|value| !is_admitted(value))
    }

    /// The body part, if it is one that tells something.
    fn known_body_part(&self) -> Option<&'a str> {
        let is_known = |value: &&str| BODY_PARTS.iter().any(|own| is_named(own, value));
        self.body_part.map(str::trim).filter(is_known)
    }

    /// Whether the image has another body part than these; an empty list names all.
    pub(super) fn contradicts_body_parts<T: AsRef<str>>(&self, list: &[T]) -> bool {
        let value = self.known_body_part();
        !list.is_empty()
            && value.is_some_and(|value| !list.iter().any(|item| is_named(item.as_ref(), value)))
    }

    /// Modality and body part in words, as far as they say anything.
    pub fn attribute_words(&self) -> String {
        let modality = informative(self.modality, &UNINFORMATIVE_MODALITIES);
        let part = self.known_body_part();
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

/// The images that a rule is for. An empty list admits all; case does not matter.
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
            && admits(&self.body_part, image.body_part)
            && admits(&self.station, image.station)
    }
}

/// Whether a list is empty or contains the value, ignoring case and surrounding spaces.
pub(super) fn admits(list: &[String], value: Option<&str>) -> bool {
    let is_value = |item: &String, value: &str| item.trim().eq_ignore_ascii_case(value.trim());
    list.is_empty() || value.is_some_and(|value| list.iter().any(|item| is_value(item, value)))
}
