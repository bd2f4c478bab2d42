//! `models`: lists the catalogue and the cache, describes models, pulls them from the hub, and verifies them.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli::ModelsAction;
use crate::encoder::catalog::{self, CatalogEntry};
use crate::encoder::hub::{self, HubCache, PullOptions, PullProgress, Snapshot};
use crate::encoder::{CheckpointLayout, Encoder, ModelSource, checkpoint};

/// Runs the action; returns the exit code.
pub fn run(action: &ModelsAction, setup: &CommandSetup) -> Result<u8, Fault> {
    match action {
        ModelsAction::List => list(),
        ModelsAction::Info { subject } => info(subject, setup),
        ModelsAction::Pull { id, revision } => fetch(id, revision.as_deref(), setup),
        ModelsAction::Verify { ids } => verify(ids),
    }
}

fn cache() -> Result<HubCache, Fault> {
    let cache = HubCache::of_user();
    cache.ok_or_else(|| Fault::unusable("there is no home folder; set HOME, or HF_HOME"))
}

fn list() -> Result<u8, Fault> {
    let cache = cache()?;
    let pulled = cache.models();
    let is_there = |id: &str| pulled.iter().any(|snapshot| snapshot.id == id);
    line(
        "demo",
        "built in; knows only synthetic phantoms, for trying the program",
    )?;
    for entry in catalog::entries() {
        print::line("")?;
        describe(entry, is_there(&entry.id))?;
    }
    let others = pulled
        .iter()
        .filter(|snapshot| catalog::find(&snapshot.id).is_none());
    for (index, snapshot) in others.enumerate() {
        if index == 0 {
            print::line("")?;
            print::line(format_args!("also in the cache ({}):", shown(cache.root())))?;
        }
        print::line(format_args!("    {}", snapshot.id))?;
    }
    Ok(exit::OK)
}

fn describe(entry: &CatalogEntry, there: bool) -> Result<(), Fault> {
    let gated = if entry.gated { ", gated" } else { "" };
    let there = if there { "   [in the cache]" } else { "" };
    let size = entry.size().map(hub::format_bytes);
    let size = size.map_or_else(String::new, |size| format!("{size}, "));
    let (name, licence) = (&entry.name, &entry.licence);
    print::line(format_args!(
        "{name:<18}{size}licence: {licence}{gated}{there}"
    ))?;
    print::line(format_args!("    {}", entry.id))?;
    print::line(format_args!("    {}", entry.purpose))?;
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
    let entry = catalog::find(model);
    if let Some(entry) = entry {
        describe(entry, matches!(source, ModelSource::Path(_)))?;
    }
    match (&source, entry) {
        (ModelSource::Missing(id), Some(_)) => {
            print::line(format_args!(
                "    not in the cache; download it with `medivision-tui models pull {id}`"
            ))?;
            Ok(exit::OK)
        }
        (ModelSource::Path(path), _) if path.exists() => describe_checkpoint(path, setup),
        _ => {
            let encoder = source.open(setup.options(None)).map_err(Fault::unusable)?;
            card(encoder.as_ref())?;
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
    let order = PullOptions {
        cache: &cache,
        id: catalog::id_of(model),
        revision,
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
    let snapshots = if ids.is_empty() {
        cache.models()
    } else {
        let find = |id: &String| {
            let id = catalog::id_of(id);
            let found = cache.find(id, None);
            let hint = format!(
                "{id} is not in the cache; download it with `medivision-tui models pull {id}`"
            );
            found.ok_or_else(|| Fault::unusable(hint))
        };
        ids.iter().map(find).collect::<Result<_, _>>()?
    };
    let mut damaged = 0;
    for snapshot in &snapshots {
        damaged += verify_snapshot(snapshot)?;
    }
    if damaged > 0 {
        print::message(format_args!(
            "{damaged} damaged; download them again with `medivision-tui models pull ID`"
        ));
        return Ok(exit::SOME_FAILED);
    }
    Ok(exit::OK)
}

/// Verifies a model and prints a line for each file; returns the number of damaged ones.
fn verify_snapshot(snapshot: &Snapshot) -> Result<usize, Fault> {
    let mut damaged = 0;
    for (name, blob) in snapshot.files().map_err(Fault::unusable)? {
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
    Ok(damaged)
}
