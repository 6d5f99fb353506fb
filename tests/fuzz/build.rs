//! Compiles the target in C.

fn main() {
    println!("cargo::rerun-if-changed=src/c_api.c");
    println!("cargo::rerun-if-changed=../../include/smtptls.h");
    cc::Build::new()
        .file("src/c_api.c")
        .include("../../include")
        .flag("-std=c11")
        .define("_GNU_SOURCE", None)
        .warnings_into_errors(true)
        .extra_warnings(true)
        .compile("fuzz_c_api");
}
