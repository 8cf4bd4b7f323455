//! Numbers in columns of nine: `1251M` for 1251051828.

/// Right-aligned, a blank in front; shortened from 100,000,000 on, unless `exact`.
pub(super) fn largenum(number: u64, exact: bool) -> String {
    if exact {
        // A number that fills the column is still set off from the one before.
        return format!(" {number:>8}");
    }
    let (divisor, letter) = match number {
        0..100_000_000 => return format!("{number:>9}"),
        100_000_000..1_000_000_000 => (1_000, 'K'),
        1_000_000_000..100_000_000_000 => (1_000_000, 'M'),
        100_000_000_000..100_000_000_000_000 => (1_000_000_000, 'G'),
        _ => (1_000_000_000_000, 'T'),
    };
    format!("{:>8}{letter}", number / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_as_recorded() {
        let recorded = [
            (0, "        0"),
            (90_076_864, " 90076864"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (150_128_144, "  150128K"),
            (999_999_999, "  999999K"),
            (1_251_051_828, "    1251M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
        ];
        for (number, text) in recorded {
            assert_eq!(largenum(number, false), text);
        }
    }

    #[test]
    fn exact_as_recorded() {
        for (number, text) in
            [(0, "        0"), (90_076_864, " 90076864"), (150_128_144, " 150128144"), (1_251_051_828, " 1251051828")]
        {
            assert_eq!(largenum(number, true), text);
        }
    }
}
