/** UUIDs as 16 bytes, which is how formats store them, and as lower-case text with dashes. */

export function uuidBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

/** `bytes`: 16 of them. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20)].join('-');
}

/** When a UUID of version 7 was made (RFC 9562, 5.7: its first 48 bits), in milliseconds. */
export function uuidTime(text: string): number {
  return Number.parseInt(text.replaceAll('-', '').slice(0, 12), 16);
}
