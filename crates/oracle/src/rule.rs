//! The numbered rules.

macro_rules! rules {
    ($($id:ident = $statement:literal),* $(,)?) => {
        /// A rule that holds of every quiet machine.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $(#[doc = $statement] $id),*
        }

        /// How many rules there are.
        pub const RULES: usize = Rule::ALL.len();

        impl Rule {
            /// Every rule, in the order of `docs/rules.md`.
            pub const ALL: &[Rule] = &[$(Rule::$id),*];

            /// Its number.
            pub const fn id(self) -> &'static str {
                match self { $(Rule::$id => stringify!($id)),* }
            }

            /// What it says, in one line.
            pub const fn statement(self) -> &'static str {
                match self { $(Rule::$id => $statement),* }
            }
        }
    };
}

rules! {
    // ---- frames ----
    FR1 = "In each zone, free, per-CPU, handed-out and reserved frames add up to the frames present.",
    FR2 = "Free blocks are aligned, disjoint, joined with free buddies, and in the one list their \
        descriptor names.",
    FR3 = "A frame's references are its mappings, its cache slot, its pins and known holders; a kernel \
        frame has one owner.",
    FR4 = "A page's count of mappings is the number of entries that map it.",
    FR5 = "A frame that is not handed out to user space or a file is mapped nowhere and cached nowhere.",
    FR6 = "Every object that is allocated from a slab can be reached, and only such objects can.",
    FR7 = "A page has exactly the pins that its holders have.",
    // ---- tables and TLBs ----
    TR1 = "A table is linked once, alive, of its place's level and owner, and its count of entries is exact.",
    TR2 = "Every entry lies in a VMA and allows no more than the VMA.",
    TR3 = "A translation that a CPU may use has its entry's frame, and no right or dirty mark the entry \
        has not.",
    TR4 = "Resident pages of each kind, and those that are locked, are counted exactly.",
    TR5 = "A CPU translates only through live spaces, and is in the active set of the one it translates \
        through.",
    TR6 = "An upper-level link that a CPU may use leads to the table that is linked there.",
    LR10 = "No space owes a flush: every batch has flushed, and every flush that was begun is over.",
    // ---- copy-on-write ----
    CR1 = "A writable entry of an anonymous page means that the page is exclusive.",
    CR2 = "An exclusive page is anonymous and mapped by exactly one entry.",
    CR4 = "A pinned anonymous page is exclusive.",
    CR15 = "A swap entry that is exclusive is the only one of its slot.",
    CR18 = "No page is on its way: there is no migration entry.",
    CR29 = "The zero page is never exclusive, never writable, never counted, and the only frame mapped \
        as special.",
    // ---- merged pages ----
    KR1 = "A merged page is mapped read-only, is never exclusive and never pinned.",
    KR2 = "A mapping of a merged page is found through an item of the node that the page names.",
    KR3 = "Every node is where its hash leads, counts its items, and has the page that names it; items keep \
        their lineages.",
    KR4 = "Mappings of the page of zeros that merging made are counted exactly.",
    // ---- VMAs ----
    VR1 = "A space's VMA tree is well-formed; its VMAs are stable, in order, where the tree has them, in \
        user space.",
    VR2 = "Neighbouring VMAs that could be one are one.",
    VR3 = "A space's totals (all, data, code, stack, locked, committed) are the sums over its VMAs.",
    VR4 = "The memory promised in all is the sum of what was promised to each space.",
    VR5 = "An entry that maps a page is marked as locked exactly if its VMA is locked.",
    // ---- pages and objects ----
    PR1 = "A cached page is a file page that names its file and index, is up to date, and has one slot.",
    PR2 = "A shared entry of a regular file's page that is writable or dirty means that the page is \
        marked dirty.",
    PR3 = "Attachments and VMAs of objects correspond one to one, with equal ranges, offsets and sharing.",
    PR4 = "Every mapped page is found through the reverse map: it names the object and index its VMA has \
        there.",
    PR5 = "No page of a file, and no private copy of one, is cached or mapped beyond the file's end.",
    PR6 = "No page is locked or in writeback, and a file's counts of cached and dirty pages are exact.",
    PR7 = "A private mapping lets no store reach the object's page, and a shared one maps only the \
        object's pages.",
    // ---- swap ----
    SW1 = "The swap entries that name a slot are as many as it counts.",
    SW2 = "A page in the swap cache is anonymous, names its slot, and is there alone; a slot in use has \
        entries, or a page that is mapped, and nobody works on it.",
    // ---- locks ----
    LK1 = "No lock is held, no CPU is inside an epoch, and nobody waits for the manager.",
}
