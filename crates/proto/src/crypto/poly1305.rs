//! Poly1305 (RFC 8439, section 2.5): numbers modulo 2^130 − 5 in five limbs of 26 bits, so that limbs can be multiplied
//! in vectors: those of several messages at once, or those of several blocks of a long one.

use fearless_simd::{Level, Simd, dispatch, prelude::*};

const LIMB: u64 = (1 << 26) - 1;

const BLOCK_LEN: usize = 16;

/// The most messages that are worked on at once, and the most blocks of one.
pub(super) const LANES_MAX: usize = 8;

/// Blocks of each of several messages that are laid side by side before they are worked on.
const GATHERED: usize = 8;

/// From this length on, vectors pay: they take powers of the key.
const LONG_LEN: usize = 512;

/// Factors are below 2^32, which lets the compiler multiply halves of 64 bits.
const LOWER_HALF: u64 = (1 << 32) - 1;

/// What is clear of a key's first half (RFC 8439, "clamp").
const CLAMP: u128 = 0x0FFF_FFFC_0FFF_FFFC_0FFF_FFFC_0FFF_FFFF;

/// A number; limbs may be a little longer than 26 bits between two steps.
type Number = [u64; 5];

/// A message, and the key that is used for it and no other.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'m> {
    pub(super) key: &'m [u8; 32],
    pub(super) message: &'m [u8],
}

impl Keyed<'_> {
    fn blocks(&self) -> usize {
        self.message.len().div_ceil(BLOCK_LEN)
    }

    /// A block, and the bit behind it.
    #[inline(always)]
    fn block(&self, index: usize) -> (u128, u64) {
        let rest = &self.message[index * BLOCK_LEN..];
        match rest.first_chunk() {
            Some(block) => (u128::from_le_bytes(*block), 1),
            None => (last_block(rest), 0),
        }
    }

    /// The factor that the sum is multiplied by, and what is added in the end.
    fn halves(&self) -> [u128; 2] {
        let mut halves = [0; 2];
        halves.iter_mut().zip(self.key.as_chunks().0).for_each(|(half, bytes)| *half = u128::from_le_bytes(*bytes));
        [halves[0] & CLAMP, halves[1]]
    }
}

/// The tags of at most [`LANES_MAX`] messages.
pub(super) fn tags(level: Level, messages: &[Keyed<'_>]) -> [[u8; BLOCK_LEN]; LANES_MAX] {
    let mut tags = [[0; BLOCK_LEN]; LANES_MAX];
    dispatch!(level, simd => tags_in_lanes(simd, messages, &mut tags));
    tags
}

/// A message in each lane, if more than half of the work is not in vain: they are of similar lengths.
#[inline(always)]
fn tags_in_lanes<S: Simd>(simd: S, messages: &[Keyed<'_>], tags: &mut [[u8; BLOCK_LEN]; LANES_MAX]) {
    let lanes = S::u64s::LEN;
    for (messages, tags) in messages.chunks(lanes).zip(tags.chunks_mut(lanes)) {
        let longest = messages.iter().map(Keyed::blocks).max().unwrap_or(0);
        let blocks: usize = messages.iter().map(Keyed::blocks).sum();
        if 2 * blocks > lanes * longest {
            let sums = sums_in_lanes(simd, messages, longest);
            for (lane, (message, tag)) in messages.iter().zip(tags).enumerate() {
                let sum = sums.map(|limbs| limbs[lane]);
                *tag = reduced(sum).wrapping_add(message.halves()[1]).to_le_bytes();
            }
        } else {
            messages.iter().zip(tags).for_each(|(message, to)| *to = tag(simd.level(), message));
        }
    }
}

/// The tag of a message.
fn tag(level: Level, keyed: &Keyed<'_>) -> [u8; BLOCK_LEN] {
    let message = keyed.message;
    let [factor, offset] = keyed.halves();
    let factor = number(factor, 0);
    let (sum, rest) = if message.len() >= LONG_LEN {
        dispatch!(level, simd => sum_in_lanes(simd, &factor, message))
    } else {
        ([0; 5], message)
    };
    let (blocks, last) = rest.as_chunks::<BLOCK_LEN>();
    let mut sum = blocks.iter().fold(sum, |sum, block| step(&sum, u128::from_le_bytes(*block), 1, &factor));
    if !last.is_empty() {
        sum = step(&sum, last_block(last), 0, &factor);
    }
    reduced(sum).wrapping_add(offset).to_le_bytes()
}

/// A block that is not full: the bit that stands behind others is in it.
fn last_block(bytes: &[u8]) -> u128 {
    let mut block = [0; BLOCK_LEN];
    block[..bytes.len()].copy_from_slice(bytes);
    block[bytes.len()] = 1;
    u128::from_le_bytes(block)
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

/// The limbs of each message's sum, the longest having `steps` blocks.
///
/// All end together. What a shorter one has in the lane before it begins is zero, and adds nothing.
#[inline(always)]
fn sums_in_lanes<S: Simd>(simd: S, messages: &[Keyed<'_>], steps: usize) -> [[u64; LANES_MAX]; 5] {
    let mut factors = Blocks::NONE;
    let mut waits = [0; LANES_MAX];
    for (lane, message) in messages.iter().enumerate() {
        factors.set(lane, message.halves()[0], 0);
        waits[lane] = steps - message.blocks();
    }
    let factors = Factor::new(factors.numbers(simd));
    let mut sum = Vector::<S>::splat(simd, &[0; 5]);
    let mut first = 0;
    while first < steps {
        let gathered = (steps - first).min(GATHERED);
        let mut blocks = [Blocks::NONE; GATHERED];
        for (lane, (message, wait)) in messages.iter().zip(waits).enumerate() {
            for step in first.max(wait)..first + gathered {
                let (block, behind) = message.block(step - wait);
                blocks[step - first].set(lane, block, behind);
            }
        }
        for blocks in &blocks[..gathered] {
            sum = sum.carried(simd).plus(&blocks.numbers(simd)).product(factors.within_loop());
        }
        first += gathered;
    }
    sum.carried(simd).limbs()
}

/// A block for each lane, and the bit behind each.
#[derive(Clone, Copy)]
struct Blocks {
    low: [u64; LANES_MAX],
    high: [u64; LANES_MAX],
    behind: [u64; LANES_MAX],
}

impl Blocks {
    const NONE: Self = Self { low: [0; LANES_MAX], high: [0; LANES_MAX], behind: [0; LANES_MAX] };

    #[inline(always)]
    fn set(&mut self, lane: usize, block: u128, behind: u64) {
        self.low[lane] = block as u64;
        self.high[lane] = (block >> 64) as u64;
        self.behind[lane] = behind;
    }

    #[inline(always)]
    fn numbers<S: Simd>(&self, simd: S) -> Vector<S> {
        let lanes = |of: &[u64; LANES_MAX]| S::u64s::from_slice(simd, &of[..S::u64s::LEN]);
        Vector::split(lanes(&self.low), lanes(&self.high), lanes(&self.behind))
    }
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
    let all = Factor::new(Vector::<S>::splat(simd, &powers[0]));
    let group_len = BLOCK_LEN * lanes;
    let (groups, rest) = message.split_at(message.len() - message.len() % group_len);
    let (groups, last) = groups.split_at(groups.len() - group_len);
    let squares = Factor::new(Vector::<S>::splat(simd, &product(&powers[0], &powers[0])));
    let mut sum = Vector::<S>::splat(simd, &[0; 5]);
    let mut pairs = groups.chunks_exact(2 * group_len);
    for pair in &mut pairs {
        let (first, second) = pair.split_at(group_len);
        let first = sum.carried(simd).plus(&Vector::load(simd, first)).product(squares.within_loop());
        sum = first.plus(&Vector::load(simd, second).product(all.within_loop()));
    }
    for group in pairs.remainder().chunks_exact(group_len) {
        sum = sum.carried(simd).plus(&Vector::load(simd, group)).product(all.within_loop());
    }
    let powers = Factor::new(Vector::of(simd, &powers));
    sum = sum.carried(simd).plus(&Vector::load(simd, last)).product(&powers);
    (sum.carried(simd).sum(), rest)
}

/// What a number in each lane is multiplied by, and five times that.
struct Factor<S: Simd> {
    limbs: [S::u64s; 5],
    fives: [S::u64s; 5],
}

impl<S: Simd> Factor<S> {
    #[inline(always)]
    fn new(Vector(limbs): Vector<S>) -> Self {
        let five = |limb: usize| (limbs[limb] << 2) + limbs[limb];
        Self { limbs, fives: [five(0), five(1), five(2), five(3), five(4)] }
    }

    /// The same, of which the compiler does not know that it is. It would move what depends on it alone out of a loop,
    /// and within no longer see that the upper halves do not count: then a multiplication takes three instructions.
    #[inline(always)]
    fn within_loop(&self) -> &Self {
        std::hint::black_box(self)
    }
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
        Self::split(front.unzip_low(back), front.unzip_high(back), S::u64s::splat(simd, 1))
    }

    /// The numbers with these lower and higher halves, and the bit behind them.
    #[inline(always)]
    fn split(low: S::u64s, high: S::u64s, behind: S::u64s) -> Self {
        Self([
            low & LIMB,
            (low >> 26) & LIMB,
            ((low >> 52) | (high << 12)) & LIMB,
            (high >> 14) & LIMB,
            (high >> 40) | (behind << 24),
        ])
    }

    #[inline(always)]
    fn limbs(&self) -> [[u64; LANES_MAX]; 5] {
        let mut limbs = [[0; LANES_MAX]; 5];
        for (limb, lanes) in limbs.iter_mut().zip(&self.0) {
            lanes.store_slice(&mut limb[..S::u64s::LEN]);
        }
        limbs
    }

    #[inline(always)]
    fn plus(self, other: &Self) -> Self {
        let limb = |limb: usize| self.0[limb] + other.0[limb];
        Self([limb(0), limb(1), limb(2), limb(3), limb(4)])
    }

    /// The product with a factor, to be carried; of each lane only the lower half counts.
    #[inline(always)]
    fn product(&self, factor: &Factor<S>) -> Self {
        let a = |limb: usize| self.0[limb] & LOWER_HALF;
        let b = |limb: usize| factor.limbs[limb] & LOWER_HALF;
        let five = |limb: usize| factor.fives[limb] & LOWER_HALF;
        Self([
            a(0) * b(0) + a(1) * five(4) + a(2) * five(3) + a(3) * five(2) + a(4) * five(1),
            a(0) * b(1) + a(1) * b(0) + a(2) * five(4) + a(3) * five(3) + a(4) * five(2),
            a(0) * b(2) + a(1) * b(1) + a(2) * b(0) + a(3) * five(4) + a(4) * five(3),
            a(0) * b(3) + a(1) * b(2) + a(2) * b(1) + a(3) * b(0) + a(4) * five(4),
            a(0) * b(4) + a(1) * b(3) + a(2) * b(2) + a(3) * b(1) + a(4) * b(0),
        ])
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
    use proptest::prelude::*;

    use super::*;

    fn tag_of(key: &[u8; 32], message: &[u8]) -> [u8; BLOCK_LEN] {
        tag(Level::new(), &Keyed { key, message })
    }

    #[test]
    fn the_example_of_rfc_8439() {
        let key = [
            0x85, 0xD6, 0xBE, 0x78, 0x57, 0x55, 0x6D, 0x33, 0x7F, 0x44, 0x52, 0xFE, 0x42, 0xD5, 0x06, 0xA8, 0x01, 0x03,
            0x80, 0x8A, 0xFB, 0x0D, 0xB2, 0xFD, 0x4A, 0xBF, 0xF6, 0xAF, 0x41, 0x49, 0xF5, 0x1B,
        ];
        let expected = [0xA8, 0x06, 0x1D, 0xC1, 0x30, 0x51, 0x36, 0xC6, 0xC2, 0x2B, 0x8B, 0xAF, 0x0C, 0x01, 0x27, 0xA9];
        assert_eq!(tag_of(&key, b"Cryptographic Forum Research Group"), expected);
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
        let all = [0xFF; 16];
        let mut offset = key(2);
        offset[16..].fill(0xFF);
        assert_eq!(tag_of(&key(2), &all), expected(3, 0));
        assert_eq!(tag_of(&offset, &expected(2, 0)), expected(3, 0));
        let fb = [&all[..], &expected(0xF0, 0xFF), &expected(0x11, 0)].concat();
        assert_eq!(tag_of(&key(1), &fb), expected(5, 0));
        let fe = [&all[..], &expected(0xFB, 0xFE), &[1; 16]].concat();
        assert_eq!(tag_of(&key(1), &fe), [0; 16]);
        assert_eq!(tag_of(&key(2), &expected(0xFD, 0xFF)), expected(0xFA, 0xFF));
    }

    proptest! {
        #[test]
        fn side_by_side_tags_are_the_same(
            messages in prop::collection::vec((any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..80)), 0..=LANES_MAX),
            long in prop::option::of((0..LANES_MAX, 0..2000_usize)),
        ) {
            let mut messages = messages;
            if let Some((at, len)) = long && let Some((_, message)) = messages.get_mut(at) {
                message.resize(len, 0xA5);
            }
            let keyed: Vec<_> = messages.iter().map(|(key, message)| Keyed { key, message }).collect();
            let best = Level::new();
            let levels = [Some(best), best.as_sse2().map(|simd| simd.level()), best.as_avx2().map(|simd| simd.level())];
            for level in levels.into_iter().flatten() {
                let tags = tags(level, &keyed);
                for (keyed, tag) in keyed.iter().zip(tags) {
                    prop_assert_eq!(tag, tag_of(keyed.key, keyed.message));
                }
            }
        }
    }
}
