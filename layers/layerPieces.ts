/** Cuts a read of a layer into pieces, by what has to be verified first. */
import { type FrameTable, frameAt } from './layerIndex.js';

/**
 * A part of a read: neighbouring frames that are verified; neighbours that are to be verified and
 * wanted whole; a part of one frame that is to be verified.
 */
export interface Piece {
  readonly kind: 'verified' | 'whole' | 'part';
  readonly firstFrame: number;
  readonly pastFrame: number;
  /** Data offsets, [start, end). */
  readonly start: number;
  readonly end: number;
}

/** Cuts [start, end) into pieces; `isVerified` tells of a frame. Pure. */
export function planPieces(
  frames: FrameTable,
  isVerified: (frame: number) => boolean,
  start: number,
  end: number,
): Piece[] {
  const endOf = (frame: number): number => frames.dataOffset[frame]! + frames.length[frame]!;
  const kindOf = (frame: number): Piece['kind'] => {
    if (isVerified(frame)) return 'verified';
    return frames.dataOffset[frame]! >= start && endOf(frame) <= end ? 'whole' : 'part';
  };
  const pieces: Piece[] = [];
  let frame = frameAt(frames, start);
  for (let at = start; at < end; ) {
    const firstFrame = frame;
    const kind = kindOf(frame);
    let next = endOf(frame++);
    while (kind !== 'part' && next < end && kindOf(frame) === kind) next = endOf(frame++);
    next = Math.min(end, next);
    pieces.push({ kind, firstFrame, pastFrame: frame, start: at, end: next });
    at = next;
  }
  return pieces;
}
