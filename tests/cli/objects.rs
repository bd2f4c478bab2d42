//! DICOM objects: patient data stays private, and files with many frames.

use super::*;

/// An image with a secret in every attribute that can contain one.
fn object_of_a_patient() -> Vec<u8> {
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
    let secrets = [
        (0x0008, 0x0050, VR::SH),
        (0x0008, 0x0080, VR::LO),
        (0x0008, 0x0090, VR::PN),
        (0x0008, 0x1030, VR::LO),
        (0x0008, 0x103e, VR::LO),
        (0x0010, 0x0010, VR::PN),
        (0x0010, 0x0020, VR::LO),
        (0x0010, 0x4000, VR::LT),
        (0x0018, 0x1000, VR::LO),
        (0x0020, 0x4000, VR::LT),
        (0x0029, 0x1010, VR::LO),
    ];
    let numbers = [
        (0x0002, 1),
        (0x0010, 8),
        (0x0011, 8),
        (0x0100, 8),
        (0x0101, 8),
        (0x0102, 7),
        (0x0103, 0),
    ];
    let text = |group, element, vr, value: &str| {
        DataElement::new(Tag(group, element), vr, PrimitiveValue::from(value))
    };
    let mut object = InMemDicomObject::new_empty();
    for (group, element, vr) in secrets {
        object.put(text(group, element, vr, "Secret"));
    }
    for (element, value) in numbers {
        let value = PrimitiveValue::from(value as u16);
        object.put(DataElement::new(Tag(0x0028, element), VR::US, value));
    }
    object.put(text(0x0008, 0x0016, VR::UI, "1.2.840.10008.5.1.4.1.1.7"));
    object.put(text(0x0008, 0x0018, VR::UI, "1.99.1234567"));
    object.put(text(0x0008, 0x0060, VR::CS, "OT"));
    object.put(text(0x0028, 0x0004, VR::CS, "MONOCHROME2"));
    let pixels = PrimitiveValue::U8((0..64).collect());
    object.put(DataElement::new(Tag(0x7fe0, 0x0010), VR::OB, pixels));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.7")
        .media_storage_sop_instance_uid("1.99.1234567");
    let mut bytes = Vec::new();
    let object = object.with_meta(meta).expect("a meta group");
    object.write_all(&mut bytes).expect("written");
    bytes
}

#[test]
fn no_patient_data_is_printed_logged_or_exported() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = object_of_a_patient();
    let path = |name: &str| home.path().join(name);
    fs::write(path("a.dcm"), &whole).expect("written");
    fs::write(path("cut.dcm"), &whole[..whole.len() - 40]).expect("written");
    let mut wrong = whole.clone();
    let at = wrong
        .windows(11)
        .position(|w| w == b"MONOCHROME2")
        .expect("there");
    wrong[at..at + 11].copy_from_slice(b"MONOCHROME9");
    fs::write(path("wrong.dcm"), wrong).expect("written");
    let mut outputs = Vec::new();
    for format in ["jsonl", "csv", "table"] {
        outputs.push(classify(
            home.path(),
            &[
                "--log-level",
                "trace",
                "--show-phi",
                "--format",
                format,
                ".",
            ],
        ));
    }
    for name in ["a.dcm", "cut.dcm", "wrong.dcm"] {
        outputs.push(run(home.path(), &["inspect", name, "--log-level", "trace"]));
    }
    for output in &outputs {
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        let all = String::from_utf8_lossy(&all);
        assert!(all.contains("dcm"), "nothing was printed");
        for secret in ["Secret", "1.99.1234567"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

/// Writes a small object of three frames with different grey levels, in the default transfer syntax and without a preamble, as
/// old devices do.
fn three_frames(path: &Path) {
    let mut bytes = Vec::new();
    let mut element = |group: u16, element: u16, value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
    };
    element(0x0008, 0x0016, b"1.2.840.10008.5.1.4.1.1.7\0");
    element(0x0028, 0x0002, &[1, 0]);
    element(0x0028, 0x0004, b"MONOCHROME2 ");
    element(0x0028, 0x0008, b"3 ");
    element(0x0028, 0x0010, &[16, 0]);
    element(0x0028, 0x0011, &[16, 0]);
    element(0x0028, 0x0100, &[8, 0]);
    element(0x0028, 0x1050, b"128 ");
    element(0x0028, 0x1051, b"256 ");
    let shades: Vec<u8> = [30, 120, 220].into_iter().flat_map(|s| [s; 256]).collect();
    element(0x7fe0, 0x0010, &shades);
    fs::write(path, bytes).expect("written");
}

#[test]
fn every_frame_gets_a_line_and_the_file_an_aggregate() {
    let home = home();
    three_frames(&home.path().join("three.dcm"));
    let output = classify(home.path(), &["--frames", "all", "three.dcm"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&output);
    let frames: Vec<_> = lines.iter().map(|line| line["frame"].clone()).collect();
    assert_eq!(frames, [0.into(), 1.into(), 2.into(), Value::Null]);
    let [each @ .., joined] = &lines[..] else {
        panic!("no lines")
    };
    assert_eq!(joined["aggregate"], "mean");
    assert!(each.iter().all(|line| line.get("aggregate").is_none()));
    for score in joined["scores"].as_array().expect("scores") {
        let of = |line: &Value| {
            let scores = line["scores"].as_array().expect("scores").iter();
            let mut same = scores.filter(|s| s["condition"] == score["condition"]);
            same.next()
                .and_then(|s| s["probability"].as_f64())
                .expect("a number")
        };
        let all: Vec<f64> = each.iter().map(of).collect();
        let mean = all.iter().sum::<f64>() / 3.0;
        let max = all.iter().copied().fold(0.0, f64::max);
        let told = |key: &str| score[key].as_f64().expect("a number");
        assert!((told("probability") - mean).abs() < 1e-6);
        assert!((told("max") - max).abs() < 1e-6);
    }
    let middle = classify(home.path(), &["--frames", "middle", "three.dcm"]);
    let [middle] = self::lines(&middle).try_into().expect("one line");
    assert_eq!(middle["frame"], 1);
    // In a batch of another size, sums are rounded in another order.
    let similarity = |line: &Value| line["scores"][0]["similarity"].as_f64().expect("a number");
    assert!((similarity(&middle) - similarity(&each[1])).abs() < 1e-4);
    assert!(
        (similarity(&middle) - similarity(&each[0])).abs() > 1e-4,
        "another frame"
    );
}

/// The fixture's frames lie in the order 1 4 3 0 2 along the patient.
#[test]
fn frames_stored_out_of_order_are_sorted_by_position_and_keep_their_numbers() {
    let home = home();
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/media/objects/enhanced_out_of_order.dcm"
    );
    for (which, expected) in [
        ("first", vec![1]),
        ("middle", vec![3]),
        ("all", vec![1, 4, 3, 0, 2]),
    ] {
        let output = classify(home.path(), &["--frames", which, fixture]);
        let lines = lines(&output);
        let numbers = lines.iter().filter_map(|line| line["frame"].as_u64());
        assert_eq!(numbers.collect::<Vec<_>>(), expected, "{which}");
    }
}

#[test]
fn a_file_none_of_whose_frames_can_be_decoded_fails_once() {
    let home = home();
    let path = home.path().join("cut.dcm");
    three_frames(&path);
    let whole = fs::read(&path).expect("the file");
    fs::write(&path, &whole[..whole.len() - 600]).expect("written");
    let output = classify(home.path(), &["--frames", "all", "cut.dcm"]);
    let [line] = lines(&output).try_into().expect("one line");
    assert_eq!(line["error"]["kind"], "truncated");
    // With one complete frame left, that one is classified, and one line stands for the two that are not there.
    fs::write(&path, &whole[..whole.len() - 500]).expect("written");
    let output = classify(home.path(), &["--frames", "all", "cut.dcm"]);
    let kinds: Vec<_> = lines(&output)
        .iter()
        .map(|line| line["error"]["kind"].as_str().map(str::to_owned))
        .collect();
    let cut = Some("truncated".to_owned());
    assert_eq!(kinds, [None, cut, None]);
    assert_eq!(output.status.code(), Some(1));
}
