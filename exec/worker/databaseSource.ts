/** Where a worker's databases are: a port, so that the worker sees them as any user does. */

export interface DatabaseSource {
  /** Of all databases, sorted. Throws UNAVAILABLE, IO. */
  names(): Promise<readonly string[]>;
  /**
   * Tells the newest commit, or the commit of `snapshot`, from all others. undefined: there is no
   * such database. Throws NOT_FOUND (no such snapshot), INVALID_NAME, INVALID_ARGUMENT, IO.
   */
  version(database: string, snapshot: string | undefined): Promise<string | undefined>;
  /** The file to open; the newest commit's unless `snapshot` is given. */
  path(database: string, snapshot: string | undefined): string;
}

/** Of a worker without a mount: what its `--init-sql` attaches is all there is. */
export const NO_DATABASES: DatabaseSource = {
  names: async () => [],
  version: async () => undefined,
  path: () => ':memory:',
};
