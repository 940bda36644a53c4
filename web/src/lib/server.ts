/** The server, as far as the playground asks it. */

import type { Answer } from './catalogue';
import { events } from './sse';
import { type Alternative, type Piece, type Step, piece } from './text';

/** Why the server gave no answer: its error object. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The field of the request at fault. */
    readonly param: string | null = null,
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

export interface Model {
  id: string;
  max_model_len: number;
  decant: { architecture: string; format: string; hash: string };
}

/** Which model, as a trace's header tells it. */
export interface ModelId {
  source: string;
  quantise?: string;
  kv?: string;
}

/** What stands in the trace of a choice. */
export type TraceLine =
  | { header: { prompt_ids: number[]; model: ModelId } }
  | { step: Step & Piece & { position: number; top: Alternative[] } }
  | { finish: string }
  | { outcome: unknown };

export interface Choice {
  index: number;
  text: string;
  finish_reason: string | null;
  decant: { sampler?: string; decode?: string; seed?: number; steps: Step[]; finish?: string; trace?: TraceLine[] };
}

/** What a completion is asked by. */
export interface Asked {
  prompt: string | number[];
  generated?: number[];
  sampler: string;
  seed: number;
  max_tokens: number;
  n: number;
}

/** A distribution: the model's own where `stage` is null, else what a stage left. */
export interface Distribution {
  stage: string | null;
  entropy: number;
  kept: number;
  kept_mass: number;
  temperature: number;
  top: (Alternative & { prob: number })[];
}

export interface Next {
  position: number;
  sampler: string;
  step: Step;
  stages: Distribution[];
}

export type Health = 'ready' | 'loading' | 'draining' | 'unreachable';

export class Server {
  /** Sent with every request, if there is one. */
  key: string | null = null;

  async health(): Promise<Health> {
    try {
      // 503 has its word, too.
      const answer = await fetch('/health', { cache: 'no-store' });
      return ((await answer.json()) as { status: Health }).status;
    } catch {
      return 'unreachable';
    }
  }

  async model(): Promise<Model | undefined> {
    return (await this.json<{ data: Model[] }>('/v1/models')).data[0];
  }

  samplers(): Promise<Answer> {
    return this.json('/v1/samplers');
  }

  tokenizer(): Promise<{ chat_template: string | null; end_tokens: number[] }> {
    return this.json('/tokenizer_info');
  }

  /** The ids of a conversation's prompt. */
  async frame(message: string, signal: AbortSignal): Promise<number[]> {
    const messages = [{ role: 'user', content: message }];
    return (await this.json<{ tokens: number[] }>('/tokenize', { messages }, signal)).tokens;
  }

  /** A position before and after every stage. */
  async next(question: Omit<Asked, 'max_tokens' | 'n'> & { top_n: number }, signal: AbortSignal): Promise<Next> {
    const next = await this.json<Next>('/v1/next', question, signal);
    const spelt = (token: Distribution['top'][number] & { bytes?: number[] }) => ({
      ...token,
      ...piece(token.bytes ?? []),
    });
    return { ...next, stages: next.stages.map((stage) => ({ ...stage, top: stage.top.map(spelt) })) };
  }

  /** The pieces of all choices, as they are made. */
  async *complete(asked: Asked, signal: AbortSignal): AsyncGenerator<Choice> {
    const answer = await this.ask('/v1/completions', { ...asked, stream: true, trace: true }, signal);
    if (!answer.body) throw new ServerError(answer.status, 'the server sent no stream');
    for await (const event of events<{ choices?: Choice[]; error?: ErrorBody }>(answer.body)) {
      if (event.error) throw fault(answer.status, event.error);
      yield* event.choices ?? [];
    }
  }

  private async json<T>(path: string, body?: object, signal?: AbortSignal): Promise<T> {
    return (await (await this.ask(path, body, signal)).json()) as T;
  }

  private async ask(path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = {};
    if (this.key) headers['Authorization'] = `Bearer ${this.key}`;
    if (body) headers['Content-Type'] = 'application/json';
    const init: RequestInit = { method: body ? 'POST' : 'GET', headers };
    if (body) init.body = JSON.stringify(body);
    if (signal) init.signal = signal;
    const answer = await fetch(path, init).catch((error: unknown) => {
      throw signal?.aborted ? error : new ServerError(0, 'the server cannot be reached');
    });
    if (answer.ok) return answer;
    const said = (await answer.json().catch(() => ({}))) as { error?: ErrorBody };
    throw fault(answer.status, said.error ?? { message: answer.statusText });
  }
}

interface ErrorBody {
  message: string;
  param?: string | null;
  code?: string | null;
}

function fault(status: number, { message, param, code }: ErrorBody): ServerError {
  return new ServerError(status, message, param ?? null, code ?? null);
}

/** Whether something failed only because nobody wanted it any more. */
export function wasStopped(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
