//! Synthetic studies with a known truth: for the demo, for tests, and to train the demo model.
//!
//! A phantom is drawn by formulas from a seed, no patient's picture is involved; the same seed gives the same bytes
//! on every machine, and the same anatomy at every size. Each file carries the word SYNTHETIC in its metadata.

mod canvas;
mod chest;
mod dice;
mod dicom;
mod files;
mod head;
mod limb;
mod studies;

use dice::Dice;

pub use studies::{MARKER, PhantomError, Study, TRUTH, write_studies};

/// The part of the body that a phantom shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anatomy {
    /// A frontal radiograph.
    Chest,
    /// A transverse section of the head, as of magnetic resonance.
    Head,
    /// A radiograph of long bones with a joint.
    Limb,
}

impl Anatomy {
    /// In lower case, as file names begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chest => "chest",
            Self::Head => "head",
            Self::Limb => "limb",
        }
    }

    /// What may be found in this part, healthy first.
    pub fn conditions(self) -> &'static [Condition] {
        match self {
            Self::Chest => &[Condition::Normal, Condition::Pneumonia, Condition::Tumor],
            Self::Head => &[Condition::Normal, Condition::Tumor],
            Self::Limb => &[Condition::Normal, Condition::Fracture],
        }
    }
}

/// What a phantom shows, named as in the prompt set `general`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Patchy haze in the lungs.
    Pneumonia,
    /// A mass in a lung or in the brain.
    Tumor,
    /// A broken long bone.
    Fracture,
    /// Nothing to find.
    Normal,
}

impl Condition {
    /// The name in the prompt set `general` and in `truth.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pneumonia => "pneumonia",
            Self::Tumor => "tumor",
            Self::Fracture => "fracture",
            Self::Normal => "normal",
        }
    }
}

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The part of the body.
    pub anatomy: Anatomy,
    /// What is to be seen; one that the part cannot have is drawn as normal.
    pub condition: Condition,
    /// Decides everything else, independently of the size; what is found does not change the rest of the anatomy.
    pub seed: u64,
    /// Columns, at least 16.
    pub width: u32,
    /// Rows, at least 16.
    pub height: u32,
    /// Height of a head section, −1 to 1 around the middle of the series; ignored by radiographs.
    pub level: f32,
}

/// A drawn phantom: `height × width` values of 0 (black) to 1 (white), rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row-major.
    pub values: Vec<f32>,
    /// The body part by its DICOM term (PS3.16 annex L), `CHEST`, `HEAD`, `LEG`, …
    pub body_part: &'static str,
    /// Where the finding is; empty where there is none.
    pub findings: Vec<Finding>,
    /// The side shown, where the part has one: `L` or `R`.
    pub side: Option<char>,
}

/// A disc that holds what is to be found, in pixels of the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// Centre, from the left edge.
    pub x: f32,
    /// Centre, from the upper edge.
    pub y: f32,
    /// Radius.
    pub radius: f32,
}

/// Draws a phantom; about 20 ms for 512 × 512.
pub fn draw(plan: &Plan) -> Drawing {
    let plan = Plan {
        width: plan.width.max(16),
        height: plan.height.max(16),
        ..*plan
    };
    let mut dice = Dice::new(plan.seed);
    match plan.anatomy {
        Anatomy::Chest => chest::draw(&plan, &mut dice),
        Anatomy::Head => head::draw(&plan, &mut dice),
        Anatomy::Limb => limb::draw(&plan, &mut dice),
    }
}

impl Drawing {
    /// Eight bits a pixel, rounded.
    pub fn to_luma8(&self) -> Vec<u8> {
        self.values
            .iter()
            .map(|v| (v * 255.0 + 0.5) as u8)
            .collect()
    }
}

#[cfg(test)]
#[path = "phantom/tests.rs"]
mod tests;
