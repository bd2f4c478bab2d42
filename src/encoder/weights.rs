//! Named tensors of a checkpoint: memory-mapped, taken one by one with their shape checked, none left over.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::EncoderError;

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

/// A checkpoint's tensors by name, in f32 on the device.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    backing: Vec<Backing>,
}

impl Weights {
    /// Tensors made by the caller: training, tests.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
            backing: Vec::new(),
        }
    }

    /// Maps a safetensors file. f32 tensors stay in the mapping when the device is the CPU: loading costs no copy,
    /// and two processes share the pages.
    pub(super) fn open(path: &Path, device: Device) -> Result<Self, EncoderError> {
        let fault = |error: std::io::Error| EncoderError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let file = File::open(path).map_err(fault)?;
        // SAFETY: the mapping is read-only and private. A checkpoint that another program truncates while it is in
        // use would fault; hub clients replace files by rename, which leaves the mapped one intact.
        let map = unsafe { Mmap::map(&file) }.map_err(fault)?;
        Self::read(Backing::Mapped(Arc::new(map)), device).map_err(|error| match error {
            EncoderError::Unsupported(reason) => EncoderError::File {
                path: path.to_owned(),
                reason,
            },
            other => other,
        })
    }

    /// Reads safetensors out of `backing`.
    pub(super) fn read(backing: Backing, device: Device) -> Result<Self, EncoderError> {
        let mut tensors = BTreeMap::new();
        let bytes = backing.bytes();
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            EncoderError::Unsupported(format!("no valid safetensors file: {error}"))
        })?;
        for (name, view) in file.tensors() {
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let kind = kind_of(view.dtype()).ok_or_else(|| {
                EncoderError::Unsupported(format!("`{name}` has the type {:?}", view.dtype()))
            })?;
            let data = view.data();
            let aligned = data.as_ptr().align_offset(align_of::<f32>()) == 0;
            let tensor = if kind == Kind::Float && aligned && device == Device::Cpu {
                // SAFETY: `data` lies in `backing`, which `Weights` hands to the model and the model keeps; it is
                // aligned, exactly `shape` f32 long (checked by safetensors), and never written.
                unsafe {
                    Tensor::f_from_blob(
                        data.as_ptr(),
                        &shape,
                        &contiguous(&shape),
                        kind,
                        Device::Cpu,
                    )
                }?
            } else {
                let copy = Tensor::f_from_data_size(data, &shape, kind)?;
                let whole = matches!(kind, Kind::Int64 | Kind::Int);
                let wanted = if whole { kind } else { Kind::Float };
                copy.f_to_device(device)?.f_to_kind(wanted)?
            };
            tensors.insert(name, tensor);
        }
        Ok(Self {
            tensors,
            backing: vec![backing],
        })
    }

    /// Adds another shard's tensors.
    pub(super) fn merge(&mut self, other: Self) {
        self.tensors.extend(other.tensors);
        self.backing.extend(other.backing);
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
