//! Pages of keys and values.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::KvFormat;
use crate::lanes::{LANES, Lanes, ROUND};
use crate::rows::from_f16;
use crate::weights::WeightLanes;

/// Positions in a page.
pub const PAGE: usize = 32;

/// Elements of a block of [`KvFormat::Q8_0`].
const BLOCK: usize = 32;

/// Elements of a head, filled up to whole lanes.
pub(super) fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(LANES)
}

/// What keys and values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Layers that have their own.
    pub layers: usize,
    /// Key and value heads a layer.
    pub heads: usize,
    /// Elements a head.
    pub head_dim: usize,
    /// How they are stored.
    pub format: KvFormat,
}

impl KvShape {
    /// Elements of a head's value, filled up to whole lanes.
    fn padded(self) -> usize {
        padded(self.head_dim)
    }

    /// Elements that a page stores of one head: keys, then values.
    fn head_elements(self) -> usize {
        PAGE * (self.head_dim + self.padded())
    }

    /// Scales that a page of [`KvFormat::Q8_0`] stores of one head: the keys', then the values'.
    fn head_scales(self) -> usize {
        PAGE * 2 * self.head_dim.div_ceil(BLOCK)
    }

    /// Where a head lies in a page.
    #[inline(always)]
    fn head(self, layer: usize, head: usize) -> Head {
        let index = layer * self.heads + head;
        let (elements, scales) = (index * self.head_elements(), index * self.head_scales());
        let (keys, key_scales) = (elements + PAGE * self.head_dim, scales + self.head_scales() / 2);
        Head {
            keys: elements..keys,
            values: keys..elements + self.head_elements(),
            key_scales: scales..key_scales,
            value_scales: key_scales..scales + self.head_scales(),
        }
    }

    /// Bytes of a page. With d elements a head, and p that number filled up to a multiple of 16, one head of one position
    /// takes 4·(d + p) bytes in f32, 2·(d + p) in f16, and d + p + 8·⌈d / 32⌉ in q8_0.
    pub fn page_bytes(self) -> usize {
        let (elements, scales) = (self.head_elements(), self.head_scales());
        self.layers
            * self.heads
            * match self.format {
                KvFormat::F32 => 4 * elements,
                KvFormat::F16 => 2 * elements,
                KvFormat::Q8_0 => elements + 4 * scales,
            }
    }
}

/// Where the numbers of a head lie in a page, and its scales in a page of [`KvFormat::Q8_0`].
struct Head {
    keys: Range<usize>,
    values: Range<usize>,
    key_scales: Range<usize>,
    value_scales: Range<usize>,
}

/// Keys and values of [`PAGE`] positions, for all layers and heads.
///
/// Of one head first the keys, [head_dim, PAGE], so that a register holds neighbouring positions; then the values,
/// [PAGE, head_dim filled up to whole lanes], so that it holds neighbouring elements. In q8_0 a block is 32 elements of one
/// key or value, the last of a head being shorter if need be, with a scale in f32: x ≈ q·d with d = max |x| / 127 and
/// q = x · (127 / max |x|) rounded to the nearest integer, ties to even.
#[derive(Clone, Debug)]
pub struct KvPage {
    shape: KvShape,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    /// Of one head the scales lie as its numbers do: [blocks, PAGE] for the keys, [PAGE, blocks] for the values.
    Q8_0 {
        numbers: Vec<i8>,
        scales: Vec<f32>,
    },
}

impl KvPage {
    /// A page of zeros.
    pub fn new(shape: KvShape) -> Self {
        let heads = shape.layers * shape.heads;
        let elements = heads * shape.head_elements();
        let numbers = match shape.format {
            KvFormat::F32 => Numbers::F32(vec![0.0; elements]),
            KvFormat::F16 => Numbers::F16(vec![f16::ZERO; elements]),
            KvFormat::Q8_0 => {
                Numbers::Q8_0 { numbers: vec![0; elements], scales: vec![0.0; heads * shape.head_scales()] }
            }
        };
        KvPage { shape, numbers }
    }

    /// Bytes of its numbers and scales.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(numbers) => size_of_val(&numbers[..]),
            Numbers::F16(numbers) => size_of_val(&numbers[..]),
            Numbers::Q8_0 { numbers, scales } => size_of_val(&numbers[..]) + size_of_val(&scales[..]),
        }
    }

    /// Writes the keys and values of one position of one layer, `[heads, head_dim]` each, rounded to the page's format.
    ///
    /// What cannot be represented shows: an infinity or a NaN, also one that rounding made, becomes a NaN in the value, for
    /// a key's alone could vanish behind a weight of 0.
    ///
    /// # Panics
    /// If there is no such place in the page, or the lengths differ from it.
    pub fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let KvShape { heads, head_dim, .. } = self.shape;
        assert!(position < PAGE && layer < self.shape.layers, "a place in the page");
        assert!(keys.len() == heads * head_dim && values.len() == keys.len(), "a key and a value for every head");
        for (head, (key, value)) in keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim)).enumerate() {
            let Head { keys, values, key_scales, value_scales } = self.shape.head(layer, head);
            let (elements, scales) = (keys.start..values.end, key_scales.start..value_scales.end);
            let at = Place { position, dim: head_dim, padded: self.shape.padded() };
            match &mut self.numbers {
                Numbers::F32(numbers) => at.write_f32(&mut numbers[elements], key, value),
                Numbers::F16(numbers) => at.write_f16(&mut numbers[elements], key, value),
                Numbers::Q8_0 { numbers, scales: all } => {
                    at.write_q8_0(&mut numbers[elements], &mut all[scales], key, value);
                }
            }
        }
    }

    /// The keys of a head as `[head_dim]` of [PAGE] positions: where they lie, or widened, which is exact but for
    /// q8_0's one rounding of q·d, in `room` of at least that size.
    #[inline(always)]
    fn keys<'a, L: WeightLanes>(&'a self, layer: usize, head: usize, room: &'a mut [f32]) -> &'a [[f32; PAGE]] {
        let Head { keys, key_scales, .. } = self.shape.head(layer, head);
        let room = &mut room[..keys.len()];
        let floats = match &self.numbers {
            Numbers::F32(numbers) => &numbers[keys],
            Numbers::F16(numbers) => {
                from_f16::<L>(&numbers[keys], room);
                room
            }
            Numbers::Q8_0 { numbers, scales: all } => {
                let scales = all[key_scales].as_chunks::<PAGE>().0;
                let elements = numbers[keys].as_chunks::<PAGE>().0;
                for (element, (out, numbers)) in room.as_chunks_mut::<PAGE>().0.iter_mut().zip(elements).enumerate() {
                    let scales = scales[element / BLOCK].as_chunks().0;
                    let sixteens = out.as_chunks_mut().0.iter_mut().zip(numbers.as_chunks().0);
                    for ((out, numbers), scales) in sixteens.zip(scales) {
                        *out = L::load_bytes(numbers).mul(L::load(scales)).store();
                    }
                }
                room
            }
        };
        floats.as_chunks().0
    }

    /// Calls a head's keys into the cache.
    #[inline(always)]
    fn prefetch_keys<L: Lanes>(&self, layer: usize, head: usize) {
        let Head { keys, key_scales, .. } = self.shape.head(layer, head);
        self.prefetch::<L>(keys, key_scales);
    }

    /// Calls a head's values into the cache.
    #[inline(always)]
    fn prefetch_values<L: Lanes>(&self, layer: usize, head: usize) {
        let Head { values, value_scales, .. } = self.shape.head(layer, head);
        self.prefetch::<L>(values, value_scales);
    }

    #[inline(always)]
    fn prefetch<L: Lanes>(&self, elements: Range<usize>, scales: Range<usize>) {
        match &self.numbers {
            Numbers::F32(numbers) => prefetch::<L, _>(&numbers[elements]),
            Numbers::F16(numbers) => prefetch::<L, _>(&numbers[elements]),
            Numbers::Q8_0 { numbers, scales: all } => {
                prefetch::<L, _>(&numbers[elements]);
                prefetch::<L, _>(&all[scales]);
            }
        }
    }

    /// The values of a head as [PAGE] rows of whole lanes: as [`Self::keys`].
    #[inline(always)]
    fn values<'a, L: WeightLanes>(&'a self, layer: usize, head: usize, room: &'a mut [f32]) -> &'a [[f32; LANES]] {
        let Head { values, value_scales, .. } = self.shape.head(layer, head);
        let room = &mut room[..values.len()];
        let floats = match &self.numbers {
            Numbers::F32(numbers) => &numbers[values],
            Numbers::F16(numbers) => {
                from_f16::<L>(&numbers[values], room);
                room
            }
            Numbers::Q8_0 { numbers, scales: all } => {
                let (blocks, padded) = (self.shape.head_dim.div_ceil(BLOCK), self.shape.padded());
                let scales = all[value_scales].chunks_exact(blocks);
                let rows = room.chunks_exact_mut(padded).zip(numbers[values].chunks_exact(padded));
                for ((out, numbers), scales) in rows.zip(scales) {
                    let sixteens = out.as_chunks_mut().0.iter_mut().zip(numbers.as_chunks().0);
                    for (i, (out, numbers)) in sixteens.enumerate() {
                        *out = L::load_bytes(numbers).mul(L::splat(scales[i * LANES / BLOCK])).store();
                    }
                }
                room
            }
        };
        floats.as_chunks().0
    }
}

#[inline(always)]
fn prefetch<L: Lanes, T>(numbers: &[T]) {
    for line in numbers.chunks(64 / size_of::<T>()) {
        L::prefetch(line.as_ptr());
    }
}

/// Where in a head's part of a page a position is written.
struct Place {
    position: usize,
    dim: usize,
    padded: usize,
}

impl Place {
    fn write_f32(&self, numbers: &mut [f32], key: &[f32], value: &[f32]) {
        self.place(0, numbers, key, value);
        self.show(key.iter().all(|x| x.is_finite()), numbers, f32::NAN);
    }

    fn write_f16(&self, numbers: &mut [f16], key: &[f32], value: &[f32]) {
        let mut finite = true;
        let (mut some_keys, mut some_values) = ([f16::ZERO; LANES], [f16::ZERO; LANES]);
        for (i, (key, value)) in key.chunks(LANES).zip(value.chunks(LANES)).enumerate() {
            let (keys, values) = (&mut some_keys[..key.len()], &mut some_values[..key.len()]);
            keys.convert_from_f32_slice(key);
            values.convert_from_f32_slice(value);
            finite &= keys.iter().all(|x| x.is_finite());
            self.place(i * LANES, numbers, keys, values);
        }
        self.show(finite, numbers, f16::NAN);
    }

    fn write_q8_0(&self, numbers: &mut [i8], scales: &mut [f32], key: &[f32], value: &[f32]) {
        let blocks = self.dim.div_ceil(BLOCK);
        let (key_scales, value_scales) = scales.split_at_mut(blocks * PAGE);
        let value_scales = &mut value_scales[self.position * blocks..][..blocks];
        let mut finite = true;
        for (i, (key, value)) in key.chunks(BLOCK).zip(value.chunks(BLOCK)).enumerate() {
            let ((keys, key_scale), (values, value_scale)) = (quantised(key), quantised(value));
            finite &= key_scale.is_finite();
            key_scales[i * PAGE + self.position] = key_scale;
            value_scales[i] = value_scale;
            self.place(i * BLOCK, numbers, &keys[..key.len()], &values[..key.len()]);
        }
        if !finite {
            value_scales.fill(f32::NAN);
        }
    }

    /// Writes elements of a key and of a value, from the element `from` on.
    fn place<T: Copy>(&self, from: usize, numbers: &mut [T], key: &[T], value: &[T]) {
        let (keys, values) = numbers.split_at_mut(self.dim * PAGE);
        for (positions, element) in keys[from * PAGE..].chunks_exact_mut(PAGE).zip(key) {
            positions[self.position] = *element;
        }
        values[self.position * self.padded + from..][..value.len()].copy_from_slice(value);
    }

    /// Makes the value NaN unless its key is finite.
    fn show<T: Copy>(&self, finite: bool, numbers: &mut [T], nan: T) {
        if !finite {
            numbers[self.dim * PAGE + self.position * self.padded..][..self.dim].fill(nan);
        }
    }
}

/// A block's integers and its scale; NaN for the scale if there is an infinity or a NaN.
fn quantised(block: &[f32]) -> ([i8; BLOCK], f32) {
    let mut integers = [0; BLOCK];
    let largest = block.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    if !block.iter().all(|x| x.is_finite()) {
        return (integers, f32::NAN);
    }
    // As for activations: below this the factor could overflow.
    if largest < 1e-30 {
        return (integers, 0.0);
    }
    let factor = 127.0 / largest;
    for (integer, x) in integers.iter_mut().zip(block) {
        *integer = (x * factor + ROUND).to_bits() as i8;
    }
    (integers, largest / 127.0)
}

/// One key-value head of one layer of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct KvView<'a> {
    /// The sequence's pages, one after another.
    pub pages: &'a [Arc<KvPage>],
    /// How many pages of the sequence come before these, and are no longer kept.
    pub dropped: usize,
    /// Which layer.
    pub layer: usize,
    /// Which key-value head.
    pub head: usize,
}

impl KvView<'_> {
    /// Elements a head.
    ///
    /// # Panics
    /// If there is no page.
    pub(super) fn head_dim(&self) -> usize {
        self.pages[0].shape.head_dim
    }

    /// The keys in page `page` of the sequence; see [`KvPage::keys`].
    #[inline(always)]
    pub(super) fn keys<'a, L: WeightLanes>(&'a self, page: usize, room: &'a mut [f32]) -> &'a [[f32; PAGE]] {
        self.pages[page - self.dropped].keys::<L>(self.layer, self.head, room)
    }

    /// Calls the keys in a page, if there is one, into the cache.
    #[inline(always)]
    pub(super) fn prefetch_keys<L: Lanes>(&self, page: usize) {
        if let Some(page) = self.pages.get(page - self.dropped) {
            page.prefetch_keys::<L>(self.layer, self.head);
        }
    }

    /// Calls the values in a page, if there is one, into the cache.
    #[inline(always)]
    pub(super) fn prefetch_values<L: Lanes>(&self, page: usize) {
        if let Some(page) = self.pages.get(page - self.dropped) {
            page.prefetch_values::<L>(self.layer, self.head);
        }
    }

    /// The values in page `page` of the sequence.
    #[inline(always)]
    pub(super) fn values<'a, L: WeightLanes>(&'a self, page: usize, room: &'a mut [f32]) -> &'a [[f32; LANES]] {
        self.pages[page - self.dropped].values::<L>(self.layer, self.head, room)
    }
}
