/**
 * The commands of a page for users, to be run by tests: its ```sh blocks, and what the page says
 * about them. A ```text block right after one is what it prints. In comments of the page, which no
 * reader sees:
 *
 *   <!-- host: NAME -->    on which host the next block runs; without it, on the one of the section
 *   <!-- needs: WORDS -->  services that this section needs
 *   <!-- not run: WHY -->  the next block is not run
 */

export interface Command {
  /** Of the block's first line in the page, from 1. */
  readonly line: number;
  readonly script: string;
  readonly host: string;
  /** The exact output that the page shows; undefined when it shows none. */
  readonly prints: string | undefined;
  /** Why it is not run; undefined when it is. */
  readonly notRun: string | undefined;
}

export interface Section {
  /** The `## ` heading; empty for what stands before the first one. */
  readonly title: string;
  readonly needs: readonly string[];
  readonly commands: readonly Command[];
}

export const ONLY_HOST = 'host';

interface Draft {
  title: string;
  needs: string[];
  commands: Command[];
}

/** What the next block takes from the comments before it. */
interface Notes {
  host?: string;
  notRun?: string;
}

/** Text lines of the block that begins at `lines[begin]`, without its fences. */
function blockAt(lines: readonly string[], begin: number): string[] {
  const end = lines.findIndex((line, i) => i > begin && line.trimEnd() === '```');
  if (end < 0) throw new Error(`line ${begin + 1}: a block without an end`);
  return lines.slice(begin + 1, end);
}

function note(line: string, section: Draft, notes: Notes): void {
  const [, name, value] = /^<!-- (host|needs|not run): (.+) -->$/.exec(line) ?? [];
  if (name === 'host') notes.host = value!;
  else if (name === 'not run') notes.notRun = value!;
  else if (name === 'needs') section.needs.push(...value!.split(' '));
  else if (line.startsWith('<!--')) throw new Error(`what is this comment? ${line}`);
}

/** Throws for a text block without a command, and for a block without an end. */
export function commandsOf(page: string): Section[] {
  const lines = page.split('\n');
  const sections: Draft[] = [{ title: '', needs: [], commands: [] }];
  let notes: Notes = {};
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const section = sections.at(-1)!;
    if (line.startsWith('## ')) sections.push({ title: line.slice(3), needs: [], commands: [] });
    else if (line.startsWith('<!--')) note(line, section, notes);
    if (!line.startsWith('```')) continue;
    const block = blockAt(lines, i);
    const text = `${block.join('\n')}\n`;
    if (line === '```sh') {
      const { host = ONLY_HOST, notRun } = notes;
      section.commands.push({ line: i + 2, script: text, host, prints: undefined, notRun });
      notes = {};
    } else if (line === '```text') {
      const command = section.commands.pop();
      if (command === undefined) throw new Error(`line ${i + 1}: output of what?`);
      section.commands.push({ ...command, prints: text });
    }
    i += block.length + 1;
  }
  return sections.filter(({ commands }) => commands.length > 0);
}
