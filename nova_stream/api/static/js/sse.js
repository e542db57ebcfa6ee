// Server-sent events over fetch, since EventSource sends no token.

import { createParser } from "../vendor/eventsource-parser.js";

/** A function that reads the next piece of ``body`` and hands its events to ``onEvent``; it
 * resolves to false at the end.
 */
export function eventReader(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = createParser({ onEvent });
  return async () => {
    const { done, value } = await reader.read();
    if (!done) parser.feed(value);
    return !done;
  };
}
