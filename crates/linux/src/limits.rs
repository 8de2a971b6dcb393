//! Resource limits that concern memory.

/// How many kinds of limits there are here.
pub(crate) const RESOURCES: usize = 4;

/// No limit (`RLIM_INFINITY`).
pub const UNLIMITED: u64 = u64::MAX;

/// A limit's kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// `RLIMIT_AS`: all of the address space.
    AddressSpace = 0,
    /// `RLIMIT_DATA`: private writable memory.
    Data = 1,
    /// `RLIMIT_STACK`: the stack.
    Stack = 2,
    /// `RLIMIT_MEMLOCK`: locked memory.
    Memlock = 3,
}

impl Resource {
    /// All of them.
    pub const ALL: [Resource; RESOURCES] =
        [Resource::AddressSpace, Resource::Data, Resource::Stack, Resource::Memlock];

    /// From Linux's number (x86-64); `None` for limits on other things than memory.
    pub const fn parse(number: u64) -> Option<Resource> {
        match number {
            2 => Some(Resource::Data),
            3 => Some(Resource::Stack),
            8 => Some(Resource::Memlock),
            9 => Some(Resource::AddressSpace),
            _ => None,
        }
    }
}

/// A soft and a hard limit, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit {
    /// The limit in force.
    pub soft: u64,
    /// How far a process may raise it.
    pub hard: u64,
}

impl Rlimit {
    /// No limit.
    pub const UNLIMITED: Rlimit = Rlimit { soft: UNLIMITED, hard: UNLIMITED };

    /// What Linux gives the first process.
    pub const fn initial(resource: Resource) -> Rlimit {
        match resource {
            Resource::AddressSpace | Resource::Data => Rlimit::UNLIMITED,
            Resource::Stack => Rlimit { soft: 8 << 20, hard: UNLIMITED },
            Resource::Memlock => Rlimit { soft: 8 << 20, hard: 8 << 20 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_linux_s() {
        assert_eq!(Resource::parse(9), Some(Resource::AddressSpace));
        assert_eq!(Resource::parse(2), Some(Resource::Data));
        assert_eq!(Resource::parse(3), Some(Resource::Stack));
        assert_eq!(Resource::parse(8), Some(Resource::Memlock));
        assert_eq!(Resource::parse(0), None);
        assert_eq!(Resource::parse(u64::MAX), None);
    }
}
