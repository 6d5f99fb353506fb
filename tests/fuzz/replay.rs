//! Plays the corpus, and what once crashed, through every target: quick, and with the plain stable toolchain.

use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut played = 0;
    for (name, run) in smtptls_fuzz::TARGETS {
        let began = Instant::now();
        let folders = ["corpus", "regressions"].map(|folder| here.join(folder).join(name));
        let mut files: Vec<PathBuf> = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        files.sort();
        for file in &files {
            let data = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            // Which one it was, if it does not come back.
            if std::panic::catch_unwind(|| run(&data)).is_err() {
                eprintln!("replay: {} ends in a panic", file.display());
                std::process::exit(1);
            }
        }
        println!("{name}: {} inputs in {:.1} s", files.len(), began.elapsed().as_secs_f32());
        played += files.len();
    }
    assert!(played > 0, "there is no corpus in {}", here.display());
}
