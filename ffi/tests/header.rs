//! include/smtptls.h and symbols.list against the sources.
//!
//! `SMTPTLS_UPDATE=1 cargo test -p smtptls-ffi` writes both anew.

use std::collections::BTreeSet;
use std::path::Path;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compare(path: &Path, fresh: &str) {
    if std::env::var_os("SMTPTLS_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, fresh).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == fresh,
        "{} is out of date: SMTPTLS_UPDATE=1 cargo test -p smtptls-ffi",
        path.display()
    );
}

#[test]
fn the_header_and_the_list_are_what_cbindgen_writes() {
    let config = cbindgen::Config::from_file(folder().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(folder()).with_config(config).generate().unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = String::from_utf8(header).unwrap();
    compare(&folder().join("../include/smtptls.h"), &header);
    // The list is append-only: a name that stands there once is for ever.
    let list: String = declared(&header).iter().map(|name| format!("{name}\n")).collect();
    compare(&folder().join("symbols.list"), &list);
}

#[test]
fn the_version_in_the_header_is_the_package_s() {
    let config = std::fs::read_to_string(folder().join("cbindgen.toml")).unwrap();
    let mut numbers = env!("CARGO_PKG_VERSION").split('.');
    for part in ["MAJOR", "MINOR", "PATCH"] {
        let line = format!("#define SMTPTLS_VERSION_{part} {}\n", numbers.next().unwrap());
        assert!(config.contains(&line), "{line}");
    }
}

/// The functions that the header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let code =
        header.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '('))
        .filter_map(|word| word.split_once('('))
        .map(|(name, _)| name.to_string())
        .filter(|name| name.starts_with("smtptls_"))
        .collect()
}
