//! Writes a folder of phantoms in all file formats, with a `truth.csv` of what each one shows.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Anatomy, Phantom, PhantomCondition, Plan,
    dicom::{self, PhantomInfo, Storage},
    draw, files,
    random::PhantomRng,
};
use crate::media::read_text;

/// The file with the truth of each study: `path,condition,modality,body_part`.
pub const TRUTH: &str = "truth.csv";

/// The file that lists the files of a demo, one per line, so that a later demo replaces these and nothing else.
pub const MARKER: &str = ".medivision-demo";

/// The first line of [`MARKER`].
const MARKER_HEAD: &str = "medivision-tui demo: SYNTHETIC studies; the files below may be replaced";
/// Maximum size of that file: enough for the names of 100,000 studies.
const MAX_MARKER_BYTES: u64 = 32 << 20;

/// Why a folder of phantoms was not written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// The folder contains files that no demo wrote.
    #[error("{} is not empty and contains no earlier demo; choose another folder", .0.display())]
    Occupied(PathBuf),
    /// The folder, or a file in it, cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// An image could not be encoded.
    #[error("cannot encode {name}: {message}")]
    Encode {
        /// The name of the file.
        name: String,
        /// The encoder's message.
        message: String,
    },
}

/// A study that was written; a row of `truth.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhantomStudy {
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// What it shows.
    pub condition: PhantomCondition,
    /// The part of the body.
    pub anatomy: Anatomy,
    /// `DX`, `CR` or `MR`, for JPEG and PNG too.
    pub modality: &'static str,
    /// DICOM's term.
    pub body_part: &'static str,
}

/// The file format of a study.
#[derive(Clone, Copy)]
enum PhantomFormat {
    Jpeg,
    Png {
        deep: bool,
    },
    Dicom(Storage),
    /// One DICOM object with several frames.
    Series,
}

impl PhantomFormat {
    const ALL: [PhantomFormat; 8] = [
        PhantomFormat::Dicom(Storage {
            deep: true,
            inverted: false,
        }),
        PhantomFormat::Jpeg,
        PhantomFormat::Dicom(Storage {
            deep: false,
            inverted: false,
        }),
        PhantomFormat::Png { deep: false },
        PhantomFormat::Dicom(Storage {
            deep: true,
            inverted: true,
        }),
        PhantomFormat::Png { deep: true },
        PhantomFormat::Dicom(Storage {
            deep: false,
            inverted: true,
        }),
        PhantomFormat::Jpeg,
    ];

    fn extension(self) -> &'static str {
        match self {
            PhantomFormat::Jpeg => "jpg",
            PhantomFormat::Png { .. } => "png",
            PhantomFormat::Dicom(_) | PhantomFormat::Series => "dcm",
        }
    }
}

/// Writes `count` studies and `truth.csv` to `dir`, which is created if missing. Each condition has an equal share.
/// `progress` is called with the number of studies written so far. An earlier demo in the folder is replaced; only its own
/// files are deleted.
pub fn write_studies(
    dir: &Path,
    seed: u64,
    count: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<PhantomStudy>, PhantomError> {
    let mut rng = PhantomRng::new(seed);
    let plans = plan(count, &mut rng);
    let names: Vec<String> = plans
        .iter()
        .enumerate()
        .map(|(index, plan)| plan.file_name(index + 1))
        .collect();
    prepare_folder(dir, &names)?;
    let mut studies = Vec::with_capacity(count);
    for (index, (plan, name)) in plans.iter().zip(&names).enumerate() {
        let drawing = plan.draw_frames();
        let bytes = plan
            .encode(index + 1, &drawing, &mut rng)
            .map_err(|message| PhantomError::Encode {
                name: name.clone(),
                message,
            })?;
        write(&dir.join(name), &bytes)?;
        studies.push(PhantomStudy {
            path: PathBuf::from(name),
            condition: plan.condition,
            anatomy: plan.anatomy,
            modality: plan.modality,
            body_part: drawing[0].body_part,
        });
        progress(index + 1);
    }
    write(&dir.join(TRUTH), truth(&studies).as_bytes())?;
    Ok(studies)
}

/// A study that has not been drawn yet.
struct StudyPlan {
    anatomy: Anatomy,
    condition: PhantomCondition,
    format: PhantomFormat,
    modality: &'static str,
    seed: u64,
    width: u32,
    height: u32,
}

/// Plans the studies. Each condition has a quarter of them; if several body parts can show it, they alternate.
fn plan(count: usize, rng: &mut PhantomRng) -> Vec<StudyPlan> {
    let mut shown: Vec<(Anatomy, PhantomCondition)> = (0..count)
        .map(|index| {
            let turn = index / 4;
            match index % 4 {
                0 => (Anatomy::Chest, PhantomCondition::Pneumonia),
                1 => (
                    [Anatomy::Head, Anatomy::Chest][turn % 2],
                    PhantomCondition::Tumor,
                ),
                2 => (Anatomy::Limb, PhantomCondition::Fracture),
                _ => (
                    [Anatomy::Chest, Anatomy::Head, Anatomy::Limb][turn % 3],
                    PhantomCondition::Normal,
                ),
            }
        })
        .collect();
    rng.shuffle(&mut shown);
    let mut formats: Vec<PhantomFormat> = (0..count)
        .map(|index| PhantomFormat::ALL[index % PhantomFormat::ALL.len()])
        .collect();
    rng.shuffle(&mut formats);
    if let Some(head) = shown
        .iter()
        .position(|(anatomy, _)| *anatomy == Anatomy::Head)
    {
        formats[head] = PhantomFormat::Series;
    }
    shown
        .into_iter()
        .zip(formats)
        .map(|((anatomy, condition), format)| StudyPlan::random(anatomy, condition, format, rng))
        .collect()
}

impl StudyPlan {
    fn random(
        anatomy: Anatomy,
        condition: PhantomCondition,
        format: PhantomFormat,
        rng: &mut PhantomRng,
    ) -> Self {
        let modality = match anatomy {
            Anatomy::Head => "MR",
            Anatomy::Chest | Anatomy::Limb => rng.pick(&["DX", "CR"]),
        };
        let spread = rng.between(0.0, 1.0);
        let short = match format {
            PhantomFormat::Series => 256.0,
            _ => 256.0 + 768.0 * spread * spread,
        };
        // Nearly square, so that a centre crop loses only the edges.
        let long = short * rng.between(1.0, 1.14);
        let (width, height) = if rng.chance(0.5) {
            (short, long)
        } else {
            (long, short)
        };
        let seed = (u64::from(rng.bits()) << 32) | u64::from(rng.bits());
        Self {
            anatomy,
            condition,
            format,
            modality,
            seed,
            width: width as u32,
            height: height as u32,
        }
    }

    fn file_name(&self, number: usize) -> String {
        format!(
            "{}-{number:04}.{}",
            self.anatomy.name(),
            self.format.extension()
        )
    }

    fn draw_frames(&self) -> Vec<Phantom> {
        const SECTIONS: u8 = 9;
        let at_level = |level: f32| {
            draw(&Plan {
                anatomy: self.anatomy,
                condition: self.condition,
                seed: self.seed,
                width: self.width,
                height: self.height,
                level,
            })
        };
        match self.format {
            PhantomFormat::Series => {
                let middle = f32::from(SECTIONS / 2);
                (0..SECTIONS)
                    .map(|index| at_level((f32::from(index) - middle) / middle))
                    .collect()
            }
            _ => vec![at_level(0.0)],
        }
    }

    fn encode(
        &self,
        number: usize,
        frames: &[Phantom],
        rng: &mut PhantomRng,
    ) -> Result<Vec<u8>, String> {
        let header = PhantomInfo {
            modality: self.modality,
            number,
            subject: self.anatomy.name(),
            field: match self.anatomy {
                Anatomy::Chest => 390.0,
                Anatomy::Head => 230.0,
                Anatomy::Limb => 240.0,
            },
        };
        match self.format {
            PhantomFormat::Jpeg => files::jpeg(&frames[0]),
            PhantomFormat::Png { deep } => files::png(&frames[0], deep),
            PhantomFormat::Dicom(storage) => dicom::encode(frames, storage, &header, rng),
            PhantomFormat::Series => dicom::encode(
                frames,
                Storage {
                    deep: true,
                    inverted: false,
                },
                &header,
                rng,
            ),
        }
    }
}

/// Creates the folder, removes an earlier demo, and lists the new files in [`MARKER`] before any of them is written, so that an
/// interrupted demo can be replaced, too.
fn prepare_folder(dir: &Path, names: &[String]) -> Result<(), PhantomError> {
    fs::create_dir_all(dir).map_err(|source| io_error(dir, source))?;
    let marker = dir.join(MARKER);
    let earlier = match read_text(&marker, MAX_MARKER_BYTES) {
        Ok(text) if text.starts_with(MARKER_HEAD) => {
            text.lines().skip(1).map(str::to_owned).collect()
        }
        Ok(_) => return Err(PhantomError::Occupied(dir.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::read_dir(dir)
                .map_err(|source| io_error(dir, source))?
                .next()
                .is_some()
            {
                return Err(PhantomError::Occupied(dir.to_owned()));
            }
            Vec::new()
        }
        Err(source) => return Err(io_error(&marker, source)),
    };
    let ours = |name: &str| earlier.iter().any(|known| known == name);
    let in_the_way = |name: &str| !ours(name) && dir.join(name).symlink_metadata().is_ok();
    if names
        .iter()
        .map(String::as_str)
        .chain([TRUTH])
        .any(in_the_way)
    {
        return Err(PhantomError::Occupied(dir.to_owned()));
    }
    for name in earlier.iter().filter(|name| is_plain_name(name)) {
        let path = dir.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&path, source));
            }
            _ => {}
        }
    }
    write(
        &marker,
        format!("{MARKER_HEAD}\n{}\n{TRUTH}\n", names.join("\n")).as_bytes(),
    )
}

/// Whether a name is a file directly in the folder; so an edited marker cannot delete files elsewhere.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

/// The content of [`TRUTH`].
fn truth(studies: &[PhantomStudy]) -> String {
    let mut table = "path,condition,modality,body_part\n".to_owned();
    for study in studies {
        // No value needs quotes.
        let row = [
            &study.path.to_string_lossy(),
            study.condition.name(),
            study.modality,
            study.body_part,
        ]
        .join(",");
        table.push_str(&row);
        table.push('\n');
    }
    table
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PhantomError> {
    fs::write(path, bytes).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> PhantomError {
    PhantomError::Io {
        path: path.to_owned(),
        source,
    }
}
