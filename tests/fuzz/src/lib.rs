//! The fuzz targets, one module each: what an input means, and what must hold. `fuzz_targets/` gives them to libFuzzer,
//! `replay.rs` plays the corpus.

pub mod c_api;
pub mod certificate;
pub mod client;
pub mod files;
mod honest;
mod memory;
pub mod pair;
mod script;
pub mod server;
pub mod text;
mod watched;
mod wire;
mod world;

/// Builds with debug assertions: rustls asserts that it never has a second last word, and the engine catches that and
/// makes an error of it (`core/src/tls.rs`). libFuzzer's hook would end the process before.
fn quiet_about_the_known() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let at = info.location().is_some_and(|at| at.file().contains("/rustls-0.23"));
            let known =
                info.payload().downcast_ref::<&str>().is_some_and(|text| text.contains("sent_fatal_alert"));
            if !(at && known) {
                others(info);
            }
        }));
    });
}

/// The targets by name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("client", client::run),
    ("server", server::run),
    ("pair", pair::run),
    ("text", text::run),
    ("files", files::run),
    ("certificate", certificate::run),
    ("c_api", c_api::run),
];
