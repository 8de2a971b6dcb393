//! The words of a page that were stored.

/// Words of a page that have values of their own. Most pages have one.
#[derive(Clone, Default)]
pub(super) enum Words {
    #[default]
    None,
    One(u16, u64),
    /// Ascending.
    Many(Vec<(u16, u64)>),
}

impl Words {
    /// Words of a page.
    pub(super) const COUNT: usize = 512;

    #[inline]
    pub(super) fn get(&self, word: usize) -> Option<u64> {
        match self {
            Words::None => None,
            Words::One(at, value) => (usize::from(*at) == word).then_some(*value),
            Words::Many(words) => {
                let found = words.binary_search_by_key(&(word as u16), |entry| entry.0);
                found.ok().map(|place| words[place].1)
            }
        }
    }

    /// The words that have values of their own, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let one = match self {
            Words::One(at, value) => Some((*at, *value)),
            Words::None | Words::Many(_) => None,
        };
        let many = if let Words::Many(words) = self { words.as_slice() } else { &[] };
        one.into_iter().chain(many.iter().copied())
    }

    #[inline]
    pub(super) fn set(&mut self, word: usize, value: u64) {
        let new = (word as u16, value);
        match self {
            Words::None => *self = Words::One(new.0, new.1),
            Words::One(at, old) if *at == new.0 => *old = value,
            Words::One(at, old) => {
                let old = (*at, *old);
                *self = Words::Many(vec![old.min(new), old.max(new)]);
            }
            Words::Many(words) => match words.binary_search_by_key(&new.0, |entry| entry.0) {
                Ok(place) => words[place].1 = value,
                Err(place) => words.insert(place, new),
            },
        }
    }
}
