/** Server-sent events, as far as the server sends them: the data of each. */

const END = '[DONE]';

/** The data of every event of a stream, parsed as JSON, until it says that it is done or ends. */
export async function* events<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += value ?? '';
      const parts = rest.split(/\r?\n\r?\n/);
      rest = done ? '' : (parts.pop() ?? '');
      for (const part of parts) {
        const data = dataOf(part);
        if (data === END) return;
        if (data !== null) yield JSON.parse(data) as T;
      }
      if (done) return;
    }
  } finally {
    // Whoever stops listening stops the text, too.
    await reader.cancel().catch(() => undefined);
  }
}

/** The data of an event; null for a comment, which only keeps the connection alive. */
function dataOf(event: string): string | null {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  return lines.length ? lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n') : null;
}
