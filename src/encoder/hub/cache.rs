//! The hub's cache on disk.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::hash::Etag;
use super::{HubError, MAIN};
use crate::encoder::CheckpointLayout;
use crate::media::read_text;

/// Maximum size of a file that contains a token or a commit.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// The value of an environment variable, unless it is unset or empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` forbids network access.
pub fn is_offline_by_environment() -> bool {
    let on = |value: String| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str());
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        .into_iter()
        .any(|name| variable(name).is_some_and(on))
}

/// The cache: the folder of all models, and the file of the user's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubCache {
    root: PathBuf,
    token_file: PathBuf,
}

/// A model in the cache, at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The model's id.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// The folder of the snapshot's files.
    pub folder: PathBuf,
}

impl HubCache {
    /// The user's cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `huggingface/hub` in the XDG cache folder. `None`
    /// without a home folder.
    pub fn of_user() -> Option<Self> {
        let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))?;
            Some(cache.join("huggingface"))
        });
        let root = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
        let root = root
            .map(PathBuf::from)
            .or_else(|| Some(home.as_ref()?.join("hub")))?;
        let token = variable("HF_TOKEN_PATH").map(PathBuf::from);
        let token_file = token
            .or_else(|| Some(home?.join("token")))
            .unwrap_or_default();
        Some(Self { root, token_file })
    }

    /// A cache in another folder.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            token_file: root.join("token"),
        }
    }

    /// The folder of all models.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The user's token: `HF_TOKEN`, else the one that `hf auth login` stored.
    pub(super) fn token(&self) -> Option<String> {
        let given = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"));
        let token = given.or_else(|| read_text(&self.token_file, MAX_NOTE_BYTES).ok());
        token
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty())
    }

    fn folder_name(id: &str) -> String {
        format!("models--{}", id.replace('/', "--"))
    }

    /// The folder of one model.
    pub(super) fn model_folder(&self, id: &str) -> PathBuf {
        self.root.join(Self::folder_name(id))
    }

    /// The lock file of a blob, named as `huggingface_hub` names it, so that the programs exclude each other.
    pub(super) fn lock_file(&self, id: &str, etag: &Etag) -> PathBuf {
        let folder = self.root.join(".locks").join(Self::folder_name(id));
        folder.join(format!("{}.lock", etag.name()))
    }

    /// The snapshot of a model at a revision, if it is in the cache.
    pub fn find(&self, id: &str, revision: Option<&str>) -> Option<Snapshot> {
        if !super::is_id(id) {
            return None;
        }
        let revision = revision.unwrap_or(MAIN);
        if !super::is_revision(revision) {
            return None;
        }
        let model = self.model_folder(id);
        let commit = read_text(&model.join("refs").join(revision), MAX_NOTE_BYTES);
        let commit = commit.map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned());
        let folder = model.join("snapshots").join(&commit);
        folder.is_dir().then(|| Snapshot {
            id: id.to_owned(),
            commit,
            folder,
        })
    }

    /// All models of a supported layout, sorted by id. The cache may also contain models of other programs.
    pub fn models(&self) -> Vec<Snapshot> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let ids = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("models--")?.replacen("--", "/", 1))
        });
        let mut found: Vec<Snapshot> = ids
            .filter_map(|id| self.find(&id, None))
            .filter(|snapshot| CheckpointLayout::of(&snapshot.folder).is_ok())
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

impl Snapshot {
    /// The files' names and the blobs that they link to, sorted by name. A blob may itself be a link into a store that several
    /// models share, whose names are other hashes: the first link's target is the one that is named by the file's own hash.
    pub fn files(&self) -> Result<Vec<(String, PathBuf)>, HubError> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).map_err(|e| HubError::file(&folder, &e))?;
            for entry in entries.flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&self.folder).unwrap_or(&path);
                let target =
                    fs::read_link(&path).map_or_else(|_| path.clone(), |to| folder.join(to));
                found.push((name.to_string_lossy().into_owned(), target));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Whether a blob's content matches the hash that is its name, which it does not if it is missing; `None` if its name is
    /// not a hash.
    pub fn is_intact(blob: &Path) -> Result<Option<bool>, HubError> {
        let name = blob
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(etag) = name.and_then(|name| Etag::parse(&name)) else {
            return Ok(None);
        };
        match etag.hash_file(blob) {
            Ok(found) => Ok(Some(found == etag.name())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(false)),
            Err(error) => Err(HubError::file(blob, &error)),
        }
    }
}
