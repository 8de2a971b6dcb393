//! Same-page merging, as scenarios drive it.

use freehold::linux::{KsmRun, KsmSettings};
use freehold::machine::Cx;
use sim::SimMachine;

use super::super::script::Ksm;
use super::world::World;

impl<'w> World<'w> {
    /// One step of the scanner's; answers what it came to.
    pub(super) fn ksm(&self, cx: &mut Cx<'w, SimMachine>, ksm: Ksm) -> String {
        let linux = self.manager.linux();
        let settings = linux.ksm_settings();
        let set = |cx: &mut Cx<'w, SimMachine>, settings: KsmSettings| match linux.ksm_set(cx, &settings) {
            Ok(()) => String::new(),
            Err(errno) => errno.name().to_string(),
        };
        match ksm {
            Ksm::Scan(pages) => {
                let looked = linux.ksm_scan(cx, pages.unwrap_or(u64::MAX));
                format!("{looked} pages looked at")
            }
            Ksm::Unmerge => {
                let undone = set(cx, KsmSettings { run: KsmRun::Unmerge, ..settings });
                set(cx, KsmSettings { run: KsmRun::Stop, ..settings });
                undone
            }
            Ksm::ZeroPages => set(cx, KsmSettings { use_zero_pages: true, ..settings }),
            Ksm::Sharing(max_page_sharing) => set(cx, KsmSettings { max_page_sharing, ..settings }),
        }
    }
}
