//! Saved views and bookmarks in a small file that the user may edit. It is read before each change and replaced atomically; a
//! file that cannot be read is never replaced.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folders::{MsgSender, spawn};
use crate::app::{Msg, PlaceChange, Places};
use crate::files::{self, Access};
use crate::media::read_text;

/// Maximum size of the file.
const MAX_BYTES: u64 = 1 << 20;
/// The first lines of the file.
const HEAD: &str = "\
# Bookmarks and saved views of medivision-tui. Edit them while no view is being saved; comments are not kept.

";

/// Carries out a change, if one is given, and sends what is stored then. Without a file nothing is stored.
pub(super) fn request(file: Option<PathBuf>, change: Option<PlaceChange>, send: MsgSender) {
    let Some(file) = file else { return };
    let answer = Arc::clone(&send);
    spawn("places", &answer, move || {
        let outcome = match change {
            Some(change) => apply(&file, change),
            None => read(&file),
        };
        send(Msg::Places(
            outcome.map_err(|error| format!("{}: {error}", file.display())),
        ));
    });
}

/// Creates an empty file that says that something was done. If it cannot be created, that will be done again.
pub(super) fn remember(file: &Path) {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    if let Err(error) = made.and_then(|()| File::create(file).map(drop)) {
        tracing::warn!("{}: {error}", file.display());
    }
}

fn read(file: &Path) -> io::Result<Places> {
    match read_text(file, MAX_BYTES) {
        Ok(text) => toml::from_str(&text).map_err(|error| {
            let reason = error.message().to_owned();
            let line = error
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map_or_else(String::new, |line| format!("line {line}: "));
            let words = format!("{line}{reason}; correct or remove the file");
            io::Error::new(ErrorKind::InvalidData, words)
        }),
        // Also where the state folder cannot be created: the user has been told so already.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Places::default())
        }
        Err(error) => Err(error),
    }
}

fn apply(file: &Path, change: PlaceChange) -> io::Result<Places> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    // Of two programs that change it, the second one reads what the first has written. Not every file system can lock.
    let lock = File::open(folder)?;
    let _ = lock.lock();
    let mut places = read(file)?;
    places.apply(change);
    let text = HEAD.to_owned() + &toml::to_string(&places).map_err(io::Error::other)?;
    files::replace_with(file, Access::Owner, text.as_bytes())?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::SavedView;
    use crate::app::sort::Key;

    fn view(name: &str) -> SavedView {
        SavedView {
            name: name.to_owned(),
            filter: "label:\"pleural effusion\" p>0.6".to_owned(),
            sort: Key::Urgency,
            reverse: true,
            worklist: false,
            folder: Some(PathBuf::from("/data/märz")),
        }
    }

    #[test]
    fn what_is_saved_is_read_again_and_changes_of_several_programs_add_up() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("state/places.toml");
        assert_eq!(read(&file).unwrap(), Places::default());
        std::thread::scope(|scope| {
            for letter in 'a'..='h' {
                let file = &file;
                scope.spawn(move || {
                    let change = PlaceChange::SetBookmark(letter, PathBuf::from("/data"));
                    apply(file, change).unwrap();
                });
            }
        });
        apply(&file, PlaceChange::SaveView(view("one"))).unwrap();
        apply(&file, PlaceChange::SaveView(view("two"))).unwrap();
        apply(&file, PlaceChange::RemoveView("one".to_owned())).unwrap();
        let places = apply(&file, PlaceChange::RemoveBookmark('b')).unwrap();
        assert_eq!(places.views, [view("two")]);
        let letters: String = places.bookmarks.keys().collect();
        assert_eq!(letters, "acdefgh");
        assert_eq!(read(&file).unwrap(), places);
        let left = std::fs::read_dir(home.path().join("state")).unwrap();
        assert_eq!(left.count(), 1);
    }

    #[test]
    fn a_file_with_a_mistake_is_named_with_its_line_and_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("places.toml");
        let text = "# mine\n[[view]]\nname = \"a\"\nsorted = \"name\"\n";
        std::fs::write(&file, text).unwrap();
        let error = apply(&file, PlaceChange::RemoveBookmark('a')).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("line 4") && error.contains("sorted"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}
