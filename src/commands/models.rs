//! `models`: lists the catalogue and the cache, describes models, pulls them from the hub, imports and verifies them.

mod reference;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{CommandSetup, Fault, exit, on_signals, print, shown};
use crate::cli::ModelsAction;
use crate::config::BUILTIN;
use crate::encoder::catalog::{self, CatalogEntry};
use crate::encoder::hub::{self, HubCache, HubError, PullOptions, PullProgress, Snapshot};
use crate::encoder::{
    CheckpointLayout, Encoder, ModelSource, ReferenceRecord, ReferenceRecords, builtin, checkpoint,
};

/// Runs the action; returns the exit code.
pub fn run(action: &ModelsAction, setup: &CommandSetup) -> Result<u8, Fault> {
    match action {
        ModelsAction::List { json: false } => list(setup),
        ModelsAction::List { json: true } => list_json(setup),
        ModelsAction::Info { subject } => info(subject, setup),
        ModelsAction::Pull { id, revision } => fetch(id, revision.as_deref(), setup),
        ModelsAction::Import { from, id } => import(from, id.as_deref()),
        ModelsAction::Verify {
            ids,
            reference: true,
            python,
        } => reference::verify(&reference_sources(ids)?, python, setup),
        ModelsAction::Verify { ids, .. } => verify(ids),
    }
}

fn cache() -> Result<HubCache, Fault> {
    let cache = HubCache::of_user();
    cache.ok_or_else(|| Fault::unusable("there is no home folder; set HOME, or HF_HOME"))
}

/// What `models list --json` says of a model.
#[derive(Serialize)]
struct ListedModel<'a> {
    id: &'a str,
    /// The entry in the catalogue.
    catalogue: Option<&'a CatalogEntry>,
    /// What the cache has of it: the commit that its id alone means.
    cache: Option<CachedModel>,
    /// Other commits of it in the cache.
    other_commits: Vec<CachedModel>,
}

#[derive(Serialize)]
struct CachedModel {
    commit: String,
    folder: String,
    /// Size of all files, a tokenizer in another repository included.
    bytes: u64,
    /// Names of files without which it cannot be opened; none if it is complete.
    missing: Vec<String>,
    /// The comparison with the reference on this machine, if there was a successful one.
    reference: Option<ReferenceRecord>,
}

impl CachedModel {
    fn new(snapshot: &Snapshot, records: &[ReferenceRecord]) -> Self {
        let others = snapshot.tokenizer();
        let parts = [snapshot].into_iter().chain(&others);
        let files = parts.flat_map(|part| part.files().unwrap_or_default());
        let sizes = files.filter_map(|(_, blob)| blob.metadata().ok());
        let is_of = |record: &&ReferenceRecord| {
            record.model == snapshot.id && record.commit == snapshot.commit
        };
        Self {
            commit: snapshot.commit.clone(),
            folder: snapshot.folder.to_string_lossy().into_owned(),
            bytes: sizes.map(|data| data.len()).sum(),
            missing: snapshot.missing(),
            reference: records.iter().find(is_of).cloned(),
        }
    }
}

fn reference_records(setup: &CommandSetup) -> Vec<ReferenceRecord> {
    let folder = setup.reference_records();
    folder.map_or_else(Vec::new, |folder| ReferenceRecords::at(&folder).all())
}

fn list_json(setup: &CommandSetup) -> Result<u8, Fault> {
    let (cache, records) = (cache()?, reference_records(setup));
    let pulled = cache.models();
    let listed = |id, catalogue| {
        let revisions = cache.revisions(id).into_iter();
        let mut all = revisions.map(|snapshot| CachedModel::new(&snapshot, &records));
        ListedModel {
            id,
            catalogue,
            cache: all.next(),
            other_commits: all.collect(),
        }
    };
    let mut all = vec![ListedModel {
        id: BUILTIN,
        catalogue: None,
        cache: None,
        other_commits: Vec::new(),
    }];
    let known = catalog::entries().iter();
    all.extend(known.map(|entry| listed(&entry.id, Some(entry))));
    let others = pulled
        .iter()
        .filter(|snapshot| catalog::find(&snapshot.id).is_none());
    all.extend(others.map(|snapshot| listed(&snapshot.id, None)));
    print::json(&all)?;
    Ok(exit::OK)
}

fn list(setup: &CommandSetup) -> Result<u8, Fault> {
    let cache = cache()?;
    let (pulled, records) = (cache.models(), reference_records(setup));
    line(
        BUILTIN,
        "built in; tells kinds of image apart; finds conditions in synthetic phantoms, and what labels of yours teach it",
    )?;
    print::line("")?;
    print::line(format_args!("in the cache ({}):", shown(cache.root())))?;
    for model in &pulled {
        print::line(format_args!("    {}", model.id))?;
        for snapshot in cache.revisions(&model.id) {
            list_cached(&CachedModel::new(&snapshot, &records))?;
        }
    }
    if pulled.is_empty() {
        print::line("    nothing yet")?;
    }
    print::line("")?;
    print::line("in the catalogue (`models pull NAME` downloads):")?;
    for entry in catalog::entries() {
        let mut models = pulled.iter();
        let is_there = models.any(|model| model.id == entry.id && model.is_complete());
        print::line("")?;
        describe(entry, is_there)?;
    }
    Ok(exit::OK)
}

/// Prints what the cache has of a model at one commit.
fn list_cached(cached: &CachedModel) -> Result<(), Fault> {
    let size = hub::format_bytes(cached.bytes);
    let commit = cached.commit.get(..12).unwrap_or(&cached.commit);
    let state = match (&cached.missing[..], &cached.reference) {
        ([], Some(_)) => ", compared with its reference".to_owned(),
        ([], None) => String::new(),
        (missing, _) => format!(
            "; incomplete, without {}; pull it again",
            missing.join(", ")
        ),
    };
    print::line(format_args!("        {size}, commit {commit}{state}"))
}

/// Imports models that were brought by hand, and prints their folders.
fn import(from: &Path, id: Option<&str>) -> Result<u8, Fault> {
    let id = id.map(|text| hub::split_revision(text).0);
    let stop = Arc::new(AtomicBool::new(false));
    on_signals(&[SIGINT, SIGTERM], {
        let stop = Arc::clone(&stop);
        move || stop.store(true, Ordering::Relaxed)
    })?;
    let snapshots = match hub::import(&cache()?, from, id, &stop) {
        Err(HubError::Interrupted) => {
            print::message("interrupted; what was not finished has been removed");
            return Ok(exit::INTERRUPTED);
        }
        imported => imported.map_err(Fault::unusable)?,
    };
    for snapshot in &snapshots {
        print::line(shown(&snapshot.folder))?;
        print::message(imported_as(snapshot));
    }
    Ok(exit::OK)
}

/// What a model that was imported can be used for.
fn imported_as(snapshot: &Snapshot) -> String {
    let (id, missing) = (&snapshot.id, snapshot.missing());
    if snapshot.is_tokenizer() {
        return format!("{id} is in the cache: a tokenizer that other models use");
    }
    if missing.is_empty() {
        return format!("{id} is in the cache; `medivision-tui models info {id}` loads it");
    }
    let missing = missing.join(", ");
    format!("{id} is in the cache, but not usable yet: it lacks {missing}; import that, too")
}

/// The models to compare with their references: those named, else all in the cache.
fn reference_sources(ids: &[String]) -> Result<Vec<ModelSource>, Fault> {
    if ids.is_empty() {
        let all = cache()?.models().into_iter();
        return Ok(all
            .map(|snapshot| ModelSource::Path(snapshot.folder))
            .collect());
    }
    let sources = ids.iter().map(|text| match ModelSource::parse(text) {
        ModelSource::Missing(id) => Err(not_pulled(&id)),
        source => Ok(source),
    });
    sources.collect()
}

fn not_pulled(text: &str) -> Fault {
    let (id, revision) = hub::split_revision(text);
    let revision = revision.map_or_else(String::new, |revision| format!(" --revision {revision}"));
    Fault::unusable(format!(
        "{text} is not in the cache, or not completely; download it with `medivision-tui models pull {id}{revision}`"
    ))
}

fn describe(entry: &CatalogEntry, there: bool) -> Result<(), Fault> {
    let gated = if entry.gated { ", gated" } else { "" };
    let there = if there { "   [in the cache]" } else { "" };
    let size = entry.size().map(hub::format_bytes);
    let size = size.map_or_else(String::new, |size| format!("{size}, "));
    let licence = &entry.licence;
    let name = &entry.name;
    print::line(format_args!(
        "{name:<18}{size}licence: {licence}{gated}{there}"
    ))?;
    print::line(format_args!("    {}", entry.id))?;
    print::line(format_args!("    {}", entry.purpose))?;
    if !entry.kinds.is_empty() {
        let kinds = entry.kinds.join(", ");
        print::line(format_args!(
            "    rejects kinds of image other than: {kinds}"
        ))?;
    }
    if let Some(excludes) = &entry.excludes {
        print::line(format_args!("    not for: {excludes}"))?;
    }
    if let (Some(figure), Some(source)) = (&entry.figure, &entry.source) {
        print::line(format_args!("    published: {figure} ({source})"))?;
    }
    Ok(())
}

fn info(model: &str, setup: &CommandSetup) -> Result<u8, Fault> {
    let source = ModelSource::parse(model);
    let entry = catalog::find(hub::split_revision(model).0);
    if let Some(entry) = entry {
        describe(entry, matches!(source, ModelSource::Path(_)))?;
    }
    match (&source, entry) {
        (ModelSource::Missing(id), Some(_)) => {
            let (id, revision) = hub::split_revision(id);
            let revision = revision.map_or_else(String::new, |name| format!(" --revision {name}"));
            print::line(format_args!(
                "    not in the cache, or not completely; download it with `medivision-tui models pull {id}{revision}`"
            ))?;
            Ok(exit::OK)
        }
        (ModelSource::Path(path), _) if path.exists() => describe_checkpoint(path, setup),
        _ => {
            let encoder = source.open(setup.options(None)).map_err(Fault::unusable)?;
            card(encoder.as_ref())?;
            if source == ModelSource::Builtin {
                print::line("")?;
                print::lines(builtin::CARD)?;
            }
            Ok(exit::OK)
        }
    }
}

fn line(key: &str, value: impl std::fmt::Display) -> Result<(), Fault> {
    print::line(format_args!("{key:<14}{value}"))
}

/// Prints a checkpoint's layout and card. Loads the model, which shows that this is possible.
fn describe_checkpoint(path: &Path, setup: &CommandSetup) -> Result<u8, Fault> {
    let layout = CheckpointLayout::of(path).map_err(Fault::unusable)?;
    let encoder = checkpoint::open(path, setup.options(None)).map_err(Fault::unusable)?;
    line("path", shown(path))?;
    line("layout", layout.name())?;
    if let Some(assumption) = encoder.assumption() {
        line("assumed", assumption)?;
    }
    card(&encoder)?;
    Ok(exit::OK)
}

fn card(encoder: &dyn Encoder) -> Result<(), Fault> {
    let (card, preprocess) = (encoder.card(), encoder.preprocess());
    line("model", &card.id)?;
    line("digest", &card.digest)?;
    line("embedding", format!("{} numbers", card.dimension))?;
    let scale = format!("{:.4}", card.logit_scale);
    match card.logit_bias {
        Some(bias) => line("logits", format!("{scale} × cosine + {bias:.4}, sigmoid"))?,
        None => line("logits", format!("{scale} × cosine, softmax"))?,
    }
    let (mean, std) = preprocess.normalisation();
    let fit = format!("{:?}", preprocess.fit()).to_lowercase();
    line(
        "images",
        format!("{}×{}, {fit}", preprocess.width(), preprocess.height()),
    )?;
    line(
        "pixels",
        format!(
            "× {:.6}, mean {mean:?}, standard deviation {std:?}",
            preprocess.rescale()
        ),
    )
}

fn fetch(model: &str, revision: Option<&str>, setup: &CommandSetup) -> Result<u8, Fault> {
    let cache = cache()?;
    let (id, named) = hub::split_revision(model);
    if let (Some(one), Some(other)) = (revision, named)
        && one != other
    {
        return Err(Fault::unusable(format!(
            "{model} names the revision {other}, and --revision {one}; give one of them"
        )));
    }
    let order = PullOptions {
        cache: &cache,
        id,
        revision: revision.or(named),
        offline: setup.offline,
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg}  {bytes}") {
        bar.set_style(style);
    }
    let result = hub::pull(&order, &mut |step| {
        show(&bar, step);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let snapshot = result.map_err(Fault::unusable)?;
    print::line(shown(&snapshot.folder))?;
    Ok(exit::OK)
}

/// A pause that is announced, lest the program seem to hang.
const NOTABLE_PAUSE: Duration = Duration::from_secs(5);

fn show(bar: &ProgressBar, step: PullProgress) {
    match step {
        PullProgress::Total(bytes) => {
            bar.set_length(bar.position() + bytes);
            let template = "{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
        PullProgress::Received(bytes) => bar.inc(bytes),
        PullProgress::Discarded(bytes) => bar.set_position(bar.position().saturating_sub(bytes)),
        PullProgress::File(name) => bar.set_message(crate::media::clean(name)),
        PullProgress::Pausing(time) if time >= NOTABLE_PAUSE => {
            let text = format!("the hub is busy; trying again in {} s", time.as_secs());
            bar.suspend(|| print::message(text));
        }
        PullProgress::Pausing(_) => {}
        PullProgress::Waiting(name) => {
            let name = crate::media::clean(name);
            let text = format!("another program is downloading {name}; waiting for it");
            bar.suspend(|| print::message(text));
        }
    }
}

fn verify(ids: &[String]) -> Result<u8, Fault> {
    let cache = cache()?;
    let snapshots: Vec<Snapshot> = if ids.is_empty() {
        let models = cache.models().into_iter();
        models
            .flat_map(|model| cache.revisions(&model.id))
            .collect()
    } else {
        let find = |text: &String| {
            let (id, revision) = hub::split_revision(text);
            let found = cache.find(id, revision);
            found.ok_or_else(|| not_pulled(text))
        };
        ids.iter().map(find).collect::<Result<_, _>>()?
    };
    let mut damaged = 0;
    let mut verified = Vec::new();
    for snapshot in snapshots {
        let tokenizer = snapshot.tokenizer();
        for part in [snapshot].into_iter().chain(tokenizer) {
            if !verified.contains(&part) {
                damaged += verify_snapshot(&part)?;
                verified.push(part);
            }
        }
    }
    if damaged > 0 {
        print::message(format_args!(
            "{damaged} damaged or missing; download them again with `medivision-tui models pull ID`"
        ));
        return Ok(exit::SOME_FAILED);
    }
    Ok(exit::OK)
}

/// Verifies a model and prints a line for each file; returns the number of damaged and missing ones.
fn verify_snapshot(snapshot: &Snapshot) -> Result<usize, Fault> {
    let mut damaged = 0;
    let files = snapshot.files().map_err(Fault::unusable)?;
    let mut missing = if snapshot.is_tokenizer() {
        Vec::new()
    } else {
        snapshot.missing()
    };
    missing.retain(|missing| !files.iter().any(|(name, _)| name == missing));
    for (name, blob) in files {
        let state = match Snapshot::is_intact(&blob).map_err(Fault::unusable)? {
            Some(true) => "ok",
            Some(false) => {
                damaged += 1;
                "DAMAGED"
            }
            None => "no checksum",
        };
        print::line(format_args!("{state:<12}{}  {name}", snapshot.id))?;
    }
    for name in &missing {
        print::line(format_args!("{:<12}{}  {name}", "MISSING", snapshot.id))?;
    }
    Ok(damaged + missing.len())
}
