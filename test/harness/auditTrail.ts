/** The lines of a log that belong to the audit trail. */

export interface AuditLine {
  readonly level: string;
  readonly time: string;
  readonly audit: true;
  readonly action: string;
  readonly by: string;
  readonly database?: string;
  readonly [field: string]: unknown;
}

/** Of JSON lines. A line that cannot be parsed is an error, as it is for who reads logs. */
export function auditTrail(log: string): AuditLine[] {
  const lines = log.split('\n').filter((line) => line !== '');
  const records = lines.map((line) => JSON.parse(line) as AuditLine);
  return records.filter(({ audit }) => audit === true);
}
