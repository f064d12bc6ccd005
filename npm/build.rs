//! Prepares the link of the addon. On Linux its own OpenSSL comes first for it: Node.js exports the symbols of another
//! one. That none of ours is exported is the doing of rustc's list of exports, and a test's to watch.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    }
}
