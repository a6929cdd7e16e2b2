//! Poly1305 (RFC 8439, section 2.5): numbers modulo 2^130 − 5 in five limbs of 26 bits, so that limbs can be multiplied
//! in vectors, and several blocks of a long message at once.

use fearless_simd::{Level, Simd, dispatch, prelude::*};

const LIMB: u64 = (1 << 26) - 1;

const BLOCK_LEN: usize = 16;

/// From this length on, vectors pay: they take powers of the key.
const LONG_LEN: usize = 512;

/// The most blocks that are worked on at once.
const LANES_MAX: usize = 8;

/// Factors are below 2^32, which lets the compiler multiply halves of 64 bits.
const FACTOR: u64 = (1 << 32) - 1;

/// A number; limbs may be a little longer than 26 bits between two steps.
type Number = [u64; 5];

/// The tag of `message` under a key that is used once.
pub(super) fn tag(level: Level, key: &[u8; 32], message: &[u8]) -> [u8; BLOCK_LEN] {
    let [factor, offset] = halves(key);
    let factor = number(factor & 0x0FFF_FFFC_0FFF_FFFC_0FFF_FFFC_0FFF_FFFF, 0);
    let (sum, rest) = if message.len() >= LONG_LEN {
        dispatch!(level, simd => sum_in_lanes(simd, &factor, message))
    } else {
        ([0; 5], message)
    };
    let (blocks, last) = rest.as_chunks::<BLOCK_LEN>();
    let mut sum = blocks.iter().fold(sum, |sum, block| step(&sum, u128::from_le_bytes(*block), 1, &factor));
    if !last.is_empty() {
        let mut block = [0; BLOCK_LEN];
        block[..last.len()].copy_from_slice(last);
        block[last.len()] = 1;
        sum = step(&sum, u128::from_le_bytes(block), 0, &factor);
    }
    reduced(sum).wrapping_add(offset).to_le_bytes()
}

fn halves(key: &[u8; 32]) -> [u128; 2] {
    let mut halves = [0; 2];
    halves.iter_mut().zip(key.as_chunks().0).for_each(|(half, bytes)| *half = u128::from_le_bytes(*bytes));
    halves
}

/// The number of 16 bytes, and the bit behind them.
#[inline(always)]
fn number(low: u128, high: u64) -> Number {
    let (first, second) = (low as u64, (low >> 64) as u64);
    [
        first & LIMB,
        (first >> 26) & LIMB,
        ((first >> 52) | (second << 12)) & LIMB,
        (second >> 14) & LIMB,
        (second >> 40) | (high << 24),
    ]
}

#[inline(always)]
fn step(sum: &Number, block: u128, high: u64, factor: &Number) -> Number {
    let block = number(block, high);
    let sum = [sum[0] + block[0], sum[1] + block[1], sum[2] + block[2], sum[3] + block[3], sum[4] + block[4]];
    product(&sum, factor)
}

#[inline(always)]
fn product(a: &Number, b: &Number) -> Number {
    // What goes beyond 2^130 comes back five times.
    let (b1, b2, b3, b4) = (5 * b[1], 5 * b[2], 5 * b[3], 5 * b[4]);
    carried([
        a[0] * b[0] + a[1] * b4 + a[2] * b3 + a[3] * b2 + a[4] * b1,
        a[0] * b[1] + a[1] * b[0] + a[2] * b4 + a[3] * b3 + a[4] * b2,
        a[0] * b[2] + a[1] * b[1] + a[2] * b[0] + a[3] * b4 + a[4] * b3,
        a[0] * b[3] + a[1] * b[2] + a[2] * b[1] + a[3] * b[0] + a[4] * b4,
        a[0] * b[4] + a[1] * b[3] + a[2] * b[2] + a[3] * b[1] + a[4] * b[0],
    ])
}

#[inline(always)]
fn carried(mut number: Number) -> Number {
    for limb in 0..4 {
        number[limb + 1] += number[limb] >> 26;
        number[limb] &= LIMB;
    }
    number[0] += 5 * (number[4] >> 26);
    number[4] &= LIMB;
    number[1] += number[0] >> 26;
    number[0] &= LIMB;
    number
}

/// The number modulo 2^130 − 5, of which the lower 128 bits are wanted; in constant time.
fn reduced(number: Number) -> u128 {
    let number = carried(carried(number));
    let mut less = number;
    less[0] += 5;
    for limb in 0..4 {
        less[limb + 1] += less[limb] >> 26;
        less[limb] &= LIMB;
    }
    let is_less = 0_u64.wrapping_sub(less[4] >> 26);
    let limb = |limb: usize| u128::from((number[limb] & !is_less) | (less[limb] & is_less));
    limb(0) | limb(1) << 26 | limb(2) << 52 | limb(3) << 78 | limb(4) << 104
}

/// The sum over whole blocks, as many at once as there are lanes, and the rest of the message.
///
/// Each lane has every `n`-th block and multiplies by the `n`-th power; in the end each multiplies by the power that its
/// last block lacks, and all are added.
#[inline(always)]
fn sum_in_lanes<'m, S: Simd>(simd: S, factor: &Number, message: &'m [u8]) -> (Number, &'m [u8]) {
    let lanes = S::u64s::LEN;
    let mut powers = [*factor; LANES_MAX];
    for lane in (0..lanes - 1).rev() {
        powers[lane] = product(&powers[lane + 1], factor);
    }
    let all = Vector::<S>::splat(simd, &powers[0]);
    let mut groups = message.chunks_exact(BLOCK_LEN * lanes);
    let mut sum = Vector::<S>::splat(simd, &[0; 5]);
    if let Some(group) = groups.next() {
        sum = Vector::load(simd, group);
    }
    for group in &mut groups {
        sum = sum.product(simd, &all).plus(&Vector::load(simd, group));
    }
    (sum.product(simd, &Vector::of(simd, &powers)).sum(), groups.remainder())
}

/// A number in each lane.
struct Vector<S: Simd>([S::u64s; 5]);

impl<S: Simd> Vector<S> {
    #[inline(always)]
    fn splat(simd: S, number: &Number) -> Self {
        let all = |limb: usize| S::u64s::splat(simd, number[limb]);
        Self([all(0), all(1), all(2), all(3), all(4)])
    }

    #[inline(always)]
    fn of(simd: S, numbers: &[Number; LANES_MAX]) -> Self {
        let limb = |limb: usize| {
            let mut limbs = [0; LANES_MAX];
            for lane in 0..LANES_MAX {
                limbs[lane] = numbers[lane][limb];
            }
            S::u64s::from_slice(simd, &limbs[..S::u64s::LEN])
        };
        Self([limb(0), limb(1), limb(2), limb(3), limb(4)])
    }

    /// A block for each lane.
    #[inline(always)]
    fn load(simd: S, blocks: &[u8]) -> Self {
        let lanes = S::u64s::LEN;
        let mut halves = [0; 2 * LANES_MAX];
        for (half, bytes) in halves.iter_mut().zip(blocks.as_chunks().0) {
            *half = u64::from_le_bytes(*bytes);
        }
        let front = S::u64s::from_slice(simd, &halves[..lanes]);
        let back = S::u64s::from_slice(simd, &halves[lanes..2 * lanes]);
        let (first, second) = (front.unzip_low(back), front.unzip_high(back));
        Self([
            first & LIMB,
            (first >> 26) & LIMB,
            ((first >> 52) | (second << 12)) & LIMB,
            (second >> 14) & LIMB,
            (second >> 40) | (1 << 24),
        ])
    }

    #[inline(always)]
    fn plus(self, other: &Self) -> Self {
        let limb = |limb: usize| self.0[limb] + other.0[limb];
        Self([limb(0), limb(1), limb(2), limb(3), limb(4)])
    }

    #[inline(always)]
    fn product(&self, simd: S, other: &Self) -> Self {
        let a = |limb: usize| self.0[limb] & FACTOR;
        let b = |limb: usize| other.0[limb] & FACTOR;
        let five = |limb: usize| ((other.0[limb] << 2) + other.0[limb]) & FACTOR;
        Self([
            a(0) * b(0) + a(1) * five(4) + a(2) * five(3) + a(3) * five(2) + a(4) * five(1),
            a(0) * b(1) + a(1) * b(0) + a(2) * five(4) + a(3) * five(3) + a(4) * five(2),
            a(0) * b(2) + a(1) * b(1) + a(2) * b(0) + a(3) * five(4) + a(4) * five(3),
            a(0) * b(3) + a(1) * b(2) + a(2) * b(1) + a(3) * b(0) + a(4) * five(4),
            a(0) * b(4) + a(1) * b(3) + a(2) * b(2) + a(3) * b(1) + a(4) * b(0),
        ])
        .carried(simd)
    }

    /// Two chains of carries at a time: one alone would wait for itself.
    #[inline(always)]
    fn carried(self, simd: S) -> Self {
        let mask = S::u64s::splat(simd, LIMB);
        let [mut a, mut b, mut c, mut d, mut e] = self.0;
        b += a >> 26;
        a &= mask;
        e += d >> 26;
        d &= mask;
        c += b >> 26;
        b &= mask;
        let over = e >> 26;
        a += (over << 2) + over;
        e &= mask;
        d += c >> 26;
        c &= mask;
        b += a >> 26;
        a &= mask;
        e += d >> 26;
        d &= mask;
        Self([a, b, c, d, e])
    }

    /// The sum of all lanes.
    #[inline(always)]
    fn sum(&self) -> Number {
        let mut sum = [0; 5];
        for (limb, lanes) in sum.iter_mut().zip(&self.0) {
            for lane in 0..S::u64s::LEN {
                *limb += lanes[lane];
            }
        }
        carried(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_8439() {
        let key = [
            0x85, 0xD6, 0xBE, 0x78, 0x57, 0x55, 0x6D, 0x33, 0x7F, 0x44, 0x52, 0xFE, 0x42, 0xD5, 0x06, 0xA8, 0x01, 0x03,
            0x80, 0x8A, 0xFB, 0x0D, 0xB2, 0xFD, 0x4A, 0xBF, 0xF6, 0xAF, 0x41, 0x49, 0xF5, 0x1B,
        ];
        let expected = [0xA8, 0x06, 0x1D, 0xC1, 0x30, 0x51, 0x36, 0xC6, 0xC2, 0x2B, 0x8B, 0xAF, 0x0C, 0x01, 0x27, 0xA9];
        assert_eq!(tag(Level::new(), &key, b"Cryptographic Forum Research Group"), expected);
    }

    /// RFC 8439, appendix A.3, vectors 7 to 11: where carries and the last subtraction matter.
    #[test]
    fn the_edges_of_the_modulus() {
        let key = |factor: u8| {
            let mut key = [0; 32];
            key[0] = factor;
            key
        };
        let expected = |first: u8, rest: u8| {
            let mut tag = [rest; BLOCK_LEN];
            tag[0] = first;
            tag
        };
        let level = Level::new();
        let all = [0xFF; 16];
        let mut offset = key(2);
        offset[16..].fill(0xFF);
        assert_eq!(tag(level, &key(2), &all), expected(3, 0));
        assert_eq!(tag(level, &offset, &expected(2, 0)), expected(3, 0));
        let fb = [&all[..], &expected(0xF0, 0xFF), &expected(0x11, 0)].concat();
        assert_eq!(tag(level, &key(1), &fb), expected(5, 0));
        let fe = [&all[..], &expected(0xFB, 0xFE), &[1; 16]].concat();
        assert_eq!(tag(level, &key(1), &fe), [0; 16]);
        assert_eq!(tag(level, &key(2), &expected(0xFD, 0xFF)), expected(0xFA, 0xFF));
    }
}
