//! What is claimed about images beside the statements about phantoms: kinds, findings and descriptions, in many phrases each.

use medivision_tui::phantom::Anatomy::{Chest, Head, Limb};
use medivision_tui::phantom::PhantomCondition::{Fracture, Normal, Pneumonia, Tumor};

use super::facts::{Facts, Kind};

/// Whether a text is true of an image; `None` if the labels do not say.
pub type Truth = fn(&Facts) -> Option<bool>;

/// Phrases with the same meaning, and the images of which they are true.
pub struct Claim {
    /// Whether the phrases are true of an image.
    pub holds: Truth,
    /// The phrases.
    pub phrases: &'static [&'static str],
}

impl Claim {
    /// Whether the phrases are true of an image; `None` if that is not known, as of all that is of no kind.
    pub fn truth(&self, facts: &Facts) -> Option<bool> {
        if facts.kind == Kind::Other {
            return None;
        }
        (self.holds)(facts)
    }
}

/// The phrases for a kind of image.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn kind_phrases(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Chest => &[
            "a chest radiograph",
            "a chest X-ray",
            "a frontal chest radiograph",
            "an X-ray of the lungs",
            "a chest film",
            "a radiograph of the thorax",
            "cxr",
            "chest radiography",
            "an x-ray image of the chest",
            "lungs and ribs",
            "a plain film of the chest",
            "the lungs and the heart of a patient on a radiograph",
        ],
        Kind::Limb => &[
            "a limb radiograph",
            "a radiograph of a limb",
            "a bone X-ray",
            "an X-ray of an arm or a leg",
            "a skeletal radiograph",
            "a radiograph of a hand, a wrist or an elbow",
            "a radiograph of a foot, an ankle or a knee",
            "an X-ray of a hip or a shoulder",
            "an extremity radiograph",
            "a musculoskeletal radiograph",
            "a plain film of bones",
            "an x-ray image of a joint",
            "bones of the hand",
            "bones of the leg",
            "a knee X-ray",
            "a wrist X-ray",
            "an ankle X-ray",
            "an elbow X-ray",
            "a shoulder X-ray",
            "a hip X-ray",
            "a foot X-ray",
            "a hand X-ray",
            "fingers and toes",
        ],
        Kind::Brain => &[
            "a brain MRI",
            "magnetic resonance imaging of the brain",
            "an MRI scan of the head",
            "an MR image of the brain",
            "a magnetic resonance image of the head",
            "a head MRI",
            "a brain scan by magnetic resonance",
            "an mri slice of the brain",
            "a section of the brain",
            "cranial MRI",
        ],
        Kind::Ct => &[
            "a CT slice",
            "a computed tomography slice",
            "a CT scan",
            "computed tomography",
            "an axial CT image",
            "a CAT scan",
            "a slice of a CT",
            "a tomographic slice",
            "a cross section by computed tomography",
        ],
        Kind::Ultrasound => &[
            "an ultrasound image",
            "a sonogram",
            "ultrasonography",
            "an ultrasound scan",
            "a breast ultrasound",
            "sonography of the breast",
            "echography",
            "an ultrasound picture of tissue",
            "a B-mode ultrasound",
        ],
        Kind::Skin => &[
            "a skin photograph",
            "a photograph of the skin",
            "a dermatoscopic image",
            "dermoscopy",
            "a photo of a skin lesion",
            "a picture of a mole",
            "a dermatology photograph",
            "a close-up of skin",
            "a pigmented lesion of the skin",
            "a nevus",
        ],
        Kind::Blood => &[
            "a blood smear",
            "a microscopic image of blood cells",
            "a peripheral blood film",
            "blood cells under a microscope",
            "a stained blood smear",
            "haematology microscopy",
            "hematology",
            "red blood cells",
            "white blood cells",
            "a photomicrograph of blood",
            "erythrocytes and leukocytes",
        ],
        Kind::Chart => &[
            "a chart or screenshot",
            "a chart",
            "a screenshot",
            "a diagram",
            "a graph",
            "a plot",
            "a bar chart",
            "a line chart",
            "a pie chart",
            "computer graphics",
            "a figure with axes",
            "not a medical image",
            "a drawing by a computer program",
            "a document page",
            "text and lines",
        ],
        Kind::Other => &[
            "none of these",
            "none of the kinds of image in this set",
            "another kind of image",
            "a picture of something else",
            "a photograph",
            "a photograph of an everyday scene",
            "a photograph of a person",
            "a photograph of the retina of an eye",
            "optical coherence tomography",
            "a histology slide of stained tissue",
            "a dental radiograph of teeth",
            "an endoscopy image",
            "a photograph of plants or animals",
            "a pattern of colours",
        ],
    }
}

/// Claims about real images beside their kinds.
pub const CLAIMS: &[Claim] = &[
    Claim {
        holds: |f| Some(f.is_phantom()),
        phrases: &[
            "a synthetic phantom",
            "a simulated image",
            "an artificial phantom",
            "a computer generated phantom",
            "not a patient",
        ],
    },
    Claim {
        holds: |f| Some(!f.is_phantom() && f.kind != Kind::Chart),
        phrases: &[
            "a real image",
            "an image of a real patient",
            "a clinical image",
            "an image from a hospital",
        ],
    },
    Claim {
        holds: |f| Some(matches!(f.kind, Kind::Chest | Kind::Limb)),
        phrases: &[
            "an X-ray",
            "a radiograph",
            "radiography",
            "a plain film",
            "an x-ray image",
            "an X-ray projection",
        ],
    },
    Claim {
        holds: |f| Some(matches!(f.kind, Kind::Brain | Kind::Ct)),
        phrases: &[
            "a slice",
            "a cross section",
            "a tomographic section",
            "an axial section",
        ],
    },
    Claim {
        holds: |f| Some(matches!(f.kind, Kind::Skin | Kind::Blood)),
        phrases: &[
            "a colour photograph",
            "a color photograph",
            "a colour picture",
            "a photo in colour",
        ],
    },
    Claim {
        holds: |f| Some(f.kind != Kind::Chart),
        phrases: &[
            "a medical image",
            "a medical picture",
            "medical imaging",
            "a diagnostic image",
        ],
    },
    Claim {
        holds: |f| Some(f.label == "chest CT"),
        phrases: &[
            "a chest CT",
            "computed tomography of the chest",
            "a CT slice of the lungs",
            "a CT of the thorax",
        ],
    },
    Claim {
        holds: |f| Some(f.label == "head CT"),
        phrases: &[
            "a head CT",
            "computed tomography of the head",
            "a CT slice of the brain",
            "a cranial CT",
            "a brain CT",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Chest, |f| f.source == "Kermany"),
        phrases: &[
            "a chest X-ray of a child",
            "a paediatric chest radiograph",
            "a pediatric patient",
            "a child",
            "a young patient",
            "an infant",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Chest, |f| f.source != "Kermany"),
        phrases: &[
            "a chest X-ray of an adult",
            "an adult patient",
            "an adult chest radiograph",
            "a grown person",
        ],
    },
    Claim {
        holds: |f| {
            (f.label == "pneumonia"
                && !f.details.iter().all(String::is_empty)
                && f.source == "Kermany")
                .then(|| f.has("bacterial"))
        },
        phrases: &[
            "bacterial pneumonia",
            "pneumonia caused by bacteria",
            "a bacterial lung infection",
        ],
    },
    Claim {
        holds: |f| {
            (f.label == "pneumonia"
                && !f.details.iter().all(String::is_empty)
                && f.source == "Kermany")
                .then(|| f.has("viral"))
        },
        phrases: &[
            "viral pneumonia",
            "pneumonia caused by a virus",
            "a viral lung infection",
            "interstitial pneumonia",
        ],
    },
    Claim {
        holds: |f| adult(f, "effusion"),
        phrases: &[
            "a pleural effusion",
            "fluid in the pleural space",
            "effusion",
            "a blunted costophrenic angle",
        ],
    },
    Claim {
        holds: |f| adult(f, "atelectasis"),
        phrases: &[
            "atelectasis",
            "a collapsed lung segment",
            "loss of lung volume",
            "linear atelectasis",
        ],
    },
    Claim {
        holds: |f| adult(f, "edema"),
        phrases: &[
            "pulmonary edema",
            "pulmonary oedema",
            "fluid overload",
            "congestion of the lungs",
            "vascular congestion",
        ],
    },
    Claim {
        holds: |f| adult(f, "cardiomegaly"),
        phrases: &[
            "cardiomegaly",
            "an enlarged heart",
            "a large cardiac silhouette",
            "heart failure",
        ],
    },
    Claim {
        holds: |f| adult(f, "fibrosis"),
        phrases: &[
            "lung fibrosis",
            "pulmonary fibrosis",
            "scarring of the lung",
            "fibrotic changes",
            "reticular opacities",
        ],
    },
    Claim {
        holds: |f| adult(f, "pneumothorax"),
        phrases: &[
            "a pneumothorax",
            "air in the pleural space",
            "a collapsed lung",
        ],
    },
    Claim {
        holds: |f| adult(f, "emphysema"),
        phrases: &[
            "emphysema",
            "hyperinflated lungs",
            "chronic obstructive pulmonary disease",
            "copd",
        ],
    },
    Claim {
        holds: |f| adult(f, "nodule").map(|n| n || f.has("mass")),
        phrases: &[
            "a lung nodule or mass",
            "a pulmonary nodule on a chest radiograph",
            "a mass in the lung of an adult",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Chest, |f| f.label != "normal"),
        phrases: &[
            "an abnormal chest radiograph",
            "an abnormal chest X-ray",
            "lung disease",
            "a chest film with disease",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Brain, |f| f.has("glioma")),
        phrases: &[
            "a glioma",
            "glioma",
            "a glial tumor",
            "astrocytoma",
            "glioblastoma",
            "an infiltrating brain tumor",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Brain, |f| f.has("meningioma")),
        phrases: &[
            "a meningioma",
            "meningioma",
            "a tumor of the meninges",
            "a dural mass",
            "an extra-axial mass",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Brain, |f| f.has("pituitary")),
        phrases: &[
            "a pituitary tumor",
            "pituitary adenoma",
            "a tumor of the pituitary gland",
            "a sellar mass",
            "a pituitary mass",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Ultrasound, |f| f.has("malignant")),
        phrases: &[
            "a malignant breast lesion",
            "breast cancer",
            "a malignant breast mass",
            "breast carcinoma",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Ultrasound, |f| f.has("benign")),
        phrases: &[
            "a benign breast lesion",
            "a benign breast mass",
            "a fibroadenoma",
            "a breast cyst",
        ],
    },
    Claim {
        holds: |f| f.of_kind(Kind::Ultrasound, |f| f.has("normal")),
        phrases: &[
            "normal breast tissue",
            "a breast without a lesion",
            "a normal breast",
        ],
    },
    Claim {
        holds: |f| (f.label == "chest CT").then(|| f.has("malignant cases")),
        phrases: &[
            "lung cancer on CT",
            "a malignant lung tumor on computed tomography",
            "a malignant lung mass on CT",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c.1 == Pneumonia),
        phrases: &[
            "a chest infection",
            "a pulmonary infection",
            "a lower respiratory tract infection",
            "lung opacity",
            "a pulmonary opacity",
            "pulmonary opacification",
            "focal consolidation",
            "patchy consolidation",
            "airspace consolidation",
            "a lung infiltrate",
            "pulmonary infiltrates",
            "air bronchograms",
            "inflamed lungs",
            "white patches in the lungs",
            "suspicion of pneumonia",
            "findings consistent with pneumonia",
            "infiltration",
            "shadowing in the lungs",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c.1 == Fracture),
        phrases: &[
            "a cortical break",
            "a fractured limb",
            "bony discontinuity",
            "a discontinuity of the cortex",
            "a broken limb",
            "bone breakage",
            "fracture",
            "broken bones",
            "an acute fracture",
            "a traumatic fracture",
            "an injured bone",
            "a bone with a break",
            "fracture seen",
            "positive for fracture",
            "a bone injury",
            "disruption of the bone",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c.1 == Tumor),
        phrases: &[
            "a space occupying lesion",
            "a tumorous lesion",
            "a neoplastic lesion",
            "a malignant tumor",
            "an abnormal growth",
            "tumour",
            "tumor",
            "neoplasm",
            "mass",
            "an expansive lesion",
            "a suspicious mass",
            "a large mass",
            "oncologic disease",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c == (Head, Tumor)),
        phrases: &[
            "an intracranial tumor",
            "an intracranial neoplasm",
            "a cerebral mass",
            "a brain neoplasm",
            "a brain tumour",
            "a tumor in the head",
            "a mass in the brain",
            "a cerebral neoplasm",
            "an intracranial lesion",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c.1 == Normal),
        phrases: &[
            "within normal limits",
            "a negative study",
            "nothing wrong",
            "no sign of disease",
            "no evidence of disease",
            "a normal image",
            "a normal scan",
            "a normal radiograph",
            "an unremarkable image",
            "a healthy person",
            "no acute finding",
            "no lesion",
            "not abnormal",
            "normal appearance",
            "no significant abnormality",
            "free of disease",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c == (Chest, Normal)),
        phrases: &[
            "the lungs are clear",
            "clear lung fields",
            "no focal consolidation",
            "no lung infection",
            "a normal chest radiograph",
            "a normal chest X-ray",
            "no pulmonary disease",
            "a healthy chest",
            "well aerated lungs",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c == (Limb, Normal)),
        phrases: &[
            "no fracture seen",
            "no bone injury",
            "unbroken bones",
            "a normal bone radiograph",
            "a normal bone X-ray",
            "negative for fracture",
            "bones without injury",
            "no acute bone injury",
            "a continuous cortex",
        ],
    },
    Claim {
        holds: |f| f.cell.map(|c| c == (Head, Normal)),
        phrases: &[
            "no brain tumor",
            "a normal brain MRI",
            "no intracranial mass",
            "no mass in the brain",
            "a brain without a tumor",
            "a normal head MRI",
            "healthy brain tissue",
            "no intracranial lesion",
        ],
    },
];

/// Whether a film of the adult source has a finding.
fn adult(f: &Facts, finding: &str) -> Option<bool> {
    (f.source.starts_with("NIH")).then(|| f.has(finding))
}

/// Groups of claims, by their indices in [`CLAIMS`], of which at most one is true of an image; a question chooses among them.
pub const CHOICES: &[(&[usize], f64)] = &[
    (&[0, 1], 0.3),
    (&[6, 7], 0.2),
    (&[8, 9], 0.15),
    (&[10, 11], 0.15),
    (&[21, 22, 23], 0.5),
    (&[24, 25, 26], 0.2),
];
