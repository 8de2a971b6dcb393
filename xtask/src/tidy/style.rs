//! Sizes, and words that mean "not finished".

use crate::source::{Problem, Role, SourceFile, Workspace};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The widest line.
const COLUMNS: usize = 110;
/// The longest function, from its signature to its brace.
const FUNCTION_LINES: usize = 70;
/// The longest file, not counting tests at its end.
const FILE_LINES: usize = 700;

/// Macros that stand for missing code, or were left behind by a search for a bug.
const UNFINISHED_MACROS: [&str; 3] = ["todo", "dbg", "unimplemented"];
/// As many of them as are refused in tests, whose fakes need not do everything.
const REFUSED_IN_TESTS: usize = 2;
/// Marks of unfinished work in comments (in halves, so that this file passes).
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Objects to wide lines, long functions and long files.
pub(super) fn check_sizes(workspace: &Workspace) -> Vec<Problem> {
    let files = workspace.packages.iter().flat_map(|package| &package.files);
    files.flat_map(|file| [wide_lines(file), long_functions(file), long_file(file)].concat()).collect()
}

fn wide_lines(file: &SourceFile) -> Vec<Problem> {
    let wide = file.text.lines().map(|line| line.chars().count()).zip(1..);
    wide.filter(|(columns, _)| *columns > COLUMNS)
        .map(|(columns, line)| {
            Problem::new(&file.path, line, format!("{columns} columns, {COLUMNS} are allowed"))
        })
        .collect()
}

fn long_file(file: &SourceFile) -> Vec<Problem> {
    let lines = file.tests_from.map_or_else(|| file.text.lines().count(), |line| line - 1);
    if file.role == Role::Test || lines <= FILE_LINES {
        return Vec::new();
    }
    vec![Problem::new(&file.path, 0, format!("{lines} lines before tests, {FILE_LINES} are allowed"))]
}

fn long_functions(file: &SourceFile) -> Vec<Problem> {
    if file.role == Role::Test {
        return Vec::new();
    }
    let mut functions = Functions { path: &file.path, problems: Vec::new() };
    functions.visit_file(&file.code);
    functions.problems
}

/// Measures functions.
struct Functions<'f> {
    path: &'f str,
    problems: Vec<Problem>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let line = signature.span().start().line;
        let lines = body.span().end().line + 1 - line;
        if lines > FUNCTION_LINES {
            let name = &signature.ident;
            let message = format!("`{name}` has {lines} lines, {FUNCTION_LINES} are allowed");
            self.problems.push(Problem::new(self.path, line, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.measure(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Objects to macros and marks of unfinished work, in tests too.
pub(super) fn check_unfinished(workspace: &Workspace) -> Vec<Problem> {
    let files = workspace.packages.iter().flat_map(|package| &package.files);
    files.flat_map(|file| [unfinished_macros(file), marks(file)].concat()).collect()
}

fn unfinished_macros(file: &SourceFile) -> Vec<Problem> {
    let tokens = file.tokens();
    let macros = match file.role {
        Role::Test => &UNFINISHED_MACROS[..REFUSED_IN_TESTS],
        _ => &UNFINISHED_MACROS[..],
    };
    let calls =
        tokens.windows(2).filter(|pair| pair[1].text == "!" && macros.contains(&pair[0].text.as_str()));
    calls
        .map(|pair| Problem::new(&file.path, pair[0].line, format!("`{}!` is left behind", pair[0].text)))
        .collect()
}

fn marks(file: &SourceFile) -> Vec<Problem> {
    let marked = |line: &str| MARKS.iter().find(|mark| line.contains(*mark));
    let lines = file.text.lines().zip(1..);
    lines
        .filter_map(|(line, number)| Some((marked(line)?, number)))
        .map(|(mark, number)| Problem::new(&file.path, number, format!("`{mark}` is left behind")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(check: fn(&Workspace) -> Vec<Problem>, path: &str, text: &str) -> Vec<String> {
        let workspace = Workspace::planted(&[(path, text)]);
        check(&workspace).into_iter().map(|problem| problem.message).collect()
    }

    const LIB: &str = "crates/x/src/lib.rs";

    #[test]
    fn a_planted_wide_line_is_found() {
        let text = format!("// {}\n// {}\n", "ä".repeat(COLUMNS - 3), "x".repeat(COLUMNS - 2));
        assert_eq!(messages(check_sizes, LIB, &text), ["111 columns, 110 are allowed"]);
    }

    #[test]
    fn a_planted_long_function_is_found() {
        let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert!(messages(check_sizes, LIB, &function(FUNCTION_LINES)).is_empty());
        let found = messages(check_sizes, LIB, &function(FUNCTION_LINES + 1));
        assert_eq!(found, ["`long` has 71 lines, 70 are allowed"]);
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(FUNCTION_LINES + 1));
        assert!(messages(check_sizes, LIB, &in_tests).is_empty());
        assert!(messages(check_sizes, "crates/x/tests/t.rs", &function(FUNCTION_LINES + 1)).is_empty());
    }

    #[test]
    fn a_planted_long_file_is_found() {
        let text = "// A line.\n".repeat(FILE_LINES + 1);
        assert_eq!(messages(check_sizes, LIB, &text), ["701 lines before tests, 700 are allowed"]);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// A line.\n".repeat(FILE_LINES));
        assert!(messages(check_sizes, LIB, &tests).is_empty());
    }

    #[test]
    fn planted_unfinished_work_is_found() {
        for name in UNFINISHED_MACROS {
            assert_eq!(messages(check_unfinished, LIB, &format!("fn f() {{ {name}!(1) }}")).len(), 1);
        }
        for mark in MARKS {
            assert_eq!(messages(check_unfinished, LIB, &format!("// {mark} later")).len(), 1);
        }
        let fake = format!("fn f() {{ {}!() }}", UNFINISHED_MACROS[REFUSED_IN_TESTS]);
        assert!(messages(check_unfinished, "crates/x/tests/t.rs", &fake).is_empty());
        assert!(messages(check_unfinished, LIB, "// todo! in prose\nfn f() {}").is_empty());
    }
}
