//! The files that hold what was learned from reviews, in a folder beside the library. What was replaced stays there under a
//! number, so that each step can be undone. Programs that change them at once wait for each other. A file that cannot be read, as it is damaged or a newer version of the program wrote it, is no
//! step: once another takes its place, it is set aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Access};
use crate::learn::{Learned, LearnedSets};
use crate::media::read_text;
use crate::scoring::Mode;

/// Maximum size of a file.
const MAX_BYTES: u64 = 16 << 20;
/// Replaced files that are kept.
const MAX_REPLACED: u32 = 50;
/// The end of the name of a file that was set aside, as it cannot be read.
const SET_ASIDE: &str = "unreadable";
/// The file that programs lock which change the others.
const LOCK: &str = ".lock";

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

/// Writes a file that the user names, which may be a pipe.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn export(file: &Path, learned: &Learned) -> io::Result<()> {
    write_for(Access::Kept, file, learned)
}

/// Writes a file of the folder.
fn write(file: &Path, learned: &Learned) -> io::Result<()> {
    write_for(Access::Owner, file, learned)
}

fn write_for(access: Access, file: &Path, learned: &Learned) -> io::Result<()> {
    let text = toml::to_string(learned).map_err(io::Error::other)?;
    files::replace_with(file, access, text.as_bytes())
}

/// Why what was learned is not in use, or still is.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Other images have taught what is in use.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

impl NotKept {
    fn in_folder(folder: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        move |error| Self::File {
            path: folder.to_owned(),
            error,
        }
    }
}

/// Puts what was learned into use, unless it would replace what other images have taught; keeps what was in use for the same model, prompt
/// set and mode, and returns its file. All that puts anything into use does so here.
///
/// # Errors
///
/// Fails if other images taught what is in use, see [`Learned::refuses`], or if the folder or the file cannot be written. Then what was in
/// use still is.
pub fn keep(folder: &Path, learned: &Learned) -> Result<PathBuf, NotKept> {
    fs::create_dir_all(folder).map_err(NotKept::in_folder(folder))?;
    let _lock = lock(folder).map_err(NotKept::in_folder(folder))?;
    let (all, _) = load(folder);
    let in_use = all.find(&learned.model_digest, &learned.prompts_digest, learned.mode);
    if let Some(words) = in_use.and_then(|own| own.refuses(learned.kind.as_deref())) {
        return Err(NotKept::Refused(words));
    }
    save(folder, learned).map_err(NotKept::in_folder(folder))
}

/// Waits until no other program changes the folder, and keeps others waiting until it is dropped. File systems without locks have none.
fn lock(folder: &Path) -> io::Result<fs::File> {
    let path = folder.join(LOCK);
    let file = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    // Without it, numbers that are taken are still left alone.
    let _ = file.lock();
    Ok(file)
}

fn save(folder: &Path, learned: &Learned) -> io::Result<PathBuf> {
    let file = folder.join(name(learned));
    if file.exists() {
        let in_use = read(&file);
        let is_same = |own: &Learned| own.digest() == learned.digest() && own.kind == learned.kind;
        if in_use.as_ref().is_ok_and(is_same) {
            // No score differs: that is no step of its own.
            write(&file, learned)?;
            return Ok(file);
        }
        let kept = keep_step(&file, in_use.is_ok())?;
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

/// Keeps what is in use under the next number that is free, also by its own name, until the new one takes that; returns where.
/// `is_step`: it can be read, so that it can be gone back to.
fn keep_step(file: &Path, is_step: bool) -> io::Result<PathBuf> {
    let mut number = last_number(file) + 1;
    loop {
        let kept = if is_step {
            numbered(file, number)
        } else {
            aside(file, number)
        };
        match link_or_copy(file, &kept) {
            Ok(()) => return Ok(kept),
            // Another program took it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Gives a file another name, or copies it where the file system has no links. Never replaces a file.
fn link_or_copy(file: &Path, other: &Path) -> io::Result<()> {
    match fs::hard_link(file, other) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let mut copy = fs::File::create_new(other)?;
            let copied = io::copy(&mut fs::File::open(file)?, &mut copy);
            copied.map(drop).inspect_err(|_| {
                let _ = fs::remove_file(other);
            })
        }
        outcome => outcome,
    }
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

/// Takes what was learned for this model, prompt set and mode out of use, and puts back what it had replaced. Files that cannot be read
/// are set aside on the way.
///
/// # Errors
///
/// Fails if a file cannot be renamed or removed.
pub fn undo(
    folder: &Path,
    model_digest: &str,
    prompts_digest: &str,
    mode: Mode,
) -> Result<Undone, NotKept> {
    if !folder.is_dir() {
        return Ok(Undone::Nothing);
    }
    let undone =
        lock(folder).and_then(|_lock| step_back(folder, model_digest, prompts_digest, mode));
    undone.map_err(NotKept::in_folder(folder))
}

fn step_back(
    folder: &Path,
    model_digest: &str,
    prompts_digest: &str,
    mode: Mode,
) -> io::Result<Undone> {
    let Some(file) = file_of(folder, model_digest, prompts_digest, mode) else {
        return Ok(Undone::Nothing);
    };
    if read(&file).is_err() {
        fs::rename(&file, aside(&file, last_number(&file) + 1))?;
    }
    for number in replaced(&file).into_iter().rev() {
        let step = numbered(&file, number);
        if read(&step).is_ok() {
            fs::rename(step, &file)?;
            return Ok(Undone::Restored);
        }
        fs::rename(step, aside(&file, number))?;
    }
    if file.exists() {
        fs::remove_file(&file)?;
    }
    Ok(Undone::ZeroShot)
}

/// The file of what was learned for this model, prompt set and mode, told by its name, as it may not be readable; one that is comes first.
fn file_of(folder: &Path, model_digest: &str, prompts_digest: &str, mode: Mode) -> Option<PathBuf> {
    let end = format!("-{}.toml", key(model_digest, prompts_digest, mode));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(&end)));
    files.sort();
    let readable = files.iter().position(|file| read(file).is_ok());
    (!files.is_empty()).then(|| files.swap_remove(readable.unwrap_or(0)))
}

/// The numbers of the files that this one has replaced, the oldest first.
fn replaced(file: &Path) -> Vec<u32> {
    numbers(file, |rest| rest.parse().ok())
}

/// The highest number that a file has which this one has replaced, also one that was set aside; 0 without any.
fn last_number(file: &Path) -> u32 {
    let all = numbers(file, |rest| rest.split('.').next()?.parse().ok());
    all.last().copied().unwrap_or(0)
}

/// What `read` makes of the ends of names that begin with this file's, in order.
fn numbers(file: &Path, read: impl Fn(&str) -> Option<u32>) -> Vec<u32> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folder = file.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        let entry = entry.file_name();
        read(entry.to_str()?.strip_prefix(&*name)?.strip_prefix('.')?)
    };
    let mut numbers: Vec<u32> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// The name under which a file is set aside.
fn aside(file: &Path, number: u32) -> PathBuf {
    let mut name = numbered(file, number).into_os_string();
    name.push(format!(".{SET_ASIDE}"));
    PathBuf::from(name)
}

fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// `chest-xray-single-1f0c….toml`: the prompt set and the mode for people, and what tells all else apart.
fn name(learned: &Learned) -> String {
    let key = key(&learned.model_digest, &learned.prompts_digest, learned.mode);
    let mode = super::json::name(&learned.mode);
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let prompts: String = learned.prompts.chars().take(40).map(plain).collect();
    format!("{prompts}-{mode}-{key}.toml")
}

/// The part of a file's name that tells model, prompt set and mode apart.
fn key(model_digest: &str, prompts_digest: &str, mode: Mode) -> String {
    let mode = super::json::name(&mode);
    let key = format!("{model_digest} {prompts_digest} {mode}");
    blake3::hash(key.as_bytes()).to_hex()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{LearnedError, LearnedFor, LearningGain, Method, TaughtBy};
    use crate::scoring::learned::LearnedCondition;
    use crate::scoring::metrics::Estimate;

    fn learned(reviews: usize) -> Learned {
        let estimate = Estimate {
            value: 0.1,
            low: Some(0.0),
            high: Some(0.2),
            draws: None,
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
                log_loss_tempered: None,
                images: reviews,
                accuracy_before: 0.5,
                accuracy_after: 0.6,
                accuracy_gain: estimate,
                log_loss_before: 1.0,
                log_loss_after: 0.9,
                log_loss_gain: estimate,
            },
            kind: None,
            shots: vec!["blake3:0".to_owned()],
            conditions: vec![LearnedCondition {
                condition: "c".to_owned(),
                gate: 0.3,
                direction: vec![0.1, -f32::MIN_POSITIVE, reviews as f32 / 3.0].into(),
            }],
        }
    }

    /// The files but the one that is locked.
    fn names(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|own| own.unwrap().path());
        entries.filter(|own| !own.ends_with(LOCK)).collect()
    }

    fn undo_all(folder: &Path) -> Undone {
        undo(folder, "blake3:1", "blake3:2", Mode::Single).unwrap()
    }

    #[test]
    fn each_step_can_be_undone_bit_for_bit() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(&home.path().join("library.sqlite3"));
        assert_eq!(undo_all(&folder), Undone::Nothing);
        let file = keep(&folder, &learned(5)).unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(keep(&folder, &learned(9)).unwrap(), file);
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
    fn programs_that_keep_at_once_lose_no_step() {
        let home = tempfile::tempdir().unwrap();
        keep(home.path(), &learned(1)).unwrap();
        std::thread::scope(|scope| {
            for program in 0..4 {
                let folder = home.path();
                scope.spawn(move || {
                    for step in 0..5 {
                        keep(folder, &learned(10 + 5 * program + step)).unwrap();
                    }
                });
            }
        });
        let mut found = Vec::new();
        loop {
            found.extend(load(home.path()).0.0.first().map(|own| own.reviews));
            match undo_all(home.path()) {
                Undone::Restored => {}
                Undone::ZeroShot => break,
                Undone::Nothing => unreachable!("there is the first"),
            }
        }
        assert_eq!(found.last(), Some(&1));
        found.sort_unstable();
        assert_eq!(found, [&[1][..], &(10..30).collect::<Vec<_>>()].concat());
    }

    #[test]
    fn a_number_that_another_program_took_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = keep(home.path(), &learned(5)).unwrap();
        let taken = numbered(&file, 1);
        fs::write(&taken, "theirs").unwrap();
        assert!(link_or_copy(&file, &taken).is_err());
        assert_eq!(fs::read_to_string(&taken).unwrap(), "theirs");
    }

    #[test]
    fn what_other_images_taught_is_not_replaced_unasked() {
        let home = tempfile::tempdir().unwrap();
        let of = |kind: Option<&str>, reviews| Learned {
            kind: kind.map(str::to_owned),
            ..learned(reviews)
        };
        keep(home.path(), &of(None, 5)).unwrap();
        let refused = keep(home.path(), &of(Some("chest radiograph"), 7));
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("scores that phantoms taught are in use")
                && refused.contains("what images of the kind chest radiograph teach")
                && refused.contains("learn --undo"),
            "{refused}"
        );
        assert_eq!(load(home.path()).0.0, [learned(5)], "as before");
        assert_eq!(undo_all(home.path()), Undone::ZeroShot);
        keep(home.path(), &of(Some("chest radiograph"), 7)).unwrap();
        assert!(keep(home.path(), &of(None, 9)).is_err());
        assert!(keep(home.path(), &of(Some("chest radiograph"), 9)).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_no_step_and_hides_none() {
        let home = tempfile::tempdir().unwrap();
        let damage = |file: &Path| {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, &text[..60]).unwrap();
        };
        let file = keep(home.path(), &learned(5)).unwrap();
        keep(home.path(), &learned(7)).unwrap();
        keep(home.path(), &learned(9)).unwrap();
        // The file in use and the last step are damaged: the first is put back.
        damage(&file);
        damage(&numbered(&file, 2));
        assert!(load(home.path()).0.0.is_empty());
        assert_eq!(undo_all(home.path()), Undone::Restored);
        assert_eq!(
            load(home.path()),
            (LearnedSets(vec![learned(5)]), Vec::new())
        );
        assert_eq!(undo_all(home.path()), Undone::ZeroShot);
        // Nothing was lost that a newer version may read.
        assert_eq!(names(home.path()).len(), 2);
        // A damaged file that is replaced is no step, either.
        keep(home.path(), &learned(5)).unwrap();
        damage(&file);
        keep(home.path(), &learned(9)).unwrap();
        assert_eq!(undo_all(home.path()), Undone::ZeroShot);
        assert_eq!(undo_all(home.path()), Undone::Nothing);
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
        assert!(keep(&folder, &learned(5)).is_err());
        assert_eq!(fs::read_link(&file).unwrap(), elsewhere);
        assert_eq!(names(&folder).len(), 1);
    }

    #[test]
    fn a_copy_under_another_name_is_named_and_not_used() {
        let home = tempfile::tempdir().unwrap();
        let file = keep(home.path(), &learned(5)).unwrap();
        fs::copy(&file, home.path().join("a.toml")).unwrap();
        keep(home.path(), &learned(9)).unwrap();
        let (all, faults) = load(home.path());
        assert_eq!(all.0, [learned(9)]);
        assert!(faults[0].contains("a.toml: it is a copy"), "{faults:?}");
    }

    #[test]
    fn the_same_again_is_no_step_to_undo() {
        let home = tempfile::tempdir().unwrap();
        for (reviews, at) in [(5, "a"), (9, "b"), (9, "c")] {
            let at = at.to_owned();
            keep(
                home.path(),
                &Learned {
                    at,
                    ..learned(reviews)
                },
            )
            .unwrap();
        }
        assert_eq!(undo_all(home.path()), Undone::Restored);
        assert_eq!(load(home.path()).0.0[0].reviews, 5);
        assert_eq!(undo_all(home.path()), Undone::ZeroShot);
    }

    #[test]
    fn files_of_earlier_versions_are_read_without_what_they_do_not_say() {
        let text = toml::to_string(&learned(5)).unwrap();
        let lines = text.lines().filter(|line| !line.contains("shots"));
        let old: Learned = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(old.shots.is_empty());
        let own = ["blake3:1", "blake3:2"];
        let from = |own_file: Learned, content: &str| {
            let learned = LearnedSets(vec![own_file]);
            learned.taught_by(own, Mode::Single, (content, Some(5)))
        };
        assert_eq!(from(old, "blake3:0"), TaughtBy::Others);
        assert_eq!(from(learned(5), "blake3:0"), TaughtBy::Itself);
        assert_eq!(from(learned(5), "blake3:1"), TaughtBy::Others);
        // Results of what was taken back, or learned anew, are not explained by what is in use.
        assert_eq!(from(learned(9), "blake3:1"), TaughtBy::Unknown);
        let none = LearnedSets::default();
        assert_eq!(
            none.taught_by(own, Mode::Single, ("blake3:1", Some(5))),
            TaughtBy::Unknown
        );
    }

    #[test]
    fn a_file_for_another_model_or_prompt_set_is_refused_and_a_damaged_one_named() {
        let subject = |model, prompts| LearnedFor {
            model: ["this", model],
            prompts: ["set", prompts],
            conditions: &["c", "d"],
            dimension: 3,
        };
        let own = learned(5);
        assert_eq!(own.check_for(&subject("blake3:1", "blake3:2")), Ok(()));
        let model = own.check_for(&subject("blake3:9", "blake3:2")).unwrap_err();
        assert!(matches!(model, LearnedError::Model { .. }), "{model}");
        let prompts = own.check_for(&subject("blake3:1", "blake3:9")).unwrap_err();
        assert!(matches!(prompts, LearnedError::Prompts { .. }), "{prompts}");
        let shape = |conditions: &[&str], dimension| own.check_shape(conditions, dimension);
        assert_eq!(
            shape(&["d"], 3),
            Err(LearnedError::Condition("c".to_owned()))
        );
        let length = Err(LearnedError::Length {
            found: 3,
            wanted: 4,
        });
        assert_eq!(shape(&["c"], 4), length);
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
