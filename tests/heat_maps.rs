//! Heat maps of models that find phantoms, whose findings' places are known. `cargo test --test heat_maps -- --nocapture` prints
//! the figures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medivision_tui::encoder::builtin::{self, BuiltinFiles};
use medivision_tui::encoder::{
    Device, DualEncoder, Encoder, Masker, ModelOptions, Precision, PreparedImage, checkpoint,
    occlusion_map, scores_along,
};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Finding, PhantomCondition, Plan, draw};
use medivision_tui::prompts::{self, PromptSet};
use medivision_tui::scoring::heat_map::deletion::{self, DeletionCheck};
use medivision_tui::scoring::heat_map::{HeatMap, MapMethod, rank_correlation};
use medivision_tui::scoring::{Logits, Mode, Scorer};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

const CPU: ModelOptions = ModelOptions {
    device: Device::Cpu,
    precision: Precision::F32,
    fit: None,
    text_cache: None,
    reference_records: None,
};

/// Phantoms with a finding.
const CELLS: [(Anatomy, PhantomCondition); 4] = [
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Chest, PhantomCondition::Tumor),
    (Anatomy::Head, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Fracture),
];

/// Seeds that no training used.
const FIRST_SEED: u64 = 0xFEED_7000;
/// Phantoms of each kind.
const COUNT: u64 = 25;
/// Side of a phantom in pixels.
const SIDE: u32 = 256;

/// A phantom as a model sees it. Places are in shares of the image's sides.
struct Sample {
    image: PreparedImage,
    anatomy: Anatomy,
    condition: &'static str,
    findings: Vec<Finding>,
}

impl Sample {
    /// Whether a place is in a finding, or at most `tolerance` from one.
    fn is_hit(&self, x: f64, y: f64, tolerance: f64) -> bool {
        let side = f64::from(SIDE);
        self.findings.iter().any(|finding| {
            let (dx, dy) = (
                x - f64::from(finding.x) / side,
                y - f64::from(finding.y) / side,
            );
            dx.hypot(dy) <= f64::from(finding.radius) / side + tolerance
        })
    }
}

fn samples(model: &DualEncoder) -> Vec<Sample> {
    let preprocess = model.preprocess();
    let all = (0..COUNT * CELLS.len() as u64).map(|index| {
        let (anatomy, condition) = CELLS[index as usize % CELLS.len()];
        let drawn = draw(&Plan {
            anatomy,
            condition,
            seed: FIRST_SEED + index,
            width: SIDE,
            height: SIDE,
            level: 0.0,
        });
        let picture = Picture {
            width: SIDE,
            height: SIDE,
            pixels: Pixels::Luma(drawn.to_luma8()),
        };
        Sample {
            image: preprocess.apply(&picture).unwrap(),
            anatomy,
            condition: condition.name(),
            findings: drawn.findings,
        }
    });
    all.collect()
}

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

fn own_map(model: &mut DualEncoder, image: &PreparedImage, direction: &[f32]) -> HeatMap {
    let maps = model.attribution(image, &[direction.to_vec()]).unwrap();
    maps.expect("a map").remove(0)
}

/// The centre of the highest cell, in shares of the sides.
fn summit(map: &HeatMap) -> (f64, f64) {
    let cell = map.ranked()[0];
    let share = |at: usize, count: usize| (at as f64 + 0.5) / count as f64;
    (
        share(cell % map.columns, map.columns),
        share(cell / map.columns, map.rows),
    )
}

fn check(
    model: &mut DualEncoder,
    image: &PreparedImage,
    direction: &[f32],
    map: &HeatMap,
) -> DeletionCheck {
    let masker = Masker::new(image, &model.preprocess());
    let plan = deletion::plan(map, 0);
    assert!(plan.len() <= 20);
    let grid = (map.columns, map.rows);
    let images: Vec<PreparedImage> = plan
        .iter()
        .map(|cells| masker.masked(cells, grid))
        .collect();
    let scores = scores_along(model, &images, direction).unwrap();
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

/// What is required of a model's maps, with the same model whose image tower has random weights.
fn finds_phantoms(name: &str, mut model: DualEncoder, mut random: DualEncoder) {
    let (directions, samples) = (directions(&mut model), samples(&model));
    let (mut hits, mut centre, mut chance) = (Vec::new(), Vec::new(), Vec::new());
    let mut by_kind: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    let (mut better, mut passed, mut differs) = (Vec::new(), Vec::new(), Vec::new());
    for sample in &samples {
        let direction = &directions[sample.condition];
        let map = own_map(&mut model, &sample.image, direction);
        assert_adds_up(&mut model, &sample.image, direction, &map);
        // Half a cell is what the grid leaves open.
        let tolerance = 0.5 / map.columns as f64;
        let (x, y) = summit(&map);
        hits.push(sample.is_hit(x, y, tolerance));
        let kind = format!("{} {}", sample.anatomy.name(), sample.condition);
        by_kind
            .entry(kind)
            .or_default()
            .push(sample.is_hit(x, y, tolerance));
        centre.push(sample.is_hit(0.5, 0.5, tolerance));
        let (x, y) = summit(&own_map(&mut random, &sample.image, direction));
        chance.push(sample.is_hit(x, y, tolerance));
        let check = check(&mut model, &sample.image, direction, &map);
        better.push(check.deleted < check.mean_random());
        passed.push(check.passed);
        for (other, wrong) in &directions {
            if other != sample.condition {
                let wrong = own_map(&mut model, &sample.image, wrong);
                differs.push(rank_correlation(&map.values, &wrong.values).unwrap() < 0.5);
            }
        }
    }
    let share = |all: &[bool]| all.iter().filter(|is| **is).count() as f64 / all.len() as f64;
    let [hits, centre, chance, better, passed, differs] =
        [hits, centre, chance, better, passed, differs].map(|all| share(&all));
    let kinds: Vec<String> = by_kind
        .iter()
        .map(|(k, all)| format!("{k} {:.2}", share(all)))
        .collect();
    println!(
        "{name}: {} phantoms; pointing game {hits:.2} ({}), centre {centre:.2}, random weights {chance:.2}; deletion better than \
         the mean random order {better:.2}, than each {passed:.2}; wrong condition differs {differs:.2}",
        samples.len(),
        kinds.join(", ")
    );
    assert!(hits >= 0.8 && hits >= centre + 0.3 && hits >= chance + 0.3);
    assert!(better >= 0.9);
    assert!(differs >= 0.95);
}

/// Shuffles the elements of the image tower's weights, except those of norms.
fn shuffled(weights: &[u8], prefixes: &[&str], norms: &[&str]) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let all = SafeTensors::deserialize(weights).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in all.tensors() {
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
    finds_phantoms("small ViT", model, random);
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
    finds_phantoms("built-in model", builtin::open(CPU).unwrap(), random);
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
