//! The rules of the layout, which a reader relies on: where unsafe is, who knows rustls, who does I/O.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files below a folder, with their code: comments left out.
fn code(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, files),
                false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                false => {}
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "nothing in {folder}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        (path.file_name().unwrap().to_string_lossy().into_owned(), lines.join("\n"))
    };
    files.into_iter().map(read).collect()
}

/// The files of a folder whose code has one of these words.
fn having(folder: &str, words: &[&str]) -> Vec<String> {
    let has = |text: &str| words.iter().any(|word| text.contains(word));
    let mut names: Vec<_> =
        code(folder).into_iter().filter(|(_, text)| has(text)).map(|(name, _)| name).collect();
    names.sort();
    names
}

#[test]
fn unsafe_is_in_one_file_of_the_engine() {
    assert_eq!(having("core/src", &["unsafe {", "unsafe fn", "allow(unsafe_code)"]), ["fd.rs"]);
    assert!(having("python/src", &["unsafe"]).is_empty());
    assert!(having("examples/rust/src", &["unsafe"]).is_empty());
}

#[test]
fn one_file_knows_rustls_connections() {
    let connections = [
        "ClientConnection",
        "ServerConnection",
        "UnbufferedClient",
        "UnbufferedServer",
        "process_tls_records",
        "CommonState",
    ];
    assert_eq!(having("core/src", &connections), ["tls.rs", "tls_tests.rs"]);
}

#[test]
fn nothing_of_rustls_shows_through() {
    for folder in ["ffi/src", "python/src", "examples/rust/src"] {
        assert!(having(folder, &["rustls", "webpki", "pki_types"]).is_empty(), "{folder}");
    }
    let header = std::fs::read_to_string(root().join("include/smtptls.h")).unwrap();
    assert_eq!(header.matches("rustls").count(), 1, "only in its first line");
}

/// `session` and all below it work on byte buffers.
#[test]
fn only_the_driver_does_io() {
    let io = ["std::net", "std::os", "rustix::", "std::thread"];
    // The host's name is looked up once, when a configuration is frozen, and a path is read for its bytes.
    assert_eq!(having("core/src", &io), ["config.rs", "fd.rs", "name.rs", "x509.rs"]);
    // The last two name addresses of `std::net`, to read and to print them.
    for (name, text) in code("core/src") {
        if ["name.rs", "x509.rs"].contains(&name.as_str()) {
            assert!(!text.contains("TcpStream") && !text.contains("UdpSocket") && !text.contains("std::os"));
        }
    }
}

/// No callbacks, no globals, no threads, no signals: nothing that outlives a call but what the caller holds.
#[test]
fn no_globals() {
    assert_eq!(having("core/src", &["thread_local!", "static mut", "OnceLock", "LazyLock"]), ["observe.rs"]);
    assert_eq!(having("ffi/src", &["thread_local!", "\nstatic ", " static "]), ["boundary.rs"]);
}
