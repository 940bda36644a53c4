//! From the bytes of tokens to text: split code points and stop strings.

/// Bytes in, text out. A code point that is split over tokens is held back until it is whole; bytes that are not UTF-8
/// become U+FFFD, as `String::from_utf8_lossy` would have it, wherever the cuts between the tokens are.
///
/// ```
/// # use decant_decode::Utf8Stream;
/// let mut utf8 = Utf8Stream::default();
/// assert_eq!(utf8.push(b"caf\xc3"), "caf");
/// assert_eq!(utf8.push(b"\xa9!"), "é!");
/// assert_eq!(utf8.finish(), "");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The beginning of a code point, at most three bytes.
    split: Vec<u8>,
}

impl Utf8Stream {
    /// Takes the next bytes and returns the text that is certain by now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.split.extend_from_slice(bytes);
        let mut text = String::new();
        let mut whole = 0;
        for chunk in self.split.utf8_chunks() {
            text.push_str(chunk.valid());
            whole += chunk.valid().len();
            let invalid = chunk.invalid();
            if whole + invalid.len() == self.split.len() && is_split(invalid) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                whole += invalid.len();
            }
        }
        self.split.drain(..whole);
        text
    }

    /// Ends the stream: a code point that never became whole is one U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.split)).into_owned()
    }
}

/// Whether the last invalid bytes of a string are the beginning of a code point rather than garbage.
fn is_split(invalid: &[u8]) -> bool {
    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

/// The text of a sequence of tokens, up to the first stop string.
///
/// Only what could still become a stop string is held back. The text ends before the stop string that is complete first
/// (of several that end together, before the one that began first), so it does not depend on how it is cut into tokens.
///
/// ```
/// # use decant_decode::TextStream;
/// let mut text = TextStream::new(["\n\n"]);
/// assert_eq!(text.push(b"The end.\n"), "The end.");
/// assert_eq!(text.push(b"\nMore"), "");
/// assert!(text.stopped());
/// ```
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    utf8: Utf8Stream,
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl TextStream {
    /// A text that ends before any of the strings; empty strings say nothing and are left out.
    pub fn new<S: Into<String>>(stops: impl IntoIterator<Item = S>) -> Self {
        let stops = stops.into_iter().map(Into::into).filter(|stop| !stop.is_empty()).collect();
        TextStream { stops, ..TextStream::default() }
    }

    /// Takes the bytes of a token and returns the text that is certain by now. After a stop string it is empty.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let text = self.utf8.push(bytes);
        self.extend(&text)
    }

    /// Ends the text and returns what was held back.
    pub fn finish(&mut self) -> String {
        let rest = self.utf8.finish();
        let certain = self.extend(&rest);
        certain + &std::mem::take(&mut self.held)
    }

    /// Whether a stop string has ended the text.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    fn extend(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop).map(|at| (at + stop.len(), at))).min();
        let certain = match found {
            Some((_, start)) => {
                self.stopped = true;
                self.held.truncate(start);
                self.held.len()
            }
            None => self.held.len() - self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0),
        };
        self.held.drain(..certain).collect()
    }
}

/// The length of the longest end of `text` that is a beginning of `stop`, but not all of it.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices().map(|(at, _)| at).rev().find(|&at| text.ends_with(&stop[..at])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, char by char: where a stop string is first complete, and where it began.
    fn until_stop<'t>(text: &'t str, stops: &[String]) -> (&'t str, bool) {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        for end in ends {
            let ending = stops.iter().filter(|stop| !stop.is_empty() && text[..end].ends_with(stop.as_str()));
            if let Some(stop) = ending.max_by_key(|stop| stop.len()) {
                return (&text[..end - stop.len()], true);
            }
        }
        (text, false)
    }

    /// Cuts `bytes` at the given places and streams the pieces.
    fn streamed(bytes: &[u8], cuts: &[usize], stops: &[String]) -> (String, bool) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort();
        let mut stream = TextStream::new(stops.iter().cloned());
        let mut text: String = cuts.windows(2).map(|cut| stream.push(&bytes[cut[0]..cut[1]])).collect();
        text += &stream.finish();
        (text, stream.stopped())
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_are_their_lossy_text(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xf0), Just(0x9f), Just(0xe2), Just(0x80)], 0..24),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            prop_assert_eq!(streamed(&bytes, &cuts, &[]).0, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn stop_strings_end_the_text_wherever_it_is_cut(
            text in "[abé]{0,20}",
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            let (expected, stopped) = until_stop(&text, &stops);
            prop_assert_eq!(streamed(text.as_bytes(), &cuts, &stops), (expected.to_owned(), stopped));
        }
    }

    #[test]
    fn holds_back_only_what_could_become_a_stop_string() {
        let mut text = TextStream::new(["</end>", "xyz"]);
        assert_eq!(text.push(b"a <"), "a ");
        assert_eq!(text.push(b"b></en"), "<b>");
        assert_eq!(text.push(b"d x"), "</end ");
        assert_eq!(text.finish(), "x");
    }
}
