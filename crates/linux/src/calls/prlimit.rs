//! `prlimit`, `getrlimit`, `setrlimit`, as far as they concern memory.

use crate::errno::Errno;
use crate::limits::{Resource, Rlimit};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine};

impl<'m, M: Machine> Linux<'m, M> {
    /// `prlimit(resource, new)`: answers the old limit. `EINVAL` for a resource that is not memory's (the
    /// kernel around knows those) and for a soft limit above the hard one, `EPERM` for raising the hard
    /// one.
    pub fn prlimit(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        resource: u64,
        new: Option<Rlimit>,
    ) -> Result<Rlimit, Errno> {
        // LINUX: the resource is an unsigned int.
        let resource = Resource::parse(resource & u64::from(u32::MAX)).ok_or(Errno::EINVAL)?;
        let object = self.process(process);
        let old = object.limit(resource);
        let Some(new) = new else { return Ok(old) };
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        if new.hard > old.hard {
            return Err(Errno::EPERM);
        }
        let space = self.space_of(process)?;
        object.set_limit(resource, new);
        self.spaces().set_limits(cx.at(), space, &object.limits());
        Ok(old)
    }
}
