//! Running a model, and asking that it fails.

use loom::model::Builder;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What loom says of touches of [`crate::Data`] that nothing orders.
pub const RACE: &str = "Causality violation";
/// What a [`crate::Board`] says of a task that sleeps for ever.
pub const LOST: &str = "a wake-up was lost";

/// Runs a model in every order. Panics as the model does.
pub fn explore(model: impl Fn() + Send + Sync + 'static) {
    run(None, model);
}

/// Runs a model in every order in which at most so many threads are interrupted while they could go on.
pub fn explore_bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    run(Some(preemptions), model);
}

/// Fails unless loom finds an order in which the model panics with this message.
pub fn rejects(message: &str, model: impl Fn() + Send + Sync + 'static) {
    expect_panic(message, || run(None, model));
}

/// The same with a bound, as [`explore_bounded`].
pub fn rejects_bounded(preemptions: usize, message: &str, model: impl Fn() + Send + Sync + 'static) {
    expect_panic(message, || run(Some(preemptions), model));
}

/// Runs `other` on a second thread and `own` on this one; returns when both are over.
pub fn together(other: impl FnOnce() + 'static, own: impl FnOnce()) {
    let other = loom::thread::spawn(other);
    own();
    assert!(other.join().is_ok(), "the second thread panicked");
}

fn run(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn expect_panic(message: &str, model: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(model)).expect_err("loom rejects nothing");
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let said = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("something that is no text");
    assert!(said.contains(message), "loom rejects it with \"{said}\", not with \"{message}\"");
}
