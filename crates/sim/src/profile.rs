//! The cost profile: what each event costs in simulated nanoseconds, read from a data file that names its
//! sources.

use thiserror::Error;

/// The default profile's file.
const X86_2020S: &str = include_str!("../profiles/x86-2020s.toml");

/// The built-in profiles' files, by name.
const BUILT_IN: [(&str, &str); 4] = [
    ("x86-2020s", X86_2020S),
    ("x86-8socket", include_str!("../profiles/x86-8socket.toml")),
    ("power9-host", include_str!("../profiles/power9-host.toml")),
    ("power9-kvm", include_str!("../profiles/power9-kvm.toml")),
];

/// The names of the built-in profiles; the first is the default.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(|(name, _)| name)
}

/// A built-in profile by its name.
pub fn named(name: &str) -> Option<Profile> {
    let text = BUILT_IN.into_iter().find(|built_in| built_in.0 == name)?.1;
    Profile::parse(text).ok()
}

/// Why a profile could not be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ProfileError {
    /// A line is not of the form the profile format knows.
    #[error("profile line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A constant is missing, or lacks its value, range or source.
    #[error("profile: constant `{name}` has no {what}")]
    Missing {
        /// The constant.
        name: &'static str,
        /// The part that is missing.
        what: &'static str,
    },
}

/// One constant of a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Constant {
    /// The value used.
    pub value: u64,
    /// The least and the greatest plausible value.
    pub range: (u64, u64),
    /// Where the value comes from.
    pub source: String,
}

macro_rules! constants {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// The constants, as values.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Costs { $($(#[$meta])* pub $name: u64),* }

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl Costs {
            fn collect<E>(mut of: impl FnMut(&'static str) -> Result<u64, E>) -> Result<Costs, E> {
                Ok(Costs { $($name: of(stringify!($name))?),* })
            }
        }
    };
}

constants! {
    /// Entering and leaving the kernel by a system call.
    syscall,
    /// Entering and leaving the kernel by a page fault.
    fault_entry,
    /// A translation found among the 64 of the first level.
    tlb_l1_hit,
    /// A translation found in the second level.
    tlb_l2_hit,
    /// Reading the leaf entry in a walk.
    walk_leaf,
    /// Reading one upper level in a walk.
    walk_level,
    /// Dropping one page's translation.
    invlpg,
    /// Dropping all translations.
    flush_all,
    /// Dropping one space's translations.
    flush_context,
    /// Loading another space's root, keeping translations.
    load_space,
    /// The first CPU asked by interrupt, from asking to its acknowledgement.
    ipi_first,
    /// Each further CPU of the same socket.
    ipi_same_socket,
    /// Each further CPU of another socket.
    ipi_other_socket,
    /// The part of `ipi_first` that the target spends.
    ipi_handle,
    /// How many CPUs share a socket on a machine with one node.
    cpus_per_socket,
    /// Reading or writing a word whose line is here.
    word_hit,
    /// An atomic read-modify-write of a word whose line is here.
    rmw_hit,
    /// A full fence.
    fence,
    /// A line that comes from another CPU of the same socket.
    line_same_socket,
    /// A line that comes from another socket.
    line_other_socket,
    /// A line that comes from memory, where caches are modelled.
    line_dram,
    /// How many lines a CPU can have on their way at a time.
    lines_in_flight,
    /// How many lines a CPU's caches hold: its own and its share of the last level.
    cache_lines,
    /// Dropping one translation on all CPUs by one instruction; 0 where there is none. The machine itself
    /// flushes by interrupt: this is for algorithms that are compared with.
    flush_broadcast,
    /// One turn of a spin loop.
    spin_turn,
    /// Zeroing a base page.
    zero_hot,
    /// Copying a base page.
    copy_hot,
    /// Comparing two base pages that are equal.
    compare_hot,
    /// Looking whether a base page is zero, if it is.
    scan_hot,
    /// Hashing a base page.
    hash_hot,
    /// Compressing a base page.
    compress,
    /// Decompressing one.
    decompress,
    /// Zeroing 2 MiB.
    zero_huge,
    /// Copying 2 MiB.
    copy_huge,
    /// Zeroing and initialising one kernel frame (a page table, a slab).
    table_alloc,
    /// Switching a CPU from one task to another.
    context_switch,
    /// Going to sleep.
    park,
    /// Waking a task.
    unpark,
    /// How long a woken task needs until it can run.
    wake_latency,
    /// Reading one page of a file.
    file_read,
    /// Writing one page of a file.
    file_write,
}

/// A parsed profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The values.
    pub costs: Costs,
    constants: Vec<(&'static str, Constant)>,
}

impl Default for Profile {
    fn default() -> Self {
        Profile::x86_2020s()
    }
}

#[derive(Default)]
struct Draft {
    value: Option<u64>,
    range: Option<(u64, u64)>,
    source: Option<String>,
}

impl Profile {
    /// The built-in profile `x86-2020s`.
    ///
    /// # Panics
    /// Never: a test parses the built-in file.
    pub fn x86_2020s() -> Profile {
        Profile::parse(X86_2020S).expect("the built-in profile is well-formed")
    }

    /// Every constant with its name, range and source, in the order of [`Costs`].
    pub fn constants(&self) -> impl Iterator<Item = (&'static str, &Constant)> {
        self.constants.iter().map(|(name, constant)| (*name, constant))
    }

    /// Reads a profile: a TOML file of one table a constant, each with `value`, `range` and `source`.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        let mut drafts: Vec<Option<Draft>> = NAMES.iter().map(|_| None).collect();
        let mut current = None;
        for (index, raw) in text.lines().enumerate() {
            let line = raw.trim();
            let fail = |what: String| ProfileError::Line { line: index + 1, what };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                let known = NAMES.iter().position(|known| *known == name);
                let slot = known.ok_or_else(|| fail(format!("unknown constant `{name}`")))?;
                if drafts[slot].replace(Draft::default()).is_some() {
                    return Err(fail(format!("constant `{name}` is given twice")));
                }
                current = Some(slot);
                continue;
            }
            let draft = current.and_then(|slot: usize| drafts[slot].as_mut());
            let draft = draft.ok_or_else(|| fail("a value before the first [constant]".into()))?;
            draft.set(line).map_err(fail)?;
        }
        Profile::finish(drafts)
    }

    fn finish(drafts: Vec<Option<Draft>>) -> Result<Profile, ProfileError> {
        let mut constants = Vec::with_capacity(NAMES.len());
        for (&name, draft) in NAMES.iter().zip(drafts) {
            let missing = |what| ProfileError::Missing { name, what };
            let draft = draft.ok_or_else(|| missing("entry"))?;
            let value = draft.value.ok_or_else(|| missing("value"))?;
            let range = draft.range.ok_or_else(|| missing("range"))?;
            let source = draft.source.ok_or_else(|| missing("source"))?;
            constants.push((name, Constant { value, range, source }));
        }
        let mut values = constants.iter();
        let costs = Costs::collect(|name| {
            let next = values.next().filter(|(known, _)| *known == name);
            next.map(|(_, c)| c.value).ok_or(ProfileError::Missing { name, what: "value" })
        })?;
        Ok(Profile { costs, constants })
    }
}

impl Draft {
    fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once('=').ok_or("expected `key = value`")?;
        let (key, value) = (key.trim(), value.trim());
        let repeated = match key {
            "value" => self.value.replace(number(value)?).is_some(),
            "range" => self.range.replace(range(value)?).is_some(),
            "source" => {
                let text = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                let text = text.filter(|t| !t.is_empty() && !t.contains(['"', '\\']));
                self.source.replace(text.ok_or("expected a plain string in quotes")?.into()).is_some()
            }
            _ => return Err(format!("unknown key `{key}`")),
        };
        if repeated { Err(format!("`{key}` is given twice")) } else { Ok(()) }
    }
}

/// Costs above a second are mistakes; the limit also keeps sums of them far from overflow.
const LARGEST: u64 = 1_000_000_000;

fn number(text: &str) -> Result<u64, String> {
    let value = text.replace('_', "").parse::<u64>().ok().filter(|&n| n <= LARGEST);
    value.ok_or_else(|| format!("`{text}` is not a number from 0 to {LARGEST}"))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let (low, high) = inner.and_then(|t| t.split_once(',')).ok_or("expected `[least, greatest]`")?;
    let (low, high) = (number(low.trim())?, number(high.trim())?);
    if low <= high { Ok((low, high)) } else { Err("the range is empty".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_are_complete_and_within_their_own_ranges() {
        assert_eq!(Profile::x86_2020s().costs.ipi_first, 700);
        for (file, text) in BUILT_IN {
            let profile = Profile::parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            for (name, constant) in profile.constants() {
                assert!((constant.range.0..=constant.range.1).contains(&constant.value), "{file}: {name}");
            }
            assert_eq!(named(file), Some(profile));
        }
        assert_eq!(names().next(), Some("x86-2020s"));
        assert_eq!(named("power10"), None);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let line = |text: &str| match Profile::parse(text) {
            Err(ProfileError::Line { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("value = 3"), 1);
        assert_eq!(line("\n[syscall]\nvalue = x"), 3);
        assert_eq!(line("[syscall]\nvalue = 18446744073709551615"), 2);
        assert_eq!(line("[nonsense]"), 1);
        assert_eq!(line("[syscall]\n[syscall]"), 2);
        assert_eq!(line("[syscall]\nrange = [9, 1]"), 2);
        assert_eq!(line("[syscall]\nsource = unquoted"), 2);
        let cut = X86_2020S.replace("[invlpg]\nvalue = 90", "[invlpg]");
        assert_eq!(Profile::parse(&cut), Err(ProfileError::Missing { name: "invlpg", what: "value" }));
        assert_eq!(Profile::parse(""), Err(ProfileError::Missing { name: "syscall", what: "entry" }));
    }
}
