//! What only a GPU can show. `cargo test --test gpu -- --ignored`, with a libtorch that has CUDA (`make setup GPU=yes`).

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use medivision_tui::encoder::{
    Device, DualEncoder, Encoder, EncoderError, ModelOptions, Precision, PreparedImage, builtin,
    checkpoint,
};
use medivision_tui::engine::{self, Engine, Event, FrameSelection, Job, Lane, Settings};
use medivision_tui::learn::LearnedSets;
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Plan, draw};
use medivision_tui::prompts::{self, Prompts};
use medivision_tui::scoring::calibration::Calibrations;
use medivision_tui::scoring::{Logits, Mode, Scorer};

const GPU: Device = Device::Cuda(0);

fn options(device: Device, precision: Precision) -> ModelOptions {
    ModelOptions {
        device,
        precision,
        fit: None,
        text_cache: None,
        reference_records: None,
    }
}

/// The small transformer among the fixtures, whose passes need more memory than those of the built-in model.
fn open(device: Device, precision: Precision) -> DualEncoder {
    let folder = Path::new("tests/fixtures/vit");
    checkpoint::open(folder, options(device, precision)).expect("a GPU, and a libtorch with CUDA")
}

fn open_builtin(device: Device, precision: Precision) -> DualEncoder {
    builtin::open(options(device, precision)).expect("a GPU, and a libtorch with CUDA")
}

/// Phantoms of all kinds, from 160 × 176 to 336 × 320 pixels.
fn phantoms(count: usize) -> Vec<Picture> {
    let kinds: Vec<_> = [Anatomy::Chest, Anatomy::Head, Anatomy::Limb]
        .iter()
        .flat_map(|&anatomy| anatomy.conditions().iter().map(move |&c| (anatomy, c)))
        .collect();
    let phantom = |index: usize| {
        let (anatomy, condition) = kinds[index % kinds.len()];
        let (across, down) = ((index % 12) as u32, (index % 10) as u32);
        let (width, height) = (160 + across * 16, 176 + down * 16);
        let plan = Plan {
            anatomy,
            condition,
            seed: 0xFEED_0000 + index as u64,
            width,
            height,
            level: 0.0,
        };
        Picture {
            width,
            height,
            pixels: Pixels::Luma(draw(&plan).to_luma8()),
        }
    };
    (0..count).map(phantom).collect()
}

fn inputs(model: &DualEncoder, pictures: &[Picture]) -> Vec<PreparedImage> {
    let preprocess = model.preprocess();
    let input = |picture: &Picture| preprocess.apply(picture).expect("prepared");
    pictures.iter().map(input).collect()
}

fn labels(model: &mut DualEncoder, rows: &[Vec<f32>]) -> Vec<String> {
    let sets = prompts::all(None).expect("ships");
    let set = sets.iter().find(|set| set.name == prompts::DEFAULT);
    let logits = Logits {
        scale: model.card().logit_scale,
        bias: None,
    };
    let texts = |texts: &[String]| model.encode_texts(texts);
    let scorer = Scorer::new(set.expect("ships"), Mode::Single, logits, texts).expect("scored");
    rows.iter().map(|row| scorer.verdict(row).label).collect()
}

/// Cosine of unit vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
}

/// Runs the test of that name in a process of its own: what it does to the GPU stays there. True: this is that process.
fn alone(name: &str) -> bool {
    const MARK: &str = "MEDIVISION_GPU_TEST";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let done = Command::new(std::env::current_exe().expect("known"))
        .args(["--ignored", "--exact", "--nocapture", name])
        .env(MARK, name)
        .status();
    assert!(done.expect("started").success());
    false
}

#[test]
#[ignore = "needs a GPU"]
fn halves_say_what_f32_says() {
    // Opened first: a process that has begun on the CPU stays there.
    drop(open(GPU, Precision::F32));
    halves_agree(open, 0.999_99);
    // As PyTorch does by default, convolutions of f32 multiply with TF32's ten bits.
    halves_agree(open_builtin, 0.9999);
}

/// Compares a model on the GPU with itself on the CPU; `lowest` is the least cosine for f32.
fn halves_agree(open: fn(Device, Precision) -> DualEncoder, lowest: f64) {
    let pictures = phantoms(1000);
    let mut exact = open(Device::Cpu, Precision::F32);
    let batch = inputs(&exact, &pictures);
    let expected = exact.encode_images(&batch).expect("encoded");
    let wanted = labels(&mut exact, &expected);
    for (precision, lowest) in [
        (Precision::F32, lowest),
        (Precision::Auto, 0.999),
        (Precision::Bf16, 0.999),
        (Precision::F16, 0.999),
    ] {
        let mut model = open(GPU, precision);
        assert_eq!(model.card().device, "cuda:0");
        let rows = model.encode_images(&batch).expect("encoded");
        let cosines = rows.iter().zip(&expected).map(|(a, b)| cosine(a, b));
        // NaN stays, which `f64::min` passes over.
        let worst = cosines.reduce(|a, b| if a.is_nan() || a <= b { a } else { b });
        let worst = worst.expect("a cosine");
        let said = labels(&mut model, &rows);
        let same = said.iter().zip(&wanted).filter(|(a, b)| a == b).count();
        let agreed = same as f64 / wanted.len() as f64;
        println!("{precision:?}: lowest cosine {worst:.6}, same label {agreed:.4}");
        assert!(worst >= lowest, "{precision:?}: {worst}");
        assert!(agreed >= 0.995, "{precision:?}: {agreed}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn passes_that_overlap_give_what_each_gives_alone() {
    let mut model = open(GPU, Precision::F32);
    let batch = inputs(&model, &phantoms(300));
    // Of unlike sizes, so that memory for them is taken anew and used again.
    let passes: Vec<&[PreparedImage]> = [0..40, 40..41, 41..100, 100..104, 104..230, 230..300]
        .into_iter()
        .map(|range| &batch[range])
        .collect();
    let mut rows = Vec::new();
    for pass in &passes {
        rows.extend(model.begin_pass(pass).expect("begun"));
    }
    rows.extend(model.finish_pass().expect("ended"));
    assert!(model.finish_pass().expect("nothing pending").is_none());
    let rows: Vec<Vec<f32>> = rows.into_iter().flatten().collect();
    assert_eq!(rows.len(), batch.len());
    let plain = passes
        .iter()
        .flat_map(|pass| model.encode_images(pass).expect("encoded"));
    for (row, plain) in rows.iter().zip(plain) {
        assert!(cosine(row, &plain) > 0.999_999);
    }
}

/// Writes the phantoms, has an engine on the GPU classify them while `spoil` does something to it, and gives back on which
/// devices it said to be. No file is lost.
fn classify(folder: &Path, count: usize, spoil: impl FnOnce()) -> Vec<String> {
    let mut files = Vec::new();
    for (index, picture) in phantoms(count).into_iter().enumerate() {
        let path = folder.join(format!("{index:04}.png"));
        let Pixels::Luma(bytes) = picture.pixels else {
            unreachable!("drawn in grey")
        };
        image::save_buffer(
            &path,
            &bytes,
            picture.width,
            picture.height,
            image::ColorType::L8,
        )
        .expect("written");
        files.push(path);
    }
    let settings = Settings {
        prompts: Prompts::select("general", None).expect("ships"),
        mode: Mode::Single,
        calibrations: Calibrations::default(),
        learned: LearnedSets::default(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: None,
        exact: false,
        pass_time: engine::BULK_PASS_TIME,
        library: None,
        stores_results: true,
    };
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    // Asked once more after a loss, it opens the model on the CPU, whatever the wish is.
    let factory = Box::new(|| Ok(Box::new(open(GPU, Precision::F32)) as Box<dyn Encoder>));
    let engine = Engine::start(
        factory,
        settings,
        Arc::new(move |event| drop(sender.lock().expect("whole").send(event))),
    );
    let mut devices = Vec::new();
    let next = || events.recv().expect("the engine lives");
    loop {
        match next() {
            Event::Ready { device, .. } => break devices.push(device),
            Event::Failed { message } => panic!("{message}"),
            _ => {}
        }
    }
    spoil();
    for (generation, path) in (0..).zip(&files) {
        let job = Job {
            path: path.clone(),
            lane: Lane::Bulk,
            generation,
        };
        engine.submit(job).expect("taken");
    }
    let mut left = files.len();
    while left > 0 {
        match next() {
            Event::Ready { device, .. } => devices.push(device),
            Event::Failed { message } => panic!("{message}"),
            Event::Done { path, outcomes, .. } => {
                left -= 1;
                for outcome in outcomes {
                    if let Err(failure) = outcome {
                        panic!("{}: {}", path.display(), failure.message);
                    }
                }
            }
            _ => {}
        }
    }
    devices
}

#[test]
#[ignore = "needs a GPU"]
fn a_full_gpu_takes_smaller_batches_and_loses_nothing() {
    if !alone("a_full_gpu_takes_smaller_batches_and_loses_nothing") {
        return;
    }
    let folder = tempfile::tempdir().expect("made");
    let mut model = open(GPU, Precision::F32);
    let batch = inputs(&model, &phantoms(256));
    model.encode_images(&batch[..1]).expect("there is room");
    let mut taken = Vec::new();
    let devices = classify(folder.path(), 1500, || {
        // Everything is taken, to the last of ever smaller pieces; then as much is given back as a few pictures need, and
        // what the engine's thread needs besides.
        for megabytes in [1024, 64, 8, 2] {
            let piece = [megabytes << 20];
            let device = (tch::Kind::Uint8, tch::Device::Cuda(0));
            while let Ok(tensor) = tch::Tensor::f_empty(piece, device) {
                taken.push(tensor);
            }
        }
        while model.encode_images(&batch[..8]).is_err() {
            assert!(
                taken.pop().is_some(),
                "a few pictures fit into an empty GPU"
            );
        }
        taken.truncate(taken.len() - 8);
        let full = model.encode_images(&batch);
        let refused = matches!(full, Err(EncoderError::OutOfMemory(_)));
        assert!(refused, "a full batch fits: {full:?}");
    });
    assert_eq!(devices, ["cuda:0"], "smaller batches fit");
    assert!(!taken.is_empty());
}

#[test]
#[ignore = "needs a GPU"]
fn a_lost_gpu_makes_way_for_the_cpu_and_loses_nothing() {
    if !alone("a_lost_gpu_makes_way_for_the_cpu_and_loses_nothing") {
        return;
    }
    let folder = tempfile::tempdir().expect("made");
    let devices = classify(folder.path(), 300, || {
        // A row that is not there: the kernel stops the device for this process, and every later call fails.
        let device = tch::Device::Cuda(0);
        let table = tch::Tensor::zeros([4, 4], (tch::Kind::Float, device));
        let row = tch::Tensor::from_slice(&[1_i64 << 30]).to_device(device);
        let _ = table.f_index_select(0, &row);
    });
    assert_eq!(devices, ["cuda:0", "cpu"]);
}
