//! One process of the model: its ranges, and the words stored to its private pages.

use crate::shadow::files::{Extent, Files};
use crate::shadow::lazy::Lazy;
use crate::shadow::page::Page;
use crate::shadow::source::{Keep, Source};
use machine::{FileKey, PAGE_SIZE, VirtAddr, Vpn, VpnRange};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pages that are shared with a forked process as one.
const CHUNK: u64 = 64;

#[derive(Clone)]
struct Chunk([Option<Page>; CHUNK as usize]);

#[derive(Clone, Copy)]
struct Range {
    end: u64,
    source: Source,
}

/// What the model says of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cell {
    Word(u64),
    Unmapped,
    BeyondEnd,
    /// Anything is right: a truncation is under way.
    Free,
}

/// A process. Copying it (fork) shares the pages until one side stores.
#[derive(Clone, Default)]
pub(super) struct Process {
    ranges: BTreeMap<u64, Range>,
    chunks: BTreeMap<u64, Rc<Chunk>>,
    /// Values beside the model's own that a word may have, from stores that raced with a call.
    unsettled: BTreeMap<u64, Vec<u64>>,
    /// Pages that may have been dropped, or may be.
    pub(super) lazy: BTreeMap<u64, Lazy>,
    /// The range found last.
    recent: Option<(u64, Range)>,
}

fn at(source: Source, pages: u64) -> Source {
    match source {
        Source::Anonymous => Source::Anonymous,
        Source::Private { file, page } => Source::Private { file, page: page.wrapping_add(pages) },
        Source::Shared { file, page } => Source::Shared { file, page: page.wrapping_add(pages) },
    }
}

impl Process {
    /// Where a page's bytes come from.
    #[inline]
    pub(super) fn source(&mut self, page: u64) -> Option<Source> {
        let recent = self.recent.filter(|(start, range)| (*start..range.end).contains(&page));
        let (start, range) = match recent {
            Some(found) => found,
            None => {
                let (&start, &range) = self.ranges.range(..=page).next_back()?;
                if page >= range.end {
                    return None;
                }
                self.recent = Some((start, range));
                (start, range)
            }
        };
        Some(at(range.source, page - start))
    }

    /// The first mapped page from `page` on.
    pub(super) fn next_mapped(&self, page: u64) -> Option<u64> {
        let before = self.ranges.range(..page).next_back().filter(|(_, range)| range.end > page);
        before.map(|_| page).or_else(|| self.ranges.range(page..).next().map(|(&start, _)| start))
    }

    /// A private page that was stored to.
    #[inline]
    pub(super) fn page(&self, page: u64) -> Option<&Page> {
        self.chunks.get(&(page / CHUNK))?.0[(page % CHUNK) as usize].as_ref()
    }

    /// A private page to store to; `fresh` makes it at the first store.
    fn page_mut(&mut self, page: u64, fresh: impl FnOnce() -> Page) -> &mut Page {
        let chunk = self.chunks.entry(page / CHUNK);
        let chunk = chunk.or_insert_with(|| Rc::new(Chunk(std::array::from_fn(|_| None))));
        Rc::make_mut(chunk).0[(page % CHUNK) as usize].get_or_insert_with(fresh)
    }

    /// What the model says of a word.
    #[inline]
    pub(super) fn cell(&mut self, files: &Files, addr: VirtAddr) -> Cell {
        let page = addr.page().0;
        let Some(source) = self.source(page) else { return Cell::Unmapped };
        self.cell_of(files, source, page, (addr.offset() / 8) as usize)
    }

    fn cell_of(&self, files: &Files, source: Source, page: u64, word: usize) -> Cell {
        if !matches!(source, Source::Shared { .. })
            && let Some(own) = self.page(page)
        {
            return Cell::Word(own.word(word));
        }
        fresh_cell(files, source, word)
    }

    pub(super) fn store(&mut self, files: &mut Files, addr: VirtAddr, value: u64) -> Cell {
        if !self.unsettled.is_empty() {
            self.unsettled.remove(&addr.0);
        }
        let (page, word) = (addr.page().0, (addr.offset() / 8) as usize);
        if let Some(lazy) = self.lazy.get_mut(&page) {
            lazy.store(word, value);
        }
        match self.source(page) {
            None => Cell::Unmapped,
            Some(Source::Anonymous) => {
                self.page_mut(page, Page::default).set(word, value);
                Cell::Word(value)
            }
            Some(Source::Shared { file, page }) => match files.extent(file, page) {
                Extent::Beyond => Cell::BeyondEnd,
                Extent::Cutting => Cell::Free,
                Extent::Inside => {
                    files.store(file, page, word, value);
                    Cell::Word(value)
                }
            },
            Some(Source::Private { file, page: of }) => {
                if files.extent(file, of) == Extent::Beyond && self.page(page).is_none() {
                    return Cell::BeyondEnd;
                }
                self.page_mut(page, || Page::of_file(files, file, of)).set(word, value);
                Cell::Word(value)
            }
        }
    }

    /// Whether a page may have been dropped, or may be.
    pub(super) fn is_lazy(&self, page: u64) -> bool {
        !self.lazy.is_empty() && self.lazy.contains_key(&page)
    }

    /// Forgets which pages of a range may be dropped; answers them.
    pub(super) fn take_lazy(&mut self, range: &VpnRange) -> Vec<(u64, Lazy)> {
        if self.lazy.is_empty() || range.is_empty() {
            return Vec::new();
        }
        let pages: Vec<u64> = self.lazy.range(range.start.0..range.end.0).map(|(&page, _)| page).collect();
        pages.into_iter().filter_map(|page| Some((page, self.lazy.remove(&page)?))).collect()
    }

    /// The numbers of the private pages of a range that were stored to.
    pub(super) fn own_pages(&self, range: &VpnRange) -> Vec<u64> {
        if range.is_empty() {
            return Vec::new();
        }
        let chunks = self.chunks.range(range.start.0 / CHUNK..=(range.end.0 - 1) / CHUNK);
        let pages = chunks.flat_map(|(&chunk, pages)| (chunk * CHUNK..).zip(&pages.0));
        let inside = pages.filter(|(page, own)| own.is_some() && range.contains(Vpn(*page)));
        inside.map(|(page, _)| page).collect()
    }

    pub(super) fn is_anonymous(&mut self, page: u64) -> bool {
        self.source(page) == Some(Source::Anonymous)
    }

    /// A private page has these bytes.
    pub(super) fn replace_page(&mut self, page: u64, bytes: Page) {
        *self.page_mut(page, Page::default) = bytes;
    }

    /// A page was filled with a class, word by word: keep it as one.
    pub(super) fn set_class(&mut self, addr: VirtAddr, class: u64) {
        let page = addr.page().0;
        if matches!(self.source(page), Some(Source::Anonymous | Source::Private { .. })) {
            let filled = Page::of_class(class);
            *self.page_mut(page, || filled.clone()) = filled.clone();
        }
    }

    /// Whether a private page has the bytes of a class, all of them.
    pub(super) fn has_class(&mut self, addr: VirtAddr, class: u64) -> bool {
        let page = addr.page();
        let settled = || self.unsettled.range(page.addr().0..page.addr().0 + PAGE_SIZE).next().is_none();
        match self.page(page.0) {
            Some(own) => own.class() == Some(class) && settled() && !self.is_lazy(page.0),
            None => class == 0 && self.source(page.0) == Some(Source::Anonymous),
        }
    }

    /// Every word stored to a private page, with the value it must have; of a page of a class the first and
    /// the last. Words that are not settled are left out.
    pub(super) fn for_each_stored(&self, see: &mut dyn FnMut(VirtAddr, u64)) {
        for (&chunk, pages) in &self.chunks {
            for (page, own) in (chunk * CHUNK..).zip(&pages.0) {
                for (word, value) in own.iter().flat_map(Page::stored) {
                    let addr = VirtAddr(Vpn(page).addr().0 + u64::from(word) * 8);
                    if !self.is_unsettled(addr) {
                        see(addr, value);
                    }
                }
            }
        }
    }

    /// A private page becomes the process's own though nothing is stored to it.
    pub(super) fn break_sharing(&mut self, files: &Files, page: u64) {
        if let Some(Source::Private { file, page: of }) = self.source(page) {
            self.page_mut(page, || Page::of_file(files, file, of));
        }
    }

    /// The bytes of a page as they are now; `None` if nothing is mapped there.
    pub(super) fn copy_of(&mut self, files: &Files, page: u64) -> Option<Page> {
        match self.source(page)? {
            Source::Shared { file, page } => Some(Page::of_file(files, file, page)),
            Source::Anonymous => Some(self.page(page).cloned().unwrap_or_default()),
            Source::Private { file, page: of } => {
                Some(self.page(page).cloned().unwrap_or_else(|| Page::of_file(files, file, of)))
            }
        }
    }

    // ---- words that are not settled ----

    /// The words of a page that are not settled, each with the values it may have beside the model's.
    pub(super) fn unsettled_in(&self, page: u64) -> impl Iterator<Item = (usize, &[u64])> {
        let start = Vpn(page).addr().0;
        let words = self.unsettled.range(start..start + PAGE_SIZE);
        words.map(move |(&addr, values)| (((addr - start) / 8) as usize, values.as_slice()))
    }

    pub(super) fn is_unsettled(&self, addr: VirtAddr) -> bool {
        let by_races = !self.unsettled.is_empty() && self.unsettled.contains_key(&addr.0);
        by_races || self.is_lazy(addr.page().0)
    }

    pub(super) fn unsettled(&self, addr: VirtAddr) -> &[u64] {
        self.unsettled.get(&addr.0).map_or(&[], Vec::as_slice)
    }

    /// The word holds what the model says.
    pub(super) fn settle(&mut self, addr: VirtAddr) {
        self.unsettled.remove(&addr.0);
    }

    /// The word may also hold `value`, unless it is shared (then its value is settled elsewhere).
    pub(super) fn unsettle(&mut self, addr: VirtAddr, value: u64) {
        if matches!(self.source(addr.page().0), Some(Source::Anonymous | Source::Private { .. })) {
            self.unsettled.entry(addr.0).or_default().push(value);
        }
    }

    // ---- layout ----

    /// Splits ranges so that one starts at `page`, if `page` is mapped.
    fn split(&mut self, page: u64) {
        self.recent = None;
        let Some((&start, &range)) = self.ranges.range(..page).next_back() else { return };
        if range.end > page {
            self.ranges.insert(start, Range { end: page, ..range });
            self.ranges.insert(page, Range { end: range.end, source: at(range.source, page - start) });
        }
    }

    /// The ranges within a range of pages, cut to it.
    fn cut(&mut self, range: &VpnRange) -> Vec<(u64, Range)> {
        self.split(range.start.0);
        self.split(range.end.0);
        self.ranges.range(range.start.0..range.end.0.max(range.start.0)).map(|(&s, &r)| (s, r)).collect()
    }

    pub(super) fn map(&mut self, range: VpnRange, source: Source) {
        if range.is_empty() {
            return;
        }
        self.unmap(&range);
        let (mut start, mut end, mut source) = (range.start.0, range.end.0, source);
        // Neighbours that go on alike become one range, so that growing by pages stays cheap.
        if let Some((&before, &left)) = self.ranges.range(..start).next_back()
            && left.end == start
            && at(left.source, start - before) == source
        {
            (start, source) = (before, left.source);
        }
        if let Some(&right) = self.ranges.get(&end)
            && at(source, end - start) == right.source
        {
            self.ranges.remove(&end);
            end = right.end;
        }
        self.ranges.insert(start, Range { end, source });
        self.recent = None;
    }

    pub(super) fn unmap(&mut self, range: &VpnRange) {
        for (start, _) in self.cut(range) {
            self.ranges.remove(&start);
        }
        self.wipe(range);
    }

    /// Forgets what was stored to private pages.
    pub(super) fn wipe(&mut self, range: &VpnRange) {
        drop(self.take_pages(range));
        drop(self.take_lazy(range));
        if !self.unsettled.is_empty() && !range.is_empty() {
            let words: Vec<_> =
                self.unsettled.range(range.start.addr().0..range.end.addr().0).map(|w| *w.0).collect();
            for word in words {
                self.unsettled.remove(&word);
            }
        }
    }

    /// Takes the private pages out of a range.
    fn take_pages(&mut self, range: &VpnRange) -> Vec<(u64, Page)> {
        let mut taken = Vec::new();
        if range.is_empty() {
            return taken;
        }
        let (first, last) = (range.start.0 / CHUNK, (range.end.0 - 1) / CHUNK);
        let chunks: Vec<u64> = self.chunks.range(first..=last).map(|(&number, _)| number).collect();
        for number in chunks {
            let Some(chunk) = self.chunks.get_mut(&number) else { continue };
            let inside = |page: u64| range.contains(Vpn(page));
            let pages = number * CHUNK..(number + 1) * CHUNK;
            if pages.clone().all(|page| !inside(page) || chunk.0[(page % CHUNK) as usize].is_none()) {
                continue;
            }
            let own = Rc::make_mut(chunk);
            for page in pages.filter(|&page| inside(page)) {
                taken.extend(own.0[(page % CHUNK) as usize].take().map(|found| (page, found)));
            }
            if own.0.iter().all(Option::is_none) {
                self.chunks.remove(&number);
            }
        }
        taken
    }

    /// Moves ranges and pages. The new place was unmapped or is replaced.
    pub(super) fn relocate(&mut self, from: &VpnRange, to: &VpnRange, keep: Keep) {
        let ranges = self.cut(from);
        let (pages, lazy) = (self.take_pages(from), self.take_lazy(from));
        let moved: Vec<(u64, Vec<u64>)> = self
            .unsettled
            .range(from.start.addr().0..from.end.addr().0.max(from.start.addr().0))
            .map(|(&addr, values)| (addr, values.clone()))
            .collect();
        if keep == Keep::Mapping {
            self.wipe(from);
        } else {
            self.unmap(from);
        }
        self.unmap(to);
        for (start, range) in ranges {
            let place = VpnRange::sized(Vpn(start - from.start.0 + to.start.0), range.end - start);
            self.map(place.intersect(to), range.source);
        }
        for (page, content) in pages {
            let place = page - from.start.0 + to.start.0;
            if to.contains(Vpn(place)) {
                *self.page_mut(place, || content.clone()) = content.clone();
            }
        }
        for (page, lazy) in lazy {
            let place = page - from.start.0 + to.start.0;
            if to.contains(Vpn(place)) {
                self.lazy.insert(place, lazy);
            }
        }
        for (addr, values) in moved {
            self.unsettled.insert(addr - from.start.addr().0 + to.start.addr().0, values);
        }
    }

    /// Where pages of a file from page `first` on are mapped privately.
    pub(super) fn beyond(&self, file: FileKey, first: u64) -> Vec<VpnRange> {
        let affected = self.ranges.iter().filter_map(|(&start, range)| match range.source {
            Source::Private { file: of, page } if of == file => {
                let skip = first.saturating_sub(page);
                let from = start.saturating_add(skip);
                (from < range.end).then_some(VpnRange::new(Vpn(from), Vpn(range.end)))
            }
            _ => None,
        });
        affected.collect()
    }

    // ---- what a change would make of a word ----

    /// The word as a new mapping or an empty private page has it.
    pub(super) fn without_page(&mut self, files: &Files, addr: VirtAddr) -> Option<u64> {
        let source = self.source(addr.page().0)?;
        match source {
            Source::Shared { .. } => word_of(self.cell(files, addr)),
            _ => word_of(fresh_cell(files, source, (addr.offset() / 8) as usize)),
        }
    }

    /// Names where a word's bytes come from.
    pub(super) fn describe(&mut self, addr: VirtAddr) -> String {
        let page = addr.page().0;
        let Some(source) = self.source(page) else { return "nothing".into() };
        let own = if self.page(page).is_some() { ", stored to" } else { ", never stored to" };
        match source {
            Source::Anonymous => format!("anonymous{own}"),
            Source::Private { file, page } => format!("private, file {:#x} page {page}{own}", file.0),
            Source::Shared { file, page } => format!("shared, file {:#x} page {page}", file.0),
        }
    }
}

fn word_of(cell: Cell) -> Option<u64> {
    match cell {
        Cell::Word(value) => Some(value),
        _ => None,
    }
}

/// A word of a page that the process never stored to.
pub(super) fn fresh_cell(files: &Files, source: Source, word: usize) -> Cell {
    match source {
        Source::Anonymous => Cell::Word(0),
        Source::Private { file, page } | Source::Shared { file, page } => match files.extent(file, page) {
            Extent::Inside => Cell::Word(files.word(file, page, word)),
            Extent::Beyond => Cell::BeyondEnd,
            Extent::Cutting => Cell::Free,
        },
    }
}

/// A source further on in its range.
pub(super) fn source_at(source: Source, pages: u64) -> Source {
    at(source, pages)
}
