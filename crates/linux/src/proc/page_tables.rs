//! `/sys/kernel/debug/page_tables`, for a process.

use crate::process::Process;
use crate::system::Linux;
use core::fmt::{self, Write};
use frame::Id;
use machine::{Cx, EntryFormat, Level, Machine, PAGE_SHIFT, PAGE_SIZE, Vpn, VpnRange};
use table::Mapped;

/// Letters of the units in which sizes are shown, each 1024 times the one before.
const UNITS: &str = "KMGTPE";

/// One line (Linux: `note_page`, `printk_prot`): addresses, size, rights, level.
fn line(out: &mut dyn Write, mapped: &Mapped) -> fmt::Result {
    let (start, end) = (mapped.pages.start.addr().0, mapped.pages.end.addr().0);
    let mut size = mapped.pages.pages() * (PAGE_SIZE / 1024);
    let mut units = UNITS.chars();
    let mut unit = units.next().unwrap_or('K');
    while size.is_multiple_of(1024)
        && let Some(next) = units.next()
    {
        (size, unit) = (size / 1024, next);
    }
    let access = match (mapped.perms.allow(machine::Access::Read), mapped.perms.write) {
        (false, _) => "--",
        (true, false) => "ro",
        (true, true) => "RW",
    };
    let (large, name) = if mapped.level > Level::LEAF { ("PSE", "pmd") } else { ("   ", "pte") };
    let execute = if mapped.perms.execute { "x " } else { "NX" };
    writeln!(out, "0x{start:016x}-0x{end:016x} {size:>11}{unit} USR {access} {large} {execute} {name}")
}

impl<'m, M: Machine> Linux<'m, M> {
    /// Writes what the page tables of a process map, a line for each run of equal entries, in the form of
    /// Linux's `page_tables/current_user` without the bits that no user entry differs in. No lock is held
    /// and nobody is held up: each line was true when its entries were read. A process that has exited has
    /// none.
    // LINUX: mm/ptdump.c ptdump_walk_pgd(), which holds the space's lock for writing.
    pub fn page_tables(&self, cx: &mut Cx<'m, M>, process: Id<Process>, out: &mut dyn Write) -> fmt::Result {
        let mut written = Ok(());
        let user = VpnRange::new(Vpn(0), Vpn(M::Entry::USER_END >> PAGE_SHIFT));
        let dumped = self.with_space_of(cx, process, |cx, space| {
            if let Some(table) = self.spaces().space(space).table() {
                self.spaces().walker(table).dump(cx.at(), user, |_, mapped| {
                    if written.is_ok() {
                        written = line(out, &mapped);
                    }
                });
            }
            Ok(())
        });
        dumped.map_or(Ok(()), |()| written)
    }
}
