//! The images in memory, and the batches drawn from them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;

use medivision_tui::encoder::{Fit, Preprocess};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::draw;
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use serde::Deserialize;

use super::augment::{STORED, augment};
use super::facts::{Facts, Kind};
use super::outliers;
use super::pairs::{cell, plan};

/// Images of one source in a batch; a source without an entry is not trained on.
const SHARES: [(&str, usize); 10] = [
    ("NIH ChestX-ray14", 10),
    ("Kermany", 8),
    ("FracAtlas", 12),
    ("masoudnickparvar", 6),
    ("IQ-OTH/NCCD", 2),
    ("Head CT hemorrhage", 1),
    ("BUSI", 2),
    ("ISIC-2017", 2),
    ("BCCD", 2),
    ("Chart.js fixtures", 2),
];
/// Pairs of phantoms in a batch.
const PHANTOM_PAIRS: usize = 9;
/// Pictures of no known kind in a batch.
const OUTLIERS: usize = 6;

/// Kinds of which images are grey: films, then sections.
const GREY_KINDS: [Kind; 5] = [
    Kind::Chest,
    Kind::Limb,
    Kind::Brain,
    Kind::Ct,
    Kind::Ultrasound,
];

/// A row of `manifest.csv`; other columns are not needed.
#[derive(Debug, Deserialize)]
struct ManifestRow {
    path: String,
    split: String,
    task: String,
    label: String,
    detail: String,
    source: String,
}

/// A stored image: `STORED × STORED` pixels of one or three interleaved bytes.
pub struct StoredImage {
    /// What it shows.
    pub facts: Facts,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl StoredImage {
    /// 1 for a grey image, 3 for one in colour.
    fn channels(&self) -> usize {
        self.bytes.len() / (STORED * STORED)
    }
}

/// A batch of augmented images.
pub struct Batch {
    /// `[batch, 3, SIDE, SIDE]` bytes.
    pub bytes: Vec<u8>,
    /// What each image shows.
    pub facts: Vec<Facts>,
}

/// The files of one split by their paths, with what they show.
pub fn rows(
    folder: &Path,
    split: &str,
    excluded: &[String],
) -> Result<BTreeMap<String, Facts>, Box<dyn Error>> {
    let manifest = folder.join("manifest.csv");
    let mut reader =
        csv::Reader::from_path(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let mut all = BTreeMap::new();
    for row in reader.deserialize() {
        let row: ManifestRow = row.map_err(|e| format!("{}: {e}", manifest.display()))?;
        let is_excluded = excluded
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&row.source));
        if row.split == split && !is_excluded {
            let facts = Facts::of_row(&row.task, &row.label, &row.detail, &row.source);
            all.extend(facts.map(|facts| (row.path, facts)));
        }
    }
    Ok(all)
}

/// A file of a tar archive that is not yet decoded.
struct EncodedFile {
    facts: Facts,
    name: String,
    bytes: Vec<u8>,
}

impl EncodedFile {
    fn decode(&self) -> Result<Picture, String> {
        let image =
            image::load_from_memory(&self.bytes).map_err(|e| format!("{}: {e}", self.name))?;
        let (width, height) = (image.width(), image.height());
        let pixels = if image.color().has_color() {
            Pixels::Rgb(image.into_rgb8().into_raw())
        } else {
            Pixels::Luma(image.into_luma8().into_raw())
        };
        Ok(Picture {
            width,
            height,
            pixels,
        })
    }
}

/// Reads the files of `rows` out of the folder's tar files.
fn read_files(
    folder: &Path,
    rows: &BTreeMap<String, Facts>,
) -> Result<Vec<EncodedFile>, Box<dyn Error>> {
    let mut tars: Vec<_> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "tar"))
        .collect();
    tars.sort();
    let mut all = Vec::new();
    for path in tars {
        let fault = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut archive = tar::Archive::new(std::fs::File::open(&path).map_err(|e| fault(&e))?);
        for entry in archive.entries().map_err(|e| fault(&e))? {
            let mut entry = entry.map_err(|e| fault(&e))?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let Some(facts) = rows.get(&name).cloned() else {
                continue;
            };
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            all.push(EncodedFile { facts, name, bytes });
        }
    }
    Ok(all)
}

/// Reads the images of `rows` out of the folder's tar files, each decoded and changed by `f`.
pub fn read<T>(
    folder: &Path,
    rows: &BTreeMap<String, Facts>,
    f: impl Fn(&Facts, Picture) -> Result<T, Box<dyn Error>>,
) -> Result<Vec<(Facts, T)>, Box<dyn Error>> {
    let files = read_files(folder, rows)?.into_iter();
    let changed = |file: EncodedFile| {
        let value = f(&file.facts, file.decode()?)?;
        Ok((file.facts, value))
    };
    files.map(changed).collect()
}

/// Calls `f` with 0 to `count`, on all cores; the results in that order.
fn on_all_cores<T: Send>(
    count: usize,
    f: impl Fn(usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|part| {
                let range = part * share..count.min((part + 1) * share);
                let f = &f;
                scope.spawn(move || range.map(f).collect::<Result<Vec<_>, String>>())
            })
            .collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?);
        joined.collect::<Result<Vec<_>, String>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Resizes to the stored size without keeping proportions, as the model's own preprocessing does.
fn shrink(picture: &Picture, preprocess: &Preprocess) -> Result<Vec<u8>, Box<dyn Error>> {
    let input = preprocess.apply(picture)?;
    let bytes = input.bytes();
    if bytes.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]) {
        return Ok(bytes.chunks_exact(3).map(|p| p[0]).collect());
    }
    Ok(bytes.to_vec())
}

/// Draws phantoms on all cores and shrinks them.
pub fn phantoms<T: Send>(
    count: usize,
    seed: u64,
    f: impl Fn(Picture) -> Result<T, String> + Sync,
) -> Result<Vec<(Facts, T)>, Box<dyn Error>> {
    Ok(on_all_cores(count, |index| {
        let drawing = draw(&plan(index, seed));
        let picture = Picture {
            width: drawing.width,
            height: drawing.height,
            pixels: Pixels::Luma(drawing.to_luma8()),
        };
        Ok((Facts::of_phantom(cell(index)), f(picture)?))
    })?)
}

/// Least number of images of a group; a smaller one would be seen too often.
const MIN_GROUP: usize = 8;

/// The images of one source.
struct SourceImages {
    /// Images in a batch.
    share: usize,
    /// Those without a finding.
    normal: Vec<StoredImage>,
    /// The others, by label and details.
    others: Vec<Vec<StoredImage>>,
}

impl SourceImages {
    /// The kind of its images.
    fn kind(&self) -> Option<Kind> {
        let all = std::iter::once(&self.normal).chain(&self.others);
        Some(all.flatten().next()?.facts.kind)
    }

    /// A random image: normal ones are as frequent as all others together, so that the source does not tell the label.
    fn draw(&self, rng: &mut impl Rng) -> Option<&StoredImage> {
        let group = if self.others.is_empty() || (!self.normal.is_empty() && rng.random_bool(0.5)) {
            &self.normal
        } else {
            self.others.choose(rng)?
        };
        group.choose(rng)
    }
}

/// All training images.
pub struct Pool {
    phantoms: Vec<StoredImage>,
    sources: Vec<SourceImages>,
}

impl Pool {
    /// Reads the training split and draws `count` phantoms.
    pub fn new(
        folder: &Path,
        excluded: &[String],
        count: usize,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let config = format!(
            r#"{{"size": {{"height": {STORED}, "width": {STORED}}}, "image_processor_type": "SiglipImageProcessor"}}"#
        );
        let preprocess =
            Preprocess::from_json(config.as_bytes(), folder)?.with_fit(Some(Fit::Squash));
        let rows = rows(folder, "train", excluded)?;
        let files = read_files(folder, &rows)?;
        let images = on_all_cores(files.len(), |at| {
            let bytes = shrink(&files[at].decode()?, &preprocess).map_err(|e| e.to_string())?;
            Ok((files[at].facts.clone(), bytes))
        })?;
        let mut grouped: BTreeMap<String, BTreeMap<String, Vec<StoredImage>>> = BTreeMap::new();
        for (facts, bytes) in images {
            let group = match facts.label.as_str() {
                "tumor" | "pneumonia" if facts.source != "NIH ChestX-ray14" => {
                    format!("{} {}", facts.label, facts.details.join(" "))
                }
                "tumor" => "other".to_owned(),
                label => label.to_owned(),
            };
            let of_source = grouped.entry(facts.source.clone()).or_default();
            of_source
                .entry(group)
                .or_default()
                .push(StoredImage { facts, bytes });
        }
        let share = |source: &str| {
            SHARES
                .iter()
                .find(|(name, _)| *name == source)
                .map(|(_, n)| *n)
        };
        let sources = grouped
            .into_iter()
            .filter_map(|(source, mut groups)| {
                Some(SourceImages {
                    share: share(&source)?,
                    normal: groups.remove("normal").unwrap_or_default(),
                    others: groups
                        .into_values()
                        .filter(|group| group.len() >= MIN_GROUP)
                        .collect(),
                })
            })
            .collect();
        let phantoms = phantoms(count, seed, |picture| {
            shrink(&picture, &preprocess).map_err(|e| e.to_string())
        })?;
        let phantoms = phantoms
            .into_iter()
            .map(|(facts, bytes)| StoredImage { facts, bytes })
            .collect();
        Ok(Self { phantoms, sources })
    }

    /// Number of images, phantoms included.
    pub fn len(&self) -> usize {
        let of_source =
            |s: &SourceImages| s.normal.len() + s.others.iter().map(Vec::len).sum::<usize>();
        self.phantoms.len() + self.sources.iter().map(of_source).sum::<usize>()
    }

    /// Draws a batch, `times` as large as the shares say: pairs of phantoms, from each source its share, with all labels equally
    /// frequent, and pictures of no known kind.
    pub fn batch(&self, times: usize, rng: &mut impl Rng) -> Batch {
        let mut chosen: Vec<&StoredImage> = Vec::new();
        for _ in 0..PHANTOM_PAIRS * times {
            let first = 2 * rng.random_range(0..self.phantoms.len() / 2);
            chosen.extend(&self.phantoms[first..first + 2]);
        }
        for source in &self.sources {
            chosen.extend((0..source.share * times).filter_map(|_| source.draw(rng)));
        }
        let outliers: Vec<StoredImage> = (0..OUTLIERS * times)
            .map(|_| StoredImage {
                facts: Facts::of_outlier(),
                bytes: self.outlier(rng),
            })
            .collect();
        let mut batch = Batch {
            bytes: Vec::new(),
            facts: Vec::new(),
        };
        for image in chosen.into_iter().chain(&outliers) {
            let (channels, facts) = (image.channels(), &image.facts);
            augment(&image.bytes, channels, facts, rng, &mut batch.bytes);
            batch.facts.push(facts.clone());
        }
        batch
    }

    /// A picture of no known kind.
    fn outlier(&self, rng: &mut impl Rng) -> Vec<u8> {
        let (films, sections) = GREY_KINDS.split_at(2);
        let found = match rng.random_range(0..10) {
            0 | 1 => {
                let image = self.grey(&GREY_KINDS, rng);
                image.map(|image| outliers::shuffled(&image.bytes, 1, rng))
            }
            2 => {
                let image = self.grey(&GREY_KINDS, rng);
                image.map(|image| outliers::coloured(&image.bytes, rng))
            }
            3 => {
                let both = self.grey(films, rng).zip(self.grey(sections, rng));
                both.map(|(one, other)| outliers::blended(&one.bytes, &other.bytes, rng))
            }
            _ => None,
        };
        found.unwrap_or_else(|| outliers::pattern(rng))
    }

    /// A grey image of one of some kinds.
    fn grey(&self, kinds: &[Kind], rng: &mut impl Rng) -> Option<&StoredImage> {
        let is_of = |source: &&SourceImages| source.kind().is_some_and(|k| kinds.contains(&k));
        let source = self.sources.iter().filter(is_of).choose(rng)?;
        let image = source.draw(rng)?;
        (image.channels() == 1).then_some(image)
    }
}
