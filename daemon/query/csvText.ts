/** RFC 4180. NULL is an empty field, the empty text is `""`. */

/** Lines end in CRLF (RFC 4180 §2.1). */
export const CSV_LINE_END = '\r\n';

/** A space at either end stays, but some readers drop it outside of quotes. */
const NEEDS_QUOTES = /^$|[",\r\n]|^\s|\s$/;

export function csvField(text: string | null): string {
  if (text === null) return '';
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A line with one empty field would be an empty line, which readers skip: it is written `""`. */
export function csvLine(fields: readonly (string | null)[]): string {
  const line = fields.map(csvField).join(',');
  return (line === '' ? '""' : line) + CSV_LINE_END;
}
