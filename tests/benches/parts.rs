//! The speed of single parts: preprocessing, tokenising, scoring, searching, drawing the list. `cargo bench --bench parts`.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use medivision_tui::app::mix::MixSetting;
use medivision_tui::app::{self, Effect, Entry, EntryKind, FoundFile, Keymap, Msg, Stamp};
use medivision_tui::encoder::{Preprocess, Tokenizer};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::graphics::ImagePainter;
use medivision_tui::learn::{self, Problem, Shot};
use medivision_tui::library::search::EmbeddingMatrix;
use medivision_tui::library::{FileIdentity, NOTICE, Record};
use medivision_tui::media::{DicomOrigin, FileFormat, Picture, Pixels};
use medivision_tui::prompts::Prompts;
use medivision_tui::rules::Rules;
use medivision_tui::scoring::{Decision, Logits, Mode, Score, Scorer, Verdict};
use medivision_tui::ui;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

/// CLIP's preprocessing at 224 pixels.
const CLIP: &[u8] = br#"{"size": 224, "crop_size": 224, "do_center_crop": true, "resample": 3}"#;

fn prepare(bench: &mut Criterion) {
    let preprocess = Preprocess::from_json(CLIP, Path::new("preprocessor_config.json"));
    let preprocess = preprocess.expect("valid JSON");
    let samples = |count: u32| (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let (width, height) = (2048, 1536);
    let grey = Pixels::Luma(samples(width * height).collect());
    let color = Pixels::Rgb(samples(width * height * 3).collect());
    for (name, pixels) in [
        ("prepare grey 3 Mpx", grey),
        ("prepare colour 3 Mpx", color),
    ] {
        let picture = Picture {
            width,
            height,
            pixels,
        };
        bench.bench_function(name, |b| {
            b.iter(|| preprocess.apply(black_box(&picture)).expect("an input"));
        });
    }
}

fn tokenise(bench: &mut Criterion) {
    let tokenizer = Tokenizer::clip(77).expect("the built-in vocabulary");
    let text = "a chest x-ray showing an opacity of the left lower lobe that suggests pneumonia";
    bench.bench_function("tokenise a sentence", |b| {
        b.iter(|| tokenizer.encode(black_box(text)).expect("tokens"));
    });
}

fn score(bench: &mut Criterion) {
    let prompts = Prompts::select("general", None).expect("a prompt set");
    let unit = |seed: usize| -> Vec<f32> {
        let row: Vec<f32> = (0..512)
            .map(|i| ((i * 31 + seed * 17) % 97) as f32 - 48.0)
            .collect();
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.into_iter().map(|v| v / norm).collect()
    };
    let logits = Logits {
        scale: 100.0,
        bias: None,
    };
    let scorer = Scorer::new(&prompts.sets()[0], Mode::Single, logits, |texts| {
        Ok::<_, Infallible>((0..texts.len()).map(unit).collect())
    });
    let scorer = match scorer {
        Ok(scorer) => scorer,
        Err(never) => match never {},
    };
    let embedding = unit(1000);
    bench.bench_function("score an embedding", |b| {
        b.iter(|| scorer.verdict(black_box(&embedding)));
    });
}

/// A query over 100,000 images, and the comparison of 10,000 images with each other; of 100,000, which takes minutes, if
/// `near-duplicates` was asked for.
fn search(bench: &mut Criterion) {
    let matrix = |count: u32| {
        let mut matrix = EmbeddingMatrix::new(512);
        let mut state = 1_u32;
        for _ in 0..count {
            let numbers = (0..512).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as f32 / 32_768.0 - 1.0
            });
            let row: Vec<f32> = numbers.collect();
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            let unit: Vec<f32> = row.iter().map(|v| v / norm).collect();
            assert!(matrix.push(&unit));
        }
        matrix
    };
    let many = matrix(100_000);
    let query = vec![1.0 / 512_f32.sqrt(); 512];
    let mut times = Vec::new();
    bench.bench_function("search 100000 images", |b| {
        timed(b, &mut times, || {
            black_box(many.nearest(black_box(&query), 10));
        });
    });
    report(&mut times);
    let some = matrix(10_000);
    let mut group = bench.benchmark_group("near-duplicates");
    group.sample_size(10);
    group.bench_function("of 10000 images", |b| {
        b.iter(|| {
            some.near_duplicates(black_box(0.99), |_| true)
                .expect("memory")
        });
    });
    group.finish();
    if std::env::args().any(|argument| argument == "near-duplicates") {
        let begun = Instant::now();
        let groups = many.near_duplicates(0.99, |_| true).expect("memory");
        let found = groups.map_or(0, |groups| groups.len());
        let took = begun.elapsed();
        println!("near-duplicates/of 100000 images: {took:.1?}, once; {found} groups");
    }
}

/// One key press and the frame drawn after it, in folders of different sizes.
fn list(bench: &mut Criterion) {
    for count in [10, 10_000, 100_000] {
        let root = PathBuf::from("/incoming");
        let keymap = Keymap::new(&BTreeMap::new()).expect("the default keys");
        let (mut model, effects) = app::init(app::Setup {
            root: root.clone(),
            file: None,
            keymap,
            theme: app::Theme::default(),
            folder_state: app::FolderState::default(),
            show_phi: false,
            library: false,
            rules: Rules::default(),
            worklist: false,
            review: app::ReviewSetup::default(),
            prompts: Prompts::select("general", None).expect("a prompt set"),
            mode: Mode::Single,
            offers_model: false,
            language_model: None,
            mix: MixSetting::default(),
            zone: TimeZone::UTC,
        });
        let listing = effects.iter().find_map(|effect| match effect {
            Effect::List { dir, generation } => Some((dir.clone(), *generation)),
            _ => None,
        });
        let (dir, generation) = listing.expect("a listing is asked for");
        let entries = (0..count).map(|n| Entry {
            path: root.join(format!("study-{n:06}.dcm")),
            kind: EntryKind::File,
            stamp: Stamp::default(),
        });
        app::update(
            &mut model,
            Msg::Resized {
                cols: 120,
                rows: 40,
            },
        );
        app::update(
            &mut model,
            Msg::Listed {
                dir,
                generation,
                entries: entries.collect(),
                complete: true,
            },
        );
        let mut screen = Terminal::new(TestBackend::new(120, 40)).expect("a screen");
        let mut now = Duration::ZERO;
        let mut down = true;
        bench.bench_function(&format!("a key and its frame, {count} files"), |b| {
            b.iter(|| {
                let code = if down { 'j' } else { 'k' };
                down = !down;
                let event = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(code));
                app::update(&mut model, Msg::Key(event));
                now += Duration::from_millis(30);
                app::update(&mut model, Msg::Tick(now));
                screen
                    .draw(|frame| ui::view(&model, frame, &ImagePainter::default()))
                    .expect("a frame");
            });
        });
    }
}

/// An image with its result, as the library gives it.
fn recalled(root: &Path, n: usize) -> RecalledFile {
    let share = n as f64 * 0.618 % 1.0;
    let score = |condition: &str, probability| Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: 0.2,
        threshold: None,
        normal: false,
        calibrated: false,
    };
    let label = ["pneumonia", "normal"][usize::from(share < 0.5)];
    let record = Record {
        path: String::new(),
        path_bytes: None,
        frame: Some(0),
        aggregate: None,
        verdict: Verdict {
            label: label.to_owned(),
            description: String::new(),
            probability: share.max(1.0 - share),
            calibrated: false,
            decision: Decision::Confident,
            reason: None,
            urgency: Some(share),
            answers: Vec::new(),
            none_applies: false,
            scores: vec![score("normal", 1.0 - share), score("pneumonia", share)],
        },
        content: format!("blake3:{n:064}"),
        kind: FileFormat::Dicom,
        width: 512,
        height: 512,
        frames: 1,
        modality: Some("CR".to_owned()),
        body_part: None,
        model: "demo".to_owned(),
        model_digest: String::new(),
        prompts: "general".to_owned(),
        prompts_digest: String::new(),
        mode: Mode::Single,
        calibrated: false,
        learned: None,
        device: "cpu".to_owned(),
        at: String::new(),
        notice: NOTICE,
        origin: DicomOrigin::default(),
        synthetic: false,
        embedding: None,
    };
    RecalledFile {
        path: root.join(format!("study-{n:06}.dcm")),
        identity: FileIdentity {
            size: 1,
            modified: 1,
            changed: 1,
            inode: 1,
        },
        records: vec![record].into(),
    }
}

/// A worklist of images that all have results.
fn worklist(count: usize) -> app::Model {
    let root = PathBuf::from("/incoming");
    let (mut model, effects) = app::init(app::Setup {
        root: root.clone(),
        file: None,
        keymap: Keymap::new(&BTreeMap::new()).expect("the default keys"),
        theme: app::Theme::default(),
        folder_state: app::FolderState::default(),
        show_phi: false,
        library: true,
        rules: Rules::default(),
        worklist: true,
        review: app::ReviewSetup {
            reviewer: "ana".to_owned(),
            ..app::ReviewSetup::default()
        },
        prompts: Prompts::select("general", None).expect("a prompt set"),
        mode: Mode::Single,
        offers_model: false,
        language_model: None,
        mix: MixSetting::default(),
        zone: TimeZone::UTC,
    });
    let generation = effects.iter().find_map(|effect| match effect {
        Effect::Scan { generation, .. } => Some(*generation),
        _ => None,
    });
    app::update(
        &mut model,
        Msg::Resized {
            cols: 120,
            rows: 40,
        },
    );
    let ready = Event::Ready {
        model: "demo".to_owned(),
        device: "cpu".to_owned(),
        prompts: "general".to_owned(),
        is_builtin: false,
        warnings: Vec::new(),
    };
    app::update(&mut model, Msg::Engine(ready));
    let folder = root.join("all");
    let files: Vec<RecalledFile> = (0..count).map(|n| recalled(&folder, n)).collect();
    let found = files.iter().map(|file| FoundFile {
        path: file.path.clone(),
        stamp: Stamp::from(file.identity),
    });
    let mut effects = app::update(
        &mut model,
        Msg::Scanned {
            generation: generation.expect("a scan is asked for"),
            files: found.collect(),
            complete: true,
        },
    );
    let mut files: HashMap<PathBuf, RecalledFile> = files
        .into_iter()
        .map(|file| (file.path.clone(), file))
        .collect();
    while let Some(paths) = effects.iter().find_map(|effect| match effect {
        Effect::Recall(paths) => Some(paths.clone()),
        _ => None,
    }) {
        let files = paths.iter().filter_map(|path| files.remove(path)).collect();
        let missing = Vec::new();
        effects = app::update(&mut model, Msg::Engine(Event::Recalled { files, missing }));
    }
    assert!(files.is_empty(), "all have results");
    model
}

/// Shows the root of a worklist instead, which contains two folders; returns the time by which the cursor has rested on the first.
fn leave_worklist(model: &mut app::Model) -> Duration {
    let key = Msg::Key(crossterm::event::KeyCode::Char('W').into());
    let effects = app::update(model, key);
    let listing = effects.iter().find_map(|effect| match effect {
        Effect::List { dir, generation } => Some((dir.clone(), *generation)),
        _ => None,
    });
    let (dir, generation) = listing.expect("a listing is asked for");
    let entries = ["all", "none"].map(|name| Entry {
        path: dir.join(name),
        kind: EntryKind::Folder,
        stamp: Stamp::default(),
    });
    app::update(
        model,
        Msg::Listed {
            dir,
            generation,
            entries: entries.into(),
            complete: true,
        },
    );
    let now = Duration::from_secs(1);
    app::update(model, Msg::Tick(now));
    now
}

/// Presses keys, and draws the frame after them.
fn press(screen: &mut Terminal<TestBackend>, model: &mut app::Model, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => crossterm::event::KeyCode::Enter,
            '\x08' => crossterm::event::KeyCode::Backspace,
            key => crossterm::event::KeyCode::Char(key),
        };
        app::update(model, Msg::Key(code.into()));
    }
    screen
        .draw(|frame| ui::view(model, frame, &ImagePainter::default()))
        .expect("a frame");
}

/// Measures a step by itself each time, so that its percentiles are known, too.
fn timed(bench: &mut Bencher, times: &mut Vec<Duration>, mut step: impl FnMut()) {
    bench.iter_custom(|count| {
        let before = times.len();
        for _ in 0..count {
            let begun = Instant::now();
            step();
            times.push(begun.elapsed());
        }
        times[before..].iter().sum()
    });
}

/// Prints median, 99th percentile and maximum of all steps, warm-up included, and begins anew; nothing if the bench was not chosen.
fn report(times: &mut Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share).round() as usize);
    if let (Some(median), Some(p99), Some(max)) = (at(0.5), at(0.99), times.last()) {
        let count = times.len();
        println!(
            "{:24}p50 {median:.2?}  p99 {p99:.2?}  max {max:.2?}  of {count}",
            ""
        );
    }
    times.clear();
}

/// Keys in a worklist of 100,000 images, most of them with a filter on: each with the frame drawn after it.
fn review(bench: &mut Criterion) {
    let mut model = worklist(100_000);
    let mut screen = Terminal::new(TestBackend::new(120, 40)).expect("a screen");
    let mut group = bench.benchmark_group("worklist of 100000");
    group.sample_size(20);
    let mut times = Vec::new();
    let mut down = true;
    let mut step = || {
        down = !down;
        ["j", "k"][usize::from(down)]
    };
    group.bench_function("a key", |b| {
        timed(b, &mut times, || press(&mut screen, &mut model, step()));
    });
    report(&mut times);
    group.bench_function("another order", |b| {
        let mut by_name = false;
        timed(b, &mut times, || {
            by_name = !by_name;
            press(&mut screen, &mut model, ["su", "sn"][usize::from(by_name)]);
        });
    });
    report(&mut times);
    // The folder above has a contact sheet of the most urgent of all images.
    let mut now = leave_worklist(&mut model);
    group.bench_function("a contact sheet", |b| {
        timed(b, &mut times, || {
            press(&mut screen, &mut model, "jk");
            // The first one notes where the cursor is.
            for _ in 0..2 {
                now += Duration::from_secs(1);
                app::update(&mut model, Msg::Tick(now));
            }
            press(&mut screen, &mut model, "");
        });
        let shown = screen.backend().to_string();
        assert!(shown.contains("of 100000, most urgent first"), "{shown}");
    });
    report(&mut times);
    press(&mut screen, &mut model, "W");
    press(&mut screen, &mut model, "su/p>0.6");
    // Each sample goes on where the last one ended.
    let mut is_typed = true;
    group.bench_function("a letter of a filter of results", |b| {
        timed(b, &mut times, || {
            is_typed = !is_typed;
            press(
                &mut screen,
                &mut model,
                ["\x08", "6"][usize::from(is_typed)],
            );
        });
    });
    report(&mut times);
    press(&mut screen, &mut model, if is_typed { "" } else { "6" });
    press(&mut screen, &mut model, " !reviewed\n");
    group.bench_function("a key with a filter", |b| {
        timed(b, &mut times, || press(&mut screen, &mut model, step()));
    });
    report(&mut times);
    group.bench_function("a decision with a filter", |b| {
        timed(b, &mut times, || press(&mut screen, &mut model, ",,"));
    });
    report(&mut times);
    group.bench_function("the agreement view, opened or closed", |b| {
        timed(b, &mut times, || press(&mut screen, &mut model, ",c"));
    });
    report(&mut times);
    group.finish();
}

/// The directions from 80 labelled images and 3,200 others, each of 512 numbers, and the same with the gate by leave-one-out.
fn learn(bench: &mut Criterion) {
    let row = |seed: usize| -> Vec<f32> {
        let class = (seed % 5) as f32;
        let number = |i: usize| {
            let grain = ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5;
            2.0 + 0.4 * (class * (i % 5) as f32).sin() + grain
        };
        let row: Vec<f32> = (0..512).map(number).collect();
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.into_iter().map(|v| v / norm).collect()
    };
    let rows: Vec<Vec<f32>> = (0..3285).map(row).collect();
    let (texts, rows) = rows.split_at(5);
    let problem = Problem {
        texts: texts.to_vec(),
        offsets: vec![0.0; 5],
        scale: 100.0,
    };
    let (labelled, others) = rows.split_at(80);
    let shots = labelled.iter().enumerate();
    let shots = shots.map(|(at, row)| Shot {
        row,
        label: at % 5,
        group: at,
    });
    let shots: Vec<Shot> = shots.collect();
    let others: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
    bench.bench_function("fit 3,200 x 512", |b| {
        b.iter(|| learn::directions(black_box(&problem), &shots, &others));
    });
    bench.bench_function("fit 3,200 x 512 with the gate", |b| {
        b.iter(|| learn::fit(black_box(&problem), &shots, &others).expect("a fit"));
    });
}

criterion_group!(
    benches, prepare, tokenise, score, search, list, review, learn
);
criterion_main!(benches);
