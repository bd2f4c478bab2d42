//! A folder of phantoms in all formats, with `truth.csv` that says what each one shows.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Anatomy, Condition, Drawing, Plan,
    dice::Dice,
    dicom::{self, Header, Storage},
    draw, files,
};
use crate::media::read_text;

/// The table of what is shown: `path,condition,modality,body_part`.
pub const TRUTH: &str = "truth.csv";

/// Names the files of a demo, one a line, so that a later demo replaces them and nothing else.
pub const MARKER: &str = ".medivision-demo";

const MARKER_HEAD: &str = "medivision-tui demo: SYNTHETIC studies; the files below may be replaced";
/// Size of the largest such file: a name for each of 100,000 studies.
const MAX_MARKER: u64 = 32 << 20;

/// Why a folder of phantoms was not written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// Something is in the folder that no demo wrote.
    #[error("{} is not empty and holds no earlier demo; name another folder", .0.display())]
    Occupied(PathBuf),
    /// The folder or a file in it cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be encoded.
    #[error("cannot encode {name}: {message}")]
    Encode {
        /// The file that was to be written.
        name: String,
        /// What the encoder said.
        message: String,
    },
}

/// One written study, a row of `truth.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Study {
    /// Relative to the folder.
    pub path: PathBuf,
    /// What is to be seen.
    pub condition: Condition,
    /// The part of the body.
    pub anatomy: Anatomy,
    /// `DX`, `CR` or `MR`, for JPEG and PNG too.
    pub modality: &'static str,
    /// DICOM's term.
    pub body_part: &'static str,
}

#[derive(Clone, Copy)]
enum Format {
    Jpeg,
    Png {
        deep: bool,
    },
    Dicom(Storage),
    /// One object with several frames.
    Series,
}

impl Format {
    const ALL: [Format; 8] = [
        Format::Dicom(Storage {
            deep: true,
            inverted: false,
        }),
        Format::Jpeg,
        Format::Dicom(Storage {
            deep: false,
            inverted: false,
        }),
        Format::Png { deep: false },
        Format::Dicom(Storage {
            deep: true,
            inverted: true,
        }),
        Format::Png { deep: true },
        Format::Dicom(Storage {
            deep: false,
            inverted: true,
        }),
        Format::Jpeg,
    ];

    fn extension(self) -> &'static str {
        match self {
            Format::Jpeg => "jpg",
            Format::Png { .. } => "png",
            Format::Dicom(_) | Format::Series => "dcm",
        }
    }
}

/// Writes `count` studies and `truth.csv` to `dir` (made if missing), the conditions in equal shares; `progress`
/// hears how many are written. An earlier demo there is replaced: only the files that it wrote are deleted.
pub fn write_studies(
    dir: &Path,
    seed: u64,
    count: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Study>, PhantomError> {
    let mut dice = Dice::new(seed);
    let plans = plan(count, &mut dice);
    let names: Vec<String> = plans
        .iter()
        .enumerate()
        .map(|(index, plan)| plan.file_name(index + 1))
        .collect();
    make_room(dir, &names)?;
    let mut studies = Vec::with_capacity(count);
    for (index, (plan, name)) in plans.iter().zip(&names).enumerate() {
        let drawing = plan.draw_frames();
        let bytes = plan
            .encode(index + 1, &drawing, &mut dice)
            .map_err(|message| PhantomError::Encode {
                name: name.clone(),
                message,
            })?;
        write(&dir.join(name), &bytes)?;
        studies.push(Study {
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

/// One study before it is drawn.
struct StudyPlan {
    anatomy: Anatomy,
    condition: Condition,
    format: Format,
    modality: &'static str,
    seed: u64,
    width: u32,
    height: u32,
}

/// Every fourth study has the same condition; what can be in several parts of the body takes turns.
fn plan(count: usize, dice: &mut Dice) -> Vec<StudyPlan> {
    let mut shown: Vec<(Anatomy, Condition)> = (0..count)
        .map(|index| {
            let turn = index / 4;
            match index % 4 {
                0 => (Anatomy::Chest, Condition::Pneumonia),
                1 => ([Anatomy::Head, Anatomy::Chest][turn % 2], Condition::Tumor),
                2 => (Anatomy::Limb, Condition::Fracture),
                _ => (
                    [Anatomy::Chest, Anatomy::Head, Anatomy::Limb][turn % 3],
                    Condition::Normal,
                ),
            }
        })
        .collect();
    dice.shuffle(&mut shown);
    let mut formats: Vec<Format> = (0..count)
        .map(|index| Format::ALL[index % Format::ALL.len()])
        .collect();
    dice.shuffle(&mut formats);
    if let Some(head) = shown
        .iter()
        .position(|(anatomy, _)| *anatomy == Anatomy::Head)
    {
        formats[head] = Format::Series;
    }
    shown
        .into_iter()
        .zip(formats)
        .map(|((anatomy, condition), format)| StudyPlan::roll(anatomy, condition, format, dice))
        .collect()
}

impl StudyPlan {
    fn roll(anatomy: Anatomy, condition: Condition, format: Format, dice: &mut Dice) -> Self {
        let modality = match anatomy {
            Anatomy::Head => "MR",
            Anatomy::Chest | Anatomy::Limb => dice.pick(&["DX", "CR"]),
        };
        let spread = dice.between(0.0, 1.0);
        let short = match format {
            Format::Series => 256.0,
            _ => 256.0 + 768.0 * spread * spread,
        };
        // Nearly square, so that a centre crop loses no more than the edge.
        let long = short * dice.between(1.0, 1.14);
        let (width, height) = if dice.chance(0.5) {
            (short, long)
        } else {
            (long, short)
        };
        let seed = (u64::from(dice.bits()) << 32) | u64::from(dice.bits());
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

    fn draw_frames(&self) -> Vec<Drawing> {
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
            Format::Series => {
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
        frames: &[Drawing],
        dice: &mut Dice,
    ) -> Result<Vec<u8>, String> {
        let header = Header {
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
            Format::Jpeg => files::jpeg(&frames[0]),
            Format::Png { deep } => files::png(&frames[0], deep),
            Format::Dicom(storage) => dicom::encode(frames, storage, &header, dice),
            Format::Series => dicom::encode(
                frames,
                Storage {
                    deep: true,
                    inverted: false,
                },
                &header,
                dice,
            ),
        }
    }
}

/// Makes the folder, removes an earlier demo, and notes the names to come before any of them exists: a demo that
/// was interrupted is known again too.
fn make_room(dir: &Path, names: &[String]) -> Result<(), PhantomError> {
    fs::create_dir_all(dir).map_err(|source| io_error(dir, source))?;
    let marker = dir.join(MARKER);
    let earlier = match read_text(&marker, MAX_MARKER) {
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

/// A file directly in the folder: an edited marker deletes nothing elsewhere.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

fn truth(studies: &[Study]) -> String {
    let mut table = "path,condition,modality,body_part\n".to_owned();
    for study in studies {
        // The names are our own: none needs quotes.
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
