/** A text and the ways it was made to go otherwise: a tree of branches, each a whole text of its own. */

import type { Alternative, Token } from './text';

export interface Branch {
  id: number;
  /** The branch it left, and at which token; null for the one that came first. */
  from: { branch: number; at: number } | null;
  tokens: Token[];
  /** Why it ended: eos, stop, length, deadline, or what went wrong; null while it runs. */
  finish: string | null;
  /** The lines of its trace, as the server sent them. */
  trace: object[];
}

/** A branch without tokens. */
export function root(): Branch {
  return { id: 0, from: null, tokens: [], finish: null, trace: [] };
}

/**
 * A branch that leaves another at a token and says an alternative there. What came before is common; the row is the same, so
 * are entropy, temperature and what was kept.
 */
export function fork(branches: Branch[], from: Branch, at: number, other: Alternative): Branch {
  const there = from.tokens[at];
  if (!there) throw new RangeError(`branch ${from.id} has no token ${at}`);
  const { token, logprob, ...piece } = other;
  const same = there.step.token === token;
  const chosen: Token = same
    ? there
    : { text: piece.text, hex: piece.hex, chosen: true, step: { ...there.step, token, logprob } };
  return {
    id: 1 + Math.max(...branches.map(({ id }) => id)),
    from: { branch: from.id, at },
    tokens: [...from.tokens.slice(0, at), chosen],
    finish: null,
    trace: [],
  };
}

/** Branches with their depth, each after the one it left. */
export function outline(branches: Branch[]): { branch: Branch; depth: number }[] {
  const under = (parent: number | null, depth: number): { branch: Branch; depth: number }[] =>
    branches
      .filter(({ from }) => (from?.branch ?? null) === parent)
      .flatMap((branch) => [{ branch, depth }, ...under(branch.id, depth + 1)]);
  return under(null, 0);
}
