//! The minimal example without std, linked as a kernel is: see `build.rs`. It proves that Freehold leans on
//! nothing; it is not meant to boot. An ordinary build makes a program that says so.
#![cfg_attr(freestanding, no_std)]
#![cfg_attr(freestanding, no_main)]

#[cfg(freestanding)]
#[path = "../../crates/freehold/examples/minimal/demo.rs"]
mod demo;
#[cfg(freestanding)]
#[path = "../../crates/freehold/examples/minimal/minimal.rs"]
mod minimal;
#[cfg(freestanding)]
mod runtime;
#[cfg(freestanding)]
mod start;

#[cfg(not(freestanding))]
fn main() {
    println!("nothing to run: `cargo xtask link` builds this without std and looks at the result");
}
