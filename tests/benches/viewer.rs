//! How long the image takes to follow a change of window, and a step through a volume: `cargo bench --bench viewer`.
//!
//! Measures from the cached samples of a radiograph of 2048 × 2048 pixels of 16 bits, or of 300 sections of 512 × 512, to the
//! bytes for the terminal, on 120 × 50 cells of 10 × 20 pixels. To look continuous, a change must take at most 33 ms.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use medivision_tui::app::{FoundFile, Graphics, PreviewKey, Quality, Reformat, Stamp};
use medivision_tui::graphics::Output;
use medivision_tui::graphics::preview::Renderer;
use medivision_tui::media::Voi;
use medivision_tui::media::volume::{Projection, ReformatPlane, Slab};
use medivision_tui::view::placement::Aim;

const SIDE: u16 = 2048;

/// Columns and rows of a section of the volume, and their number.
const SECTION: u16 = 512;
const SECTIONS: u16 = 300;

/// Writes a radiograph.
fn radiograph(folder: &Path) -> PathBuf {
    write(folder, SIDE, None)
}

/// Writes the sections of a volume, two millimetres apart.
fn sections(folder: &Path) -> Vec<PathBuf> {
    (0..SECTIONS)
        .map(|number| write(folder, SECTION, Some(number)))
        .collect()
}

/// Writes an image, a shadow with a gradient and noise: a section with its number, or a radiograph.
fn write(folder: &Path, pixels: u16, section: Option<u16>) -> PathBuf {
    let side = i32::from(pixels);
    let mut grain = 1_u32;
    let mut samples = Vec::with_capacity(usize::from(pixels) * usize::from(pixels));
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (dx, dy) = (x - side / 2, y - side / 2);
        let shadow = 30_000 - (dx * dx + dy * dy) / 100;
        samples.push((shadow + x * 4 + (grain >> 24) as i32).clamp(0, 65_535) as u16);
    }
    let mut object = InMemDicomObject::new_empty();
    let mut put = |tag: Tag, vr, value| drop(object.put(DataElement::new(tag, vr, value)));
    let (class, modality) = match section {
        None => (uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION, "DX"),
        Some(_) => (uids::CT_IMAGE_STORAGE, "CT"),
    };
    let instance = format!("2.25.7.{}", section.unwrap_or_default());
    let position = format!("0\\0\\{}", 2 * section.unwrap_or_default());
    for (tag, vr, text) in [
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, &instance),
        (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.8"),
        (tags::MODALITY, VR::CS, modality),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, &position),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, r"1\0\0\0\1\0"),
        (tags::PIXEL_SPACING, VR::DS, r"0.8\0.8"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        put(tag, vr, PrimitiveValue::from(text));
    }
    for (tag, number) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, pixels),
        (tags::COLUMNS, pixels),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        put(tag, VR::US, PrimitiveValue::from(number));
    }
    put(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(samples.into()),
    );
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(&instance);
    let path = folder.join(format!("{instance}.dcm"));
    let file = object.with_meta(meta).expect("it has all it needs");
    file.write_to_file(&path).expect("the disk has room");
    path
}

fn key(path: &Path, graphics: Graphics, quality: Quality) -> PreviewKey {
    let file = FoundFile {
        path: path.to_owned(),
        stamp: Stamp::default(),
    };
    let mut key = PreviewKey::plain(file, (120, 50), graphics, quality, 0);
    key.marks.overlays = true;
    key
}

/// Renders with a new window each time, so that only the decoded samples are cached.
fn windows(bench: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = radiograph(folder.path());
    let zoomed = Aim {
        zoom: 4.0,
        ..Aim::default()
    };
    for (name, graphics, quality, aim) in [
        ("kitty", Graphics::Kitty, Quality::Full, Aim::default()),
        ("kitty, zoomed", Graphics::Kitty, Quality::Full, zoomed),
        (
            "half blocks",
            Graphics::Halfblocks,
            Quality::Full,
            Aim::default(),
        ),
        (
            "sixel, key held down",
            Graphics::Sixel,
            Quality::Half,
            Aim::default(),
        ),
        (
            "sixel, at rest",
            Graphics::Sixel,
            Quality::Full,
            Aim::default(),
        ),
    ] {
        let mut renderer = Renderer::new(Output::default());
        let mut key = key(&path, graphics, quality);
        key.view.aim = aim;
        let mut center = 20_000.0;
        bench.bench_function(&format!("another window/{name}"), |bencher| {
            bencher.iter(|| {
                center += 1.0;
                key.view.voi = Voi::Range {
                    center,
                    width: 30_000.0,
                };
                let preview = renderer.render(black_box(&key), &|| false);
                preview.expect("not overtaken").expect("drawn")
            });
        });
    }
}

/// Steps through a volume whose sections have been read.
fn volume(bench: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let stack: Vec<FoundFile> = sections(folder.path())
        .into_iter()
        .map(|path| FoundFile {
            path,
            stamp: Stamp::default(),
        })
        .collect();
    let stack: Arc<[FoundFile]> = stack.into();
    let mut renderer = Renderer::new(Output::default());
    for (name, plane, all_planes, slab) in [
        ("axial plane", ReformatPlane::Axial, false, None),
        ("sagittal plane", ReformatPlane::Sagittal, false, None),
        ("three planes", ReformatPlane::Axial, true, None),
        (
            "three slabs of 20 mm",
            ReformatPlane::Axial,
            true,
            Some(Slab {
                projection: Projection::Maximum,
                thickness_mm: 20.0,
            }),
        ),
    ] {
        let mut key = key(&stack[0].path, Graphics::Kitty, Quality::Full);
        let mut at = 0;
        bench.bench_function(&format!("another place in a volume/{name}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % u32::from(SECTIONS);
                key.reformat = Some(Arc::new(Reformat {
                    stack: Arc::clone(&stack),
                    plane,
                    all_planes,
                    at: Some([at; 3]),
                    slab,
                }));
                let preview = renderer.render(black_box(&key), &|| false);
                preview.expect("not overtaken").expect("drawn")
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = windows, volume
}
criterion_main!(benches);
