//! The dumb model of processes and bytes that every simulated load is compared with.
