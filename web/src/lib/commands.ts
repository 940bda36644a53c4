/** The same texts without this page: as commands of a shell. */

import type { Asked, ModelId } from './server';

/** Asks the server for it. The key is a variable of the shell: it does not belong in a command that is shown. */
export function curl(origin: string, asked: Asked, withKey: boolean): string {
  const key = withKey ? ' \\\n  -H "Authorization: Bearer $DECANT_API_KEY"' : '';
  const body = quote(JSON.stringify(asked));
  return `curl ${origin}/v1/completions -H 'Content-Type: application/json'${key} \\\n  -d ${body}`;
}

/** Makes it on the command line. `message` is a prompt as the user wrote it, to be framed by the chat template or not. */
export function generate(message: string, chat: boolean | null, asked: Asked, model: ModelId | null): string {
  const words = ['decant', 'generate'];
  if (model && model.source !== 'embedded') words.push('-m', quote(model.source));
  if (model?.quantise) words.push('--quantize', model.quantise);
  if (model?.kv) words.push('--kv', model.kv);
  // Only models with a template know the difference.
  if (chat !== null) words.push(chat ? '--chat' : '--raw');
  words.push('--sampler', quote(asked.sampler), '--seed', String(asked.seed), '--max-tokens', String(asked.max_tokens));
  if (asked.n > 1) words.push('-n', String(asked.n));
  // After `--` nothing is an option; a single dash would be stdin.
  return [...words, '--', quote(message)].join(' ');
}

/** A word of a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
