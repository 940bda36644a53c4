import { expect, test } from 'vitest';
import { events } from './sse';

/** A body that arrives in pieces of `size` bytes. */
function body(text: string, size: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function read(text: string, size: number): Promise<unknown[]> {
  const all = [];
  for await (const event of events(body(text, size))) all.push(event);
  return all;
}

test('events come whole, however the bytes are cut', async () => {
  const text =
    'data: {"text":"é"}\n\n: still here\n\ndata: {"n":\ndata: 2}\r\n\r\ndata: [DONE]\n\ndata: {"late":true}\n\n';
  for (const size of [1, 2, 3, 7, 1000]) {
    expect(await read(text, size)).toEqual([{ text: 'é' }, { n: 2 }]);
  }
});

test('a stream that is cut gives what had arrived whole', async () => {
  expect(await read('data: 1\n\ndata: 2', 4)).toEqual([1, 2]);
  expect(await read('', 4)).toEqual([]);
});

test('who stops listening cancels the stream', async () => {
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
    cancel: () => void (cancelled = true),
  });
  for await (const event of events(stream)) {
    expect(event).toBe(1);
    break;
  }
  expect(cancelled).toBe(true);
});
