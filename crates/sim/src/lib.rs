//! A simulated machine for Freehold: CPUs with TLBs that go stale, IPIs, nodes, a clock with a cost model.
