//! Phantoms: synthetic images with a known truth, for the demo, for tests, and for training the built-in model.
//!
//! A phantom is drawn by formulas from a seed; no patient's image is involved. The same seed gives the same bytes on every
//! machine, and the same anatomy at every size. Each file has the word SYNTHETIC in its metadata.

mod canvas;
mod chest;
mod dicom;
mod files;
mod head;
mod limb;
mod random;
mod shifted;
mod studies;
mod unseen;

use random::PhantomRng;

pub use shifted::{draw_shifted, draw_shifted_with};
pub use studies::{MARKER, PhantomError, PhantomStudy, TRUTH, write_studies};
pub use unseen::{UnseenCondition, draw_unseen};

/// The part of the body that a phantom shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anatomy {
    /// A frontal radiograph.
    Chest,
    /// A transverse section of the head, as by magnetic resonance.
    Head,
    /// A radiograph of long bones with a joint.
    Limb,
}

impl Anatomy {
    /// The name in lower case, with which file names begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chest => "chest",
            Self::Head => "head",
            Self::Limb => "limb",
        }
    }

    /// The conditions that this part can have, the healthy one first.
    pub fn conditions(self) -> &'static [PhantomCondition] {
        match self {
            Self::Chest => &[
                PhantomCondition::Normal,
                PhantomCondition::Pneumonia,
                PhantomCondition::Tumor,
            ],
            Self::Head => &[PhantomCondition::Normal, PhantomCondition::Tumor],
            Self::Limb => &[PhantomCondition::Normal, PhantomCondition::Fracture],
        }
    }
}

/// The condition that a phantom shows; a condition of the prompt set `general`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhantomCondition {
    /// Patchy opacities in the lungs.
    Pneumonia,
    /// A mass in a lung or in the brain.
    Tumor,
    /// A broken long bone.
    Fracture,
    /// No finding.
    Normal,
}

impl PhantomCondition {
    /// The name in the prompt set `general`, and in `truth.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pneumonia => "pneumonia",
            Self::Tumor => "tumor",
            Self::Fracture => "fracture",
            Self::Normal => "normal",
        }
    }
}

/// Which phantom to draw.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The part of the body.
    pub anatomy: Anatomy,
    /// The condition to show; one that the part cannot have is drawn as normal.
    pub condition: PhantomCondition,
    /// Determines everything else, independently of the size. The condition does not change the rest of the anatomy.
    pub seed: u64,
    /// Columns, at least 16.
    pub width: u32,
    /// Rows, at least 16.
    pub height: u32,
    /// The height of a head section, from −1 to 1 around the middle of the series; ignored for radiographs.
    pub level: f32,
}

/// A drawn phantom: `height × width` values of 0 (black) to 1 (white), rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Phantom {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row-major.
    pub values: Vec<f32>,
    /// DICOM's term for the body part (PS3.16 annex L): `CHEST`, `HEAD`, `LEG`, …
    pub body_part: &'static str,
    /// The locations of the findings; empty if there is none.
    pub findings: Vec<Finding>,
    /// Laterality, `L` or `R`, if the part has one.
    pub side: Option<char>,
}

/// A disc around a finding, in pixels of the phantom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// Centre, measured from the left edge.
    pub x: f32,
    /// Centre, measured from the upper edge.
    pub y: f32,
    /// Radius.
    pub radius: f32,
}

/// Draws a phantom; about 20 ms for 512 × 512.
pub fn draw(plan: &Plan) -> Phantom {
    draw_with(plan, &[])
}

/// Draws a phantom with further conditions beside the plan's. Only a chest can show several; others are drawn as the plan says.
pub fn draw_with(plan: &Plan, others: &[PhantomCondition]) -> Phantom {
    let plan = Plan {
        width: plan.width.max(16),
        height: plan.height.max(16),
        ..*plan
    };
    let mut rng = PhantomRng::new(plan.seed);
    match plan.anatomy {
        Anatomy::Chest => chest::draw(&plan, others, &mut rng),
        Anatomy::Head => head::draw(&plan, &mut rng),
        Anatomy::Limb => limb::draw(&plan, &mut rng),
    }
}

impl Phantom {
    /// Rounds the values to 8 bits.
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
