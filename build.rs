//! Tells the linker where libtorch was found, so that the binary and the tests start without `LD_LIBRARY_PATH`.

fn main() {
    // Set by torch-sys (`links = "tch"`): the folder that holds libtorch_cpu.so.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
