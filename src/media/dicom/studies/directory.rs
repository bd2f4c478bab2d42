//! Reads a DICOMDIR, the index of a medium: its records as the files they refer to (PS3.3 annex F, PS3.10 clause 8.6).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::tags;

use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::parsed::ParsedFile;
use crate::dicom::studies::header;
use crate::dicom::studies::series::{DicomHeader, Member};
use crate::error::{ErrorKind, MediaError};

/// Largest number of components of a Referenced File ID (PS3.10 8.2).
const MAX_COMPONENTS: usize = 8;
/// Deepest level of records that is followed. The relationships of PS3.3 table F.4-1 have four; a chain of as many
/// levels as a file has room for would exhaust the stack.
const MAX_LEVELS: usize = 16;

/// Lists the files that an index in `folder` refers to.
pub(crate) fn members(bytes: Vec<u8>, folder: &Path) -> Result<Vec<Member>, MediaError> {
    let file = ParsedFile::read(Body::whole(bytes))?;
    let set = &file.set;
    if set.get(tags::DIRECTORY_RECORD_SEQUENCE).is_none() {
        return Err(MediaError::not_an_image(
            ErrorKind::Unsupported,
            "this DICOM file is not a DICOMDIR: it has no directory records",
        ));
    }
    let items = set.items(tags::DIRECTORY_RECORD_SEQUENCE);
    let named = set.text(tags::SPECIFIC_CHARACTER_SET);
    let charset = named.map_or_else(Charset::default, |name| Charset::parse(&name));
    let records: Vec<DirectoryRecord> = items
        .iter()
        .map(|item| DirectoryRecord::read(item, charset))
        .collect();
    let mut walk = RecordWalk {
        records: &records,
        by_offset: offsets(&file),
        visited: HashSet::new(),
        found: Vec::new(),
    };
    walk.follow(
        set.offset(tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY),
        &DicomHeader::default(),
        0,
    );
    let mut found = walk.found;
    // Offsets are wrong if software unaware of them rewrote the file, and lead too deep if it is damaged. The records are then still in the order of a
    // walk through the tree, as all writers put them.
    if found.len() < records.iter().filter(|r| r.file.is_some()).count() {
        found = in_order(&records);
    }
    let mut folders = FolderListings::default();
    let member = |(record, header): (&DirectoryRecord, DicomHeader)| {
        let components = record.file.as_deref().unwrap_or_default();
        let (path, present) = folders.resolve(folder, components);
        Member {
            path,
            present,
            header: Arc::new(header),
        }
    };
    Ok(found.into_iter().map(member).collect())
}

/// A directory record.
struct DirectoryRecord {
    /// `PATIENT`, `STUDY`, `SERIES`, `IMAGE`, …
    kind: String,
    /// Offset of the next record on this level.
    next: u32,
    /// Offset of the first record on the level below.
    first_child: u32,
    /// Whether the record is in use.
    active: bool,
    /// Path components of the file it refers to, if any.
    file: Option<Vec<String>>,
    header: DicomHeader,
}

impl DirectoryRecord {
    fn read(item: &DataSet, charset: Charset) -> Self {
        let file = item.text(tags::REFERENCED_FILE_ID);
        Self {
            kind: item.first(tags::DIRECTORY_RECORD_TYPE).unwrap_or_default(),
            next: item.offset(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD),
            first_child: item.offset(tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY),
            active: item.short(tags::RECORD_IN_USE_FLAG) != Some(0),
            file: file.map(|id| id.split('\\').map(|c| c.trim().to_owned()).collect()),
            header: header::from_set(item, charset),
        }
    }

    /// The header of a file under this record: what the enclosing records say, overridden by its own.
    fn merged_with(&self, enclosing: &DicomHeader) -> DicomHeader {
        let own = self.header.clone();
        let text = |own: String, enclosing: &String| {
            if own.is_empty() {
                enclosing.clone()
            } else {
                own
            }
        };
        DicomHeader {
            patient_name: text(own.patient_name, &enclosing.patient_name),
            patient_id: text(own.patient_id, &enclosing.patient_id),
            study: text(own.study, &enclosing.study),
            study_date: text(own.study_date, &enclosing.study_date),
            study_description: text(own.study_description, &enclosing.study_description),
            series: text(own.series, &enclosing.series),
            series_number: own.series_number.or(enclosing.series_number),
            series_description: text(own.series_description, &enclosing.series_description),
            modality: text(own.modality, &enclosing.modality),
            ..own
        }
    }
}

/// Follows the offsets from record to record.
struct RecordWalk<'r> {
    records: &'r [DirectoryRecord],
    by_offset: HashMap<u32, usize>,
    /// Offsets already visited, so that a cycle ends.
    visited: HashSet<u32>,
    found: Vec<(&'r DirectoryRecord, DicomHeader)>,
}

impl RecordWalk<'_> {
    fn follow(&mut self, first: u32, enclosing: &DicomHeader, level: usize) {
        if level == MAX_LEVELS {
            return;
        }
        let mut offset = first;
        while offset != 0 && self.visited.insert(offset) {
            let Some(&at) = self.by_offset.get(&offset) else {
                return;
            };
            let record = &self.records[at];
            if record.active {
                let header = record.merged_with(enclosing);
                self.follow(record.first_child, &header, level + 1);
                if record.file.is_some() {
                    self.found.push((record, header));
                }
            }
            offset = record.next;
        }
    }
}

/// Lists files in the order of the records, each under the last patient, study and series before it.
fn in_order(records: &[DirectoryRecord]) -> Vec<(&DirectoryRecord, DicomHeader)> {
    let mut enclosing: [DicomHeader; 3] = Default::default();
    let mut found = Vec::new();
    for record in records.iter().filter(|record| record.active) {
        let level = match record.kind.as_str() {
            "PATIENT" => 0,
            "STUDY" => 1,
            "SERIES" => 2,
            _ => 3,
        };
        let above = match level {
            0 => DicomHeader::default(),
            level => enclosing[level - 1].clone(),
        };
        let header = record.merged_with(&above);
        for below in enclosing.iter_mut().skip(level) {
            below.clone_from(&header);
        }
        if record.file.is_some() {
            found.push((record, header));
        }
    }
    found
}

/// Index of each record by its offset from the start of the file.
fn offsets(file: &ParsedFile) -> HashMap<u32, usize> {
    let begins = file.notes.record_offsets.iter().enumerate();
    begins
        .map(|(at, offset)| ((file.body.start() + offset) as u32, at))
        .collect()
}

/// Names of the entries of folders, each folder read once.
#[derive(Default)]
struct FolderListings(HashMap<PathBuf, Vec<String>>);

impl FolderListings {
    /// The file that path components name, and whether it exists. Media are written in capitals, and mounted or copied
    /// in either case. Components that would lead out of the folder are rejected.
    fn resolve(&mut self, folder: &Path, components: &[String]) -> (PathBuf, bool) {
        let plain = |c: &String| {
            !c.is_empty() && c != "." && c != ".." && !c.contains('/') && !c.contains('\0')
        };
        let named: PathBuf = components
            .iter()
            .map(|c| c.replace(['/', '\0'], "_"))
            .collect();
        if components.is_empty()
            || components.len() > MAX_COMPONENTS
            || !components.iter().all(plain)
        {
            return (folder.join(named.file_name().unwrap_or_default()), false);
        }
        let mut path = folder.to_owned();
        for component in components {
            let found = self.find(&path, component);
            path.push(found.as_deref().unwrap_or(component));
        }
        let present = path.is_file();
        (path, present)
    }

    /// Finds a name in a folder, ignoring case if necessary.
    fn find(&mut self, folder: &Path, name: &str) -> Option<String> {
        let names = self.0.entry(folder.to_owned()).or_insert_with(|| {
            let read = std::fs::read_dir(folder);
            let names = read.map(|entries| {
                let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
                entries.flatten().filter_map(name).collect()
            });
            names.unwrap_or_default()
        });
        let same = |other: &&String| other.eq_ignore_ascii_case(name);
        let exact = names.iter().find(|other| *other == name);
        exact.or_else(|| names.iter().find(same)).cloned()
    }
}

#[cfg(test)]
mod tests;
