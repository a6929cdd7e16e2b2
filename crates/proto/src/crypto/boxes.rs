//! XSalsa20-Poly1305: NaCl's secret boxes, one by one or many at once.

use fearless_simd::Level;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    SharedKey,
    poly1305::{self, Keyed},
    salsa20::{self, BLOCK_LEN, BLOCKS, Positions},
};

/// What a box is longer than what is in it.
pub(crate) const TAG_LEN: usize = 16;

/// Of the first block of a box's keystream, so much is the key of its tag.
const TAG_KEY_LEN: usize = 32;

/// The key of all boxes whose nonces have the same first 16 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct BoxKey {
    subkey: salsa20::Key,
    #[zeroize(skip)]
    level: Level,
    /// The first block of the keystream of each box that is being worked on.
    first_blocks: Vec<[u8; BLOCK_LEN]>,
}

/// Where a box stands: its tag, and what it holds behind that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoxPlace {
    /// The last 8 bytes of its nonce.
    pub(crate) nonce: [u8; 8],
    pub(crate) tag_at: usize,
    pub(crate) data_len: usize,
}

/// How many boxes could be opened: all, or those before the first that could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    All,
    Only(usize),
}

impl BoxPlace {
    fn data_at(&self) -> usize {
        self.tag_at + TAG_LEN
    }
}

impl BoxKey {
    pub(crate) fn new(key: &SharedKey, nonce_start: &[u8; 16]) -> Self {
        let words = Zeroizing::new(salsa20::words(key.as_bytes()));
        Self { subkey: salsa20::hsalsa20(&words, nonce_start), level: Level::new(), first_blocks: Vec::new() }
    }

    /// Appends a box with `data`.
    pub(crate) fn seal(&mut self, nonce: [u8; 8], data: &[u8], into: &mut Vec<u8>) {
        let tag_at = into.len();
        into.resize(tag_at + TAG_LEN, 0);
        into.extend_from_slice(data);
        self.seal_all(&[BoxPlace { nonce, tag_at, data_len: data.len() }], into);
    }

    /// What is in the box; `None` if it was not made with this key and nonce.
    pub(crate) fn open(&mut self, nonce: [u8; 8], boxed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let data_len = boxed.len().checked_sub(TAG_LEN)?;
        let mut bytes = Zeroizing::new(boxed.to_vec());
        let opened = self.open_all(&[BoxPlace { nonce, tag_at: 0, data_len }], &mut bytes);
        bytes.drain(..TAG_LEN);
        (opened == Opened::All).then_some(bytes)
    }

    /// Seals what stands at `places`, which are in the order of the bytes, and fills in the tags.
    pub(crate) fn seal_all(&mut self, places: &[BoxPlace], bytes: &mut [u8]) {
        self.compute_first_blocks(places);
        self.apply_keystream(places, bytes);
        for (places, first_blocks) in self.in_lanes(places) {
            for (place, tag) in places.iter().zip(self.tags(places, first_blocks, bytes)) {
                bytes[place.tag_at..place.data_at()].copy_from_slice(&tag);
            }
        }
    }

    /// Opens the boxes at `places`, which are in the order of the bytes, in place. Those behind one that cannot be opened stay as they are.
    pub(crate) fn open_all(&mut self, places: &[BoxPlace], bytes: &mut [u8]) -> Opened {
        self.compute_first_blocks(places);
        let tags = self
            .in_lanes(places)
            .flat_map(|(places, first_blocks)| places.iter().zip(self.tags(places, first_blocks, bytes)));
        let is_genuine =
            |(place, tag): (&BoxPlace, [u8; TAG_LEN])| bool::from(tag.ct_eq(&bytes[place.tag_at..place.data_at()]));
        let forged = tags.map(is_genuine).position(|genuine| !genuine);
        self.apply_keystream(&places[..forged.unwrap_or(places.len())], bytes);
        forged.map_or(Opened::All, Opened::Only)
    }

    /// As many boxes at once as tags are computed side by side, with their first blocks of keystream.
    fn in_lanes<'p>(
        &self,
        places: &'p [BoxPlace],
    ) -> impl Iterator<Item = (&'p [BoxPlace], &[[u8; BLOCK_LEN]])> + use<'p, '_> {
        places.chunks(poly1305::LANES_MAX).zip(self.first_blocks.chunks(poly1305::LANES_MAX))
    }

    fn tags(
        &self,
        places: &[BoxPlace],
        first_blocks: &[[u8; BLOCK_LEN]],
        bytes: &[u8],
    ) -> [[u8; TAG_LEN]; poly1305::LANES_MAX] {
        let mut keyed = [Keyed { key: &[0; TAG_KEY_LEN], message: &[] }; poly1305::LANES_MAX];
        for ((keyed, place), first_block) in keyed.iter_mut().zip(places).zip(first_blocks) {
            keyed.key = first_block.first_chunk().expect("a block is longer than a key");
            keyed.message = &bytes[place.data_at()..][..place.data_len];
        }
        poly1305::tags(self.level, &keyed[..places.len()])
    }

    fn compute_first_blocks(&mut self, places: &[BoxPlace]) {
        self.first_blocks.clear();
        self.first_blocks.resize(places.len(), [0; BLOCK_LEN]);
        for (places, first_blocks) in places.chunks(BLOCKS).zip(self.first_blocks.chunks_mut(BLOCKS)) {
            let mut positions = Positions::START;
            let mut blocks: [&mut [u8]; BLOCKS] = Default::default();
            for (lane, (place, first_block)) in places.iter().zip(first_blocks).enumerate() {
                positions.set(lane, place.nonce, 0);
                blocks[lane] = first_block;
            }
            salsa20::add_keystream(self.level, &self.subkey, &positions, &mut blocks);
        }
    }

    /// Adds the keystream to what stands at `places`: whatever boxes they belong to, blocks are computed side by side.
    fn apply_keystream(&self, places: &[BoxPlace], mut bytes: &mut [u8]) {
        let mut positions = Positions::START;
        let mut blocks: [&mut [u8]; BLOCKS] = Default::default();
        let (mut at, mut used) = (0, 0);
        for (place, first_block) in places.iter().zip(&self.first_blocks) {
            let (_, rest) = bytes.split_at_mut(place.data_at() - at);
            let (data, rest) = rest.split_at_mut(place.data_len);
            (bytes, at) = (rest, place.data_at() + place.data_len);
            let (front, data) = data.split_at_mut(data.len().min(BLOCK_LEN - TAG_KEY_LEN));
            front.iter_mut().zip(&first_block[TAG_KEY_LEN..]).for_each(|(byte, key)| *byte ^= key);
            for (number, block) in (1..).zip(data.chunks_mut(BLOCK_LEN)) {
                positions.set(used, place.nonce, number);
                blocks[used] = block;
                used += 1;
                if used == BLOCKS {
                    salsa20::add_keystream(self.level, &self.subkey, &positions, &mut blocks);
                    used = 0;
                }
            }
        }
        if used > 0 {
            blocks[used..].fill_with(Default::default);
            salsa20::add_keystream(self.level, &self.subkey, &positions, &mut blocks);
        }
    }
}

impl std::fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crypto_box::{SalsaBox, aead::Aead};
    use fearless_simd::prelude::*;
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::{PublicKey, SecretKey};

    /// With each width of vectors that this processor has.
    fn keys(secret: [u8; 32], public: [u8; 32], nonce_start: &[u8; 16]) -> Vec<BoxKey> {
        let shared = SecretKey::from_bytes(secret).shared_with(&PublicKey::from_bytes(public)).unwrap();
        let key = BoxKey::new(&shared, nonce_start);
        let best = Level::new();
        let levels = [
            Some(best),
            best.as_sse2().map(|simd| simd.level()),
            best.as_sse4_2().map(|simd| simd.level()),
            best.as_avx2().map(|simd| simd.level()),
        ];
        let with = |level| {
            let mut key = key.clone();
            key.level = level;
            key
        };
        levels.into_iter().flatten().map(with).collect()
    }

    /// Each length that a block's and a lane's edges may fall on, with those around it side by side.
    #[test]
    fn boxes_of_all_lengths_are_those_of_another_library() {
        let (secret, public) = ([1; 32], *crypto_box::SecretKey::from([2; 32]).public_key().as_bytes());
        let theirs = SalsaBox::new(&public.into(), &secret.into());
        let data: Vec<u8> = (0..=4096_u32).map(|at| ((at * 31) >> 3) as u8).collect();
        let lengths: Vec<usize> = (0..=data.len()).collect();
        let mut keys = keys(secret, public, &[3; 16]);
        for (turn, lengths) in lengths.chunks(11).enumerate() {
            let (mut bytes, mut places, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for &len in lengths {
                let nonce = (len as u64).to_be_bytes();
                places.push(BoxPlace { nonce, tag_at: bytes.len(), data_len: len });
                bytes.extend_from_slice(&[0; TAG_LEN]);
                bytes.extend_from_slice(&data[..len]);
                let nonce = [&[3; 16][..], &nonce].concat();
                expected.extend(theirs.encrypt(nonce.as_slice().into(), &data[..len]).unwrap());
            }
            let widths = keys.len();
            let key = &mut keys[turn % widths];
            key.seal_all(&places, &mut bytes);
            assert!(bytes == expected, "lengths {lengths:?}");
            assert_eq!(key.open_all(&places, &mut bytes), Opened::All);
            for place in &places {
                assert!(bytes[place.data_at()..][..place.data_len] == data[..place.data_len], "lengths {lengths:?}");
            }
        }
    }

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![4 => 0..100_usize, 2 => 400..1200_usize, 1 => 0..9000_usize]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn boxes_are_those_of_another_library(
            secret: [u8; 32],
            other: [u8; 32],
            nonce: [u8; 24],
            seed: u8,
            lengths in prop::collection::vec(lengths(), 1..40),
        ) {
            let public = *crypto_box::SecretKey::from(other).public_key().as_bytes();
            let theirs = SalsaBox::new(&public.into(), &secret.into());
            let (start, end) = nonce.split_first_chunk::<16>().unwrap();
            let nonce_of = |index: usize| {
                let end = u64::from_be_bytes(end.try_into().unwrap()).wrapping_add(index as u64);
                end.to_be_bytes()
            };
            let data: Vec<Vec<u8>> = lengths
                .iter()
                .enumerate()
                .map(|(index, len)| (0..*len).map(|at| (at * 31 + index) as u8 ^ seed).collect())
                .collect();
            let expected: Vec<u8> = data
                .iter()
                .enumerate()
                .flat_map(|(index, data)| {
                    let nonce = [&start[..], &nonce_of(index)].concat();
                    theirs.encrypt(nonce.as_slice().into(), &data[..]).unwrap()
                })
                .collect();
            for mut key in keys(secret, public, start) {
                let mut bytes = Vec::new();
                let mut places = Vec::new();
                for (index, data) in data.iter().enumerate() {
                    places.push(BoxPlace { nonce: nonce_of(index), tag_at: bytes.len(), data_len: data.len() });
                    bytes.extend_from_slice(&[0; TAG_LEN]);
                    bytes.extend_from_slice(data);
                }
                key.seal_all(&places, &mut bytes);
                prop_assert!(bytes == expected);
                let mut one_by_one = Vec::new();
                data.iter().enumerate().for_each(|(index, data)| key.seal(nonce_of(index), data, &mut one_by_one));
                prop_assert!(one_by_one == expected);
                prop_assert_eq!(key.open_all(&places, &mut bytes), Opened::All);
                for (place, data) in places.iter().zip(&data) {
                    prop_assert!(bytes[place.data_at()..][..place.data_len] == data[..]);
                }
            }
        }

        #[test]
        fn a_box_that_was_changed_is_not_opened_and_those_before_it_are(
            lengths in prop::collection::vec(lengths(), 1..20),
            at: prop::sample::Index,
            flip in 1..=255_u8,
        ) {
            let mut key = BoxKey::new(&SharedKey::from_bytes([7; 32]), &[9; 16]);
            let (mut bytes, mut places) = (Vec::new(), Vec::new());
            for (index, len) in lengths.into_iter().enumerate() {
                places.push(BoxPlace { nonce: [index as u8; 8], tag_at: bytes.len(), data_len: len });
                bytes.resize(bytes.len() + TAG_LEN + len, 0);
            }
            key.seal_all(&places, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let changed = places.iter().rposition(|place| place.tag_at <= at).unwrap();
            prop_assert_eq!(key.open_all(&places, &mut bytes), Opened::Only(changed));
            for place in &places[..changed] {
                prop_assert!(bytes[place.data_at()..][..place.data_len].iter().all(|&byte| byte == 0));
            }
        }
    }
}
