//! `watch --stable-after`: a line for each series and study that has become quiet.

use std::fs;
use std::path::Path;
use std::time::Instant;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use rustix::process::Signal;
use serde_json::Value;

use crate::DEADLINE;
use crate::command::Session;
use crate::service::{home, wait_until};

/// A DICOM image of 16 × 16 pixels. `instance` ends its SOP Instance UID and decides its grey.
fn image(study: &str, series: &str, instance: u8) -> Vec<u8> {
    let uid = format!("{series}.{instance}");
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut pixels = vec![instance.wrapping_mul(40); 256];
    pixels[0] = 255;
    let object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7"),
        text(tags::SOP_INSTANCE_UID, VR::UI, &uid),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_NAME, VR::PN, "Doe^Jane"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, study),
        text(tags::SERIES_INSTANCE_UID, VR::UI, series),
        number(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, 16),
        number(tags::COLUMNS, 16),
        number(tags::BITS_ALLOCATED, 8),
        number(tags::BITS_STORED, 8),
        number(tags::HIGH_BIT, 7),
        number(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into())),
    ]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.7")
        .media_storage_sop_instance_uid(&uid);
    let file = object.with_meta(meta).expect("a meta group");
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).expect("encoded");
    bytes
}

fn mean(lines: &[Value], condition: &str) -> f64 {
    let scores = lines
        .iter()
        .flat_map(|line| line["scores"].as_array().expect("scores"));
    let scores = scores.filter(|score| score["condition"] == condition);
    let sum: f64 = scores
        .map(|score| score["probability"].as_f64().expect("a number"))
        .sum();
    sum / lines.len() as f64
}

#[test]
fn a_quiet_series_and_its_study_get_lines_and_a_later_image_another_one() {
    let session = Session::new(&["--stable-after", "1"], |dir| {
        fs::create_dir(dir.join("a")).expect("a folder");
        fs::write(dir.join("a/1.dcm"), image("9", "9.1", 1)).expect("written");
        fs::write(dir.join("a/2.dcm"), image("9", "9.1", 2)).expect("written");
    });
    let images = [session.line(), session.line()];
    assert!(images.iter().all(|line| line["frame"] == 0), "{images:?}");
    let line = session.line();
    assert_eq!(
        (&line["series"], &line["study"]),
        (&"9.1".into(), &"9".into())
    );
    assert_eq!(
        (&line["path"], &line["instances"]),
        (&"in/a".into(), &2.into())
    );
    assert_eq!(
        (&line["aggregate"], &line["modality"]),
        (&"mean".into(), &"CT".into())
    );
    for score in line["scores"].as_array().expect("scores") {
        let condition = score["condition"].as_str().expect("a name");
        let found = score["probability"].as_f64().expect("a number");
        assert!((found - mean(&images, condition)).abs() < 1e-9, "{score}");
        assert!(score["max"].as_f64().expect("a number") >= found, "{score}");
    }
    assert!(!line.to_string().contains("Doe"), "{line}");
    // Another series makes a study of two.
    fs::create_dir(session.folder().join("b")).expect("a folder");
    fs::write(session.folder().join("b/3.dcm"), image("9", "9.2", 3)).expect("written");
    assert_eq!(session.line()["path"], "in/b/3.dcm");
    let lines = [session.line(), session.line()];
    assert_eq!(
        (&lines[0]["series"], &lines[0]["path"]),
        (&"9.2".into(), &"in/b".into())
    );
    assert_eq!(
        (lines[1].get("series"), &lines[1]["study"]),
        (None, &"9".into())
    );
    assert_eq!(
        (&lines[1]["path"], &lines[1]["instances"]),
        (&"in".into(), &3.into())
    );
    // A copy under another name is no new image of the series, a late image is.
    fs::write(session.folder().join("a/copy.dcm"), image("9", "9.1", 1)).expect("written");
    assert_eq!(session.line()["path"], "in/a/copy.dcm");
    fs::write(session.folder().join("a/4.dcm"), image("9", "9.1", 4)).expect("written");
    assert_eq!(session.line()["path"], "in/a/4.dcm");
    let lines = [session.line(), session.line()];
    assert_eq!(
        (&lines[0]["series"], &lines[0]["instances"]),
        (&"9.1".into(), &3.into())
    );
    assert_eq!(
        (lines[1].get("series"), &lines[1]["instances"]),
        (None, &4.into())
    );
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
}

#[test]
fn the_line_of_a_series_names_its_folder_as_it_is_called_then() {
    let session = Session::new(&["--stable-after", "5"], |dir| {
        fs::create_dir(dir.join("ct7_tmp")).expect("a folder");
        fs::write(dir.join("ct7_tmp/1.dcm"), image("9", "9.1", 1)).expect("written");
        fs::write(dir.join("ct7_tmp/2.dcm"), image("9", "9.1", 2)).expect("written");
    });
    let images = [session.line(), session.line()];
    assert!(images.iter().all(|line| line["frame"] == 0), "{images:?}");
    let folder = session.folder();
    fs::rename(folder.join("ct7_tmp"), folder.join("ct7")).expect("renamed");
    let mut images = [session.line(), session.line()].map(|line| line["path"].clone());
    images.sort_by_key(Value::to_string);
    assert_eq!(images, ["in/ct7/1.dcm", "in/ct7/2.dcm"]);
    let line = session.line();
    assert_eq!(
        (&line["path"], &line["instances"]),
        (&"in/ct7".into(), &2.into())
    );
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
}

/// Waits until the file has so many lines.
fn wait_for_lines(path: &Path, count: usize) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text;
        }
        assert!(Instant::now() < end, "no {count} lines: {text}");
        std::thread::yield_now();
    }
}

#[test]
fn an_output_has_each_line_of_a_series_once_also_after_it_was_killed() {
    for format in ["jsonl", "csv"] {
        let home = tempfile::tempdir().expect("a folder");
        let (folder, output) = (home.path().join("in"), home.path().join("out"));
        fs::create_dir(&folder).expect("a folder");
        for instance in 1..=3 {
            let file = folder.join(format!("{instance}.dcm"));
            fs::write(file, image("9", "9.1", instance)).expect("written");
        }
        let name = output.to_str().expect("UTF-8").to_owned();
        let arguments = ["--stable-after", "1", "--format", format, "--output", &name];
        let header = usize::from(format == "csv");
        let session = Session::at(home, &arguments);
        wait_for_lines(&output, header + 4);
        let (_, _, _, home) = session.end_and_keep(Signal::KILL);
        let session = Session::at(home, &arguments);
        fs::write(folder.join("4.dcm"), image("9", "9.1", 4)).expect("written");
        let text = wait_for_lines(&output, header + 6);
        let (code, _, errors, _home) = session.end_and_keep(Signal::TERM);
        assert_eq!(code, Some(0), "{errors}");
        let after = fs::read_to_string(&output).expect("text");
        assert_eq!(after, text, "{format}");
        let aggregates = text.lines().filter(|line| !line.contains(".dcm"));
        assert_eq!(aggregates.count(), header + 2, "{text}");
    }
}

#[test]
fn a_watch_that_ends_before_a_series_is_quiet_moves_it_after_its_line_when_it_runs_again() {
    // More than are moved together.
    const COUNT: usize = 70;
    let home = home();
    let output = home.path().join("out.jsonl");
    for instance in 1..=COUNT as u8 {
        let file = home.path().join(format!("in/{instance}.dcm"));
        fs::write(file, image("9", "9.1", instance)).expect("written");
    }
    let arguments = |stable_after: &'static str| {
        let to = ["--output", "out.jsonl", "--move-to", "done"];
        [&["--stable-after", stable_after][..], &to].concat()
    };
    let session = Session::at(home, &arguments("60"));
    wait_for_lines(&output, COUNT);
    let (code, _, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        errors.contains("70 files are moved after the next start"),
        "{errors}"
    );
    let session = Session::at(home, &arguments("1"));
    let is_moved = |name: &str| session.home.path().join("done").join(name).exists();
    wait_until("all are moved", || {
        (1..=COUNT).all(|instance| is_moved(&format!("{instance}.dcm")))
    });
    // An image that comes later counts with those that were moved, and then follows them.
    fs::write(session.folder().join("late.dcm"), image("9", "9.1", 99)).expect("written");
    wait_until("it is moved", || is_moved("late.dcm"));
    let (code, _, errors, _home) = session.end_and_keep(Signal::TERM);
    assert_eq!(code, Some(0), "{errors}");
    let text = fs::read_to_string(&output).expect("text");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line"));
    let counts: Vec<Value> = lines.map(|line| line["instances"].clone()).collect();
    let (images, rest) = counts.split_at(COUNT);
    assert!(images.iter().all(Value::is_null), "{text}");
    assert_eq!(rest, [70.into(), Value::Null, 71.into()]);
}

#[test]
fn a_time_that_is_no_time_is_a_usage_error() {
    for time in [
        "--stable-after=-1",
        "--stable-after=1e6",
        "--stable-after=soon",
    ] {
        let session = Session::new(&[time], |_| {});
        assert_eq!(session.exit_code(), Some(2), "{time}");
    }
}
