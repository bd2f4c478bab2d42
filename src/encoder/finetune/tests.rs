use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::*;
use crate::encoder::{Device, Encoder, ModelOptions, ModelSource, TaughtFindings, checkpoint};
use crate::learn::{Problem, Truths};
use crate::scoring::Mode;

const OPTIONS: ModelOptions = ModelOptions {
    device: Device::Cpu,
    precision: crate::encoder::Precision::F32,
    fit: None,
    text_cache: None,
    reference_records: None,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity")
        .join(name)
}

/// Images of two conditions: light above, or light below, each with noise of its own.
struct LitHalves {
    images: Vec<PreparedImage>,
    truths: Truths,
}

impl LitHalves {
    fn new(count: usize, (width, height): (usize, usize)) -> Self {
        let image = |at: usize| {
            let bytes = (0..width * height * 3).map(|place| {
                let is_above = place / 3 / width < height / 2;
                let noise = (place * 31 + at * 977 + (place * at) % 101) % 60;
                let light = if is_above == at.is_multiple_of(2) {
                    170
                } else {
                    20
                };
                (light + noise) as u8
            });
            PreparedImage::new(bytes.collect())
        };
        Self {
            images: (0..count).map(image).collect(),
            truths: Truths::One((0..count).map(|at| at % 2).collect()),
        }
    }
}

impl TrainingImages for LitHalves {
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError> {
        Ok(self.images[index].clone())
    }
}

fn settings() -> LoraSettings {
    LoraSettings {
        rank: 4,
        alpha: 4.0,
        rate: 5e-3,
        epochs: 2,
        batch: 6,
        micro_batch: 3,
        patience: 9,
        ..LoraSettings::default()
    }
}

/// A training on a fixture; what is learned from.
struct Trial {
    tuner: FineTuner,
    images: LitHalves,
    problem: Problem,
    embeddings: Vec<Vec<f32>>,
}

impl Trial {
    fn new(path: &Path, settings: LoraSettings) -> Self {
        let source = ModelSource::Path(path.to_owned());
        let tuner = FineTuner::open(&source, Device::Cpu, settings).unwrap();
        let preprocess = tuner.preprocess();
        let images = LitHalves::new(24, (preprocess.width(), preprocess.height()));
        let embeddings = tuner.encode_base(&images, images.images.len()).unwrap();
        let length = embeddings[0].len();
        let text = |sign: f32| {
            let mut text: Vec<f32> = (0..length).map(|at| sign * (at as f32).sin()).collect();
            crate::learn::linear::normalize(&mut text);
            text
        };
        Self {
            tuner,
            images,
            problem: Problem {
                texts: vec![text(1.0), text(-1.0)],
                offsets: vec![0.0; 2],
                scale: 10.0,
            },
            embeddings,
        }
    }

    fn train(&mut self, state: Option<&TrainingState>, stop_after: Option<u64>) -> TrainingEnd {
        let indices: Vec<usize> = (0..24).collect();
        let data = TrainingData {
            images: &self.images,
            truths: &self.images.truths,
            train: &indices[..16],
            held_out: &indices[16..],
            problem: &self.problem,
            embeddings: &self.embeddings,
        };
        train(&mut self.tuner, &data, state, &mut |event| match event {
            TrainingEvent::Step { done, .. } if Some(done) == stop_after => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap()
    }
}

fn least_cosine(all: &[Vec<f32>], others: &[Vec<f32>]) -> f32 {
    let cosines = all.iter().zip(others);
    cosines
        .map(|(a, b)| crate::learn::linear::dot(a, b))
        .fold(1.0, f32::min)
}

/// Trains a little, writes, and opens what was written.
fn round_trip(name: &str) {
    let mut trial = Trial::new(&fixture(name), settings());
    let end = trial.train(None, None);
    assert_eq!(end.history.len(), 3, "{name}");
    // Whether it helps is not the question here.
    trial.tuner.keep_as_best().unwrap();
    let images = &trial.images.images;
    let trained = trial.tuner.encode_best(images).unwrap();
    assert!(
        least_cosine(&trained, &trial.embeddings) < 0.9999,
        "{name} did not change"
    );
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("mine");
    let saved = trial.tuner.save(&model, None).unwrap();
    let base = checkpoint::open(&fixture(name), OPTIONS).unwrap();
    let mut digests = vec![base.card().digest.clone()];
    for path in [&saved.merged, &saved.adapter] {
        let mut opened = checkpoint::open(path, OPTIONS).unwrap();
        assert_eq!(
            format!("{:?}", opened.preprocess()),
            format!("{:?}", trial.tuner.preprocess())
        );
        let rows = opened.encode_images(images).unwrap();
        let cosine = least_cosine(&trained, &rows);
        assert!(cosine >= 0.99999, "{name} {}: {cosine}", path.display());
        digests.push(opened.card().digest.clone());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(
        digests.len(),
        3,
        "{name}: base, merged model and adapter are told apart"
    );
}

#[test]
fn transformers_open_as_they_were_trained() {
    for name in ["clip-late", "siglip", "siglip2", "open-clip", "openai"] {
        round_trip(name);
    }
}

#[test]
fn other_layouts_open_as_they_were_trained() {
    for name in ["open-clip-bin", "biomedclip", "trained", "chexzero"] {
        round_trip(name);
    }
}

#[test]
fn residual_networks_open_as_they_were_trained() {
    for name in ["open-clip-resnet", "openai-resnet"] {
        round_trip(name);
    }
}

#[test]
fn a_training_that_was_stopped_ends_where_one_that_was_not_does() {
    for name in ["clip-late", "open-clip-resnet"] {
        let mut whole = Trial::new(&fixture(name), settings());
        let end = whole.train(None, None);
        let folder = tempfile::tempdir().unwrap();
        let state = TrainingState {
            file: folder.path().join("training.safetensors"),
            fingerprint: "this".to_owned(),
        };
        let mut first = Trial::new(&fixture(name), settings());
        // In the middle of an epoch, and again after the first.
        for stop in [2, 4] {
            assert!(first.train(Some(&state), Some(stop)).is_interrupted);
            first = Trial::new(&fixture(name), settings());
        }
        let resumed = first.train(Some(&state), None);
        assert_eq!(resumed, end, "{name}");
        let rows = |trial: &Trial| trial.tuner.encode_best(&trial.images.images).unwrap();
        assert_eq!(rows(&first), rows(&whole), "{name}");
        // Another seed is another training.
        let other = TrainingState {
            fingerprint: "that".to_owned(),
            ..state
        };
        let error = first.tuner.resume(&other).unwrap_err().to_string();
        assert!(
            error.contains("training.safetensors") && error.contains("other"),
            "{error}"
        );
    }
}

#[test]
fn training_finds_what_tells_the_conditions_apart() {
    for name in ["clip-late", "open-clip-resnet"] {
        let settings = LoraSettings {
            epochs: 12,
            rate: 1e-2,
            zero_shot_weight: 0.0,
            ..settings()
        };
        let mut trial = Trial::new(&fixture(name), settings);
        let end = trial.train(None, None);
        let best = &end.history[end.best].held_out;
        assert!(best.balanced_accuracy > 0.95, "{name}: {:?}", end.history);
        let [first, last] = [1, end.history.len() - 1].map(|at| end.history[at].loss.unwrap());
        assert!(last < first, "{name}: {first} {last}");
    }
}

/// The same images, the two conditions each by itself: light above, light below; a third is shown by two images.
fn several(trial: &mut Trial) {
    let shown = (0..24).map(|at| match at {
        2 | 18 => vec![at % 2, 2],
        _ => vec![at % 2],
    });
    trial.images.truths = Truths::Any {
        conditions: 3,
        shown: shown.collect(),
    };
    let third = (0..trial.embeddings[0].len()).map(|at| (3.0 * at as f32).cos());
    trial.problem.texts.push(third.collect());
    trial.problem.offsets = vec![-1.0, -1.0, 0.5];
}

#[test]
fn training_finds_each_condition_by_itself_and_goes_on_after_a_stop() {
    let settings = LoraSettings {
        epochs: 12,
        rate: 1e-2,
        zero_shot_weight: 0.0,
        ..settings()
    };
    let trial = || {
        let mut trial = Trial::new(&fixture("clip-late"), settings.clone());
        several(&mut trial);
        trial
    };
    let mut whole = trial();
    let end = whole.train(None, None);
    let best = &end.history[end.best].held_out;
    let first = &end.history[0].held_out;
    assert!(
        best.auroc > first.auroc && best.auroc > Some(0.7),
        "{:?}",
        end.history
    );
    let [early, late] = [1, end.history.len() - 1].map(|at| end.history[at].loss.unwrap());
    assert!(late < early, "{early} {late}");
    // What too few images show has no part in the loss.
    let loss = |texts: f32| {
        let mut trial = trial();
        trial.tuner.set_epochs(1);
        trial.problem.texts[2]
            .iter_mut()
            .for_each(|own| *own *= texts);
        trial.train(None, None).history[1].loss
    };
    assert_eq!(loss(1.0), loss(-2.0));

    let folder = tempfile::tempdir().unwrap();
    let state = TrainingState {
        file: folder.path().join("training.safetensors"),
        fingerprint: "this".to_owned(),
    };
    assert!(trial().train(Some(&state), Some(4)).is_interrupted);
    assert_eq!(trial().train(Some(&state), None), end);
}

#[test]
fn micro_batches_change_nothing_but_memory() {
    let of = |micro_batch| {
        let settings = LoraSettings {
            micro_batch,
            epochs: 1,
            ..settings()
        };
        let mut trial = Trial::new(&fixture("clip-late"), settings);
        trial.train(None, None);
        trial.tuner.keep_as_best().unwrap();
        trial.tuner.encode_best(&trial.images.images).unwrap()
    };
    assert!(least_cosine(&of(6), &of(2)) > 0.999_99);
}

#[test]
fn an_adapter_refuses_another_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(fixture("clip-late")).unwrap().flatten() {
        std::fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    let mut trial = Trial::new(&base, settings());
    trial.train(None, None);
    trial.tuner.keep_as_best().unwrap();
    let saved = trial.tuner.save(&folder.path().join("mine"), None).unwrap();
    assert!(checkpoint::open(&saved.adapter, OPTIONS).is_ok());
    let config = std::fs::read_to_string(base.join("config.json")).unwrap();
    std::fs::write(base.join("config.json"), config + "\n").unwrap();
    let error = checkpoint::open(&saved.adapter, OPTIONS).err().unwrap();
    assert!(error.to_string().contains("is another"), "{error}");
    std::fs::remove_dir_all(&base).unwrap();
    let error = checkpoint::open(&saved.adapter, OPTIONS).err().unwrap();
    assert!(
        error.to_string().contains("open the merged model"),
        "{error}"
    );
}

#[test]
fn a_model_from_the_built_in_one_says_what_it_was_taught_and_so_does_its_adapter() {
    let of_kind = |kind: &str| TaughtFindings {
        kind: Some(kind.to_owned()),
        prompts: "bone-xray".to_owned(),
        prompts_digest: "blake3:0".to_owned(),
        mode: Mode::Single,
    };
    let folder = tempfile::tempdir().unwrap();
    let train = |base: &ModelSource, name: &str, kind: &str| {
        let mut tuner = FineTuner::open(base, Device::Cpu, settings()).unwrap();
        tuner.keep_as_best().unwrap();
        let model = folder.path().join(name);
        tuner.save(&model, Some(&of_kind(kind))).unwrap()
    };
    let facts = |path: &Path| {
        let opened = checkpoint::open(path, OPTIONS).unwrap();
        (opened.card().builtin.clone(), opened.card().digest.clone())
    };
    let base = ModelSource::Builtin.open(OPTIONS).unwrap();
    let base = base.card().builtin.clone().unwrap();
    assert_eq!(base.taught, None);
    let first = train(&ModelSource::Builtin, "first", "limb radiograph");
    for path in [&first.merged, &first.adapter] {
        let own = facts(path).0.unwrap();
        assert_eq!(own.taught, Some(of_kind("limb radiograph")));
        assert_eq!(own.known, base.known);
        assert_eq!(
            own.taught_kind("blake3:0", Mode::Single),
            Some("limb radiograph")
        );
        assert_eq!(own.taught_kind("blake3:0", Mode::Multi), None);
        assert_eq!(own.taught_kind("blake3:1", Mode::Single), None);
    }
    // Trained further, it was taught what it was taught last.
    let source = ModelSource::Path(first.merged.clone());
    let second = train(&source, "second", "chest radiograph");
    for path in [&second.merged, &second.adapter] {
        let own = facts(path).0.unwrap();
        assert_eq!(own.taught, Some(of_kind("chest radiograph")));
        assert_eq!(own.known, base.known);
    }
    // Edited, it is another model; without what it needs it does not open.
    let before = facts(&first.merged).1;
    let file = first.merged.join("taught.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("limb", "chest")).unwrap();
    assert_ne!(facts(&first.merged).1, before);
    std::fs::remove_file(first.merged.join("known.safetensors")).unwrap();
    let error = checkpoint::open(&first.merged, OPTIONS).err().unwrap();
    assert!(error.to_string().contains("known.safetensors"), "{error}");
}
