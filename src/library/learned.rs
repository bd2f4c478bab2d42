//! The files that hold what was learned from reviews, in a folder beside the library. What was replaced stays there under a
//! number, so that each step can be undone.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::learn::{Learned, LearnedSets};
use crate::media::read_text;
use crate::scoring::Mode;

/// Maximum size of a file.
const MAX_BYTES: u64 = 16 << 20;
/// Replaced files that are kept.
const MAX_REPLACED: u32 = 50;

/// The folder beside a library.
pub fn folder(library: &Path) -> PathBuf {
    library.with_file_name("learned")
}

/// Reads all files in a folder, and says which cannot be used, one sentence each. There need be no folder.
pub fn load(folder: &Path) -> (LearnedSets, Vec<String>) {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    for file in files {
        let read = read(&file).and_then(|learned| {
            // A copy under another name would hide what is learned later.
            let is_own = file.file_name().is_some_and(|own| *own == *name(&learned));
            let refused = || "it is a copy; `learn --import` puts it into use".to_owned();
            is_own.then_some(learned).ok_or_else(refused)
        });
        match read {
            Ok(learned) => all.push(learned),
            Err(error) => faults.push(format!("{}: {error}; it is not used", file.display())),
        }
    }
    (LearnedSets(all), faults)
}

/// Reads a file.
///
/// # Errors
///
/// Says why it cannot be read or used, without its name.
pub fn read(file: &Path) -> Result<Learned, String> {
    let text = read_text(file, MAX_BYTES).map_err(|error| error.to_string())?;
    let learned: Learned = toml::from_str(&text)
        .map_err(|error| format!("it does not hold what was learned: {}", error.message()))?;
    learned.check().map_err(|error| error.to_string())?;
    Ok(learned)
}

/// Writes a file, in place of what has its name, or of what a link of its name leads to.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(file: &Path, learned: &Learned) -> io::Result<()> {
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let text = toml::to_string(learned).map_err(io::Error::other)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// Puts what was learned into use, and keeps what was in use for the same model, prompt set and mode; returns its file. On an
/// error, what was in use still is.
///
/// # Errors
///
/// Fails if the folder or the file cannot be written.
pub fn save(folder: &Path, learned: &Learned) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join(name(learned));
    if file.exists() {
        if read(&file).is_ok_and(|in_use| in_use == *learned) {
            return Ok(file);
        }
        let number = replaced(&file).last().map_or(1, |last| last + 1);
        let kept = numbered(&file, number);
        // It keeps its name until the new one takes that; not all file systems have links.
        fs::hard_link(&file, &kept).or_else(|_| fs::copy(&file, &kept).map(drop))?;
        write(&file, learned).inspect_err(|_| {
            let _ = fs::remove_file(&kept);
        })?;
    } else {
        write(&file, learned)?;
    }
    let all = replaced(&file);
    for number in all.iter().rev().skip(MAX_REPLACED as usize) {
        // One too many does no harm.
        let _ = fs::remove_file(numbered(&file, *number));
    }
    Ok(file)
}

/// What became of the use of what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// What was in use before is in use again.
    Restored,
    /// The texts alone score again.
    ZeroShot,
    /// Nothing was in use.
    Nothing,
}

/// Takes what was learned for this model, prompt set and mode out of use, and puts back what it had replaced.
///
/// # Errors
///
/// Fails if a file cannot be renamed or removed.
pub fn undo(
    folder: &Path,
    model_digest: &str,
    prompts_digest: &str,
    mode: Mode,
) -> io::Result<Undone> {
    let (all, _) = load(folder);
    let mut all = all.0.iter();
    let in_use = all.find(|own| own.is_for(model_digest, prompts_digest, mode));
    let Some(in_use) = in_use else {
        return Ok(Undone::Nothing);
    };
    let file = folder.join(name(in_use));
    if let Some(last) = replaced(&file).last() {
        fs::rename(numbered(&file, *last), &file)?;
        return Ok(Undone::Restored);
    }
    fs::remove_file(&file)?;
    Ok(Undone::ZeroShot)
}

/// The numbers of the files that this one has replaced, the oldest first.
fn replaced(file: &Path) -> Vec<u32> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folder = file.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        let entry = entry.file_name();
        let rest = entry.to_str()?.strip_prefix(&*name)?.strip_prefix('.')?;
        rest.parse().ok()
    };
    let mut numbers: Vec<u32> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// `chest-xray-single-1f0c….toml`: the prompt set and the mode for people, and what tells all else apart.
fn name(learned: &Learned) -> String {
    let mode = super::json::name(&learned.mode);
    let key = format!("{} {} {mode}", learned.model_digest, learned.prompts_digest);
    let hash = blake3::hash(key.as_bytes()).to_hex();
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let prompts: String = learned.prompts.chars().take(40).map(plain).collect();
    format!("{prompts}-{mode}-{}.toml", &hash[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{LearnedError, LearnedFor, LearningGain, Method};
    use crate::scoring::learned::LearnedCondition;
    use crate::scoring::metrics::Estimate;

    fn learned(reviews: usize) -> Learned {
        let estimate = Estimate {
            value: 0.1,
            low: Some(0.0),
            high: Some(0.2),
        };
        Learned {
            format: Learned::FORMAT,
            model: "m".to_owned(),
            model_digest: "blake3:1".to_owned(),
            prompts: "a/../b".to_owned(),
            prompts_digest: "blake3:2".to_owned(),
            mode: Mode::Single,
            at: "2026-01-01T00:00:00Z".to_owned(),
            method: Method::Ridge,
            reviews,
            unlabelled: 3,
            held_out: LearningGain {
                balanced_accuracy: None,
                images: reviews,
                accuracy_before: 0.5,
                accuracy_after: 0.6,
                accuracy_gain: estimate,
                log_loss_before: 1.0,
                log_loss_after: 0.9,
                log_loss_gain: estimate,
            },
            kind: None,
            conditions: vec![LearnedCondition {
                condition: "c".to_owned(),
                gate: 0.3,
                direction: vec![0.1, -f32::MIN_POSITIVE, 1.0 / 3.0].into(),
            }],
        }
    }

    fn undo_all(folder: &Path) -> Undone {
        undo(folder, "blake3:1", "blake3:2", Mode::Single).unwrap()
    }

    #[test]
    fn each_step_can_be_undone_bit_for_bit() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(&home.path().join("library.sqlite3"));
        assert_eq!(undo_all(&folder), Undone::Nothing);
        let file = save(&folder, &learned(5)).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(save(&folder, &learned(9)).unwrap(), file);
        assert_eq!(load(&folder), (LearnedSets(vec![learned(9)]), Vec::new()));
        assert_eq!(undo_all(&folder), Undone::Restored);
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(load(&folder).0.0, [learned(5)]);
        let other = undo(&folder, "blake3:1", "blake3:2", Mode::Multi).unwrap();
        assert_eq!(other, Undone::Nothing);
        assert_eq!(undo_all(&folder), Undone::ZeroShot);
        assert_eq!(load(&folder).0, LearnedSets::default());
    }

    #[test]
    fn what_cannot_be_kept_leaves_what_is_in_use() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(&home.path().join("library.sqlite3"));
        // A link into a folder where nobody can make a file, as on a full disk.
        let (file, elsewhere) = (
            folder.join(name(&learned(5))),
            Path::new("/proc/self/status"),
        );
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(elsewhere, &file).unwrap();
        assert!(save(&folder, &learned(5)).is_err());
        assert_eq!(fs::read_link(&file).unwrap(), elsewhere);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_under_another_name_is_named_and_not_used() {
        let home = tempfile::tempdir().unwrap();
        let file = save(home.path(), &learned(5)).unwrap();
        fs::copy(&file, home.path().join("a.toml")).unwrap();
        save(home.path(), &learned(9)).unwrap();
        let (all, faults) = load(home.path());
        assert_eq!(all.0, [learned(9)]);
        assert!(faults[0].contains("a.toml: it is a copy"), "{faults:?}");
    }

    #[test]
    fn the_same_again_is_no_step_to_undo() {
        let home = tempfile::tempdir().unwrap();
        for reviews in [5, 9, 9] {
            save(home.path(), &learned(reviews)).unwrap();
        }
        assert_eq!(undo_all(home.path()), Undone::Restored);
        assert_eq!(load(home.path()).0.0, [learned(5)]);
        assert_eq!(undo_all(home.path()), Undone::ZeroShot);
    }

    #[test]
    fn a_file_for_another_model_or_prompt_set_is_refused_and_a_damaged_one_named() {
        let subject = |model, prompts| LearnedFor {
            model: ["this", model],
            prompts: ["set", prompts],
        };
        let own = learned(5);
        assert_eq!(own.check_for(&subject("blake3:1", "blake3:2")), Ok(()));
        let model = own.check_for(&subject("blake3:9", "blake3:2")).unwrap_err();
        assert!(matches!(model, LearnedError::Model { .. }), "{model}");
        let prompts = own.check_for(&subject("blake3:1", "blake3:9")).unwrap_err();
        assert!(matches!(prompts, LearnedError::Prompts { .. }), "{prompts}");
        let home = tempfile::tempdir().unwrap();
        let mut newer = learned(5);
        newer.format = 2;
        write(&home.path().join("newer.toml"), &newer).unwrap();
        let mut wild = learned(5);
        wild.conditions[0].gate = 2.0;
        write(&home.path().join("wild.toml"), &wild).unwrap();
        fs::write(home.path().join("z.toml"), "gate = 2").unwrap();
        let (all, faults) = load(home.path());
        assert!(all.0.is_empty() && faults.len() == 3, "{faults:?}");
        assert!(faults[0].contains("format 2") && faults[2].contains("z.toml"));
    }
}
