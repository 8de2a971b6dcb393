//! Recordings of real programs' memory life: format, importers, recorder.
