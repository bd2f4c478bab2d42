//! From Pixel Data to grey values or colours, and the rules of their display.
//!
//! [`index`] locates a frame, [`codec`] has dicom-pixeldata decode a compressed one, [`native`] reads an uncompressed
//! one, and [`samples`] extracts the values from their cells; [`voi`] reads windows for grey, [`color`] and
//! [`palette`] make colours.
//!
//! With the codecs of its own registry, dicom-pixeldata decodes the first frame of 107 of the 156 decodable corpus
//! files as the reference does. What it gets wrong is done here:
//!
//! - the codecs themselves ([`registry`](crate::codecs::registry) says why): 12-bit JPEG (`JPGExtended.dcm`), RGB
//!   without a transform (`SC_jpeg_no_color_transform.dcm`), JPEG-LS (`JLSL_08_07_0_1F.dcm`), samples of 1 and 32 bits
//!   (`liver_j2k.dcm`, `rtdose_rle.dcm`), run lengths of luma and chroma (`YBR_FULL-RLE.dcm`);
//! - assignment of fragments to frames: it uses neither stream markers nor the Extended Offset Table;
//! - native pixels, which it also copies twice: frames of 1 bit that begin inside a byte
//!   (`liver_nonbyte_aligned.dcm`), bits in words of big-endian files (`liver_expb.dcm`), 32 bits (`rtdose.dcm`), planes
//!   (`color-pl.dcm`), luma and chroma (`SC_ybr_full_uncompressed.dcm`), halved chroma
//!   (`SC_ybr_full_422_uncompressed.dcm`), floats (`parametric_map_float.dcm`), packed 12 bits;
//! - deflated and encapsulated uncompressed frames, which are native ones in a wrapper: its adapters do not know
//!   Planar Configuration, and inflate without bound;
//! - Bits Stored and High Bit: it does not extend the sign of values (`mlut_18.dcm`, `J2K_pixelrep_mismatch.dcm`);
//! - windows and LUTs, above all in functional groups (`emri_small.dcm`): [`voi`].

pub(crate) mod codec;
pub(crate) mod color;
mod cost;
pub(crate) mod display;
pub(crate) mod frames;
pub(crate) mod groups;
pub(crate) mod index;
pub(crate) mod layout;
pub(crate) mod lut;
pub(crate) mod modality;
pub(crate) mod native;
pub(crate) mod overlays;
pub(crate) mod palette;
pub(crate) mod samples;
pub(crate) mod voi;
