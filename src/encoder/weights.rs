//! The named tensors of a checkpoint: memory-mapped, taken out one by one with their shapes checked, none left over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::pointer::{IS_POINTER, is_pointer};
use super::{EncoderError, archive};
use crate::media::open_file;

/// Device and precision of a model.
pub(super) type DeviceAndKind = (Device, Kind);

/// The bytes that zero-copy tensors point into; must live as long as the model.
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

/// A checkpoint's tensors by name, on the model's device. A tensor is converted to the model's precision when it is taken.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    backing: Vec<Backing>,
    target: DeviceAndKind,
    is_script: bool,
    /// Whether a matrix of zeros was taken.
    is_doubtful: bool,
    /// Whether the values were checked when the tensors were read, so that taking them need not read them again.
    is_checked: bool,
}

/// A tensor in the bytes of a file.
struct RawTensor<'a> {
    kind: Kind,
    shape: &'a [i64],
    strides: &'a [i64],
    bytes: &'a [u8],
}

impl Weights {
    /// Wraps tensors that the caller made, on the CPU in f32; for training and tests.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
            backing: Vec::new(),
            target: (Device::Cpu, Kind::Float),
            is_script: false,
            is_doubtful: false,
            is_checked: false,
        }
    }

    /// Maps a safetensors file, or one that `torch.save` wrote. On the CPU, tensors that already have the target's precision
    /// stay in the mapping: they are not copied, and several processes share the pages.
    pub(super) fn open(path: &Path, target: DeviceAndKind) -> Result<Self, EncoderError> {
        let fault = |error: std::io::Error| EncoderError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let file = open_file(path).map_err(fault)?;
        // SAFETY: the mapping is read-only and private. A fault is possible only if another program truncates the file while
        // it is in use; hub clients replace files by rename, which leaves the mapped one intact.
        let map = unsafe { Mmap::map(&file) }.map_err(fault)?;
        Self::read(Backing::Mapped(Arc::new(map)), target).map_err(|error| match error {
            EncoderError::Unsupported(reason) => EncoderError::File {
                path: path.to_owned(),
                reason,
            },
            other => other,
        })
    }

    /// Replaces the beginning of names.
    pub(super) fn rename_prefix(&mut self, from: &str, to: &str) {
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        let renamed = |name: String| match name.strip_prefix(from) {
            Some(rest) => format!("{to}{rest}"),
            None => name,
        };
        self.tensors = tensors
            .map(|(name, tensor)| (renamed(name), tensor))
            .collect();
    }

    /// Reads the tensors in `backing`, in either of the two formats.
    pub(super) fn read(backing: Backing, target: DeviceAndKind) -> Result<Self, EncoderError> {
        let mut weights = Self {
            tensors: BTreeMap::new(),
            backing: vec![backing.clone()],
            target,
            is_script: false,
            is_doubtful: false,
            is_checked: false,
        };
        let bytes = backing.bytes();
        if is_pointer(bytes) {
            return Err(EncoderError::Unsupported(IS_POINTER.to_owned()));
        }
        if archive::is_archive(bytes) {
            weights.read_archive(bytes)?;
        } else {
            weights.read_safetensors(bytes)?;
        }
        weights.strip_prefix("module.");
        Ok(weights)
    }

    /// Removes a prefix that all names have, such as that of PyTorch's `DistributedDataParallel`.
    fn strip_prefix(&mut self, prefix: &str) {
        if self.tensors.keys().all(|name| name.starts_with(prefix)) {
            let tensors = std::mem::take(&mut self.tensors).into_iter();
            self.tensors = tensors
                .map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor))
                .collect();
        }
    }

    fn read_safetensors(&mut self, bytes: &[u8]) -> Result<(), EncoderError> {
        // A pickle of protocol 2, or PyTorch's still older tar file.
        let is_old = bytes.starts_with(b"\x80\x02") || bytes.get(257..262) == Some(b"ustar");
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            EncoderError::Unsupported(if is_old {
                archive::NOT_ZIPPED.to_owned()
            } else {
                format!("not a valid safetensors file: {error}")
            })
        })?;
        for (name, view) in file.tensors() {
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let kind = kind_of(view.dtype()).ok_or_else(|| {
                EncoderError::Unsupported(format!(
                    "`{name}` has the unsupported type {:?}",
                    view.dtype()
                ))
            })?;
            let raw = RawTensor {
                kind,
                shape: &shape,
                strides: &contiguous(&shape),
                bytes: view.data(),
            };
            self.tensors.insert(name, raw.tensor(self.target.0)?);
        }
        Ok(())
    }

    fn read_archive(&mut self, bytes: &[u8]) -> Result<(), EncoderError> {
        let archive = archive::read(bytes).map_err(EncoderError::Unsupported)?;
        self.is_script = archive.is_script;
        for entry in archive.entries {
            let raw = RawTensor {
                kind: entry.kind,
                shape: &entry.shape,
                strides: &entry.strides,
                bytes: &bytes[entry.bytes],
            };
            let tensor = raw.tensor(self.target.0)?;
            self.tensors.insert(entry.name, tensor);
        }
        Ok(())
    }

    /// The model's precision.
    pub(super) fn kind(&self) -> Kind {
        self.target.1
    }

    /// The model's device.
    pub(super) fn device(&self) -> Device {
        self.target.0
    }

    /// Whether the weights come from a TorchScript archive, as OpenAI publishes them.
    pub(super) fn is_script(&self) -> bool {
        self.is_script
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// All tensors by name, in the precision of the file.
    pub(super) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Weights of the same device and bytes with other tensors, in f32. `is_checked`: their values are known to be sound.
    pub(super) fn with_tensors(&self, tensors: BTreeMap<String, Tensor>, is_checked: bool) -> Self {
        Self {
            tensors,
            backing: self.backing.clone(),
            target: (self.target.0, Kind::Float),
            is_script: self.is_script,
            is_doubtful: false,
            is_checked,
        }
    }

    /// Replaces a tensor by another of its shape.
    pub(super) fn replace(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Adds the tensors of another shard.
    pub(super) fn merge(&mut self, other: Self) {
        self.tensors.extend(other.tensors);
        self.backing.extend(other.backing);
        self.is_doubtful |= other.is_doubtful;
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<i64>, EncoderError> {
        self.tensors
            .get(name)
            .map(Tensor::size)
            .ok_or_else(|| EncoderError::MissingTensor(name.to_owned()))
    }

    /// Takes a tensor out; its dimensions, and those of the result, must be `expected`.
    pub fn take(&mut self, name: &str, expected: &[i64]) -> Result<Tensor, EncoderError> {
        let tensor = self.remove(name, expected)?; // `expected`
        self.check_values(name, &tensor)?;
        Ok(tensor.f_to_kind(self.target_kind(&tensor))?) // `expected`
    }

    /// As [`Self::take`], in a precision of the caller's choice instead of the model's.
    pub(super) fn take_as(
        &mut self,
        name: &str,
        expected: &[i64],
        kind: Kind,
    ) -> Result<Tensor, EncoderError> {
        let tensor = self.remove(name, expected)?; // `expected`
        self.check_values(name, &tensor)?;
        Ok(tensor.f_to_kind(kind)?) // `expected`
    }

    /// As [`Self::take`], multiplied by a factor; rounded only once.
    pub(super) fn take_scaled(
        &mut self,
        name: &str,
        expected: &[i64],
        factor: f64,
    ) -> Result<Tensor, EncoderError> {
        let tensor = self.remove(name, expected)?; // `expected`
        self.check_values(name, &tensor)?;
        let product = tensor.f_to_kind(Kind::Float)?.f_mul_scalar(factor)?; // `expected`
        Ok(product.f_to_kind(self.target_kind(&tensor))?) // `expected`
    }

    /// Refuses a tensor that contains NaN or infinity, and notes a matrix of zeros. The sum shows both, at the cost of reading
    /// the tensor from memory once.
    fn check_values(&mut self, name: &str, tensor: &Tensor) -> Result<(), EncoderError> {
        if self.is_checked {
            return Ok(());
        }
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
        let sum = tensor.f_sum(wide)?.f_double_value(&[])?; // scalar
        if !sum.is_finite() {
            return Err(EncoderError::NotFinite(name.to_owned()));
        }
        self.is_doubtful |= sum == 0.0 && tensor.dim() > 1;
        Ok(())
    }

    /// Whether a matrix that was taken appears to contain only zeros, by design or because the file is damaged.
    pub(super) fn is_doubtful(&self) -> bool {
        self.is_doubtful
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

    /// The element type that a tensor is converted to.
    fn target_kind(&self, tensor: &Tensor) -> Kind {
        let is_integer = matches!(tensor.kind(), Kind::Int64 | Kind::Int);
        // Scalars stay in f32: 16 bits are too few for the logit scale.
        match (is_integer, tensor.numel() == 1) {
            (true, _) => tensor.kind(),
            (false, true) => Kind::Float,
            (false, false) => self.target.1,
        }
    }

    /// Drops a tensor that some exports contain and no model needs, such as the position indices 0, 1, 2, ….
    pub fn ignore(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Returns the bytes that the taken tensors point into; an error if any tensor is left.
    pub(super) fn finish(self) -> Result<Vec<Backing>, EncoderError> {
        match self.tensors.keys().next() {
            Some(first) => Err(EncoderError::SurplusTensors {
                count: self.tensors.len(),
                first: first.clone(),
            }),
            None => Ok(self.backing),
        }
    }

    /// The bytes of the files, for a digest.
    pub(super) fn backing(&self) -> &[Backing] {
        &self.backing
    }
}

impl RawTensor<'_> {
    /// A view of the bytes if they are aligned and the device is the CPU, else a copy. Its shape is `self.shape`.
    fn tensor(&self, device: Device) -> Result<Tensor, EncoderError> {
        let size = self.kind.elt_size_in_bytes();
        let is_aligned = self.bytes.as_ptr().align_offset(size) == 0;
        let copy;
        let bytes = if is_aligned {
            self.bytes
        } else {
            copy = aligned_copy(self.bytes, size);
            &copy.0[copy.1..copy.1 + self.bytes.len()]
        };
        // SAFETY: every element lies within `bytes` (checked by safetensors, and by `archive` for strided views), which is
        // aligned and never written. The view outlives this function only if it points into the backing itself, which
        // `Weights` passes on to the model and the model keeps.
        let view = unsafe {
            Tensor::f_from_blob(
                bytes.as_ptr(),
                self.shape,
                self.strides,
                self.kind,
                Device::Cpu,
            )
        }?;
        match (device, is_aligned) {
            (Device::Cpu, true) => Ok(view),
            (Device::Cpu, false) => Ok(view.f_detach_copy()?),
            _ => Ok(view.f_to_device(device)?),
        }
    }
}

/// A copy of the bytes, and its offset in the returned buffer, at which it is aligned to `size`.
fn aligned_copy(bytes: &[u8], size: usize) -> (Vec<u8>, usize) {
    let mut buffer = vec![0; bytes.len() + size];
    let offset = buffer.as_ptr().align_offset(size).min(size);
    buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
    (buffer, offset)
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
