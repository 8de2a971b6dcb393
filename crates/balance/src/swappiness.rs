//! Whether anonymous pages or pages of files leave memory first (Linux: `vm.swappiness`).

/// How much rather anonymous pages go than pages of files, from 0 to 200.
///
/// Linux weighs two lists by it. Here it says by how many rounds of aging the pages of one kind are taken for
/// younger than they are: none at 100; one for anonymous pages from 50 on, two below; at 0 they go only when
/// there is nothing else. Above 100 it is the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swappiness(u8);

/// When pages of a kind go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// So many rounds later than pages of the other kind.
    Behind(u64),
    /// When nothing else is left.
    Last,
}

impl Swappiness {
    /// The most there is.
    pub const MAX: u64 = 200;

    /// `None` above 200.
    pub const fn new(value: u64) -> Option<Swappiness> {
        if value <= Swappiness::MAX { Some(Swappiness(value as u8)) } else { None }
    }

    /// As a number.
    pub const fn get(self) -> u64 {
        self.0 as u64
    }

    /// When anonymous pages go.
    pub(crate) const fn anonymous(self) -> When {
        match self.0 {
            0 => When::Last,
            1..50 => When::Behind(2),
            50..100 => When::Behind(1),
            _ => When::Behind(0),
        }
    }

    /// When pages of files go.
    pub(crate) const fn files(self) -> When {
        Swappiness(Swappiness::MAX as u8 - self.0).anonymous()
    }
}

impl Default for Swappiness {
    /// Linux's.
    fn default() -> Self {
        Swappiness(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_kinds_change_places_at_a_hundred() {
        let of = |value| Swappiness::new(value).map(|s| (s.anonymous(), s.files()));
        let (now, later, last) = (When::Behind(0), When::Behind(1), When::Last);
        assert_eq!(of(0), Some((last, now)));
        assert_eq!(of(49), Some((When::Behind(2), now)));
        assert_eq!(of(60), Some((later, now)));
        assert_eq!(of(100), Some((now, now)));
        assert_eq!(of(140), Some((now, later)));
        assert_eq!(of(200), Some((now, last)));
        assert_eq!(of(201), None);
    }
}
