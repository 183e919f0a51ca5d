/**
 * The kernel's mount table, /proc/self/mountinfo (proc(5)): reading it touches no mounted file
 * system.
 */
import { readFile } from 'node:fs/promises';
import { systemError } from './systemError.js';

export interface MountEntry {
  readonly mountpoint: string;
  /** E.g. `ext4`, `fuse.openduck-fuse`. */
  readonly type: string;
  readonly source: string;
  /** MAJOR:MINOR, as in /sys/class/bdi. */
  readonly device: string;
}

const PATH = '/proc/self/mountinfo';

/** Space, tab, newline and backslash are written as three octal digits. */
function unescapeOctal(text: string): string {
  const bytes: number[] = [];
  const escaped = Buffer.from(text, 'utf8');
  for (let i = 0; i < escaped.length; i++) {
    const octal = escaped[i] === 0x5c ? escaped.toString('latin1', i + 1, i + 4) : '';
    if (/^[0-3][0-7]{2}$/.test(octal)) {
      bytes.push(Number.parseInt(octal, 8));
      i += 3;
    } else {
      bytes.push(escaped[i]!);
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

/** Lines that are not of the documented form are left out. */
export function parseMountTable(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    // Optional fields of unknown number end with a lone hyphen.
    const separator = line.indexOf(' - ');
    const [, , device, , mountpoint] = line.slice(0, separator).split(' ');
    const [type, source] = line.slice(separator + 3).split(' ');
    if (separator < 0 || !device || !mountpoint || !type || source === undefined) continue;
    entries.push({
      mountpoint: unescapeOctal(mountpoint),
      type,
      source: unescapeOctal(source),
      device,
    });
  }
  return entries;
}

/**
 * In mount order: of two entries with the same mountpoint, the later one covers the earlier.
 * Throws IO.
 */
export async function readMountTable(): Promise<MountEntry[]> {
  try {
    return parseMountTable(await readFile(PATH, 'utf8'));
  } catch (cause) {
    throw systemError(cause, 'read', PATH);
  }
}
