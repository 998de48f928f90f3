/** What the server refuses, and whether to ask again. */

const LONGEST_WAIT_SECONDS = 30;
const FIRST_WAIT_SECONDS = 0.25;

/** The server's own error: `code` is stable and for programs, the message is for people. */
export class SimilaError extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, status: number, code: string | null, param: string | null, retryAfterSeconds?: number) {
    super(message);
    this.name = "SimilaError";
    this.status = status;
    this.code = code;
    this.param = param;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Read an answer that is none of success. */
  static async of(answer: Response): Promise<SimilaError> {
    const asked = answer.headers.get("retry-after");
    const seconds = asked !== null && /^\d+$/.test(asked) ? Number(asked) : undefined;
    try {
      const { error } = (await answer.json()) as { error: { message: string; code?: string; param?: string } };
      return new SimilaError(error.message, answer.status, error.code ?? null, error.param ?? null, seconds);
    } catch {
      return new SimilaError(`status ${answer.status}, not by Simila`, answer.status, null, null, seconds);
    }
  }
}

/** How long to wait before asking again after so many failures, with full jitter; undefined: do not. */
export function waitMilliseconds(error: SimilaError, failures: number): number | undefined {
  const passes = error.status === 429 || (error.status === 503 && error.retryAfterSeconds !== undefined);
  const askedSeconds = error.retryAfterSeconds ?? 0;
  if (!passes || askedSeconds > LONGEST_WAIT_SECONDS) return undefined;
  const jitterSeconds = Math.random() * FIRST_WAIT_SECONDS * 2 ** (failures - 1);
  return 1000 * Math.min(askedSeconds + jitterSeconds, LONGEST_WAIT_SECONDS);
}
