//! What the tests say to the program, and what they look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use image::{DynamicImage, GrayImage, Luma};
use jiff::tz::TimeZone;
use medivision_tui::app::mix::MixSetting;
use medivision_tui::app::text;
use medivision_tui::app::{
    self, Effect, EncodedImage, Entry, EntryKind, FolderState, FoundFile, Graphics, Keymap,
    LanguageModel, MarkedFigure, Model, Msg, PixelValue, Preview, PreviewKey, Previewed,
    RelatedContent, ReviewSetup, Scene, Setup, Stamp, Theme, VolumeView,
};
use medivision_tui::engine::{Event, Job};
use medivision_tui::graphics::{ImagePainter, half_blocks};
use medivision_tui::jobs::{JobCommand, retry};
use medivision_tui::library::{Failure, NOTICE, Outcome, Record};
use medivision_tui::media::PixelRect;
use medivision_tui::media::measure::{Measured, RegionStatistics};
use medivision_tui::media::volume::{PlaneAxes, PlanePanel, ReformatPlane};
use medivision_tui::media::{
    Caption, DicomInfo, DicomOrigin, ErrorKind, FileContent, FileFormat, FrameOrder, Geometry,
    Histogram, ImageInfo, NamedWindow, Spacing, Voi, Warnings, Window, WindowSource,
};
use medivision_tui::prompts::{PromptSet, Prompts};
use medivision_tui::rules::Rules;
use medivision_tui::scoring::{Decision, Mode, Score, Verdict};
use medivision_tui::ui;
use medivision_tui::view::placement;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui_image::{FontSize, Resize};

/// The folder of all scenes.
pub const ROOT: &str = "/studies/march";

/// A program under test, with all it has asked for so far.
/// A prompt set with the conditions of [`record`], in another order than by score.
pub fn prompts() -> Prompts {
    let condition = |name: &str| {
        format!("[[condition]]\nname = \"{name}\"\nphrases = [\"a picture of {name}\"]\n")
    };
    let conditions: String = ["normal", "pneumonia", "tumor", "fracture"]
        .map(condition)
        .concat();
    let set = PromptSet::parse(&format!("name = \"general\"\n{conditions}"), "general.toml");
    Prompts::only(set.expect("a prompt set"))
}

pub struct Program {
    pub model: Model,
    pub effects: Vec<Effect>,
    now: Duration,
}

impl Program {
    /// Started on a screen of this size with a terminal that draws half blocks.
    pub fn new(cols: u16, rows: u16) -> Self {
        let mut program = Self::bare();
        program.send(Msg::Resized { cols, rows });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    /// Started; nothing is known yet, not even the terminal.
    pub fn bare() -> Self {
        Self::left(FolderState::default())
    }

    /// Started where the root was left so; nothing else is known yet.
    pub fn left(kept: FolderState) -> Self {
        Self::start(kept, Theme::Dark)
    }

    /// Started with other colours; nothing is known yet.
    pub fn themed(theme: Theme) -> Self {
        Self::start(FolderState::default(), theme)
    }

    /// Started on a screen of 80 × 24 cells, with a library.
    pub fn with_library() -> Self {
        let mut program = Self::begin(FolderState::default(), Theme::Dark, true, Rules::default());
        program.send(Msg::Resized { cols: 80, rows: 24 });
        program
    }

    /// Started on a screen of 100 × 24 cells, with rules.
    pub fn with_rules(rules: Rules) -> Self {
        let mut program = Self::begin(FolderState::default(), Theme::Dark, false, rules);
        program.send(Msg::Resized {
            cols: 100,
            rows: 24,
        });
        program
    }

    /// Started with the worklist on a screen of 100 × 24 cells.
    pub fn with_worklist() -> Self {
        let mut program = Self::begin_with(|setup| setup.worklist = true);
        program.send(Msg::Resized {
            cols: 100,
            rows: 24,
        });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    /// Started on a screen of 160 × 50 cells, where a model for findings is still to be offered, or was.
    pub fn offering(offers_model: bool) -> Self {
        let mut program = Self::begin_with(|setup| setup.offers_model = offers_model);
        program.send(Msg::Resized {
            cols: 160,
            rows: 50,
        });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    /// Started on a screen of 100 × 24 cells, with a language model, or what is wrong with it.
    pub fn with_language_model(model: Result<LanguageModel, String>) -> Self {
        let mut program = Self::begin_with(|setup| setup.language_model = Some(model));
        program.send(Msg::Resized {
            cols: 100,
            rows: 24,
        });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    /// Started on a screen of 100 × 24 cells, with a library and a reviewer.
    pub fn reviewing(reviewer: &str, blind: bool) -> Self {
        Self::begin_review(reviewer, blind, prompts())
    }

    /// The same, not blind, with these prompts.
    pub fn reviewing_under(reviewer: &str, prompts: Prompts) -> Self {
        Self::begin_review(reviewer, false, prompts)
    }

    fn begin_review(reviewer: &str, blind: bool, prompts: Prompts) -> Self {
        let mut program = Self::begin_with(|setup| {
            setup.library = true;
            setup.prompts = prompts;
            setup.review = ReviewSetup {
                reviewer: reviewer.to_owned(),
                blind,
            };
        });
        program.send(Msg::Resized {
            cols: 100,
            rows: 24,
        });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    /// Started with a setting of adjusting on a terminal that draws half blocks, of no size yet.
    pub fn adjusting(mix: MixSetting) -> Self {
        let mut program = Self::begin_with(|setup| setup.mix = mix);
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program
    }

    fn start(kept: FolderState, theme: Theme) -> Self {
        Self::begin(kept, theme, false, Rules::default())
    }

    fn begin(kept: FolderState, theme: Theme, library: bool, rules: Rules) -> Self {
        Self::begin_with(|setup| {
            (setup.folder_state, setup.theme) = (kept, theme);
            (setup.library, setup.rules) = (library, rules);
        })
    }

    fn begin_with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            root: PathBuf::from(ROOT),
            file: None,
            theme: Theme::Dark,
            keymap: Keymap::new(&BTreeMap::new()).expect("the default keys are valid"),
            folder_state: FolderState::default(),
            show_phi: false,
            library: false,
            rules: Rules::default(),
            worklist: false,
            review: ReviewSetup::default(),
            prompts: prompts(),
            mode: Mode::Single,
            offers_model: false,
            language_model: None,
            mix: MixSetting::default(),
            zone: TimeZone::UTC,
        };
        change(&mut setup);
        let (model, effects) = app::init(setup);
        Self {
            model,
            effects,
            now: Duration::ZERO,
        }
    }

    /// Sends a message; what it asks for is returned and remembered.
    pub fn send(&mut self, msg: Msg) -> Vec<Effect> {
        let effects = app::update(&mut self.model, msg);
        self.effects.extend(effects.clone());
        effects
    }

    /// The engine answers the prompts that it was asked for last.
    pub fn engine_uses(&mut self, mut event: Event) -> Vec<Effect> {
        let asked = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::UsePrompts { revision, .. } => Some(*revision),
            _ => None,
        });
        if let (
            Event::Prompts { revision, .. } | Event::PromptsFailed { revision, .. },
            Some(asked),
        ) = (&mut event, asked)
        {
            *revision = asked;
        }
        self.send(Msg::Engine(event))
    }

    /// Presses keys, one for each character.
    pub fn press(&mut self, keys: &str) -> Vec<Effect> {
        keys.chars()
            .flat_map(|c| self.send(key(KeyCode::Char(c))))
            .collect()
    }

    /// Lets time pass as the runtime does: ticks while the model asks for them, at most for a second.
    pub fn rest(&mut self) -> Vec<Effect> {
        let (end, mut effects) = (self.now + Duration::from_secs(1), Vec::new());
        while self.now < end {
            let Some(step) = self.model.next_tick() else {
                break;
            };
            self.now += step;
            effects.extend(self.send(Msg::Tick(self.now)));
        }
        effects
    }

    /// Answers the listing asked for last.
    pub fn list(&mut self, entries: Vec<Entry>) {
        let (dir, generation) = self.listing();
        self.send(Msg::Listed {
            dir,
            generation,
            entries,
            complete: true,
        });
    }

    /// What the last listing was asked with.
    pub fn listing(&self) -> (PathBuf, u64) {
        let find = |effect: &Effect| match effect {
            Effect::List { dir, generation } => Some((dir.clone(), *generation)),
            _ => None,
        };
        self.effects
            .iter()
            .rev()
            .find_map(find)
            .expect("a listing was asked for")
    }

    /// Answers the scan asked for last.
    pub fn scan(&mut self, names: &[&str]) -> Vec<Effect> {
        let files = names
            .iter()
            .map(|name| FoundFile {
                path: path(name),
                stamp: stamp(1),
            })
            .collect();
        let generation = self.scanning();
        self.send(Msg::Scanned {
            generation,
            files,
            complete: true,
        })
    }

    /// What the last scan was asked with.
    pub fn scanning(&self) -> u64 {
        let find = |effect: &Effect| match effect {
            Effect::Scan { generation, .. } => Some(*generation),
            _ => None,
        };
        self.effects
            .iter()
            .rev()
            .find_map(find)
            .expect("a scan was asked for")
    }

    /// The preview asked for last, unless it was called off.
    pub fn wanted(&self) -> Option<PreviewKey> {
        let find = |effect: &Effect| match effect {
            Effect::Preview(key) => Some(Some(key.clone())),
            Effect::CancelPreview => Some(None),
            _ => None,
        };
        self.effects.iter().rev().find_map(find).flatten()
    }

    /// Answers the preview asked for last with a picture.
    pub fn show(&mut self) {
        if let Some(key) = self.wanted() {
            self.send(previewed(key));
        }
    }

    /// Answers the preview asked for last with a picture of this file.
    pub fn show_as(&mut self, film: &Film) -> Vec<Effect> {
        let key = self.wanted().expect("a preview is wanted");
        self.send(previewed_as(key, film))
    }

    /// The pictures of the comparison's sides asked for last.
    pub fn sides(&self) -> [Option<PreviewKey>; 2] {
        [0, 1].map(|wanted| {
            let find = |effect: &Effect| match effect {
                Effect::PreviewSide { side, key } if *side == wanted => {
                    Some(key.as_deref().cloned())
                }
                _ => None,
            };
            self.effects.iter().rev().find_map(find).flatten()
        })
    }

    /// Answers the pictures of the comparison's sides asked for last.
    pub fn show_sides(&mut self) {
        self.show_sides_as([&Film::default(), &Film::default()]);
    }

    /// Answers the pictures of the comparison's sides asked for last with pictures of these files.
    pub fn show_sides_as(&mut self, films: [&Film; 2]) {
        for (side, (key, film)) in self.sides().into_iter().zip(films).enumerate() {
            let Some(key) = key else { continue };
            if let Msg::Previewed(previewed) = previewed_as(key, film) {
                self.send(Msg::SidePreviewed { side, previewed });
            }
        }
    }

    /// The small pictures asked for last.
    pub fn tiles(&self) -> Vec<PreviewKey> {
        let find = |effect: &Effect| match effect {
            Effect::Tiles(keys) => Some(keys.clone()),
            _ => None,
        };
        self.effects.iter().rev().find_map(find).unwrap_or_default()
    }

    /// Answers the small pictures asked for last.
    pub fn show_tiles(&mut self) {
        for key in self.tiles() {
            self.send(tile(key));
        }
    }

    /// The generation under which a file was handed over last.
    pub fn asked(&self, name: &str) -> Option<u64> {
        let jobs = started(&self.effects);
        let job = jobs.iter().rev().find(|job| job.path == path(name))?;
        Some(job.generation)
    }

    /// The files among those handed over that these effects let go ahead.
    pub fn promoted(&self, effects: &[Effect]) -> Vec<PathBuf> {
        let jobs = started(&self.effects);
        let promoted = commands(effects).filter_map(|command| match command {
            JobCommand::Promote(generation) => {
                jobs.iter().find(|job| job.generation == *generation)
            }
            _ => None,
        });
        promoted.map(|job| job.path.clone()).collect()
    }

    /// The engine answers for a file.
    pub fn answer(&mut self, name: &str, outcome: Outcome) {
        let generation = self
            .asked(name)
            .unwrap_or_else(|| panic!("{name} was never handed over"));
        self.send(done(name, generation, outcome));
    }

    /// The engine fails with a file that came, until it is given up.
    pub fn give_up(&mut self, name: &str, outcome: &Outcome) {
        for _ in 0..=retry::WAITS.len() {
            self.answer(name, outcome.clone());
            for _ in 0..5 {
                self.rest();
            }
        }
    }

    /// The model is ready, on the CPU.
    pub fn ready(&mut self, is_builtin: bool) -> Vec<Effect> {
        let model = if is_builtin {
            "builtin"
        } else {
            "clip-vit-b32"
        };
        self.send(Msg::Engine(Event::Ready {
            model: model.to_owned(),
            device: "cpu".to_owned(),
            prompts: "general".to_owned(),
            is_builtin,
            warnings: Vec::new(),
        }))
    }

    /// The cells on screen.
    pub fn buffer(&self, cols: u16, rows: u16) -> Buffer {
        let mut terminal =
            Terminal::new(TestBackend::new(cols, rows)).expect("the test terminal never fails");
        terminal
            .draw(|frame| ui::view(&self.model, frame, &ImagePainter::default()))
            .expect("the test terminal never fails");
        terminal.backend().buffer().clone()
    }

    /// The cells on screen as text, blanks at the ends of lines taken off.
    pub fn screen(&self, cols: u16, rows: u16) -> String {
        let buffer = self.buffer(cols, rows);
        let line = |y| {
            let (mut line, mut x) = (String::new(), 0);
            while let Some(cell) = buffer.cell((x, y)).filter(|_| x < cols) {
                line.push_str(cell.symbol());
                // The cell behind a wide character belongs to it.
                x += text::width(cell.symbol()).max(1) as u16;
            }
            line.trim_end().to_owned()
        };
        (0..rows).map(line).collect::<Vec<_>>().join("\n")
    }
}

fn commands(effects: &[Effect]) -> impl Iterator<Item = &JobCommand> {
    let jobs = effects.iter().filter_map(|effect| match effect {
        Effect::Jobs(commands) => Some(commands),
        _ => None,
    });
    jobs.flatten()
}

/// What is handed to the engine.
pub fn started(effects: &[Effect]) -> Vec<Job> {
    let jobs = commands(effects).filter_map(|command| match command {
        JobCommand::Start(job) => Some(job.clone()),
        _ => None,
    });
    jobs.collect()
}

pub fn key(code: KeyCode) -> Msg {
    Msg::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

pub fn alt(c: char) -> Msg {
    Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT))
}

pub fn shift(code: KeyCode) -> Msg {
    Msg::Key(KeyEvent::new(code, KeyModifiers::SHIFT))
}

pub fn ctrl(c: char) -> Msg {
    Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

/// Under the root.
pub fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// A file changed for the `version`th time.
pub fn stamp(version: u64) -> Stamp {
    Stamp {
        modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(version)),
        size: version,
    }
}

pub fn file(name: &str) -> Entry {
    Entry {
        path: path(name),
        kind: EntryKind::File,
        stamp: stamp(1),
    }
}

pub fn folder(name: &str) -> Entry {
    Entry {
        path: path(name),
        kind: EntryKind::Folder,
        stamp: stamp(1),
    }
}

pub fn done(name: &str, generation: u64, outcome: Outcome) -> Msg {
    Msg::Engine(Event::Done {
        path: path(name),
        generation,
        outcomes: vec![outcome],
    })
}

pub fn failure(kind: ErrorKind, message: &str) -> Outcome {
    Err(Failure {
        kind,
        message: message.to_owned(),
        content: FileContent::Image,
    })
}

#[allow(clippy::unnecessary_wraps)] // The engine's outcome, beside `failure`.
/// A result: the four conditions of `general`, `label` first.
pub fn record(label: &str, probability: f64, decision: Decision) -> Outcome {
    let others = ["normal", "pneumonia", "tumor", "fracture"]
        .into_iter()
        .filter(|name| *name != label);
    let mut rest = 1.0 - probability;
    let mut scores = vec![score(label, probability)];
    for name in others {
        rest /= 2.0;
        scores.push(score(name, rest));
    }
    let description = match label {
        "pneumonia" => "Hazy or patchy opacities, suggesting pneumonia.",
        "fracture" => "A break in the continuity of a bone.",
        _ => "Nothing out of the ordinary.",
    };
    let reason =
        (decision == Decision::Rejected).then(|| "the picture is not a synthetic study".to_owned());
    Ok(Record {
        path: String::new(),
        path_bytes: None,
        frame: Some(0),
        aggregate: None,
        verdict: Verdict {
            label: label.to_owned(),
            description: description.to_owned(),
            probability,
            calibrated: false,
            decision,
            reason,
            urgency: Some(if label == "normal" {
                1.0 - probability
            } else {
                probability
            }),
            scores,
            answers: Vec::new(),
            none_applies: false,
        },
        content: "blake3:00".to_owned(),
        kind: FileFormat::Dicom,
        width: 2048,
        height: 1536,
        frames: 1,
        modality: Some("DX".to_owned()),
        body_part: Some("CHEST".to_owned()),
        model: "demo".to_owned(),
        model_digest: "blake3:00".to_owned(),
        prompts: "general".to_owned(),
        prompts_digest: "blake3:00".to_owned(),
        mode: Mode::Single,
        calibrated: false,
        learned: None,
        device: "cpu".to_owned(),
        at: "2026-03-01T10:00:00Z".to_owned(),
        notice: NOTICE,
        origin: DicomOrigin::default(),
        synthetic: false,
        embedding: Some(vec![1.0, 0.0].into()),
    })
}

fn score(condition: &str, probability: f64) -> Score {
    Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: probability / 3.0,
        threshold: None,
        normal: condition == "normal",
        calibrated: false,
    }
}

/// A round shadow in half blocks, as large as was asked for: a digital radiograph of one frame.
pub fn previewed(key: PreviewKey) -> Msg {
    previewed_as(key, &Film::default())
}

/// A small picture.
pub fn tile(key: PreviewKey) -> Msg {
    match previewed(key) {
        Msg::Previewed(previewed) => Msg::Tile(previewed),
        other => other,
    }
}

/// What a picture in a scene claims to be.
#[derive(Clone)]
pub struct Film {
    pub modality: &'static str,
    pub series: Option<&'static str>,
    pub frames: u32,
    pub order: FrameOrder,
    pub note: Option<&'static str>,
    pub size: (u32, u32),
    pub geometry: Geometry,
    pub windows: Vec<NamedWindow>,
    pub unit: Option<&'static str>,
    pub colour: bool,
    /// What objects that are on say of it.
    pub about: RelatedContent,
    /// What the corners say.
    pub caption: Option<Caption>,
}

impl Default for Film {
    fn default() -> Self {
        Self {
            modality: "DX",
            series: None,
            frames: 1,
            order: FrameOrder::default(),
            note: None,
            size: (2048, 1536),
            geometry: Geometry::default(),
            windows: Vec::new(),
            unit: None,
            colour: false,
            about: RelatedContent::default(),
            caption: None,
        }
    }
}

impl Film {
    /// A CT of 60 sections, lying as they do.
    pub fn ct() -> Self {
        let named = |name: &str, center, width| NamedWindow {
            name: Some(name.to_owned()),
            window: window(center, width),
        };
        Self {
            modality: "CT",
            series: Some("2.25.1"),
            frames: 60,
            order: FrameOrder::default(),
            note: None,
            size: (512, 512),
            geometry: Geometry {
                spacing: Some(Spacing {
                    rows_mm: 0.7,
                    columns_mm: 0.7,
                    at_detector: false,
                    within: None,
                }),
                orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
                ..Geometry::default()
            },
            windows: vec![
                named("MEDIASTINUM", 50.0, 350.0),
                named("BONE", 300.0, 2000.0),
            ],
            unit: Some("HU"),
            colour: false,
            about: RelatedContent::default(),
            caption: None,
        }
    }
}

fn window(center: f64, width: f64) -> Window {
    Window {
        center,
        width,
        source: WindowSource::File,
    }
}

/// What the worker would make of a request for such a file.
pub fn previewed_as(key: PreviewKey, film: &Film) -> Msg {
    let view = match &key.for_series {
        Some(wanted) if film.series != Some(wanted) => app::ImageView::default(),
        _ => key.view.clone(),
    };
    let applied = match view.voi {
        Voi::Own(n) => film
            .windows
            .get(n)
            .map_or(window(2047.5, 4095.0), |own| own.window),
        Voi::Range { center, width } => window(center, width),
        Voi::Full => window(1024.0, 4096.0),
        Voi::Robust => window(500.0, 3000.0),
        Voi::Between { low, high, .. } => window(f64::midpoint(low, high), high - low),
    };
    let scene = Scene {
        view: view.clone(),
        series: film.series.map(str::to_owned),
        note: film.note.map(str::to_owned),
        order: film.order.clone(),
        frames_per_second: None,
        cell: (10, 20),
        geometry: film.geometry.clone(),
        windows: film.windows.clone(),
        window: (!film.colour).then_some(applied),
        unit: film.unit.map(str::to_owned),
        value: key.marks.cursor.map(|(x, y)| {
            if film.colour {
                PixelValue::Color([1, 2, 3])
            } else {
                PixelValue::Grey(f64::from(x) - f64::from(y))
            }
        }),
        histogram: key.marks.histogram.then(|| Histogram {
            low: -1024.0,
            high: 3071.0,
            // Air, and what is in it.
            counts: (0..256_i32)
                .map(|n| {
                    90_000 / (1 + n.unsigned_abs().pow(2)) + 20_000 / (1 + (n - 66).unsigned_abs())
                })
                .map(u64::from)
                .collect(),
        }),
        about: if key.related.objects.is_empty() {
            RelatedContent {
                target: film.about.target.clone(),
                ..RelatedContent::default()
            }
        } else {
            film.about.clone()
        },
        caption: film.caption.clone(),
        measured: measured(&key, &film.geometry),
        is_assembled: false,
        volume: volume(&key),
    };
    let area = medivision_tui::view::Area {
        x: 0,
        y: 0,
        width: key.cols,
        height: key.rows,
    };
    let around = key.marks.around(&scene);
    let picture = placement::inset(area, around).picture;
    let info = ImageInfo {
        kind: FileFormat::Dicom,
        width: film.size.0,
        height: film.size.1,
        frames: film.frames,
        synthetic: true,
        warnings: Warnings::default(),
        dicom: Some(DicomInfo {
            transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
            photometric: "MONOCHROME2".to_owned(),
            bits_stored: 12,
            signed: false,
            samples: 1,
            modality: Some(film.modality.to_owned()),
            body_part: Some("CHEST".to_owned()),
            origin: DicomOrigin::default(),
            window: None,
        }),
    };
    let preview = Preview {
        image: shadow(picture.width, picture.height),
        info,
        scene: Arc::new(scene),
    };
    Msg::Previewed(Box::new(Previewed {
        key,
        outcome: Ok(preview),
    }))
}

/// What the figures measure; within each the mean is 40 HU.
fn measured(key: &PreviewKey, geometry: &Geometry) -> Vec<Measured> {
    let values = RegionStatistics {
        pixels: 100,
        mean: 40.0,
        deviation: 2.5,
        min: 31.0,
        max: 48.0,
    };
    let measured = |marked: &MarkedFigure| {
        let measured = marked.figure.geometry(geometry);
        Measured {
            statistics: measured.area.map(|_| values),
            ..measured
        }
    };
    key.marks.figures.iter().map(measured).collect()
}

/// The volume of a reformat: 60 sections of 512 × 512 pixels.
fn volume(key: &PreviewKey) -> Option<VolumeView> {
    let reformat = key.reformat.as_ref()?;
    let axes = |plane| {
        let (through, across, down) = match plane {
            ReformatPlane::Axial => (2, 0, 1),
            ReformatPlane::Sagittal => (0, 1, 2),
            ReformatPlane::Coronal => (1, 0, 2),
        };
        PlaneAxes {
            through,
            across,
            down,
            flipped: [false, down == 2],
        }
    };
    let size = [512, 512, 60];
    // As the film is 512 pixels wide and high: the planes side by side, with gaps.
    let panel = |(plane, x)| PlanePanel {
        plane,
        axes: axes(plane),
        area: PixelRect {
            x,
            y: 0,
            width: 160,
            height: 512,
        },
        edges: None,
    };
    let panels = [
        (ReformatPlane::Axial, 0),
        (ReformatPlane::Sagittal, 176),
        (ReformatPlane::Coronal, 352),
    ];
    Some(VolumeView {
        size,
        axes: axes(reformat.plane),
        at: reformat.at.unwrap_or(size.map(|count| count / 2)),
        thickness: 5.0,
        panels: reformat.all_planes.then(|| panels.map(panel)),
    })
}

/// A round shadow.
fn shadow(cols: u16, rows: u16) -> EncodedImage {
    let pixels = GrayImage::from_fn(200, 160, |x, y| {
        let (dx, dy) = (f64::from(x) / 100.0 - 1.0, f64::from(y) / 80.0 - 1.0);
        Luma([((1.0 - dx * dx - dy * dy).max(0.0) * 255.0) as u8])
    });
    let image = DynamicImage::ImageLuma8(pixels);
    let (resize, cell) = (Resize::Scale(None), FontSize::new(10, 20));
    let size = resize.size_for(&image, cell, Size::new(cols, rows));
    let image = resize.resize(&image, cell, size, None);
    half_blocks(image, (size.width, size.height)).expect("half blocks can always be made")
}
