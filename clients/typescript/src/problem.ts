/** What a request failed with: the API's own problem (RFC 9457), or that no API answers. */
export class NovaProblem extends Error {
  override readonly name = "NovaProblem";
  /** HTTP status; 0 where nothing answered. */
  readonly status: number;
  /** A stable word to decide by, such as `unknown-agent`, `scope-missing`, `position-not-reached`; `unreachable` where nothing answered. */
  readonly kind: string;
  /** What was found and what to do. */
  readonly detail: string;
  /** Seconds after which it is worth asking again, where the API says so. */
  readonly retryAfter: number | undefined;
  /** All members of the problem, such as `index` and `reason` of a bad event. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    request: string,
    status: number,
    members: Readonly<Record<string, unknown>>,
    options: ErrorOptions & { retryAfter?: number | undefined } = {},
  ) {
    const kind = String(members["type"] ?? "about:blank").replace("urn:nova-stream:", "");
    const detail = String(members["detail"] ?? members["title"] ?? "no details");
    super(`${request}: ${status || "no answer"} ${kind}: ${detail}`, options);
    this.status = status;
    this.kind = kind;
    this.detail = detail;
    this.members = members;
    this.retryAfter = options.retryAfter;
  }

  /** Whether the same request may succeed later: the API, Postgres or Kafka is away, or busy. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Where a request went, without its query, which may hold what others must not see in a log. */
export function told(request: Request): string {
  const { origin, pathname } = new URL(request.url);
  return `${request.method} ${origin}${pathname}`;
}

/** The problem in an answer that is none of success, whoever gave it (a proxy sends no problems). */
export async function problemOf(request: Request, response: Response): Promise<NovaProblem> {
  const text = await response.text();
  let members: Record<string, unknown> = { title: response.statusText, detail: text.slice(0, 200) };
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    members = JSON.parse(text) as Record<string, unknown>;
  }
  const seconds = response.headers.get("retry-after");
  const retryAfter = seconds === null ? undefined : Number(seconds);
  return new NovaProblem(told(request), response.status, members, { retryAfter });
}
