//! Safetensors files: written tensor by tensor, with a header of our own, and read back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use safetensors::tensor::View;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

use super::{fault, new_name, unwritable};
use crate::encoder::EncoderError;
use crate::media::read_file;

/// The key of our header in the metadata of a file. It is the only one, so that equal contents give equal files.
const HEADER: &str = "medivision";
/// Maximum size of an adapter or a state: rank 256 in all matrices of the largest tower.
const MAX_BYTES: u64 = 8 << 30;

/// A tensor whose bytes are copied when they are written.
struct TensorBytes {
    tensor: Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
    length: usize,
}

impl TensorBytes {
    fn new(name: &str, tensor: &Tensor) -> Result<Self, EncoderError> {
        let tensor = tensor
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?;
        let kind = tensor.kind();
        let dtype = dtype_of(kind).ok_or_else(|| {
            EncoderError::Unsupported(format!("`{name}` has the unsupported type {kind:?}"))
        })?;
        Ok(Self {
            shape: tensor.size().iter().map(|n| *n as usize).collect(),
            length: tensor.numel() * kind.elt_size_in_bytes(),
            dtype,
            tensor,
        })
    }
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        _ => return None,
    })
}

impl View for TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.length];
        // On the CPU and contiguous, as `new` made it: nothing can fail.
        self.tensor.copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.length
    }
}

fn write_file(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: (&str, String),
) -> Result<(), EncoderError> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), TensorBytes::new(name, tensor)?)))
        .collect::<Result<Vec<_>, EncoderError>>()?;
    let metadata = HashMap::from([(metadata.0.to_owned(), metadata.1)]);
    let new = new_name(path);
    safetensors::serialize_to_file(views, Some(metadata), &new)
        .map_err(|error| unwritable(&new, &error))?;
    let synced = File::open(&new).and_then(|file| file.sync_all());
    synced
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| unwritable(path, &error))
}

/// Writes the weights of a checkpoint, complete or not at all. Transformers wants to be told that they are PyTorch's.
pub(in crate::encoder::finetune) fn write_checkpoint(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), EncoderError> {
    write_file(path, tensors, ("format", "pt".to_owned()))
}

/// Writes tensors with a header, complete or not at all.
pub(in crate::encoder::finetune) fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    header: &impl Serialize,
) -> Result<(), EncoderError> {
    let header = serde_json::to_string(header).map_err(|error| fault(path, &error))?;
    write_file(path, tensors, (HEADER, header))
}

/// A file of [`write_tensors`] that was read.
pub(in crate::encoder::finetune) struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
    /// Reads a file; its tensors are on the CPU.
    pub(in crate::encoder::finetune) fn read(path: &Path) -> Result<Self, EncoderError> {
        let bytes = read_file(path, MAX_BYTES).map_err(|error| fault(path, &error))?;
        let tensors = copied(&bytes).map_err(|error| fault(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            tensors,
        })
    }

    /// The header.
    pub(in crate::encoder::finetune) fn header<T: DeserializeOwned>(
        &self,
    ) -> Result<T, EncoderError> {
        let wrong = |error: &dyn std::fmt::Display| fault(&self.path, error);
        let (_, metadata) =
            SafeTensors::read_metadata(&self.bytes).map_err(|error| wrong(&error))?;
        let metadata = metadata.metadata().as_ref();
        let header = metadata.and_then(|all| all.get(HEADER));
        let header = header.ok_or_else(|| wrong(&"this program did not write it"))?;
        serde_json::from_str(header).map_err(|error| wrong(&error))
    }

    /// A tensor.
    pub(in crate::encoder::finetune) fn tensor(&self, name: &str) -> Result<Tensor, EncoderError> {
        let found = self.tensors.get(name).map(Tensor::shallow_clone);
        found.ok_or_else(|| fault(&self.path, &format!("it has no tensor `{name}`")))
    }

    /// The names of the tensors.
    pub(in crate::encoder::finetune) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The bytes, for a digest.
    pub(in crate::encoder::finetune) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Copies of the tensors in a file, on the CPU.
fn copied(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, EncoderError> {
    let wrong = |error: &dyn std::fmt::Display| EncoderError::Unsupported(error.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(&error))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let shape: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
        let (numbers, rest) = view.data().as_chunks::<4>();
        if view.dtype() != Dtype::F32 || !rest.is_empty() {
            return Err(wrong(&format!("`{name}` is not of type F32")));
        }
        let numbers: Vec<f32> = numbers.iter().map(|own| f32::from_le_bytes(*own)).collect();
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(EncoderError::NotFinite(name));
        }
        let tensor = Tensor::f_from_slice(&numbers)?.f_view(shape.as_slice())?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}
