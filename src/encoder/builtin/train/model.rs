//! The model's dimensions, its initial weights, and its files.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use medivision_tui::encoder::open_clip::OpenClipConfig;
use medivision_tui::encoder::{Towers, Weights};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

/// Side of an image, in pixels.
pub const SIDE: i64 = 192;
/// Channels after the stem.
const WIDTH: i64 = 20;
/// Blocks of each stage.
const STAGES: [i64; 4] = [2, 2, 3, 2];
/// Ratio of a block's output channels to its inner ones.
const EXPANSION: i64 = 4;
/// Width of an attention head of the image tower.
const HEAD_WIDTH: i64 = 64;
const TEXT_WIDTH: i64 = 128;
const TEXT_HEADS: i64 = 4;
const TEXT_LAYERS: i64 = 2;
/// Length of an embedding.
const PROJECTION: i64 = 128;
/// Maximum length of a text, in tokens.
pub const CONTEXT: usize = 40;
/// Mean and deviation of the grey values of all sources.
pub const MEAN: f64 = 0.4;
/// See [`MEAN`].
pub const STD: f64 = 0.25;
/// The initial logit scale, ln 10: small enough not to saturate the softmax.
const INITIAL_LOG_SCALE: f64 = std::f64::consts::LN_10;

/// `open_clip_config.json`
pub fn config_json(vocabulary: usize) -> String {
    let config = json!({
        "model_cfg": {
            "embed_dim": PROJECTION,
            "vision_cfg": {"image_size": SIDE, "layers": STAGES, "width": WIDTH, "head_width": HEAD_WIDTH, "patch_size": null},
            "text_cfg": {
                "context_length": CONTEXT, "vocab_size": vocabulary, "width": TEXT_WIDTH, "heads": TEXT_HEADS,
                "layers": TEXT_LAYERS,
            },
        },
        "preprocess_cfg": {
            "mean": [MEAN, MEAN, MEAN], "std": [STD, STD, STD], "interpolation": "bicubic", "resize_mode": "squash",
        },
    });
    format!("{config:#}\n")
}

/// `tokenizer.json`: a word-level tokenizer of lower-case words and punctuation. The end token has the highest id, by which
/// the layout finds it.
pub fn tokenizer_json(words: &[String]) -> String {
    let (begin, end) = (2, words.len() + 3);
    let special = [("[PAD]", 0), ("[UNK]", 1), ("[BOS]", begin), ("[EOS]", end)];
    let mut ids: Map<String, Value> = words
        .iter()
        .enumerate()
        .map(|(id, word)| (word.clone(), json!(id + 3)))
        .collect();
    ids.extend(special.map(|(token, id)| (token.to_owned(), json!(id))));
    let added = special.map(|(token, id)| {
        json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        })
    });
    let mark = |token: &str, id: usize| json!({"id": token, "ids": [id], "tokens": [token]});
    let piece = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece("[BOS]"), text("A"), piece("[EOS]")],
            "pair": [piece("[BOS]"), text("A"), text("B"), piece("[EOS]")],
            "special_tokens": {"[BOS]": mark("[BOS]", begin), "[EOS]": mark("[EOS]", end)},
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"},
    });
    format!("{tokenizer:#}\n")
}

/// The model's tensors by their names in the file: those to train, and the running statistics.
pub struct Variables {
    /// Tensors that require gradients.
    pub trained: BTreeMap<String, Tensor>,
    /// The batch norms' running means and variances.
    pub statistics: BTreeMap<String, Tensor>,
}

impl Variables {
    /// Random weights as in Radford et al. 2021, except that the last norm of a block starts at 0.
    pub fn random(vocabulary: usize) -> Self {
        let mut made = Self {
            trained: BTreeMap::new(),
            statistics: BTreeMap::new(),
        };
        made.image_tower();
        made.text_tower(vocabulary as i64);
        made.constant("logit_scale", &[], INITIAL_LOG_SCALE);
        made
    }

    fn normal(&mut self, name: &str, shape: &[i64], deviation: f64) {
        let values = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * deviation;
        self.trained
            .insert(name.to_owned(), values.set_requires_grad(true));
    }

    fn constant(&mut self, name: &str, shape: &[i64], value: f64) {
        let values = Tensor::full(shape, value, (Kind::Float, Device::Cpu));
        self.trained
            .insert(name.to_owned(), values.set_requires_grad(true));
    }

    fn norm(&mut self, name: &str, width: i64, gain: f64) {
        self.constant(&format!("{name}.weight"), &[width], gain);
        self.constant(&format!("{name}.bias"), &[width], 0.0);
    }

    fn linear(&mut self, name: &str, output: i64, input: i64, deviation: f64) {
        self.normal(&format!("{name}.weight"), &[output, input], deviation);
        self.constant(&format!("{name}.bias"), &[output], 0.0);
    }

    fn convolution(
        &mut self,
        (name, norm): (&str, &str),
        [output, input, side]: [i64; 3],
        gain: f64,
    ) {
        let deviation = (2.0 / (output * side * side) as f64).sqrt();
        self.normal(
            &format!("{name}.weight"),
            &[output, input, side, side],
            deviation,
        );
        self.norm(norm, output, gain);
        for (part, value) in [("running_mean", 0.0), ("running_var", 1.0)] {
            let values = Tensor::full([output], value, (Kind::Float, Device::Cpu));
            self.statistics.insert(format!("{norm}.{part}"), values);
        }
    }

    fn image_tower(&mut self) {
        let half = WIDTH / 2;
        for (number, shape) in [
            (1, [half, 3, 3]),
            (2, [half, half, 3]),
            (3, [WIDTH, half, 3]),
        ] {
            self.convolution(
                (
                    &format!("visual.conv{number}"),
                    &format!("visual.bn{number}"),
                ),
                shape,
                1.0,
            );
        }
        let mut input = WIDTH;
        for (stage, blocks) in STAGES.into_iter().enumerate() {
            let inner = WIDTH << stage;
            let output = inner * EXPANSION;
            for block in 0..blocks {
                let at = |part: &str| format!("visual.layer{}.{block}.{part}", stage + 1);
                self.convolution((&at("conv1"), &at("bn1")), [inner, input, 1], 1.0);
                self.convolution((&at("conv2"), &at("bn2")), [inner, inner, 3], 1.0);
                self.convolution((&at("conv3"), &at("bn3")), [output, inner, 1], 0.0);
                if block == 0 {
                    self.convolution(
                        (&at("downsample.0"), &at("downsample.1")),
                        [output, input, 1],
                        1.0,
                    );
                }
                input = output;
            }
        }
        let deviation = (input as f64).powf(-0.5);
        let cells = (SIDE / 32).pow(2) + 1;
        self.normal(
            "visual.attnpool.positional_embedding",
            &[cells, input],
            deviation,
        );
        for part in ["q_proj", "k_proj", "v_proj"] {
            self.linear(&format!("visual.attnpool.{part}"), input, input, deviation);
        }
        self.linear("visual.attnpool.c_proj", PROJECTION, input, deviation);
    }

    fn text_tower(&mut self, vocabulary: i64) {
        let d = TEXT_WIDTH;
        let thin = (d as f64).powf(-0.5);
        let deep = thin * (2.0 * TEXT_LAYERS as f64).powf(-0.5);
        self.normal("token_embedding.weight", &[vocabulary, d], 0.02);
        self.normal("positional_embedding", &[CONTEXT as i64, d], 0.01);
        for layer in 0..TEXT_LAYERS {
            let at = |part: &str| format!("transformer.resblocks.{layer}.{part}");
            self.norm(&at("ln_1"), d, 1.0);
            self.normal(&at("attn.in_proj_weight"), &[3 * d, d], thin);
            self.constant(&at("attn.in_proj_bias"), &[3 * d], 0.0);
            self.linear(&at("attn.out_proj"), d, d, deep);
            self.norm(&at("ln_2"), d, 1.0);
            self.linear(&at("mlp.c_fc"), 4 * d, d, thin * 0.5_f64.sqrt());
            self.linear(&at("mlp.c_proj"), d, 4 * d, deep);
        }
        self.norm("ln_final", d, 1.0);
        self.normal("text_projection", &[d, PROJECTION], thin);
    }

    /// The same values on a device.
    #[must_use]
    pub fn on(self, device: Device) -> Self {
        let moved = |tensors: BTreeMap<String, Tensor>, is_trained: bool| {
            tensors
                .into_iter()
                .map(|(name, tensor)| {
                    let tensor = tensor.detach().to_device(device);
                    (name, tensor.set_requires_grad(is_trained))
                })
                .collect()
        };
        Self {
            trained: moved(self.trained, true),
            statistics: moved(self.statistics, false),
        }
    }

    /// All tensors.
    fn all(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.trained.iter().chain(&self.statistics)
    }

    /// The model that trains these variables.
    pub fn towers(&self, config_json: &str) -> Result<Towers, Box<dyn Error>> {
        let config: OpenClipConfig = serde_json::from_str(config_json)?;
        let named = self
            .all()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        Ok(config.build(Weights::from_tensors(named))?)
    }

    /// Number of trained values.
    pub fn count(&self) -> usize {
        self.trained.values().map(Tensor::numel).sum()
    }

    /// Writes all tensors in f16, complete or not at all.
    pub fn export(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let blobs: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .all()
            .map(|(name, tensor)| {
                let tensor = tensor.detach().to_kind(Kind::Half).to_device(Device::Cpu);
                let tensor = tensor.contiguous();
                let shape = tensor.size().iter().map(|&n| n as usize).collect();
                let mut bytes = vec![0; tensor.numel() * 2];
                tensor.copy_data_u8(&mut bytes, tensor.numel());
                (name.clone(), shape, bytes)
            })
            .collect();
        let views = blobs
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((
                    name.clone(),
                    TensorView::new(Dtype::F16, shape.clone(), bytes)?,
                ))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
        write(path, &safetensors::serialize(views, Some(metadata))?)
    }
}

/// Replaces a file, complete or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let fault = |e: std::io::Error| format!("{}: {e}", path.display());
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).map_err(fault)?;
    Ok(std::fs::rename(&new, path).map_err(fault)?)
}

/// Scales the rows of `[n, d]` to unit length.
pub fn unit_rows(x: &Tensor) -> Tensor {
    x / x.norm_scalaropt_dim(2.0, [-1_i64].as_slice(), true)
}
