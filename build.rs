//! Tells the linker where libtorch was found, so that the binary and the tests start without `LD_LIBRARY_PATH`.

use std::path::Path;

fn main() {
    // Set by torch-sys (`links = "tch"`): the folder that holds libtorch_cpu.so.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // Of an installed binary: libtorch lies beside it (see .ci/install), whoever runs it.
        rpath(Path::new("$ORIGIN/../lib/medivision-tui/torch/lib"));
        // By way of `.libtorch`, which may come to lead to another set, and the set of today, so that a copied
        // binary outlives the checkout.
        rpath(Path::new(&lib));
        if let Ok(real) = Path::new(&lib).canonicalize() {
            rpath(&real);
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// Four arguments, as `-Wl,-rpath,DIR` would break a path at its commas.
fn rpath(dir: &Path) {
    for argument in ["-Xlinker", "-rpath", "-Xlinker", &dir.display().to_string()] {
        println!("cargo:rustc-link-arg={argument}");
    }
}
