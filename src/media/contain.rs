//! Decoders of unknown files run under containment: a panic in one is a damaged file, not the end of the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{MediaError, malformed};

/// The end of a contained panic's message.
const GAVE_UP: &str = "gave up on this file, which is damaged";

thread_local! {
    /// How many containments the current thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Restores the depth also when the decoder unwinds.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs a decoder of an unknown file; a panic in it becomes a `malformed` error that names the codec.
pub fn contain<T>(
    codec: &str,
    decode: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    // The closure's captures are dropped or forgotten after a panic, never looked at again.
    catch_unwind(AssertUnwindSafe(|| {
        let _inside = Inside::enter();
        decode()
    }))
    .unwrap_or_else(|_| Err(malformed(format!("the {codec} decoder {GAVE_UP}"))))
}

/// Whether an error is what [`contain`] makes of a panic.
#[cfg(test)]
pub(crate) fn is_panic(error: &MediaError) -> bool {
    error.message.ends_with(GAVE_UP)
}

/// Whether the current thread is inside [`contain`]: the program's panic hook stays silent then, because the panic
/// ends as an error line.
pub fn contained_panic() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_panic_becomes_a_damaged_file_and_the_thread_goes_on() {
        let result: Result<(), _> = contain("TEST", || {
            assert!(contained_panic());
            panic!("index out of bounds")
        });
        let error = result.expect_err("the panic is an error");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("TEST") && is_panic(&error));
        assert!(!contained_panic());
    }
}
