//! Links the program without anything of the system under the profile `freestanding`.
//!
//! Only link arguments are needed: position-independent code, as the compiler makes it, links at a fixed
//! address too.
#![forbid(unsafe_code)]

use std::path::Path;

const ARGUMENTS: [&str; 8] = [
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,max-page-size=4096",
    "-Wl,--no-eh-frame-hdr",
];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(freestanding)");
    println!("cargo:rerun-if-changed=linker.ld");
    if !is_freestanding(&variable("OUT_DIR")) {
        return;
    }
    println!("cargo:rustc-cfg=freestanding");
    for argument in ARGUMENTS {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}/linker.ld", variable("CARGO_MANIFEST_DIR"));
}

/// Whether this is a build under the profile: Cargo tells build scripts only what it inherits from, but the
/// output directory, `.../PROFILE/build/PACKAGE/out`, has its name.
fn is_freestanding(out_dir: &str) -> bool {
    Path::new(out_dir).ancestors().nth(3).is_some_and(|dir| dir.ends_with("freestanding"))
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
