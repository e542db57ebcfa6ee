import { EventSourceParserStream } from "eventsource-parser/stream";

import { NovaProblem } from "./problem.js";
import type { components } from "./schema.js";

type Schemas = components["schemas"];

/** What each kind of event brings; docs/http-api.md says when it comes. */
export type LiveData = Schemas["LiveEvents"];

/** An event, with the id to go on from; `event` tells the type of `data`. */
export type LiveEvent = {
  [Kind in keyof LiveData]: { id: string | undefined; event: Kind; data: LiveData[Kind] };
}[keyof LiveData];

export interface FollowOptions {
  /** Only these kinds; all that the token may see where it is not given. */
  events?: readonly ("agent" | "builds" | "overview" | "build" | "activity")[];
  /** Only agents and activities of these names, at most 100. */
  agents?: readonly string[];
  /** The id of an event of an earlier `follow` with the same `events` and `agents`: goes on after it. */
  lastEventId?: string;
  /** Ends it: the loop over the events then ends without an error. */
  signal?: AbortSignal;
  /** Told each time that the connection breaks, before it is opened again. */
  onBreak?: (problem: NovaProblem) => void;
}

/** Opens the stream after an id. Rejects with NovaProblem. */
export type Open = (
  lastEventId: string | undefined,
  signal: AbortSignal,
) => Promise<ReadableStream<Uint8Array>>;

/** The API sends a comment each 15 s; what is silent for longer than this is dead. */
const SILENCE_MS = 45_000;
const LONGEST_MS = 30_000;

/** Events until the signal aborts, over as many connections as it takes. Throws problems that do not pass. */
export async function* following(open: Open, options: FollowOptions): AsyncGenerator<LiveEvent> {
  const { signal, onBreak } = options;
  let { lastEventId } = options;
  let retryMs = 2_000;
  let failures = 0;
  while (!signal?.aborted) {
    const ended = new AbortController();
    const either = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
    let silence = setTimeout(() => ended.abort(), SILENCE_MS);
    const alive = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => ended.abort(), SILENCE_MS);
    };
    let waitMs: number | undefined;
    try {
      const body = await open(lastEventId, either);
      const text = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>);
      const parser = new EventSourceParserStream({
        onRetry: (ms) => (retryMs = ms),
        onComment: alive,
      });
      for await (const { id, event, data } of chunksOf(text.pipeThrough(parser))) {
        alive();
        failures = 0;
        lastEventId = id ?? lastEventId;
        yield { id, event, data: JSON.parse(data) } as LiveEvent;
      }
      onBreak?.(broken("the API ended the stream"));
    } catch (error) {
      if (signal?.aborted) return;
      const problem = error instanceof NovaProblem ? error : broken("the connection broke", error);
      if (!problem.passes) throw problem;
      onBreak?.(problem);
      waitMs = problem.retryAfter && problem.retryAfter * 1_000;
    } finally {
      clearTimeout(silence);
      ended.abort();
    }
    await pause(waitMs ?? Math.min(retryMs * 2 ** failures, LONGEST_MS), signal);
    failures += 1;
  }
}

/** What a stream gives, until it ends or the loop is left; not all browsers can loop over a stream itself. */
async function* chunksOf<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => undefined); // it may have broken, which was told already
  }
}

function broken(detail: string, cause?: unknown): NovaProblem {
  return new NovaProblem("GET /api/v1/stream", 0, { type: "unreachable", detail }, { cause });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
