/**
 * How many cells of a terminal a text takes: combining marks none, East Asian wide characters and
 * emoji two (also those of several characters), everything else one.
 */

/** Unicode 16, EastAsianWidth.txt: W and F, without what is emoji by itself anyway. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2630, 0x2637],
  [0x268a, 0x268f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4dc0, 0x4dff],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18d08],
  [0x1aff0, 0x1b2fb],
  [0x1d300, 0x1d356],
  [0x1d360, 0x1d376],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
];

const EMOJI = /^(\p{Emoji_Presentation}|\p{Emoji}️|\p{Regional_Indicator}{2}|[#*0-9]️?⃣)/u;
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}\p{Default_Ignorable_Code_Point}]+$/u;
/** What needs no thought: one cell each. */
const PLAIN = /^[\x20-\x7e\xa1-\xac\xae-\u02ff]*$/;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

function isWide(code: number): boolean {
  return WIDE.some(([from, to]) => code >= from && code <= to);
}

/** Of one grapheme cluster, as Intl.Segmenter cuts them. */
function graphemeWidth(grapheme: string): number {
  if (NO_WIDTH.test(grapheme)) return 0;
  if (EMOJI.test(grapheme)) return 2;
  return isWide(grapheme.codePointAt(0)!) ? 2 : 1;
}

export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

const ELLIPSIS = '…';

/** At most `width` ≥ 1 cells; what was cut ends in `…`. Never cuts a character in two. */
export function fitWidth(text: string, width: number): string {
  if (text.length <= width && PLAIN.test(text)) return text;
  if (displayWidth(text) <= width) return text;
  let fitted = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = graphemeWidth(segment);
    if (used + next > width - 1) break;
    fitted += segment;
    used += next;
  }
  return fitted + ELLIPSIS;
}
