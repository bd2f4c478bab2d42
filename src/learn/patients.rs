//! Which images are of one patient: those that share any mark, be it what a table says or what a DICOM file does.

use std::collections::HashMap;

use crate::media::DicomOrigin;

/// What tells the patient of an image from others: what tables and reviews say (`named`, see
/// [`patient_mark`](crate::media::patient_mark)), and the Patient ID of a DICOM file, else its study or series. Nothing for an image of
/// which none is known: it is left out by itself.
pub fn patient_marks<'a>(
    named: impl IntoIterator<Item = &'a str>,
    origin: &DicomOrigin,
) -> Vec<String> {
    let study = origin.study.as_ref().or(origin.series.as_ref());
    let own = origin.patient.as_ref().or(study).cloned();
    named.into_iter().map(str::to_owned).chain(own).collect()
}

/// A number for each image, from 0 by first appearance: the same for images that share a mark, and for those that others link.
pub fn patient_groups<M: AsRef<[String]>>(images: &[M]) -> Vec<usize> {
    // Each image leads to an earlier one of its patient, or to itself.
    let mut earlier: Vec<usize> = (0..images.len()).collect();
    let mut holders: HashMap<&str, usize> = HashMap::new();
    for (at, marks) in images.iter().enumerate() {
        for mark in marks.as_ref() {
            let holder = *holders.entry(mark).or_insert(at);
            let [a, b] = [holder, at].map(|own| first(&mut earlier, own));
            earlier[a.max(b)] = a.min(b);
        }
    }
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let number = |at: usize| {
        let next = numbers.len();
        *numbers.entry(first(&mut earlier, at)).or_insert(next)
    };
    (0..images.len()).map(number).collect()
}

/// The first image of a patient; the way to it becomes shorter.
fn first(earlier: &mut [usize], mut at: usize) -> usize {
    while earlier[at] != at {
        earlier[at] = earlier[earlier[at]];
        at = earlier[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_share_a_mark_or_are_linked_by_others_are_of_one_patient() {
        let marks = |all: &[&str]| all.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>();
        let images = [
            marks(&["case 7"]),
            marks(&[]),
            marks(&["id 1"]),
            marks(&["id 2"]),
            marks(&["case 8", "id 2"]),
            marks(&[]),
            // Named by the table, and by the file: both count.
            marks(&["case 7", "id 1"]),
        ];
        assert_eq!(patient_groups(&images), [0, 1, 0, 2, 2, 3, 0]);
    }

    #[test]
    fn a_patient_id_tells_more_than_a_study_and_a_table_never_replaces_either() {
        let origin = |patient: Option<&str>| DicomOrigin {
            study: Some("1.2.3".to_owned()),
            patient: patient.map(str::to_owned),
            ..DicomOrigin::default()
        };
        assert_eq!(patient_marks(None, &origin(Some("p"))), ["p"]);
        assert_eq!(patient_marks(None, &origin(None)), ["1.2.3"]);
        assert_eq!(patient_marks(Some("a"), &origin(Some("p"))), ["a", "p"]);
        assert!(patient_marks(None, &DicomOrigin::default()).is_empty());
    }
}
