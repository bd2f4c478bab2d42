//! `library`: upkeep of the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli::LibraryAction;
use crate::encoder::hub::format_bytes;
use crate::library::{Forgotten, Library, LibraryError};
use crate::paths;

/// What is to be done about a damaged library.
pub(super) const REPAIR_ADVICE: &str =
    "`medivision-tui library repair` sets it aside, and keeps the reviews that can be read";

/// Carries the command out; returns the exit code.
pub fn run(action: &LibraryAction, setup: &CommandSetup) -> Result<u8, Fault> {
    if matches!(action, LibraryAction::Repair) {
        return repair(&*present(setup)?);
    }
    let library = existing(setup)?;
    match action {
        // Carried out above: the library need not be usable.
        LibraryAction::Repair => Ok(exit::OK),
        LibraryAction::Check => check(&library),
        LibraryAction::Vacuum => vacuum(&library),
        LibraryAction::Backup { file } => {
            library.backup(file).map_err(|error| Fault {
                code: if error.is_full_disk() {
                    exit::SOME_FAILED
                } else {
                    exit::UNUSABLE
                },
                message: format!("{}: {error}", shown(file)),
            })?;
            print::line(format_args!("copied to {}", shown(file)))?;
            Ok(exit::OK)
        }
        LibraryAction::Forget { subject } => forget(&library, subject),
    }
}

/// The library, which has to exist and to be sound enough to be opened.
pub(super) fn existing(setup: &CommandSetup) -> Result<Arc<Library>, Fault> {
    let library = present(setup)?;
    // Whoever only reads it must not begin a new one.
    library.check_usable().map_err(unusable(&library))?;
    Ok(library)
}

/// The library, which has to exist.
fn present(setup: &CommandSetup) -> Result<Arc<Library>, Fault> {
    let library = setup
        .library()
        .ok_or_else(|| Fault::usage("there is no library: --library is `none`"))?;
    if !library.file().exists() {
        let file = shown(library.file());
        return Err(Fault::unusable(format!(
            "there is no library yet: {file} is made when images are classified"
        )));
    }
    Ok(library)
}

pub(super) fn unusable(library: &Library) -> impl Fn(LibraryError) -> Fault {
    let file = library.file().to_owned();
    move |error| {
        let error = error.at(&file);
        let advice = if error.is_damage() {
            format!("; {REPAIR_ADVICE}")
        } else {
            String::new()
        };
        Fault {
            code: if error.is_full_disk() {
                exit::SOME_FAILED
            } else {
                exit::UNUSABLE
            },
            message: format!(
                "the library {} cannot be used: {error}{advice}",
                shown(&file)
            ),
        }
    }
}

fn repair(library: &Library) -> Result<u8, Fault> {
    let said = library.repair().map_err(unusable(library))?;
    print::line(said.unwrap_or_else(|| "sound; nothing to repair".to_owned()))?;
    Ok(exit::OK)
}

fn check(library: &Library) -> Result<u8, Fault> {
    let faults = library.check().map_err(unusable(library))?;
    let state = match library.state() {
        Err(error) if error.is_damage() && !faults.is_empty() => None,
        state => state.map_err(unusable(library))?,
    };
    print::line(shown(library.file()))?;
    if let Some(state) = state {
        let size = format_bytes(state.bytes);
        print::line(format_args!("{size}, journal {}", state.journal))?;
        print::line(format_args!(
            "{} files, {} contents, {} embeddings, {} results, {} reviews, {} audit entries",
            state.files,
            state.contents,
            state.embeddings,
            state.results,
            state.reviews,
            state.audit
        ))?;
    }
    for fault in &faults {
        print::line(format_args!("damaged: {fault}"))?;
    }
    if faults.is_empty() {
        print::line("sound")?;
        return Ok(exit::OK);
    }
    print::message(REPAIR_ADVICE);
    Ok(exit::UNUSABLE)
}

fn vacuum(library: &Library) -> Result<u8, Fault> {
    // What was changed last may still be in the journal alone.
    let journal = {
        let mut name = library.file().as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    };
    let length = |file: &Path| file.metadata().map_or(0, |data| data.len());
    let size = || length(library.file()) + length(&journal);
    let before = size();
    library.vacuum().map_err(unusable(library))?;
    let [before, after] = [before, size()].map(format_bytes);
    print::line(format_args!("{before} → {after}"))?;
    Ok(exit::OK)
}

fn forget(library: &Library, subject: &Path) -> Result<u8, Fault> {
    let hash = subject.to_str().filter(|text| text.starts_with("blake3:"));
    let forgotten = if let Some(hash) = hash {
        library.forget_hash(hash)
    } else {
        let path = paths::absolute(subject);
        let path = path.map_err(|error| Fault::usage(format!("{}: {error}", shown(subject))))?;
        library.forget_path(&path)
    };
    let Forgotten {
        contents,
        files,
        embeddings,
    } = forgotten.map_err(unusable(library))?;
    if contents == 0 {
        return Err(Fault {
            code: exit::SOME_FAILED,
            message: format!("the library knows nothing of {}", shown(subject)),
        });
    }
    let counted = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    };
    print::line(format_args!(
        "forgot {}, with {} and {}",
        counted(contents, "image"),
        counted(files, "file name"),
        counted(embeddings, "embedding")
    ))?;
    Ok(exit::OK)
}
