//! The built-in demo model: a small CLIP that knows synthetic phantoms, so that the program works before any
//! download. It is not for patients.

pub const NOT_FOR_PATIENTS: &str = "the demo model knows synthetic phantoms only";
