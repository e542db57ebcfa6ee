import createClient, { type Client } from "openapi-fetch";

import { following, type FollowOptions, type LiveEvent } from "./follow.js";
import { NovaProblem, problemOf, told } from "./problem.js";
import type { components, paths } from "./schema.js";

export type Schemas = components["schemas"];
type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Asked } } }
  ? NonNullable<Asked>
  : never;
/** A list's filters; its pages are turned by itself. `limit` is the size of a page. */
type Filters<Path extends keyof paths> = Omit<Query<Path>, "cursor" | "format">;
/** What is shown at least: everything up to the token `after`, waited for `timeout` seconds (10, at most 60). */
export interface After {
  after?: string;
  timeout?: number;
}
/** From `from` to before `to` (now), ISO 8601. */
export interface Range {
  from: string;
  to?: string;
}
/** A change: the entity's whole new document in `after`, or `op: "d"` and the id in `before`. */
export type Change = Schemas["Change"];

export interface NovaOptions {
  /** The API's address, without `/api/v1`; of the page's own server where it is not given. */
  url?: string | undefined;
  /** A token of it; none is needed where the API has none. */
  token?: string | undefined;
  /** Takes the place of the platform's `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

/**
 * Publishes changes, waits for them, reads statistics and follows what changes.
 *
 * Everything rejects with NovaProblem when the API refuses or does not answer. Lists give all rows,
 * page by page as they are asked for. Fields, times and units are those of the API: docs/http-api.md.
 */
export class NovaClient {
  /** Every route of the API by its path, typed; rejects with NovaProblem, so `data` is there. */
  readonly api: Client<paths, "application/json">;

  constructor(options: NovaOptions = {}) {
    const { url = "", token } = options;
    this.api = createClient<paths, "application/json">({
      baseUrl: url.replace(/\/+$/, ""),
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      ...(options.fetch && { fetch: options.fetch }),
    });
    this.api.use({
      onResponse: async ({ request, response }) => {
        if (!response.ok) throw await problemOf(request, response);
      },
      onError: ({ request, error }) => unreachable(request, error),
    });
  }

  /** Publishes changes in their order, all or none; the token to wait for them with, once Kafka has them. */
  async publish(changes: Change | Change[]): Promise<string> {
    return got(await this.api.POST("/api/v1/events", { body: changes })).token;
  }

  /** Resolves when everything up to `token` is in the statistics; rejects with `position-not-reached` after `timeout` seconds (10, at most 60). */
  async wait(token: string, timeout = 10): Promise<void> {
    await this.api.GET("/api/v1/tasks", { params: { query: { after: token, timeout, limit: 1 } } });
  }

  /** The figures of all registered agents; with `unregistered` of other names that work is done under, too. */
  agents(query: After & { unregistered?: boolean } = {}): AsyncGenerator<Schemas["AgentStats"]> {
    return pages(async (turn) => {
      const found = await this.api.GET("/api/v1/agents/stats", { params: { query: { ...query, ...turn } } });
      return got(found) as Schemas["AgentStatsList"];
    });
  }

  /** The figures of one agent, of any name. */
  async agent(
    name: string,
    query: After & { unregistered?: boolean } = {},
  ): Promise<Schemas["NamedAgentStats"]> {
    const found = await this.api.GET("/api/v1/agent/stats", { params: { query: { ...query, name } } });
    return got(found) as Schemas["NamedAgentStats"];
  }

  /** What one agent did in a range of time. */
  async agentRange(
    name: string,
    query: After & Range & { unregistered?: boolean },
  ): Promise<Schemas["AgentRange"]> {
    const found = await this.api.GET("/api/v1/agent/stats", { params: { query: { ...query, name } } });
    return got(found) as Schemas["AgentRange"];
  }

  /** What all agents did together in a range of time. */
  async overallRange(query: After & Range): Promise<Schemas["Figures"]> {
    const found = await this.api.GET("/api/v1/agents/stats", { params: { query: { ...query, limit: 1 } } });
    return (got(found) as Schemas["AgentsRange"]).overall;
  }

  /** What each agent did in a range of time, by name. */
  agentRanges(query: After & Range & { unregistered?: boolean }): AsyncGenerator<Schemas["AgentRangeRow"]> {
    return pages(async (turn) => {
      const found = await this.api.GET("/api/v1/agents/stats", { params: { query: { ...query, ...turn } } });
      return got(found) as Schemas["AgentsRange"];
    });
  }

  /** What one agent did, in the buckets of a range. */
  async agentSeries(
    name: string,
    query: Omit<Query<"/api/v1/agent/series">, "name">,
  ): Promise<Schemas["AgentSeries"]> {
    return got(await this.api.GET("/api/v1/agent/series", { params: { query: { ...query, name } } }));
  }

  /** What all agents did together, in the buckets of a range. */
  async agentsSeries(query: Query<"/api/v1/agents/series">): Promise<Schemas["AgentSeries"]> {
    return got(await this.api.GET("/api/v1/agents/series", { params: { query } }));
  }

  /** The builds that ended, in the buckets of a range. */
  async buildsSeries(query: Query<"/api/v1/builds/series">): Promise<Schemas["BuildSeries"]> {
    return got(await this.api.GET("/api/v1/builds/series", { params: { query } }));
  }

  /** The figures of all builds. */
  async buildStats(query: After = {}): Promise<Schemas["BuildStats"]> {
    return got(await this.api.GET("/api/v1/builds/stats", { params: { query } })) as Schemas["BuildStats"];
  }

  /** The builds that ended in a range of time. */
  async buildsRange(query: After & Range): Promise<Schemas["BuildsRange"]> {
    return got(await this.api.GET("/api/v1/builds/stats", { params: { query } })) as Schemas["BuildsRange"];
  }

  /** The figures of the whole. */
  async overview(query: After = {}): Promise<Schemas["Overview"]> {
    return got(await this.api.GET("/api/v1/overview", { params: { query } }));
  }

  /** Builds, the newest start first. */
  builds(query: Filters<"/api/v1/builds"> = {}): AsyncGenerator<Schemas["Build"]> {
    return pages(async (turn) => got(await this.api.GET("/api/v1/builds", { params: { query: { ...query, ...turn } } })));
  }

  /** A build with its tasks: the first page of them where they are many, `tasks({ build })` gives all. */
  async build(id: string, query: After = {}): Promise<Schemas["BuildWithTasks"]> {
    return got(await this.api.GET("/api/v1/build", { params: { query: { ...query, id } } }));
  }

  /** Tasks, the newest creation first. */
  tasks(query: Filters<"/api/v1/tasks"> = {}): AsyncGenerator<Schemas["ListedTask"]> {
    return pages(async (turn) => got(await this.api.GET("/api/v1/tasks", { params: { query: { ...query, ...turn } } })));
  }

  /** A task with its newest executions; `executions({ task })` gives all. */
  async task(id: string, query: After = {}): Promise<Schemas["TaskWithExecutions"]> {
    return got(await this.api.GET("/api/v1/task", { params: { query: { ...query, id } } }));
  }

  /** Executions, the newest first, archived ones too. */
  executions(query: Filters<"/api/v1/executions"> = {}): AsyncGenerator<Schemas["ListedExecution"]> {
    return pages(async (turn) => got(await this.api.GET("/api/v1/executions", { params: { query: { ...query, ...turn } } })));
  }

  /** An execution with prompt and response. */
  async execution(id: string, query: After = {}): Promise<Schemas["WholeExecution"]> {
    return got(await this.api.GET("/api/v1/execution", { params: { query: { ...query, id } } }));
  }

  /** The activity feed, the newest first. */
  activity(query: Filters<"/api/v1/activity"> = {}): AsyncGenerator<Schemas["Activity"]> {
    return pages(async (turn) => got(await this.api.GET("/api/v1/activity", { params: { query: { ...query, ...turn } } })));
  }

  /** Users, the most recently active first. */
  users(query: Filters<"/api/v1/users"> = {}): AsyncGenerator<Schemas["ListedUser"]> {
    return pages(async (turn) => got(await this.api.GET("/api/v1/users", { params: { query: { ...query, ...turn } } })));
  }

  /** Active users, retention and churn of a range of days. */
  async engagement(query: Query<"/api/v1/engagement"> = {}): Promise<Schemas["Engagement"]> {
    return got(await this.api.GET("/api/v1/engagement", { params: { query } }));
  }

  /**
   * Live events: first everything as it is, then what changes, until `signal` aborts or the loop is left.
   *
   * Breaks are mended by themselves, from the last id on. Rejects where the API refuses for good (401, 403, 422).
   */
  follow(options: FollowOptions = {}): AsyncGenerator<LiveEvent> {
    const events = options.events?.join(",");
    const agents = options.agents?.join(",");
    return following(async (lastEventId, signal) => {
      const query = { ...(events && { events }), ...(agents && { agents }) };
      const header = lastEventId ? { "last-event-id": lastEventId } : {};
      const params = { query, header };
      const found = await this.api.GET("/api/v1/stream", { params, parseAs: "stream", signal, cache: "no-store" });
      return found.data as unknown as ReadableStream<Uint8Array>;
    }, options);
  }
}

/** What an answer holds; middleware has thrown where there is none. */
function got<T>(answer: { data?: T }): T {
  return answer.data as T;
}

async function* pages<T>(
  read: (turn: { cursor?: string }) => Promise<{ items: T[]; nextCursor?: string | null }>,
): AsyncGenerator<T> {
  let turn: { cursor?: string } | undefined = {};
  while (turn) {
    const page: { items: T[]; nextCursor?: string | null } = await read(turn);
    yield* page.items;
    turn = page.nextCursor ? { cursor: page.nextCursor } : undefined;
  }
}

function unreachable(request: Request, error: unknown): Error {
  if (error instanceof NovaProblem || request.signal.aborted) return error as Error;
  const detail = "no answer; is the address right, and does `nova-stream api` run there?";
  return new NovaProblem(told(request), 0, { type: "unreachable", detail }, { cause: error });
}
