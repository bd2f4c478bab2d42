//! The encoder against the reference implementations: golden files that `tests/oracle/clip.py` and `families.py` export from
//! transformers and open_clip. `MEDIVISION_PARITY` may name folders of more checkpoints with golden files, separated by colons.

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

/// Copies a checkpoint with changed tensors: `change` returns a tensor's new shape, or `None` to leave it out. `more` names
/// an additional tensor.
fn changed(
    change: impl Fn(&str, &[usize]) -> Option<Vec<usize>>,
    more: Option<&str>,
) -> tempfile::TempDir {
    let from = fixtures().join("clip-early");
    let to = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    let bytes = fs::read(from.join("model.safetensors")).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in all.tensors() {
        if let Some(shape) = change(&name, view.shape()) {
            let view =
                safetensors::tensor::TensorView::new(view.dtype(), shape, view.data()).unwrap();
            if name == "logit_scale"
                && let Some(more) = more
            {
                tensors.push((more.to_owned(), view.clone()));
            }
            tensors.push((name, view));
        }
    }
    safetensors::serialize_to_file(tensors, None, &to.path().join("model.safetensors")).unwrap();
    to
}

fn refusal(folder: &tempfile::TempDir) -> EncoderError {
    match checkpoint::open(folder.path(), EXACT) {
        Ok(_) => panic!("the checkpoint was accepted"),
        Err(error) => error,
    }
}

#[test]
fn an_unchanged_copy_is_accepted() {
    let folder = changed(|_, shape| Some(shape.to_vec()), None);
    assert!(checkpoint::open(folder.path(), EXACT).is_ok());
}

#[test]
fn a_missing_tensor_is_an_error_that_names_it() {
    for missing in [
        "logit_scale",
        "visual_projection.weight",
        "text_model.encoder.layers.1.mlp.fc2.bias",
        "vision_model.embeddings.class_embedding",
        "vision_model.pre_layrnorm.weight",
    ] {
        let error = refusal(&changed(
            |name, shape| (name != missing).then(|| shape.to_vec()),
            None,
        ));
        assert!(
            matches!(&error, EncoderError::MissingTensor(name) if name == missing),
            "{error}"
        );
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_surplus_tensor_is_an_error_that_names_it() {
    // The typical surplus: one layer more than the configuration says.
    let surplus = "vision_model.encoder.layers.2.layer_norm1.weight";
    let error = refusal(&changed(|_, shape| Some(shape.to_vec()), Some(surplus)));
    assert!(
        matches!(&error, EncoderError::SurplusTensors { first, .. } if first == surplus),
        "{error}"
    );
    assert!(error.to_string().contains(surplus), "{error}");
}

#[test]
fn a_misshapen_tensor_is_an_error_that_names_it() {
    for misshapen in [
        "text_model.embeddings.token_embedding.weight",
        "vision_model.encoder.layers.0.mlp.fc1.weight",
    ] {
        let turned = |name: &str, shape: &[usize]| {
            Some(if name == misshapen {
                shape.iter().rev().copied().collect()
            } else {
                shape.to_vec()
            })
        };
        let error = refusal(&changed(turned, None));
        assert!(
            matches!(&error, EncoderError::Shape { name, .. } if name == misshapen),
            "{error}"
        );
        assert!(error.to_string().contains(misshapen), "{error}");
    }
}

#[test]
fn a_missing_shard_is_an_error_that_names_the_file() {
    let from = fixtures().join("clip-late");
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    let shard = "model-00002-of-00003.safetensors";
    fs::remove_file(to.path().join(shard)).unwrap();
    let error = refusal(&to).to_string();
    assert!(error.contains(shard), "{error}");
}

#[test]
fn a_malicious_pickle_is_refused_and_its_command_does_not_run() {
    let trace = Path::new("/tmp/medivision-was-here");
    let _ = fs::remove_file(trace);
    let error = match checkpoint::open(&fixtures().join("malicious.pt"), EXACT) {
        Ok(_) => panic!("the checkpoint was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.contains("malicious.pt") && error.contains("posix.system"),
        "{error}"
    );
    assert!(!trace.exists(), "the command ran");
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

fn assert_tokens(encoder: &DualEncoder, golden: &Golden) {
    for text in &golden.texts {
        let found = encoder.tokenize(&text.text).unwrap().ids;
        assert_eq!(found, text.ids, "{:?}", text.text);
    }
}

#[test]
fn a_sentencepiece_model_alone_gives_the_references_token_ids() {
    let folder = copied_without("siglip", &["tokenizer.json"]);
    assert_tokens(&open(folder.path()), &golden(folder.path()));
    fs::remove_file(folder.path().join("spiece.model")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(
        error.contains("tokenizer.json") && error.contains("spiece.model"),
        "{error}"
    );
}

#[test]
fn texts_are_cleaned_as_an_open_clip_model_says() {
    let folder = copied_without("open-clip", &[]);
    let path = ["model_cfg", "text_cfg", "tokenizer_kwargs"];
    let settings = serde_json::json!({"clean": "canonicalize"});
    set_key(folder.path(), "open_clip_config.json", &path, settings);
    let encoder = open(folder.path());
    for entry in tokenized("canonicalized_tokens.json") {
        let found = encoder.tokenize(&entry.text).unwrap().ids;
        assert_eq!(found, entry.ids, "{:?}", entry.text);
    }
    let settings = serde_json::json!({"reduction_mask": "random"});
    set_key(folder.path(), "open_clip_config.json", &path, settings);
    let error = refusal(&folder).to_string();
    assert!(error.contains("reduction_mask"), "{error}");
}

/// As XrayCLIP's repository has it.
#[test]
fn tokens_and_merges_alone_give_the_references_token_ids() {
    let folder = copied_without("clip-early", &["tokenizer.json"]);
    let json = fs::read(fixtures().join("clip-early/tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let model = &json["model"];
    let pair = |pair: &serde_json::Value| match pair.as_array() {
        Some(both) => format!(
            "{} {}\n",
            both[0].as_str().unwrap(),
            both[1].as_str().unwrap()
        ),
        None => format!("{}\n", pair.as_str().unwrap()),
    };
    let merges: String = model["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(pair)
        .collect();
    fs::write(folder.path().join("vocab.json"), model["vocab"].to_string()).unwrap();
    let merges = format!("#version: 0.2\n{merges}");
    fs::write(folder.path().join("merges.txt"), merges).unwrap();
    assert_tokens(&open(folder.path()), &golden(folder.path()));
    fs::remove_file(folder.path().join("merges.txt")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("merges.txt"), "{error}");
}

/// XrayCLIP has 256 positions, of which its tokenizer fills 77.
#[test]
fn the_tokenizer_may_read_less_of_a_text_than_the_model_could() {
    let folder = copied_without("clip-early", &[]);
    set_key(
        folder.path(),
        "tokenizer_config.json",
        &["model_max_length"],
        9.into(),
    );
    let encoder = open(folder.path());
    let mut cut = 0;
    for text in golden(folder.path()).texts {
        let mut expected = text.ids.clone();
        if let (true, Some(&end)) = (expected.len() > 9, text.ids.last()) {
            expected.truncate(8);
            expected.push(end);
            cut += 1;
            assert!(encoder.cut_off(&text.text).is_some(), "{:?}", text.text);
        }
        assert_eq!(encoder.tokenize(&text.text).unwrap().ids, expected);
    }
    assert!(cut > 3);
}

#[test]
fn nested_preprocessing_counts_more_than_the_older_file() {
    let folder = copied_without("clip-early", &[]);
    let path = folder.path().join("processor_config.json");
    let older = open(folder.path()).preprocess().normalisation();
    fs::write(&path, r#"{"processor_class": "CLIPProcessor"}"#).unwrap();
    assert_eq!(open(folder.path()).preprocess().normalisation(), older);
    let nested =
        r#"{"image_processor": {"size": 32, "crop_size": 32, "image_mean": [0.1, 0.2, 0.3]}}"#;
    fs::write(&path, nested).unwrap();
    let (mean, _) = open(folder.path()).preprocess().normalisation();
    assert_eq!(mean.map(|m| (m * 10.0).round() as i32), [1, 2, 3]);
}

#[test]
fn a_folder_with_one_file_of_weights_is_read_as_that_file() {
    let golden = golden(&fixtures().join("openai"));
    let mut encoder = checkpoint::open(&fixtures().join("openai"), EXACT).unwrap();
    assert_tokens(&encoder, &golden);
    let found = encoder.encode_texts(&texts(&golden)).unwrap();
    for (found, expected) in found.iter().zip(&golden.texts) {
        assert!(cosine(found, &expected.embedding) >= 0.9999);
    }
    let folder = copied_without("openai", &[]);
    fs::copy(folder.path().join("model.pt"), folder.path().join("b.pt")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("b.pt, model.pt"), "{error}");
}

/// Of such a model only the catalogue knows the architecture, and another repository has the tokenizer.
#[test]
fn a_model_that_the_catalogue_describes_equals_its_reference() {
    let golden = golden(&fixtures().join("unimed"));
    let assert_equal = |mut encoder: DualEncoder| {
        assert_tokens(&encoder, &golden);
        let found = encoder.encode_texts(&texts(&golden)).unwrap();
        let written = found.iter().zip(golden.texts.iter().map(|t| &t.embedding));
        let found = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        let pictures = found
            .iter()
            .zip(golden.pictures.iter().map(|p| &p.embedding));
        for (found, expected) in written.chain(pictures) {
            assert!(cosine(found, expected) >= 0.9999);
        }
    };
    let name = "unimed-clip-vit-b16.pt";
    assert_equal(checkpoint::open(&fixtures().join("unimed").join(name), EXACT).unwrap());
    // In the hub's cache.
    let cache = tempfile::tempdir().unwrap();
    let snapshot = |id: &str| {
        let model = cache.path().join(format!("models--{id}"));
        fs::create_dir_all(model.join("refs")).unwrap();
        fs::write(model.join("refs/main"), "c0").unwrap();
        fs::create_dir_all(model.join("snapshots/c0")).unwrap();
        model.join("snapshots/c0")
    };
    let model = snapshot("UzairK--unimed-clip-vit-b16");
    fs::copy(fixtures().join("unimed").join(name), model.join(name)).unwrap();
    let error = checkpoint::open(&model, EXACT).err().unwrap().to_string();
    assert!(error.contains("pull the model again"), "{error}");
    let tokenizer = snapshot("microsoft--BiomedNLP-BiomedBERT-base-uncased-abstract");
    fs::copy(
        fixtures().join("unimed/vocab.txt"),
        tokenizer.join("vocab.txt"),
    )
    .unwrap();
    assert_equal(checkpoint::open(&model, EXACT).unwrap());
}

#[test]
fn a_clip_model_with_another_familys_text_tower_or_its_own_code_is_refused_by_name() {
    for (key, value, named) in [
        (
            "auto_map",
            serde_json::json!({"AutoModel": "m.M"}),
            "`auto_map`",
        ),
        (
            "text_config",
            serde_json::json!({"model_type": "bert"}),
            "`bert`",
        ),
    ] {
        let folder = copied_without("clip-early", &[]);
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        let error = refusal(&folder).to_string();
        assert!(
            error.contains(named) && error.contains("config.json"),
            "{error}"
        );
    }
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

/// The lowest cosine of the texts' embeddings with the golden ones.
fn lowest_of_texts(folder: &Path) -> f64 {
    let golden = golden(folder);
    let found = open(folder).encode_texts(&texts(&golden)).unwrap();
    lowest(
        found
            .iter()
            .zip(&golden.texts)
            .map(|(f, e)| cosine(f, &e.embedding)),
    )
}

#[test]
fn a_bert_has_the_heads_that_its_configuration_states() {
    let folder = copied_without("biomedclip", &[]);
    let heads = |count: i64| {
        let value = serde_json::json!({"num_attention_heads": count});
        let path = ["model_cfg", "text_cfg", "hf_model_config"];
        set_key(folder.path(), "open_clip_config.json", &path, value);
        lowest_of_texts(folder.path())
    };
    assert!(heads(2) >= 0.9999);
    assert!(heads(4) < 0.999);
    // The same from the text tower's own configuration.
    set_key(
        folder.path(),
        "open_clip_config.json",
        &["model_cfg", "text_cfg", "hf_model_config"],
        serde_json::Value::Null,
    );
    let own = r#"{"model_type": "bert", "num_attention_heads": 4}"#;
    fs::write(folder.path().join("config.json"), own).unwrap();
    assert!(lowest_of_texts(folder.path()) < 0.999);
}

#[test]
fn a_text_tower_that_only_looks_like_bert_is_refused() {
    let folder = copied_without("biomedclip", &[]);
    let path = ["model_cfg", "text_cfg", "hf_model_name"];
    let file = "open_clip_config.json";
    set_key(folder.path(), file, &path, "xlm-roberta-base".into());
    let error = refusal(&folder).to_string();
    assert!(
        error.contains("xlm-roberta-base") && error.contains(file),
        "{error}"
    );
    let folder = copied_without("biomedclip", &["tokenizer.json"]);
    let foreign = fixtures().join("open-clip/tokenizer.json");
    fs::copy(foreign, folder.path().join("tokenizer.json")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("WordPiece"), "{error}");
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

#[test]
fn a_truncated_or_foreign_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixtures().join("chexzero/chexzero.pt")).unwrap();
    let cases: [(&str, &[u8]); 4] = [
        ("short.pt", &whole[..whole.len() / 2]),
        ("empty.pt", b""),
        ("old.pt", b"\x80\x02}q\x00."),
        ("text.pt", b"not weights at all"),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = match checkpoint::open(&path, EXACT) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(name), "{error}");
    }
}
