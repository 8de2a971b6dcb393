//! One node: up to [`LEAF_ROWS`] ranges, or up to [`INNER_ROWS`] children and what is known of them.
//!
//! A row is one range or one child; rows are ascending and stored by column, so that a search reads one
//! column.
//!
//! ```text
//! column   0                 1                            2                      3
//! leaf     end               start                        value | guard << 32    -
//! inner    end of the last   floor of the first range     largest gap between    child
//!          range below       below (its start - guard)    ranges below
//! ```
//!
//! The gap between two rows follows from their ends and floors, so a change of a range never touches the leaf
//! beside it.

use core::array::from_fn;
use machine::{Field, Vpn, VpnRange, Word};

/// Most ranges in a leaf.
pub(super) const LEAF_ROWS: usize = 20;
/// Most children of an inner node.
pub(super) const INNER_ROWS: usize = 15;
/// Fewest rows of a leaf, except on the right edge. A third of the most: a merged pair has room before it
/// splits again.
const LEAF_LEAST: usize = 6;
/// Fewest rows of an inner node, except on the right edge.
const INNER_LEAST: usize = 5;
const SLOTS: usize = 62;

machine::cells! {
    /// A node: 512 bytes.
    #[repr(align(64))]
    pub(super) struct Node {
        /// See [`super::version`].
        pub(super) version: Word,
        /// (layout; version) Level (0 is a leaf) << 8 | number of rows.
        shape: Field<u64>,
        /// (layout; version, but columns 1 and 2 of inner nodes: layout only) The rows, column after column.
        slots: [Field<u64>; SLOTS],
    }
}

const _: () = assert!(size_of::<Node>() == 512 && LEAF_ROWS * 3 <= SLOTS && INNER_ROWS * 4 <= SLOTS);

/// One row, by column.
pub(super) type Row = [u64; 4];

const END: usize = 0;
const START: usize = 1;
const TAG: usize = 2;
const FLOOR: usize = 1;
const GAP: usize = 2;
const CHILD: usize = 3;

/// The row of a range.
pub(super) fn range_row(range: VpnRange, value: u32, guard: u64) -> Row {
    debug_assert!(!range.is_empty(), "an empty range has no place");
    let guard = guard.min(u64::from(u32::MAX));
    [range.end.0, range.start.0, u64::from(value) | guard << 32, 0]
}

/// The range and value of a leaf's row.
pub(super) fn row_range(row: &Row) -> (VpnRange, u32) {
    (VpnRange::new(Vpn(row[START]), Vpn(row[END])), row[TAG] as u32)
}

/// The child of an inner node's row.
pub(super) fn row_child(row: &Row) -> u32 {
    row[CHILD] as u32
}

/// The same row with another range.
pub(super) fn with_range(row: &Row, range: VpnRange) -> Row {
    range_row(range, row[TAG] as u32, row[TAG] >> 32)
}

/// The same row with another value.
pub(super) fn with_value(row: &Row, value: u32) -> Row {
    range_row(row_range(row).0, value, row[TAG] >> 32)
}

/// What a parent knows of a child: what is not free from `floor` to `end`, but for gaps of at most `gap`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    pub(super) end: u64,
    pub(super) floor: u64,
    pub(super) gap: u64,
}

impl Summary {
    /// The row of a child.
    pub(super) fn row(self, child: u32) -> Row {
        [self.end, self.floor, self.gap, u64::from(child)]
    }
}

/// Level and number of rows, read in one step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) level: u8,
    pub(super) len: usize,
}

impl Shape {
    /// Most rows of such a node.
    pub(super) fn most(self) -> usize {
        if self.level == 0 { LEAF_ROWS } else { INNER_ROWS }
    }

    /// Fewest rows of such a node, except on the right edge.
    pub(super) fn least(self) -> usize {
        if self.level == 0 { LEAF_LEAST } else { INNER_LEAST }
    }

    fn columns(self) -> usize {
        if self.level == 0 { 3 } else { 4 }
    }

    fn slot(self, column: usize, i: usize) -> usize {
        column * self.most() + i
    }
}

impl Node {
    /// The link of a node that waits in a reserve.
    pub(super) fn link(&self) -> &Field<u64> {
        &self.slots[0]
    }

    /// Makes it a node of a level without rows.
    pub(super) fn reset(&self, level: u8) {
        self.set_shape(Shape { level, len: 0 });
    }

    pub(super) fn shape(&self) -> Shape {
        let bits = self.shape.get();
        Shape { level: (bits >> 8) as u8, len: bits as usize & 0xff }
    }

    fn set_shape(&self, shape: Shape) {
        debug_assert!(shape.len <= shape.most());
        self.shape.set(u64::from(shape.level) << 8 | shape.len as u64);
    }

    pub(super) fn len(&self) -> usize {
        self.shape().len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == self.shape().most()
    }

    pub(super) fn is_underfull(&self) -> bool {
        self.len() < self.shape().least()
    }

    fn get(&self, column: usize, i: usize) -> u64 {
        self.slots[self.shape().slot(column, i)].get()
    }

    pub(super) fn row(&self, i: usize) -> Row {
        self.row_of(self.shape(), i)
    }

    fn row_of(&self, shape: Shape, i: usize) -> Row {
        from_fn(|column| if column < shape.columns() { self.slots[shape.slot(column, i)].get() } else { 0 })
    }

    /// The first row that ends behind the page. For readers without the lock: the shape is read once, so that
    /// a change meanwhile leads to a meaningless row (the version tells), never out of the node.
    pub(super) fn first_behind(&self, page: u64) -> Option<Row> {
        let shape = self.shape();
        let i = self.position(shape, page);
        (i < shape.len).then(|| self.row_of(shape, i))
    }

    pub(super) fn set_row(&self, i: usize, row: &Row) {
        let shape = self.shape();
        for (column, &value) in row.iter().enumerate().take(shape.columns()) {
            self.slots[shape.slot(column, i)].set(value);
        }
    }

    /// End of the last range of row `i`.
    pub(super) fn end(&self, i: usize) -> u64 {
        self.get(END, i)
    }

    /// Where what is not free begins in row `i`: the start of its first range, less the guard before it.
    pub(super) fn floor(&self, i: usize) -> u64 {
        match self.shape().level {
            0 => self.get(START, i).saturating_sub(self.get(TAG, i) >> 32),
            _ => self.get(FLOOR, i),
        }
    }

    /// (inner) The largest gap between the ranges below row `i`.
    pub(super) fn gap_within(&self, i: usize) -> u64 {
        if self.shape().level == 0 { 0 } else { self.get(GAP, i) }
    }

    /// The gap before row `i` (not the first): it ends at the row's floor.
    pub(super) fn gap_before(&self, i: usize) -> u64 {
        self.floor(i).saturating_sub(self.end(i - 1))
    }

    /// (inner) The child of row `i`.
    pub(super) fn child(&self, i: usize) -> u32 {
        debug_assert!(self.shape().level > 0);
        self.get(CHILD, i) as u32
    }

    /// The first row that ends behind the page; the number of rows if none does.
    pub(super) fn search(&self, page: u64) -> usize {
        self.position(self.shape(), page)
    }

    fn position(&self, shape: Shape, page: u64) -> usize {
        self.slots[..shape.len].iter().position(|end| end.get() > page).unwrap_or(shape.len)
    }

    pub(super) fn insert_row(&self, at: usize, row: &Row) {
        let Shape { level, len } = self.shape();
        debug_assert!(at <= len);
        self.set_shape(Shape { level, len: len + 1 });
        for i in (at..len).rev() {
            self.set_row(i + 1, &self.row(i));
        }
        self.set_row(at, row);
    }

    pub(super) fn remove_row(&self, at: usize) {
        let Shape { level, len } = self.shape();
        debug_assert!(at < len);
        for i in at + 1..len {
            self.set_row(i - 1, &self.row(i));
        }
        self.set_shape(Shape { level, len: len - 1 });
    }

    /// Moves the rows from `from` on to the front of the node to the right.
    pub(super) fn move_tail(&self, from: usize, right: &Node) {
        let Shape { level, len } = self.shape();
        let (moved, kept) = (len - from, right.len());
        debug_assert!(level == right.shape().level);
        right.set_shape(Shape { level, len: kept + moved });
        for i in (0..kept).rev() {
            right.set_row(i + moved, &right.row(i));
        }
        for i in 0..moved {
            right.set_row(i, &self.row(from + i));
        }
        self.set_shape(Shape { level, len: from });
    }

    /// Moves the first `n` rows to the end of the node to the left.
    pub(super) fn move_head(&self, n: usize, left: &Node) {
        let Shape { level, len } = self.shape();
        let kept = left.len();
        debug_assert!(level == left.shape().level && n <= len);
        left.set_shape(Shape { level, len: kept + n });
        for i in 0..n {
            left.set_row(kept + i, &self.row(i));
        }
        for i in n..len {
            self.set_row(i - n, &self.row(i));
        }
        self.set_shape(Shape { level, len: len - n });
    }

    /// What a parent is to know of this node, which has rows.
    pub(super) fn summary(&self) -> Summary {
        let len = self.len();
        debug_assert!(len > 0);
        let between = (1..len).map(|i| self.gap_before(i)).max().unwrap_or(0);
        let within = (0..len).map(|i| self.gap_within(i)).max().unwrap_or(0);
        Summary { end: self.end(len - 1), floor: self.floor(0), gap: between.max(within) }
    }

    /// (inner) What this node knows of the child of row `i`.
    pub(super) fn summary_of(&self, i: usize) -> Summary {
        Summary { end: self.end(i), floor: self.floor(i), gap: self.gap_within(i) }
    }

    /// (inner) Notes what the child of row `i` is now.
    pub(super) fn note(&self, i: usize, summary: Summary) {
        self.set_row(i, &summary.row(self.child(i)));
    }
}
