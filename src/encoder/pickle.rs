//! A reader for the pickles inside PyTorch's checkpoints, which executes nothing.
//!
//! A pickle is a program for a stack machine that may call anything Python can import. This machine knows only the
//! instructions that `torch.save` and TorchScript write. It builds dictionaries and calls nothing: the only "functions" it
//! accepts are the few names that stand for a tensor. Anything else is an error that names it, except beside the weights in a
//! checkpoint of a training run (`{"epoch": …, "state_dict": …, "optimizer": …}`), where it is skipped. Opcodes are those of
//! Python's `pickletools`.
//!
//! `pytorch-reader` 0.23.0-pre.1 does not replace this: it refuses the TorchScript archives that OpenAI publishes, and reads a
//! pickle that calls `posix.system` as a model without tensors.

use std::collections::HashMap;

/// Maximum size of a pickle, which does not contain the tensors' numbers; the largest one seen has 0.3 MB.
pub(super) const MAX_PICKLE_BYTES: u64 = 4 << 20;
/// Maximum number of tensors, far more than any model has.
const MAX_TENSORS: usize = 100_000;
/// Maximum nesting of modules.
const MAX_DEPTH: usize = 32;
/// Maximum number of objects that a pickle creates: about ten per tensor.
const MAX_OBJECTS: usize = 1_000_000;
/// Maximum number of dictionary and module entries that are copied or visited. A module that is part of several others is
/// visited in each of them; a pickle of three kilobytes can nest 8^30.
const MAX_ENTRIES: usize = 1_000_000;
/// Maximum total length of all names.
const MAX_NAME_BYTES: usize = 16 << 20;
/// Maximum length of the name of a storage or of its type.
const MAX_STORAGE_NAME: usize = 256;
/// Maximum number of dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// A tensor as a view into one of the archive's storages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorView {
    /// Name of the storage, the last part of its path in the archive.
    pub(super) storage: String,
    /// Element type, as PyTorch names it: `Float`, `Half`, `BFloat16`, …
    pub(super) kind: String,
    /// Index of the first element in the storage.
    pub(super) offset: usize,
    /// Dimensions.
    pub(super) shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    pub(super) strides: Vec<usize>,
}

/// Why a pickle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    /// It contains something other than tensors.
    #[error("contains `{0}`, which is not a tensor; nothing else is read from a pickled file")]
    Foreign(String),
    /// It ends early, or an instruction does not fit the values on the stack.
    #[error("is damaged at byte {0}")]
    Damaged(usize),
    /// An instruction that checkpoints do not use.
    #[error("contains the pickle instruction {1:#04x} at byte {0}, which no checkpoint needs")]
    Unknown(usize, u8),
    /// It takes more memory or time than any checkpoint does.
    #[error("unfolds to more {0} than any checkpoint has")]
    Excessive(&'static str),
}

/// A value on the machine's stack. Compound objects are indices into an arena: nothing is cloned, and deep nesting in the file
/// does not nest on this program's stack.
#[derive(Clone, Copy, Debug)]
enum PickleValue {
    None,
    Bool,
    Int(i64),
    Float,
    Object(usize),
    Mark,
}

/// A compound object in the arena.
#[derive(Debug)]
enum PickleObject {
    Text(String),
    Tuple(Vec<PickleValue>),
    List,
    /// In contrast to a plain dictionary, an `OrderedDict` may have attributes.
    Dict {
        ordered: bool,
        entries: Vec<(PickleValue, PickleValue)>,
    },
    Global(PickleGlobal),
    Storage {
        kind: String,
        name: String,
    },
    Tensor(TensorView),
    /// A TorchScript module and its attributes.
    Module(Vec<(PickleValue, PickleValue)>),
    /// What would be an object of a class that is not known here, or the class itself. Nothing is done with it.
    Foreign,
}

/// A name that a pickle may import.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PickleGlobal {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.FloatStorage`, `torch.HalfStorage`, …
    Storage(String),
    /// A class that the TorchScript archive itself defines; its code is not read.
    Module,
}

impl PickleGlobal {
    fn parse(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", storage) => Self::Storage(storage.strip_suffix("Storage")?.to_owned()),
            _ if module == "__torch__" || module.starts_with("__torch__.") => Self::Module,
            _ => return None,
        })
    }
}

/// The entry of a training run's checkpoint that holds the weights, in open_clip and PyTorch Lightning.
const STATE_DICT: &str = "state_dict";

/// Reads a pickle; returns its tensors with their dotted names, in the order of the file. If the dictionary has an entry
/// `state_dict`, only that entry counts.
pub(super) fn tensors(pickle: &[u8]) -> Result<Vec<(String, TensorView)>, PickleError> {
    let mut machine = Machine {
        bytes: pickle,
        at: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        copied: 0,
        foreign: None,
    };
    let top = machine.run()?;
    let top = match (machine.state_dict(top), machine.foreign.take()) {
        (Some(inner), _) => inner,
        (None, None) => top,
        (None, Some(name)) => return Err(PickleError::Foreign(name)),
    };
    let mut found = CollectedTensors::default();
    machine.collect(top, "", 0, &mut found)?;
    Ok(found.tensors)
}

/// The tensors collected so far, and the counts that are limited.
#[derive(Default)]
struct CollectedTensors {
    tensors: Vec<(String, TensorView)>,
    entries: usize,
    name_bytes: usize,
}

/// Adds to a count; an error if it exceeds its limit.
fn spend(count: &mut usize, more: usize, limit: usize, what: &'static str) -> PickleResult<()> {
    *count = count.saturating_add(more);
    if *count > limit {
        return Err(PickleError::Excessive(what));
    }
    Ok(())
}

/// The stack machine.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<PickleValue>,
    memo: HashMap<u32, PickleValue>,
    nodes: Vec<PickleObject>,
    /// Entries copied into modules so far.
    copied: usize,
    /// The first import that is not known.
    foreign: Option<String>,
}

type PickleResult<T> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    fn damaged(&self) -> PickleError {
        PickleError::Damaged(self.at)
    }

    fn take_bytes(&mut self, count: usize) -> PickleResult<&'a [u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged())?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn byte(&mut self) -> PickleResult<u8> {
        Ok(self.take_bytes(1)?[0])
    }

    fn u32(&mut self) -> PickleResult<u32> {
        let b = self.take_bytes(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn line(&mut self) -> PickleResult<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| self.damaged())?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| self.damaged())?;
        self.at += end + 1;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> PickleResult<()> {
        let bytes = self.take_bytes(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged())?;
        self.push_object(PickleObject::Text(text.to_owned()))
    }

    fn pop(&mut self) -> PickleResult<PickleValue> {
        match self.stack.pop() {
            None | Some(PickleValue::Mark) => Err(self.damaged()),
            Some(value) => Ok(value),
        }
    }

    fn top(&self) -> PickleResult<PickleValue> {
        match self.stack.last() {
            None | Some(PickleValue::Mark) => Err(self.damaged()),
            Some(&value) => Ok(value),
        }
    }

    /// Pops all values above the topmost mark, and the mark.
    fn since_mark(&mut self) -> PickleResult<Vec<PickleValue>> {
        let mark = self
            .stack
            .iter()
            .rposition(|v| matches!(v, PickleValue::Mark));
        let mark = mark.ok_or_else(|| self.damaged())?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    /// Creates an object and pushes it.
    fn push_object(&mut self, object: PickleObject) -> PickleResult<()> {
        if self.nodes.len() >= MAX_OBJECTS {
            return Err(PickleError::Excessive("objects"));
        }
        self.stack.push(PickleValue::Object(self.nodes.len()));
        self.nodes.push(object);
        Ok(())
    }

    /// The object that a value refers to.
    fn object(&self, value: PickleValue) -> Option<&PickleObject> {
        match value {
            PickleValue::Object(at) => self.nodes.get(at),
            _ => None,
        }
    }

    fn run(&mut self) -> PickleResult<PickleValue> {
        loop {
            let begun = self.at;
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => drop(self.byte()?),
                b'c' => self.global()?,
                b'q' => self.remember(true)?,
                b'r' => self.remember(false)?,
                b'h' => self.recall(true)?,
                b'j' => self.recall(false)?,
                b'Q' => self.persistent()?,
                b'R' => self.reduce()?,
                0x81 => self.new_object()?,
                b'b' => self.build()?,
                b's' | b'u' => self.set_items(code == b'u')?,
                b'a' => self.append(true)?,
                b'e' => self.append(false)?,
                b'(' => self.stack.push(PickleValue::Mark),
                _ if self.scalar(code)? || self.composite(code)? => {}
                _ => return Err(PickleError::Unknown(begun, code)),
            }
        }
    }

    /// Executes an instruction that pushes a number, text or constant; false if it is another one.
    fn scalar(&mut self, code: u8) -> PickleResult<bool> {
        let value = match code {
            b'N' => PickleValue::None,
            0x88 | 0x89 => PickleValue::Bool,
            b'K' => PickleValue::Int(i64::from(self.byte()?)),
            b'M' => {
                let b = self.take_bytes(2)?;
                PickleValue::Int(i64::from(u16::from_le_bytes([b[0], b[1]])))
            }
            b'J' => PickleValue::Int(i64::from(self.u32()?.cast_signed())),
            0x8a => self.long()?,
            b'G' => {
                self.take_bytes(8)?;
                PickleValue::Float
            }
            b'X' => {
                let length = self.u32()? as usize;
                self.text(length)?;
                return Ok(true);
            }
            0x8c => {
                let length = usize::from(self.byte()?);
                self.text(length)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.stack.push(value);
        Ok(true)
    }

    /// A whole number of up to eight bytes, little-endian, two's complement.
    fn long(&mut self) -> PickleResult<PickleValue> {
        let length = usize::from(self.byte()?);
        let bytes = self.take_bytes(length)?;
        if length > 8 {
            return Err(self.damaged());
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(PickleValue::Int(i64::from_le_bytes(whole)))
    }

    /// Executes an instruction that creates a tuple, list or dictionary; false if it is another one.
    fn composite(&mut self, code: u8) -> PickleResult<bool> {
        let node = match code {
            b'}' => PickleObject::Dict {
                ordered: false,
                entries: Vec::new(),
            },
            b']' => PickleObject::List,
            b')' => PickleObject::Tuple(Vec::new()),
            b't' => PickleObject::Tuple(self.since_mark()?),
            0x85..=0x87 => {
                let mut values = vec![PickleValue::None; usize::from(code - 0x84)];
                for slot in values.iter_mut().rev() {
                    *slot = self.pop()?;
                }
                PickleObject::Tuple(values)
            }
            _ => return Ok(false),
        };
        self.push_object(node)?;
        Ok(true)
    }

    fn global(&mut self) -> PickleResult<()> {
        let (module, name) = (self.line()?, self.line()?);
        if let Some(global) = PickleGlobal::parse(module, name) {
            return self.push_object(PickleObject::Global(global));
        }
        let name = || crate::media::clean(&format!("{module}.{name}"));
        self.foreign.get_or_insert_with(name);
        self.push_object(PickleObject::Foreign)
    }

    /// The dictionary `state_dict` in a dictionary.
    fn state_dict(&self, top: PickleValue) -> Option<PickleValue> {
        let Some(PickleObject::Dict { entries, .. }) = self.object(top) else {
            return None;
        };
        let is_wanted =
            |key| matches!(self.object(key), Some(PickleObject::Text(key)) if key == STATE_DICT);
        let (_, inner) = entries.iter().find(|&&(key, _)| is_wanted(key))?;
        matches!(self.object(*inner), Some(PickleObject::Dict { .. })).then_some(*inner)
    }

    fn remember(&mut self, short: bool) -> PickleResult<()> {
        let place = if short {
            u32::from(self.byte()?)
        } else {
            self.u32()?
        };
        let value = self.top()?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, short: bool) -> PickleResult<()> {
        let place = if short {
            u32::from(self.byte()?)
        } else {
            self.u32()?
        };
        let value = self
            .memo
            .get(&place)
            .copied()
            .ok_or_else(|| self.damaged())?;
        self.stack.push(value);
        Ok(())
    }

    /// `('storage', torch.FloatStorage, '0', 'cpu', 12)` → the storage.
    fn persistent(&mut self) -> PickleResult<()> {
        let id = self.pop()?;
        let Some(PickleObject::Tuple(parts)) = self.object(id) else {
            return Err(self.damaged());
        };
        let &[tag, class, name, _place, PickleValue::Int(_)] = parts.as_slice() else {
            return Err(self.damaged());
        };
        let storage = match (self.object(tag), self.object(class), self.object(name)) {
            (
                Some(PickleObject::Text(tag)),
                Some(PickleObject::Global(PickleGlobal::Storage(kind))),
                Some(PickleObject::Text(name)),
            ) if tag == "storage" && kind.len().max(name.len()) <= MAX_STORAGE_NAME => {
                PickleObject::Storage {
                    kind: kind.clone(),
                    name: name.clone(),
                }
            }
            _ => return Err(self.damaged()),
        };
        self.push_object(storage)
    }

    /// Interprets the two calls that create a tensor and the one that creates a dictionary, without calling anything.
    fn reduce(&mut self) -> PickleResult<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let global = match self.object(callee) {
            Some(PickleObject::Global(global)) => global,
            Some(PickleObject::Foreign) => return self.push_object(PickleObject::Foreign),
            _ => return Err(self.damaged()),
        };
        let Some(PickleObject::Tuple(arguments)) = self.object(arguments) else {
            return Err(self.damaged());
        };
        match (global, &arguments[..]) {
            (PickleGlobal::OrderedDict, []) => self.push_object(PickleObject::Dict {
                ordered: true,
                entries: Vec::new(),
            }),
            (
                PickleGlobal::RebuildTensor,
                &[storage, PickleValue::Int(offset), shape, strides, ..],
            ) => {
                let view = self.view(storage, offset, shape, strides);
                let view = view.ok_or_else(|| self.damaged())?;
                self.push_object(PickleObject::Tensor(view))
            }
            (PickleGlobal::RebuildParameter, &[tensor, ..]) => match self.object(tensor) {
                Some(PickleObject::Tensor(_)) => {
                    self.stack.push(tensor);
                    Ok(())
                }
                _ => Err(self.damaged()),
            },
            (PickleGlobal::Storage(kind), _) => {
                Err(PickleError::Foreign(format!("torch.{kind}Storage")))
            }
            _ => Err(self.damaged()),
        }
    }

    fn view(
        &self,
        storage: PickleValue,
        offset: i64,
        shape: PickleValue,
        strides: PickleValue,
    ) -> Option<TensorView> {
        let whole = |value: PickleValue| -> Option<Vec<usize>> {
            let PickleObject::Tuple(values) = self.object(value)? else {
                return None;
            };
            let number = |value: &PickleValue| match value {
                PickleValue::Int(n) => usize::try_from(*n).ok(),
                _ => None,
            };
            (values.len() <= MAX_DIMENSIONS)
                .then(|| values.iter().map(number).collect())
                .flatten()
        };
        let PickleObject::Storage { kind, name } = self.object(storage)? else {
            return None;
        };
        let (shape, strides) = (whole(shape)?, whole(strides)?);
        (shape.len() == strides.len()).then_some(TensorView {
            storage: name.clone(),
            kind: kind.clone(),
            offset: usize::try_from(offset).ok()?,
            shape,
            strides,
        })
    }

    /// Creates a TorchScript module, or a placeholder.
    fn new_object(&mut self) -> PickleResult<()> {
        let (_arguments, class) = (self.pop()?, self.pop()?);
        match self.object(class) {
            Some(PickleObject::Global(PickleGlobal::Module)) => {
                self.push_object(PickleObject::Module(Vec::new()))
            }
            Some(PickleObject::Foreign) => self.push_object(PickleObject::Foreign),
            _ => Err(self.damaged()),
        }
    }

    /// Sets the attributes of a module. Those of an `OrderedDict` (`_metadata`) are irrelevant and dropped.
    fn build(&mut self) -> PickleResult<()> {
        let (state, object) = (self.pop()?, self.top()?);
        if let Some(PickleObject::Foreign) = self.object(object) {
            return Ok(());
        }
        let Some(PickleObject::Dict { entries, .. }) = self.object(state) else {
            return Err(self.damaged());
        };
        match self.object(object) {
            Some(PickleObject::Module(_)) => {
                let mut copied = self.copied;
                spend(&mut copied, entries.len(), MAX_ENTRIES, "entries")?;
                let entries = entries.clone();
                self.copied = copied;
                if let PickleValue::Object(at) = object
                    && let Some(PickleObject::Module(attributes)) = self.nodes.get_mut(at)
                {
                    attributes.extend(entries);
                }
                Ok(())
            }
            Some(PickleObject::Dict { ordered: true, .. }) => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    fn set_items(&mut self, several: bool) -> PickleResult<()> {
        let values = if several {
            self.since_mark()?
        } else {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![key, value]
        };
        let PickleValue::Object(at) = self.top()? else {
            return Err(self.damaged());
        };
        let (pairs, rest) = values.as_chunks::<2>();
        match self.nodes.get_mut(at) {
            Some(PickleObject::Dict { entries, .. }) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            Some(PickleObject::Foreign) => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    /// Drops list items: lists occur (as a module's empty list), but contain no tensor that a model needs.
    fn append(&mut self, one: bool) -> PickleResult<()> {
        if one {
            self.pop()?;
        } else {
            self.since_mark()?;
        }
        match self.object(self.top()?) {
            Some(PickleObject::List | PickleObject::Foreign) => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    /// Collects the tensors below `value`, each named by the path to it.
    fn collect(
        &self,
        value: PickleValue,
        path: &str,
        depth: usize,
        found: &mut CollectedTensors,
    ) -> PickleResult<()> {
        if found.tensors.len() >= MAX_TENSORS {
            return Err(PickleError::Excessive("tensors"));
        }
        if depth > MAX_DEPTH {
            return Err(PickleError::Excessive("modules inside modules"));
        }
        spend(&mut found.name_bytes, path.len(), MAX_NAME_BYTES, "names")?;
        let foreign = || PickleError::Foreign(crate::media::clean(path));
        match self.object(value) {
            Some(PickleObject::Tensor(view)) => found.tensors.push((path.to_owned(), view.clone())),
            Some(PickleObject::Module(entries)) => {
                spend(&mut found.entries, entries.len(), MAX_ENTRIES, "entries")?;
                for &(key, value) in entries {
                    // A module's other attributes (`training`, sizes) are irrelevant.
                    if matches!(
                        self.object(value),
                        Some(PickleObject::Tensor(_) | PickleObject::Module(_))
                    ) {
                        self.collect(value, &self.joined(path, key)?, depth + 1, found)?;
                    }
                }
            }
            // A state dictionary is flat.
            Some(PickleObject::Dict { entries, .. }) if depth == 0 => {
                for &(key, value) in entries {
                    self.collect(value, &self.joined(path, key)?, depth + 1, found)?;
                }
            }
            _ if depth == 0 => {
                return Err(PickleError::Foreign(
                    "a value instead of a dictionary".into(),
                ));
            }
            _ => return Err(foreign()),
        }
        Ok(())
    }

    fn joined(&self, path: &str, key: PickleValue) -> PickleResult<String> {
        match self.object(key) {
            Some(PickleObject::Text(key)) if path.is_empty() => Ok(key.clone()),
            Some(PickleObject::Text(key)) => Ok(format!("{path}.{key}")),
            _ => Err(PickleError::Foreign("a key that is not a string".into())),
        }
    }
}

#[cfg(test)]
#[path = "pickle/tests.rs"]
mod tests;
