//! The workspace as the checks see it: packages, their manifests, their source files with test code set
//! apart.

use crate::tokens::{Token, flatten};
use anyhow::{Context, Result};
use quote::ToTokens;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use syn::visit_mut::{self, VisitMut};

/// Something a check objects to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the root.
    pub path: String,
    /// The line, from 1; 0 if the whole file is meant.
    pub line: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Problem {
    /// A problem at a line.
    pub fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Problem { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// What a file is for, by the directory of its package it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Part of the library or program: `src/`.
    Code,
    /// An example.
    Example,
    /// Tests, benches, fuzz targets, and modules under `src/` that are declared for tests only.
    Test,
    /// The build script.
    Build,
}

/// One source file.
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As stored.
    pub text: String,
    /// What it is for.
    pub role: Role,
    /// The parsed file without items for tests; empty if it does not parse.
    pub code: syn::File,
    /// Line of the first item for tests, if there is one.
    pub tests_from: Option<usize>,
    /// Names of the modules declared for tests only.
    test_modules: Vec<String>,
}

impl SourceFile {
    fn parse(dir: &str, path: &str, text: &str, problems: &mut Vec<Problem>) -> Self {
        let mut code = syn::parse_file(text).unwrap_or_else(|error| {
            problems.push(Problem::new(path, error.span().start().line, format!("does not parse: {error}")));
            syn::File { shebang: None, attrs: Vec::new(), items: Vec::new() }
        });
        let for_tests = || code.items.iter().filter(|item| is_for_tests(item));
        let tests_from = for_tests().map(first_line).min();
        let test_modules = for_tests().filter_map(module_name).collect();
        WithoutTests.visit_file_mut(&mut code);
        let (path, text, role) = (path.to_owned(), text.to_owned(), role(dir, path));
        SourceFile { path, text, role, code, tests_from, test_modules }
    }

    /// Where the files of this file's inner modules are.
    fn inner_dir(&self) -> &str {
        let stem = self.path.trim_end_matches(".rs");
        let (dir, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        if matches!(name, "lib" | "main" | "mod") { dir } else { stem }
    }

    /// The tokens of everything that is not for tests.
    pub fn tokens(&self) -> Vec<Token> {
        flatten(self.code.to_token_stream())
    }
}

/// One package of the workspace.
pub struct Package {
    /// Its directory's last name: `frame` for `crates/frame`.
    pub name: String,
    /// Its directory, relative to the root.
    pub dir: String,
    /// Its `Cargo.toml`.
    pub manifest: toml::Table,
    /// Its Rust files, sorted by path.
    pub files: Vec<SourceFile>,
}

impl Package {
    /// The file at a path relative to the package.
    pub fn file(&self, relative: &str) -> Option<&SourceFile> {
        let path = format!("{}/{relative}", self.dir);
        self.files.iter().find(|file| file.path == path)
    }

    /// The files targets start from: library, program, further programs, examples.
    pub fn roots(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| {
            let relative = &file.path[self.dir.len() + 1..];
            let parts: Vec<&str> = relative.split('/').collect();
            matches!(
                parts[..],
                ["src", "lib.rs" | "main.rs"]
                    | ["src", "bin", _]
                    | ["src", "bin", _, "main.rs"]
                    | ["examples", _]
                    | ["examples", _, "main.rs"]
            )
        })
    }

    /// The path of its manifest.
    pub fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.dir)
    }
}

/// All packages.
pub struct Workspace {
    /// Sorted by directory.
    pub packages: Vec<Package>,
    /// Files that do not parse.
    pub problems: Vec<Problem>,
}

impl Workspace {
    /// Reads the workspace rooted at a directory.
    pub fn read(root: &Path) -> Result<Self> {
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("reading Cargo.toml")?;
        let mut files = BTreeMap::new();
        for dir in member_dirs(root, &manifest.parse()?)? {
            collect(root, &dir, &mut files)?;
        }
        Workspace::from_files(&files)
    }

    /// The workspace made of these files (path, text).
    pub fn from_files(files: &BTreeMap<String, String>) -> Result<Self> {
        let mut problems = Vec::new();
        let mut packages = Vec::new();
        for (path, text) in files {
            let Some(dir) = path.strip_suffix("/Cargo.toml") else { continue };
            let manifest = text.parse().with_context(|| format!("parsing {path}"))?;
            packages.push(package(dir, manifest, files, &mut problems));
        }
        Ok(Workspace { packages, problems })
    }

    /// A workspace for a test of a check.
    ///
    /// # Panics
    /// If a manifest does not parse.
    #[cfg(test)]
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let mut map: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        for (path, _) in files {
            let dir = path.split('/').take_while(|part| !["src", "tests", "examples"].contains(part));
            let dir = dir.collect::<Vec<_>>().join("/");
            if !path.ends_with("Cargo.toml") {
                map.entry(format!("{dir}/Cargo.toml")).or_default();
            }
        }
        Workspace::from_files(&map).unwrap()
    }
}

fn package(
    dir: &str,
    manifest: toml::Table,
    files: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Package {
    let prefix = format!("{dir}/");
    let own = files.iter().filter(|(path, _)| path.starts_with(&prefix) && path.ends_with(".rs"));
    let mut files: Vec<_> = own.map(|(path, text)| SourceFile::parse(dir, path, text, problems)).collect();
    set_test_modules_apart(&mut files);
    let name = dir.rsplit('/').next().unwrap_or(dir).to_owned();
    Package { name, dir: dir.to_owned(), manifest, files }
}

/// Files of modules declared for tests only, and all below them, are tests.
fn set_test_modules_apart(files: &mut [SourceFile]) {
    let declared = |file: &SourceFile| {
        let dir = file.inner_dir().to_owned();
        file.test_modules.iter().map(move |name| format!("{dir}/{name}")).collect::<Vec<_>>()
    };
    let stems: Vec<String> = files.iter().flat_map(declared).collect();
    for file in files {
        let is_of = |stem: &String| {
            file.path.strip_prefix(stem.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if stems.iter().any(is_of) {
            file.role = Role::Test;
        }
    }
}

fn role(dir: &str, path: &str) -> Role {
    let relative = &path[dir.len() + 1..];
    match relative.split('/').next() {
        Some("src") => Role::Code,
        Some("examples") => Role::Example,
        Some("build.rs") => Role::Build,
        _ => Role::Test,
    }
}

/// The directories of the members, with a last component `*` expanded.
fn member_dirs(root: &Path, manifest: &toml::Table) -> Result<Vec<String>> {
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    let members = members.and_then(|members| members.as_array()).context("no workspace.members")?;
    let mut dirs = Vec::new();
    for member in members.iter().filter_map(|member| member.as_str()) {
        let Some(parent) = member.strip_suffix("/*") else {
            dirs.push(member.to_owned());
            continue;
        };
        for entry in std::fs::read_dir(root.join(parent))? {
            let name = entry?.file_name();
            let dir = format!("{parent}/{}", name.to_string_lossy());
            if root.join(&dir).join("Cargo.toml").is_file() {
                dirs.push(dir);
            }
        }
    }
    Ok(dirs)
}

/// Reads the manifest and the Rust files of a directory and those below it. A package of its own below it
/// (a fuzz crate) is read as part of it, without its manifest.
fn collect(root: &Path, dir: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let manifest = format!("{dir}/Cargo.toml");
    files.insert(manifest.clone(), std::fs::read_to_string(root.join(&manifest)).context(manifest)?);
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).with_context(|| dir.clone())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{dir}/{name}");
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    pending.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
                files.insert(path, text);
            }
        }
    }
    Ok(())
}

/// Whether an item exists only in tests.
fn is_for_tests(item: &syn::Item) -> bool {
    attributes(item).iter().any(is_test_attribute)
}

/// `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    let tokens = flatten(attribute.meta.to_token_stream());
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    matches!(words[..], ["test"] | ["cfg", "(", "test", ..] | ["cfg", "(", "all", "(", "test", ..])
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(x) => &x.attrs,
        syn::Item::Enum(x) => &x.attrs,
        syn::Item::ExternCrate(x) => &x.attrs,
        syn::Item::Fn(x) => &x.attrs,
        syn::Item::Impl(x) => &x.attrs,
        syn::Item::Macro(x) => &x.attrs,
        syn::Item::Mod(x) => &x.attrs,
        syn::Item::Static(x) => &x.attrs,
        syn::Item::Struct(x) => &x.attrs,
        syn::Item::Trait(x) => &x.attrs,
        syn::Item::Type(x) => &x.attrs,
        syn::Item::Use(x) => &x.attrs,
        _ => &[],
    }
}

fn module_name(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Mod(module) => Some(module.ident.to_string()),
        _ => None,
    }
}

fn first_line(item: &syn::Item) -> usize {
    flatten(item.to_token_stream()).first().map_or(1, |token| token.line)
}

/// Removes everything that exists only in tests.
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_for_tests(item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_for_tests(item));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !function.attrs.iter().any(is_test_attribute),
            syn::ImplItem::Const(constant) => !constant.attrs.iter().any(is_test_attribute),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            syn::Stmt::Item(item) => !is_for_tests(item),
            syn::Stmt::Local(local) => !local.attrs.iter().any(is_test_attribute),
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_items_are_set_apart() {
        let text = "fn kept() {}\nimpl A { #[cfg(test)] fn gone() {} fn stays() {} }\n\
                    #[cfg(not(test))]\nfn shipped() {}\n#[cfg(test)]\nmod tests { fn gone_too() {} }\n";
        let workspace = Workspace::planted(&[("crates/a/src/lib.rs", text)]);
        let file = &workspace.packages[0].files[0];
        let words: Vec<String> = file.tokens().into_iter().map(|token| token.text).collect();
        for kept in ["kept", "stays", "shipped"] {
            assert!(words.iter().any(|word| word == kept), "{kept}");
        }
        assert!(!words.iter().any(|word| word.starts_with("gone")));
        assert_eq!(file.tests_from, Some(5));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_problem() {
        let workspace = Workspace::planted(&[("crates/a/src/lib.rs", "fn f( {}\n")]);
        assert!(workspace.problems[0].message.starts_with("does not parse"));
    }

    #[test]
    fn roles_follow_the_directory() {
        let workspace = Workspace::planted(&[
            ("crates/a/examples/e.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
            ("crates/a/src/lib.rs", "mod part;"),
            ("crates/a/src/part.rs", "#[cfg(test)] mod model;"),
            ("crates/a/src/part/model/deep.rs", ""),
            ("crates/a/src/part/model.rs", ""),
            ("crates/a/src/part/models.rs", ""),
            ("crates/a/tests/t.rs", ""),
        ]);
        let package = &workspace.packages[0];
        assert_eq!(package.name, "a");
        let tests: Vec<&str> =
            package.files.iter().filter(|file| file.role == Role::Test).map(|file| &file.path[9..]).collect();
        assert_eq!(tests, ["src/part/model.rs", "src/part/model/deep.rs", "tests/t.rs"]);
        assert_eq!(package.files[0].role, Role::Example);
        let roots: Vec<&str> = package.roots().map(|file| &file.path[9..]).collect();
        assert_eq!(roots, ["examples/e.rs", "src/bin/tool.rs", "src/lib.rs"]);
    }
}
