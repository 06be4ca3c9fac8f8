//! Simple mutations: what a fuzzer without coverage can do.

/// Numbers at which code that counts tends to break.
const EDGES: &[u32] =
    &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 1 << 18, (1 << 18) + 1, 0x7fff_ffff, 0xffff_fffe, u32::MAX];
const MAX_INPUT_BYTES: usize = 4096;

/// Makes inputs out of others, by a seeded sequence.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `seeds` with 1 to 8 changes.
    pub fn mutant(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, seeds);
        }
        input.truncate(MAX_INPUT_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if input.is_empty() {
            input.push(self.next() as u8);
            return;
        }
        let at = self.below(input.len());
        match self.below(8) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.next() as u8,
            2 => self.write_edge(input, at),
            3 => input.truncate(at),
            4 => input.insert(at, self.next() as u8),
            5 => drop(input.drain(at..at + self.below(input.len() - at))),
            6 => {
                let end = at + self.below((input.len() - at).min(64));
                input.extend_from_within(at..end);
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }

    /// Overwrites 1, 2 or 4 bytes by a number from the edges, or one close to what stands there.
    fn write_edge(&mut self, input: &mut [u8], at: usize) {
        let width = (1 << self.below(3)).min(input.len() - at);
        let field = &mut input[at..at + width];
        let mut number = [0; 4];
        number[..width].copy_from_slice(field);
        let number = match self.below(2) {
            0 => EDGES[self.below(EDGES.len())],
            _ => u32::from_le_bytes(number).wrapping_add(self.below(7) as u32).wrapping_sub(3),
        };
        field.copy_from_slice(&number.to_le_bytes()[..width]);
    }
}
