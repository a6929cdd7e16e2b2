//! Medians and quantiles.

/// The value that as many of `values` lie below as above; the mean of the middle two if their number is even.
/// `None` for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The smallest of `sorted` that a share of `rank` does not exceed. `sorted` must not be empty.
pub(crate) fn quantile(sorted: &[u64], rank: f64) -> u64 {
    let index = (sorted.len() as f64 * rank).ceil() as usize;
    sorted[index.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_one_of_them() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quantiles_are_members() {
        let thousand: Vec<u64> = (1..=1000).collect();
        assert_eq!(quantile(&thousand, 0.5), 500);
        assert_eq!(quantile(&thousand, 0.999), 999);
        assert_eq!(quantile(&[7], 0.999), 7);
    }
}
