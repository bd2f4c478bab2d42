//! Groups files into studies and series, and sorts each series along its normal.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identity::ObjectIdentity;
use crate::{ErrorKind, MediaError, contain, dicom, read};

/// Smallest cosine between the normals of parallel slices: a quarter of a degree.
pub(super) const MIN_PARALLEL_COSINE: f64 = 0.999_99;
/// Positions closer than this are the same, in millimetres.
pub(super) const SAME_POSITION_MM: f64 = 1e-3;
/// Largest DICOMDIR read, in bytes: more than a million records.
const MAX_DIRECTORY: u64 = 256 << 20;

/// Attributes that identify, group and sort a DICOM object. Texts are free of control characters, and empty if absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DicomHeader {
    /// Patient's Name (0010,0010).
    pub patient_name: String,
    /// Patient ID (0010,0020).
    pub patient_id: String,
    /// Study Instance UID (0020,000D).
    pub study: String,
    /// Study Date (0008,0020), as written.
    pub study_date: String,
    /// Study Description (0008,1030).
    pub study_description: String,
    /// Series Instance UID (0020,000E).
    pub series: String,
    /// Series Number (0020,0011).
    pub series_number: Option<i64>,
    /// Series Description (0008,103E).
    pub series_description: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Body Part Examined (0018,0015), unless it is not a code.
    pub body_part: String,
    /// Slice Thickness (0018,0050) in millimetres.
    pub slice_thickness: Option<f64>,
    /// Instance Number (0020,0013).
    pub instance: Option<i64>,
    /// Image Position (Patient) (0020,0032): x, y, z of the first pixel in millimetres.
    pub position: Option<[f64; 3]>,
    /// Image Orientation (Patient) (0020,0037): direction cosines of the rows, then of the columns.
    pub orientation: Option<[f64; 6]>,
}

/// A file of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Path of the file, which may not exist.
    pub path: PathBuf,
    /// Whether the file exists.
    pub present: bool,
    /// Its header.
    pub header: Arc<DicomHeader>,
}

/// The series of one Study Instance UID.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Study Instance UID.
    pub uid: String,
    /// Header of its first file.
    pub header: Arc<DicomHeader>,
    /// Its series, by Series Number.
    pub series: Vec<Series>,
}

/// The files of one Series Instance UID.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Series Instance UID.
    pub uid: String,
    /// Header of its first file.
    pub header: Arc<DicomHeader>,
    /// Its files, sorted from one end of the stack to the other.
    pub members: Vec<Member>,
}

/// Reads the header of a file; `None` if it is not a DICOM file or cannot be read.
pub fn header(path: &Path) -> Option<DicomHeader> {
    contain("DICOM", || dicom::header(path)).ok()
}

/// Reads what a DICOM object is, and of whom. Fails if the file is not DICOM, is damaged, or lacks a UID.
pub fn object_identity(path: &Path) -> Result<ObjectIdentity, MediaError> {
    contain("DICOM", || dicom::object_identity(path))
}

/// Lists the files that a DICOMDIR refers to, missing ones included.
pub fn directory(path: &Path) -> Result<Vec<Member>, MediaError> {
    let (file, length) = read::open(path)?;
    if length > MAX_DIRECTORY {
        return Err(MediaError::new(
            ErrorKind::TooLarge,
            format!("{length} bytes is over the limit of {MAX_DIRECTORY} bytes for a DICOMDIR"),
        ));
    }
    let bytes = read::range(&file, 0..length)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    contain("DICOM", || dicom::members(bytes, folder))
}

/// Groups files by study and series and sorts each series: along the normal of its slices if all have positions and
/// are parallel (PS3.3 C.7.6.2.1.1), else by Instance Number, else by path.
pub fn group(members: Vec<Member>) -> Vec<Study> {
    let mut studies: Vec<Study> = Vec::new();
    for member in members {
        let header = Arc::clone(&member.header);
        let study = find_or_add(
            &mut studies,
            |s| s.uid == header.study,
            || Study {
                uid: header.study.clone(),
                header: Arc::clone(&header),
                series: Vec::new(),
            },
        );
        let series = find_or_add(
            &mut study.series,
            |s| s.uid == header.series,
            || Series {
                uid: header.series.clone(),
                header: Arc::clone(&header),
                members: Vec::new(),
            },
        );
        series.members.push(member);
    }
    for study in &mut studies {
        for series in &mut study.series {
            sort_members(&mut series.members);
        }
        study.series.sort_by(|a, b| {
            let key = |s: &Series| (s.header.series_number.is_none(), s.header.series_number);
            key(a)
                .cmp(&key(b))
                .then_with(|| first_path(&a.members).cmp(&first_path(&b.members)))
        });
    }
    studies.sort_by(|a, b| {
        let key = |s: &Study| {
            (
                s.header.patient_id.clone(),
                s.header.study_date.clone(),
                s.uid.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    studies
}

fn first_path(members: &[Member]) -> Option<&Path> {
    members.iter().map(|member| member.path.as_path()).min()
}

/// Finds the last entry that fits, or adds one: files of a series mostly follow each other.
fn find_or_add<T>(all: &mut Vec<T>, fits: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().rposition(fits).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    });
    &mut all[at]
}

/// Sorts the files of a series.
fn sort_members(members: &mut Vec<Member>) {
    let depths = depths(members);
    let mut keyed: Vec<(i64, Member)> = match depths {
        Some(depths) => depths.into_iter().zip(members.drain(..)).collect(),
        None => members.drain(..).map(|member| (0, member)).collect(),
    };
    keyed.sort_by(|(depth, a), (other, b)| {
        depth
            .cmp(other)
            .then_with(|| by_number(&a.header, &b.header))
            .then_with(|| a.path.cmp(&b.path))
    });
    members.extend(keyed.into_iter().map(|(_, member)| member));
}

fn by_number(a: &DicomHeader, b: &DicomHeader) -> Ordering {
    let key = |h: &DicomHeader| (h.instance.is_none(), h.instance);
    key(a).cmp(&key(b))
}

/// Position of each file along the normal, in units of [`SAME_POSITION_MM`]; `None` unless all files give it and are
/// parallel.
fn depths(members: &[Member]) -> Option<Vec<i64>> {
    let normal = normal(members.first()?.header.orientation?)?;
    members
        .iter()
        .map(|member| {
            let other = self::normal(member.header.orientation?)?;
            let position = member.header.position?;
            let parallel = dot(normal, other) >= MIN_PARALLEL_COSINE;
            parallel.then(|| (dot(normal, position) / SAME_POSITION_MM).round() as i64)
        })
        .collect()
}

/// The unit normal of a slice: rows × columns.
pub(super) fn normal(o: [f64; 6]) -> Option<[f64; 3]> {
    let across = [
        o[1] * o[5] - o[2] * o[4],
        o[2] * o[3] - o[0] * o[5],
        o[0] * o[4] - o[1] * o[3],
    ];
    let length = dot(across, across).sqrt();
    (length.is_finite() && length > 1e-6).then(|| across.map(|v| v / length))
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    fn member(name: &str, series: &str, header: DicomHeader) -> Member {
        let header = DicomHeader {
            study: "1".to_owned(),
            series: series.to_owned(),
            ..header
        };
        Member {
            path: PathBuf::from(name),
            present: true,
            header: Arc::new(header),
        }
    }

    fn at(z: f64, instance: i64) -> DicomHeader {
        DicomHeader {
            position: Some([5.0, -3.0, z]),
            orientation: Some(AXIAL),
            instance: Some(instance),
            ..DicomHeader::default()
        }
    }

    fn names(series: &Series) -> Vec<String> {
        let name = |m: &Member| m.path.to_string_lossy().into_owned();
        series.members.iter().map(name).collect()
    }

    #[test]
    fn slices_are_sorted_along_their_normal_whatever_their_numbers() {
        let members = vec![
            member("a", "s", at(30.0, 1)),
            member("b", "s", at(-10.0, 2)),
            member("c", "s", at(5.5, 3)),
        ];
        assert_eq!(names(&group(members)[0].series[0]), ["b", "c", "a"]);
    }

    #[test]
    fn a_sagittal_stack_is_sorted_along_its_normal() {
        // Sagittal slices: rows run to the back, columns to the feet; the normal is -x.
        let sagittal = |x: f64| DicomHeader {
            position: Some([x, 100.0 - x, x * x]),
            orientation: Some([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]),
            ..DicomHeader::default()
        };
        let members = vec![
            member("right", "s", sagittal(-40.0)),
            member("left", "s", sagittal(40.0)),
            member("middle", "s", sagittal(0.0)),
        ];
        assert_eq!(
            names(&group(members)[0].series[0]),
            ["left", "middle", "right"]
        );
    }

    #[test]
    fn instance_numbers_decide_at_equal_or_unknown_positions() {
        let same = vec![
            member("b", "s", at(1.0, 20)),
            member("a", "s", at(1.000_01, 3)),
        ];
        assert_eq!(names(&group(same)[0].series[0]), ["a", "b"]);
        let numbered = |n| DicomHeader {
            instance: n,
            ..DicomHeader::default()
        };
        let without = vec![
            member("z", "s", numbered(None)),
            member("y", "s", numbered(Some(10))),
            member("x", "s", numbered(Some(9))),
        ];
        assert_eq!(names(&group(without)[0].series[0]), ["x", "y", "z"]);
    }

    #[test]
    fn instance_numbers_decide_if_one_slice_is_not_parallel() {
        let coronal = DicomHeader {
            orientation: Some([1.0, 0.0, 0.0, 0.0, 0.0, -1.0]),
            ..at(0.0, 1)
        };
        let members = vec![
            member("c", "s", at(-9.0, 3)),
            member("b", "s", at(9.0, 2)),
            member("localizer", "s", coronal),
        ];
        assert_eq!(names(&group(members)[0].series[0]), ["localizer", "b", "c"]);
    }

    #[test]
    fn series_are_sorted_by_number_and_studies_kept_apart() {
        let numbered = |n: i64, study: &str| DicomHeader {
            series_number: Some(n),
            study: study.to_owned(),
            ..DicomHeader::default()
        };
        let mut members = vec![
            member("1", "b", numbered(10, "")),
            member("2", "a", numbered(2, "")),
        ];
        let mut other = member("3", "a", numbered(1, ""));
        other.header = Arc::new(DicomHeader {
            study: "2".to_owned(),
            ..(*other.header).clone()
        });
        members.push(other);
        let studies = group(members);
        let uids = |s: &Study| s.series.iter().map(|s| s.uid.clone()).collect::<Vec<_>>();
        assert_eq!(studies.len(), 2);
        assert_eq!(
            (uids(&studies[0]), uids(&studies[1])),
            (vec!["a".into(), "b".into()], vec!["a".into()])
        );
    }

    proptest! {
        #[test]
        fn any_order_of_files_gives_the_same_stack(order in Just((0..20_i64).collect::<Vec<_>>()).prop_shuffle()) {
            let members = |order: &[i64]| order.iter().map(|n| member(&n.to_string(), "s", at(*n as f64 * 2.5, 20 - n))).collect();
            let sorted: Vec<i64> = (0..20).collect();
            prop_assert_eq!(names(&group(members(&order))[0].series[0]), names(&group(members(&sorted))[0].series[0]));
        }
    }
}
