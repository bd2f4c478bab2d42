//! Statements about phantoms, and the templates that make captions of them. The training of the built-in model uses them, too.

use medivision_tui::phantom::{Anatomy, PhantomCondition};

/// What a phantom shows, which determines whether a caption is true of it.
pub type Cell = (Anatomy, PhantomCondition);

use Anatomy::{Chest, Head, Limb};
use PhantomCondition::{Fracture, Normal, Pneumonia, Tumor};

/// Phrases with the same meaning, and the phantoms of which they are true.
pub struct Statement {
    /// Whether the phrases are true of a phantom.
    pub holds: fn(Cell) -> bool,
    /// The phrases.
    pub phrases: &'static [&'static str],
}

/// Statements about the anatomy and the condition. Their words, those of the templates and those of the prompt sets are the
/// vocabulary.
pub const STATEMENTS: &[Statement] = &[
    Statement {
        holds: |c| c.0 == Chest,
        phrases: &[
            "a chest X-ray",
            "a frontal chest radiograph",
            "the thorax",
            "lungs and heart",
            "ribs, clavicles and lungs",
            "the chest of a patient",
            "a chest film",
            "a posteroanterior view of the chest",
            "cxr",
            "the heart and the diaphragm",
        ],
    },
    Statement {
        holds: |c| c.0 == Head,
        phrases: &[
            "a brain MRI",
            "a head section",
            "an axial slice of the brain",
            "the skull and the brain",
            "a brain scan",
            "a head MRI",
            "a magnetic resonance image of the head",
            "grey and white matter with ventricles",
            "cerebral hemispheres",
        ],
    },
    Statement {
        holds: |c| c.0 == Limb,
        phrases: &[
            "a bone X-ray",
            "a radiograph of a limb",
            "long bones and a joint",
            "an arm or a leg",
            "an extremity",
            "a skeletal radiograph",
            "the knee, the elbow or the ankle",
            "a bone",
            "femur, tibia and fibula",
            "humerus, radius and ulna",
            "the forearm or the lower leg",
        ],
    },
    Statement {
        holds: |c| c.0 != Head,
        phrases: &["an X-ray", "a radiograph", "a plain film", "xray"],
    },
    Statement {
        holds: |c| c.1 == Pneumonia,
        phrases: &[
            "pneumonia",
            "a lung infection",
            "infiltrates",
            "an infiltrate in the lung",
            "opacities",
            "hazy opacity",
            "haze in the lungs",
            "consolidation",
            "airspace disease",
            "patchy shadowing",
            "cloudy lungs",
            "inflammation of the lung",
            "bronchopneumonia",
            "lobar pneumonia",
            "pneumonitis",
            "bilateral patchy opacities",
            "ground glass opacity",
            "hazy patchy lung opacities",
        ],
    },
    Statement {
        holds: |c| c.1 == Tumor,
        phrases: &[
            "a tumor",
            "a tumour",
            "a mass",
            "a neoplasm",
            "cancer",
            "a malignancy",
            "a growth",
            "a mass lesion",
            "a focal lesion",
            "a lesion",
            "tumors",
            "a circumscribed mass",
            "metastasis",
            "malignant disease",
        ],
    },
    Statement {
        holds: |c| c == (Chest, Tumor),
        phrases: &[
            "a lung tumor",
            "lung cancer",
            "a pulmonary nodule",
            "a nodule",
            "a coin lesion",
            "a lung mass",
            "a solitary lung nodule",
            "a round well-defined lung mass",
            "carcinoma of the lung",
            "pulmonary mass",
            "a lung lesion",
        ],
    },
    Statement {
        holds: |c| c == (Head, Tumor),
        phrases: &[
            "a brain tumor",
            "a brain mass",
            "glioma",
            "glioblastoma",
            "a ring enhancing lesion",
            "a brain lesion",
            "edema around a mass",
            "oedema and mass effect",
            "an intracranial mass",
            "meningioma",
            "brain cancer",
            "a cerebral tumor",
            "midline shift",
        ],
    },
    Statement {
        holds: |c| c.1 == Fracture,
        phrases: &[
            "a fracture",
            "a broken bone",
            "a bone fracture",
            "a displaced fracture",
            "fractured bone",
            "a break in the bone",
            "bone fragments",
            "an injury of the bone",
            "trauma",
            "a cracked bone",
            "a fracture line",
            "an interrupted cortex",
            "a step in the bone",
            "fractures",
        ],
    },
    Statement {
        holds: |c| c.1 == Normal,
        phrases: &[
            "a normal finding",
            "no abnormality",
            "nothing abnormal",
            "a healthy patient",
            "a normal study",
            "no findings",
            "an unremarkable study",
            "no disease",
            "no pathology",
            "healthy",
            "normal",
            "no acute abnormality",
            "normal anatomy",
            "a normal picture",
        ],
    },
    Statement {
        holds: |c| c == (Chest, Normal),
        phrases: &[
            "a normal chest",
            "clear lungs",
            "healthy lungs",
            "a normal heart and clear lungs",
            "no lung disease",
            "an unremarkable chest",
            "normal lungs",
            "lungs without opacities",
            "no acute cardiopulmonary disease",
        ],
    },
    Statement {
        holds: |c| c == (Head, Normal),
        phrases: &[
            "a normal brain",
            "a healthy brain",
            "an unremarkable brain",
            "a symmetric brain",
            "normal ventricles",
            "a brain without a lesion",
        ],
    },
    Statement {
        holds: |c| c == (Limb, Normal),
        phrases: &[
            "intact bones",
            "an intact bone",
            "normal bones",
            "healthy bones",
            "a smooth cortex",
            "an unbroken bone",
            "a normal joint",
            "bones without a fracture",
            "a normal limb",
        ],
    },
    Statement {
        holds: |c| c.1 != Normal,
        phrases: &[
            "an abnormality",
            "an abnormal finding",
            "disease",
            "pathology",
            "an abnormal study",
            "disease or injury",
            "a sick patient",
            "a pathological finding",
        ],
    },
    Statement {
        holds: |c| c.1 != Pneumonia,
        phrases: &[
            "no pneumonia",
            "without pneumonia",
            "no consolidation",
            "no infiltrate",
            "absence of pneumonia",
        ],
    },
    Statement {
        holds: |c| c.1 != Tumor,
        phrases: &[
            "no tumor",
            "without a tumor",
            "no mass",
            "no focal lesion",
            "absence of a tumor",
            "no nodule",
        ],
    },
    Statement {
        holds: |c| c.1 != Fracture,
        phrases: &[
            "no fracture",
            "without a fracture",
            "no broken bone",
            "absence of a fracture",
        ],
    },
];

/// Templates like those that users' prompt sets may have.
pub const TEMPLATES: &[&str] = &[
    "{}",
    "{}.",
    "an image of {}",
    "a picture of {}",
    "a photo of {}",
    "an image showing {}",
    "a medical image of {}",
    "findings: {}",
    "there is {}",
    "this shows {}",
    "{} is seen",
    "a scan with {}",
    "a patient with {}",
    "radiology report: {}",
    "evidence of {}",
    "a synthetic phantom with {}",
    "impression: {}",
    "a study showing {}",
    "an example of {}",
    "signs of {}",
    "a slice showing {}",
];

/// Splits a text as the tokenizer does: into lower-case words and runs of other characters.
pub fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut last = None;
    for letter in text.to_lowercase().chars() {
        let kind = (!letter.is_whitespace()).then(|| letter.is_alphanumeric() || letter == '_');
        if kind.is_some() {
            if kind == last
                && let Some(part) = parts.last_mut()
            {
                part.push(letter);
            } else {
                parts.push(letter.to_string());
            }
        }
        last = kind;
    }
    parts
}

/// The anatomy that a built-in set is for; `None` for all.
pub fn anatomy_of_set(set: &str) -> Option<Anatomy> {
    match set {
        "chest-xray" => Some(Anatomy::Chest),
        "brain-mri" => Some(Anatomy::Head),
        "bone-xray" => Some(Anatomy::Limb),
        _ => None,
    }
}
