//! The model's dimensions, its initial weights, and its files.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use medivision_tui::encoder::Towers;
use medivision_tui::encoder::Weights;
use medivision_tui::encoder::clip::ClipConfig;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor, nn};

/// Side of an image, in pixels; 36 patches.
pub const SIDE: i64 = 96;
/// Side of a patch, in pixels.
pub const PATCH: i64 = 16;
const WIDTH: i64 = 128;
const HEADS: i64 = 4;
const VISION_LAYERS: i64 = 4;
const TEXT_LAYERS: i64 = 2;
const PROJECTION: i64 = 64;
/// Maximum length of a text, in tokens.
pub const CONTEXT: usize = 40;

/// The special tokens, which have the first ids. The id of the end token must not be 2, by which transformers recognises old
/// files.
pub const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[BOS]", "[EOS]"];

/// `preprocessor_config.json`, with the mean and deviation of phantoms; they are grey, so all channels have the same.
pub const PREPROCESSOR: &str = r#"{
  "crop_size": {"height": 96, "width": 96},
  "do_center_crop": true,
  "do_convert_rgb": true,
  "do_normalize": true,
  "do_rescale": true,
  "do_resize": true,
  "image_mean": [0.35, 0.35, 0.35],
  "image_processor_type": "CLIPImageProcessor",
  "image_std": [0.25, 0.25, 0.25],
  "resample": 3,
  "rescale_factor": 0.00392156862745098,
  "size": {"shortest_edge": 96}
}
"#;

/// `config.json` in the format of transformers.
pub fn config_json(vocabulary: usize) -> String {
    let tower = |layers: i64| {
        json!({
            "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": layers,
            "num_attention_heads": HEADS, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "projection_dim": PROJECTION,
        })
    };
    let mut text = tower(TEXT_LAYERS);
    text["vocab_size"] = json!(vocabulary);
    text["max_position_embeddings"] = json!(CONTEXT);
    for (key, id) in [
        ("pad_token_id", 0),
        ("bos_token_id", 2),
        ("eos_token_id", 3),
    ] {
        text[key] = json!(id);
    }
    let mut vision = tower(VISION_LAYERS);
    vision["num_channels"] = json!(3);
    vision["image_size"] = json!(SIDE);
    vision["patch_size"] = json!(PATCH);
    let config = json!({
        "architectures": ["CLIPModel"], "model_type": "clip", "torch_dtype": "float16", "projection_dim": PROJECTION,
        "logit_scale_init_value": INITIAL_LOG_SCALE, "text_config": text, "vision_config": vision,
    });
    format!("{config:#}\n")
}

/// The initial logit scale, ln 10: small enough not to saturate the softmax.
const INITIAL_LOG_SCALE: f64 = std::f64::consts::LN_10;

/// `tokenizer.json`: a word-level tokenizer of lower-case words and punctuation.
pub fn tokenizer_json(vocabulary: &[String]) -> String {
    let ids: Map<String, Value> = vocabulary
        .iter()
        .enumerate()
        .map(|(id, word)| (word.clone(), json!(id)))
        .collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": SPECIAL[id], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let mark = |id: usize| json!({"id": SPECIAL[id], "ids": [id], "tokens": [SPECIAL[id]]});
    let piece = |id: usize| json!({"SpecialToken": {"id": SPECIAL[id], "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": (0..SPECIAL.len()).map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece(2), text("A"), piece(3)],
            "pair": [piece(2), text("A"), text("B"), piece(3)],
            "special_tokens": {"[BOS]": mark(2), "[EOS]": mark(3)},
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"},
    });
    format!("{tokenizer:#}\n")
}

/// Builds a model whose weights are variables of `store`: random as in Radford et al. 2021, except for patch filters and
/// positions.
pub fn build(store: &nn::VarStore, config_json: &str) -> Result<Towers, Box<dyn Error>> {
    let config: ClipConfig = serde_json::from_str(config_json)?;
    let vocabulary = serde_json::from_str::<Value>(config_json)?["text_config"]["vocab_size"]
        .as_i64()
        .unwrap_or(0);
    let mut maker = VariableMaker {
        store,
        made: BTreeMap::new(),
    };
    let w = WIDTH as f64;
    let thin = w.powf(-0.5);
    maker.normal("vision_model.embeddings.class_embedding", &[WIDTH], thin);
    maker.filled(
        "vision_model.embeddings.patch_embedding.weight",
        &[WIDTH, 3, PATCH, PATCH],
        &cosine_filters(),
    );
    let patches = (SIDE / PATCH).pow(2) + 1;
    maker.filled(
        "vision_model.embeddings.position_embedding.weight",
        &[patches, WIDTH],
        &sine_positions(),
    );
    maker.norm("vision_model.pre_layrnorm");
    maker.blocks("vision_model", VISION_LAYERS);
    maker.norm("vision_model.post_layernorm");
    maker.normal("visual_projection.weight", &[PROJECTION, WIDTH], thin);
    maker.normal(
        "text_model.embeddings.token_embedding.weight",
        &[vocabulary, WIDTH],
        0.02,
    );
    maker.normal(
        "text_model.embeddings.position_embedding.weight",
        &[CONTEXT as i64, WIDTH],
        0.01,
    );
    maker.blocks("text_model", TEXT_LAYERS);
    maker.norm("text_model.final_layer_norm");
    maker.normal("text_projection.weight", &[PROJECTION, WIDTH], thin);
    maker.variable("logit_scale", &[], nn::Init::Const(INITIAL_LOG_SCALE));
    Ok(config.build(Weights::from_tensors(maker.made))?)
}

/// The initial patch filters: the lowest frequencies of the cosine transform, with a gain that grows with frequency. As images
/// have less energy at high frequencies, all filters respond about equally, whereas random ones respond mainly to brightness.
fn cosine_filters() -> Vec<f32> {
    let mut waves: Vec<(i64, i64)> = (0..PATCH)
        .flat_map(|v| (0..PATCH).map(move |u| (u, v)))
        .collect();
    waves.sort_by_key(|&(u, v)| (u * u + v * v, u));
    let side = PATCH as f64;
    let wave = |n: i64, x: i64| (std::f64::consts::PI * n as f64 * (x as f64 + 0.5) / side).cos();
    let mut filters = Vec::new();
    for &(u, v) in waves.iter().cycle().take(WIDTH as usize) {
        let norm = [u, v]
            .iter()
            .map(|&n| if n == 0 { 1.0 / side } else { 2.0 / side })
            .product::<f64>()
            .sqrt();
        // The gain is divided among the three equal channels.
        let gain = norm * (0.1 + 0.12 * ((u * u + v * v) as f64).sqrt()) / 3.0;
        for _channel in 0..3 {
            filters.extend(
                (0..PATCH * PATCH)
                    .map(|at| (gain * wave(u, at % PATCH) * wave(v, at / PATCH)) as f32),
            );
        }
    }
    filters
}

/// The initial position embeddings: sines of row and column, and zeros for the class token, which comes first.
fn sine_positions() -> Vec<f32> {
    const AMPLITUDE: f64 = 0.5;
    let (side, quarter) = (SIDE / PATCH, WIDTH / 4);
    let mut table = vec![0.0; WIDTH as usize];
    for place in 0..side * side {
        for axis in [place % side, place / side] {
            for index in 0..quarter {
                let angle = axis as f64 * 1.5 * 0.05_f64.powf(index as f64 / quarter as f64);
                table.extend([
                    (AMPLITUDE * angle.sin()) as f32,
                    (AMPLITUDE * angle.cos()) as f32,
                ]);
            }
        }
    }
    table
}

/// Creates the variables under their names in the file.
struct VariableMaker<'a> {
    store: &'a nn::VarStore,
    made: BTreeMap<String, Tensor>,
}

impl VariableMaker<'_> {
    fn variable(&mut self, name: &str, shape: &[i64], init: nn::Init) {
        let mut parts: Vec<&str> = name.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let path = parts
            .iter()
            .fold(self.store.root(), |path, part| path / *part);
        self.made
            .insert(name.to_owned(), path.var(last, shape, init));
    }

    fn normal(&mut self, name: &str, shape: &[i64], stdev: f64) {
        self.variable(name, shape, nn::Init::Randn { mean: 0.0, stdev });
    }

    fn filled(&mut self, name: &str, shape: &[i64], values: &[f32]) {
        self.variable(name, shape, nn::Init::Const(0.0));
        let values = Tensor::from_slice(values).view(shape);
        tch::no_grad(|| self.made[name].shallow_clone().copy_(&values));
    }

    fn norm(&mut self, name: &str) {
        self.variable(&format!("{name}.weight"), &[WIDTH], nn::Init::Const(1.0));
        self.variable(&format!("{name}.bias"), &[WIDTH], nn::Init::Const(0.0));
    }

    fn linear(&mut self, name: &str, output: i64, input: i64, stdev: f64) {
        self.normal(&format!("{name}.weight"), &[output, input], stdev);
        self.variable(&format!("{name}.bias"), &[output], nn::Init::Const(0.0));
    }

    fn blocks(&mut self, tower: &str, layers: i64) {
        let thin = (WIDTH as f64).powf(-0.5);
        let deep = thin * (2.0 * layers as f64).powf(-0.5);
        for layer in 0..layers {
            let at = |part: &str| format!("{tower}.encoder.layers.{layer}.{part}");
            self.norm(&at("layer_norm1"));
            for part in ["q", "k", "v"] {
                self.linear(&at(&format!("self_attn.{part}_proj")), WIDTH, WIDTH, thin);
            }
            self.linear(&at("self_attn.out_proj"), WIDTH, WIDTH, deep);
            self.norm(&at("layer_norm2"));
            self.linear(&at("mlp.fc1"), 4 * WIDTH, WIDTH, thin * 0.5_f64.sqrt());
            self.linear(&at("mlp.fc2"), WIDTH, 4 * WIDTH, deep);
        }
    }
}

/// An auxiliary head that classifies the finding in each patch. It is used in training only and not exported: without it,
/// the class token needs ten times as many steps to learn which patches matter.
pub struct Finder {
    layer: nn::Linear,
}

impl Finder {
    /// A head whose variables are in `store`.
    pub fn new(store: &nn::VarStore, kinds: usize) -> Self {
        Self {
            layer: nn::linear(
                store.root() / "finder",
                WIDTH,
                kinds as i64,
                nn::LinearConfig::default(),
            ),
        }
    }

    /// The loss, a scalar. `states`: `[batch, patches + 1, WIDTH]`; `locations`: `[batch, patches, kinds]` of 0 and 1.
    pub fn loss(&self, states: &Tensor, locations: &Tensor) -> Tensor {
        let patches = states.narrow(1, 1, states.size()[1] - 1); // [batch, patches, WIDTH]
        let none: Option<&Tensor> = None;
        let logits = patches
            .layer_norm([WIDTH], none, none, 1e-5, false)
            .apply(&self.layer); // [batch, patches, kinds]
        // Most patches are empty, so findings have a higher weight.
        let weight = Tensor::from(4.0_f32); // scalar
        logits.binary_cross_entropy_with_logits(
            locations,
            none,
            Some(&weight),
            tch::Reduction::Mean,
        )
    }
}

/// Scales the rows of `[n, d]` to unit length.
pub fn unit_rows(x: &Tensor) -> Tensor {
    x / x.norm_scalaropt_dim(2.0, [-1_i64].as_slice(), true)
}

/// Loads the weights of an earlier training into the store.
pub fn import(store: &nn::VarStore, path: &Path) -> Result<(), Box<dyn Error>> {
    let earlier: BTreeMap<String, Tensor> = Tensor::read_safetensors(path)?.into_iter().collect();
    for (name, variable) in store.variables() {
        let values = earlier
            .get(&name)
            .ok_or_else(|| format!("{}: no `{name}`", path.display()))?;
        tch::no_grad(|| variable.shallow_clone().f_copy_(values))?;
    }
    Ok(())
}

/// Writes the store's variables to a safetensors file, in f16.
pub fn export(store: &nn::VarStore, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut blobs: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in store.variables() {
        let tensor = tensor.detach().to_kind(Kind::Half).contiguous();
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let mut bytes = vec![0; tensor.numel() * 2];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        blobs.insert(name, (shape, bytes));
    }
    let views = blobs
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((
                name.clone(),
                TensorView::new(Dtype::F16, shape.clone(), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    std::fs::write(path, safetensors::serialize(views, Some(metadata))?)?;
    Ok(())
}
