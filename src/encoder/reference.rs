//! Which checkpoints were compared with their reference implementation on this machine, and which have been used.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ModelCard;
use crate::files::{self, Access};
use crate::media::read_text;

/// The target of log records that are for the user: shown without time and module.
pub const NOTICE: &str = "notice";

/// Maximum size of a record.
const MAX_RECORD_BYTES: u64 = 64 << 10;

/// A comparison that succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceRecord {
    /// The model's id, or the name of its folder.
    pub model: String,
    /// The digest of all that the model consists of.
    pub digest: String,
    /// The commit, or the name of the folder.
    pub commit: String,
    /// The lowest cosine between this program's embedding of an image and the reference's.
    pub images: f64,
    /// The same for texts.
    pub texts: f64,
    /// The versions of the reference's Python packages.
    pub versions: BTreeMap<String, String>,
    /// The version of this program.
    pub program: String,
}

/// The records of this machine: a folder with a file per checkpoint, named by its digest.
#[derive(Clone, Debug)]
pub struct ReferenceRecords {
    folder: PathBuf,
}

impl ReferenceRecords {
    /// The records in a folder, which need not exist.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn file(&self, digest: &str, extension: &str) -> PathBuf {
        let hex = digest.rsplit(':').next().unwrap_or_default();
        self.folder.join(format!("{hex}.{extension}"))
    }

    /// All records that can be read.
    pub fn all(&self) -> Vec<ReferenceRecord> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let records = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
        records.filter_map(|path| read_record(&path)).collect()
    }

    /// The record of the checkpoint with this digest.
    pub fn find(&self, digest: &str) -> Option<ReferenceRecord> {
        read_record(&self.file(digest, "json"))
    }

    /// Stores a record.
    pub fn remember(&self, record: &ReferenceRecord) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let file = self.file(&record.digest, "json");
        files::replace_with(&file, Access::Owner, &serde_json::to_vec_pretty(record)?)
    }

    /// What to say about a published checkpoint: something on its first use, unless it was compared before. `comparable` says whether it
    /// can be.
    pub(super) fn notice(&self, card: &ModelCard, comparable: bool) -> Option<String> {
        if self.find(&card.digest).is_some() || !self.is_first_use(&card.digest) {
            return None;
        }
        let id = &card.id;
        let what_to_do = if comparable {
            format!(
                "; `medivision-tui models verify --reference {id}` compares these weights here (needs Python)"
            )
        } else {
            ", and a file of weights names no reference to compare it with".to_owned()
        };
        Some(format!(
            "{id}: that its kind of model gives the reference's embeddings was proved on random weights only{what_to_do}"
        ))
    }

    /// Whether the checkpoint has not been used before; from then on it has. False if that cannot be stored.
    fn is_first_use(&self, digest: &str) -> bool {
        let path = self.file(digest, "used");
        let created = fs::create_dir_all(&self.folder).and_then(|()| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).open(path)
        });
        created.is_ok()
    }
}

fn read_record(path: &Path) -> Option<ReferenceRecord> {
    let text = read_text(path, MAX_RECORD_BYTES).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_remarked_on_once_and_never_after_its_comparison() {
        let folder = tempfile::tempdir().unwrap();
        let records = ReferenceRecords::at(&folder.path().join("reference"));
        let card = |digest: &str| ModelCard {
            id: "org/model".into(),
            digest: digest.into(),
            device: "cpu".into(),
            dimension: 4,
            logit_scale: 1.0,
            logit_bias: None,
            builtin: None,
            kinds: &[],
        };
        let said = records.notice(&card("blake3:00"), true).unwrap();
        assert!(said.contains("random weights") && said.contains("--reference org/model"));
        assert_eq!(records.notice(&card("blake3:00"), true), None);
        let said = records.notice(&card("blake3:02"), false).unwrap();
        assert!(!said.contains("--reference"), "{said}");
        let record = ReferenceRecord {
            model: "org/model".into(),
            digest: "blake3:01".into(),
            commit: "c".into(),
            images: 0.9999,
            texts: 0.9999,
            versions: BTreeMap::new(),
            program: "1".into(),
        };
        records.remember(&record).unwrap();
        assert_eq!(records.notice(&card("blake3:01"), true), None);
        assert_eq!(records.find("blake3:01"), Some(record.clone()));
        assert_eq!(records.all(), [record]);
    }
}
