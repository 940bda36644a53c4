/** What a run is asked, and the address that says it again. */

export interface Settings {
  prompt: string;
  /** Whether the prompt is a message for the model's chat template. */
  chat: boolean;
  /** The texts of one to three samplers. */
  samplers: string[];
  /** 0 to 2^53 - 1, as far as JavaScript counts exactly; the server takes 64 bits. */
  seed: number;
  maxTokens: number;
  /** Texts by each sampler. */
  texts: number;
}

export const MOST_SAMPLERS = 3;
export const MOST_TEXTS = 8;

export const START: Settings = {
  prompt: 'Once upon a time',
  chat: false,
  samplers: ['temp=by_entropy(0.5..4->0.4..1.4),top_h=0.5'],
  seed: 2,
  maxTokens: 160,
  texts: 1,
};

/** The part of an address after `#`. */
export function toFragment(settings: Settings): string {
  const fields = new URLSearchParams({ prompt: settings.prompt });
  if (settings.chat) fields.set('chat', '1');
  settings.samplers.forEach((sampler) => fields.append('sampler', sampler));
  fields.set('seed', String(settings.seed));
  fields.set('max_tokens', String(settings.maxTokens));
  fields.set('n', String(settings.texts));
  return fields.toString();
}

/** The settings of such a part. What is missing or makes no sense stays as it is at the start. */
export function fromFragment(fragment: string): Settings {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  const samplers = fields.getAll('sampler').slice(0, MOST_SAMPLERS);
  return {
    prompt: fields.get('prompt') ?? START.prompt,
    chat: fields.get('chat') === '1',
    samplers: samplers.length ? samplers : START.samplers,
    seed: whole(fields.get('seed'), 0, Number.MAX_SAFE_INTEGER, START.seed),
    maxTokens: whole(fields.get('max_tokens'), 1, Number.MAX_SAFE_INTEGER, START.maxTokens),
    texts: whole(fields.get('n'), 1, MOST_TEXTS, START.texts),
  };
}

/** A whole number within bounds; `otherwise` for anything else. */
export function whole(text: string | null, min: number, max: number, otherwise: number): number {
  const number = /^\d{1,16}$/.test(text ?? '') ? Number(text) : NaN;
  return number >= min && number <= max ? number : otherwise;
}
