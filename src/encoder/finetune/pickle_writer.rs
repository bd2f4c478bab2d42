//! Writes a state dictionary as `torch.save` does: a zip archive of one pickle (protocol 2) and a file for each tensor's bytes. Python
//! reads it with `torch.load(…, weights_only=True)`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tch::{Device, Kind, Tensor};
use zip::CompressionMethod;
use zip::write::{FileOptions, ZipWriter};

use super::files::{new_name, unwritable};
use crate::encoder::EncoderError;

/// Bytes to which PyTorch aligns storages.
const ALIGNMENT: u16 = 64;

/// Writes the tensors, complete or not at all.
pub(super) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), EncoderError> {
    let new = new_name(path);
    let file = File::create(&new).map_err(|error| unwritable(&new, &error))?;
    let mut zip = ZipWriter::new(BufWriter::new(file));
    let pickle = pickle(tensors)?;
    let wrong = |error: &dyn std::fmt::Display| unwritable(&new, error);
    add(&mut zip, "archive/data.pkl", &pickle).map_err(|error| wrong(&error))?;
    add(&mut zip, "archive/byteorder", b"little").map_err(|error| wrong(&error))?;
    for (index, tensor) in tensors.values().enumerate() {
        let tensor = tensor.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let name = format!("archive/data/{index}");
        add(&mut zip, &name, &bytes).map_err(|error| wrong(&error))?;
    }
    add(&mut zip, "archive/version", b"3\n").map_err(|error| wrong(&error))?;
    let written = zip.finish().map_err(|error| wrong(&error))?;
    let file = written.into_inner().map_err(|error| wrong(&error))?;
    file.sync_all().map_err(|error| wrong(&error))?;
    fs::rename(&new, path).map_err(|error| unwritable(path, &error))
}

fn add(zip: &mut ZipWriter<BufWriter<File>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(bytes.len() > u32::MAX as usize);
    zip.start_file_aligned(name, options, ALIGNMENT)?;
    zip.write_all(bytes)
}

/// The name of a storage's class.
fn storage(name: &str, kind: Kind) -> Result<&'static str, EncoderError> {
    Ok(match kind {
        Kind::Float => "FloatStorage",
        Kind::Half => "HalfStorage",
        Kind::BFloat16 => "BFloat16Storage",
        Kind::Double => "DoubleStorage",
        Kind::Int64 => "LongStorage",
        Kind::Int => "IntStorage",
        other => {
            return Err(EncoderError::Unsupported(format!(
                "`{name}` has the unsupported type {other:?}"
            )));
        }
    })
}

/// `{name: torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())}`
fn pickle(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, EncoderError> {
    let mut out = Pickle(Vec::new());
    out.0.extend(b"\x80\x02}("); // PROTO 2, EMPTY_DICT, MARK
    for (index, (name, tensor)) in tensors.iter().enumerate() {
        let shape = tensor.size();
        out.text(name);
        out.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n("); // GLOBAL, MARK
        out.0.push(b'('); // MARK
        out.text("storage");
        let class = storage(name, tensor.kind())?;
        out.0.extend(format!("ctorch\n{class}\n").bytes());
        out.text(&index.to_string());
        out.text("cpu");
        out.number(tensor.numel() as i64);
        out.0.extend(b"tQ"); // TUPLE, BINPERSID
        out.number(0);
        out.numbers(&shape);
        out.numbers(&strides(&shape));
        out.0.extend(b"\x89ccollections\nOrderedDict\n)RtR"); // NEWFALSE, GLOBAL, EMPTY_TUPLE, REDUCE, TUPLE, REDUCE
    }
    out.0.extend(b"u."); // SETITEMS, STOP
    Ok(out.0)
}

/// Strides of a row-major tensor.
fn strides(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// The bytes of a pickle so far.
struct Pickle(Vec<u8>);

impl Pickle {
    /// BINUNICODE
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.bytes());
    }

    /// BININT, or LONG1 for what does not fit.
    fn number(&mut self, number: i64) {
        if let Ok(number) = i32::try_from(number) {
            self.0.push(b'J');
            self.0.extend(number.to_le_bytes());
        } else {
            self.0.extend(b"\x8a\x08");
            self.0.extend(number.to_le_bytes());
        }
    }

    /// A tuple.
    fn numbers(&mut self, numbers: &[i64]) {
        self.0.push(b'(');
        for number in numbers {
            self.number(*number);
        }
        self.0.push(b't');
    }
}
