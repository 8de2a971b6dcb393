//! One figure, and what it is compared with.

/// What kind of nanoseconds a figure is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The clock on the wall.
    Native,
    /// The simulator's.
    Simulated,
}

impl Side {
    /// As the command line and JSON spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Native => "native",
            Side::Simulated => "simulated",
        }
    }
}

/// The same work done by somebody else in the same run, in the row's unit.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Peer {
    /// Who.
    pub(crate) name: String,
    /// Median, or the only value.
    pub(crate) value: f64,
    /// The least of all repetitions.
    pub(crate) min: Option<f64>,
}

/// What of a row is held against its goal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measure {
    /// [`Row::value`].
    Value,
    /// [`Row::ratio`].
    Ratio,
}

impl Measure {
    /// As JSON spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Measure::Value => "value",
            Measure::Ratio => "ratio",
        }
    }
}

/// On which side of a goal is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Better {
    /// At most the goal.
    Lower,
    /// At least the goal.
    Higher,
}

impl Better {
    /// As JSON spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Better::Lower => "lower",
            Better::Higher => "higher",
        }
    }
}

/// What a row has to reach.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Goal {
    /// What is looked at.
    pub(crate) measure: Measure,
    /// On which side of it is better.
    pub(crate) better: Better,
    /// What it has to reach.
    pub(crate) must: f64,
    /// What it would better reach.
    pub(crate) aim: Option<f64>,
}

impl Goal {
    /// The row's ratio to its peer is at most `must`, better at most `aim`.
    pub(crate) const fn ratio_at_most(must: f64, aim: f64) -> Goal {
        Goal { measure: Measure::Ratio, better: Better::Lower, must, aim: Some(aim) }
    }

    /// As it is met by a figure.
    fn met_by(&self, figure: f64) -> Met {
        let reaches = |goal: f64| match self.better {
            Better::Lower => figure <= goal,
            Better::Higher => figure >= goal,
        };
        match self.aim {
            Some(aim) if reaches(aim) => Met::Aim,
            _ if reaches(self.must) => Met::Must,
            _ => Met::Missed,
        }
    }
}

/// How far a goal is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Met {
    /// Not at all.
    Missed,
    /// What must be.
    Must,
    /// What was aimed at.
    Aim,
}

impl Met {
    /// As the table and JSON spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Met::Missed => "missed",
            Met::Must => "must",
            Met::Aim => "aim",
        }
    }
}

/// Names of counts that every row may have, and that JSON has as keys of their own.
pub(crate) const COUNTS: [&str; 4] = ["flush_rounds", "grace_periods", "ipis", "cold_lines"];

/// One figure of a bench.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    /// What was measured; equal in rows that differ in policy, profile or CPUs only.
    pub(crate) name: String,
    /// Under which policy (`epoch`, `ipi`, ...).
    pub(crate) policy: Option<String>,
    /// Under which cost profile of the simulator.
    pub(crate) profile: Option<String>,
    /// Whose nanoseconds.
    pub(crate) side: Side,
    /// Median, or the only value.
    pub(crate) value: f64,
    /// The least of all repetitions.
    pub(crate) min: Option<f64>,
    /// Of `value`, `min`, `floor` and the peer's.
    pub(crate) unit: &'static str,
    /// The same work done by somebody else.
    pub(crate) peer: Option<Peer>,
    /// `value` divided by the peer's, unless the bench says otherwise.
    pub(crate) ratio: Option<f64>,
    /// What nobody can be faster than, measured in the same process.
    pub(crate) floor: Option<f64>,
    /// What was counted: of [`COUNTS`], and others.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// How many CPUs took part.
    pub(crate) cpus: Option<u32>,
    /// What it has to reach.
    pub(crate) goal: Option<Goal>,
    /// What our side does not do and the peer does, or the other way round; empty if nothing is known.
    pub(crate) leaves_out: String,
}

impl Row {
    /// A figure alone.
    pub(crate) fn new(side: Side, name: impl Into<String>, value: f64, unit: &'static str) -> Row {
        Row {
            name: name.into(),
            policy: None,
            profile: None,
            side,
            value,
            min: None,
            unit,
            peer: None,
            ratio: None,
            floor: None,
            counts: Vec::new(),
            cpus: None,
            goal: None,
            leaves_out: String::new(),
        }
    }

    /// Beside a peer; the ratio is this row's value divided by the peer's.
    pub(crate) fn beside(self, peer: Peer) -> Row {
        let ratio = (peer.value != 0.0).then(|| self.value / peer.value);
        Row { ratio, peer: Some(peer), ..self }
    }

    /// With more that was counted.
    pub(crate) fn counted(mut self, counts: Vec<(&'static str, u64)>) -> Row {
        self.counts.extend(counts);
        self
    }

    /// What was counted under a name; 0 for what of [`COUNTS`] was not counted is wrong: leave it out.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(counted, _)| *counted == name).map(|(_, count)| *count)
    }

    /// How far the row reaches its goal; `None` without one, or without what it is about.
    pub(crate) fn met(&self) -> Option<Met> {
        let goal = self.goal.as_ref()?;
        let figure = match goal.measure {
            Measure::Value => Some(self.value),
            Measure::Ratio => self.ratio,
        };
        figure.map(|figure| goal.met_by(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(value: f64, goal: Goal) -> Row {
        let peer = Peer { name: "Linux".into(), value: 10.0, min: None };
        Row { goal: Some(goal), ..Row::new(Side::Native, "x", value, "ns").beside(peer) }
    }

    #[test]
    fn a_ratio_is_ours_divided_by_theirs_and_met_or_missed() {
        let goal = Goal::ratio_at_most(0.6, 0.5);
        for (value, met) in [(5.0, Met::Aim), (6.0, Met::Must), (6.1, Met::Missed)] {
            assert_eq!(beside(value, goal).met(), Some(met), "{value}");
        }
        assert_eq!(beside(6.0, goal).ratio, Some(0.6));
    }

    #[test]
    fn more_may_be_better() {
        let goal = Goal { measure: Measure::Value, better: Better::Higher, must: 0.95, aim: None };
        assert_eq!(beside(0.95, goal).met(), Some(Met::Must));
        assert_eq!(beside(0.94, goal).met(), Some(Met::Missed));
    }

    #[test]
    fn a_peer_of_nothing_has_no_ratio() {
        let peer = Peer { name: "Linux".into(), value: 0.0, min: None };
        let row = Row::new(Side::Native, "x", 1.0, "ns").beside(peer);
        assert_eq!(row.ratio, None);
        assert_eq!(Row { goal: Some(Goal::ratio_at_most(1.0, 1.0)), ..row }.met(), None);
    }
}
