/** openduck-fuse stats */
import type { CommandModule } from 'yargs';
import { OpenduckError } from '../../proto/errors.js';
import { type CommandContext, type Flags, readSettings } from '../commandContext.js';
import type { ControlClient } from '../control/client.js';
import { connectDaemon } from '../control/connect.js';
import { parseDuration } from '../quantities.js';
import { catchInterrupt } from '../query/interrupt.js';
import { databaseRates, type Rates, ratesOf, type Sample } from '../stats/rates.js';
import { headerLine, rateJson, rateLine, screenText } from '../stats/statsText.js';

const SHORTEST_INTERVAL_MS = 100;
const MOST_HISTORY = 60;
/** Home, clear what is right of each line, and what is below; alternate screen on and off. */
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

interface Plan {
  readonly intervalMs: number;
  /** Lines; undefined: until somebody ends it. */
  readonly count: number | undefined;
  readonly show: (before: Sample, after: Sample, time: number) => string;
}

function intervalOf(flags: Flags): number {
  const ms = parseDuration(String(flags['interval']), '--interval');
  if (ms >= SHORTEST_INTERVAL_MS) return ms;
  throw new OpenduckError('USAGE', `--interval: ${ms} ms is too short`, {
    hint: `At least ${SHORTEST_INTERVAL_MS}ms.`,
  });
}

function countOf(flags: Flags): number | undefined {
  const { count } = flags;
  if (count === undefined) return undefined;
  if (Number.isInteger(count) && Number(count) > 0) return Number(count);
  throw new OpenduckError('USAGE', '--count: write how many lines, at least 1');
}

async function sample(daemon: ControlClient, context: CommandContext): Promise<Sample> {
  const status = await daemon.status();
  return { at: context.clock.monotonic(), status };
}

function liveScreen(): Plan['show'] {
  const history: { time: number; rates: Rates }[] = [];
  return (before, after, time) => {
    history.push({ time, rates: ratesOf(before, after) });
    if (history.length > MOST_HISTORY) history.shift();
    // A terminal that does not know its size says 0.
    const rows = process.stdout.rows || 24;
    const columns = process.stdout.columns || 80;
    const title = `openduck-fuse at ${after.status.mountpoint}`;
    const databases = databaseRates(before, after);
    const text = screenText({ title, time, history, databases, rows, columns });
    return `${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_LINE}${CLEAR_BELOW}`;
  };
}

async function watch(context: CommandContext, daemon: ControlClient, plan: Plan): Promise<void> {
  const interrupt = catchInterrupt();
  const { signal } = interrupt;
  const interrupted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve());
  });
  try {
    let before = await sample(daemon, context);
    for (let shown = 0; plan.count === undefined || shown < plan.count; shown++) {
      await Promise.race([interrupted, context.clock.sleep(plan.intervalMs)]);
      if (signal.aborted) return;
      const after = await sample(daemon, context);
      context.print(plan.show(before, after, context.clock.now()));
      before = after;
    }
  } finally {
    interrupt.release();
  }
}

async function stats(context: CommandContext, flags: Flags): Promise<void> {
  const { dataDir } = await readSettings(context, flags);
  const [intervalMs, count] = [intervalOf(flags), countOf(flags)];
  const daemon = await connectDaemon(dataDir, context.clock);
  if (daemon === undefined) {
    throw new OpenduckError('UNAVAILABLE', `no daemon runs on ${dataDir}`, {
      hint: "Start it with 'openduck-fuse mount MOUNTPOINT', or name another one with --data-dir.",
    });
  }
  const isJson = flags['json'] === true;
  const isLive = !isJson && count === undefined && process.stdout.isTTY === true;
  try {
    if (isLive) context.print(ENTER);
    else if (!isJson) context.print(headerLine());
    const line = isJson ? rateJson : rateLine;
    const show: Plan['show'] = (before, after, time) => line(time, ratesOf(before, after));
    await watch(context, daemon, { intervalMs, count, show: isLive ? liveScreen() : show });
  } finally {
    if (isLive) context.print(LEAVE);
    await daemon.close();
  }
}

export function statsCommand(context: CommandContext): CommandModule {
  return {
    command: 'stats',
    describe: 'What the daemon does just now: a live table, or a line a second in a pipe',
    builder: (yargs) =>
      yargs
        .option('interval', {
          type: 'string',
          default: '1s',
          requiresArg: true,
          describe: 'From one look to the next',
        })
        .option('count', {
          type: 'number',
          requiresArg: true,
          describe: 'How many lines (default: until Ctrl-C)',
        })
        .option('json', { type: 'boolean', describe: 'A JSON object a line; the keys are stable' })
        .example('$0 stats', 'On a terminal: rates, and the busiest databases')
        .example('$0 stats --interval 10s >> stats.log', 'For later'),
    handler: (flags) => stats(context, flags),
  };
}
