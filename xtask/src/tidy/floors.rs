//! What holds for the floors' code: it runs where there is no operating system, twice in one process, and
//! safely.

use super::layers::floor;
use crate::source::{Package, Problem, Role, SourceFile, Workspace};
use crate::tokens::{Token, flatten};
use quote::ToTokens;

/// Packages whose work cannot be done in safe code.
const MAY_BE_UNSAFE: &[&str] = &["machine", "sim", "host", "native", "loomed", "freestanding"];

/// Objects to the standard library, the heap and statics on the floors.
pub(super) fn check_freestanding(workspace: &Workspace) -> Vec<Problem> {
    let floors = workspace.packages.iter().filter(|package| floor(&package.name).is_some());
    floors.flat_map(check_floor).collect()
}

fn check_floor(package: &Package) -> Vec<Problem> {
    let mut problems = Vec::new();
    match package.file("src/lib.rs") {
        Some(lib) if has_attribute(lib, "no_std") => {}
        Some(lib) => problems.push(Problem::new(&lib.path, 1, "a floor is `#![no_std]`")),
        None => problems.push(Problem::new(&package.manifest_path(), 0, "a floor is a library")),
    }
    for file in package.files.iter().filter(|file| file.role == Role::Code) {
        problems.extend(check_code(file));
    }
    problems
}

fn check_code(file: &SourceFile) -> Vec<Problem> {
    let tokens = file.tokens();
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut problems = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = if i == 0 { "" } else { text(i - 1) };
        let message = match token.text.as_str() {
            "static" => "a floor has no statics: two machines can live in one process",
            "std" | "alloc" if text(i + 1) == "::" && before != "::" => {
                "a floor uses neither `std` nor `alloc`: a memory manager cannot stand on a heap"
            }
            "std" | "alloc" if before == "crate" => "a floor links neither `std` nor `alloc`",
            _ => continue,
        };
        problems.push(Problem::new(&file.path, token.line, message));
    }
    problems
}

/// Objects to targets that allow unsafe code needlessly, and to unsafe code without a reason.
pub(super) fn check_unsafe(workspace: &Workspace) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in &workspace.packages {
        if !MAY_BE_UNSAFE.contains(&package.name.as_str()) {
            let open = package.roots().filter(|root| !forbids_unsafe(root));
            problems.extend(open.map(|root| Problem::new(&root.path, 1, "lacks `#![forbid(unsafe_code)]`")));
        }
        problems.extend(package.files.iter().flat_map(check_reasons));
    }
    problems
}

fn check_reasons(file: &SourceFile) -> Vec<Problem> {
    let Ok(whole) = syn::parse_file(&file.text) else { return Vec::new() };
    let tokens = flatten(whole.to_token_stream());
    let lines: Vec<&str> = file.text.lines().collect();
    let problem = |pair: &[Token]| {
        let (word, line) = (&*pair[1].text, pair[0].line);
        let message = match (&*pair[0].text, word) {
            ("unsafe", "{" | "impl" | "(") if !is_told_above(&lines, line, "// SAFETY:") => {
                "unsafe code without a `SAFETY:` comment right above it"
            }
            ("unsafe", "fn" | "trait") if !is_told_above(&lines, line, "/// # Safety") => {
                "an unsafe promise without a `# Safety` section"
            }
            _ => return None,
        };
        Some(Problem::new(&file.path, line, message))
    };
    tokens.windows(2).filter_map(problem).collect()
}

/// Whether the comment right above the statement or item that reaches to this line has such a line.
fn is_told_above(lines: &[&str], line: usize, what: &str) -> bool {
    let is_comment = |line: &str| line.starts_with("//");
    let begins_here = |line: &str| line.is_empty() || line.ends_with([';', '{', '}']);
    let above = lines[..line.saturating_sub(1).min(lines.len())].iter().rev().map(|line| line.trim());
    let statement_left = above.skip_while(|line| !is_comment(line) && !begins_here(line));
    statement_left.take_while(|line| is_comment(line)).any(|line| line.starts_with(what))
}

fn has_attribute(file: &SourceFile, name: &str) -> bool {
    file.code.attrs.iter().any(|attribute| attribute.path().is_ident(name))
}

fn forbids_unsafe(file: &SourceFile) -> bool {
    let forbids = |attribute: &syn::Attribute| {
        attribute.path().is_ident("forbid")
            && flatten(attribute.meta.to_token_stream()).iter().any(|token| token.text == "unsafe_code")
    };
    file.code.attrs.iter().any(forbids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freestanding(text: &str) -> Vec<String> {
        let text = format!("#![no_std]\n{text}");
        let workspace = Workspace::planted(&[("crates/frame/src/lib.rs", &text)]);
        check_freestanding(&workspace).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn planted_statics_are_found() {
        assert_eq!(freestanding("static X: u32 = 0;").len(), 1);
        assert_eq!(freestanding("fn f() { static mut X: u32 = 0; }").len(), 1);
        assert_eq!(freestanding("make! { static X: u32 = 0; }").len(), 1);
        assert!(freestanding("fn f(_: &'static str) -> impl Sized + 'static {}").is_empty());
    }

    #[test]
    fn planted_uses_of_std_and_alloc_are_found() {
        assert_eq!(freestanding("use std::vec::Vec;").len(), 1);
        assert_eq!(freestanding("fn f() { ::std::mem::drop(1) }").len(), 0, "no such crate without the next");
        assert_eq!(freestanding("extern crate std;").len(), 1);
        assert_eq!(freestanding("extern crate alloc;\nuse alloc::boxed::Box;").len(), 2);
        assert!(freestanding("// std::vec\nuse core::fmt;\n#[cfg(test)] extern crate std;").is_empty());
    }

    #[test]
    fn a_floor_without_no_std_is_found() {
        let workspace = Workspace::planted(&[("crates/frame/src/lib.rs", "")]);
        assert_eq!(check_freestanding(&workspace)[0].message, "a floor is `#![no_std]`");
    }

    #[test]
    fn a_target_that_allows_unsafe_code_is_found() {
        let open = Workspace::planted(&[("crates/frame/src/lib.rs", "")]);
        assert_eq!(check_unsafe(&open).len(), 1);
        let closed = Workspace::planted(&[("crates/frame/src/lib.rs", "#![forbid(unsafe_code)]")]);
        assert!(check_unsafe(&closed).is_empty());
    }

    fn unsafe_lines(text: &str) -> Vec<usize> {
        let workspace = Workspace::planted(&[("crates/machine/src/lib.rs", text)]);
        check_unsafe(&workspace).iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn unsafe_code_without_a_reason_is_found() {
        assert_eq!(unsafe_lines("fn f() {\n    unsafe { g() }\n}\nunsafe impl Send for A {}\n"), [2, 4]);
        assert_eq!(unsafe_lines("#[unsafe(no_mangle)]\nfn f() {}\n"), [1]);
        let told =
            "fn f() {\n    // SAFETY: g asks\n    // nothing.\n    let x =\n        unsafe { g() };\n}\n";
        assert!(unsafe_lines(told).is_empty());
    }

    #[test]
    fn a_reason_stands_right_above() {
        let apart = "fn f() {\n    // SAFETY: g asks nothing.\n    h();\n    unsafe { g() }\n}\n";
        assert_eq!(unsafe_lines(apart), [4]);
        let behind = "fn f() {\n    unsafe { g() } // SAFETY: g asks nothing.\n}\n";
        assert_eq!(unsafe_lines(behind), [2]);
    }

    #[test]
    fn an_unsafe_promise_says_what_it_is() {
        assert_eq!(unsafe_lines("/// Does it.\nunsafe fn f() {}\npub unsafe trait T {}\n"), [2, 3]);
        let told = "/// Does it.\n///\n/// # Safety\n/// Never call it.\nunsafe fn f() {}\n";
        assert!(unsafe_lines(told).is_empty());
    }
}
