//! `models verify --reference`: compares a checkpoint's embeddings with those of its reference implementation in Python.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::commands::{CommandSetup, Fault, exit, print};
use crate::encoder::{
    CheckpointLayout, Encoder, ModelOptions, ModelSource, Precision, ReferenceRecord,
    ReferenceRecords, checkpoint,
};
use crate::media::{Picture, Pixels};

/// The script that runs the reference.
const SCRIPT: &str = include_str!("../../../tests/oracle/reference.py");
/// The file of transformers' tokenizer of SigLIP.
const SENTENCE_PIECES: &str = "spiece.model";
/// The lowest cosine of embeddings that count as the same. Versions of Pillow and libtorch differ by less, a wrong activation,
/// normalisation or token by more.
const MIN_COSINE: f64 = 0.999;

/// The script's output.
#[derive(Deserialize)]
struct ReferenceOutput {
    versions: BTreeMap<String, String>,
    texts: Vec<ReferenceText>,
    pictures: Vec<ReferencePicture>,
}

#[derive(Deserialize)]
struct ReferenceText {
    text: String,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct ReferencePicture {
    width: u32,
    height: u32,
    channels: u32,
    pattern: String,
    embedding: Vec<f32>,
}

impl ReferencePicture {
    /// The image's pixels, by the formula of the script.
    fn picture(&self) -> Result<Picture, String> {
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
                        other => return Err(format!("an unknown pattern `{other}`")),
                    });
                }
            }
        }
        let pixels = if self.channels == 1 {
            Pixels::Luma(bytes)
        } else {
            Pixels::Rgb(bytes)
        };
        Ok(Picture {
            width: self.width,
            height: self.height,
            pixels,
        })
    }
}

/// Compares models, and prints a line for each; returns the exit code. One that cannot be compared does not keep the others from it; an
/// error only if none can.
pub(super) fn verify(
    sources: &[ModelSource],
    python: &Path,
    setup: &CommandSetup,
) -> Result<u8, Fault> {
    let (mut code, mut failures) = (exit::OK, Vec::new());
    for source in sources {
        match compare_source(source, python) {
            Ok(record) => {
                if !report(&record, setup)? {
                    code = exit::SOME_FAILED;
                }
            }
            Err(reason) => failures.push(format!("{}: {reason}", source.name())),
        }
    }
    match &failures[..] {
        [] => return Ok(code),
        [only] if sources.len() == 1 => return Err(Fault::unusable(only)),
        several => several.iter().for_each(print::message),
    }
    if failures.len() == sources.len() {
        return Err(Fault::unusable("no model could be compared"));
    }
    Ok(exit::SOME_FAILED)
}

fn compare_source(source: &ModelSource, python: &Path) -> Result<ReferenceRecord, String> {
    match source {
        ModelSource::Path(path) => compare(path, python),
        _ => Err("has no files to compare; name a model in the cache, or a folder".into()),
    }
}

/// Prints a comparison, and remembers it if it succeeded; returns whether it did.
fn report(record: &ReferenceRecord, setup: &CommandSetup) -> Result<bool, Fault> {
    let is_same = record.images >= MIN_COSINE && record.texts >= MIN_COSINE;
    let state = if is_same { "ok" } else { "DIFFERS" };
    let versions = record.versions.iter();
    let versions: Vec<String> = versions.map(|(k, v)| format!("{k} {v}")).collect();
    print::line(format_args!(
        "{state:<12}{}  lowest cosine: images {:.6}, texts {:.6}  ({})",
        record.model,
        record.images,
        record.texts,
        versions.join(", ")
    ))?;
    if let (true, Some(records)) = (is_same, setup.reference_records()) {
        ReferenceRecords::at(&records)
            .remember(record)
            .map_err(|e| Fault::unusable(format!("{}: {e}", records.display())))?;
    }
    Ok(is_same)
}

fn compare(path: &Path, python: &Path) -> Result<ReferenceRecord, String> {
    let kind = match CheckpointLayout::of(path).map_err(|e| e.to_string())? {
        CheckpointLayout::Clip => "clip",
        CheckpointLayout::Siglip => "siglip",
        CheckpointLayout::OpenClip => "open-clip",
        CheckpointLayout::StateDict => {
            return Err(
                "a file of weights does not say what its reference is; only models of Hugging Face's and open_clip's layouts can be \
                 compared"
                    .into(),
            );
        }
    };
    let options = ModelOptions {
        precision: Precision::F32,
        device: crate::encoder::Device::Cpu,
        ..ModelOptions::default()
    };
    let mut encoder = checkpoint::open(path, options).map_err(|e| e.to_string())?;
    let reference = run(python, kind, path)?;
    let preprocess = encoder.preprocess();
    let mut images = Vec::new();
    for picture in &reference.pictures {
        let prepared = preprocess.apply(&picture.picture()?);
        images.push(prepared.map_err(|e| e.to_string())?);
    }
    let images = encoder.encode_images(&images).map_err(|e| e.to_string())?;
    let texts: Vec<String> = reference.texts.iter().map(|t| t.text.clone()).collect();
    let texts = encoder.encode_texts(&texts).map_err(|e| e.to_string())?;
    let images = images.iter().zip(&reference.pictures);
    let texts = texts.iter().zip(&reference.texts);
    let card = encoder.card();
    let folder = path.file_name().unwrap_or_default();
    Ok(ReferenceRecord {
        model: card.id.clone(),
        digest: card.digest.clone(),
        commit: folder.to_string_lossy().into_owned(),
        images: lowest(images.map(|(found, expected)| cosine(found, &expected.embedding))),
        texts: lowest(texts.map(|(found, expected)| cosine(found, &expected.embedding))),
        versions: reference.versions,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Runs the script; an error quotes the last line that Python wrote.
fn run(python: &Path, kind: &str, path: &Path) -> Result<ReferenceOutput, String> {
    let (folder, weights) = checkpoint::folder_and_weights(path).map_err(|e| e.to_string())?;
    let shown = python.display();
    let child = Command::new(python)
        .arg("-")
        .arg(kind)
        .arg(&folder)
        .args(weights)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| {
        format!("{shown} cannot be run: {e}; install Python, or name one with --python")
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A Python that ends early is reported below.
        let _ = stdin.write_all(SCRIPT.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|e| format!("{shown}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        // transformers' tokenizer of SigLIP has no other file.
        let lacks_pieces = kind == "siglip" && !folder.join(SENTENCE_PIECES).is_file();
        let what_to_do = if lacks_pieces {
            format!(
                "the folder has no {SENTENCE_PIECES}, which SigLIP may need there; `models pull` fetches it"
            )
        } else {
            "it needs the packages torch, pillow, and transformers (for SigLIP with sentencepiece and protobuf) or open_clip_torch".to_owned()
        };
        return Err(format!(
            "the reference failed in {shown}: {}; {what_to_do}",
            last.unwrap_or("it said nothing")
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("{shown}: {e}"))
}

/// The cosine; 0 where the lengths differ or it is not a number.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        let products = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y));
        products.sum::<f64>()
    };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    if a.len() == b.len() && cosine.is_finite() {
        cosine
    } else {
        0.0
    }
}

/// The minimum; 0 of nothing, which proves nothing.
fn lowest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.reduce(f64::min).unwrap_or(0.0)
}
