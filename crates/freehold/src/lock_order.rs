//! What the compiler says about the order of locks. Not a part of the library: documentation tests, in pairs
//! that differ as little as they can, so that a refusal has the reason it should have. They are instantiated
//! with the simulated machine, because levels are compared when code for a machine is made.
//!
//! # A lower lock under a higher one
//! An address space's layout is not locked under a page table:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>, table: &Spin<{ level::TABLE1 }>) {
//!     let mut held = table.lock(cx);
//!     let _layout = layout.write(&mut held);
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>, &Spin<{ level::TABLE1 }>) = work;
//! ```
//!
//! but a page table under the layout is:
//! ```
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>, table: &Spin<{ level::TABLE1 }>) {
//!     let mut held = layout.write(cx);
//!     let _table = table.lock(&mut held);
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>, &Spin<{ level::TABLE1 }>) = work;
//! ```
//!
//! # Two locks of one level
//! Not one after the other, whichever comes first:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, one: &Spin<{ level::ZONE }>, two: &Spin<{ level::ZONE }>) {
//!     let mut held = one.lock(cx);
//!     let _other = two.lock(&mut held);
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Spin<{ level::ZONE }>, &Spin<{ level::ZONE }>) = work;
//! ```
//!
//! but the second once the first was given back:
//! ```
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, one: &Spin<{ level::ZONE }>, two: &Spin<{ level::ZONE }>) {
//!     drop(one.lock(cx));
//!     let _other = two.lock(cx);
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Spin<{ level::ZONE }>, &Spin<{ level::ZONE }>) = work;
//! ```
//!
//! # Sleep inside an epoch
//! A reader others wait for does not wait for a lock:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>) {
//!     let mut inside = cx.enter_epoch();
//!     let _layout = layout.read(&mut inside);
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>) = work;
//! ```
//!
//! but who holds the lock may read:
//! ```
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>) {
//!     let mut held = layout.read(cx);
//!     let _inside = held.enter_epoch();
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>) = work;
//! ```
//!
//! # A grace period inside an epoch
//! It would wait for itself:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>) {
//!     let mut inside = cx.enter_epoch();
//!     let epochs = inside.core().epochs;
//!     epochs.wait_for_readers(&mut *inside);
//! }
//! # let _: fn(&mut Cx<SimMachine>) = work;
//! ```
//!
//! Outside, it ends:
//! ```
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>) {
//!     drop(cx.enter_epoch());
//!     let epochs = cx.core().epochs;
//!     epochs.wait_for_readers(cx);
//! }
//! # let _: fn(&mut Cx<SimMachine>) = work;
//! ```
//!
//! # A context that forgets a lock
//! What is held cannot be denied:
//! ```compile_fail,E0080
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>) {
//!     let mut held = layout.write(cx);
//!     let _forgets = held.at::<{ level::PROCESS }>();
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>) = work;
//! ```
//!
//! More than is held may be admitted:
//! ```
//! # use machine::{Cx, level, lock::{Sleep, Spin}};
//! # use sim::SimMachine;
//! fn work(cx: &mut Cx<SimMachine>, layout: &Sleep<{ level::LAYOUT }>) {
//!     let mut held = layout.write(cx);
//!     let _admits = held.at::<{ level::PAGE }>();
//! }
//! # let _: fn(&mut Cx<SimMachine>, &Sleep<{ level::LAYOUT }>) = work;
//! ```
