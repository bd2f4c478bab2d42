//! Does with a file everything that the program does with one; shared by all targets.

use medivision_media::{DecodeOptions, Frame, ImageSource, Scale, Voi};

/// Largest frame that is decoded here, in pixels; the limit of the program would make runs slow, not thorough.
const MAX_PIXELS: u64 = 1 << 20;

/// Opens a file and decodes its first, second and last frame. A panic is a finding; the program would contain it.
pub fn show(bytes: &[u8]) {
    let Ok(source) = ImageSource::from_bytes(bytes.to_vec()) else {
        return;
    };
    let info = source.info().clone();
    if u64::from(info.width) * u64::from(info.height) > MAX_PIXELS {
        return;
    }
    let small = u64::from(info.width) * u64::from(info.height) <= MAX_PIXELS / 16;
    for scale in Scale::ALL.into_iter().filter(|_| small) {
        let options = DecodeOptions {
            scale,
            ..DecodeOptions::default()
        };
        if let Ok(shown) = source.load(&options) {
            let scaled = |side: u32| [side, side.div_ceil(scale.divisor())];
            assert!(scaled(info.width).contains(&shown.picture.width));
            assert!(scaled(info.height).contains(&shown.picture.height));
        }
    }
    let last = info.frames.saturating_sub(1);
    for frame in [0, 1, last] {
        let _ = source.geometry(frame).letters();
        for overlay in source.overlays(frame) {
            let _ = overlay.covers(0, 0);
        }
        let Ok(shown) = source.frame(frame) else {
            continue;
        };
        let (picture, _) = shown.render(Voi::Own(0), false);
        assert_eq!((picture.width, picture.height), (info.width, info.height));
        assert_eq!(
            picture.to_rgb().len(),
            3 * picture.width as usize * picture.height as usize
        );
        if let Frame::Grey(grey) = shown {
            let _ = grey.render(Voi::Robust, true);
            let counted: u64 = grey.histogram(64).counts.iter().sum();
            assert!(counted <= u64::from(info.width) * u64::from(info.height));
            let _ = grey.value(info.width - 1, info.height - 1);
        }
    }
}
