import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Looks } from './looks';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('only the question that the pointer rests on is asked', async () => {
  const asked: number[] = [];
  const looks = new Looks(async ({ at }: { at: number }) => asked.push(at) && at * 2, 100);
  const answers = Promise.all([looks.of({ at: 1 }), looks.of({ at: 2 }), looks.of({ at: 3 })]);
  await vi.runAllTimersAsync();
  expect([await answers, asked]).toEqual([[null, null, 6], [3]]);
});

test('an answer is asked for once', async () => {
  const ask = vi.fn(async ({ at }: { at: number }) => at);
  const looks = new Looks(ask, 100);
  for (let i = 0; i < 3; i += 1) {
    const answer = looks.of({ at: 7 });
    await vi.runAllTimersAsync();
    expect(await answer).toBe(7);
  }
  expect(ask).toHaveBeenCalledTimes(1);
});

test('a question under way is given up for the next, and its failure is nobody’s', async () => {
  const ask = (_: { at: number }, signal: AbortSignal) =>
    new Promise<number>((_, fail) => signal.addEventListener('abort', () => fail(new Error('given up'))));
  const looks = new Looks(ask, 100);
  const first = looks.of({ at: 1 });
  await vi.advanceTimersByTimeAsync(150);
  looks.forget();
  expect(await first).toBeNull();
});

test('a failure of the question that stands is told', async () => {
  const looks = new Looks(() => Promise.reject(new Error('no')), 0);
  const answer = expect(looks.of({})).rejects.toThrow('no');
  await vi.runAllTimersAsync();
  await answer;
});
