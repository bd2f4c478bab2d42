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
    /// Each condition is shown by all images, or by none.
    #[error(
        "each condition is shown by all images or by none; at least one needs images with it and images without it"
    )]
    NothingToTell,
    /// No condition has both images with it and images without it of several patients.
    #[error(
        "the images cannot be split by patient: at least one condition needs images with it of two patients or more, and images \
         without it likewise"
    )]
    FewPatientsForEach,
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
    let split = PatientSplit::of(&is_held_out, images.values());
    let in_train = |label: &&usize| split.train.iter().any(|at| labels[*at] == **label);
    if held.keys().filter(in_train).count() < 2 {
        return Err(SplitError::FewPatients);
    }
    Ok(split)
}

/// The same where images show any of so many conditions, or none: a share of those with each condition, and of those without it. The
/// last patient with a condition is learned from, as is the last without it, so that a rare one is on both sides where it can be.
///
/// # Errors
///
/// Fails if no condition is present and absent on both sides.
pub fn split_presence_by_patient(
    patients: &[String],
    shown: &[Vec<usize>],
    conditions: usize,
    (share, seed): (f64, u64),
) -> Result<PatientSplit, SplitError> {
    // The presence and the absence of each condition are what is to be on both sides.
    let sides = |at: usize| {
        let all = 0..conditions;
        all.map(move |own| 2 * own + usize::from(!shown[at].contains(&own)))
    };
    let mut images: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut counts = vec![0_usize; 2 * conditions];
    for (at, patient) in patients.iter().enumerate() {
        images.entry(patient).or_default().push(at);
        sides(at).for_each(|side| counts[side] += 1);
    }
    if counts.chunks(2).all(|both| both.contains(&0)) {
        return Err(SplitError::NothingToTell);
    }
    let of_patient = |own: &[usize]| {
        let mut all: Vec<usize> = own.iter().flat_map(|at| sides(*at)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    // Patients that are learned from, by what their images show.
    let mut left = vec![0_usize; counts.len()];
    for own in images.values() {
        for side in of_patient(own) {
            left[side] += 1;
        }
    }
    let mut order: Vec<&Vec<usize>> = images.values().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut is_held_out = vec![false; shown.len()];
    let mut held = vec![0_usize; counts.len()];
    // The rarest first: what its patients show besides counts for that.
    let mut by_count: Vec<usize> = (0..counts.len()).filter(|side| counts[*side] > 0).collect();
    by_count.sort_by_key(|side| (counts[*side], *side));
    for side in by_count {
        let wanted = (counts[side] as f64 * share).round().max(1.0) as usize;
        for own in &order {
            if held[side] >= wanted {
                break;
            }
            let shown = of_patient(own);
            let is_free = !is_held_out[own[0]] && shown.contains(&side);
            if !is_free || shown.iter().any(|side| left[*side] < 2) {
                continue;
            }
            for side in shown {
                left[side] -= 1;
            }
            for at in *own {
                is_held_out[*at] = true;
                sides(*at).for_each(|side| held[side] += 1);
            }
        }
    }
    // What is held out of a side is never all of it.
    if held.chunks(2).all(|both| both.contains(&0)) {
        return Err(SplitError::FewPatientsForEach);
    }
    Ok(PatientSplit::of(&is_held_out, images.values()))
}

impl PatientSplit {
    /// From whether each image is held out, and the images of each patient.
    fn of<'a>(is_held_out: &[bool], patients: impl Iterator<Item = &'a Vec<usize>>) -> Self {
        let side = |is_held: bool| {
            let own = (0..is_held_out.len()).filter(|at| is_held_out[*at] == is_held);
            own.collect::<Vec<usize>>()
        };
        let mut counts = [0, 0];
        patients.for_each(|own| counts[usize::from(is_held_out[own[0]])] += 1);
        Self {
            train: side(false),
            held_out: side(true),
            patients: counts,
        }
    }
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

    proptest! {
        #[test]
        fn a_condition_is_never_taken_from_what_is_learned_from(
            images in proptest::collection::vec(
                (0_u8..40, proptest::collection::btree_set(0_usize..4, 0..3)), 2..150),
            seed in 0_u64..50,
        ) {
            let patients: Vec<String> = images.iter().map(|(p, _)| p.to_string()).collect();
            let shown: Vec<Vec<usize>> =
                images.iter().map(|(_, own)| own.iter().copied().collect()).collect();
            if let Ok(split) = split_presence_by_patient(&patients, &shown, 4, (0.15, seed)) {
                let names = |side: &[usize]| -> BTreeSet<&String> {
                    side.iter().map(|at| &patients[*at]).collect()
                };
                let [train, held] = [names(&split.train), names(&split.held_out)];
                prop_assert!(train.is_disjoint(&held));
                prop_assert_eq!([train.len(), held.len()], split.patients);
                let of = |side: &[usize], condition, is_shown| {
                    side.iter().any(|at| shown[*at].contains(&condition) == is_shown)
                };
                let mut told = 0;
                for condition in 0..4 {
                    for is_shown in [true, false] {
                        prop_assert!(of(&split.train, condition, is_shown)
                            || !of(&split.held_out, condition, is_shown));
                    }
                    told += usize::from(of(&split.held_out, condition, true)
                        && of(&split.held_out, condition, false));
                }
                prop_assert!(told > 0);
            }
        }
    }

    #[test]
    fn a_rare_condition_beside_others_is_on_both_sides() {
        // Two patients show the rare one, always with the frequent one; a third of the images show nothing.
        let patients: Vec<String> = (0..120).map(|at| (at / 2).to_string()).collect();
        let shown: Vec<Vec<usize>> = (0..120)
            .map(|at| match at / 2 {
                7 | 31 => vec![0, 1],
                patient if patient % 3 == 0 => Vec::new(),
                _ => vec![1],
            })
            .collect();
        for seed in 0..20 {
            let split = split_presence_by_patient(&patients, &shown, 3, (0.15, seed)).unwrap();
            let count = |condition| {
                let shows = |at: &&usize| shown[**at].contains(&condition);
                split.held_out.iter().filter(shows).count()
            };
            assert_eq!(count(0), 2, "{split:?}");
            assert!((10..=16).contains(&count(1)), "{split:?}");
            assert!((16..=22).contains(&split.held_out.len()), "{split:?}");
        }
        let names = |all: [&str; 4]| all.map(str::to_owned);
        let of = |patients: [&str; 4], shown: [Vec<usize>; 4]| {
            split_presence_by_patient(&names(patients), &shown, 2, (0.15, 0)).unwrap_err()
        };
        let all = || vec![0];
        assert_eq!(
            of(["a", "b", "c", "d"], [all(), all(), all(), all()]),
            SplitError::NothingToTell
        );
        assert_eq!(
            of(["a", "a", "b", "c"], [all(), all(), vec![], vec![]]),
            SplitError::FewPatientsForEach
        );
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
