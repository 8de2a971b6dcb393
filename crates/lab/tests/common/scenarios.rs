//! The scenarios of this repository, as files.

use std::path::{Path, PathBuf};

/// All scenarios, as `folder/name`, in order.
pub(crate) fn scenarios() -> Vec<String> {
    let names = |path: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(path).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let folder = repository().join("scenarios");
    let mut all: Vec<_> = names(&folder)
        .iter()
        .flat_map(|part| names(&folder.join(part)).into_iter().map(move |file| format!("{part}/{file}")))
        .filter_map(|file| file.strip_suffix(".fhs").map(str::to_owned))
        .collect();
    all.sort();
    all
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
