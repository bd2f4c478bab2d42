//! The hub's cache on disk.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::{is_on, path_variable, variable};
use super::hash::Etag;
use super::{HubError, MAIN, Token, TokenSource};
use crate::encoder::layout::CONFIG;
use crate::encoder::{CheckpointLayout, checkpoint, inventory};
use crate::media::read_text;

/// Maximum size of a file that contains a token or a commit.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// The fewest digits by which a commit may be named.
const MIN_COMMIT_DIGITS: usize = 7;

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
        let home = path_variable("HF_HOME").or_else(|| {
            let cache = path_variable("XDG_CACHE_HOME");
            let cache = cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))?;
            Some(cache.join("huggingface"))
        });
        let root = path_variable("HF_HUB_CACHE").or_else(|| path_variable("HUGGINGFACE_HUB_CACHE"));
        let root = root.or_else(|| Some(home.as_ref()?.join("hub")))?;
        let token_file = path_variable("HF_TOKEN_PATH")
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

    /// The user's token: `HF_TOKEN`, else the one that `hf auth login` stored. `None` also where `HF_HUB_DISABLE_IMPLICIT_TOKEN` forbids
    /// to send it unasked.
    pub(super) fn token(&self) -> Option<Token> {
        if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return None;
        }
        let names = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
        let mut given = names
            .into_iter()
            .filter_map(|name| Some((variable(name)?, TokenSource::Variable(name))));
        let stored = || {
            let text = read_text(&self.token_file, MAX_NOTE_BYTES).ok()?;
            Some((text, TokenSource::File(self.token_file.clone())))
        };
        let (text, source) = given.next().or_else(stored)?;
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(Token { text, source })
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

    /// The snapshot of a model at a revision, of which files may be missing: a branch, a tag, or a commit or its first digits. `None`
    /// means [`MAIN`], or the only snapshot that is complete where only commits were pulled.
    pub fn find(&self, id: &str, revision: Option<&str>) -> Option<Snapshot> {
        if !super::is_id(id) {
            return None;
        }
        match revision {
            Some(revision) => self.at_revision(id, revision),
            None => self
                .at_revision(id, MAIN)
                .or_else(|| self.only_snapshot(id)),
        }
    }

    /// As [`Self::find`], only if no file is missing.
    pub fn find_complete(&self, id: &str, revision: Option<&str>) -> Option<Snapshot> {
        self.find(id, revision).filter(Snapshot::is_complete)
    }

    fn at_revision(&self, id: &str, revision: &str) -> Option<Snapshot> {
        if !super::is_revision(revision) {
            return None;
        }
        let reference = self.model_folder(id).join("refs").join(revision);
        if let Ok(commit) = read_text(&reference, MAX_NOTE_BYTES) {
            return self.snapshot(id, commit.trim());
        }
        let all = self.snapshots(id).into_iter();
        let is_named = |snapshot: &Snapshot| {
            snapshot.commit == revision
                || revision.len() >= MIN_COMMIT_DIGITS && snapshot.commit.starts_with(revision)
        };
        let mut found = all.filter(is_named);
        found.next().filter(|_| found.next().is_none())
    }

    fn snapshot(&self, id: &str, commit: &str) -> Option<Snapshot> {
        let folder = self.model_folder(id).join("snapshots").join(commit);
        folder.is_dir().then(|| Snapshot {
            id: id.to_owned(),
            commit: commit.to_owned(),
            folder,
        })
    }

    /// The only snapshot, or the only complete one of several.
    fn only_snapshot(&self, id: &str) -> Option<Snapshot> {
        let mut all = self.snapshots(id);
        if all.len() > 1 {
            all.retain(Snapshot::is_complete);
        }
        all.pop().filter(|_| all.is_empty())
    }

    /// All snapshots of a model, sorted by commit.
    fn snapshots(&self, id: &str) -> Vec<Snapshot> {
        let folder = self.model_folder(id).join("snapshots");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let found = names.filter_map(|commit| self.snapshot(id, &commit));
        let mut found: Vec<Snapshot> = found.collect();
        found.sort_by(|a, b| a.commit.cmp(&b.commit));
        found
    }

    /// What the cache has of a model: the snapshot that its id alone means, complete or not, then others that are complete.
    pub fn revisions(&self, id: &str) -> Vec<Snapshot> {
        let current = self.find(id, None);
        let current = current.filter(|snapshot| CheckpointLayout::of(&snapshot.folder).is_ok());
        let others = self.snapshots(id).into_iter().filter(|other| {
            current
                .as_ref()
                .is_none_or(|now| now.commit != other.commit)
                && other.is_complete()
        });
        let others: Vec<Snapshot> = others.collect();
        current.into_iter().chain(others).collect()
    }

    /// All models of a supported layout, sorted by id: of each the first of [`Self::revisions`]. The cache may also contain models of
    /// other programs.
    pub fn models(&self) -> Vec<Snapshot> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let ids = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("models--")?.replacen("--", "/", 1))
        });
        let first = |id: String| self.revisions(&id).into_iter().next();
        let mut found: Vec<Snapshot> = ids.filter_map(first).collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

impl Snapshot {
    /// The names of files that are missing; none if the model can be opened. A model of an unsupported layout lacks a configuration.
    pub fn missing(&self) -> Vec<String> {
        let missing = inventory::missing_files(&self.folder);
        missing.unwrap_or_else(|_| vec![CONFIG.to_owned()])
    }

    /// Whether only the tokenizer is there, which models of other repositories use.
    pub fn is_tokenizer(&self) -> bool {
        CheckpointLayout::of(&self.folder).is_err() && checkpoint::has_tokenizer(&self.folder)
    }

    /// The snapshot of another repository that has this model's tokenizer, if there is one.
    pub fn tokenizer(&self) -> Option<Self> {
        let id = checkpoint::other_tokenizer(&self.folder)?;
        checkpoint::tokenizer_snapshot(&self.folder, &id)
    }

    /// Whether no file is missing.
    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with a model of one file of weights, at these commits.
    fn cache(commits: &[&str]) -> (tempfile::TempDir, HubCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = HubCache::at(folder.path());
        for commit in commits {
            let snapshot = cache.model_folder("a/b").join("snapshots").join(commit);
            fs::create_dir_all(&snapshot).unwrap();
            fs::write(snapshot.join("w.pt"), "").unwrap();
        }
        (folder, cache)
    }

    fn name_main(cache: &HubCache, commit: &str) {
        let refs = cache.model_folder("a/b").join("refs");
        fs::create_dir_all(&refs).unwrap();
        fs::write(refs.join(MAIN), commit).unwrap();
    }

    #[test]
    fn the_only_commit_that_was_pulled_needs_no_name() {
        let (_folder, cache) = cache(&["0123456789", "9876543210"]);
        let commit = |revision| Some(cache.find("a/b", revision)?.commit);
        assert_eq!(commit(None), None, "which of two is not known");
        assert_eq!(commit(Some("9876543210")).as_deref(), Some("9876543210"));
        assert_eq!(commit(Some("0123456")).as_deref(), Some("0123456789"));
        assert_eq!(commit(Some("012345")), None, "too few digits");
        assert_eq!(cache.revisions("a/b").len(), 2);
        let broken = cache.model_folder("a/b").join("snapshots/0123456789/w.pt");
        fs::remove_file(broken).unwrap();
        assert_eq!(commit(None).as_deref(), Some("9876543210"));
        assert_eq!(cache.models().len(), 1);
    }

    #[test]
    fn main_counts_where_it_is_known_even_if_it_is_incomplete() {
        let (_folder, cache) = cache(&["0123456789", "9876543210"]);
        name_main(&cache, "9876543210");
        let commits = || -> Vec<String> {
            let all = cache.revisions("a/b").into_iter();
            all.map(|snapshot| snapshot.commit).collect()
        };
        assert_eq!(commits(), ["9876543210", "0123456789"]);
        let folder = cache.find("a/b", None).unwrap().folder;
        fs::write(folder.join(CONFIG), r#"{"model_type": "clip"}"#).unwrap();
        let found = cache.find("a/b", None).unwrap();
        assert!(found.missing().contains(&"model.safetensors".to_owned()));
        assert_eq!(cache.find_complete("a/b", None), None);
        assert_eq!(commits()[0], "9876543210");
    }
}
