//! Freehold on the smallest machine: `cargo run -p freehold --example minimal`.
#![forbid(unsafe_code)]

mod demo;
mod minimal;

use machine::Word;

fn main() {
    let arena: Vec<Word> = (0..demo::ARENA_WORDS).map(|_| Word::new(0)).collect();
    match demo::run(&arena) {
        Ok(seen) => println!("faults: {}", seen.faults),
        Err(shortage) => println!("{shortage}"),
    }
}
