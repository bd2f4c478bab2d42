//! Phantoms whose findings' places are known.

use medivision_tui::encoder::{DualEncoder, Encoder, PreparedImage};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Finding, PhantomCondition, Plan, draw};

/// Phantoms with a finding.
const CELLS: [(Anatomy, PhantomCondition); 4] = [
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Chest, PhantomCondition::Tumor),
    (Anatomy::Head, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Fracture),
];

/// Seeds that no training used.
const FIRST_SEED: u64 = 0xFEED_7000;
/// Phantoms of each kind.
const COUNT: u64 = 25;
/// Side of a phantom in pixels.
const SIDE: u32 = 256;

/// A phantom as a model sees it. Places are in shares of the image's sides.
pub struct Sample {
    pub image: PreparedImage,
    pub anatomy: Anatomy,
    pub condition: &'static str,
    findings: Vec<Finding>,
}

impl Sample {
    /// Whether a place is in a finding, or at most `tolerance` from one.
    pub fn is_hit(&self, x: f64, y: f64, tolerance: f64) -> bool {
        let side = f64::from(SIDE);
        self.findings.iter().any(|finding| {
            let (dx, dy) = (
                x - f64::from(finding.x) / side,
                y - f64::from(finding.y) / side,
            );
            dx.hypot(dy) <= f64::from(finding.radius) / side + tolerance
        })
    }
}

pub fn samples(model: &DualEncoder) -> Vec<Sample> {
    let preprocess = model.preprocess();
    let all = (0..COUNT * CELLS.len() as u64).map(|index| {
        let (anatomy, condition) = CELLS[index as usize % CELLS.len()];
        let drawn = draw(&Plan {
            anatomy,
            condition,
            seed: FIRST_SEED + index,
            width: SIDE,
            height: SIDE,
            level: 0.0,
        });
        let picture = Picture {
            width: SIDE,
            height: SIDE,
            pixels: Pixels::Luma(drawn.to_luma8()),
        };
        Sample {
            image: preprocess.apply(&picture).unwrap(),
            anatomy,
            condition: condition.name(),
            findings: drawn.findings,
        }
    });
    all.collect()
}
