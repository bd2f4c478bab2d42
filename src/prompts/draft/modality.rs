//! The kind of image that a draft is for.

/// What images of a DICOM modality are called (PS3.3 C.7.3.1.1.1).
const MODALITY_WORDS: [(&str, &str); 14] = [
    ("CR", "X-ray"),
    ("DX", "X-ray"),
    ("CT", "CT"),
    ("MR", "MRI"),
    ("US", "ultrasound"),
    ("MG", "mammogram"),
    ("PT", "PET"),
    ("NM", "scintigram"),
    ("XA", "angiogram"),
    ("SM", "histology slide"),
    ("OP", "fundus photograph"),
    ("OPT", "OCT of the retina"),
    ("ES", "endoscopy image"),
    ("XC", "clinical photograph"),
];

/// What kind of image a draft is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftModality {
    /// In words; empty means any.
    pub words: String,
    /// DICOM codes, if it was given as such.
    pub codes: Vec<String>,
}

impl DraftModality {
    /// Reads words, such as `chest X-ray`, or DICOM codes, such as `CR,DX`.
    pub fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text
            .split([',', '/', ' '])
            .filter(|part| !part.is_empty())
            .collect();
        let known: Option<Vec<(&str, &str)>> = parts
            .iter()
            .map(|part| {
                MODALITY_WORDS
                    .iter()
                    .find(|(code, _)| code == part)
                    .copied()
            })
            .collect();
        let Some(known) = known.filter(|all| !all.is_empty()) else {
            let words: Vec<&str> = text.split_whitespace().collect();
            return Self {
                words: words.join(" "),
                codes: Vec::new(),
            };
        };
        let mut words: Vec<&str> = known.iter().map(|(_, words)| *words).collect();
        words.dedup();
        Self {
            words: words.join(" or "),
            codes: known.iter().map(|(code, _)| (*code).to_owned()).collect(),
        }
    }
}
