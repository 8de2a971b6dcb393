//! The options that every replay has.

use freehold::space::HugePages;

use super::features::Features;
use super::size;
use super::when::When;
use crate::policy::Policy;

/// The machine to replay on, and what is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// CPUs of the simulated machine (1 to 512)
    #[arg(long, default_value_t = CPUS, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub cpus: u32,
    /// NUMA nodes (1 to 64, at most one a CPU)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub nodes: u32,
    /// Memory of the machine: a number with K, M, G or T
    #[arg(long, default_value = "8G", value_parser = size::bytes)]
    pub memory: u64,
    /// When the whole state is audited: off, end, step (after each event), every=N
    #[arg(long, default_value = "every=1000")]
    pub audit: When,
    /// Start with an empty page cache; otherwise files are cached, as they mostly were
    /// when the program was recorded
    #[arg(long)]
    pub cold: bool,
    /// Varies the schedule; the same number gives the same result to the bit
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Huge pages for anonymous memory: always, madvise (where the program asks for them), never (as the
    /// programs were recorded)
    #[arg(long, value_name = "WHEN", default_value = HugePages::Never.name())]
    pub thp: HugePages,
    /// Swap and merging
    #[command(flatten)]
    pub features: Features,
    /// What is done in another way than Freehold's own
    #[arg(skip)]
    pub policy: Policy,
}

/// CPUs of the machine if nothing is said.
const CPUS: u32 = 4;

impl Options {
    /// How the manager is built.
    pub(super) fn manager(&self) -> freehold::Config {
        let mut config = self.policy.config();
        config.linux.huge_pages = self.thp;
        config
    }
}

/// As on a command line without options, but audited at the end only.
impl Default for Options {
    fn default() -> Self {
        Options {
            cpus: CPUS,
            nodes: 1,
            memory: 8 << 30,
            audit: When::End,
            cold: false,
            seed: 0,
            thp: HugePages::Never,
            features: Features::default(),
            policy: Policy::default(),
        }
    }
}
