//! The real event loop, with injected keys, a screen of cells, and a model that is slow, fails or panics.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use jiff::tz::TimeZone;
use medivision_tui::app::mix::MixSetting;
use medivision_tui::app::{Graphics, Keymap, Model, ReviewSetup, Setup, Theme};
use medivision_tui::encoder::{Encoder, EncoderError, ModelCard, PreparedImage, Preprocess};
use medivision_tui::engine::{self, FrameSelection, Settings};
use medivision_tui::graphics::{GraphicsSetup, ImagePainter, Output, Screen};
use medivision_tui::learn::LearnedSets;
use medivision_tui::prompts::Prompts;
use medivision_tui::rules::Rules;
use medivision_tui::runtime::{ChoiceSources, FolderStateStore, Loop, Services};
use medivision_tui::scoring::Mode;
use medivision_tui::scoring::calibration::Calibrations;
use medivision_tui::ui;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::Notify;

/// How long a test waits for a condition.
const DEADLINE: Duration = Duration::from_secs(30);

/// The frame drawn last, for the test to inspect.
#[derive(Clone, Default)]
struct DrawnFrame {
    text: Arc<Mutex<String>>,
    drawn: Arc<Notify>,
    /// Whether the terminal is gone, so that drawing fails.
    broken: Arc<AtomicBool>,
}

impl DrawnFrame {
    /// Waits until the screen satisfies `wanted`.
    async fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let found = async {
            loop {
                let drawn = self.drawn.notified();
                if wanted(&self.text.lock().expect("whole")) {
                    return;
                }
                drawn.await;
            }
        };
        assert!(
            tokio::time::timeout(DEADLINE, found).await.is_ok(),
            "{what} did not appear:\n{}",
            self.text.lock().expect("whole")
        );
    }

    async fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contains(text)).await;
    }
}

/// A screen of cells.
struct Cells {
    terminal: Terminal<TestBackend>,
    seen: DrawnFrame,
}

impl Screen for Cells {
    fn is_idle(&self) -> bool {
        true
    }

    async fn wait_idle(&mut self) {}

    fn draw(&mut self, model: &Model) -> io::Result<bool> {
        if self.seen.broken.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let Ok(_) = self
            .terminal
            .draw(|frame| ui::view(model, frame, &ImagePainter::default()));
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width);
        let text = rows.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
                + "\n"
        });
        *self.seen.text.lock().expect("whole") = text.collect();
        self.seen.drawn.notify_waiters();
        Ok(false)
    }

    fn copy(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn ring(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn run(&mut self, command: &mut Command) -> io::Result<()> {
        command.status().map(drop)
    }

    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn resume(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn clear(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<(u16, u16)> {
        Ok((100, 30))
    }
}

/// How the fake model behaves.
#[derive(Clone)]
enum Behaviour {
    Answer,
    Panic,
    /// Signals that a forward pass has begun, and waits until the other end is dropped.
    Wait(
        tokio::sync::mpsc::UnboundedSender<()>,
        crossbeam_channel::Receiver<()>,
    ),
}

struct FakeModel(ModelCard, Behaviour);

impl Encoder for FakeModel {
    fn card(&self) -> &ModelCard {
        &self.0
    }

    fn preprocess(&self) -> Preprocess {
        Preprocess::from_json(br#"{"size": 8, "crop_size": 8}"#, Path::new("test")).expect("right")
    }

    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        match &self.1 {
            Behaviour::Answer => {}
            Behaviour::Panic => panic!("the model fails"),
            Behaviour::Wait(begun, until) => {
                let _ = begun.send(());
                let _ = until.recv();
            }
        }
        Ok(batch.iter().map(|_| vec![1.0, 0.0]).collect())
    }

    /// The first condition matches every image.
    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let found = |text: &String| text.contains("pneumonia") || text.contains("lung");
        Ok(texts
            .iter()
            .map(|text| {
                if found(text) {
                    vec![1.0, 0.0]
                } else {
                    vec![0.0, 1.0]
                }
            })
            .collect())
    }

    fn unknown_words(&self, _: &[String]) -> Vec<String> {
        Vec::new()
    }
}

/// The keyboard of a running interface.
struct Keys(UnboundedSender<io::Result<Input>>);

impl Keys {
    fn press(&self, code: KeyCode) {
        let event = Input::Key(KeyEvent::new(code, KeyModifiers::NONE));
        self.0.unbounded_send(Ok(event)).expect("the loop runs");
    }

    fn letter(&self, letter: char) {
        self.press(KeyCode::Char(letter));
    }
}

/// Runs the interface on `root` while `script` plays. Returns whether the engine was joined in time.
fn play<F: Future<Output = ()>>(
    root: &Path,
    behaviour: Option<Behaviour>,
    script: impl FnOnce(Keys, DrawnFrame) -> F,
) -> bool {
    let (result, joined) = play_to_the_end(root, behaviour, None, script);
    result.expect("an orderly end");
    joined
}

/// Like [`play`], but returns the result, and may save folder states to a store.
fn play_to_the_end<F: Future<Output = ()>>(
    root: &Path,
    behaviour: Option<Behaviour>,
    store: Option<FolderStateStore>,
    script: impl FnOnce(Keys, DrawnFrame) -> F,
) -> (io::Result<()>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("starts");
    let settings = Settings {
        prompts: Prompts::select("general", None).expect("ships"),
        mode: Mode::Single,
        calibrations: Calibrations::default(),
        learned: LearnedSets::default(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: Some(1),
        exact: false,
        pass_time: engine::INTERACTIVE_PASS_TIME,
        library: None,
        stores_results: true,
    };
    let factory = Box::new(move || match behaviour.clone() {
        None => Err(EncoderError::MissingTensor("logit_scale".into())),
        Some(behaviour) => {
            let card = ModelCard {
                id: "fake".into(),
                digest: "blake3:0".into(),
                device: "cpu".into(),
                dimension: 2,
                logit_scale: 10.0,
                logit_bias: None,
                builtin: None,
                kinds: &[],
            };
            Ok(Box::new(FakeModel(card, behaviour)) as Box<dyn Encoder>)
        }
    });
    let setup = Setup {
        root: root.to_owned(),
        file: None,
        theme: Theme::None,
        keymap: Keymap::new(&std::collections::BTreeMap::new()).expect("sound"),
        folder_state: medivision_tui::app::FolderState::default(),
        show_phi: false,
        library: false,
        rules: Rules::default(),
        worklist: false,
        review: ReviewSetup::default(),
        prompts: settings.prompts.clone(),
        mode: Mode::Single,
        offers_model: false,
        language_model: None,
        mix: MixSetting::default(),
        zone: TimeZone::UTC,
    };
    let (mut services, received) = Services::start(factory, settings).expect("starts");
    services.set_choices(ChoiceSources {
        prompts: Some(root.join(".prompts")),
        ..ChoiceSources::default()
    });
    let seen = DrawnFrame::default();
    let Ok(terminal) = Terminal::new(TestBackend::new(100, 30));
    let mut screen = Cells {
        terminal,
        seen: seen.clone(),
    };
    services.persist_folders(store).expect("starts");
    let result = runtime.block_on(async {
        let mut interface = Loop::start(setup, &mut screen).expect("drawn");
        let graphics_setup = GraphicsSetup {
            graphics: Graphics::Halfblocks,
            output: Output::default(),
        };
        services.start_previews(graphics_setup).expect("starts");
        let (sender, input) = unbounded();
        let running = interface.run(&mut services, received, &mut screen, input);
        let (result, ()) = tokio::join!(running, script(Keys(sender), seen));
        result
    });
    (result, services.shutdown())
}

fn picture(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    image::GrayImage::from_pixel(9, 7, image::Luma([80]))
        .save(&path)
        .expect("written");
    path
}

/// A folder with `count` images.
fn folder(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("made");
    for n in 0..count {
        picture(folder.path(), &format!("{n}.png"));
    }
    folder
}

#[test]
fn existing_files_are_classified_and_shown() {
    let folder = folder(3);
    let joined = play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            seen.until("three results", |screen| {
                screen.matches(" pneumonia").count() >= 4
            })
            .await;
            keys.letter('j');
            seen.shows(" 2/3 ").await;
            keys.letter('?');
            seen.shows("Help").await;
            keys.press(KeyCode::Esc);
            seen.until("the list again", |screen| !screen.contains("Help"))
                .await;
            keys.letter('q');
        },
    );
    assert!(joined);
}

#[test]
fn a_folder_under_the_cursor_shows_its_images_and_their_number() {
    let folder = folder(1);
    let below = folder.path().join("below");
    std::fs::create_dir_all(below.join("deeper")).expect("made");
    for name in ["x.png", "y.png", "deeper/z.png"] {
        picture(&below, name);
    }
    play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            seen.shows("below/").await;
            keys.letter('g');
            seen.shows("3 images").await;
            seen.shows("3, most urgent first").await;
            // An ellipsis stands by itself in a tile until its image is there.
            seen.until("three images", |screen| !screen.contains(" … "))
                .await;
            keys.letter('j');
            seen.until("the file's own image", |screen| {
                !screen.contains("most urgent first") && screen.contains("9 × 7")
            })
            .await;
            keys.letter('q');
        },
    );
}

#[test]
fn an_arriving_file_is_classified_without_moving_the_cursor() {
    let folder = folder(2);
    let path = folder.path().to_owned();
    play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            seen.shows("watching").await;
            // Watching may begin before the folder is read.
            seen.shows(" 1/2 ").await;
            keys.letter('j');
            seen.shows(" 2/2 ").await;
            let whole = picture(&path, ".0a.png");
            std::fs::rename(whole, path.join("0a.png")).expect("renamed");
            seen.shows("0a.png").await;
            seen.shows(" 3/3 ").await; // the same file, one row further down
            seen.until("its result", |screen| {
                screen
                    .lines()
                    .any(|line| line.contains("0a.png") && line.contains("pneumonia"))
            })
            .await;
            std::fs::remove_file(path.join("0a.png")).expect("removed");
            seen.until("its end", |screen| !screen.contains("0a.png"))
                .await;
            seen.shows(" 2/2 ").await;
            keys.letter('q');
        },
    );
}

#[test]
fn folder_states_are_saved_even_if_the_terminal_fails() {
    let (folder, home) = (folder(3), tempfile::tempdir().expect("made"));
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("made");
    picture(&below, "x.png");
    picture(&below, "y.png");
    let store = FolderStateStore::at(home.path().join("folders"));
    let kept = || Some(store.clone());
    let (result, _) = play_to_the_end(folder.path(), None, kept(), async |keys, seen| {
        seen.shows(" 1/4 ").await;
        keys.press(KeyCode::Enter);
        seen.shows(" 1/2 ").await;
        keys.letter('S');
        seen.shows("↑ name").await;
        seen.broken.store(true, Ordering::Relaxed);
        keys.letter('j');
    });
    assert!(result.is_err(), "nothing could be drawn");
    let (result, _) = play_to_the_end(folder.path(), None, kept(), async |keys, seen| {
        seen.shows(" 1/4 ").await;
        keys.press(KeyCode::Enter);
        seen.shows("↑ name  2/2 ").await;
        keys.letter('q');
    });
    assert!(result.is_ok());
}

#[test]
fn a_model_that_cannot_be_loaded_is_reported_and_browsing_continues() {
    let folder = folder(2);
    play(folder.path(), None, async |keys, seen| {
        seen.shows("no model").await;
        // The model may fail before the folder is read.
        seen.shows(" 1/2 ").await;
        keys.letter('j');
        seen.shows(" 2/2 ").await;
        keys.letter('q');
    });
}

#[test]
fn a_panic_in_the_model_fails_its_files_but_not_the_program() {
    let folder = folder(1);
    play(folder.path(), Some(Behaviour::Panic), async |keys, seen| {
        seen.shows("failed").await;
        keys.letter('e');
        seen.shows("internal error; see the log").await;
        keys.press(KeyCode::Esc);
        keys.letter('q');
    });
}

#[test]
fn a_slow_model_delays_neither_keys_nor_shutdown() {
    let folder = folder(3);
    let (hold, until) = crossbeam_channel::bounded::<()>(0);
    let (begun, mut passes) = tokio::sync::mpsc::unbounded_channel();
    let slow = Behaviour::Wait(begun, until);
    let joined = play(folder.path(), Some(slow), async |keys, seen| {
        passes.recv().await.expect("a pass begins");
        // It may begin before the folder is read.
        seen.shows(" 1/3 ").await;
        keys.letter('j');
        seen.shows(" 2/3 ").await;
        keys.letter('q');
    });
    assert!(!joined, "the pass is left behind");
    drop(hold);
}

#[test]
fn the_reason_why_a_file_failed_is_shown() {
    let folder = folder(1);
    std::fs::write(folder.path().join("bad.png"), b"\x89PNG\r\n\x1a\n rubbish").expect("written");
    play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            keys.letter('G');
            seen.until("the failure", |screen| {
                screen
                    .lines()
                    .any(|line| line.contains("bad.png") && line.contains("malformed"))
            })
            .await;
            keys.letter('e');
            seen.shows("PNG").await;
            keys.press(KeyCode::Esc);
            keys.letter('q');
        },
    );
}

#[test]
fn the_program_ends_with_its_input() {
    let folder = folder(1);
    play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            seen.shows("0.png").await;
            drop(keys);
        },
    );
}

#[test]
fn a_new_prompt_set_changes_every_result() {
    let folder = folder(3);
    let own = folder.path().join(".prompts");
    std::fs::create_dir(&own).expect("made");
    let ward = "name = \"ward\"\n[[condition]]\nname = \"haze\"\nphrases = [\"a hazy lung\"]\n\
                [[condition]]\nname = \"clear\"\nphrases = [\"all is clear\"]\n";
    std::fs::write(own.join("ward.toml"), ward).expect("written");
    play(
        folder.path(),
        Some(Behaviour::Answer),
        async |keys, seen| {
            seen.until("three results", |screen| {
                screen.matches(" pneumonia").count() >= 4
            })
            .await;
            keys.letter('p');
            seen.shows("ward").await;
            keys.letter('G');
            keys.press(KeyCode::Enter);
            seen.until("results of the other prompts", |screen| {
                screen.matches(" haze").count() >= 4 && !screen.contains("pneumonia")
            })
            .await;
            // Later results use it, too.
            keys.letter('c');
            seen.shows("haze").await;
            keys.letter('q');
        },
    );
}
