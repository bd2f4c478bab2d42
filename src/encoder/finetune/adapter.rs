//! An adapter: the changes alone, with the digest of the base that they belong to, in PEFT's files and names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::TrainedBlocks;
use super::base::{BaseOrigin, FineTuner, in_f32, merge};
use super::files::{TensorFile, write, write_tensors};
use super::low_rank::Factors;
use super::targets::{self, TrainedMatrix};
use crate::config::BUILTIN;
use crate::encoder::checkpoint::{self, LoadedCheckpoint};
use crate::encoder::layout::{CONFIG, OPEN_CLIP_CONFIG, parse, read};
use crate::encoder::source::why_missing;
use crate::encoder::weights::DeviceAndKind;
use crate::encoder::{EncoderError, ModelSource, builtin, taught};

/// The files, as PEFT names them.
const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// The version of what the weights' header says.
const FORMAT: u32 = 1;

/// `adapter_config.json`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AdapterConfig {
    peft_type: String,
    /// Where the base is: `builtin`, an id on the hub, or an absolute path.
    base_model_name_or_path: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    target_modules: Vec<String>,
    #[serde(default)]
    bias: String,
    #[serde(default)]
    inference_mode: bool,
    #[serde(skip)]
    header: AdapterHeader,
}

/// What the weights say of their base.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AdapterHeader {
    format: u32,
    base: String,
    base_digest: String,
}

/// The names of the factors of a module.
pub(super) fn names(module: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|part| format!("base_model.model.{module}.{part}.weight"))
}

impl AdapterConfig {
    pub(super) fn new(tuner: &FineTuner) -> Self {
        let id = tuner.base_id().to_owned();
        let base = match &tuner.origin {
            BaseOrigin::Builtin => BUILTIN.to_owned(),
            // A snapshot of the cache, which another machine has elsewhere.
            BaseOrigin::Path(_) if id.contains('/') => id.clone(),
            BaseOrigin::Path(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                path.to_string_lossy().into_owned()
            }
        };
        let modules = tuner.changes.iter().map(|own| own.target.module.clone());
        Self {
            peft_type: "LORA".to_owned(),
            base_model_name_or_path: base,
            r: tuner.settings.rank,
            lora_alpha: tuner.settings.alpha,
            lora_dropout: tuner.settings.dropout,
            target_modules: modules.collect(),
            bias: "none".to_owned(),
            inference_mode: true,
            header: AdapterHeader {
                format: FORMAT,
                base: id,
                base_digest: tuner.base_digest().to_owned(),
            },
        }
    }

    pub(super) fn write(
        &self,
        folder: &Path,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<(), EncoderError> {
        write_tensors(&folder.join(ADAPTER_WEIGHTS), tensors, &self.header)?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| EncoderError::Unsupported(error.to_string()))?;
        write(&folder.join(ADAPTER_CONFIG), json.as_bytes())
    }
}

/// Whether a path is the folder of an adapter.
pub(in crate::encoder) fn is_adapter(path: &Path) -> bool {
    let has = |name: &str| path.join(name).is_file();
    has(ADAPTER_CONFIG) && !has(CONFIG) && !has(OPEN_CLIP_CONFIG)
}

/// Where an adapter says that its base is, as `--model` has it; `None` if its file cannot be read.
pub(in crate::encoder) fn base_name(path: &Path) -> Option<String> {
    let file = path.join(ADAPTER_CONFIG);
    let config: AdapterConfig = parse(&read(&file).ok()?, &file).ok()?;
    Some(config.base_model_name_or_path)
}

/// Reads an adapter's base, and adds its changes.
pub(in crate::encoder) fn load(
    path: &Path,
    target: DeviceAndKind,
) -> Result<LoadedCheckpoint, EncoderError> {
    let _guard = tch::no_grad_guard();
    let config_file = path.join(ADAPTER_CONFIG);
    let json = read(&config_file)?;
    let config: AdapterConfig = parse(&json, &config_file)?;
    let weights = TensorFile::read(&path.join(ADAPTER_WEIGHTS))?;
    let header: AdapterHeader = weights.header()?;
    let fault = |reason: String| EncoderError::File {
        path: path.to_owned(),
        reason,
    };
    if config.peft_type != "LORA" || header.format != FORMAT || config.r == 0 {
        return Err(fault("an adapter that this program cannot read".to_owned()));
    }
    let base = base(&config, &header, target).map_err(fault)?;
    if base.digest != header.base_digest {
        return Err(fault(format!(
            "the adapter belongs to {} with the digest {}, and the model at {} is another ({}); open the merged model instead, \
             or put its base there",
            header.base, header.base_digest, config.base_model_name_or_path, base.digest
        )));
    }
    let tensors = changed_tensors(&base, &config, &weights, target)?;
    let mut hasher = blake3::Hasher::new();
    for part in [base.digest.as_bytes(), &json, weights.bytes()] {
        hasher.update(part);
    }
    let mut base = base;
    for (name, tensor) in tensors {
        base.weights.replace(&name, tensor);
    }
    let taught = taught::read_taught(path, &mut hasher)?;
    let facts = base.builtin.as_ref().zip(taught);
    let facts = facts.map(|(facts, taught)| facts.fine_tuned(taught));
    Ok(LoadedCheckpoint {
        id: name(path),
        digest: format!("blake3:{}", hasher.finalize().to_hex()),
        builtin: facts.map(Arc::new),
        ..base
    })
}

/// The name of an adapter, which lies in a folder of the merged model.
fn name(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(parent) if path.ends_with("adapter") => {
            format!("{}-adapter", checkpoint::name(parent))
        }
        _ => checkpoint::name(&path),
    }
}

/// Reads the base where the adapter says that it is.
fn base(
    config: &AdapterConfig,
    header: &AdapterHeader,
    target: DeviceAndKind,
) -> Result<LoadedCheckpoint, String> {
    let loaded = match ModelSource::parse(&config.base_model_name_or_path) {
        ModelSource::Builtin => builtin::load_files(builtin::files(), target),
        ModelSource::Path(path) if path.exists() && !is_adapter(&path) => {
            checkpoint::load(&path, target)
        }
        ModelSource::Path(path) => {
            return Err(format!(
                "the adapter's base {} is not at {}; open the merged model instead, or put its base there",
                header.base,
                path.display()
            ));
        }
        ModelSource::Missing(id) => {
            return Err(format!(
                "the adapter's base {id} is missing: {}",
                why_missing(&id)
            ));
        }
    };
    loaded.map_err(|error| format!("the adapter's base cannot be read: {error}"))
}

/// The tensors that an adapter changes.
fn changed_tensors(
    base: &LoadedCheckpoint,
    config: &AdapterConfig,
    weights: &TensorFile,
    target: DeviceAndKind,
) -> Result<BTreeMap<String, Tensor>, EncoderError> {
    let all = targets::find(base.weights.tensors(), TrainedBlocks::All)?;
    let mut found: Vec<(TrainedMatrix, Factors)> = Vec::new();
    for own in all {
        let [a, b] = names(&own.module);
        if !weights.names().any(|name| name == a) {
            continue;
        }
        let rank = config.r as i64;
        let shaped = |name: &str, shape: [i64; 2]| -> Result<Tensor, EncoderError> {
            let tensor = weights.tensor(name)?;
            if tensor.numel() as i64 != shape[0] * shape[1] {
                return Err(EncoderError::Shape {
                    name: name.to_owned(),
                    found: tensor.size(),
                    expected: shape.to_vec(),
                });
            }
            Ok(tensor.f_reshape(shape)?.f_to_device(target.0)?)
        };
        let factors = Factors {
            a: shaped(&a, [rank, own.inputs()])?,
            b: shaped(&b, [own.rows.1, rank])?,
        };
        found.push((own, factors));
    }
    let count = weights.names().count();
    if 2 * found.len() != count {
        return Err(EncoderError::SurplusTensors {
            count: count - 2 * found.len(),
            first: "of the adapter".to_owned(),
        });
    }
    let mut tensors = BTreeMap::new();
    for (own, _) in &found {
        let tensor = &base.weights.tensors()[&own.tensor];
        tensors.insert(own.tensor.clone(), in_f32(tensor)?);
    }
    let changes: Vec<_> = found
        .iter()
        .map(|(target, factors)| (target, factors, None))
        .collect();
    merge(&tensors, &changes, config.lora_alpha / config.r as f64)
}
