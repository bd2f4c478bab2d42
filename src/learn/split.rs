//! The split of labelled images into those that are learned from and those held out, never within a patient.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Images by index: those that are learned from, and those held out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientSplit {
    /// Learned from.
    pub train: Vec<usize>,
    /// Held out.
    pub held_out: Vec<usize>,
    /// Patients of each of the two.
    pub patients: [usize; 2],
}

/// Why images cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Fewer than two conditions have images.
    #[error("all images have the same label; images of at least two conditions are needed")]
    OneLabel,
    /// Fewer than two conditions have images of several patients.
    #[error(
        "the images cannot be split by patient: at least two conditions need images of two patients or more"
    )]
    FewPatients,
}

/// Holds out a share of the images, whole patients only, of each condition alike. A condition whose images are of one patient is learned
/// from alone.
///
/// # Errors
///
/// Fails if fewer than two conditions are on both sides.
pub fn split_by_patient(
    patients: &[String],
    labels: &[usize],
    share: f64,
    seed: u64,
) -> Result<PatientSplit, SplitError> {
    let mut images: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, (patient, label)) in patients.iter().zip(labels).enumerate() {
        images.entry(patient).or_default().push(at);
        *counts.entry(*label).or_default() += 1;
    }
    if counts.len() < 2 {
        return Err(SplitError::OneLabel);
    }
    let mut order: Vec<&str> = images.keys().copied().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut is_held_out = vec![false; labels.len()];
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    // The rarest first: what its patients have of the others counts for those.
    let mut by_count: Vec<(usize, usize)> = counts.iter().map(|(l, n)| (*n, *l)).collect();
    by_count.sort_unstable();
    for (count, label) in by_count {
        let of_label = |patient: &&&str| images[**patient].iter().any(|at| labels[*at] == label);
        let own: Vec<&str> = order.iter().filter(of_label).copied().collect();
        let wanted = (count as f64 * share).round().max(1.0) as usize;
        // The last patient of a condition stays.
        let free = own
            .iter()
            .filter(|patient| !is_held_out[images[**patient][0]]);
        let free: Vec<&str> = free.copied().collect();
        for patient in &free[..free.len().saturating_sub(1)] {
            if held.get(&label).is_some_and(|held| *held >= wanted) {
                break;
            }
            for at in &images[patient] {
                is_held_out[*at] = true;
                *held.entry(labels[*at]).or_default() += 1;
            }
        }
    }
    let side = |is_held: bool| {
        let own = (0..labels.len()).filter(|at| is_held_out[*at] == is_held);
        own.collect::<Vec<usize>>()
    };
    let (train, held_out) = (side(false), side(true));
    let in_train = |label: &&usize| train.iter().any(|at| labels[*at] == **label);
    if held.keys().filter(in_train).count() < 2 {
        return Err(SplitError::FewPatients);
    }
    let is_held = images.values().filter(|own| is_held_out[own[0]]).count();
    Ok(PatientSplit {
        train,
        held_out,
        patients: [images.len() - is_held, is_held],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_patient_is_on_both_sides_and_every_image_on_one(
            images in proptest::collection::vec((0_u8..30, 0_usize..3), 2..200),
            seed in 0_u64..50,
        ) {
            let patients: Vec<String> = images.iter().map(|(p, _)| p.to_string()).collect();
            let labels: Vec<usize> = images.iter().map(|(_, l)| *l).collect();
            if let Ok(split) = split_by_patient(&patients, &labels, 0.15, seed) {
                let names = |side: &[usize]| -> BTreeSet<&String> {
                    side.iter().map(|at| &patients[*at]).collect()
                };
                prop_assert!(names(&split.train).is_disjoint(&names(&split.held_out)));
                let mut all = [split.train.clone(), split.held_out.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..images.len()).collect::<Vec<_>>());
                let held: BTreeSet<usize> = split.held_out.iter().map(|at| labels[*at]).collect();
                prop_assert!(held.len() > 1);
            }
        }
    }

    #[test]
    fn each_condition_gives_its_share_and_the_seed_decides_which() {
        let patients: Vec<String> = (0..400).map(|at| (at / 2).to_string()).collect();
        let labels: Vec<usize> = (0..400).map(|at| usize::from(at >= 360)).collect();
        let split = |seed| split_by_patient(&patients, &labels, 0.15, seed).unwrap();
        let one = split(1);
        let of = |label| {
            one.held_out
                .iter()
                .filter(|at| labels[**at] == label)
                .count()
        };
        assert_eq!((of(0), of(1)), (54, 6));
        assert_eq!(one.patients, [170, 30]);
        assert_eq!(one, split(1));
        assert_ne!(one, split(2));
    }

    #[test]
    fn images_of_one_patient_or_one_condition_cannot_be_split() {
        let of = |patients: [&str; 4], labels: [usize; 4]| {
            let patients = patients.map(str::to_owned);
            split_by_patient(&patients, &labels, 0.15, 0).unwrap_err()
        };
        assert_eq!(of(["a", "b", "c", "d"], [1; 4]), SplitError::OneLabel);
        assert_eq!(of(["a"; 4], [0, 1, 0, 1]), SplitError::FewPatients);
        assert_eq!(
            of(["a", "b", "c", "c"], [0, 0, 1, 1]),
            SplitError::FewPatients
        );
    }
}
