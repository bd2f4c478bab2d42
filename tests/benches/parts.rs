//! The speed of single parts: preprocessing, tokenising, scoring, searching, drawing the list. `cargo bench --bench parts`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use medivision_tui::app::{self, Effect, Entry, EntryKind, Keymap, Msg, Stamp};
use medivision_tui::encoder::{Preprocess, Tokenizer};
use medivision_tui::graphics::ImagePainter;
use medivision_tui::library::search::EmbeddingMatrix;
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::prompts::Prompts;
use medivision_tui::rules::Rules;
use medivision_tui::scoring::{Logits, Mode, Scorer};
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

/// A query over 100,000 images, and the comparison of 10,000 images with each other.
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
    bench.bench_function("search 100000 images", |b| {
        b.iter(|| many.nearest(black_box(&query), 10));
    });
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

criterion_group!(benches, prepare, tokenise, score, search, list);
criterion_main!(benches);
