//! Does nothing: Cargo takes the features of build dependencies, by which OpenSSL is configured, only where there is a
//! build script.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
