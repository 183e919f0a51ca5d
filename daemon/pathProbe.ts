/** Looking at a path that may lie on a hung mount: in a child process, which can be killed. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type PathProbe =
  | { readonly kind: 'directory'; readonly real: string; readonly empty: boolean }
  | { readonly kind: 'other'; readonly real: string }
  /** `code` is that of the system: ENOENT, ENOTCONN, … */
  | { readonly kind: 'error'; readonly real: string | undefined; readonly code: string }
  /** No answer in time. */
  | { readonly kind: 'silent'; readonly real: string | undefined };

const PROBE_LIMIT_MS = 2000;
const PROGRAM = fileURLToPath(new URL('../layers/os/pathProbeMain.js', import.meta.url));

interface ProbeLine {
  readonly real?: string;
  readonly kind?: string;
  readonly empty?: boolean;
  readonly error?: string;
}

function interpret(output: string): PathProbe {
  const lines = output.split('\n').slice(0, -1);
  const fields: ProbeLine = Object.assign(
    {},
    ...lines.map((line) => JSON.parse(line) as ProbeLine),
  );
  const { real, kind, error } = fields;
  if (error !== undefined) return { kind: 'error', real, code: error };
  if (real === undefined || kind === undefined) return { kind: 'silent', real };
  if (kind === 'directory') return { kind, real, empty: fields.empty ?? true };
  return { kind: 'other', real };
}

/** Never hangs and never throws for anything that the path is. */
export function probePath(path: string): Promise<PathProbe> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, path], {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: PROBE_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', () => resolve(interpret(output)));
  });
}
