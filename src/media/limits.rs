//! Limits that hold before anything is decoded or allocated for it.

use crate::error::{ErrorKind, MediaError, malformed};

/// Largest file read, in bytes.
pub const MAX_BYTES: u64 = 2 << 30;
/// Largest picture decoded, in pixels (16384 × 16384): above whole radiographs and tomosynthesis frames, below what a
/// crafted header may make a machine allocate.
pub const MAX_PIXELS: u64 = 1 << 28;
/// Most frames in one object.
pub const MAX_FRAMES: u32 = 1 << 20;

/// Accepts the size of a picture that will be decoded.
pub(crate) fn check_size(width: u32, height: u32) -> Result<(), MediaError> {
    if width == 0 || height == 0 {
        return Err(malformed(format!(
            "the picture claims to be {width} × {height} pixels"
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

/// The error for a frame that the file does not have.
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
    fn sizes_are_refused_before_they_cost_memory() {
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
