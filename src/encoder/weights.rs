//! Named tensors of a checkpoint: memory-mapped, taken one by one with their shape checked, none left over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::{EncoderError, archive};
use crate::media::open_file;

/// Device and precision of a model.
pub(super) type Place = (Device, Kind);

/// The bytes that zero-copy tensors point into; lives as long as the model.
#[derive(Clone)]
pub(super) enum Backing {
    /// A mapped file.
    Mapped(Arc<Mmap>),
    /// Bytes built into the binary, or a test's.
    Static(&'static [u8]),
}

impl Backing {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }
}

/// A checkpoint's tensors by name, on the device that the model computes on; who takes one gets it in the precision that
/// the model computes in.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    backing: Vec<Backing>,
    place: Place,
    script: bool,
    /// A matrix of zeros was taken.
    doubtful: bool,
}

/// Where a tensor's bytes lie, and what they mean.
struct Raw<'a> {
    kind: Kind,
    shape: &'a [i64],
    strides: &'a [i64],
    bytes: &'a [u8],
}

impl Weights {
    /// Tensors made by the caller: training, tests.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
            backing: Vec::new(),
            place: (Device::Cpu, Kind::Float),
            script: false,
            doubtful: false,
        }
    }

    /// Maps a file of safetensors, or one that `torch.save` wrote. Tensors that have the precision wanted already stay
    /// in the mapping when the device is the CPU: loading costs no copy, and two processes share the pages.
    pub(super) fn open(path: &Path, place: Place) -> Result<Self, EncoderError> {
        let fault = |error: std::io::Error| EncoderError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let file = open_file(path).map_err(fault)?;
        // SAFETY: the mapping is read-only and private. A checkpoint that another program truncates while it is in
        // use would fault; hub clients replace files by rename, which leaves the mapped one intact.
        let map = unsafe { Mmap::map(&file) }.map_err(fault)?;
        Self::read(Backing::Mapped(Arc::new(map)), place).map_err(|error| match error {
            EncoderError::Unsupported(reason) => EncoderError::File {
                path: path.to_owned(),
                reason,
            },
            other => other,
        })
    }

    /// Reads the tensors out of `backing`, whichever of the two formats it has.
    pub(super) fn read(backing: Backing, place: Place) -> Result<Self, EncoderError> {
        let mut weights = Self {
            tensors: BTreeMap::new(),
            backing: vec![backing.clone()],
            place,
            script: false,
            doubtful: false,
        };
        let bytes = backing.bytes();
        if archive::is_archive(bytes) {
            weights.read_archive(bytes)?;
        } else {
            weights.read_safetensors(bytes)?;
        }
        Ok(weights)
    }

    fn read_safetensors(&mut self, bytes: &[u8]) -> Result<(), EncoderError> {
        // A pickle of the second protocol or later, or the tar file before that.
        let old = bytes.starts_with(b"\x80\x02") || bytes.get(257..262) == Some(b"ustar");
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            EncoderError::Unsupported(if old {
                archive::OLD.to_owned()
            } else {
                format!("no valid safetensors file: {error}")
            })
        })?;
        for (name, view) in file.tensors() {
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let kind = kind_of(view.dtype()).ok_or_else(|| {
                EncoderError::Unsupported(format!("`{name}` has the type {:?}", view.dtype()))
            })?;
            let raw = Raw {
                kind,
                shape: &shape,
                strides: &contiguous(&shape),
                bytes: view.data(),
            };
            self.tensors.insert(name, raw.tensor(self.place.0)?);
        }
        Ok(())
    }

    fn read_archive(&mut self, bytes: &[u8]) -> Result<(), EncoderError> {
        let archive = archive::read(bytes).map_err(EncoderError::Unsupported)?;
        self.script = archive.script;
        for entry in archive.entries {
            let raw = Raw {
                kind: entry.kind,
                shape: &entry.shape,
                strides: &entry.strides,
                bytes: &bytes[entry.bytes],
            };
            let tensor = raw.tensor(self.place.0)?;
            self.tensors.insert(entry.name, tensor);
        }
        Ok(())
    }

    /// The precision of the model.
    pub(super) fn kind(&self) -> Kind {
        self.place.1
    }

    /// The device of the model.
    pub(super) fn device(&self) -> Device {
        self.place.0
    }

    /// Read from a TorchScript archive, as OpenAI publishes its own models.
    pub(super) fn is_script(&self) -> bool {
        self.script
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Adds another shard's tensors.
    pub(super) fn merge(&mut self, other: Self) {
        self.tensors.extend(other.tensors);
        self.backing.extend(other.backing);
        self.doubtful |= other.doubtful;
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<i64>, EncoderError> {
        self.tensors
            .get(name)
            .map(Tensor::size)
            .ok_or_else(|| EncoderError::MissingTensor(name.to_owned()))
    }

    /// Takes a tensor out, which must have `expected` dimensions.
    pub fn take(&mut self, name: &str, expected: &[i64]) -> Result<Tensor, EncoderError> {
        let tensor = self.remove(name, expected)?;
        self.judge(name, &tensor)?;
        Ok(tensor.f_to_kind(self.wanted(&tensor))?)
    }

    /// As [`Self::take`], times a factor, and rounded once.
    pub(super) fn take_times(
        &mut self,
        name: &str,
        expected: &[i64],
        factor: f64,
    ) -> Result<Tensor, EncoderError> {
        let tensor = self.remove(name, expected)?;
        self.judge(name, &tensor)?;
        let product = tensor.f_to_kind(Kind::Float)?.f_mul_scalar(factor)?;
        Ok(product.f_to_kind(self.wanted(&tensor))?)
    }

    /// Refuses a tensor that holds NaN or infinity, and notes a matrix of zeros. Its sum shows both, and takes the time
    /// that the memory takes to deliver it.
    fn judge(&mut self, name: &str, tensor: &Tensor) -> Result<(), EncoderError> {
        if !matches!(
            tensor.kind(),
            Kind::Float | Kind::Half | Kind::BFloat16 | Kind::Double
        ) {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let wide = if tensor.kind() == Kind::Double {
            Kind::Double
        } else {
            Kind::Float
        };
        let sum = tensor.f_sum(wide)?.f_double_value(&[])?;
        if !sum.is_finite() {
            return Err(EncoderError::NotFinite(name.to_owned()));
        }
        self.doubtful |= sum == 0.0 && tensor.dim() > 1;
        Ok(())
    }

    /// Whether a matrix that was taken may hold nothing but zeros. Some do by design; a damaged file's do, too.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    fn remove(&mut self, name: &str, expected: &[i64]) -> Result<Tensor, EncoderError> {
        let found = self.shape(name)?;
        if found != expected {
            let (name, expected) = (name.to_owned(), expected.to_vec());
            return Err(EncoderError::Shape {
                name,
                found,
                expected,
            });
        }
        self.tensors
            .remove(name)
            .ok_or_else(|| EncoderError::MissingTensor(name.to_owned()))
    }

    /// The precision that a tensor is used in.
    fn wanted(&self, tensor: &Tensor) -> Kind {
        let whole = matches!(tensor.kind(), Kind::Int64 | Kind::Int);
        // The scale is needed to more digits than a half has.
        match (whole, tensor.numel() == 1) {
            (true, _) => tensor.kind(),
            (false, true) => Kind::Float,
            (false, false) => self.place.1,
        }
    }

    /// Drops a tensor that some exports carry and no model needs (position indices, which are 0, 1, 2, …).
    pub fn ignore(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Ends the reading: an error if anything is left, else what the taken tensors point into.
    pub(super) fn finish(self) -> Result<Vec<Backing>, EncoderError> {
        match self.tensors.keys().next() {
            Some(first) => Err(EncoderError::SurplusTensors {
                count: self.tensors.len(),
                first: first.clone(),
            }),
            None => Ok(self.backing),
        }
    }

    /// The bytes behind the tensors, for a digest.
    pub(super) fn backing(&self) -> &[Backing] {
        &self.backing
    }
}

impl Raw<'_> {
    /// A view of the bytes where they can be used as they lie, else a copy.
    fn tensor(&self, device: Device) -> Result<Tensor, EncoderError> {
        let size = self.kind.elt_size_in_bytes();
        let aligned = self.bytes.as_ptr().align_offset(size) == 0;
        let moved;
        let bytes = if aligned {
            self.bytes
        } else {
            // Room for one element more than the bytes need, to begin at a multiple of the size.
            moved = shifted(self.bytes, size);
            &moved.0[moved.1..moved.1 + self.bytes.len()]
        };
        // SAFETY: every element lies in `bytes` (checked by safetensors, and by `archive` for strided views), which is
        // aligned and never written. The view outlives this function only when it is of the backing itself, which
        // `Weights` hands to the model and the model keeps.
        let view = unsafe {
            Tensor::f_from_blob(
                bytes.as_ptr(),
                self.shape,
                self.strides,
                self.kind,
                Device::Cpu,
            )
        }?;
        match (device, aligned) {
            (Device::Cpu, true) => Ok(view),
            (Device::Cpu, false) => Ok(view.f_detach_copy()?),
            _ => Ok(view.f_to_device(device)?),
        }
    }
}

/// A copy that begins at a multiple of `size`, and where in it that is.
fn shifted(bytes: &[u8], size: usize) -> (Vec<u8>, usize) {
    let mut room = vec![0; bytes.len() + size];
    let at = room.as_ptr().align_offset(size).min(size);
    room[at..at + bytes.len()].copy_from_slice(bytes);
    (room, at)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        _ => return None,
    })
}

/// Strides of a row-major tensor.
fn contiguous(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Weights {
        let ones = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
        Weights::from_tensors([
            ("a".to_owned(), ones(&[2, 3])),
            ("b".to_owned(), ones(&[4])),
        ])
    }

    #[test]
    fn missing_misshapen_and_surplus_tensors_are_named() {
        let mut weights = two();
        assert!(
            matches!(weights.take("c", &[1]), Err(EncoderError::MissingTensor(name)) if name == "c")
        );
        let error = weights.take("a", &[3, 2]).unwrap_err().to_string();
        assert!(
            error.contains("`a`") && error.contains("[2, 3]") && error.contains("[3, 2]"),
            "{error}"
        );
        let _ = weights.take("a", &[2, 3]).unwrap();
        let error = weights.finish().err().unwrap().to_string();
        assert!(error.contains("`b`"), "{error}");
    }

    #[test]
    fn strides_are_row_major() {
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(contiguous(&[]), Vec::<i64>::new());
    }
}
