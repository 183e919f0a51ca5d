/** What the HTTP side counts of itself. */
export class HttpStats {
  /** By the first digit of the status. */
  readonly answers = new Map<string, number>();
  sentBytes = 0;

  answered(status: number): void {
    const kind = `${Math.floor(status / 100)}xx`;
    this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1);
  }
}

/** At one moment. */
export interface HttpState {
  readonly stats: HttpStats;
  readonly connections: number;
  /** Answers that are sent, and those that wait for their turn. */
  readonly sending: number;
  readonly waiting: number;
  readonly openSnapshots: number;
}
