//! Fuzzes presentation states, segmentations and structure sets, applied to the slices that the fixtures refer to.
#![no_main]

use std::sync::LazyLock;

use medivision_media::{Frame, Grey, ImageSource, Related, TargetFrame, Voi};

static SLICES: LazyLock<Vec<(TargetFrame, Grey)>> = LazyLock::new(|| {
    let files: [&[u8]; 3] = [
        include_bytes!("../../fixtures/media/related/ct1.dcm"),
        include_bytes!("../../fixtures/media/related/ct2.dcm"),
        include_bytes!("../../fixtures/media/related/ct3.dcm"),
    ];
    let slice = |bytes: &[u8]| {
        let source = ImageSource::from_bytes(bytes.to_vec()).expect("a fixture");
        let Ok(Frame::Grey(grey)) = source.frame(0) else {
            panic!("the fixtures are grey");
        };
        (source.target(0).expect("a DICOM object"), grey)
    };
    files.map(slice).to_vec()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(related) = Related::from_bytes(bytes.to_vec()) else {
        return;
    };
    for (target, grey) in &*SLICES {
        let pixels = target.width as usize * target.height as usize;
        if let Ok(layers) = related.layers(target) {
            assert!(layers.tint.is_none_or(|tint| tint.rgba.len() == 4 * pixels));
            let shutter = layers.shutter.iter();
            let hidden =
                shutter.flat_map(|s| (0..target.height).flat_map(|y| s.hidden(y, 0..target.width)));
            assert!(hidden.count() <= pixels);
        }
        if let Ok(Some(presented)) = related.present(grey, target) {
            let (picture, _) = presented.render(Voi::Own(0), false);
            assert_eq!(picture.pixels.bytes().len(), pixels);
        }
        let _ = related.color_map(target);
    }
});
