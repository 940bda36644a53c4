/** The playground's state: what is asked, what came of it, and what is looked at. */

import { type Branch, fork, root } from './lib/branches';
import { type Catalogue, read } from './lib/catalogue';
import {
  type Asked,
  type Choice,
  type Health,
  type Model,
  type ModelId,
  Server,
  ServerError,
  type TraceLine,
  wasStopped,
} from './lib/server';
import { MOST_SAMPLERS, type Settings } from './lib/settings';
import { type Stage, parse, print } from './lib/spec';
import type { Alternative, Token } from './lib/text';

/** How often what has arrived is shown, in milliseconds. */
const FRAME = 30;

/** One of the texts of a sampler, with its branches. */
export class Text {
  branches = $state.raw<Branch[]>([root()]);
  /** The id of the branch that is shown. */
  shown = $state(0);

  constructor(
    readonly index: number,
    readonly seed: number,
  ) {}

  get branch(): Branch {
    return this.branches.find(({ id }) => id === this.shown) ?? this.branches[0]!;
  }

  get tokens(): Token[] {
    return this.branch.tokens;
  }

  /** Changes a branch. */
  change(id: number, how: (branch: Branch) => Partial<Branch>): void {
    this.branches = this.branches.map((branch) => (branch.id === id ? { ...branch, ...how(branch) } : branch));
  }
}

/** A sampler, and the texts it made. */
export class Lane {
  stages = $state.raw<Stage[]>([]);
  /** The sampler's text, also where it cannot be read yet. */
  spec = $state('');
  /** Why the text cannot be read. */
  fault = $state<string | null>(null);
  texts = $state.raw<Text[]>([]);
  /** What the texts were asked by; null before the first run. */
  asked = $state.raw<Asked | null>(null);
  /** The prompt of it as it was typed, before any chat template. */
  message = '';
  /** The sampler as the server ran it. */
  effective = $state<string | null>(null);
  error = $state.raw<ServerError | null>(null);

  constructor(
    spec: string,
    private readonly catalogue: Catalogue | null,
  ) {
    this.write(spec);
  }

  /** Takes a text; its stages, if it can be read. */
  write(spec: string): void {
    this.spec = spec;
    if (!this.catalogue) return;
    try {
      [this.stages, this.fault] = [parse(spec, this.catalogue), null];
    } catch (error) {
      this.fault = (error as Error).message;
    }
  }

  /** Takes stages, and their text. */
  set(stages: Stage[]): void {
    if (!this.catalogue) return;
    [this.stages, this.fault, this.spec] = [stages, null, print(stages, this.catalogue)];
  }
}

/** A token of a text. */
export interface Place {
  lane: Lane;
  text: Text;
  at: number;
}

export class Session {
  readonly server = new Server();
  health = $state<Health>('loading');
  needsKey = $state(false);
  model = $state.raw<Model | null>(null);
  modelId = $state.raw<ModelId | null>(null);
  hasChat = $state(false);
  ends: number[] = [];
  catalogue = $state.raw<Catalogue | null>(null);

  prompt = $state('');
  chat = $state(false);
  seed = $state(0);
  maxTokens = $state(0);
  texts = $state(1);
  lanes = $state.raw<Lane[]>([]);
  /** The lane whose sampler is edited. */
  active = $state(0);

  /** How many streams run. */
  running = $state(0);
  /** What is looked at, and whether it stays when the pointer moves on. */
  place = $state.raw<Place | null>(null);
  pinned = $state(false);
  /** What went wrong before any sampler was asked. */
  error = $state.raw<ServerError | null>(null);

  private stopping = new AbortController();

  constructor(settings: Settings) {
    this.adopt(settings);
  }

  get lane(): Lane {
    return this.lanes[this.active] ?? this.lanes[0]!;
  }

  /** Whether the server would take what is asked now, as far as that is known here. */
  get isReady(): boolean {
    return this.health === 'ready' && this.catalogue !== null && this.lanes.every((lane) => lane.fault === null);
  }

  /** What is asked now. */
  get settings(): Settings {
    const { prompt, chat, seed, maxTokens, texts, lanes } = this;
    return { prompt, chat, seed, maxTokens, texts, samplers: lanes.map((lane) => lane.spec) };
  }

  adopt(settings: Settings): void {
    this.stop();
    const { prompt, chat, seed, maxTokens, texts, samplers } = settings;
    Object.assign(this, { prompt, chat, seed, maxTokens, texts, active: 0, place: null });
    this.lanes = samplers.map((spec) => new Lane(spec, this.catalogue));
  }

  /** What the server has; asked once it is ready, or has the key it wants. */
  async meet(): Promise<void> {
    try {
      const [model, samplers, tokenizer] = await Promise.all([
        this.server.model(),
        this.server.samplers(),
        this.server.tokenizer(),
      ]);
      this.model = model ?? null;
      this.hasChat = tokenizer.chat_template !== null;
      this.ends = tokenizer.end_tokens;
      if (!this.hasChat) this.chat = false;
      this.catalogue = read(samplers);
      this.lanes = this.lanes.map((lane) => new Lane(lane.spec, this.catalogue));
      [this.needsKey, this.error] = [false, null];
    } catch (error) {
      this.tell(error);
    }
  }

  /** Adds a sampler to compare with: the one that is edited, to be changed. */
  addLane(): void {
    if (this.lanes.length >= MOST_SAMPLERS) return;
    this.lanes = [...this.lanes, new Lane(this.lane.spec, this.catalogue)];
    this.active = this.lanes.length - 1;
  }

  removeLane(at: number): void {
    if (this.lanes.length < 2) return;
    if (this.place?.lane === this.lanes[at]) this.place = null;
    this.lanes = this.lanes.filter((_, i) => i !== at);
    this.active = Math.min(this.active, this.lanes.length - 1);
  }

  /** Generates all texts of all samplers: one prompt and one seed, so that their draws are coupled. */
  async run(): Promise<void> {
    this.stop();
    [this.place, this.pinned, this.error] = [null, false, null];
    const { signal } = (this.stopping = new AbortController());
    const shared = { seed: this.seed, max_tokens: this.maxTokens, n: this.texts };
    this.running += 1;
    try {
      const prompt = this.chat ? await this.server.frame(this.prompt, signal) : this.prompt;
      await Promise.all(this.lanes.map((lane) => this.fill(lane, { prompt, sampler: lane.spec, ...shared }, signal)));
    } catch (error) {
      if (!wasStopped(error)) this.tell(error);
    } finally {
      this.running -= 1;
    }
  }

  /** Stops everything that runs; what was said stays. */
  stop(): void {
    this.stopping.abort();
  }

  /** Says an alternative at a place, and goes on from there as a branch of its own. */
  async fork({ lane, text, at }: Place, other: Alternative): Promise<void> {
    if (!lane.asked) return;
    if (this.stopping.signal.aborted) this.stopping = new AbortController();
    const branch = fork(text.branches, text.branch, at, other);
    text.branches = [...text.branches, branch];
    text.shown = branch.id;
    [this.place, this.pinned] = [{ lane, text, at }, true];
    const generated = branch.tokens.map(({ step }) => step.token);
    const left = lane.asked.max_tokens - generated.length;
    const ended = this.ends.includes(other.token) ? 'eos' : left <= 0 ? 'length' : null;
    if (ended) return text.change(branch.id, () => ({ finish: ended }));
    const asked = { ...lane.asked, generated, seed: text.seed, max_tokens: left, n: 1 };
    await this.listen(lane, asked, this.stopping.signal, () => ({ text, branch: branch.id }));
  }

  private async fill(lane: Lane, asked: Asked, signal: AbortSignal): Promise<void> {
    [lane.asked, lane.message, lane.error, lane.effective] = [asked, this.prompt, null, null];
    lane.texts = Array.from({ length: asked.n }, (_, i) => new Text(i, asked.seed + i));
    await this.listen(lane, asked, signal, (index) => ({ text: lane.texts[index]!, branch: 0 }));
  }

  /** Takes the pieces of a stream to the branches they belong to. */
  private async listen(
    lane: Lane,
    asked: Asked,
    signal: AbortSignal,
    where: (index: number) => { text: Text; branch: number },
  ): Promise<void> {
    this.running += 1;
    const open = new Set(Array.from({ length: asked.n }, (_, index) => index));
    let end = 'stopped';
    const heard: Choice[] = [];
    const show = () => heard.splice(0).forEach((choice) => this.take(choice, where(choice.index)));
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for await (const choice of this.server.complete(asked, signal)) {
        lane.effective = choice.decant.sampler ?? lane.effective;
        if (choice.finish_reason !== null) open.delete(choice.index);
        heard.push(choice);
        timer ??= setTimeout(() => ((timer = undefined), show()), FRAME);
      }
    } catch (error) {
      if (!wasStopped(error)) {
        end = 'error';
        if (error instanceof ServerError) lane.error = error;
        this.tell(error);
      }
    } finally {
      clearTimeout(timer);
      show();
      this.running -= 1;
      for (const index of open) {
        const { text, branch } = where(index);
        text.change(branch, () => ({ finish: end }));
      }
    }
  }

  private take(choice: Choice, { text, branch: id }: { text: Text; branch: number }): void {
    const lines = choice.decant.trace ?? [];
    const steps = lines.flatMap((line) => ('step' in line ? [token(line.step)] : []));
    const header = lines.find((line) => 'header' in line);
    if (header) this.modelId = header.header.model;
    text.change(id, (branch) => ({
      tokens: steps.length ? [...branch.tokens, ...steps] : branch.tokens,
      trace: [...branch.trace, ...lines],
      finish: choice.decant.finish ?? choice.finish_reason,
    }));
  }

  /** Shows what went wrong where it belongs. */
  private tell(error: unknown): void {
    if (!(error instanceof ServerError)) throw error;
    this.needsKey = error.status === 401;
    this.error = this.needsKey ? null : error;
  }
}

function token(step: Extract<TraceLine, { step: unknown }>['step']): Token {
  const { text, hex, position: _, top: __, ...numbers } = step;
  return { text, ...(hex === undefined ? {} : { hex }), step: numbers, chosen: false };
}
