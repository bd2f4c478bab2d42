//! What an image shows, as far as its labels say.

use medivision_tui::phantom::{Anatomy, PhantomCondition};

use super::statements::Cell;

/// A kind of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A frontal chest radiograph.
    Chest,
    /// A radiograph of a limb.
    Limb,
    /// A section of the brain by magnetic resonance.
    Brain,
    /// A slice of a computed tomography.
    Ct,
    /// An ultrasound image.
    Ultrasound,
    /// A photograph of the skin.
    Skin,
    /// A photomicrograph of a blood smear.
    Blood,
    /// A chart or a screenshot.
    Chart,
    /// None of the others.
    Other,
}

impl Kind {
    /// All kinds, in the order of their questions.
    pub const ALL: [Self; 9] = [
        Self::Chest,
        Self::Limb,
        Self::Brain,
        Self::Ct,
        Self::Ultrasound,
        Self::Skin,
        Self::Blood,
        Self::Chart,
        Self::Other,
    ];

    /// The condition of the prompt set `kinds`.
    pub fn condition(self) -> &'static str {
        match self {
            Self::Chest => "chest radiograph",
            Self::Limb => "limb radiograph",
            Self::Brain => "brain MRI",
            Self::Ct => "CT slice",
            Self::Ultrasound => "ultrasound",
            Self::Skin => "skin photograph",
            Self::Blood => "blood smear",
            Self::Chart => "chart or screenshot",
            Self::Other => "none of these",
        }
    }

    /// The kind of a phantom's anatomy.
    fn of(anatomy: Anatomy) -> Self {
        match anatomy {
            Anatomy::Chest => Self::Chest,
            Anatomy::Limb => Self::Limb,
            Anatomy::Head => Self::Brain,
        }
    }
}

/// What is known of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The kind of image.
    pub kind: Kind,
    /// Anatomy and condition, where the image shows one that phantoms show, too.
    pub cell: Option<Cell>,
    /// The source's name; `phantom` for phantoms.
    pub source: String,
    /// The label in the manifest.
    pub label: String,
    /// The details in the manifest, in lower case.
    pub details: Vec<String>,
}

impl Facts {
    /// The facts about a phantom.
    pub fn of_phantom(cell: Cell) -> Self {
        Self {
            kind: Kind::of(cell.0),
            cell: Some(cell),
            source: "phantom".to_owned(),
            label: cell.1.name().to_owned(),
            details: Vec::new(),
        }
    }

    /// The facts about a picture of no known kind.
    pub fn of_outlier() -> Self {
        Self {
            kind: Kind::Other,
            cell: None,
            source: "outlier".to_owned(),
            label: "outlier".to_owned(),
            details: Vec::new(),
        }
    }

    /// The facts in a row of the manifest; `None` for a task or label that is not known.
    pub fn of_row(task: &str, label: &str, detail: &str, source: &str) -> Option<Self> {
        use PhantomCondition::{Fracture, Normal, Pneumonia, Tumor};
        let (kind, cell) = match (task, label) {
            ("chest", "normal") => (Kind::Chest, Some((Anatomy::Chest, Normal))),
            // Infiltration and consolidation: what the phrases of pneumonia describe, whatever its cause.
            ("chest", "pneumonia" | "opacity") => (Kind::Chest, Some((Anatomy::Chest, Pneumonia))),
            ("chest", "tumor") => (Kind::Chest, Some((Anatomy::Chest, Tumor))),
            ("chest", _) => (Kind::Chest, None),
            ("limb", "fracture") => (Kind::Limb, Some((Anatomy::Limb, Fracture))),
            ("limb", "normal") => (Kind::Limb, Some((Anatomy::Limb, Normal))),
            ("brain", "tumor") => (Kind::Brain, Some((Anatomy::Head, Tumor))),
            ("brain", "normal") => (Kind::Brain, Some((Anatomy::Head, Normal))),
            ("other", "chest CT" | "head CT") => (Kind::Ct, None),
            ("other", "breast ultrasound") => (Kind::Ultrasound, None),
            ("other", "skin") => (Kind::Skin, None),
            ("other", "blood smear") => (Kind::Blood, None),
            ("other", "chart/screenshot") => (Kind::Chart, None),
            _ => return None,
        };
        let lower = detail.to_lowercase();
        Some(Self {
            kind,
            cell,
            source: source.to_owned(),
            label: label.to_owned(),
            details: lower.split('|').map(str::to_owned).collect(),
        })
    }

    /// Whether it is a phantom.
    pub fn is_phantom(&self) -> bool {
        self.source == "phantom"
    }

    /// Whether one of the details is `detail`.
    pub fn has(&self, detail: &str) -> bool {
        self.details.iter().any(|d| d == detail)
    }

    /// Whether the kind is `kind`, and what the label or a detail says: `None` for another kind.
    pub fn of_kind(&self, kind: Kind, says: impl Fn(&Self) -> bool) -> Option<bool> {
        (self.kind == kind && !self.is_phantom()).then(|| says(self))
    }
}
