//! Entropy as colour: one scale for the terminal and the page.

use crate::session::Paint;
use anstyle::{Ansi256Color, Color, RgbColor, Style};
use std::io::{self, Write};

/// Where the scale ends: more entropy than this, in nats, has the last colour.
pub const SCALE: f64 = 5.0;

/// Colours at equal distances along the scale, mixed between.
pub struct Palette(&'static [[u8; 3]]);

impl Palette {
    /// For the terminal, whose own background is unknown: each colour brings the text's colour with it.
    pub const TERMINAL: Palette =
        Palette(&[[56, 48, 120], [108, 42, 143], [170, 53, 125], [219, 92, 83], [247, 148, 61], [252, 217, 84]]);
    /// For a light page, under dark text.
    pub const LIGHT: Palette =
        Palette(&[[255, 255, 255], [255, 246, 214], [255, 226, 158], [255, 193, 112], [249, 145, 95], [233, 104, 104]]);
    /// For a dark page, under light text.
    pub const DARK: Palette =
        Palette(&[[22, 24, 29], [38, 36, 72], [70, 43, 108], [118, 45, 117], [164, 53, 93], [196, 74, 54]]);

    /// The colour of an entropy in nats.
    pub fn color(&self, entropy: f64) -> RgbColor {
        let last = self.0.len() - 1;
        let at = (entropy / SCALE).clamp(0.0, 1.0) * last as f64;
        let below = (at as usize).min(last - 1);
        let share = at - below as f64;
        let mix = |channel: usize| {
            let (low, high) = (f64::from(self.0[below][channel]), f64::from(self.0[below + 1][channel]));
            (low + share * (high - low)).round() as u8
        };
        RgbColor(mix(0), mix(1), mix(2))
    }
}

/// How a token of this entropy looks on a terminal. Near certainty it looks like any other text.
pub fn style(paint: Paint, entropy: f64) -> Style {
    if entropy < 0.05 {
        return Style::new();
    }
    let background = Palette::TERMINAL.color(entropy);
    let text = if luminance(background) > 0.35 { RgbColor(0, 0, 0) } else { RgbColor(255, 255, 255) };
    Style::new().bg_color(color(paint, background)).fg_color(color(paint, text))
}

/// A colour as far as the terminal has it.
fn color(paint: Paint, rgb: RgbColor) -> Option<Color> {
    match paint {
        Paint::Off => None,
        Paint::Indexed => Some(indexed(rgb)),
        Paint::Rgb => Some(rgb.into()),
    }
}

/// Writes the text of a token on its colour. Line ends stay outside, else a terminal paints the rest of the line.
pub fn write(out: &mut impl Write, paint: Paint, entropy: f64, text: &str) -> io::Result<()> {
    let style = style(paint, entropy);
    for line in text.split_inclusive('\n') {
        let content = line.strip_suffix('\n').unwrap_or(line);
        write!(out, "{style}{}{style:#}{}", harmless(content), &line[content.len()..])?;
    }
    Ok(())
}

/// Text without what could command the terminal: control characters become their pictures.
pub fn harmless(text: &str) -> String {
    let picture = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..' ' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(picture).collect()
}

/// Relative luminance, near enough to choose between black and white.
fn luminance(RgbColor(r, g, b): RgbColor) -> f64 {
    let linear = |channel: u8| (f64::from(channel) / 255.0).powi(2);
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// The nearest colour of the 6 x 6 x 6 cube that terminals of 256 colours have.
fn indexed(RgbColor(r, g, b): RgbColor) -> Color {
    let level = |channel: u8| match channel {
        0..48 => 0,
        48..115 => 1,
        _ => (channel - 35) / 40,
    };
    Ansi256Color(16 + 36 * level(r) + 6 * level(g) + level(b)).into()
}

/// The scale with its colours: what the colours mean.
pub fn legend(paint: Paint) -> String {
    let cells = 30;
    let bar: String = (0..cells)
        .map(|cell| {
            let style = style(paint, SCALE * (f64::from(cell) + 0.5) / f64::from(cells));
            let tick = if cell % 6 == 0 { (b'0' + (cell / 6) as u8) as char } else { ' ' };
            format!("{style}{tick}{style:#}")
        })
        .collect();
    let end = style(paint, SCALE);
    format!("entropy {bar}{end}{SCALE}+{end:#} nats")
}

/// The course of the entropy over the text, at most `width` bars of equal numbers of tokens.
pub fn sparkline(paint: Paint, entropies: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bars = entropies.len().min(width);
    let bar = |index: usize| {
        let range = index * entropies.len() / bars..(index + 1) * entropies.len() / bars;
        let entropy = mean(&entropies[range]);
        let height = (entropy / SCALE * BARS.len() as f64) as usize;
        let style = Style::new().fg_color(color(paint, Palette::TERMINAL.color(entropy)));
        format!("{style}{}{style:#}", BARS[height.min(BARS.len() - 1)])
    };
    (0..bars).map(bar).collect()
}

/// The mean; 0 of nothing.
pub fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / (numbers.len().max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_its_colours() {
        assert_eq!(Palette::LIGHT.color(0.0), RgbColor(255, 255, 255));
        assert_eq!(Palette::LIGHT.color(SCALE), RgbColor(233, 104, 104));
        assert_eq!(Palette::LIGHT.color(99.0), RgbColor(233, 104, 104));
        assert_eq!(Palette::LIGHT.color(1.0), RgbColor(255, 246, 214));
    }

    #[test]
    fn the_cube_has_its_corners() {
        assert_eq!(indexed(RgbColor(0, 0, 0)), Ansi256Color(16).into());
        assert_eq!(indexed(RgbColor(255, 255, 255)), Ansi256Color(231).into());
        assert_eq!(indexed(RgbColor(95, 135, 175)), Ansi256Color(67).into());
    }

    #[test]
    fn a_text_does_not_command_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2J\tb\r\n\u{9b}é"), "a␛[2J\tb␍\n\u{fffd}é");
    }

    #[test]
    fn a_sparkline_has_a_bar_for_every_token_until_it_is_full() {
        assert_eq!(sparkline(Paint::Off, &[], 8), "");
        assert_eq!(sparkline(Paint::Off, &[0.0, 2.4, 9.0], 8), "▁▄█");
        assert_eq!(sparkline(Paint::Off, &[0.0, 0.0, 9.0, 9.0, 0.0, 0.0], 3), "▁█▁");
    }

    #[test]
    fn without_colour_there_is_not_one_escape() {
        let plain = legend(Paint::Off) + &sparkline(Paint::Off, &[1.0, 4.0], 2);
        assert!(!plain.contains('\x1b'), "{plain:?}");
    }
}
