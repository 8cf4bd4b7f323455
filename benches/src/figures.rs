//! Medians, spreads, ratios. Pure.

/// The middle of some samples; 0 of none.
pub fn median(mut samples: Vec<u32>) -> u32 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// Least, middle and greatest of some ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these values; all zero of none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        Self { min: at(0), median: at(values.len() / 2), max: at(values.len().saturating_sub(1)) }
    }

    /// Of `costs` to `floors`, round by round: what disturbs a round disturbs both. Each is (with restoring, restoring alone)
    /// in nanoseconds. A floor below one nanosecond counts as one.
    pub fn of_ratios(costs: &[(u32, u32)], floors: &[(u32, u32)]) -> Self {
        let net = |(ns, base): &(u32, u32)| f64::from(*ns) - f64::from(*base);
        Self::of(costs.iter().zip(floors).map(|(cost, floor)| net(cost).max(0.0) / net(floor).max(1.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_the_others() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(Vec::new()), 0);
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let spread = Spread::of_ratios(&[(70, 10), (130, 10), (50, 10)], &[(30, 10), (50, 10), (30, 10)]);
        assert_eq!(spread, Spread { min: 2.0, median: 3.0, max: 3.0 });
        assert_eq!(Spread::of_ratios(&[(5, 10)], &[(1, 10)]).median, 0.0);
    }
}
