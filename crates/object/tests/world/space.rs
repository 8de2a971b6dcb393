//! Address spaces, as far as this floor knows them.

use super::{Host, World};
use frame::{Id, Request};
use machine::entry::{Attrs, Perms};
use machine::{Entry, EntryFormat, Machine, UserFrame, Vpn, VpnRange};
use object::exclusive::Reuse;
use object::{AnonCtx, Attachment, File, Lineage, MappedFile, Mapping, Owner, PageCtx, Place, Sharing, Want};
use table::{PageTable, Rss};

pub const READ: Attrs = Attrs {
    perms: Perms { read: true, write: false, execute: false },
    accessed: true,
    dirty: false,
    special: false,
    locked: false,
};
pub const WRITTEN: Attrs =
    Attrs { perms: Perms { read: true, write: true, execute: false }, dirty: true, ..READ };

/// One address space, as far as this floor knows it.
pub struct Space {
    pub table: Id<PageTable>,
    pub lineage: Id<Lineage>,
    pub member: Id<Attachment>,
}

impl Space {
    pub fn new(world: &World<'_>) -> Space {
        let mut cx = world.cx(0);
        let table = world.objects.tables().create(cx.at(), world.objects.frames()).unwrap();
        let (lineage, member) = world.objects.found_lineage(cx.at(), table).unwrap();
        Space { table, lineage, member }
    }

    pub fn child(&self, world: &World<'_>) -> Space {
        let mut cx = world.cx(0);
        let table = world.objects.tables().create(cx.at(), world.objects.frames()).unwrap();
        let member = world.objects.join_lineage(cx.at(), self.member, table).unwrap();
        Space { table, lineage: self.lineage, member }
    }

    pub fn attach(
        &self,
        world: &World<'_>,
        file: Id<File>,
        at: u64,
        first: u64,
        pages: u64,
    ) -> Id<Attachment> {
        self.attach_as(world, file, (at, first, pages), Sharing::Shared)
    }

    pub fn attach_as(
        &self,
        world: &World<'_>,
        file: Id<File>,
        (at, first, pages): (u64, u64, u64),
        sharing: Sharing,
    ) -> Id<Attachment> {
        let mut cx = world.cx(0);
        let id = world.objects.new_attachment(cx.at()).unwrap();
        let mapping = Mapping { table: self.table, range: VpnRange::sized(Vpn(at), pages), first, sharing };
        world.objects.attach(cx.at(), id, Owner::File(file), &mapping, Place::Any);
        id
    }

    /// Maps a page of the file, as a fault does.
    pub fn map(&self, world: &World<'_>, at: u64, ctx: PageCtx, attrs: Attrs) {
        let (objects, mut cx) = (&world.objects, world.cx(0));
        let page = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap().page;
        let walker = objects.walker(self.table);
        let mut leaf = walker.lock_leaf(cx.at(), Vpn(at)).unwrap();
        assert!(objects.still_cached(&leaf, &page));
        if attrs.perms.write {
            objects.mark_dirty(&mut leaf, ctx, page.pfn());
        }
        objects.map_file(&mut leaf, Vpn(at), page, attrs).unwrap();
    }

    pub fn map_anon(&self, world: &World<'_>, at: u64) -> UserFrame {
        let (objects, mut cx) = (&world.objects, world.cx(0));
        let frame = objects.frames().allocate_user(cx.at(), &Request::user()).unwrap();
        let mut leaf = objects.walker(self.table).lock_leaf(cx.at(), Vpn(at)).unwrap();
        let ctx = AnonCtx { lineage: self.lineage, index: at };
        objects.map_anon(&mut leaf, Vpn(at), (frame, ctx), WRITTEN);
        frame
    }

    pub fn entry(&self, world: &World<'_>, at: u64) -> Entry {
        world.objects.walker(self.table).peek(world.cx(0).at(), Vpn(at)).entry
    }

    pub fn attrs(&self, world: &World<'_>, at: u64) -> Attrs {
        <Host as Machine>::Entry::attrs(self.entry(world, at))
    }

    pub fn unmap(&self, world: &World<'_>, range: VpnRange, file: Option<MappedFile>) {
        let (objects, mut cx) = (&world.objects, world.cx(0));
        let walker = objects.walker(self.table);
        let mut batch = revoke::Batch::new(walker.table().domain(), objects.frames());
        walker.sweep(cx.at(), range, &mut batch, &mut objects.unmapper(file));
        objects.settle(cx.at(), &walker, &mut batch);
    }

    /// Unmaps everything.
    pub fn end(&self, world: &World<'_>) {
        self.unmap(world, VpnRange::sized(Vpn(0), 1 << 35), None);
    }

    /// Lets stores to an exclusive page pass, or not.
    pub fn protect(&self, world: &World<'_>, at: u64, writable: bool) {
        let (objects, mut cx) = (&world.objects, world.cx(0));
        let walker = objects.walker(self.table);
        let mut batch = revoke::Batch::new(walker.table().domain(), objects.frames());
        let mut leaf = walker.lock_leaf(cx.at(), Vpn(at)).unwrap();
        let (_, token) = leaf.change(Vpn(at), |entry| {
            let attrs = <Host as Machine>::Entry::attrs(entry);
            let attrs = Attrs { perms: Perms { write: writable, ..attrs.perms }, ..attrs };
            <Host as Machine>::Entry::with_attrs(entry, attrs, machine::Level::LEAF)
        });
        batch.push(&mut leaf, token);
        drop(leaf);
        objects.settle(cx.at(), &walker, &mut batch);
    }

    /// What a write fault would do with the page that is mapped there.
    pub fn reuse(&self, world: &World<'_>, at: u64) -> Reuse {
        let mut cx = world.cx(0);
        let leaf = world.objects.walker(self.table).lock_leaf(cx.at(), Vpn(at)).unwrap();
        let kind = <Host as Machine>::Entry::kind(leaf.entry(Vpn(at)), machine::Level::LEAF);
        let machine::entry::Kind::Leaf(pfn) = kind else { panic!("a page is mapped") };
        world.objects.reuse(&leaf, Vpn(at), pfn)
    }

    pub fn rss(&self, world: &World<'_>) -> [u64; 3] {
        [Rss::Anon, Rss::File, Rss::Shmem].map(|kind| world.objects.tables().get(self.table).rss(kind))
    }
}

/// What fork does with one anonymous page.
pub fn share(world: &World<'_>, parent: &Space, child: &Space, at: u64) {
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let (from, to) = (objects.walker(parent.table), objects.walker(child.table));
    let mut batch = revoke::Batch::new(from.table().domain(), objects.frames());
    let mut pair = from.lock_pair(cx.at(), Vpn(at), (&to, Vpn(at))).unwrap().unwrap();
    let entry = pair.from().entry(Vpn(at));
    let machine::entry::Kind::Leaf(pfn) = <Host as Machine>::Entry::kind(entry, machine::Level::LEAF) else {
        panic!("a page is mapped");
    };
    let rss = objects.rss_of(pair.cx(), entry, None);
    assert_eq!(rss, Some(Rss::Anon));
    objects.share_for_fork(pair.cx(), pfn).unwrap();
    let read_only = |entry| <Host as Machine>::Entry::with_attrs(entry, READ, machine::Level::LEAF);
    let (_, token) = pair.from().change(Vpn(at), read_only);
    batch.push(pair.cx(), token);
    pair.to().install(Vpn(at), read_only(entry), rss);
    drop(pair);
    objects.settle(cx.at(), &from, &mut batch);
}
