//! What must be true of a Freehold machine: whole-state checkers, one per numbered rule.
#![no_std]
