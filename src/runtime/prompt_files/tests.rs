use std::fs;

use crossbeam_channel::{Receiver, unbounded};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn text(phrase: &str) -> String {
    format!(
        "name = \"ward\"\n[[condition]]\nname = \"haze\"\nphrases = [\"{phrase}\"]\n\
         [[condition]]\nname = \"clear\"\nphrases = [\"clear lungs\"]\n"
    )
}

/// The phrases of the set `ward`; none if there is no such set.
fn phrases(prompts: &Prompts) -> Vec<String> {
    let mut sets = prompts.sets().iter();
    let ward = sets.find(|set| set.name == "ward");
    ward.map_or_else(Vec::new, |ward| ward.conditions[0].phrases.clone())
}

struct Watching {
    watch: PromptWatch,
    messages: Receiver<Msg>,
    folder: tempfile::TempDir,
}

impl Watching {
    /// Watches the file `ward.toml` alone, or all sets of its folder.
    fn start(auto: bool) -> Self {
        let folder = tempfile::tempdir().expect("made");
        let file = folder.path().join("ward.toml");
        fs::write(&file, text("haze")).expect("written");
        let name = if auto {
            "auto"
        } else {
            file.to_str().expect("text")
        };
        let prompts = Prompts::select(name, Some(folder.path())).expect("right");
        let (sender, messages) = unbounded();
        let send: MsgSender = Arc::new(move |msg| sender.send(msg).is_ok());
        let watch = PromptWatch::start(prompts, Some(folder.path().to_owned()), send);
        Self {
            watch,
            messages,
            folder,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ward.toml")
    }

    /// The next report.
    fn report(&self) -> (u64, Option<Prompts>, Option<String>) {
        match self.messages.recv_timeout(DEADLINE).expect("a report") {
            Msg::PromptsEdited {
                revision,
                prompts,
                fault,
            } => (revision, prompts, fault),
            other => panic!("{other:?}"),
        }
    }

    /// The phrases of the next prompts reported.
    fn edited(&self) -> Vec<String> {
        let (_, prompts, fault) = self.report();
        assert_eq!(fault, None);
        phrases(&prompts.expect("other prompts"))
    }
}

#[test]
fn a_set_is_read_again_when_it_is_written_or_replaced() {
    for auto in [false, true] {
        let watching = Watching::start(auto);
        fs::write(watching.file(), text("a hazy lung")).expect("written");
        assert_eq!(watching.edited(), ["a hazy lung"], "auto: {auto}");
        let other = watching.folder.path().join(".ward.toml.swp");
        fs::write(&other, text("grey lung")).expect("written");
        fs::remove_file(watching.file()).expect("removed");
        fs::rename(&other, watching.file()).expect("renamed");
        assert_eq!(watching.edited(), ["grey lung"], "auto: {auto}");
    }
}

#[test]
fn an_invalid_set_is_reported_with_its_line_until_it_is_valid() {
    for auto in [false, true] {
        let watching = Watching::start(auto);
        fs::write(watching.file(), "name = \"ward\"\ntemplates = 7\n").expect("written");
        let (_, prompts, fault) = watching.report();
        let fault = fault.expect("an error");
        assert!(prompts.is_none(), "the old set stays");
        assert!(fault.contains("ward.toml:"), "{fault}");
        // As it was before.
        fs::write(watching.file(), text("haze")).expect("written");
        let (_, prompts, fault) = watching.report();
        assert!(prompts.is_none() && fault.is_none());
    }
}

#[test]
fn a_file_that_stays_away_is_reported() {
    let watching = Watching::start(false);
    fs::remove_file(watching.file()).expect("removed");
    let (_, prompts, fault) = watching.report();
    assert!(prompts.is_none());
    let fault = fault.expect("an error");
    assert!(fault.contains("ward.toml"), "{fault}");
}

#[test]
fn with_auto_a_set_that_is_added_or_removed_counts() {
    let watching = Watching::start(true);
    fs::remove_file(watching.file()).expect("removed");
    assert!(watching.edited().is_empty(), "the set is gone");
    fs::write(watching.file(), text("haze")).expect("written");
    assert_eq!(watching.edited(), ["haze"]);
}

#[test]
fn the_set_chosen_last_is_watched() {
    let watching = Watching::start(false);
    let other = watching.folder.path().join("other.toml");
    fs::write(&other, text("haze")).expect("written");
    let name = other.to_str().expect("text");
    let prompts = Prompts::select(name, None).expect("right");
    watching.watch.set(prompts, 4);
    fs::write(&other, text("a hazy lung")).expect("written");
    let (revision, prompts, _) = watching.report();
    assert_eq!(revision, 4);
    assert_eq!(phrases(&prompts.expect("other prompts")), ["a hazy lung"]);
}
