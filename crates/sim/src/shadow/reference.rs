//! References: loads of a program's pages that are not one with its memory.
//!
//! A pipe that vmsplice(2) put pages into, and the kernel while it copies out of a program's memory
//! (write(2), process_vm_readv(2)), find what was there when the call began, or what the same program
//! stored later; whether they see the latter is open (kernel-facts CR28). They never find what another
//! program stored to a copy of its own (C-1, C-2). Of a shared file they may find what anybody stored
//! later.

use crate::shadow::files::Extent;
use crate::shadow::holds::{Place, Reference, References, Referred, Target};
use crate::shadow::mismatch::{Expected, Mismatch, mismatch};
use crate::shadow::model::Shadow;
use crate::shadow::page::Page;
use crate::shadow::source::Source;
use machine::{PAGE_SIZE, VirtAddr, Vpn, VpnRange};

impl Shadow {
    /// A call begins that takes a reference to pages of a process, or that copies out of them. What is
    /// found from now on is judged by [`Shadow::reference_load`], until [`Shadow::release`].
    pub fn refer(&mut self, pid: u32, range: VpnRange) -> Reference {
        let pages = (range.start.0..range.end.0).map(|number| self.referred_page(pid, number)).collect();
        let reference = self.holds.next();
        self.holds.references.insert(reference, References { pid, range, taking: true, pages });
        Reference(reference)
    }

    /// The call took its reference (or made its copy). Pages that changed hands meanwhile are not judged.
    /// An error if nothing was mapped that it could have taken.
    pub fn referred(&mut self, reference: Reference) -> Result<(), Mismatch> {
        let Some(mut taken) = self.holds.references.remove(&reference.0) else { return Err(no_such(None)) };
        taken.taking = false;
        let pid = taken.pid;
        let mut found = Ok(());
        for (page, number) in taken.pages.iter_mut().zip(taken.range.start.0..) {
            let is_mapped = self.processes.get_mut(&pid).is_some_and(|p| p.source(number).is_some());
            if page.missing && !is_mapped && !self.is_changing(pid, number) {
                found = Err(mismatch(pid, Vpn(number).addr(), None, Expected::Unmapped));
            }
            if self.is_changing(pid, number) {
                page.place = Place::Unclear;
            }
        }
        self.holds.references.insert(reference.0, taken);
        found
    }

    /// The reference is given up.
    pub fn release(&mut self, reference: Reference) {
        self.holds.references.remove(&reference.0);
    }

    fn referred_page(&mut self, pid: u32, number: u64) -> Referred {
        let unclear = |missing| Referred {
            place: Place::Unclear,
            missing,
            base: Page::default(),
            others: Default::default(),
            file: None,
        };
        let is_changing = self.is_changing(pid, number);
        let Some(process) = self.processes.get_mut(&pid) else { return unclear(true) };
        let (source, is_own) = (process.source(number), process.page(number).is_some());
        let file = match source {
            Some(Source::Private { file, page }) if !is_own => Some((file, page)),
            Some(Source::Shared { file, page }) => Some((file, page)),
            _ => None,
        };
        let extent = file.map_or(Extent::Inside, |(file, page)| self.files.extent(file, page));
        let Some(base) = process.copy_of(&self.files, number) else { return unclear(true) };
        if is_changing || extent != Extent::Inside {
            return unclear(false);
        }
        let others = process.unsettled_in(number).map(|(word, values)| (word, values.to_vec())).collect();
        let place = match (source, file) {
            (Some(Source::Shared { .. }), Some((file, page))) => Place::Shared(file, page),
            _ => Place::Mapped(number),
        };
        let mut page = Referred { place, missing: false, base, others, file };
        self.add_coming(pid, number, &mut page);
        page
    }

    /// Stores of the kernel that are under way may be there already.
    fn add_coming(&mut self, pid: u32, number: u64, page: &mut Referred) {
        for coming in self.holds.coming() {
            let word = match coming.target {
                Target::Private(of, addr) if of == pid && addr.page().0 == number => {
                    Some((addr.offset() / 8) as usize)
                }
                Target::File(file, of, word) if page.file == Some((file, of)) => Some(word),
                Target::Private(..) | Target::File(..) => None,
            };
            if let Some(word) = word {
                page.add(word, coming.value);
            }
        }
    }

    /// Through the reference, `offset` bytes from its start (rounded down to a word), `value` was found.
    pub fn reference_load(&mut self, reference: Reference, offset: u64, value: u64) -> Result<(), Mismatch> {
        self.loads += 1;
        let Some(taken) = self.holds.references.get(&reference.0) else { return Err(no_such(Some(value))) };
        let page = taken.pages.get((offset / PAGE_SIZE) as usize);
        let Some(page) = page else { return Err(no_such(Some(value))) };
        let word = (offset % PAGE_SIZE / 8) as usize;
        let mut values = vec![page.base.word(word)];
        values.extend(page.others.get(&word).into_iter().flatten());
        if page.place == Place::Unclear || values.contains(&value) {
            return Ok(());
        }
        let addr = VirtAddr(taken.range.start.addr().0 + (offset & !7));
        let source = "through a reference".into();
        Err(Mismatch { source, ..mismatch(taken.pid, addr, Some(value), Expected::Value(values)) })
    }
}

fn no_such(got: Option<u64>) -> Mismatch {
    let source = "through a reference that is none".into();
    Mismatch { source, ..mismatch(0, VirtAddr(0), got, Expected::Unmapped) }
}
