//! Every rule is broken by hand, and its checker fires: a checker that never fired is not trusted.

mod common;

use common::*;
use fault::How;
use frame::{Exclusive, Flags, Id, MigrateType, Request, State};
use machine::entry::Attrs;
use machine::x86_64::X86_64;
use machine::{Access, CpuId, EntryFormat, KernelFrame, Level, Machine, Order, Pfn, Vpn, VpnRange};
use object::ksm::Node;
use object::{File, FileKind, Held, PageCtx, Target, Want, owner_id};
use oracle::{Link, Rule};
use space::{Advice, Grow, LockMode, Space, VmaFlags};
use std::collections::BTreeSet;
use table::{MigrationKind, PageTable, Rss, Slot, Soft, Sole};

/// Pages of the sample space, each the first of a mapping.
const ANON: Vpn = Vpn(0x1000);
const PRIVATE: Vpn = Vpn(0x2000);
const SHARED: Vpn = Vpn(0x3000);
const MOVED: Vpn = Vpn(0x4000);
const SPARSE: Vpn = Vpn(0x5000);
const MEMORY: Vpn = Vpn(0x6000);
const MERGED: Vpn = Vpn(0x7000);
const SWAPPED: Vpn = Vpn(0x9000);
const WRITE_BIT: u64 = 1 << 1;
const DIRTY_BIT: u64 = 1 << 6;
const LOCKED_BIT: u64 = 1 << 10;

/// An entry of the sample that names a slot.
fn swap_entry(s: &mut Sample<'_>, slot: Slot, sole: Sole) {
    let table = s.world.table(s.parent);
    let spaces = s.world.faults.spaces();
    let mut leaf = spaces.walker(table).lock_leaf(s.world.cxs[0].at(), ANON + 13).expect("a table");
    leaf.install(ANON + 13, Soft::Swap { slot, sole }.entry::<Machinery>(), Some(Rss::Swap));
}

/// A machine with some of everything.
struct Sample<'m> {
    world: World<'m>,
    parent: Id<Space>,
    file: Id<File>,
}

impl<'m> Sample<'m> {
    fn new(machine: &'m Machinery) -> Self {
        let mut world = World::new(machine);
        let parent = world.create();
        world.run_on(0, Some(parent));
        let file = world.open(1, FileKind::Regular, 64);
        let memory = world.open(2, FileKind::Memory, 8);
        let anon = world.anon(parent, ANON.0, 16, RW);
        world.touch_all(0, VpnRange::sized(anon.start, 12), Access::Write);
        let fork = world.fork(parent);
        world.touch_all(0, VpnRange::sized(anon.start, 4), Access::Write);
        world.touch(0, anon.start + 12, Access::Read);
        world.map_at(parent, PRIVATE.0, 16, RW, More::private(file, 0));
        world.touch_all(0, VpnRange::sized(PRIVATE, 8), Access::Read);
        world.touch(0, PRIVATE + 2, Access::Write);
        world.map_at(parent, SHARED.0, 16, RW, More::shared(file, 0));
        world.touch_all(0, VpnRange::sized(SHARED, 16), Access::Read);
        world.touch(0, SHARED + 1, Access::Write);
        world.map_at(parent, MEMORY.0, 8, RW, More::shared(memory, 0));
        world.touch_all(0, VpnRange::sized(MEMORY, 8), Access::Write);
        let locked = world.anon(parent, SPARSE.0, 64, RX);
        let spaces = world.faults.spaces();
        spaces.lock(world.cxs[0].at(), parent, locked, LockMode::OnFault).expect("locked");
        world.touch(0, SPARSE + 7, Access::Read);
        world.map_at(parent, 0x8_0000, 16, RW, More::flags(VmaFlags::GROWS_DOWN));
        let moved = space::Remap {
            old: VpnRange::sized(ANON + 14, 2),
            new_pages: 2,
            place: space::RemapPlace::Fixed(MOVED),
            source: space::Source::Unmap,
        };
        world.touch_all(0, VpnRange::sized(ANON + 14, 2), Access::Write);
        world.faults.spaces().remap(world.cxs[0].at(), parent, &moved).expect("moved");
        world.touch_all(0, VpnRange::sized(MOVED, 2), Access::Write);
        let _ = fork;
        let mut held = [Held::Nothing];
        let how = How::pin(Access::Write);
        world.faults.hold(world.cxs[0].at(), parent, (ANON + 3, how), &mut held).expect("a pin");
        world.pins.extend(held[0].frame().map(|frame| frame.0));
        let swapped = world.anon(parent, SWAPPED.0, 2, RW);
        world.touch_all(0, swapped, Access::Write);
        let spaces = world.faults.spaces();
        let area = object::swap::SwapDevice::Compressed { disk: 0, pages: 16 };
        spaces.objects().swap_on(world.cxs[0].at(), area, None).expect("an area");
        spaces.advise(world.cxs[0].at(), parent, swapped, Advice::PageOut).expect("advised");
        // One comes back and stays in the cache, one stays where it is.
        world.touch(0, SWAPPED, Access::Read);
        let mut sample = Sample { world, parent, file };
        sample.merge();
        sample
    }

    /// Two pages become one, and a third the page of zeros.
    fn merge(&mut self) {
        let range = self.world.anon(self.parent, MERGED.0, 4, RW);
        self.world.touch_all(0, VpnRange::sized(range.start, 3), Access::Write);
        let (world, parent) = (&mut self.world, self.parent);
        let (spaces, cx) = (world.faults.spaces(), &mut world.cxs[0]);
        spaces.advise(cx.at(), parent, range, Advice::Mergeable).expect("advice");
        let node = spaces.objects().new_stable_node(cx.at(), 7).expect("a node");
        let mut merge = |page: Vpn, target: fn(Id<Node>, Pfn) -> Target, merged: Option<Pfn>| {
            let pfn = spaces.mergeable_at(cx.at(), parent, page).expect("a page");
            let target = target(node, merged.unwrap_or(pfn));
            spaces.merge_page(cx.at(), (parent, page), pfn, target).expect("merged");
            spaces.frames().put(cx.at(), pfn);
            pfn
        };
        let merged = merge(MERGED, |node, _| Target::Itself(node), None);
        merge(MERGED + 1, Target::Page, Some(merged));
        merge(MERGED + 2, |_, _| Target::Zero, None);
        spaces.objects().publish_stable_node(cx, node, merged);
    }

    /// The node of the merged pages.
    fn node(&self) -> Id<Node> {
        owner_id(self.page(self.frame_at(MERGED)).quiet_owner().0).expect("a node")
    }

    /// A page that the parent has alone, and may write.
    fn own(&self) -> Pfn {
        self.frame_at(ANON)
    }

    /// A page that parent and child share.
    fn common(&self) -> Pfn {
        self.frame_at(ANON + 8)
    }

    fn frame_at(&self, page: Vpn) -> Pfn {
        Pfn((get(self.world.entry_word(self.parent, page)) >> 12) as u32)
    }

    fn entry(&self, page: Vpn) -> &'m machine::Word {
        self.world.entry_word(self.parent, page)
    }

    fn page(&self, pfn: Pfn) -> &'m frame::Descriptor {
        self.world.frames().descriptor(pfn)
    }

    /// Brings a page of the file into the cache without mapping it; answers its frame.
    fn cached(&mut self, index: u64) -> Pfn {
        let (world, ctx) = (&mut self.world, PageCtx { file: self.file, index });
        let objects = world.faults.spaces().objects();
        let fetched = objects.page(world.cxs[0].at(), ctx, Want::Read).expect("read").expect("a page");
        let pfn = fetched.page.pfn();
        objects.release(world.cxs[0].at(), fetched.page);
        pfn
    }

    /// Fills an empty entry behind everybody's back.
    fn install(&mut self, page: Vpn, frame: Pfn, attrs: Attrs, rss: Option<Rss>) {
        let table = self.world.table(self.parent);
        let spaces = self.world.faults.spaces();
        let locked = self.find_vma(page).is_some_and(|vma| vma.flags().is_locked());
        let attrs = Attrs { locked, ..attrs };
        let cx = self.world.cxs[0].at();
        let mut leaf = spaces.walker(table).lock_leaf(cx, page).expect("a table");
        leaf.install(page, X86_64::leaf(frame, attrs, Level::LEAF), rss);
    }

    fn install_zero(&mut self, page: Vpn, rss: Option<Rss>) {
        let zero = self.world.objects().zero_frame();
        self.install(page, zero, Attrs { perms: READ, special: true, ..Attrs::default() }, rss);
    }

    fn vma(&self, page: Vpn) -> &'m space::Vma {
        self.find_vma(page).expect("a VMA")
    }

    fn find_vma(&self, page: Vpn) -> Option<&'m space::Vma> {
        let spaces = self.world.spaces();
        let mut all = spaces.quiet_vmas(self.parent);
        all.find(|(range, _)| range.contains(page)).map(|(_, id)| spaces.vma(id))
    }
}

/// A way to break a rule, and what else it breaks.
struct Plant {
    rule: Rule,
    what: &'static str,
    also: &'static [Rule],
    plant: fn(&mut Sample<'_>),
}

const fn plant(rule: Rule, what: &'static str, plant: fn(&mut Sample<'_>)) -> Plant {
    Plant { rule, what, also: &[], plant }
}

const fn plant_with(
    rule: Rule,
    also: &'static [Rule],
    what: &'static str,
    plant: fn(&mut Sample<'_>),
) -> Plant {
    Plant { rule, what, also, plant }
}

const PLANTS: &[Plant] = &[
    // ---- frames ----
    plant(Rule::FR1, "a zone claims a frame more than it has", |s| {
        let zone = s.world.frames().zones().next().expect("a zone");
        let words = s.world.boot_words().windows(9).find(|words| {
            let at = |i: usize| get(&words[i]);
            (at(1), at(2), at(7), at(8)) == (zone.free, zone.unfed, zone.present, zone.managed)
        });
        add(&words.expect("the zone's words")[8], 1);
    }),
    plant(Rule::FR2, "a block in a free list calls itself per-CPU", |s| {
        let free = free_block(s);
        s.page(free).set_state(&s.world.cxs[0], State::PerCpu);
    }),
    plant_with(Rule::FR2, &[Rule::FR1], "a block is in no free list", |s| {
        let cx = s.world.cxs[0].at();
        let pfn = s.world.faults.spaces().frames().allocate(cx, &Request::kernel()).expect("a frame");
        let page = s.page(pfn);
        let freed = page.put(&s.world.cxs[0]);
        assert_eq!(freed, frame::Freed::Yes);
        page.set_state(&s.world.cxs[0], State::Free);
    }),
    plant(Rule::FR3, "a reference to an anonymous page is never given back", |s| {
        s.page(s.own()).get(&s.world.cxs[0]).expect("a reference");
    }),
    plant(Rule::FR3, "a reference to a cached page is never given back", |s| {
        let pfn = s.cached(40);
        s.page(pfn).get(&s.world.cxs[0]).expect("a reference");
    }),
    plant(Rule::FR3, "a frame is handed out and forgotten", |s| {
        let cx = s.world.cxs[0].at();
        s.world.faults.spaces().frames().allocate_user(cx, &Request::user()).expect("a frame");
    }),
    plant(Rule::FR3, "a kernel frame is forgotten", |s| {
        let cx = s.world.cxs[0].at();
        s.world.faults.spaces().frames().allocate_kernel(cx).expect("a frame");
    }),
    plant(Rule::FR3, "the zero page is held twice", |s| {
        let zero = s.world.objects().zero_frame();
        s.page(zero).get(&s.world.cxs[0]).expect("a reference");
    }),
    plant(Rule::FR4, "a mapping is counted that is not there", |s| {
        s.page(s.common()).add_map(&s.world.cxs[0], Exclusive::No).expect("a count");
    }),
    plant(Rule::FR5, "a free frame is mapped", |s| {
        let free = free_block(s);
        s.install(SPARSE, free, Attrs { perms: READ, ..Attrs::default() }, None);
    }),
    plant(Rule::FR5, "a page table is mapped", |s| {
        let table = s.world.leaf_table(s.parent, ANON).0;
        s.install(SPARSE, table, Attrs { perms: READ, ..Attrs::default() }, None);
    }),
    plant(Rule::FR6, "an attachment is allocated and forgotten", |s| {
        let cx = s.world.cxs[0].at();
        s.world.faults.spaces().objects().new_attachment(cx).expect("an attachment");
    }),
    plant(Rule::FR6, "a file is opened and forgotten", |s| {
        let cx = s.world.cxs[0].at();
        s.world.faults.spaces().objects().create_memory(cx, 4096).expect("a file");
    }),
    plant(Rule::FR7, "a pin is never given back", |s| {
        s.page(s.own()).pin(&s.world.cxs[0]).expect("a pin");
    }),
    plant(Rule::FR7, "a pin is given back twice", |s| {
        let pinned = s.frame_at(ANON + 3);
        let cx = s.world.cxs[0].at();
        s.world.faults.spaces().frames().unpin(cx, pinned);
    }),
    // ---- tables and TLBs ----
    plant(Rule::TR1, "a table counts an entry too many", |s| {
        let frame = s.world.leaf_table(s.parent, ANON);
        add(s.page(frame.0).owner_word(), 1);
    }),
    plant(Rule::TR1, "a table is dead and linked", |s| {
        let word = s.page(s.world.leaf_table(s.parent, ANON).0).owner_word();
        set(word, get(word) | 1 << 20);
    }),
    plant(Rule::TR1, "a table is not counted", |s| {
        let table = s.world.spaces().tables().get(s.world.table(s.parent));
        // The sixth count, on the last line but one.
        add(s.world.word_of(table.page_table(), size_of::<PageTable>() / 8 - 16 + 5), 1);
    }),
    plant(Rule::TR2, "an entry outlives its VMA", |s| s.install_zero(ANON + 100, None)),
    plant(Rule::TR2, "an entry allows more than its VMA", |s| {
        let cx = s.world.cxs[0].at();
        let range = VpnRange::sized(ANON + 12, 1);
        s.world.faults.spaces().protect(cx, s.parent, range, machine::Perms::NONE, Grow::No).expect("done");
        s.install_zero_again(ANON + 12);
    }),
    plant(Rule::TR3, "rights are taken from an entry and not from a TLB", |s| {
        set(s.entry(ANON), get(s.entry(ANON)) & !WRITE_BIT);
    }),
    plant(Rule::TR3, "an entry is cleaned and a TLB still thinks it dirty", |s| {
        set(s.entry(ANON), get(s.entry(ANON)) & !DIRTY_BIT);
    }),
    plant(Rule::TR4, "a page is counted that is not mapped", |s| {
        s.install_zero(ANON + 13, Some(Rss::Anon));
    }),
    plant(Rule::TR5, "a CPU translates through a space it never joined", |s| {
        let table = s.world.spaces().tables().get(s.world.table(s.parent));
        let space = Some((table.root(), table.domain().asid()));
        s.world.machine.load_space(CpuId(1), space, true);
    }),
    plant(Rule::TR5, "a CPU translates through a space that is gone", |s| {
        let space = Some((KernelFrame(s.own()), machine::Asid(77)));
        s.world.machine.load_space(CpuId(1), space, true);
    }),
    plant(Rule::TR6, "a CPU remembers a table that is not linked there", |s| {
        let asid = s.world.spaces().tables().get(s.world.table(s.parent)).domain().asid();
        let table = KernelFrame(s.own());
        s.world.links.push(Link { cpu: CpuId(0), asid, page: ANON.huge_base(), table });
    }),
    plant(Rule::LR10, "a batch never flushes", |s| {
        let domain = s.world.spaces().tables().get(s.world.table(s.parent)).domain();
        // asid, life, begun, done, owing.
        add(s.world.word_of(domain, 4), 1);
    }),
    // ---- swap ----
    plant(Rule::SW1, "a swap entry names a slot that does not count it", |s| {
        swap_entry(s, Slot { area: 0, page: 3 }, Sole::Shared);
    }),
    plant_with(
        Rule::CR15,
        &[Rule::SW1],
        "an exclusive swap entry is not the only one its slot counts",
        |s| {
            let slot = Slot { area: 0, page: 3 };
            swap_entry(s, slot, Sole::Exclusive);
        },
    ),
    plant(Rule::SW2, "a page says it is in the swap cache and is not", |s| {
        s.page(s.own()).set(&s.world.cxs[0], Flags::SWAPCACHED);
    }),
    // ---- copy-on-write ----
    plant(Rule::CR1, "a shared anonymous page is writable", |s| {
        set(s.entry(ANON + 8), get(s.entry(ANON + 8)) | WRITE_BIT);
    }),
    plant(Rule::CR2, "a shared anonymous page is exclusive", |s| {
        s.page(s.common()).make_exclusive(&s.world.cxs[0]);
    }),
    plant(Rule::CR2, "a file's page is exclusive", |s| {
        s.page(s.frame_at(SHARED)).make_exclusive(&s.world.cxs[0]);
    }),
    plant(Rule::CR4, "a shared anonymous page is pinned", |s| {
        s.page(s.common()).pin(&s.world.cxs[0]).expect("a pin");
        s.world.pins.push(s.common());
    }),
    plant(Rule::CR18, "a page that nobody moves is on its way", |s| {
        let (table, frame) = (s.world.table(s.parent), s.own());
        let spaces = s.world.faults.spaces();
        let attrs = Attrs { perms: READ, ..Attrs::default() };
        let moving = Soft::Migration { frame, kind: MigrationKind::Readable, attrs };
        let mut leaf = spaces.walker(table).lock_leaf(s.world.cxs[0].at(), ANON + 13).expect("a table");
        leaf.install(ANON + 13, moving.entry::<Machinery>(), None);
    }),
    plant(Rule::CR29, "the zero page is exclusive", |s| {
        s.page(s.world.objects().zero_frame()).make_exclusive(&s.world.cxs[0]);
    }),
    plant(Rule::CR29, "the zero page is writable", |s| {
        set(s.entry(ANON + 12), get(s.entry(ANON + 12)) | WRITE_BIT);
    }),
    // ---- VMAs ----
    plant(Rule::VR1, "a VMA is left in the middle of a change", |s| add(s.world.word_of(s.vma(ANON), 0), 1)),
    plant_with(Rule::VR1, &[Rule::VR3, Rule::PR3], "a VMA ends elsewhere than the tree says", |s| {
        add(s.world.word_of(s.vma(SHARED), 2), 1);
    }),
    plant(Rule::VR2, "neighbours that are alike are two", |s| {
        let cx = s.world.cxs[0].at();
        let range = VpnRange::sized(SPARSE, 8);
        s.world.faults.spaces().advise(cx, s.parent, range, Advice::Sequential).expect("advised");
        s.world.healthy();
        let vma = s.vma(SPARSE);
        set(s.world.word_of(vma, 3), (vma.flags().difference(VmaFlags::SEQUENTIAL)).bits());
    }),
    plant(Rule::VR3, "a total is off by a page", |s| {
        let total = s.world.spaces().stats(s.parent).total;
        add(s.world.word_with(s.world.spaces().space(s.parent), total), 1);
    }),
    plant_with(Rule::VR4, &[Rule::VR3], "memory is promised that no space was promised", |s| {
        let space = s.world.spaces().space(s.parent);
        add(s.world.word_with(space, s.world.spaces().stats(s.parent).committed), 1);
    }),
    // ---- pages and objects ----
    plant(Rule::PR1, "a cached page names another index", |s| {
        let pfn = s.cached(40);
        let (owner, index) = s.page(pfn).quiet_owner();
        s.page(pfn).set_owner(&s.world.cxs[0], owner, index + 1);
    }),
    plant(Rule::PR1, "a cached page was never read", |s| {
        let pfn = s.cached(40);
        s.page(pfn).clear(&s.world.cxs[0], Flags::UPTODATE);
    }),
    plant(Rule::PR2, "a clean page of a file may be written unseen", |s| {
        set(s.entry(SHARED + 4), get(s.entry(SHARED + 4)) | WRITE_BIT);
    }),
    plant(Rule::PR3, "an attachment says another index than its VMA", |s| {
        let vma = s.vma(SHARED);
        let (range, first) = (vma.range(), vma.file_index(vma.range().start));
        let (id, cx) = (vma.attachment().expect("attached"), s.world.cxs[0].at());
        s.world.faults.spaces().objects().resize_attachment(cx, id, range, first + 1);
    }),
    plant(Rule::PR3, "moved pages are found by nobody", |s| {
        let vma = s.vma(MOVED);
        let id = vma.moved_attachment().expect("attached");
        let cx = s.world.cxs[0].at();
        let range = VpnRange::sized(MOVED, 1);
        s.world.faults.spaces().objects().resize_attachment(cx, id, range, vma.anon_index(MOVED));
    }),
    plant(Rule::PR4, "an anonymous page names another index", |s| {
        let (owner, index) = s.page(s.own()).quiet_owner();
        s.page(s.own()).set_owner(&s.world.cxs[0], owner, index + 1);
    }),
    plant(Rule::PR5, "a file shrinks and keeps its pages", |s| {
        s.cached(60);
        let file = s.world.objects().file(s.file);
        set(s.world.word_with(file, 64 * 4096), 20 * 4096);
    }),
    plant(Rule::PR6, "a cached page stays locked", |s| {
        let pfn = s.cached(40);
        s.page(pfn).set(&s.world.cxs[0], Flags::LOCKED);
    }),
    plant(Rule::PR6, "a file counts a dirty page too many", |s| {
        // pages and dirty follow each other.
        let file = s.world.objects().file(s.file);
        let size = size_of::<File>() / 8;
        let counts = (file.cached_pages(), file.dirty_pages());
        let words = |i| (get(s.world.word_of(file, i)), get(s.world.word_of(file, i + 1)));
        let at = (0..size - 1).find(|&i| words(i) == counts).expect("the counts");
        add(s.world.word_of(file, at + 1), 1);
    }),
    plant(Rule::PR7, "a private mapping may write the file's page", |s| {
        set(s.entry(PRIVATE + 4), get(s.entry(PRIVATE + 4)) | WRITE_BIT);
    }),
    plant(Rule::VR5, "a page of locked memory is not marked", |s| {
        set(s.entry(SPARSE + 7), get(s.entry(SPARSE + 7)) & !LOCKED_BIT);
    }),
    plant_with(Rule::VR5, &[Rule::TR4], "a page is marked that nobody has locked", |s| {
        set(s.entry(ANON), get(s.entry(ANON)) | LOCKED_BIT);
    }),
    // ---- merged pages ----
    plant_with(Rule::KR1, &[Rule::CR2], "a merged page is exclusive", |s| {
        let pfn = s.frame_at(MERGED);
        s.page(pfn).make_exclusive(&s.world.cxs[0]);
    }),
    plant(Rule::KR1, "a merged page is writable", |s| {
        set(s.entry(MERGED + 1), get(s.entry(MERGED + 1)) | WRITE_BIT);
    }),
    plant(Rule::KR2, "an item leads to another page", |s| {
        // lineage, index.
        let item = s.world.objects().merge_items(s.node()).next().expect("an item");
        add(s.world.word_of(item, 1), 100);
    }),
    plant(Rule::KR3, "a node counts an item too many", |s| {
        // hash, two below, same, frame, items, count.
        let node = s.world.objects().merge_node(s.node());
        add(s.world.word_of(node, 6), 1);
    }),
    plant(Rule::KR3, "a node has another page", |s| {
        // Stored as number + 1.
        let (own, node) = (s.own(), s.world.objects().merge_node(s.node()));
        set(s.world.word_of(node, 4), u64::from(own.0) + 1);
    }),
    plant(Rule::KR4, "an entry of zeros is not one that merging made", |s| {
        set(s.entry(MERGED + 2), get(s.entry(MERGED + 2)) & !DIRTY_BIT);
    }),
    // ---- locks ----
    plant(Rule::LK1, "a table stays locked", |s| {
        let frame = s.world.leaf_table(s.parent, ANON);
        set(s.page(frame.0).link_word(), 1);
    }),
    plant(Rule::LK1, "a CPU never leaves an epoch", |s| {
        core::mem::forget(s.world.cxs[1].enter_epoch());
    }),
    plant(Rule::LK1, "a layout stays locked", |s| {
        // uses, layout.
        set(s.world.word_of(s.world.spaces().space(s.parent), 1), 1);
    }),
];

impl Sample<'_> {
    /// Lets the zero page be read where it is mapped without any right.
    fn install_zero_again(&mut self, page: Vpn) {
        let zero = self.world.objects().zero_frame();
        let attrs = Attrs { perms: READ, special: true, ..Attrs::default() };
        set(self.entry(page), X86_64::leaf(zero, attrs, Level::LEAF).0);
    }
}

/// A free block of some order.
fn free_block(s: &Sample<'_>) -> Pfn {
    let frames = s.world.frames();
    let zone = frames.zones().next().expect("a zone");
    let orders = (0..=10).map(Order);
    let mut blocks = orders.flat_map(|order| {
        let lists = MigrateType::ALL.into_iter();
        lists.flat_map(move |list| frames.free_list(zone.node, zone.kind, order, list))
    });
    blocks.next().expect("a free block")
}

#[test]
fn the_sample_breaks_no_rule() {
    let machine = machine(64 << 20);
    let mut sample = Sample::new(&machine);
    let report = sample.world.healthy();
    let asked: Vec<&str> =
        Rule::ALL.iter().filter(|&&rule| report.checks_of(rule) == 0).map(|rule| rule.id()).collect();
    assert!(asked.is_empty(), "rules the sample asks nothing of: {asked:?}");
}

#[test]
fn every_rule_has_a_planted_fault() {
    let planted: BTreeSet<Rule> = PLANTS.iter().map(|plant| plant.rule).collect();
    let missing: Vec<&Rule> = Rule::ALL.iter().filter(|rule| !planted.contains(rule)).collect();
    assert!(missing.is_empty(), "no planted fault makes these fire: {missing:?}");
}

#[test]
fn every_planted_fault_makes_its_rule_fire() {
    let mut wrong = Vec::new();
    for Plant { rule, what, also, plant } in PLANTS {
        let machine = machine(64 << 20);
        let mut sample = Sample::new(&machine);
        sample.world.healthy();
        plant(&mut sample);
        let (found, _) = sample.world.audit();
        let fired: BTreeSet<Rule> = found.iter().map(|violation| violation.rule).collect();
        let wanted: BTreeSet<Rule> = also.iter().chain([rule]).copied().collect();
        if fired != wanted {
            let text: Vec<String> = found.iter().take(8).map(ToString::to_string).collect();
            wrong.push(format!("{what}: {fired:?} fired, not {wanted:?}\n    {}", text.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
