//! Models chosen on screen: fetched, stopped, taken up again, and taken into use without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use tempfile::TempDir;

use crate::server::{Moods, Server, pause};
use crate::session::Session;

/// The second of the list, after the one that is built in.
const BIOMEDCLIP: &str = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224";

/// A tiny model of that layout with random weights: its answers mean nothing, but they are computed.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/biomedclip")
}

/// A home folder with one picture to browse.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    let picture = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * y % 251) as u8]));
    picture.save(home.path().join("in/a.png")).unwrap();
    home
}

fn hub(moods: Moods) -> Server {
    Server::start(
        &fixture(),
        Moods {
            id: Some(BIOMEDCLIP),
            ..moods
        },
    )
}

/// The demo model is in use, the list open, and the cursor on BiomedCLIP.
fn choosing(session: &mut Session) {
    session.shows("m real model");
    session.until("the verdict of the demo model", |screen| {
        screen.contains("rejected")
    });
    session.press("m");
    session.shows("medsiglip");
    session.press("j");
    session.shows("Enter fetches 784 MB");
}

/// A download that the hub has stopped giving in the middle.
struct Half {
    session: Session,
    home: TempDir,
    server: Server,
    /// Has it go on.
    go: Sender<()>,
}

fn half() -> Half {
    let (ends, stopped, go) = pause();
    let server = hub(Moods {
        pause: Some(ends),
        ..Moods::default()
    });
    let home = home();
    let environment = [("HF_ENDPOINT", server.endpoint.as_str())];
    let mut session = Session::start(home.path(), &environment);
    choosing(&mut session);
    session.press("\r");
    stopped.recv().unwrap();
    session.shows(" % of ");
    Half {
        session,
        home,
        server,
        go,
    }
}

/// The picture has a label and a probability.
fn is_classified(screen: &str) -> bool {
    let row = screen.lines().find(|line| line.contains("a.png  "));
    row.is_some_and(|row| row.contains('%'))
}

#[test]
fn a_model_is_fetched_and_takes_over_while_the_one_before_answers() {
    let Half {
        mut session,
        home,
        server: _server,
        go,
    } = half();
    session.press("\x1b");
    session.until("the list closes and the download goes on", |screen| {
        !screen.contains("licence") && screen.contains("fetching biomedclip")
    });
    // The one in use still answers.
    session.press("c");
    session.until("the demo model's verdict", |screen| {
        screen.contains("rejected")
    });
    go.send(()).unwrap();
    session.until("results of the new model", is_classified);
    session.until("its name", |screen| screen.contains("microsoft/BiomedCLIP"));
    // It is also gone back from, without the network.
    session.press("m");
    session.shows("in use");
    session.press("g\r");
    session.shows("rejected");
    assert_eq!(session.quit(), 0);
    // Where no model is chosen and this one is there, it is used.
    let session = Session::start(home.path(), &[("HF_HUB_OFFLINE", "1")]);
    session.until("its name", |screen| screen.contains("microsoft/BiomedCLIP"));
    session.until("a result", is_classified);
    assert_eq!(session.quit(), 0);
}

#[test]
fn a_stopped_download_is_gone_on_with() {
    let Half {
        mut session,
        server,
        go,
        home: _home,
    } = half();
    session.press("\r");
    session.shows("stopped fetching biomedclip");
    go.send(()).unwrap();
    session.shows("Enter fetches 784 MB");
    session.press("\r");
    session.until("results of the new model", is_classified);
    assert_eq!(session.quit(), 0);
    let second = server.downloads().last().unwrap().range.clone();
    assert!(second.is_some(), "only the rest was fetched");
}

/// What it is, the hub's mood, the user's variables, and what is said.
type Case = (
    &'static str,
    Moods,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn what_keeps_a_model_away_is_said_with_what_to_do() {
    let cases: [Case; 4] = [
        (
            "gated",
            Moods {
                gated: true,
                ..Moods::default()
            },
            &[],
            &["is gated", "HF_TOKEN"],
        ),
        (
            "no space",
            Moods {
                size: Some(1 << 60),
                ..Moods::default()
            },
            &[],
            &["free some space", "HF_HOME"],
        ),
        (
            "damaged",
            Moods {
                lies: true,
                ..Moods::default()
            },
            &[],
            &["arrived damaged", "try again"],
        ),
        (
            "offline",
            Moods::default(),
            &[("HF_HUB_OFFLINE", "1")],
            &["forbids; pull it", "copy the cache"],
        ),
    ];
    for (case, moods, more, words) in cases {
        let server = hub(moods);
        let home = home();
        let mut environment = vec![("HF_ENDPOINT", server.endpoint.as_str())];
        environment.extend(more);
        let mut session = Session::start(home.path(), &environment);
        choosing(&mut session);
        session.press("\r");
        for word in words {
            // Sentences are broken into lines.
            session.until(&format!("{case}: {word}"), |screen| {
                let words = screen.replace('│', " ");
                let words: Vec<&str> = words.split_whitespace().collect();
                words.join(" ").contains(word)
            });
        }
        // The program goes on with the model it has.
        session.press("\x1b");
        session.until("the list closes", |screen| screen.contains("q quit"));
        assert_eq!(session.quit(), 0, "{case}");
    }
}
