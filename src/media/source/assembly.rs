//! Assembles the image that the frames of a file are tiles of, within one share of the memory budget.

use super::{FileDecoder, ImageSource};
use crate::budget::{self, Reserved, WaitPolicy};
use crate::error::{ErrorKind, MediaError};
use crate::mosaic::{self, Assembled, Mosaic, MosaicProgress};
use crate::{DecodeOptions, Frame, Warnings, contain};

/// Bytes a pixel of a mosaic takes while it is assembled: RGB, and a copy that is shown meanwhile.
const MOSAIC_PIXEL_BYTES: u64 = 2 * 3;

impl ImageSource {
    /// Assembles a plane of the mosaic on several threads, reduced so that `divisor` pixels in a row become one.
    /// `watch` is called again and again; when it returns false, the work stops. Returns `None` then, and if there is
    /// no mosaic.
    pub fn assemble(
        &self,
        plane: u32,
        divisor: u32,
        wait: WaitPolicy,
        watch: &mut dyn FnMut(&MosaicProgress) -> bool,
    ) -> Result<Option<Reserved<Assembled>>, MediaError> {
        let Some(mosaic) = self.mosaic() else {
            return Ok(None);
        };
        let (width, height) = mosaic.reduced(divisor);
        let canvas = u64::from(width) * u64::from(height) * MOSAIC_PIXEL_BYTES;
        let share = self.tile_share(mosaic, plane)?;
        let bytes = |threads: usize| canvas.saturating_add(share.saturating_mul(threads as u64));
        let threads = (2..=mosaic::threads())
            .rev()
            .find(|threads| budget::decoding().can_hold(bytes(*threads)))
            .unwrap_or(1);
        // The tiles are decoded within this reservation: one that waited for its own would wait for what the assembly
        // holds.
        let reservation = budget::decoding().reserve(bytes(threads), wait)?;
        let decode = |frame| self.decode_within(share, frame);
        let assembled = mosaic.assemble(plane, divisor, threads, decode, watch)?;
        Ok(assembled.map(|assembled| Reserved::new(assembled, reservation).shrunk(canvas)))
    }

    /// Memory for one tile of a plane at a time: what the one with the longest stream takes. All are of one size, and
    /// mostly of one encoder.
    fn tile_share(&self, mosaic: &Mosaic, plane: u32) -> Result<u64, MediaError> {
        let FileDecoder::Dicom(object) = &self.decoder else {
            return Ok(0);
        };
        contain("DICOM", || {
            let length = |frame: &u32| object.coded_bytes(*frame).unwrap_or_default();
            let frames = mosaic.of_plane(plane).map(|tile| tile.frame);
            let longest = frames.max_by_key(length);
            // A missing tile takes nothing, and is counted when it is decoded.
            Ok(longest.map_or(0, |frame| object.cost(frame).unwrap_or_default()))
        })
    }

    /// Decodes a frame within a reservation of `share` bytes.
    fn decode_within(&self, share: u64, frame: u32) -> Result<Frame, MediaError> {
        if let FileDecoder::Dicom(object) = &self.decoder
            && contain("DICOM", || object.cost(frame))? > share
        {
            return Err(MediaError::new(
                ErrorKind::TooLarge,
                "DICOM: a tile needs much more memory than the others",
            ));
        }
        let options = DecodeOptions {
            frame,
            ..DecodeOptions::default()
        };
        self.decode_now(&options, &mut Warnings::default())
    }
}
