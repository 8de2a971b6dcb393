//! The copy-on-write table: what each event does to an entry and to its page's exclusivity.
//!
//! One source for the table in `docs/cow-table.md`, and for the scenarios that the test `cow_table`
//! generates: each row times each kind of page it speaks of must end in the row's state. The rows are those
//! of Linux's exclusive anonymous pages; the two that differ say so.

mod kinds;
mod row;
mod rows;
mod start;
mod write;

pub use kinds::Kind;
pub use row::{Case, Row};
pub use rows::rows;
pub use start::Start;
pub use write::{markdown, scenario};
