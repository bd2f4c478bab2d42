//! Choosing models on screen: downloading, stopping, resuming, and switching without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use tempfile::TempDir;

use crate::server::{HubBehaviour, Server, pause};
use crate::session::Session;

/// The second model in the list, after the built-in one.
const BIOMEDCLIP: &str = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224";

/// A tiny model of the same layout with random weights.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/biomedclip")
}

/// A home folder with one image to browse.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    let picture = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * y % 251) as u8]));
    picture.save(home.path().join("in/a.png")).unwrap();
    home
}

fn hub(behaviour: HubBehaviour) -> Server {
    Server::start(
        &fixture(),
        HubBehaviour {
            id: Some(BIOMEDCLIP),
            ..behaviour
        },
    )
}

/// Waits for the built-in model's result, opens the list, and moves the cursor to BiomedCLIP.
fn open_list(session: &mut Session) {
    session.shows("m medical model");
    session.until("the verdict of the built-in model", is_kind_only);
    session.press("m");
    session.shows("medsiglip");
    session.press("j");
    session.shows("Enter downloads 784 MB");
}

/// A session whose download the hub has paused in the middle.
struct PausedDownload {
    session: Session,
    home: TempDir,
    server: Server,
    /// Lets the hub continue.
    go: Sender<()>,
}

fn paused_download() -> PausedDownload {
    let (ends, stopped, go) = pause();
    let server = hub(HubBehaviour {
        pause: Some(ends),
        ..HubBehaviour::default()
    });
    let home = home();
    let environment = [("HF_ENDPOINT", server.endpoint.as_str())];
    let mut session = Session::start(home.path(), &environment);
    open_list(&mut session);
    session.press("\r");
    stopped.recv().unwrap();
    session.shows(" % of ");
    // Before a byte has arrived there is nothing to resume from.
    session.until("the first half", |_| has_partial(home.path()));
    PausedDownload {
        session,
        home,
        server,
        go,
    }
}

/// Whether the cache in a home folder holds a part of a file.
fn has_partial(home: &Path) -> bool {
    let model = format!("models--{}", BIOMEDCLIP.replace('/', "--"));
    let blobs = home
        .join(".cache/huggingface/hub")
        .join(model)
        .join("blobs");
    let files = fs::read_dir(blobs).into_iter().flatten().flatten();
    files
        .filter(|file| file.path().extension().is_some_and(|e| e == "incomplete"))
        .any(|file| file.metadata().is_ok_and(|data| data.len() > 0))
}

/// Whether only the kind of the image is told.
fn is_kind_only(screen: &str) -> bool {
    screen.contains("need a medical model")
}

/// Whether the image has a label and a probability of a model that judges findings.
fn is_classified(screen: &str) -> bool {
    if is_kind_only(screen) {
        return false;
    }
    let row = screen.lines().find(|line| line.contains("a.png  "));
    row.is_some_and(|row| row.contains('%'))
}

#[test]
fn the_previous_model_is_used_until_the_new_one_is_downloaded() {
    let PausedDownload {
        mut session,
        home,
        server: _server,
        go,
    } = paused_download();
    session.press("\x1b");
    session.until("the list closes and the download goes on", |screen| {
        !screen.contains("licence") && screen.contains("downloading biomedclip")
    });
    // The built-in model still classifies.
    session.press("c");
    session.until("the built-in model's verdict", is_kind_only);
    go.send(()).unwrap();
    session.until("results of the new model", is_classified);
    session.until("its name", |screen| screen.contains("microsoft/BiomedCLIP"));
    // Switching back needs no network.
    session.press("m");
    session.shows("in use");
    session.press("g\r");
    session.until("the built-in model's verdict", is_kind_only);
    assert_eq!(session.quit(), 0);
    // The downloaded model is now the default.
    let session = Session::start(home.path(), &[("HF_HUB_OFFLINE", "1")]);
    session.until("its name", |screen| screen.contains("microsoft/BiomedCLIP"));
    session.until("a result", is_classified);
    assert_eq!(session.quit(), 0);
}

#[test]
fn a_stopped_download_is_resumed() {
    let PausedDownload {
        mut session,
        server,
        go,
        home: _home,
    } = paused_download();
    session.press("\r");
    session.shows("download of biomedclip stopped");
    // Nothing more comes: otherwise all could be there before the download notices that it is to stop.
    drop(go);
    session.shows("Enter downloads 784 MB");
    session.press("\r");
    session.until("results of the new model", is_classified);
    assert_eq!(session.quit(), 0);
    let second = server.downloads().last().unwrap().range.clone();
    assert!(second.is_some(), "only the rest was downloaded");
}

/// A name, the hub's behaviour, the user's environment variables, and words of the expected message.
type Case = (
    &'static str,
    HubBehaviour,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn an_error_message_says_why_a_download_failed_and_what_to_do() {
    let cases: [Case; 4] = [
        (
            "gated",
            HubBehaviour {
                gated: true,
                ..HubBehaviour::default()
            },
            &[],
            &["is gated", "HF_TOKEN"],
        ),
        (
            "no space",
            HubBehaviour {
                size: Some(1 << 60),
                ..HubBehaviour::default()
            },
            &[],
            &["free some space", "HF_HOME"],
        ),
        (
            "damaged",
            HubBehaviour {
                lies: true,
                ..HubBehaviour::default()
            },
            &[],
            &["arrived damaged", "try again"],
        ),
        (
            "offline",
            HubBehaviour::default(),
            &[("HF_HUB_OFFLINE", "1")],
            &["forbids; pull it", "copy the cache"],
        ),
    ];
    for (case, behaviour, more, words) in cases {
        let server = hub(behaviour);
        let home = home();
        let mut environment = vec![("HF_ENDPOINT", server.endpoint.as_str())];
        environment.extend(more);
        let mut session = Session::start(home.path(), &environment);
        open_list(&mut session);
        session.press("\r");
        for word in words {
            // The message is wrapped.
            session.until(&format!("{case}: {word}"), |screen| {
                let words = screen.replace('│', " ");
                let words: Vec<&str> = words.split_whitespace().collect();
                words.join(" ").contains(word)
            });
        }
        // The program keeps its current model.
        session.press("\x1b");
        session.until("the list closes", |screen| screen.contains("q quit"));
        assert_eq!(session.quit(), 0, "{case}");
    }
}
