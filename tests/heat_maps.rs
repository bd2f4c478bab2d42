//! Heat maps of models that find phantoms, whose findings' places are known. `cargo test --test heat_maps -- --nocapture` prints
//! the figures.

#[path = "heat_maps/outcomes.rs"]
mod outcomes;
#[path = "heat_maps/samples.rs"]
mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medivision_tui::encoder::builtin::{self, BuiltinFiles};
use medivision_tui::encoder::{
    Device, DualEncoder, Encoder, Masker, ModelOptions, Precision, PreparedImage, checkpoint,
    occlusion_map, scores_along,
};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::prompts::{self, PromptSet};
use medivision_tui::scoring::heat_map::deletion::{self, DeletionCheck};
use medivision_tui::scoring::heat_map::{HeatMap, MapMethod};
use medivision_tui::scoring::{Logits, Mode, Scorer};
use outcomes::{Outcomes, Shares, assert_finds, assert_tells_something, summit};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use samples::samples;

const CPU: ModelOptions = ModelOptions {
    device: Device::Cpu,
    precision: Precision::F32,
    fit: None,
    text_cache: None,
    reference_records: None,
};

fn general() -> PromptSet {
    let mut sets = prompts::all(None).unwrap();
    sets.retain(|set| set.name == "general");
    sets.remove(0)
}

/// The direction of each condition.
fn directions(model: &mut DualEncoder) -> BTreeMap<String, Vec<f32>> {
    let set = general();
    let logits = Logits {
        scale: model.card().logit_scale,
        bias: None,
    };
    let scorer = Scorer::new(&set, Mode::Single, logits, |texts| {
        model.encode_texts(texts)
    })
    .unwrap();
    let names = set.conditions.iter().enumerate();
    names
        .map(|(at, condition)| (condition.name.clone(), scorer.direction(at).unwrap()))
        .collect()
}

/// A way to make maps along several directions at once.
type Maps = fn(&mut DualEncoder, &PreparedImage, &[Vec<f32>]) -> Vec<HeatMap>;

fn own_maps(
    model: &mut DualEncoder,
    image: &PreparedImage,
    directions: &[Vec<f32>],
) -> Vec<HeatMap> {
    model.attribution(image, directions).unwrap().expect("maps")
}

fn eclip_maps(
    model: &mut DualEncoder,
    image: &PreparedImage,
    directions: &[Vec<f32>],
) -> Vec<HeatMap> {
    let maps = model.grad_eclip(image, directions).unwrap().expect("maps");
    for map in &maps {
        assert_eq!((map.method, map.rest), (MapMethod::Eclip, None));
    }
    maps
}

/// Scores of one image along one direction with cells deleted, so that no method computes them again.
type Deleted = BTreeMap<((usize, usize), Vec<usize>), f64>;

fn check(
    model: &mut DualEncoder,
    masker: &Masker,
    direction: &[f32],
    map: &HeatMap,
    known: &mut Deleted,
) -> DeletionCheck {
    let grid = (map.columns, map.rows);
    let plan = deletion::plan(map, 0).into_iter();
    let plan: Vec<_> = plan.map(|cells| (grid, cells)).collect();
    assert!(plan.len() <= 20);
    let unknown: Vec<_> = plan.iter().filter(|key| !known.contains_key(key)).collect();
    let images: Vec<PreparedImage> = unknown
        .iter()
        .map(|(grid, cells)| masker.masked(cells, *grid, 1.0))
        .collect();
    let scores = scores_along(model, &images, direction).unwrap();
    known.extend(unknown.into_iter().cloned().zip(scores));
    let scores: Vec<f64> = plan.iter().map(|key| known[key]).collect();
    DeletionCheck::of(map.score, &scores).unwrap()
}

/// Sum of contributions and rest against the score of a pass of its own.
fn assert_adds_up(
    model: &mut DualEncoder,
    image: &PreparedImage,
    direction: &[f32],
    map: &HeatMap,
) {
    let score = scores_along(model, std::slice::from_ref(image), direction).unwrap()[0];
    let sum: f64 = map.values.iter().copied().map(f64::from).sum();
    let total = sum + map.rest.expect("a rest");
    assert!((total - score).abs() < 1e-3, "{total} {score}");
    assert!((map.score - score).abs() < 1e-3, "{} {score}", map.score);
}

/// As far as a model rounds, the rest says so.
fn assert_adds_up_in_half_precision(path: &Path, image: &PreparedImage, pair: &[Vec<f32>]) {
    let options = ModelOptions {
        precision: Precision::Bf16,
        ..CPU
    };
    let mut model = checkpoint::open(path, options).unwrap();
    for map in model.attribution(image, pair).unwrap().expect("maps") {
        let sum: f64 = map.values.iter().copied().map(f64::from).sum();
        let total = map.rest.map(|rest| sum + rest);
        assert!(
            total.is_none_or(|total| (total - map.score).abs() < 1e-3),
            "{}",
            path.display()
        );
    }
}

/// The maps of a model by its own decomposition and by Grad-ECLIP, with those of the same model whose image tower has random weights.
fn map_phantoms(name: &str, mut model: DualEncoder, mut random: DualEncoder) -> [Shares; 2] {
    let methods: [Maps; 2] = [own_maps, eclip_maps];
    let (by_condition, samples) = (directions(&mut model), samples(&model));
    let mut outcomes = [Outcomes::default(), Outcomes::default()];
    for sample in &samples {
        let own = by_condition[sample.condition].clone();
        let wrong = by_condition.iter().filter(|(c, _)| *c != sample.condition);
        let all: Vec<Vec<f32>> = std::iter::once(own.clone())
            .chain(wrong.map(|(_, direction)| direction.clone()))
            .collect();
        let masker = Masker::new(&sample.image, &model.preprocess());
        let mut known = Deleted::new();
        for (maps, outcomes) in methods.iter().zip(&mut outcomes) {
            let made = maps(&mut model, &sample.image, &all);
            let random = maps(&mut random, &sample.image, &all[..1]);
            if made[0].method != MapMethod::Eclip {
                assert_adds_up(&mut model, &sample.image, &own, &made[0]);
            }
            let check = check(&mut model, &masker, &own, &made[0], &mut known);
            outcomes.add(sample, &made, &random[0], &check);
        }
    }
    let [own, eclip] = &outcomes;
    [
        own.report(&format!("{name}, decomposition")),
        eclip.report(&format!("{name}, Grad-ECLIP")),
    ]
}

/// Shuffles the elements of the image tower's weights, except those of norms.
fn shuffled(weights: &[u8], prefixes: &[&str], norms: &[&str]) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let all = SafeTensors::deserialize(weights).unwrap();
    let mut views = all.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let mut tensors = Vec::new();
    for (name, view) in views {
        let is_shuffled = prefixes.iter().any(|prefix| name.starts_with(prefix))
            && !norms.iter().any(|norm| name.contains(norm));
        let mut data = view.data().to_vec();
        if is_shuffled {
            let width = data.len() / view.shape().iter().product::<usize>().max(1);
            let mut elements: Vec<Vec<u8>> = data.chunks(width).map(<[u8]>::to_vec).collect();
            elements.shuffle(&mut rng);
            data = elements.concat();
        }
        tensors.push((name, view.dtype(), view.shape().to_vec(), data));
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (
            name.as_str(),
            TensorView::new(*dtype, shape.clone(), data).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_small_transformer_points_at_findings() {
    let folder = root().join("tests/fixtures/vit");
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    let weights = shuffled(
        &weights,
        &["vision_model.", "visual_projection"],
        &["norm", "layrnorm"],
    );
    fs::write(copy.path().join("model.safetensors"), weights).unwrap();
    let model = checkpoint::open(&folder, CPU).unwrap();
    let random = checkpoint::open(copy.path(), CPU).unwrap();
    let [own, eclip] = map_phantoms("small ViT", model, random);
    assert_finds(&own);
    assert_tells_something(&eclip);
}

#[test]
fn the_built_in_model_points_at_findings() {
    let file = |name: &str| -> &'static [u8] {
        let path = root().join("src/encoder/builtin").join(name);
        Box::leak(fs::read(path).unwrap().into_boxed_slice())
    };
    let weights = file("open_clip_model.safetensors");
    let weights = shuffled(weights, &["visual."], &["bn", "downsample.1"]);
    let random = builtin::open_files(
        &BuiltinFiles {
            config: file("open_clip_config.json"),
            tokenizer: file("tokenizer.json"),
            weights: Box::leak(weights.into_boxed_slice()),
            known: file("known.safetensors"),
        },
        CPU,
    )
    .unwrap();
    let [own, eclip] = map_phantoms("built-in model", builtin::open(CPU).unwrap(), random);
    assert_finds(&own);
    assert_tells_something(&eclip);
}

/// The checkpoints of the parity tests: all layouts and activations.
#[test]
fn contributions_and_rest_add_up_to_the_score_in_every_layout() {
    let folders = fs::read_dir(root().join("tests/fixtures/parity")).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut methods = BTreeMap::new();
    for folder in folders
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let path = match folder.file_name().unwrap().to_str().unwrap() {
            "chexzero" => folder.join("chexzero.pt"),
            "unimed" => folder.join("unimed-clip-vit-b16.pt"),
            _ => folder,
        };
        let mut model = checkpoint::open(&path, CPU).unwrap();
        let bytes: Vec<u8> = (0..64 * 48).map(|_| rng.random()).collect();
        let picture = Picture {
            width: 64,
            height: 48,
            pixels: Pixels::Luma(bytes),
        };
        let image = model.preprocess().apply(&picture).unwrap();
        let width = model.card().dimension;
        let mut direction =
            || -> Vec<f32> { (0..width).map(|_| rng.random_range(-0.3..0.3)).collect() };
        let pair = [direction(), direction()];
        let maps = model.attribution(&image, &pair).unwrap().expect("maps");
        assert_eq!(maps.len(), 2);
        for (map, direction) in maps.iter().zip(&pair) {
            assert_eq!(
                map.values.len(),
                map.columns * map.rows,
                "{}",
                path.display()
            );
            assert!(map.peak() > 0.0, "{}", path.display());
            if map.method == MapMethod::Masking {
                assert_eq!(map.rest, None);
                assert!(
                    (map.score
                        - scores_along(&mut model, std::slice::from_ref(&image), direction)
                            .unwrap()[0])
                        .abs()
                        < 1e-3
                );
            } else {
                assert_adds_up(&mut model, &image, direction, map);
            }
        }
        for (eclip, own) in eclip_maps(&mut model, &image, &pair).iter().zip(&maps) {
            assert_eq!(eclip.values.len(), eclip.columns * eclip.rows);
            assert!(eclip.peak() > 0.0, "{}", path.display());
            assert!((eclip.score - own.score).abs() < 1e-3, "{}", path.display());
        }
        assert_adds_up_in_half_precision(&path, &image, &pair);
        methods
            .entry(format!("{:?}", maps[0].method))
            .and_modify(|count| *count += 1)
            .or_insert(1);
    }
    assert!(
        methods["Attention"] >= 6 && methods["Pooling"] == 2 && methods["Masking"] == 2,
        "{methods:?}"
    );
}

/// Occlusion is the referee: what the decomposition marks costs score when it is blurred.
#[test]
fn occlusion_agrees_with_the_decomposition_about_a_tumor() {
    let mut model = checkpoint::open(Path::new(&root().join("tests/fixtures/vit")), CPU).unwrap();
    let directions = directions(&mut model);
    let samples = samples(&model);
    let tumors = samples
        .iter()
        .filter(|sample| sample.condition == "tumor")
        .take(16);
    let mut hits = 0;
    for sample in tumors {
        let map = occlusion_map(&mut model, &sample.image, &directions["tumor"]).unwrap();
        assert_eq!((map.method, map.rest), (MapMethod::Occlusion, None));
        let (x, y) = summit(&map);
        hits += u32::from(sample.is_hit(x, y, 0.5 / map.columns as f64));
    }
    println!("occlusion: {hits} of 16");
    assert!(hits >= 12, "{hits} of 16");
}
