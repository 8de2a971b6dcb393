//! Policies: what the manager can do in more than one way, by name.
//!
//! A policy is chosen as `axis=value`, several with commas between them. An axis is one row of `AXES`; the
//! values of `cow` are the rules of copy-on-write that the manager knows ([`rules::COW`]), those of `walk`
//! its rules of walks without a lock ([`WalkRule::ALL`]).

use std::fmt;
use std::str::FromStr;

use freehold::Config;
use freehold::machine::WalkRule;
use freehold::object::cow::{Claims, Cow};
use freehold::object::rules;
use freehold::space::LayoutLock;
use oracle::Rule;

/// One thing that can be done in several ways.
struct Axis {
    name: &'static str,
    /// Its values; the first is what Freehold does if nothing is said.
    values: fn() -> Vec<&'static str>,
    /// Lets a manager do it so; the value is one of them.
    choose: fn(&mut Config, &str),
    /// The rules that it does not claim to keep, done so.
    unclaimed: fn(&str) -> &'static [Rule],
}

/// All of them.
const AXES: &[Axis] = &[
    Axis { name: "cow", values: cows, choose: choose_cow, unclaimed: unclaimed_by_cow },
    Axis { name: "lock", values: layout_locks, choose: choose_layout_lock, unclaimed: |_| &[] },
    Axis { name: "walk", values: walks, choose: choose_walk, unclaimed: |_| &[] },
];

/// What the rules of copy-on-write without exclusive pages do not claim.
const EXCLUSIVITY: &[Rule] = &[Rule::CR1, Rule::CR2, Rule::CR4];

/// The rules of copy-on-write.
fn known_cows() -> impl Iterator<Item = &'static dyn Cow> {
    #[cfg(test)]
    let more = [&testing::AlwaysCopies as &dyn Cow];
    #[cfg(not(test))]
    let more = [];
    rules::COW.iter().copied().chain(more)
}

fn cows() -> Vec<&'static str> {
    known_cows().map(Cow::name).collect()
}

fn cow_named(name: &str) -> Option<&'static dyn Cow> {
    known_cows().find(|rule| rule.name() == name)
}

fn choose_cow(config: &mut Config, value: &str) {
    config.cow = cow_named(value).unwrap_or(config.cow);
}

fn unclaimed_by_cow(value: &str) -> &'static [Rule] {
    match cow_named(value).map(Cow::claims) {
        Some(Claims::Nothing) => EXCLUSIVITY,
        Some(Claims::Exclusivity) | None => &[],
    }
}

fn layout_locks() -> Vec<&'static str> {
    LayoutLock::ALL.iter().map(|lock| lock.name()).collect()
}

fn choose_layout_lock(config: &mut Config, value: &str) {
    let known = LayoutLock::ALL.iter().find(|lock| lock.name() == value);
    config.lock = known.copied().unwrap_or(config.lock);
}

fn walks() -> Vec<&'static str> {
    WalkRule::ALL.iter().map(WalkRule::name).collect()
}

fn choose_walk(config: &mut Config, value: &str) {
    let named = WalkRule::ALL.iter().find(|rule| rule.name() == value);
    config.walk = *named.unwrap_or(&config.walk);
}

/// Which value is chosen on which axes. Where nothing is chosen, the axis's first value holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// By axis.
    chosen: Vec<Option<&'static str>>,
}

impl Policy {
    /// Both choices together.
    ///
    /// # Errors
    ///
    /// When both choose on one axis; in one line.
    pub fn and(&self, other: &Policy) -> Result<Policy, String> {
        let mut both = self.clone();
        for (axis, value) in other.choices() {
            both.set(axis, value)?;
        }
        Ok(both)
    }

    /// Every axis with the value that holds on it.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        (0..AXES.len()).map(|axis| (AXES[axis].name, self.value(axis)))
    }

    /// What a manager has to be built with.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        for (axis, value) in self.choices() {
            (AXES[axis].choose)(&mut config, value);
        }
        config
    }

    /// The rules that an audit must not hold it to.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<Rule> {
        self.choices().flat_map(|(axis, value)| (AXES[axis].unclaimed)(value)).copied().collect()
    }

    fn choices(&self) -> impl Iterator<Item = (usize, &'static str)> + '_ {
        self.chosen.iter().enumerate().filter_map(|(axis, value)| value.map(|value| (axis, value)))
    }

    fn value(&self, axis: usize) -> &'static str {
        let first = || (AXES[axis].values)().first().copied().unwrap_or_default();
        self.chosen.get(axis).copied().flatten().unwrap_or_else(first)
    }

    fn set(&mut self, axis: usize, value: &'static str) -> Result<(), String> {
        self.chosen.resize(AXES.len(), None);
        match self.chosen[axis].replace(value) {
            None => Ok(()),
            Some(_) => Err(format!("'{}' is chosen twice", AXES[axis].name)),
        }
    }
}

/// What there is to choose.
fn known() -> String {
    let axes = AXES.iter().map(|axis| format!("{}={}", axis.name, (axis.values)().join("|")));
    axes.collect::<Vec<_>>().join(", ")
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut policy = Policy::default();
        for choice in text.split(',') {
            let (axis, value) = parse(choice).ok_or_else(|| format!("'{choice}' is none of {}", known()))?;
            policy.set(axis, value)?;
        }
        Ok(policy)
    }
}

fn parse(choice: &str) -> Option<(usize, &'static str)> {
    let (name, value) = choice.split_once('=')?;
    let axis = AXES.iter().position(|axis| axis.name == name)?;
    let values = (AXES[axis].values)();
    values.into_iter().find(|&known| known == value).map(|value| (axis, value))
}

/// As it is chosen on a command line, with all that holds if nothing is chosen.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |axis: usize| format!("{}={}", AXES[axis].name, self.value(axis));
        let chosen: Vec<_> = self.choices().map(|(axis, _)| shown(axis)).collect();
        let all = || (0..AXES.len()).map(shown).collect();
        f.write_str(&if chosen.is_empty() { all() } else { chosen }.join(","))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use freehold::object::cow::{Claims, Cow, Facts, Losing};
    use freehold::object::exclusive::Reuse;

    /// Copies what nobody else can see.
    pub(crate) struct AlwaysCopies;

    impl Cow for AlwaysCopies {
        fn name(&self) -> &'static str {
            "always-copies"
        }

        fn reuse(&self, _: &Facts) -> Reuse {
            Reuse::Copy
        }

        fn pinned_stays(&self, _: Losing) -> bool {
            true
        }

        fn unshares(&self) -> bool {
            true
        }

        fn upgrades(&self) -> bool {
            true
        }

        fn remembers(&self) -> bool {
            true
        }

        fn claims(&self) -> Claims {
            Claims::Exclusivity
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_shown_as_it_is_chosen() {
        for value in cows() {
            let text = format!("cow={value}");
            let policy: Policy = text.parse().expect("it is known");
            assert_eq!(policy.to_string(), text);
            assert_eq!(policy.config().cow.name(), value);
        }
        assert_eq!(Policy::default().to_string(), "cow=exclusive,lock=ranges,walk=epoch");
        let global: Policy = "lock=global".parse().expect("it is known");
        assert_eq!(global.config().lock, LayoutLock::Global);
    }

    #[test]
    fn a_rule_of_walks_is_chosen_by_its_name() {
        assert_eq!(walks(), ["epoch", "ipi", "counter", "percpu"]);
        for value in walks() {
            let policy: Policy = format!("walk={value}").parse().expect("it is known");
            assert_eq!(policy.config().walk.name(), value);
            assert_eq!(policy.unclaimed(), []);
        }
        let both: Policy = "walk=ipi,cow=mapcount".parse().expect("both are known");
        assert_eq!(both.to_string(), "cow=mapcount,walk=ipi");
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        for text in
            ["", "cow", "cow=", "=exclusive", "cow=Exclusive", "COW=exclusive", "cow=exclusive,", "a=b"]
        {
            let why = text.parse::<Policy>().expect_err(text);
            assert!(why.contains("cow=exclusive|"), "{text}: {why}");
        }
        let twice = "cow=exclusive,cow=exclusive".parse::<Policy>();
        assert_eq!(twice, Err("'cow' is chosen twice".into()));
    }

    #[test]
    fn the_baselines_do_not_claim_exclusive_pages() {
        let unclaimed = |text: &str| text.parse::<Policy>().expect("it is known").unclaimed();
        assert_eq!(unclaimed("cow=exclusive"), []);
        assert_eq!(unclaimed("cow=refcount"), EXCLUSIVITY);
        assert_eq!(unclaimed("cow=mapcount"), EXCLUSIVITY);
    }
}
