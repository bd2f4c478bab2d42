//! Limits that are checked before anything is decoded or allocated.

use crate::error::{ErrorKind, MediaError, malformed};

/// Largest file read, in bytes.
pub const MAX_BYTES: u64 = 2 << 30;
/// Largest image decoded, in pixels (16384 × 16384): above whole radiographs and tomosynthesis frames, below what a
/// crafted header could make a machine allocate.
pub const MAX_PIXELS: u64 = 1 << 28;
/// Largest number of frames in one object.
pub const MAX_FRAMES: u32 = 1 << 20;

/// Checks the size of an image against the limit.
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), MediaError> {
    if width == 0 || height == 0 {
        return Err(malformed(format!(
            "the image claims to be {width} × {height} pixels"
        )));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(MediaError::new(
            ErrorKind::TooLarge,
            format!("{width} × {height} pixels is over the limit of {MAX_PIXELS} pixels"),
        ));
    }
    Ok(())
}

/// The error for a frame beyond the last.
pub(crate) fn no_such_frame(frame: u32, frames: u32) -> MediaError {
    let plural = if frames == 1 { "" } else { "s" };
    MediaError::new(
        ErrorKind::NotFound,
        format!("there is no frame {frame}: the file has {frames} frame{plural}, counted from 0"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_are_refused_before_they_cost_memory() {
        assert_eq!(
            check_size(100_000, 100_000).map_err(|e| e.kind),
            Err(ErrorKind::TooLarge)
        );
        assert_eq!(
            check_size(u32::MAX, u32::MAX).map_err(|e| e.kind),
            Err(ErrorKind::TooLarge)
        );
        assert_eq!(
            check_size(0, 5).map_err(|e| e.kind),
            Err(ErrorKind::Malformed)
        );
        assert_eq!(check_size(16_384, 16_384), Ok(()));
    }
}
