import { expect, test } from 'vitest';
import { bytes, piece, show, spell } from './text';

test('a code point split over tokens stands at the token that completes it', () => {
  const pieces = [{ text: 'a' }, { text: '\ufffd', hex: 'f09f' }, { text: '\ufffd', hex: '8db7' }, { text: '!' }];
  expect(spell(pieces)).toEqual(['a', '', '🍷', '!']);
});

test('bytes that are no text show as such once it is certain', () => {
  expect(spell([{ text: '\ufffd', hex: 'ff' }, { text: 'b' }])).toEqual(['\ufffd', 'b']);
  expect(bytes({ text: 'é' })).toEqual(Uint8Array.of(0xc3, 0xa9));
  expect(bytes({ text: '\ufffd', hex: 'c3' })).toEqual(Uint8Array.of(0xc3));
});

test('bytes come back from a piece', () => {
  for (const given of [[], [0x20, 0xc3, 0xa9], [0xf0, 0x9f], [0xef, 0xbb, 0xbf, 0x61], [0xff, 0x0a]]) {
    expect([...bytes(piece(given))]).toEqual(given);
  }
  expect(piece([0xf0, 0x0f])).toMatchObject({ hex: 'f00f' });
});

test('a token by itself shows its ends', () => {
  expect([{ text: ' a b' }, { text: '\n\n' }, { text: '' }, { text: '\ufffd', hex: 'f09f' }].map(show)).toEqual([
    '␣a b',
    '↵↵',
    '∅',
    '⟨f0 9f⟩',
  ]);
});
