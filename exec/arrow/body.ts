/** The body of one record batch while its columns are handed over. */

/** Bytes that follow each other in one buffer. */
export type Parts = readonly Uint8Array[];

/** Every buffer begins on a multiple of this, in bytes. */
export const ALIGNMENT = 8;

export function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

export class Body {
  /** Length and NULLs of each node, in turn. */
  readonly nodes: number[] = [];
  /** Offset in the body and length of each buffer, in turn; in bytes. */
  readonly regions: number[] = [];
  readonly buffers: Parts[] = [];
  /** Bytes, padding included. */
  length = 0;

  node(length: number, nulls: number): void {
    this.nodes.push(length, nulls);
  }

  buffer(parts: Parts): void {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    this.regions.push(this.length, bytes);
    this.buffers.push(parts);
    this.length += padded(bytes);
  }
}
