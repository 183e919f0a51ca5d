/**
 * What somebody needs who looks for a fault from far away, and no data: version and machine, what
 * `status` and `doctor` say, settings, and the end of the logs. A part that cannot be had says why;
 * the others are there nevertheless.
 */
import { release } from 'node:os';
import { resolve } from 'node:path';
import { readTail } from '../../layers/os/appendFile.js';
import { readText } from '../../layers/os/textFile.js';
import { describeError } from '../../proto/errors.js';
import { type CommandContext, type Flags, readSettings } from '../commandContext.js';
import { doctorCommand } from '../commands/doctor.js';
import { statusCommand } from '../commands/status.js';
import { readConfigFile } from '../configFile.js';
import { dataPaths } from '../dataDirectory.js';
import { environmentName } from '../settingSources.js';
import { STANDARD_INPUT } from '../storeSettings.js';
import { VERSION } from '../version.js';
import { isSecretName, Redaction } from './redaction.js';
import type { TarEntry } from './tar.js';

/** Of each log file, from its end. */
const LOG_BYTES = 4 * 1024 * 1024;

interface Bundle {
  readonly context: CommandContext;
  readonly flags: Flags;
  readonly redaction: Redaction;
  readonly entries: TarEntry[];
}

function add({ entries, redaction }: Bundle, name: string, text: string): void {
  // Once more over the whole, whatever the parts have done.
  entries.push({ name, content: Buffer.from(redaction.text(text)) });
}

function addJson(bundle: Bundle, name: string, value: unknown): void {
  add(bundle, name, `${JSON.stringify(value, null, 2)}\n`);
}

/** Adds what `make` gives, or why it gives nothing. */
async function addPart(bundle: Bundle, name: string, make: () => Promise<string>): Promise<void> {
  try {
    add(bundle, name, await make());
  } catch (error) {
    add(bundle, `${name}.error`, `${describeError(error)}\n`);
  }
}

const OURS = /^(OPENDUCK_|AWS_|NODE_|NOTIFY_SOCKET$|WATCHDOG_|XDG_DATA_HOME$|PATH$)/;

/** In a file of tokens: see exec/security/grantsFile.ts. */
const LISTED_TOKEN = /\btoken(?:_sha256)?\s*=\s*["']([^"']+)["']/g;

/** The secrets that this command can see: in its environment, flags, config file, their files. */
async function learnSecrets({ context, flags, redaction }: Bundle): Promise<void> {
  const learn = (values: Readonly<Record<string, unknown>>): void => {
    for (const [name, value] of Object.entries(values)) {
      if (isSecretName(name)) redaction.know(value);
      else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        learn(value as Record<string, unknown>);
      }
    }
  };
  learn(context.environment);
  learn(flags);
  const config = await configValues(context, flags).catch(() => ({}));
  learn(config);
  for (const name of ['metadata-file', 'tokens']) {
    const variable = context.environment[environmentName(name)];
    for (const place of [flags[name], variable, (config as Record<string, unknown>)[name]]) {
      if (typeof place !== 'string' || place === STANDARD_INPUT) continue;
      const text = (await readText(place).catch(() => undefined)) ?? '';
      if (name === 'metadata-file') redaction.know(text);
      else redaction.know([...text.matchAll(LISTED_TOKEN)].map((match) => match[1]));
    }
  }
}

async function configValues(
  context: CommandContext,
  flags: Flags,
): Promise<Readonly<Record<string, unknown>>> {
  const path = flags['config'] ?? context.environment['OPENDUCK_CONFIG'];
  return typeof path === 'string' && path !== '' ? (await readConfigFile(path)).values : {};
}

function addSurroundings(bundle: Bundle): void {
  const { context, redaction } = bundle;
  addJson(bundle, 'about.json', {
    openduckFuse: VERSION,
    node: process.version,
    platform: `${process.platform} ${process.arch} ${release()}`,
    userId: context.userId,
    madeAt: new Date(context.clock.now()).toISOString(),
  });
  const ours = Object.entries(context.environment).filter(([name]) => OURS.test(name));
  addJson(bundle, 'environment.json', redaction.named(Object.fromEntries(ours)));
}

/** What a command prints with --json, also when it fails afterwards. */
async function printed(
  { context, flags }: Bundle,
  run: (context: CommandContext, flags: Flags) => unknown,
): Promise<string> {
  const parts: string[] = [];
  const print = (part: string): void => void parts.push(part);
  try {
    await run({ ...context, print }, { ...flags, json: true });
  } catch (error) {
    if (parts.length === 0) throw error;
  }
  return parts.join('');
}

type HandlerArguments = Parameters<ReturnType<typeof statusCommand>['handler']>[0];

async function addReports(bundle: Bundle): Promise<void> {
  await addPart(bundle, 'status.json', () =>
    printed(bundle, (c, flags) => statusCommand(c).handler(flags as HandlerArguments)),
  );
  await addPart(bundle, 'doctor.json', () =>
    printed(bundle, (c, flags) => doctorCommand(c).handler(flags as HandlerArguments)),
  );
}

/** Also when another setting is wrong, which may be what the bundle is for. */
async function dataDirOf(context: CommandContext, flags: Flags): Promise<string> {
  try {
    return (await readSettings(context, flags)).dataDir;
  } catch (error) {
    const values = await configValues(context, flags).catch(() => ({}) as never);
    const given = [flags['data-dir'], context.environment['OPENDUCK_DATA_DIR'], values['data-dir']];
    const found = given.find((one) => typeof one === 'string' && one !== '');
    if (found === undefined) throw error;
    return resolve(String(found));
  }
}

async function addLogs(bundle: Bundle): Promise<void> {
  const { context, flags, redaction } = bundle;
  const { log } = dataPaths(await dataDirOf(context, flags));
  for (const path of [log, `${log}.1`]) {
    const tail = await readTail(path, 0, LOG_BYTES);
    if (tail === '') continue;
    // A line whose beginning is cut off could not be looked through.
    const whole = Buffer.byteLength(tail) < LOG_BYTES ? tail : tail.slice(tail.indexOf('\n') + 1);
    add(bundle, path === log ? 'daemon.log' : 'daemon.log.1', redaction.log(whole));
  }
}

/** Never throws for anything that is wrong with the installation. */
export async function collectBundle(context: CommandContext, flags: Flags): Promise<TarEntry[]> {
  const bundle: Bundle = { context, flags, redaction: new Redaction(), entries: [] };
  await learnSecrets(bundle);
  addSurroundings(bundle);
  await addPart(bundle, 'config.json', async () => {
    const values = await configValues(context, flags);
    return `${JSON.stringify(bundle.redaction.named(values), null, 2)}\n`;
  });
  await addReports(bundle);
  await addLogs(bundle).catch((error: unknown) => {
    add(bundle, 'daemon.log.error', `${describeError(error)}\n`);
  });
  return bundle.entries;
}
