/** Tokens and their texts. A code point may be split over tokens: the token that completes it shows it. */

/** A token's bytes as the server tells them: as text, and in hexadecimal where they are not UTF-8 by themselves. */
export interface Piece {
  text: string;
  hex?: string | undefined;
}

/** What the sampler saw at a step: the server's `Step`. Nats. */
export interface Step {
  token: number;
  logprob: number;
  sampled_logprob: number;
  entropy: number;
  varentropy: number;
  temperature: number;
  kept: number;
  kept_mass: number;
  kept_entropy: number;
}

/** A token that could have been drawn. */
export interface Alternative extends Piece {
  token: number;
  /** The model's own ln p; NaN where it was not told. */
  logprob: number;
}

/** A generated token. */
export interface Token extends Piece {
  step: Step;
  /** Whether it was chosen by hand and not drawn: then the step's `sampled_logprob` is not its own. */
  chosen: boolean;
}

/** Turns tokens into texts as they come. */
export class Speller {
  private readonly decoder = new TextDecoder();

  /** What a token adds to the text: nothing, as long as a code point is incomplete. */
  push(piece: Piece): string {
    return this.decoder.decode(bytes(piece), { stream: true });
  }
}

/** The texts of all tokens. */
export function spell(pieces: Piece[]): string[] {
  const speller = new Speller();
  return pieces.map((piece) => speller.push(piece));
}

/** Bytes as a piece. */
export function piece(bytes: number[]): Piece {
  const array = Uint8Array.from(bytes);
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(array) };
  } catch {
    return {
      text: new TextDecoder().decode(array),
      hex: bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    };
  }
}

/** A token's bytes. */
export function bytes({ text, hex }: Piece): Uint8Array {
  if (hex === undefined) return new TextEncoder().encode(text);
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** A token by itself, so that one sees where it begins and ends: spaces and line ends as signs, lone bytes in hexadecimal. */
export function show({ text, hex }: Piece): string {
  if (hex !== undefined) return `⟨${hex.match(/../g)?.join(' ') ?? ''}⟩`;
  if (text === '') return '∅';
  const visible = text.replaceAll('\n', '↵').replaceAll('\t', '⇥');
  return visible.replace(/^ +| +$/g, (spaces) => '␣'.repeat(spaces.length));
}
