//! The pickles inside PyTorch's checkpoints, read and never run.
//!
//! A pickle is a program for a stack machine, which may call anything that Python can import. This machine knows the
//! few instructions that `torch.save` and TorchScript write, builds dictionaries, and calls nothing: the only "functions"
//! it accepts are the handful of names that stand for a tensor. Everything else ends the reading with its name. Opcodes
//! are those of Python's `pickletools`.
//!
//! `pytorch-reader` 0.23.0-pre.1 does not replace this: it refuses the TorchScript archives that OpenAI publishes, and takes a
//! pickle that calls `posix.system` for a model without tensors.

use std::collections::HashMap;

/// A checkpoint's pickle is small, as the numbers lie elsewhere; the largest seen has 0.3 MB.
pub(super) const MAX_BYTES: u64 = 4 << 20;
/// Tensors of the largest model that could be meant.
const MAX_TENSORS: usize = 100_000;
/// Modules inside modules.
const MAX_DEPTH: usize = 32;
/// Objects that a pickle may make: some ten for each tensor.
const MAX_NODES: usize = 1_000_000;
/// Entries of dictionaries and modules that are copied or visited. A module that is part of many others is visited in each,
/// and three kilobytes can nest 8^30 of them.
const MAX_ENTRIES: usize = 1_000_000;
/// Bytes of all names together.
const MAX_NAME_BYTES: usize = 16 << 20;
/// Bytes of the name of a storage or of its type.
const MAX_STORAGE_NAME: usize = 256;
/// Dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// A view into one of the archive's storages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Name of the storage, the last part of its path in the archive.
    pub(super) storage: String,
    /// Element type, as PyTorch names it: `Float`, `Half`, `BFloat16`, …
    pub(super) kind: String,
    /// Elements before the first.
    pub(super) offset: usize,
    /// Dimensions.
    pub(super) shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    pub(super) strides: Vec<usize>,
}

/// Why a pickle is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    /// It asks for something that is no tensor.
    #[error("holds more than tensors (`{0}`), and nothing else is read from a pickled file")]
    Foreign(String),
    /// It breaks off, or an instruction does not fit what is on the stack.
    #[error("is damaged at byte {0}")]
    Damaged(usize),
    /// An instruction that checkpoints do not have.
    #[error("has the pickle instruction {1:#04x} at byte {0}, which no checkpoint needs")]
    Unknown(usize, u8),
    /// It takes more memory or time than any checkpoint.
    #[error("unfolds to more {0} than any checkpoint has")]
    Excessive(&'static str),
}

/// What lies on the stack. Composites live in an arena and are named by their place: nothing is cloned, and nothing
/// nests on the program's own stack, however deep the file nests it.
#[derive(Clone, Copy, Debug)]
enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Node(usize),
    Mark,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Tuple(Vec<Value>),
    List,
    /// An `OrderedDict` may get attributes of its own, a plain one not.
    Dict {
        ordered: bool,
        entries: Vec<(Value, Value)>,
    },
    Global(Global),
    Storage {
        kind: String,
        name: String,
    },
    Tensor(View),
    /// A TorchScript module and its attributes.
    Module(Vec<(Value, Value)>),
}

/// The names that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.FloatStorage` and its kin.
    Storage(String),
    /// A class that a TorchScript archive defines itself; its code is not read.
    Module,
}

impl Global {
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

/// Reads a pickle: its tensors by their dotted names, in the order of the file.
pub(super) fn tensors(pickle: &[u8]) -> Result<Vec<(String, View)>, PickleError> {
    let mut machine = Machine {
        bytes: pickle,
        at: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        copied: 0,
    };
    let top = machine.run()?;
    let mut found = Found::default();
    machine.collect(top, "", 0, &mut found)?;
    Ok(found.tensors)
}

/// The tensors met so far, and what that took.
#[derive(Default)]
struct Found {
    tensors: Vec<(String, View)>,
    entries: usize,
    name_bytes: usize,
}

/// Adds to a count, which must stay within its limit.
fn spend(count: &mut usize, more: usize, limit: usize, what: &'static str) -> Step<()> {
    *count = count.saturating_add(more);
    if *count > limit {
        return Err(PickleError::Excessive(what));
    }
    Ok(())
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
    /// Entries given to modules.
    copied: usize,
}

type Step<T> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    fn damaged(&self) -> PickleError {
        PickleError::Damaged(self.at)
    }

    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged())?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Step<u32> {
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| self.damaged())?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| self.damaged())?;
        self.at += end + 1;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged())?;
        self.node(Node::Text(text.to_owned()))
    }

    fn pop(&mut self) -> Step<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => Err(self.damaged()),
            Some(value) => Ok(value),
        }
    }

    fn top(&self) -> Step<Value> {
        match self.stack.last() {
            None | Some(Value::Mark) => Err(self.damaged()),
            Some(&value) => Ok(value),
        }
    }

    /// What lies above the last mark, which goes too.
    fn since_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark));
        let mark = mark.ok_or_else(|| self.damaged())?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn node(&mut self, node: Node) -> Step<()> {
        if self.nodes.len() >= MAX_NODES {
            return Err(PickleError::Excessive("objects"));
        }
        self.stack.push(Value::Node(self.nodes.len()));
        self.nodes.push(node);
        Ok(())
    }

    fn of(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(at) => self.nodes.get(at),
            _ => None,
        }
    }

    fn run(&mut self) -> Step<Value> {
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
                b'(' => self.stack.push(Value::Mark),
                _ if self.scalar(code)? || self.composite(code)? => {}
                _ => return Err(PickleError::Unknown(begun, code)),
            }
        }
    }

    /// Numbers, texts and constants.
    fn scalar(&mut self, code: u8) -> Step<bool> {
        let value = match code {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => {
                let b = self.take(2)?;
                Value::Int(i64::from(u16::from_le_bytes([b[0], b[1]])))
            }
            b'J' => Value::Int(i64::from(self.u32()?.cast_signed())),
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                Value::Float
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
    fn long(&mut self) -> Step<Value> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(self.damaged());
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(whole)))
    }

    /// Tuples, lists and dictionaries.
    fn composite(&mut self, code: u8) -> Step<bool> {
        let node = match code {
            b'}' => Node::Dict {
                ordered: false,
                entries: Vec::new(),
            },
            b']' => Node::List,
            b')' => Node::Tuple(Vec::new()),
            b't' => Node::Tuple(self.since_mark()?),
            0x85..=0x87 => {
                let mut values = vec![Value::None; usize::from(code - 0x84)];
                for slot in values.iter_mut().rev() {
                    *slot = self.pop()?;
                }
                Node::Tuple(values)
            }
            _ => return Ok(false),
        };
        self.node(node)?;
        Ok(true)
    }

    fn global(&mut self) -> Step<()> {
        let (module, name) = (self.line()?, self.line()?);
        let global = Global::parse(module, name).ok_or_else(|| {
            PickleError::Foreign(crate::media::clean(&format!("{module}.{name}")))
        })?;
        self.node(Node::Global(global))
    }

    fn remember(&mut self, short: bool) -> Step<()> {
        let place = if short {
            u32::from(self.byte()?)
        } else {
            self.u32()?
        };
        let value = self.top()?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, short: bool) -> Step<()> {
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
    fn persistent(&mut self) -> Step<()> {
        let id = self.pop()?;
        let Some(Node::Tuple(parts)) = self.of(id) else {
            return Err(self.damaged());
        };
        let &[tag, class, name, _place, Value::Int(_)] = parts.as_slice() else {
            return Err(self.damaged());
        };
        let storage = match (self.of(tag), self.of(class), self.of(name)) {
            (
                Some(Node::Text(tag)),
                Some(Node::Global(Global::Storage(kind))),
                Some(Node::Text(name)),
            ) if tag == "storage" && kind.len().max(name.len()) <= MAX_STORAGE_NAME => {
                Node::Storage {
                    kind: kind.clone(),
                    name: name.clone(),
                }
            }
            _ => return Err(self.damaged()),
        };
        self.node(storage)
    }

    /// The two calls that make a tensor, and the one that makes a dictionary. None is made.
    fn reduce(&mut self) -> Step<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Some(Node::Global(global)) = self.of(callee) else {
            return Err(self.damaged());
        };
        let Some(Node::Tuple(arguments)) = self.of(arguments) else {
            return Err(self.damaged());
        };
        match (global, &arguments[..]) {
            (Global::OrderedDict, []) => self.node(Node::Dict {
                ordered: true,
                entries: Vec::new(),
            }),
            (Global::RebuildTensor, &[storage, Value::Int(offset), shape, strides, ..]) => {
                let view = self.view(storage, offset, shape, strides);
                let view = view.ok_or_else(|| self.damaged())?;
                self.node(Node::Tensor(view))
            }
            (Global::RebuildParameter, &[tensor, ..]) => match self.of(tensor) {
                Some(Node::Tensor(_)) => {
                    self.stack.push(tensor);
                    Ok(())
                }
                _ => Err(self.damaged()),
            },
            (Global::Storage(kind), _) => Err(PickleError::Foreign(format!("torch.{kind}Storage"))),
            _ => Err(self.damaged()),
        }
    }

    fn view(&self, storage: Value, offset: i64, shape: Value, strides: Value) -> Option<View> {
        let whole = |value: Value| -> Option<Vec<usize>> {
            let Node::Tuple(values) = self.of(value)? else {
                return None;
            };
            let number = |value: &Value| match value {
                Value::Int(n) => usize::try_from(*n).ok(),
                _ => None,
            };
            (values.len() <= MAX_DIMENSIONS)
                .then(|| values.iter().map(number).collect())
                .flatten()
        };
        let Node::Storage { kind, name } = self.of(storage)? else {
            return None;
        };
        let (shape, strides) = (whole(shape)?, whole(strides)?);
        (shape.len() == strides.len()).then_some(View {
            storage: name.clone(),
            kind: kind.clone(),
            offset: usize::try_from(offset).ok()?,
            shape,
            strides,
        })
    }

    /// A TorchScript module; nothing else is made this way.
    fn new_object(&mut self) -> Step<()> {
        let (_arguments, class) = (self.pop()?, self.pop()?);
        match self.of(class) {
            Some(Node::Global(Global::Module)) => self.node(Node::Module(Vec::new())),
            _ => Err(self.damaged()),
        }
    }

    /// A module gets its attributes. An `OrderedDict` may get some of its own (`_metadata`), which say nothing.
    fn build(&mut self) -> Step<()> {
        let (state, object) = (self.pop()?, self.top()?);
        let Some(Node::Dict { entries, .. }) = self.of(state) else {
            return Err(self.damaged());
        };
        match self.of(object) {
            Some(Node::Module(_)) => {
                let mut copied = self.copied;
                spend(&mut copied, entries.len(), MAX_ENTRIES, "entries")?;
                let entries = entries.clone();
                self.copied = copied;
                if let Value::Node(at) = object
                    && let Some(Node::Module(attributes)) = self.nodes.get_mut(at)
                {
                    attributes.extend(entries);
                }
                Ok(())
            }
            Some(Node::Dict { ordered: true, .. }) => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    fn set_items(&mut self, several: bool) -> Step<()> {
        let values = if several {
            self.since_mark()?
        } else {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![key, value]
        };
        let Value::Node(at) = self.top()? else {
            return Err(self.damaged());
        };
        let (pairs, rest) = values.as_chunks::<2>();
        match self.nodes.get_mut(at) {
            Some(Node::Dict { entries, .. }) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.damaged()),
        }
    }

    /// Lists occur (a module's list of nothing, say) and hold no tensor that a model needs.
    fn append(&mut self, one: bool) -> Step<()> {
        if one {
            self.pop()?;
        } else {
            self.since_mark()?;
        }
        match self.of(self.top()?) {
            Some(Node::List) => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    /// Tensors below `value`, each by the path to it.
    fn collect(&self, value: Value, path: &str, depth: usize, found: &mut Found) -> Step<()> {
        if found.tensors.len() >= MAX_TENSORS {
            return Err(PickleError::Excessive("tensors"));
        }
        if depth > MAX_DEPTH {
            return Err(PickleError::Excessive("modules inside modules"));
        }
        spend(&mut found.name_bytes, path.len(), MAX_NAME_BYTES, "names")?;
        let foreign = || PickleError::Foreign(crate::media::clean(path));
        match self.of(value) {
            Some(Node::Tensor(view)) => found.tensors.push((path.to_owned(), view.clone())),
            Some(Node::Module(entries)) => {
                spend(&mut found.entries, entries.len(), MAX_ENTRIES, "entries")?;
                for &(key, value) in entries {
                    // A module's other attributes (`training`, sizes) say nothing that its tensors do not.
                    if matches!(self.of(value), Some(Node::Tensor(_) | Node::Module(_))) {
                        self.collect(value, &self.joined(path, key)?, depth + 1, found)?;
                    }
                }
            }
            // A state dictionary is flat.
            Some(Node::Dict { entries, .. }) if depth == 0 => {
                for &(key, value) in entries {
                    self.collect(value, &self.joined(path, key)?, depth + 1, found)?;
                }
            }
            _ if depth == 0 => return Err(PickleError::Foreign("no dictionary".into())),
            _ => return Err(foreign()),
        }
        Ok(())
    }

    fn joined(&self, path: &str, key: Value) -> Step<String> {
        match self.of(key) {
            Some(Node::Text(key)) if path.is_empty() => Ok(key.clone()),
            Some(Node::Text(key)) => Ok(format!("{path}.{key}")),
            _ => Err(PickleError::Foreign("a key that is no text".into())),
        }
    }
}

#[cfg(test)]
#[path = "pickle/tests.rs"]
mod tests;
