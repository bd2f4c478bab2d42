//! The cache on disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::hash::Etag;
use super::{HubError, MAIN};
use crate::encoder::Layout;
use crate::media::read_text;

/// Size of the largest file that holds a token or a commit.
const MAX_NOTE: u64 = 64 << 10;

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `HF_HUB_OFFLINE` says that the network is not to be used.
pub fn offline_by_environment() -> bool {
    let on = |value: String| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str());
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        .into_iter()
        .any(|name| variable(name).is_some_and(on))
}

/// The folder of all models, and where the token lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
    token_file: PathBuf,
}

/// A model in the cache, at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// The folder of its files.
    pub folder: PathBuf,
}

impl Cache {
    /// The user's: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` in the XDG cache. `None` without a home
    /// folder.
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

    /// Another one.
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

    /// The user's token: `HF_TOKEN`, else what `hf auth login` wrote.
    pub(super) fn token(&self) -> Option<String> {
        let given = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"));
        let token = given.or_else(|| read_text(&self.token_file, MAX_NOTE).ok());
        token
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty())
    }

    fn folder_name(id: &str) -> String {
        format!("models--{}", id.replace('/', "--"))
    }

    /// The folder of one model.
    pub(super) fn model(&self, id: &str) -> PathBuf {
        self.root.join(Self::folder_name(id))
    }

    /// Where a blob is locked against other programs, by the rule of `huggingface_hub`.
    pub(super) fn lock(&self, id: &str, etag: &Etag) -> PathBuf {
        let folder = self.root.join(".locks").join(Self::folder_name(id));
        folder.join(format!("{}.lock", etag.name()))
    }

    /// A model at a revision, if it was pulled.
    pub fn find(&self, id: &str, revision: Option<&str>) -> Option<Snapshot> {
        if !super::is_id(id) {
            return None;
        }
        let revision = revision.unwrap_or(MAIN);
        if !super::is_revision(revision) {
            return None;
        }
        let model = self.model(id);
        let commit = read_text(&model.join("refs").join(revision), MAX_NOTE);
        let commit = commit.map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned());
        let folder = model.join("snapshots").join(&commit);
        folder.is_dir().then(|| Snapshot {
            id: id.to_owned(),
            commit,
            folder,
        })
    }

    /// Models of a layout that can be used, in the order of their ids. Other programs keep other models here.
    pub fn models(&self) -> Vec<Snapshot> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let ids = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("models--")?.replacen("--", "/", 1))
        });
        let mut found: Vec<Snapshot> = ids
            .filter_map(|id| self.find(&id, None))
            .filter(|snapshot| Layout::of(&snapshot.folder).is_ok())
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

impl Snapshot {
    /// Its files by name, with the blobs that they lead to; sorted.
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
                let target = path.canonicalize().map_err(|e| HubError::file(&path, &e))?;
                found.push((name.to_string_lossy().into_owned(), target));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Hashes a file again. `None`: it is not named by its hash, so nothing can be said.
    pub fn is_whole(blob: &Path) -> Result<Option<bool>, HubError> {
        let name = blob
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(etag) = name.and_then(|name| Etag::parse(&name)) else {
            return Ok(None);
        };
        let found = etag.of_file(blob).map_err(|e| HubError::file(blob, &e))?;
        Ok(Some(found == etag.name()))
    }
}
