//! Which images a prompt set or a rule is for.

use crate::media::DicomOrigin;

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
        let is_of = |parts: &[&str]| {
            let part = self.body_part.map(str::trim);
            part.is_some_and(|part| parts.iter().any(|own| own.eq_ignore_ascii_case(part)))
        };
        match self.modality?.trim().to_ascii_uppercase().as_str() {
            "CT" => Some("CT slice"),
            "US" => Some("ultrasound"),
            "MR" if is_of(&["HEAD", "BRAIN"]) => Some("brain MRI"),
            "CR" | "DX" if is_of(&["CHEST"]) => Some("chest radiograph"),
            _ => None,
        }
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
