//! The files that hold calibrations, in a folder beside the library.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Access};
use crate::media::read_text;
use crate::scoring::calibration::{Calibration, Calibrations};

/// Maximum size of a file.
const MAX_BYTES: u64 = 1 << 20;

/// The folder beside a library.
pub fn folder(library: &Path) -> PathBuf {
    library.with_file_name("calibration")
}

/// Reads all calibrations in a folder, and says which files cannot be used, one sentence each: damaged ones, also those whose numbers
/// cannot be. There need be no folder.
pub fn load(folder: &Path) -> (Calibrations, Vec<String>) {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    for file in files {
        let text = read_text(&file, MAX_BYTES).map_err(|error| error.to_string());
        let parsed = text.and_then(|text| {
            let parsed = toml::from_str::<Calibration>(&text);
            let parsed = parsed.map_err(|error| error.message().to_owned())?;
            parsed.check().map(|()| parsed)
        });
        match parsed {
            Ok(calibration) => all.push(calibration),
            Err(error) => faults.push(format!("{}: {error}; it is not used", file.display())),
        }
    }
    (Calibrations(all), faults)
}

/// Writes a calibration, in place of an earlier one of the same model, prompt set, mode, scores and fit; returns its file.
///
/// # Errors
///
/// Fails if the folder or the file cannot be written.
pub fn save(folder: &Path, calibration: &Calibration) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let text = toml::to_string(calibration).map_err(io::Error::other)?;
    let file = folder.join(name(calibration));
    files::replace_with(&file, Access::Owner, text.as_bytes())?;
    Ok(file)
}

/// `chest-xray-single-1f0c….toml`: the prompt set and the mode for people, and what tells all else apart.
fn name(calibration: &Calibration) -> String {
    let Calibration {
        model_digest,
        prompts,
        prompts_digest,
        mode,
        learned,
        fit,
        ..
    } = calibration;
    let mode = super::json::name(mode);
    let mut key = format!("{model_digest} {prompts_digest} {mode}");
    // One for learned scores stays beside that for zero-shot.
    if let Some(learned) = learned {
        key.push_str(learned);
    }
    // One for another way of fitting images to the model's input stays beside that for the model's own.
    if let Some(fit) = fit {
        key.push_str(" fit ");
        key.push_str(fit);
    }
    let hash = blake3::hash(key.as_bytes()).to_hex();
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let prompts: String = prompts.chars().take(40).map(plain).collect();
    format!("{prompts}-{mode}-{}.toml", &hash[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Mode;
    use crate::scoring::calibration::{AnswerRule, SingleCalibration};

    fn calibration(temperature: f64) -> Calibration {
        Calibration {
            model: "m".to_owned(),
            model_digest: "blake3:1".to_owned(),
            prompts: "a/../b".to_owned(),
            prompts_digest: "blake3:2".to_owned(),
            mode: Mode::Single,
            learned: None,
            fit: None,
            synthetic: false,
            at: "2026-01-01T00:00:00Z".to_owned(),
            images: 100,
            error_before: 0.2,
            error_after: 0.02,
            single: Some(SingleCalibration {
                temperature,
                confident_from: None,
                confident: 0.0,
                wrong: 0.0,
                answers: AnswerRule {
                    temperature,
                    least: 0.1,
                    coverage: 0.9,
                },
                mix: None,
            }),
            conditions: Vec::new(),
            normal: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_calibration_is_kept_and_replaced_and_a_damaged_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(&home.path().join("library.sqlite3"));
        assert_eq!(load(&folder), (Calibrations::default(), Vec::new()));
        save(&folder, &calibration(2.0)).unwrap();
        let file = save(&folder, &calibration(3.0)).unwrap();
        assert_eq!(file.parent(), Some(folder.as_path()));
        fs::write(folder.join("z.toml"), "temperature = 2").unwrap();
        let (all, faults) = load(&folder);
        assert_eq!(all.0, [calibration(3.0)]);
        let find = |mode, learned| all.find("blake3:1", "blake3:2", mode, learned).is_some();
        assert!(find(Mode::Single, None) && !find(Mode::Multi, None));
        assert!(!find(Mode::Single, Some("blake3:3")), "of other scores");
        assert!(
            faults.len() == 1 && faults[0].contains("z.toml"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_file_whose_numbers_cannot_be_is_named_with_the_number() {
        let home = tempfile::tempdir().unwrap();
        let file = save(home.path(), &calibration(2.0)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for (number, word) in [("nan", "NaN"), ("0.0", "0"), ("-1.0", "-1"), ("inf", "inf")] {
            let damaged = text.replacen("temperature = 2.0", &format!("temperature = {number}"), 1);
            assert_ne!(damaged, text);
            fs::write(&file, damaged).unwrap();
            let (all, faults) = load(home.path());
            assert_eq!(all, Calibrations::default(), "{number}");
            let words = format!("temperature is {word}, not a number above 0; it is not used");
            assert!(faults[0].ends_with(&words), "{faults:?}");
        }
        fs::write(&file, text.replace("least = 0.1", "least = 1.5")).unwrap();
        assert!(load(home.path()).1[0].contains("answers.least is 1.5"));
        // One for the other mode has no numbers for its own.
        fs::write(&file, text.replace("\"single\"", "\"multi\"")).unwrap();
        assert!(load(home.path()).1[0].contains("no numbers for its mode"));
    }

    #[test]
    fn calibrations_for_several_fits_stay_beside_each_other_and_each_is_for_its_own() {
        let home = tempfile::tempdir().unwrap();
        let of_fit = |fit: Option<&str>, temperature| Calibration {
            fit: fit.map(str::to_owned),
            ..calibration(temperature)
        };
        let both = [of_fit(None, 2.0), of_fit(Some("squash"), 3.0)];
        for own in &both {
            save(home.path(), own).unwrap();
        }
        let (all, _) = load(home.path());
        assert_eq!(all.clone().of_fit(None).0, both[..1]);
        assert_eq!(all.clone().of_fit(Some("squash")).0, both[1..]);
        assert_eq!(all.of_fit(Some("crop")).0, []);
    }
}
