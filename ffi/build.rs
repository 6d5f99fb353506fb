//! Gives the shared library its soname, and keeps it in memory once it is loaded.

fn main() {
    // Rust's thread-local destructors make unloading unsound; nodelete turns dlclose into nothing.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libsmtptls.so.0");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
