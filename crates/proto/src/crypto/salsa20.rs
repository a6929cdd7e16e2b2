//! Salsa20's core (D. J. Bernstein, "The Salsa20 family of stream ciphers", and "Extending the Salsa20 nonce" for
//! HSalsa20), as many blocks side by side as the processor has lanes.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x16};

/// Blocks that are computed in one call.
pub(super) const BLOCKS: usize = 16;

pub(super) const BLOCK_LEN: usize = 64;

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574];

/// The places of the constants in the state, which is four rows of four words.
const CONSTANT_PLACES: [usize; 4] = [0, 5, 10, 15];

/// A key, as the core takes it.
pub(super) type Key = [u32; 8];

/// Which block of which stream: for each the nonce and the number of the block, in words.
#[derive(Clone, Copy)]
pub(super) struct Positions {
    nonce: [[u32; BLOCKS]; 2],
    number: [[u32; BLOCKS]; 2],
}

impl Positions {
    pub(super) const START: Self = Self { nonce: [[0; BLOCKS]; 2], number: [[0; BLOCKS]; 2] };

    #[inline]
    pub(super) fn set(&mut self, lane: usize, nonce: [u8; 8], number: u64) {
        let nonce = u64::from_le_bytes(nonce);
        self.nonce[0][lane] = nonce as u32;
        self.nonce[1][lane] = (nonce >> 32) as u32;
        self.number[0][lane] = number as u32;
        self.number[1][lane] = (number >> 32) as u32;
    }
}

/// The words of `bytes`.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
    words
}

/// Adds the keystream's blocks at `positions` to what is in `blocks`, of which each has at most [`BLOCK_LEN`] bytes.
pub(super) fn add_keystream(level: Level, key: &Key, positions: &Positions, blocks: &mut [&mut [u8]; BLOCKS]) {
    dispatch!(level, simd => add_in_lanes(simd, key, positions, blocks));
}

#[inline(always)]
fn add_in_lanes<S: Simd>(simd: S, key: &Key, positions: &Positions, blocks: &mut [&mut [u8]; BLOCKS]) {
    let mut first = 0;
    while first < BLOCKS {
        let lanes = first..first + S::u32s::LEN;
        let row = |words: &[u32; BLOCKS]| Lanes::<S>(S::u32s::from_slice(simd, &words[lanes.clone()]));
        let all = |word: u32| Lanes::<S>(S::u32s::splat(simd, word));
        let start = [
            all(CONSTANTS[0]),
            all(key[0]),
            all(key[1]),
            all(key[2]),
            all(key[3]),
            all(CONSTANTS[1]),
            row(&positions.nonce[0]),
            row(&positions.nonce[1]),
            row(&positions.number[0]),
            row(&positions.number[1]),
            all(CONSTANTS[2]),
            all(key[4]),
            all(key[5]),
            all(key[6]),
            all(key[7]),
            all(CONSTANTS[3]),
        ];
        let mut state = start;
        for _ in 0..10 {
            double_round(&mut state);
        }
        let mut words = [[0; 4 * BLOCKS]; 4];
        let mut place = 0;
        while place < 4 {
            store_four_words(&state, &start, 4 * place, &mut words[place]);
            place += 1;
        }
        for (lane, block) in blocks[lanes].iter_mut().enumerate() {
            add(simd, block, words.each_ref().map(|words| &words.as_chunks().0[lane]));
        }
        first += S::u32s::LEN;
    }
}

/// Stores the words from `place` on, those of each lane together.
#[inline(always)]
fn store_four_words<S: Simd>(
    state: &[Lanes<S>; 16],
    start: &[Lanes<S>; 16],
    place: usize,
    words: &mut [u32; 4 * BLOCKS],
) {
    let sum = |place: usize| state[place].0 + start[place].0;
    let (a, b, c, d) = (sum(place), sum(place + 1), sum(place + 2), sum(place + 3));
    let (ac_low, ac_high, bd_low, bd_high) = (a.zip_low(c), a.zip_high(c), b.zip_low(d), b.zip_high(d));
    let lanes = S::u32s::LEN;
    ac_low.zip_low(bd_low).store_slice(&mut words[..lanes]);
    ac_low.zip_high(bd_low).store_slice(&mut words[lanes..2 * lanes]);
    ac_high.zip_low(bd_high).store_slice(&mut words[2 * lanes..3 * lanes]);
    ac_high.zip_high(bd_high).store_slice(&mut words[3 * lanes..4 * lanes]);
}

/// Adds the words, or as much of them as there are bytes.
#[inline(always)]
fn add<S: Simd>(simd: S, block: &mut [u8], words: [&[u32; 4]; 4]) {
    let mut words = words.into_iter().map(|words| {
        let mut keys = [0; 16];
        keys.as_chunks_mut().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        keys
    });
    let (sixteens, rest) = block.as_chunks_mut::<16>();
    for (bytes, keys) in sixteens.iter_mut().zip(&mut words) {
        (u8x16::from_slice(simd, bytes) ^ u8x16::from_slice(simd, &keys)).store_slice(bytes);
    }
    rest.iter_mut().zip(words.next().unwrap_or_default()).for_each(|(byte, key)| *byte ^= key);
}

/// A column round and a row round.
#[inline(always)]
fn double_round<V: Word>(state: &mut [V; 16]) {
    quarter_round(state, 0, 4, 8, 12);
    quarter_round(state, 5, 9, 13, 1);
    quarter_round(state, 10, 14, 2, 6);
    quarter_round(state, 15, 3, 7, 11);
    quarter_round(state, 0, 1, 2, 3);
    quarter_round(state, 5, 6, 7, 4);
    quarter_round(state, 10, 11, 8, 9);
    quarter_round(state, 15, 12, 13, 14);
}

#[inline(always)]
fn quarter_round<V: Word>(state: &mut [V; 16], a: usize, b: usize, c: usize, d: usize) {
    state[b] = state[b].mixed::<7>(state[a], state[d]);
    state[c] = state[c].mixed::<9>(state[b], state[a]);
    state[d] = state[d].mixed::<13>(state[c], state[b]);
    state[a] = state[a].mixed::<18>(state[d], state[c]);
}

/// A word of the state, or that word of several states side by side.
trait Word: Copy {
    /// `self ⊕ ((a + b) ⋘ BITS)`.
    fn mixed<const BITS: u32>(self, a: Self, b: Self) -> Self;
}

impl Word for u32 {
    #[inline(always)]
    fn mixed<const BITS: u32>(self, a: Self, b: Self) -> Self {
        self ^ a.wrapping_add(b).rotate_left(BITS)
    }
}

/// A word of each of several states.
struct Lanes<S: Simd>(S::u32s);

impl<S: Simd> Clone for Lanes<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Lanes<S> {}

impl<S: Simd> Word for Lanes<S> {
    #[inline(always)]
    fn mixed<const BITS: u32>(self, a: Self, b: Self) -> Self {
        let sum = a.0 + b.0;
        Self(self.0 ^ ((sum << BITS) | (sum >> (32 - BITS))))
    }
}

/// HSalsa20: the key of the streams whose nonces begin with these 16 bytes.
pub(super) fn hsalsa20(key: &Key, nonce: &[u8; 16]) -> Key {
    let nonce: [u32; 4] = words(nonce);
    let mut state = [0; 16];
    state[1..5].copy_from_slice(&key[..4]);
    state[6..10].copy_from_slice(&nonce);
    state[11..15].copy_from_slice(&key[4..]);
    CONSTANT_PLACES.into_iter().zip(CONSTANTS).for_each(|(place, constant)| state[place] = constant);
    for _ in 0..10 {
        double_round(&mut state);
    }
    [0, 5, 10, 15, 6, 7, 8, 9].map(|place| state[place])
}
