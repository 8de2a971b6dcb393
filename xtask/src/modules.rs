//! The modules of a crate, and which of them use which.
//!
//! An edge is a path in code (`use` or not, inside macro calls too) that leads to another module. A re-export
//! is an alias: a path through it leads to the module that defines the name, and re-exporting is no use. What
//! only a method call connects is not seen.

use crate::source::{Package, Problem, SourceFile};
use crate::tokens::{Token, flatten, is_word};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the crate's root; empty for the root itself.
pub type ModulePath = Vec<String>;

/// A name brought in by `use`.
#[derive(Clone, Debug)]
struct Import {
    /// The path as written.
    path: Vec<String>,
    /// The name it has here; `*` for all of the path's names.
    name: String,
    /// Whether others see it too, so that it is an alias rather than a use.
    public: bool,
    line: usize,
}

/// One module without its inner modules.
#[derive(Default)]
struct Module {
    file: String,
    /// Names of its items and inner modules.
    defines: BTreeSet<String>,
    imports: Vec<Import>,
    /// Tokens of its items other than `use`.
    tokens: Vec<Token>,
}

/// Where a use of one module by another is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
}

/// The modules of one target.
#[derive(Default)]
pub struct Tree {
    modules: BTreeMap<ModulePath, Module>,
    /// Modules whose file is missing.
    pub problems: Vec<Problem>,
    /// The files that belong to the tree.
    pub files: BTreeSet<String>,
}

/// Which modules each module uses, with one place for each.
pub type Edges = BTreeMap<ModulePath, BTreeMap<ModulePath, Place>>;

impl Tree {
    /// The modules reached from a target's first file.
    pub fn of(package: &Package, root: &SourceFile) -> Self {
        let mut tree = Tree::default();
        let dir = parent(&root.path).to_owned();
        tree.add_file(package, root, Vec::new(), &dir);
        tree
    }

    /// Adds the module in a file, and those below it; `dir` is where files of inner modules are.
    fn add_file(&mut self, package: &Package, file: &SourceFile, path: ModulePath, dir: &str) {
        self.files.insert(file.path.clone());
        self.add_items(package, file, &file.code.items, path, dir);
    }

    fn add_items(
        &mut self,
        package: &Package,
        file: &SourceFile,
        items: &[syn::Item],
        path: ModulePath,
        dir: &str,
    ) {
        let mut module = Module { file: file.path.clone(), ..Module::default() };
        for item in items {
            match item {
                syn::Item::Mod(inner) => {
                    module.defines.insert(inner.ident.to_string());
                    self.add_module(package, file, inner, &path, dir);
                }
                syn::Item::Use(item) => {
                    let public = !matches!(item.vis, syn::Visibility::Inherited);
                    let line = flatten(item.to_token_stream()).first().map_or(0, |token| token.line);
                    imports(&item.tree, &[], public, line, &mut module.imports);
                }
                other => {
                    module.defines.extend(name_of(other));
                    module.tokens.extend(flatten(other.to_token_stream()));
                }
            }
        }
        self.modules.insert(path, module);
    }

    fn add_module(
        &mut self,
        package: &Package,
        file: &SourceFile,
        inner: &syn::ItemMod,
        path: &ModulePath,
        dir: &str,
    ) {
        let name = inner.ident.to_string();
        let mut inner_path = path.clone();
        inner_path.push(name.clone());
        if let Some((_, items)) = &inner.content {
            return self.add_items(package, file, items, inner_path, &format!("{dir}/{name}"));
        }
        match find_file(package, file, inner, dir) {
            Some((found, inner_dir)) => self.add_file(package, found, inner_path, &inner_dir),
            // A file of another package, which is looked at there.
            None if path_attribute(inner).is_some() => {}
            None => {
                let message = format!("no file for `mod {name};` was found under {dir}");
                self.problems.push(Problem::new(&file.path, 0, message));
            }
        }
    }

    /// All uses of one module by another.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (path, module) in &self.modules {
            let mut used = BTreeMap::new();
            for (target, line) in self.uses(path, module) {
                if target != *path {
                    used.entry(target).or_insert(Place { file: module.file.clone(), line });
                }
            }
            edges.insert(path.clone(), used);
        }
        edges
    }

    fn uses(&self, path: &ModulePath, module: &Module) -> Vec<(ModulePath, usize)> {
        let mut uses = Vec::new();
        for import in module.imports.iter().filter(|import| !import.public || needs(module, import)) {
            uses.extend(self.resolve(path, &import.path).map(|target| (target, import.line)));
        }
        for (written, line) in paths(&module.tokens) {
            if is_local(module, &written[0]) {
                uses.extend(self.resolve(path, &written).map(|target| (target, line)));
            }
        }
        uses
    }

    /// The module that defines what a path leads to; `None` if it leads out of the crate.
    fn resolve(&self, from: &ModulePath, written: &[String]) -> Option<ModulePath> {
        self.resolve_below(from, written, 8)
    }

    fn resolve_below(&self, from: &ModulePath, written: &[String], aliases: u32) -> Option<ModulePath> {
        let (mut here, rest) = self.start(from, written)?;
        for (i, name) in rest.iter().enumerate() {
            let mut inner = here.clone();
            inner.push(name.clone());
            if self.modules.contains_key(&inner) {
                here = inner;
                continue;
            }
            let module = &self.modules[&here];
            if module.defines.contains(name) || aliases == 0 {
                return Some(here);
            }
            for import in module.imports.iter().filter(|import| import.name == *name || import.name == "*") {
                let mut path = import.path.clone();
                path.extend(rest[i + usize::from(import.name != "*")..].iter().cloned());
                let found = self.resolve_below(&here, &path, aliases - 1);
                if import.name != "*" || found.as_ref().is_some_and(|found| self.defines(found, name)) {
                    return found;
                }
            }
            return Some(here);
        }
        Some(here)
    }

    fn defines(&self, module: &ModulePath, name: &str) -> bool {
        self.modules[module].defines.contains(name) || module.last().is_some_and(|last| last == name)
    }

    /// Where a written path starts, and what is left of it; `None` outside the crate.
    fn start<'a>(&self, from: &ModulePath, written: &'a [String]) -> Option<(ModulePath, &'a [String])> {
        match written.first()?.as_str() {
            "crate" => Some((Vec::new(), &written[1..])),
            "self" => Some((from.clone(), &written[1..])),
            "super" => {
                let up = written.iter().take_while(|word| *word == "super").count();
                let here = from.get(..from.len().checked_sub(up)?)?.to_vec();
                Some((here, &written[up..]))
            }
            first => {
                let module = &self.modules[from];
                let known = module.defines.contains(first)
                    || module.imports.iter().any(|import| import.name == first && import.path[0] != first);
                known.then(|| (from.clone(), written))
            }
        }
    }
}

/// Whether a module uses a name that it also re-exports.
fn needs(module: &Module, import: &Import) -> bool {
    import.name != "*" && module.tokens.iter().any(|token| token.text == import.name)
}

fn is_local(module: &Module, first: &str) -> bool {
    matches!(first, "crate" | "self" | "super") || module.defines.contains(first)
}

/// The file of `mod name;`, and the directory of its inner modules.
fn find_file<'a>(
    package: &'a Package,
    file: &SourceFile,
    inner: &syn::ItemMod,
    dir: &str,
) -> Option<(&'a SourceFile, String)> {
    let name = inner.ident.to_string();
    let find = |path: String| package.files.iter().find(|file| file.path == path);
    if let Some(given) = path_attribute(inner) {
        let found = find(normal(&format!("{}/{given}", parent(&file.path))))?;
        return Some((found, parent(&found.path).to_owned()));
    }
    let found = find(format!("{dir}/{name}.rs")).or_else(|| find(format!("{dir}/{name}/mod.rs")))?;
    Some((found, format!("{dir}/{name}")))
}

/// The value of `#[path = "..."]`.
fn path_attribute(inner: &syn::ItemMod) -> Option<String> {
    inner.attrs.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// A path without `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The names a `use` tree brings in.
fn imports(tree: &syn::UseTree, before: &[String], public: bool, line: usize, out: &mut Vec<Import>) {
    let path = |last: Option<String>| before.iter().cloned().chain(last).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(step) => {
            imports(&step.tree, &path(Some(step.ident.to_string())), public, line, out);
        }
        syn::UseTree::Name(name) if name.ident == "self" => {
            let own = before.last().cloned().unwrap_or_default();
            out.push(Import { path: path(None), name: own, public, line });
        }
        syn::UseTree::Name(name) => {
            let own = name.ident.to_string();
            out.push(Import { path: path(Some(own.clone())), name: own, public, line });
        }
        syn::UseTree::Rename(renamed) => {
            let given = renamed.rename.to_string();
            out.push(Import { path: path(Some(renamed.ident.to_string())), name: given, public, line });
        }
        syn::UseTree::Glob(_) => out.push(Import { path: path(None), name: "*".to_owned(), public, line }),
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|item| imports(item, before, public, line, out));
        }
    }
}

/// The name an item other than a module defines.
fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(x) => &x.ident,
        syn::Item::Enum(x) => &x.ident,
        syn::Item::Fn(x) => &x.sig.ident,
        syn::Item::Macro(x) => x.ident.as_ref()?,
        syn::Item::Static(x) => &x.ident,
        syn::Item::Struct(x) => &x.ident,
        syn::Item::Trait(x) => &x.ident,
        syn::Item::Type(x) => &x.ident,
        syn::Item::Union(x) => &x.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Every path of two words or more in the tokens, with its line.
fn paths(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let start = i;
        let mut words = Vec::new();
        while i < tokens.len() && is_word(&tokens[i]) {
            words.push(tokens[i].text.clone());
            match tokens.get(i + 1) {
                Some(next) if next.text == "::" => i += 2,
                _ => break,
            }
        }
        let qualified = start > 0 && matches!(tokens[start - 1].text.as_str(), "::" | "." | "'");
        if words.len() > 1 && !qualified {
            found.push((words, tokens[start].line));
        }
        i = i.max(start) + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Workspace;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let workspace = Workspace::planted(files);
        let package = &workspace.packages[0];
        let tree = Tree::of(package, package.file("src/lib.rs").unwrap());
        assert!(tree.problems.is_empty(), "{:?}", tree.problems);
        let edges = tree.edges();
        let all = edges.iter().flat_map(|(from, to)| to.keys().map(move |to| (from, to)));
        all.map(|(from, to)| format!("{}>{}", from.join("::"), to.join("::"))).collect()
    }

    #[test]
    fn a_re_export_leads_to_the_defining_module() {
        let lib = "mod a; mod b; pub use crate::b::Name;";
        let found = edges(&[
            ("crates/x/src/lib.rs", lib),
            ("crates/x/src/a.rs", "use crate::Name; fn f(_: Name) {}"),
            ("crates/x/src/b.rs", "pub struct Name;"),
        ]);
        assert_eq!(found, ["a>b"]);
    }

    #[test]
    fn paths_in_expressions_and_macro_calls_count() {
        let found = edges(&[
            ("crates/x/src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("crates/x/src/a.rs", "fn f() { crate::b::g(); format!(\"{}\", super::c::N) }"),
            ("crates/x/src/b.rs", "pub fn g() {}"),
            ("crates/x/src/c.rs", "pub const N: u32 = 1;"),
            ("crates/x/src/d.rs", "make! { crate::b::X } // crate::c is prose"),
        ]);
        assert_eq!(found, ["a>b", "a>c", "d>b"]);
    }

    #[test]
    fn inner_modules_and_tests() {
        let found = edges(&[
            ("crates/x/src/lib.rs", "mod a;"),
            ("crates/x/src/a/mod.rs", "mod inner; pub use inner::Thing; fn f() { inner::g() }"),
            ("crates/x/src/a/inner.rs", "pub struct Thing; #[cfg(test)] mod tests { use super::super::f; }"),
        ]);
        assert_eq!(found, ["a>a::inner"]);
    }

    #[test]
    fn globs_and_names_of_other_crates() {
        let found = edges(&[
            ("crates/x/src/lib.rs", "mod a; mod b; pub use b::*; use std::fmt;"),
            ("crates/x/src/a.rs", "use crate::B; use machine::a::C; fn f() { machine::b::g() }"),
            ("crates/x/src/b.rs", "pub struct B;"),
        ]);
        assert_eq!(found, ["a>b"]);
    }

    #[test]
    fn a_missing_file_is_a_problem() {
        let workspace = Workspace::planted(&[("crates/x/src/lib.rs", "mod gone;")]);
        let package = &workspace.packages[0];
        let tree = Tree::of(package, package.file("src/lib.rs").unwrap());
        assert!(tree.problems[0].message.contains("`mod gone;`"));
    }
}
