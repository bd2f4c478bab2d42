//! Writes prompt sets as TOML, and tells two of them apart.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{Condition, DEFAULT_MIN_MARGIN, DEFAULT_MIN_PROBABILITY, PromptSet};
use crate::files::{self, Access};

/// Columns up to which a list stays on one line.
const LINE_WIDTH: usize = 100;
/// Maximum number of copies of a file that was replaced.
const MAX_BACKUPS: u32 = 1000;

impl PromptSet {
    /// The set as the text of a file, below comments of one line each. [`PromptSet::parse`] reads it.
    pub fn to_toml(&self, comments: &[String]) -> String {
        let mut out = String::new();
        for comment in comments {
            // A line end would end the comment.
            let line: String = comment
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            out.push_str(format!("# {line}").trim_end());
            out.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "name = {}", quoted(&self.name));
        let _ = writeln!(out, "title = {}", quoted(&self.title));
        let lists = [
            ("modalities", &self.modalities),
            ("body_parts", &self.body_parts),
            ("kinds", &self.kinds),
            ("templates", &self.templates),
        ];
        for (key, values) in lists.iter().filter(|(_, values)| !values.is_empty()) {
            out.push_str(&list(key, values));
        }
        let is_other = |value: f64, default: f64| value.to_bits() != default.to_bits();
        if is_other(self.min_probability, DEFAULT_MIN_PROBABILITY) {
            let _ = writeln!(out, "min_probability = {:?}", self.min_probability);
        }
        if is_other(self.min_margin, DEFAULT_MIN_MARGIN) {
            let _ = writeln!(out, "min_margin = {:?}", self.min_margin);
        }
        for condition in &self.conditions {
            out.push_str(&condition_table(condition));
        }
        out
    }
}

fn condition_table(condition: &Condition) -> String {
    let mut out = format!("\n[[condition]]\nname = {}\n", quoted(&condition.name));
    if !condition.description.is_empty() {
        let _ = writeln!(out, "description = {}", quoted(&condition.description));
    }
    out.push_str(&list("phrases", &condition.phrases));
    if !condition.absent.is_empty() {
        out.push_str(&list("absent", &condition.absent));
    }
    for (key, is_set) in [("normal", condition.normal), ("other", condition.other)] {
        if is_set {
            let _ = writeln!(out, "{key} = true");
        }
    }
    out
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list on one line, or on one a value if it is long.
fn list(key: &str, values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    let line = format!("{key} = [{}]\n", values.join(", "));
    if line.chars().count() <= LINE_WIDTH {
        return line;
    }
    let rows = values.join(",\n    ");
    format!("{key} = [\n    {rows},\n]\n")
}

/// Writes the text of a set to a file in one step, and creates its folder. A link stays, and the file that it points to is
/// written; permissions stay, too.
///
/// # Errors
///
/// If folder or file cannot be written; an earlier file is then as it was.
pub fn save(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    files::replace_with(file, Access::Kept, text.as_bytes())
}

/// Copies a file that is about to be replaced by a text to `NAME.toml~`, or if there is one, `NAME.toml~2` and so on; returns the copy.
/// `None` if there is no file, or it holds the same.
///
/// # Errors
///
/// If the file cannot be read, or the copy not be written.
pub fn back_up(file: &Path, text: &str) -> io::Result<Option<PathBuf>> {
    let earlier = match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        earlier => earlier?,
    };
    if earlier == text.as_bytes() {
        return Ok(None);
    }
    for number in 1..=MAX_BACKUPS {
        let mut name = file.as_os_str().to_owned();
        name.push(match number {
            1 => "~".to_owned(),
            number => format!("~{number}"),
        });
        let copy = PathBuf::from(name);
        let mut new = match File::create_new(&copy) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            new => new?,
        };
        let written = new.write_all(&earlier).and_then(|()| new.sync_all());
        if let Err(error) = written {
            // Half a copy would only mislead.
            let _ = fs::remove_file(&copy);
            return Err(error);
        }
        return Ok(Some(copy));
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        format!("there are {MAX_BACKUPS} copies of it; remove some"),
    ))
}

/// How a line of a difference relates to the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The name of a condition or list.
    Heading,
    /// In both.
    Same,
    /// Only in the first.
    Removed,
    /// Only in the second.
    Added,
}

/// The conditions of two sets, phrase by phrase, each line with its indent.
pub fn difference(before: Option<&PromptSet>, after: &PromptSet) -> Vec<(Change, String)> {
    let of = |set: Option<&PromptSet>, name: &str| {
        set.and_then(|set| set.conditions.iter().find(|c| c.name == name).cloned())
    };
    let mut lines = Vec::new();
    let gone = before.map_or(&[][..], |set| set.conditions.as_slice());
    let gone = gone.iter().filter(|c| of(Some(after), &c.name).is_none());
    let pairs = after
        .conditions
        .iter()
        .map(|c| (of(before, &c.name), Some(c)));
    for (old, new) in pairs.chain(gone.map(|c| (Some(c.clone()), None))) {
        let name = new.map(|c| &c.name).or(old.as_ref().map(|c| &c.name));
        lines.push((Change::Heading, name.cloned().unwrap_or_default()));
        let present = |c: &Condition| c.phrases.clone();
        let absent = |c: &Condition| c.absent.clone();
        let values = |of: &dyn Fn(&Condition) -> Vec<String>| {
            let old = old.as_ref().map(of).unwrap_or_default();
            (old, new.map(of).unwrap_or_default())
        };
        let (old_phrases, new_phrases) = values(&present);
        lines.extend(changes(&old_phrases, &new_phrases, ""));
        let (old_absent, new_absent) = values(&absent);
        lines.extend(changes(&old_absent, &new_absent, "absent: "));
    }
    lines
}

fn changes(old: &[String], new: &[String], prefix: &str) -> Vec<(Change, String)> {
    let line = |change, phrase: &String| (change, format!("{prefix}{phrase}"));
    let removed = old.iter().filter(|phrase| !new.contains(phrase));
    let rest = new.iter().map(|phrase| {
        let is_known = old.contains(phrase);
        line(
            if is_known {
                Change::Same
            } else {
                Change::Added
            },
            phrase,
        )
    });
    removed
        .map(|phrase| line(Change::Removed, phrase))
        .chain(rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::prompts::Prompts;

    #[test]
    fn what_is_written_is_read_again() {
        for name in [
            "general",
            "chest-xray",
            "brain-mri",
            "fracture-mass",
            "kinds",
        ] {
            let prompts = Prompts::select(name, None).unwrap();
            let mut set = prompts.sets()[0].clone();
            set.min_margin = 0.125;
            set.conditions[0]
                .phrases
                .push("a \"quoted\" \\ phrase".to_owned());
            let text = set.to_toml(&["made by hand\nname = 1".to_owned(), String::new()]);
            let read = PromptSet::parse(&text, "x.toml").unwrap();
            assert_eq!(
                PromptSet {
                    digest: set.digest.clone(),
                    ..read
                },
                set
            );
        }
    }

    #[test]
    fn saving_writes_through_a_link_and_keeps_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("own.toml"), folder.path().join("a.toml"));
        fs::write(&file, "before").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("own.toml", &link).unwrap();
        save(&link, "after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "after");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let new = folder.path().join("sub/new.toml");
        save(&new, "new").unwrap();
        assert_eq!(fs::read_to_string(new).unwrap(), "new");
    }

    #[test]
    fn what_is_replaced_is_copied_beside_and_no_copy_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ward.toml");
        assert_eq!(back_up(&file, "a").unwrap(), None);
        fs::write(&file, "by hand").unwrap();
        assert_eq!(back_up(&file, "by hand").unwrap(), None);
        for (name, text) in [("ward.toml~", "by hand"), ("ward.toml~2", "again by hand")] {
            fs::write(&file, text).unwrap();
            let copy = back_up(&file, "drafted").unwrap();
            assert_eq!(copy, Some(folder.path().join(name)));
            assert_eq!(fs::read_to_string(copy.unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn a_difference_names_what_is_gone_and_what_is_new() {
        let prompts = Prompts::select("chest-xray", None).unwrap();
        let before = &prompts.sets()[0];
        let mut after = before.clone();
        after.conditions.remove(1);
        after.conditions[0].phrases = vec!["pneumonia".into(), "air bronchograms".into()];
        let lines = difference(Some(before), &after);
        let has = |change, text: &str| lines.contains(&(change, text.to_owned()));
        assert!(has(Change::Same, "pneumonia") && has(Change::Added, "air bronchograms"));
        assert!(
            has(Change::Removed, "airspace opacity") && has(Change::Same, "absent: clear lungs")
        );
        assert!(has(Change::Heading, "tumor") && has(Change::Removed, "a lung tumor"));
        let new = difference(None, &after);
        assert!(
            new.iter()
                .all(|(change, _)| matches!(change, Change::Heading | Change::Added))
        );
    }
}
