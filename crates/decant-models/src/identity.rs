//! What distinguishes a model from any other: a digest for traces, quick enough to be taken at every start.

use sha2::{Digest, Sha256};

/// Bytes of a sampled block.
const BLOCK: usize = 4096;
/// How many of them are taken from a file.
const BLOCKS: usize = 256;

/// A SHA-256 over the files of a model, in the order in which they are added: of each its length, its first bytes in full
/// (the header), and of the rest 256 blocks of 4 KiB at even distances, the first and the last included.
///
/// So what is not larger than 1 MiB beside its header is covered whole. Two trainings, or two quantisations, differ in every
/// block; a single weight changed by hand in a large file can go unseen.
#[derive(Default)]
pub(crate) struct Identity(Sha256);

impl Identity {
    /// Adds a file whose first `header` bytes count in full.
    pub(crate) fn add(&mut self, file: &[u8], header: usize) {
        self.0.update((file.len() as u64).to_le_bytes());
        let (header, rest) = file.split_at(header.min(file.len()));
        self.0.update(header);
        if rest.len() <= BLOCK * BLOCKS {
            self.0.update(rest);
            return;
        }
        let last = rest.len() - BLOCK;
        for block in 0..BLOCKS {
            let start = (last as u128 * block as u128 / (BLOCKS as u128 - 1)) as usize;
            self.0.update(&rest[start..start + BLOCK]);
        }
    }

    /// The digest as `sha256-sampled:` and 64 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        format!("sha256-sampled:{}", hex(&self.0.finalize()))
    }
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(file: &[u8], header: usize) -> String {
        let mut identity = Identity::default();
        identity.add(file, header);
        identity.finish()
    }

    #[test]
    fn headers_lengths_and_both_ends_count() {
        let file = vec![7u8; 3 << 20];
        let changed = |at: usize| {
            let mut file = file.clone();
            file[at] = 8;
            identity(&file, 9000)
        };
        let original = identity(&file, 9000);
        assert_eq!(original, identity(&file.clone(), 9000));
        for at in [0, 8999, 9000, file.len() - 1] {
            assert_ne!(original, changed(at), "{at}");
        }
        assert_ne!(original, identity(&file[..file.len() - 1], 9000));
    }

    #[test]
    fn a_small_file_counts_whole() {
        let file = vec![7u8; 1 << 20];
        for at in (0..file.len()).step_by(4095 * 16) {
            let mut changed = file.clone();
            changed[at] = 8;
            assert_ne!(identity(&file, 0), identity(&changed, 0), "{at}");
        }
    }

    #[test]
    fn the_digest_is_stable() {
        let file: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(
            identity(&file, 100),
            "sha256-sampled:cd0a47cf50611e478e7af94361ba86b20ea4e1125fa795e533a0e8414343dd09"
        );
    }
}
