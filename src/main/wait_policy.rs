//! Sets libgomp's wait policy by executing the program again. Uses the C library only: the Rust runtime is not set up yet.

use std::ffi::{CStr, c_char, c_int};

/// What the dynamic loader calls, with the arguments of `main` and the environment.
pub type EntryPoint = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// A list of C strings that ends with a null pointer.
type StringList = *const *const c_char;

const NAME: &CStr = c"OMP_WAIT_POLICY=";
const SETTING: &CStr = c"OMP_WAIT_POLICY=PASSIVE";

/// Executes the program again with the setting, unless the environment has one. Returns if it has, or if that fails: then the
/// program only runs slower on a busy machine.
pub extern "C" fn execute_again(_count: c_int, arguments: StringList, environment: StringList) {
    // SAFETY: the loader passes lists that end with null, of strings that live as long as the process. No other thread exists.
    // The new list has room for the old one, the setting and the final null.
    unsafe {
        let mut length = 0;
        while !(*environment.add(length)).is_null() {
            let variable = *environment.add(length);
            if libc::strncmp(variable, NAME.as_ptr(), NAME.count_bytes()) == 0 {
                return;
            }
            length += 1;
        }
        // Without a base, the loader itself was executed, with this program as its argument.
        let program = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        if program.is_null() || libc::getauxval(libc::AT_BASE) == 0 {
            return;
        }
        let list = libc::calloc(length + 2, size_of::<*const c_char>()).cast::<*const c_char>();
        if list.is_null() {
            return;
        }
        environment.copy_to_nonoverlapping(list, length);
        *list.add(length) = SETTING.as_ptr();
        libc::execve(program, arguments, list);
        libc::free(list.cast());
    }
}
