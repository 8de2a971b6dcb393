//! What the compiler says about walks without a lock. Not a part of the library: documentation tests, in
//! pairs that differ as little as they can, so that a refusal has the reason it should have.
//!
//! # A place in a table past the end of the walk
//! Who ends a walk has nothing of it left but values (L-21):
//! ```compile_fail,E0505
//! # use machine::{Cx, Entry, Vpn};
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) -> Entry {
//!     let walk = walker.walk(cx.at());
//!     let spot = walk.spot(Vpn(1));
//!     drop(walk);
//!     spot.again()
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) -> Entry = work;
//! ```
//!
//! Before its end it may look again:
//! ```
//! # use machine::{Cx, Entry, Vpn};
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) -> Entry {
//!     let walk = walker.walk(cx.at());
//!     let spot = walk.spot(Vpn(1));
//!     let entry = spot.again();
//!     drop(walk);
//!     entry
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) -> Entry = work;
//! ```
//!
//! # A table past the end of the walk
//! The entries of a table are read while the walk lives:
//! ```compile_fail,E0597
//! # use machine::{Cx, Vpn};
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) -> usize {
//!     let entries = {
//!         let walk = walker.walk(cx.at());
//!         walk.entries(Vpn(1))
//!     };
//!     entries.count()
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) -> usize = work;
//! ```
//!
//! What was counted of them stays:
//! ```
//! # use machine::{Cx, Vpn};
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) -> usize {
//!     let entries = {
//!         let walk = walker.walk(cx.at());
//!         walk.entries(Vpn(1)).count()
//!     };
//!     entries
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) -> usize = work;
//! ```
//!
//! # A grace period inside a walk
//! It would wait for itself:
//! ```compile_fail,E0080
//! # use machine::Cx;
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) {
//!     let epochs = cx.core().epochs;
//!     let mut walk = walker.walk(cx.at());
//!     epochs.wait_for_readers(&mut *walk);
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) = work;
//! ```
//!
//! Behind it, it ends:
//! ```
//! # use machine::Cx;
//! # use sim::SimMachine;
//! # use table::Walker;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>) {
//!     let epochs = cx.core().epochs;
//!     drop(walker.walk(cx.at()));
//!     epochs.wait_for_readers(cx);
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>) = work;
//! ```
//!
//! # Sleep inside a walk
//! A walk does not wait for a lock that is slept for:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::Sleep};
//! # use sim::SimMachine;
//! # use table::Walker;
//! type Layout = Sleep<{ level::LAYOUT }>;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>, layout: &Layout) {
//!     let mut walk = walker.walk(cx.at());
//!     let _held = layout.read(&mut walk);
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>, &Layout) = work;
//! ```
//!
//! but who has the lock may walk:
//! ```
//! # use machine::{Cx, level, lock::Sleep};
//! # use sim::SimMachine;
//! # use table::Walker;
//! type Layout = Sleep<{ level::LAYOUT }>;
//! fn work<'m>(cx: &mut Cx<'m, SimMachine>, walker: &Walker<'_, 'm, SimMachine>, layout: &Layout) {
//!     let mut held = layout.read(cx);
//!     let _walk = walker.walk(held.at());
//! }
//! # let _: fn(&mut Cx<'static, SimMachine>, &Walker<'static, 'static, SimMachine>, &Layout) = work;
//! ```
//!
//! # A walk on another thread
//! The mark is this CPU's:
//! ```compile_fail,E0277
//! # use machine::{Cx, Vpn};
//! # use sim::SimMachine;
//! # use table::{Seen, Walk};
//! fn is_sent<T: Send>() {}
//! # fn work() {
//! is_sent::<Walk<SimMachine>>();
//! # }
//! ```
//!
//! What it saw may go anywhere:
//! ```
//! # use machine::{Cx, Vpn};
//! # use sim::SimMachine;
//! # use table::{Seen, Walk};
//! fn is_sent<T: Send>() {}
//! # fn work() {
//! is_sent::<Seen>();
//! # }
//! ```
