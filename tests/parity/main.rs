//! The encoder against the reference implementations: golden files that `tests/oracle/clip.py` and `families.py` export from
//! transformers and open_clip. `MEDIVISION_PARITY` may name folders of more checkpoints with golden files, separated by colons.

mod layouts;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use medivision_tui::encoder::checkpoint;
use medivision_tui::encoder::{
    Device, DualEncoder, Encoder, EncoderError, Fit, ModelOptions, Precision, PreparedImage,
    Preprocess, Tokenizer,
};
use medivision_tui::media::{Picture, Pixels};
use serde::Deserialize;

/// The checkpoints in `tests/fixtures/parity`; the scripts describe them.
const CHECKPOINTS: [&str; 12] = [
    "clip-early",
    "clip-late",
    "open-clip",
    "open-clip-bin",
    "biomedclip",
    "trained",
    "siglip",
    "siglip2",
    "openai",
    "chexzero",
    "open-clip-resnet",
    "openai-resnet",
];

/// The references' precision, on the CPU.
const EXACT: ModelOptions = ModelOptions {
    device: Device::Cpu,
    precision: Precision::F32,
    fit: None,
    text_cache: None,
    reference_records: None,
};

/// The folders of all checkpoints: the fixtures, and those that `MEDIVISION_PARITY` names.
fn checkpoints() -> Vec<PathBuf> {
    let more = std::env::var_os("MEDIVISION_PARITY");
    let more = more.iter().flat_map(std::env::split_paths);
    let ours = CHECKPOINTS.iter().map(|name| fixtures().join(name));
    ours.chain(more).collect()
}

#[derive(Deserialize)]
struct Golden {
    side: usize,
    logit_scale: f64,
    logit_bias: Option<f64>,
    texts: Vec<GoldenText>,
    pictures: Vec<GoldenPicture>,
    labels: Vec<usize>,
}

#[derive(Deserialize)]
struct GoldenText {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenPicture {
    name: String,
    width: u32,
    height: u32,
    channels: u32,
    pattern: String,
    #[serde(default)]
    prepared: String,
    #[serde(default)]
    embedding: Vec<f32>,
    #[serde(default)]
    logits: Vec<f64>,
    #[serde(default)]
    probabilities: Vec<f64>,
}

impl GoldenPicture {
    /// The image's pixels, by the formula of `tests/oracle/pictures.py`.
    fn picture(&self) -> Picture {
        let mut state = 1_u32;
        let mut bytes = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                for c in 0..self.channels {
                    bytes.push(match self.pattern.as_str() {
                        "noise" => {
                            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                            (state >> 24) as u8
                        }
                        "waves" => ((x * (c + 3) + y * (5 - c)) & 255) as u8,
                        "squares" if (x / 7 + y / 5 + c) & 1 == 1 => (230 - 40 * c) as u8,
                        "squares" => (20 + 30 * c) as u8,
                        other => {
                            panic!("the golden file has a pattern `{other}` that this test lacks")
                        }
                    });
                }
            }
        }
        let pixels = if self.channels == 1 {
            Pixels::Luma(bytes)
        } else {
            Pixels::Rgb(bytes)
        };
        Picture {
            width: self.width,
            height: self.height,
            pixels,
        }
    }

    /// The image as the reference preprocesses it: `side × side × 3` bytes.
    fn prepared(&self) -> Vec<u8> {
        BASE64
            .decode(&self.prepared)
            .expect("base64 in the golden file")
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity")
}

fn golden(checkpoint: &Path) -> Golden {
    let text = fs::read_to_string(checkpoint.join("golden.json")).expect("the golden file");
    serde_json::from_str(&text).expect("the golden file's layout")
}

/// Opens a checkpoint; if the folder contains a `.pt` file, that file.
fn open(checkpoint: &Path) -> DualEncoder {
    let mut files = fs::read_dir(checkpoint).expect("the folder").flatten();
    let file = files.find(|file| file.path().extension().is_some_and(|e| e == "pt"));
    let path = file.map_or_else(|| checkpoint.to_owned(), |file| file.path());
    checkpoint::open(&path, EXACT).expect("the checkpoint")
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn inputs(encoder: &DualEncoder, golden: &Golden) -> Vec<PreparedImage> {
    let preprocess = encoder.preprocess();
    golden
        .pictures
        .iter()
        .map(|p| preprocess.apply(&p.picture()).expect("a picture"))
        .collect()
}

fn texts(golden: &Golden) -> Vec<String> {
    golden.texts.iter().map(|t| t.text.clone()).collect()
}

#[test]
fn token_ids_equal_the_references() {
    for checkpoint in &checkpoints() {
        let encoder = open(checkpoint);
        for text in golden(checkpoint).texts {
            assert_eq!(
                encoder.tokenize(&text.text).unwrap().ids,
                text.ids,
                "{checkpoint:?}: {:?}",
                text.text
            );
        }
    }
}

#[derive(Deserialize)]
struct TokenizedText {
    text: String,
    ids: Vec<u32>,
}

/// The texts and token ids of a fixture.
fn tokenized(file: &str) -> Vec<TokenizedText> {
    #[derive(Deserialize)]
    struct File {
        texts: Vec<TokenizedText>,
    }
    let file = fs::read(fixtures().join(file)).unwrap();
    let file: File = serde_json::from_slice(&file).unwrap();
    assert!(file.texts.len() > 10);
    file.texts
}

#[test]
fn the_built_in_vocabulary_gives_clips_token_ids() {
    let tokenizer = Tokenizer::clip(77).unwrap();
    for entry in tokenized("clip_tokens.json") {
        let found = tokenizer.encode(&entry.text).unwrap().ids;
        assert_eq!(found, entry.ids, "{:?}", entry.text);
    }
}

/// Asserts that every byte differs from the reference's by at most 1.
fn assert_same_preprocessing(preprocess: &Preprocess, pictures: &[GoldenPicture], whose: &str) {
    for expected in pictures {
        let found = preprocess.apply(&expected.picture()).unwrap();
        let reference = expected.prepared();
        assert_eq!(
            found.bytes().len(),
            reference.len(),
            "{whose}: {}",
            expected.name
        );
        let apart = found
            .bytes()
            .iter()
            .zip(&reference)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(
            apart <= Some(1),
            "{whose}: {}: {apart:?} steps apart",
            expected.name
        );
    }
}

#[test]
fn images_are_preprocessed_as_by_the_reference() {
    for checkpoint in &checkpoints() {
        let (preprocess, golden) = (open(checkpoint).preprocess(), golden(checkpoint));
        assert_eq!(
            (preprocess.width(), preprocess.height()),
            (golden.side, golden.side)
        );
        assert_same_preprocessing(
            &preprocess,
            &golden.pictures,
            &checkpoint.display().to_string(),
        );
    }
}

#[test]
fn preprocessing_settings_of_other_checkpoints_are_followed() {
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        settings: serde_json::Value,
        pictures: Vec<GoldenPicture>,
    }
    #[derive(Deserialize)]
    struct File {
        entries: Vec<Entry>,
    }
    let path = fixtures().join("preprocess.json");
    let file: File = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(!file.entries.is_empty());
    for entry in file.entries {
        let preprocess =
            Preprocess::from_json(entry.settings.to_string().as_bytes(), &path).unwrap();
        assert_same_preprocessing(&preprocess, &entry.pictures, &entry.name);
    }
}

#[test]
fn text_embeddings_equal_the_references() {
    for checkpoint in &checkpoints() {
        let golden = golden(checkpoint);
        let found = open(checkpoint).encode_texts(&texts(&golden)).unwrap();
        assert_eq!(found.len(), golden.texts.len());
        for (found, expected) in found.iter().zip(&golden.texts) {
            let cosine = cosine(found, &expected.embedding);
            assert!(
                cosine >= 0.9999,
                "{checkpoint:?}: {:?}: {cosine}",
                expected.text
            );
        }
    }
}

#[test]
fn image_embeddings_equal_the_references() {
    for checkpoint in &checkpoints() {
        let (mut encoder, golden) = (open(checkpoint), golden(checkpoint));
        let found = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        assert_eq!(found.len(), golden.pictures.len());
        for (found, expected) in found.iter().zip(&golden.pictures) {
            let cosine = cosine(found, &expected.embedding);
            assert!(
                cosine >= 0.9999,
                "{checkpoint:?}: {}: {cosine}",
                expected.name
            );
        }
    }
}

/// Grad-ECLIP as `tests/oracle/eclip.py` has it from the references: a class token with separate and with fused projections, SigLIP's
/// probe, and a residual network's mean.
#[test]
fn grad_eclip_maps_equal_the_references() {
    #[derive(Deserialize)]
    struct Entry {
        checkpoint: String,
        picture: String,
        direction: Vec<f32>,
        score: f64,
        values: Vec<f32>,
    }
    #[derive(Deserialize)]
    struct File {
        maps: Vec<Entry>,
    }
    let file = fs::read(fixtures().join("eclip.json")).unwrap();
    let file: File = serde_json::from_slice(&file).unwrap();
    let mut checked = Vec::new();
    for group in file.maps.chunk_by(|a, b| a.checkpoint == b.checkpoint) {
        let checkpoint = fixtures().join(&group[0].checkpoint);
        let (mut encoder, golden) = (open(&checkpoint), golden(&checkpoint));
        for entry in group {
            let mut pictures = golden.pictures.iter();
            let picture = pictures.find(|p| p.name == entry.picture).unwrap();
            let input = untouched(&encoder, &golden, picture);
            let directions = [entry.direction.clone()];
            let maps = encoder.grad_eclip(&input, &directions).unwrap().unwrap();
            let whose = format!("{}, {}", entry.checkpoint, entry.picture);
            assert!((maps[0].score - entry.score).abs() < 1e-3, "{whose}");
            assert_eq!(maps[0].values.len(), entry.values.len(), "{whose}");
            let peak = entry
                .values
                .iter()
                .fold(0.0_f32, |peak, v| peak.max(v.abs()));
            for (found, expected) in maps[0].values.iter().zip(&entry.values) {
                assert!(
                    (found - expected).abs() < 1e-3 * peak,
                    "{whose}: {found} {expected}"
                );
            }
        }
        checked.push(group[0].checkpoint.as_str());
    }
    assert_eq!(
        checked,
        ["clip-early", "open-clip", "open-clip-resnet", "siglip"]
    );
}

/// The reference's own preprocessed bytes: an image that already has the model's size passes the preprocessing unchanged.
fn untouched(encoder: &DualEncoder, golden: &Golden, picture: &GoldenPicture) -> PreparedImage {
    let side = golden.side as u32;
    let squashing = encoder.preprocess().with_fit(Some(Fit::Squash));
    let pixels = Pixels::Rgb(picture.prepared());
    squashing
        .apply(&Picture {
            width: side,
            height: side,
            pixels,
        })
        .unwrap()
}

/// With the reference's own preprocessed bytes as input, only rounding remains.
#[test]
fn image_embeddings_from_identical_bytes_differ_by_rounding_only() {
    for checkpoint in &checkpoints() {
        let (mut encoder, golden) = (open(checkpoint), golden(checkpoint));
        let pictures = golden.pictures.iter();
        let batch: Vec<PreparedImage> = pictures.map(|p| untouched(&encoder, &golden, p)).collect();
        for (input, expected) in batch.iter().zip(&golden.pictures) {
            assert_eq!(
                input.bytes(),
                expected.prepared(),
                "{checkpoint:?}: {}",
                expected.name
            );
        }
        for (found, expected) in encoder
            .encode_images(&batch)
            .unwrap()
            .iter()
            .zip(&golden.pictures)
        {
            let cosine = cosine(found, &expected.embedding);
            assert!(
                cosine >= 0.999_999,
                "{checkpoint:?}: {}: {cosine}",
                expected.name
            );
        }
    }
}

#[test]
fn probabilities_equal_the_references() {
    for checkpoint in &checkpoints() {
        let (mut encoder, golden) = (open(checkpoint), golden(checkpoint));
        let scale = encoder.card().logit_scale;
        assert!(
            (scale / golden.logit_scale - 1.0).abs() < 1e-3,
            "{checkpoint:?}: logit_scale {scale}"
        );
        let bias = encoder.card().logit_bias;
        assert_eq!(
            bias.is_some(),
            golden.logit_bias.is_some(),
            "{checkpoint:?}"
        );
        if let (Some(found), Some(expected)) = (bias, golden.logit_bias) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{checkpoint:?}: logit_bias {found}"
            );
        }
        let labels: Vec<String> = golden
            .labels
            .iter()
            .map(|&i| golden.texts[i].text.clone())
            .collect();
        let labels = encoder.encode_texts(&labels).unwrap();
        let images = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        for (image, expected) in images.iter().zip(&golden.pictures) {
            let logits: Vec<f64> = labels
                .iter()
                .map(|label| scale * cosine(image, label) + bias.unwrap_or(0.0))
                .collect();
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            let probability = |logit: f64| match bias {
                Some(_) => 1.0 / (1.0 + (-logit).exp()),
                None => logit.exp() / sum,
            };
            assert_eq!(logits.len(), expected.probabilities.len());
            for (found, reference) in logits.iter().zip(&expected.logits) {
                assert!(
                    (found - reference).abs() < 0.05,
                    "{checkpoint:?}: {}: {logits:?}",
                    expected.name
                );
            }
            let found = logits.iter().map(|&logit| probability(logit));
            for (found, reference) in found.zip(&expected.probabilities) {
                assert!(
                    (found - reference).abs() <= 1e-3,
                    "{checkpoint:?}: {}: {found} {reference}",
                    expected.name
                );
            }
        }
    }
}

#[test]
fn an_embedding_does_not_depend_on_the_rest_of_its_batch() {
    /// Batches of different sizes sum in a different order; nothing else may differ.
    const ROUNDING: f32 = 2e-6;
    let alike = |a: &[f32], b: &[f32]| {
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= ROUNDING)
    };
    for checkpoint in &checkpoints() {
        let (mut encoder, golden) = (open(checkpoint), golden(checkpoint));
        let batch = inputs(&encoder, &golden);
        let together = encoder.encode_images(&batch).unwrap();
        for (i, input) in batch.into_iter().enumerate() {
            let alone = encoder.encode_images(&[input]).unwrap();
            assert!(
                alike(&alone[0], &together[i]),
                "{checkpoint:?}: picture {i}: {alone:?} {:?}",
                together[i]
            );
        }
        let together = encoder.encode_texts(&texts(&golden)).unwrap();
        for (i, text) in texts(&golden).into_iter().enumerate() {
            let alone = encoder.encode_texts(&[text]).unwrap();
            assert!(
                alike(&alone[0], &together[i]),
                "{checkpoint:?}: text {i}: {alone:?} {:?}",
                together[i]
            );
        }
    }
}

/// The minimum of at least one number; NaN if one of them is NaN, which `f64::min` would ignore.
fn lowest(numbers: impl Iterator<Item = f64>) -> f64 {
    let lower = |a: f64, b: f64| if a.is_nan() || a <= b { a } else { b };
    numbers.reduce(lower).expect("a number")
}

/// Prints the figures for a report: `cargo test --test parity lowest -- --nocapture`.
#[test]
fn the_lowest_cosine_of_each_checkpoint_is_high_enough() {
    for checkpoint in &checkpoints() {
        let (mut encoder, golden) = (open(checkpoint), golden(checkpoint));
        let found = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        let pictures = found
            .iter()
            .zip(&golden.pictures)
            .map(|(f, e)| cosine(f, &e.embedding));
        let found = encoder.encode_texts(&texts(&golden)).unwrap();
        let written = found
            .iter()
            .zip(&golden.texts)
            .map(|(f, e)| cosine(f, &e.embedding));
        let (pictures, written) = (lowest(pictures), lowest(written));
        println!(
            "{}: pictures {pictures:.7}, texts {written:.7}",
            checkpoint.display()
        );
        assert!(pictures >= 0.9999 && written >= 0.9999);
    }
}

fn refusal(folder: &tempfile::TempDir) -> EncoderError {
    match checkpoint::open(folder.path(), EXACT) {
        Ok(_) => panic!("the checkpoint was accepted"),
        Err(error) => error,
    }
}

/// Copies a checkpoint of the fixtures without some files.
fn copied_without(name: &str, left_out: &[&str]) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap().flatten() {
        if !left_out.contains(&&*entry.file_name().to_string_lossy()) {
            fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
    }
    to
}

/// Changes a key of a JSON file of a checkpoint; `path` are the keys that lead to it.
fn set_key(folder: &Path, file: &str, path: &[&str], value: serde_json::Value) {
    let file = folder.join(file);
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let mut at = &mut config;
    for key in path {
        at = &mut at[*key];
    }
    *at = value;
    fs::write(&file, config.to_string()).unwrap();
}

/// 16-bit precision must not change embeddings noticeably; its exact effect is measured elsewhere.
#[test]
fn sixteen_bit_precision_gives_nearly_the_same_embeddings() {
    for (precision, least) in [(Precision::Bf16, 0.99), (Precision::F16, 0.9999)] {
        let folder = fixtures().join("biomedclip");
        let golden = golden(&folder);
        let options = ModelOptions { precision, ..EXACT };
        let mut encoder = checkpoint::open(&folder, options).unwrap();
        let found = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        for (found, expected) in found.iter().zip(&golden.pictures) {
            let cosine = cosine(found, &expected.embedding);
            assert!(
                cosine >= least,
                "{precision:?}: {}: {cosine}",
                expected.name
            );
        }
    }
}

#[test]
fn sixteen_bit_precision_gives_nearly_the_same_grad_eclip_maps() {
    let folder = fixtures().join("biomedclip");
    let golden = golden(&folder);
    let [one, other] = [&golden.pictures[1], &golden.pictures[2]];
    let apart = one.embedding.iter().zip(&other.embedding);
    let direction: Vec<f32> = apart.map(|(a, b)| a - b).collect();
    let values = |precision| {
        let options = ModelOptions { precision, ..EXACT };
        let mut encoder = checkpoint::open(&folder, options).unwrap();
        let input = untouched(&encoder, &golden, one);
        let maps = encoder.grad_eclip(&input, std::slice::from_ref(&direction));
        maps.unwrap().unwrap().remove(0).values
    };
    let exact = values(Precision::F32);
    for (precision, least) in [(Precision::Bf16, 0.99), (Precision::F16, 0.9999)] {
        let cosine = cosine(&values(precision), &exact);
        assert!(cosine >= least, "{precision:?}: {cosine}");
    }
}
