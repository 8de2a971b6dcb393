//! Slabs: objects of one type for the manager's own use, named by numbers, in kernel
//! frames that never go back.
//!
//! Because the frames stay, a number that once named an object always leads to an object of the type (Linux:
//! `SLAB_TYPESAFE_BY_RCU`): a reader without a lock may look through an old number, and finds a `T`, if
//! perhaps another one. Objects lie on lines of their own (64 bytes). What the slab knows of them lies
//! outside of them, in a directory:
//!
//! ```text
//!  root (boot memory)   directory frames        frames of objects
//!  [ frame | ... ]  ->  [ Place | Place ... ] -> [ T | T | T ... ]
//! ```

use crate::descriptor::State;
use crate::frames::Frames;
use crate::id::Id;
use core::marker::PhantomData;
use machine::cells::cast_words;
use machine::lock::Spin;
use machine::{
    Boot, Cells, CpuId, Cx, Field, KernelFrame, Machine, NodeId, NodeSet, Order, PAGE_SIZE, Pfn, Shortage,
    Word, level,
};

/// Objects start on a line of their own.
const LINE: usize = 64;
/// Frames of objects that one directory frame knows.
const PLACES: usize = PAGE_SIZE as usize / size_of::<Place>();
/// At most so many directory frames: with 64 objects a frame, ids stay below 2^25.
const ROOT_MAX: u64 = 4096;
/// Ids a CPU keeps at most.
const CACHE: usize = 32;
/// Ids moved between a CPU and the slab at a time.
const BATCH: usize = CACHE / 2;

machine::cells! {
    /// What the slab knows of one frame of objects.
    struct Place {
        /// (written once, under the slab's lock, before an id of it is handed out) The frame.
        frame: Field<Option<Pfn>>,
        /// (slab) A bit for each object that nobody has: neither a user nor a CPU's cache.
        free: Field<u64>,
        /// (shared statistic) A bit for each object that a user has.
        live: Field<u64>,
        /// (slab) The next place that has free objects, as its number + 1.
        next: Field<u64>,
    }
}

machine::cells! {
    /// What the CPUs share.
    #[repr(align(64))]
    struct Central {
        lock: Spin<{ level::SLAB }>,
        /// (slab) How many places there are.
        places: Field<u64>,
        /// (slab) The first place that has free objects, as its number + 1.
        partial: Field<u64>,
    }
}

machine::cells! {
    /// Ids kept for one CPU. Only it touches them, never from an interrupt and without a point where another
    /// task of the CPU could come between.
    #[repr(align(64))]
    struct Cache {
        /// (own CPU) How many ids there are.
        count: Field<u64>,
        /// (own CPU) Objects allocated minus objects freed here (wrapping).
        in_use: Field<u64>,
        /// (own CPU) The ids.
        ids: [Field<u64>; CACHE],
    }
}

/// Objects of one type.
pub struct Slab<'m, M: Machine, T: Cells> {
    machine: &'m M,
    root: &'m [Field<Option<Pfn>>],
    central: &'m Central,
    caches: &'m [Cache],
    of: PhantomData<fn() -> T>,
}

impl<'m, M: Machine, T: Cells> Slab<'m, M, T> {
    const STRIDE: usize = size_of::<T>().next_multiple_of(LINE);
    const PER_FRAME: usize = {
        assert!(size_of::<T>() > 0 && size_of::<T>() <= PAGE_SIZE as usize, "an object fits a frame");
        PAGE_SIZE as usize / Self::STRIDE
    };

    /// An empty slab. Takes only a little boot memory; it grows a frame at a time.
    pub fn new(boot: &Boot<'m, M>) -> Result<Self, Shortage> {
        let machine = boot.machine();
        let frames: u64 = (0..).map_while(|i| machine.memory(i)).map(|range| range.frames).sum();
        let root = frames.div_ceil(PLACES as u64).clamp(1, ROOT_MAX);
        Ok(Slab {
            machine,
            root: boot.array(root as usize)?,
            central: &boot.array::<Central>(1)?[0],
            caches: boot.array(machine.cpus() as usize)?,
            of: PhantomData,
        })
    }

    /// A zeroed object.
    pub fn alloc(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
    ) -> Result<Id<T>, Shortage> {
        debug_assert!(!cx.in_interrupt(), "a slab is not used in interrupts");
        if frames.is_failing() {
            return Err(self.shortage(cx.node()));
        }
        while self.cache(cx.cpu()).count.get() == 0 {
            if !self.refill(cx) {
                self.grow(cx, frames)?;
            }
        }
        let cache = self.cache(cx.cpu());
        let count = cache.count.get() - 1;
        cache.count.set(count);
        cache.in_use.add(1);
        let index = cache.ids[count as usize].get() as usize;
        let (place, bit) = self.find(index);
        debug_assert!(place.live.get() & bit == 0, "an object in use is handed out");
        place.live.add_shared(bit);
        for word in cast_words::<Field<u64>>(self.words(index)) {
            word.set(0);
        }
        Ok(Id::from_raw(index as u32))
    }

    /// Gives an object back. Readers without a lock may still look at it (see the module).
    pub fn free(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, id: Id<T>) {
        debug_assert!(!cx.in_interrupt(), "a slab is not used in interrupts");
        let (place, bit) = self.find(id.raw() as usize);
        debug_assert!(place.live.get() & bit != 0, "object {id:?} is freed twice");
        place.live.add_shared(bit.wrapping_neg());
        while self.cache(cx.cpu()).count.get() as usize == CACHE {
            self.drain(cx);
        }
        let cache = self.cache(cx.cpu());
        let count = cache.count.get();
        cache.ids[count as usize].set(u64::from(id.raw()));
        cache.count.set(count + 1);
        cache.in_use.sub(1);
    }

    /// The object. An id that was once handed out always leads to one.
    ///
    /// # Panics
    /// If the id was never handed out (a bug).
    #[inline]
    pub fn get(&self, id: Id<T>) -> &'m T {
        &cast_words::<T>(self.words(id.raw() as usize))[0]
    }

    /// How many objects are in use.
    pub fn in_use(&self) -> u64 {
        self.caches.iter().fold(0, |sum, cache| sum.wrapping_add(cache.in_use.get()))
    }

    /// How many frames it has: of objects, and of its directory.
    pub fn frames(&self) -> u64 {
        let places = self.central.places.get();
        places + places.div_ceil(PLACES as u64)
    }

    /// The ids in use, ascending, on a quiet machine.
    pub fn ids(&self) -> impl Iterator<Item = Id<T>> + '_ {
        let places = 0..self.central.places.get() as usize;
        places.flat_map(move |number| {
            let live = self.place(number).live.get();
            let slots = (0..Self::PER_FRAME).filter(move |slot| live >> slot & 1 != 0);
            slots.map(move |slot| Id::from_raw((number * Self::PER_FRAME + slot) as u32))
        })
    }

    /// Whether the number names an object in use, on a quiet machine. Any number may be asked about.
    pub fn is_live(&self, id: Id<T>) -> bool {
        let index = id.raw() as usize;
        let is_known = index / Self::PER_FRAME < self.central.places.get() as usize;
        is_known && {
            let (place, bit) = self.find(index);
            place.live.get() & bit != 0
        }
    }

    /// Objects in use, objects not in use, and all there is room for, on a quiet machine.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let places = 0..self.central.places.get() as usize;
        let bits = |field: &Field<u64>| u64::from(field.get().count_ones());
        let sums = places
            .clone()
            .map(|number| self.place(number))
            .fold((0, 0), |(live, free), place| (live + bits(&place.live), free + bits(&place.free)));
        let cached: u64 = self.caches.iter().map(|cache| cache.count.get()).sum();
        (sums.0, sums.1 + cached, (places.len() * Self::PER_FRAME) as u64)
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.central.lock.is_held()
    }

    /// Its frames: of objects, and of its directory.
    pub(crate) fn frame_numbers(&self) -> impl Iterator<Item = Pfn> + '_ {
        let places = 0..self.central.places.get() as usize;
        let objects = places.filter_map(|number| self.place(number).frame.get());
        objects.chain(self.root.iter().filter_map(Field::get))
    }

    // ---- where things are ----

    fn cache(&self, cpu: CpuId) -> &'m Cache {
        &self.caches[cpu.0 as usize]
    }

    #[inline]
    fn area(&self, frame: Option<Pfn>) -> &'m [Word] {
        let frame = frame.expect("an id that a slab handed out has a frame");
        self.machine.kernel_area(KernelFrame(frame), 1)
    }

    #[inline]
    fn place(&self, number: usize) -> &'m Place {
        &cast_words::<Place>(self.area(self.root[number / PLACES].get()))[number % PLACES]
    }

    /// The place of an object, and its bit there.
    #[inline]
    fn find(&self, index: usize) -> (&'m Place, u64) {
        (self.place(index / Self::PER_FRAME), 1 << (index % Self::PER_FRAME))
    }

    #[inline]
    fn words(&self, index: usize) -> &'m [Word] {
        let start = index % Self::PER_FRAME * Self::STRIDE / size_of::<Word>();
        let frame = self.place(index / Self::PER_FRAME).frame.get();
        &self.area(frame)[start..start + size_of::<T>() / size_of::<Word>()]
    }

    fn shortage(&self, node: NodeId) -> Shortage {
        Shortage { order: Order::ZERO, node, nodes: NodeSet::ALL }
    }

    // ---- between the CPUs and the slab ----

    /// Moves a batch of free ids to this CPU's empty cache. Answers whether there were any.
    fn refill(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) -> bool {
        let held = self.central.lock.lock(cx);
        let cache = self.cache(held.cpu());
        let mut count = cache.count.get() as usize;
        while count < BATCH {
            let Some(number) = self.central.partial.get().checked_sub(1) else { break };
            let place = self.place(number as usize);
            let free = place.free.get();
            let slot = free.trailing_zeros() as usize;
            cache.ids[count].set((number as usize * Self::PER_FRAME + slot) as u64);
            count += 1;
            place.free.set(free & (free - 1));
            if place.free.get() == 0 {
                self.central.partial.set(place.next.replace(0));
            }
        }
        cache.count.set(count as u64);
        count > 0
    }

    /// Moves the oldest ids of this CPU's cache back to the slab.
    fn drain(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>) {
        let held = self.central.lock.lock(cx);
        let cache = self.cache(held.cpu());
        let count = cache.count.get() as usize;
        let ids = count.min(BATCH);
        for id in &cache.ids[..ids] {
            let index = id.get() as usize;
            let (place, bit) = self.find(index);
            if place.free.get() == 0 {
                place.next.set(self.central.partial.get());
                self.central.partial.set((index / Self::PER_FRAME) as u64 + 1);
            }
            debug_assert!(place.free.get() & bit == 0, "a free object is freed");
            place.free.set(place.free.get() | bit);
        }
        for i in ids..count {
            cache.ids[i - ids].set(cache.ids[i].get());
        }
        cache.count.set((count - ids) as u64);
    }

    /// Adds a frame of objects, and a directory frame if it is the first of one. The frames are had before
    /// the slab is locked: having them may mean to wait for other CPUs.
    fn grow(&self, cx: &mut Cx<'m, M, { level::REGISTRY }>, frames: &Frames<'m, M>) -> Result<(), Shortage> {
        if self.central.places.get() as usize == self.root.len() * PLACES {
            return Err(self.shortage(cx.node()));
        }
        let objects = frames.allocate_kernel(cx)?;
        let needs_directory = (self.central.places.get() as usize).is_multiple_of(PLACES);
        let mut directory = match needs_directory.then(|| frames.allocate_kernel(cx)) {
            Some(Err(shortage)) => {
                frames.put(cx, objects.0);
                return Err(shortage);
            }
            Some(Ok(frame)) => Some(frame),
            None => None,
        };
        for frame in [Some(objects), directory].into_iter().flatten() {
            frames.descriptor(frame.0).set_state(cx, State::Slab);
        }
        if !self.install(cx, objects.0, &mut directory) {
            // Another CPU grew the slab first; its objects will do.
            frames.put(cx, objects.0);
        }
        if let Some(spare) = directory {
            frames.put(cx, spare.0);
        }
        Ok(())
    }

    /// Makes a frame the next place. Refuses if that takes a directory frame and there is none,
    /// or there is no room.
    fn install(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        objects: Pfn,
        directory: &mut Option<KernelFrame>,
    ) -> bool {
        let _held = self.central.lock.lock(cx);
        let number = self.central.places.get() as usize;
        let Some(root) = self.root.get(number / PLACES) else { return false };
        if root.get().is_none() {
            let Some(frame) = directory.take() else { return false };
            root.set(Some(frame.0));
        }
        let place = self.place(number);
        place.frame.set(Some(objects));
        place.free.set(u64::MAX >> (64 - Self::PER_FRAME));
        place.next.set(self.central.partial.get());
        self.central.partial.set(number as u64 + 1);
        self.central.places.set(number as u64 + 1);
        true
    }
}
