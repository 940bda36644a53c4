/** Questions that a moving pointer asks: none at once, none twice, and only the last one counts. */

/** How many answers are kept. */
const KEPT = 300;

export class Looks<Question extends object, Answer> {
  private readonly answers = new Map<string, Answer>();
  private current = new AbortController();

  constructor(
    private readonly ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
    /** How long a question must stand before it is asked, in milliseconds. */
    private readonly patience: number,
  ) {}

  /** The answer; null if another question came before it was there, or `forget`. The question before is given up. */
  async of(question: Question): Promise<Answer | null> {
    this.forget();
    const key = JSON.stringify(question);
    const known = this.answers.get(key);
    if (known) return known;
    const { signal } = this.current;
    await new Promise((resolve) => setTimeout(resolve, this.patience));
    if (signal.aborted) return null;
    try {
      const answer = await this.ask(question, signal);
      this.keep(key, answer);
      return signal.aborted ? null : answer;
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  /** Gives up the question that stands. */
  forget(): void {
    this.current.abort();
    this.current = new AbortController();
  }

  private keep(key: string, answer: Answer): void {
    this.answers.set(key, answer);
    const [oldest] = this.answers.keys();
    if (this.answers.size > KEPT && oldest !== undefined) this.answers.delete(oldest);
  }
}
