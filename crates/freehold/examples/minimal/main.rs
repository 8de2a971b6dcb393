//! Freehold on the smallest machine: `cargo run -p freehold --example minimal`.
#![forbid(unsafe_code)]

mod demo;
mod minimal;

use machine::Word;

fn main() -> std::process::ExitCode {
    let arena: Vec<Word> = (0..demo::ARENA_WORDS).map(|_| Word::new(0)).collect();
    match demo::run(&arena, &mut |name, count| println!("{count:>7} {name}")) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("minimal: {trouble:?}");
            std::process::ExitCode::FAILURE
        }
    }
}
