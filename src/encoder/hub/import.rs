//! Brings a model that was carried here by hand into the cache: a folder or an archive, either of the cache's own layout
//! (`models--ORG--NAME/…`) or of the repository's plain files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{link, make_parent, write_atomically};
use super::hash::{Etag, Hasher};
use super::source_tree::{SourceTree, StoppableReader};
use super::{HubCache, HubError, MAIN, Snapshot};
use crate::encoder::catalog;
use crate::encoder::layout::{MAX_SETTINGS_BYTES, NeededFiles};
use crate::encoder::pointer::{IS_POINTER, MAX_POINTER_BYTES, is_pointer};

/// From this size on, files are named by their SHA-256, as the hub names those in its large-file storage.
const MIN_LARGE_BYTES: u64 = 10 << 20;
/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The start of the name of the folder that an import works in.
const SCRATCH: &str = ".import-";

/// Imports all models in a folder or archive; `id` names the model if its files do not. Files with a hash in their name are
/// checked against it. A model appears in the cache only when all of its files are complete. Once `stop` is set, ends with
/// [`HubError::Interrupted`], and leaves nothing of what was not finished.
pub fn import(
    cache: &HubCache,
    from: &Path,
    id: Option<&str>,
    stop: &AtomicBool,
) -> Result<Vec<Snapshot>, HubError> {
    let imported = import_until(cache, from, id, stop);
    // Reading fails once it is set.
    if stop.load(Ordering::Relaxed) {
        return Err(HubError::Interrupted);
    }
    imported
}

/// Removes what killed imports left, unless another one is at work; the lock tells the next one that this one is.
fn lock_cache(root: &Path) -> Result<File, HubError> {
    let folder = File::open(root).map_err(|e| HubError::file(root, &e))?;
    if folder.try_lock().is_ok() {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
                // What cannot be removed stays.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    // Not every file system has locks.
    let _ = folder.lock_shared();
    Ok(folder)
}

fn import_until(
    cache: &HubCache,
    from: &Path,
    id: Option<&str>,
    stop: &AtomicBool,
) -> Result<Vec<Snapshot>, HubError> {
    if let Some(id) = id.filter(|id| !super::is_id(id)) {
        return Err(HubError::InvalidId(id.to_owned()));
    }
    let root = cache.root();
    fs::create_dir_all(root).map_err(|e| HubError::file(root, &e))?;
    let _lock = lock_cache(root)?;
    let scratch = tempfile::Builder::new()
        .prefix(SCRATCH)
        .tempdir_in(root)
        .map_err(|e| HubError::file(root, &e))?;
    let tree = SourceTree::read(from, scratch.path(), stop)?;
    let models = found_models(&tree, from, id)?;
    let importer = Importer {
        cache,
        tree: &tree,
        scratch: scratch.path(),
        stop,
    };
    let (mut imported, mut unusable) = (Vec::new(), None);
    for model in &models {
        match importer.import(model) {
            Ok(snapshot) => imported.push(snapshot),
            // The cache of another machine may also contain models of other programs.
            Err(error @ HubError::Layout { .. }) => {
                unusable.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match unusable {
        Some(error) if imported.is_empty() => Err(error),
        _ => Ok(imported),
    }
}

/// A model in a source.
struct FoundModel {
    id: String,
    /// The folder of its files within the source; empty for the source itself.
    folder: String,
    /// The commit, if the source names it.
    commit: Option<String>,
}

fn fault(from: &Path, reason: impl Into<String>) -> HubError {
    HubError::File {
        path: from.to_owned(),
        reason: reason.into(),
    }
}

/// Finds the models by the cache's layout, else by the plain files of one model.
fn found_models(
    tree: &SourceTree,
    from: &Path,
    id: Option<&str>,
) -> Result<Vec<FoundModel>, HubError> {
    let mut models: Vec<FoundModel> = Vec::new();
    // `models--ORG--NAME` may also be the source itself.
    let own = from.file_name().unwrap_or_default().to_string_lossy();
    for path in tree.names() {
        let whole = format!("{own}/{path}");
        let parts: Vec<&str> = whole.split('/').collect();
        let Some(at) = parts
            .windows(2)
            .position(|pair| pair[0].starts_with("models--") && pair[1] == "snapshots")
        else {
            continue;
        };
        let [repository, _, commit, _, ..] = parts[at..] else {
            continue;
        };
        let id = repository["models--".len()..].replacen("--", "/", 1);
        let folder = parts[1..at + 3].join("/");
        let is_current = || {
            let refs = parts[1..=at].join("/");
            let refs = format!("{refs}/refs/{MAIN}");
            let main = tree.small(refs.trim_start_matches('/'));
            main.is_none_or(|main| main.trim() == commit)
        };
        let is_known = models.iter().any(|model| model.folder == folder);
        if super::is_id(&id) && is_commit(commit) && !is_known && is_current() {
            let commit = Some(commit.to_owned());
            models.push(FoundModel { id, folder, commit });
        }
    }
    if models.is_empty() {
        models.push(plain_model(tree, from, id)?);
    } else if let Some(id) = id {
        match &mut models[..] {
            [one] => id.clone_into(&mut one.id),
            _ => return Err(fault(from, "contains several models; leave out --id")),
        }
    }
    Ok(models)
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The one model whose plain files a source contains.
fn plain_model(tree: &SourceTree, from: &Path, id: Option<&str>) -> Result<FoundModel, HubError> {
    let folder_of = |name: &str| {
        name.rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned()
    };
    let folders: BTreeSet<String> = tree.names().map(folder_of).collect();
    let is_model = |folder: &&String| NeededFiles::of(&tree.files_in(folder)).is_ok();
    let mut found = folders.iter().filter(is_model);
    let folder = found.next().ok_or_else(|| {
        fault(
            from,
            "contains no model: neither config.json nor open_clip_config.json nor a single .pt file",
        )
    })?;
    if found.next().is_some() {
        return Err(fault(
            from,
            "contains several folders with a model; import them one by one",
        ));
    }
    let id = match id {
        Some(id) => id.to_owned(),
        None => id_by_name(folder, from).ok_or_else(|| {
            fault(
                from,
                "does not tell which model it is; add --id ORG/NAME, its id on the hub",
            )
        })?,
    };
    Ok(FoundModel {
        id,
        folder: folder.clone(),
        commit: None,
    })
}

/// The id of the catalogue's model that is named like the folder or the source, extensions left out.
fn id_by_name(folder: &str, from: &Path) -> Option<String> {
    let own = from.file_name()?.to_string_lossy();
    let own = [".tar.gz", ".tgz", ".tar", ".zip"]
        .iter()
        .find_map(|end| own.strip_suffix(end))
        .unwrap_or(&own);
    [folder.rsplit('/').next()?, own]
        .into_iter()
        .find_map(|name| {
            let mut entries = catalog::entries().iter();
            let is_named = |id: &str| id.split_once('/').is_some_and(|(_, rest)| rest == name);
            let entry = entries.find(|entry| entry.name == name || is_named(&entry.id))?;
            Some(entry.id.clone())
        })
}

struct Importer<'a> {
    cache: &'a HubCache,
    tree: &'a SourceTree,
    /// A folder on the cache's file system.
    scratch: &'a Path,
    stop: &'a AtomicBool,
}

impl Importer<'_> {
    fn import(&self, model: &FoundModel) -> Result<Snapshot, HubError> {
        let layout = |mut reason: String| {
            if let Some(name) = self.tree.link_out_of(&model.folder) {
                reason = format!(
                    "{reason}; {name} is a link that leads out of what is imported: import the whole cache, or pack it with `tar -h`, which \
                     follows links"
                );
            }
            let id = model.id.clone();
            HubError::Layout { id, reason }
        };
        let names = self.tree.files_in(&model.folder);
        let staged = self.scratch.join(model.id.replace('/', "--"));
        let is_tokenizer = || {
            let is_whole = self.tree.link_out_of(&model.folder).is_none();
            is_whole && NeededFiles::of_tokenizer(&names).is_ok()
        };
        let needs = match NeededFiles::of(&names) {
            _ if catalog::has_tokenizer_of_another(&model.id) => None,
            // Models of open_clip may name any repository.
            Err(_) if is_tokenizer() => None,
            needs => Some(needs.map_err(layout)?),
        };
        let settings = match &needs {
            Some(needs) => needs.settings().collect(),
            None => NeededFiles::of_tokenizer(&names).map_err(layout)?,
        };
        let mut stored = Vec::new();
        for name in settings {
            stored.push(self.store(model, &staged, name, Some(MAX_SETTINGS_BYTES))?);
        }
        let weights = needs.map_or(Ok(Vec::new()), |needs| needs.weights(&staged));
        for name in weights.map_err(layout)? {
            if !names.contains(&name) {
                return Err(layout(format!("{name} is missing")));
            }
            stored.push(self.store(model, &staged, &name, None)?);
        }
        let commit = model
            .commit
            .clone()
            .unwrap_or_else(|| invented_commit(&stored));
        let target = self.cache.model_folder(&model.id);
        for file in &stored {
            let blob = target.join("blobs").join(file.etag.name());
            make_parent(&blob)?;
            fs::rename(&file.path, &blob).map_err(|e| HubError::file(&blob, &e))?;
        }
        let folder = target.join("snapshots").join(&commit);
        for file in &stored {
            link(&folder.join(&file.name), file.etag.name())?;
        }
        write_atomically(&target.join("refs").join(MAIN), commit.as_bytes())?;
        Ok(Snapshot {
            id: model.id.clone(),
            commit,
            folder,
        })
    }

    /// Copies a file below the scratch folder, under its own name for the layout to be recognised; checks its hash if its blob's
    /// name is one.
    fn store(
        &self,
        model: &FoundModel,
        staged: &Path,
        name: &str,
        limit: Option<u64>,
    ) -> Result<ImportedFile, HubError> {
        let whole = format!("{}/{name}", model.folder);
        let (mut source, blob) = self.tree.open(whole.trim_start_matches('/'))?;
        let mut head = Vec::new();
        let read = (&mut source).take(MAX_POINTER_BYTES).read_to_end(&mut head);
        read.and_then(|_| source.rewind())
            .map_err(|e| fault(staged, e.to_string()))?;
        if is_pointer(&head) {
            return Err(HubError::Layout {
                id: model.id.clone(),
                reason: format!("its {name} {IS_POINTER}"),
            });
        }
        let size = source
            .metadata()
            .map_err(|e| fault(staged, e.to_string()))?
            .len();
        if limit.is_some_and(|limit| size > limit) {
            let size = super::format_bytes(size);
            return Err(HubError::Layout {
                id: model.id.clone(),
                reason: format!("its {name} has {size}, far more than such a file needs"),
            });
        }
        let claimed = blob.as_deref().and_then(Etag::parse);
        let is_large = size >= MIN_LARGE_BYTES;
        let hasher = match (&claimed, is_large) {
            (Some(etag), _) => etag.hasher(size),
            (None, true) => Hasher::Sha256(Box::default()),
            (None, false) => Etag::git_hasher(size),
        };
        let path = staged.join(name);
        make_parent(&path)?;
        let source = StoppableReader::new(source, self.stop);
        let hasher = copy(source, &path, hasher).map_err(|e| HubError::file(&path, &e))?;
        let found = match &claimed {
            Some(etag) => etag.name_of(hasher),
            None => hasher.finish(),
        };
        if let Some(etag) = claimed.filter(|etag| etag.name() != found) {
            return Err(HubError::Altered {
                file: name.to_owned(),
                found,
                expected: etag.name().to_owned(),
            });
        }
        let etag = Etag::parse(&found).ok_or_else(|| fault(&path, "has no checksum"))?;
        let name = name.to_owned();
        Ok(ImportedFile { name, path, etag })
    }
}

/// A file that was copied, and its name in the cache.
struct ImportedFile {
    name: String,
    path: PathBuf,
    etag: Etag,
}

/// Copies a file and syncs it to the disk; returns the hasher of its bytes.
fn copy(mut from: impl Read, to: &Path, mut hasher: Hasher) -> io::Result<Hasher> {
    let mut file = File::create(to)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
    }
    file.sync_all()?;
    Ok(hasher)
}

/// A name for files whose commit is not known: it depends on their names and hashes only.
fn invented_commit(files: &[ImportedFile]) -> String {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.name.as_bytes());
        hasher.update(b"\0");
        hasher.update(file.etag.name().as_bytes());
        hasher.update(b"\0");
    }
    hasher.finalize().to_hex()[..40].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_import_left_is_removed_unless_another_is_at_work() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(".import-abc");
        fs::create_dir_all(left.join("deep")).unwrap();
        let other = File::open(root.path()).unwrap();
        other.lock_shared().unwrap();
        drop(lock_cache(root.path()).unwrap());
        assert!(left.exists());
        other.unlock().unwrap();
        drop(lock_cache(root.path()).unwrap());
        assert!(!left.exists());
    }

    #[test]
    fn an_interrupted_import_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("m");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("w.pt"), "weights").unwrap();
        let cache = HubCache::at(&folder.path().join("hub"));
        let import = |stop| super::import(&cache, &from, Some("a/b"), &AtomicBool::new(stop));
        assert!(matches!(import(true), Err(HubError::Interrupted)));
        assert_eq!(fs::read_dir(cache.root()).unwrap().count(), 0);
        assert_eq!(import(false).unwrap().len(), 1);
    }
}
