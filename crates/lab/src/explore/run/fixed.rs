//! Files read and written by index of a fixed buffer, which may be unregistered meanwhile.

use freehold::linux::Errno;
use freehold::machine::{PAGE_SIZE, VirtAddr};

use super::super::script::{FileWord, PinName, PinWord, Place, Sign, Value, Way};
use super::call::sign_of;
use super::holds::Mark;
use super::shared::Shared;
use super::world::{Actor, World};

/// Words of a page.
const WORDS: usize = (PAGE_SIZE / 8) as usize;

impl World<'_> {
    /// A page goes between a file and a fixed buffer. `ENXIO` if what has this name is none.
    pub(super) fn transfer_fixed(
        &self,
        who: Actor<'_>,
        at: Place,
        (word, place): (&PinWord, &FileWord),
        way: Way,
    ) -> Value {
        Shared::Held(word.pin).read(who.ctx);
        let nth = word.page.as_ref().map_or(0, |page| self.number(who, at, page)) * PAGE_SIZE;
        let (file, page, _) = self.file_place(who, at, place);
        let found = self.holds.borrow().pins.get(&word.pin).and_then(|holding| holding.ring);
        let Some(ring) = found else { return Value::Sign(Sign::Errno(Errno::ENXIO)) };
        let (live, file) = (self.live(who, at), &self.files[file]);
        let (linux, mut cx) = (self.manager.linux(), self.cx(who.ctx));
        let (from, bytes) = ((&file.map, page * PAGE_SIZE), (ring, 0, nth, PAGE_SIZE));
        let done = match way {
            Way::Reads => linux.read_fixed(&mut cx, live.id, from, bytes),
            Way::Writes => linux.write_fixed(&mut cx, live.id, from, bytes),
        };
        self.hear_device(who);
        if done == Ok(PAGE_SIZE) {
            self.judge_page(who, at, (word.pin, nth), (place, page), way);
        }
        sign_of(done.map(drop))
    }

    /// Tells the shadow what such a transfer stored.
    fn judge_page(
        &self,
        who: Actor<'_>,
        at: Place,
        (name, nth): (PinName, u64),
        (place, page): (&FileWord, u64),
        way: Way,
    ) {
        let key = self.files[place.file.0].key;
        let known = self.holds.borrow().pins.get(&name).map(|holding| (holding.mark, holding.range));
        let Some((Mark::Pin(pin), range)) = known else { return };
        for word in 0..WORDS {
            let mut judge = self.judge.borrow_mut();
            let shadow = judge.shadow();
            if way == Way::Writes {
                shadow.file_write(key, page, word, self.sim.sim_files().word(key, page, word));
                continue;
            }
            let (offset, value) = (nth + word as u64 * 8, shadow.file_word(key, page, word));
            let agreed = shadow.pin_store(pin, offset, value);
            drop(judge);
            self.agreed(who, at, VirtAddr(range.start.addr().0 + offset), agreed);
        }
    }

    /// The ring of a fixed buffer has none any more. The name stays, for the ring.
    pub(super) fn unregister(&self, who: Actor<'_>, at: Place, name: PinName) -> Value {
        Shared::Held(name).read(who.ctx);
        let ring = self.holds.borrow().pins.get(&name).and_then(|holding| holding.ring);
        let Some(ring) = ring else {
            self.misused(who.ctx, at, "no fixed buffer has this name".into());
        };
        sign_of(self.manager.linux().unregister_buffers(&mut self.cx(who.ctx), ring))
    }
}
