/** openduck-fuse doctor */
import type { CommandModule } from 'yargs';
import { OpenduckError } from '../../proto/errors.js';
import {
  type CommandContext,
  type Flags,
  JSON_OPTION,
  printJson,
  readSettings,
} from '../commandContext.js';
import { checkClock } from '../doctor/clockChecks.js';
import {
  checkFileSystem,
  checkSpace,
  checkWriting,
  existingDirectory,
} from '../doctor/dataDirChecks.js';
import type { Finding } from '../doctor/finding.js';
import { checkStores } from '../doctor/storeChecks.js';
import {
  checkAllowOther,
  checkFuseDevice,
  checkKernel,
  checkLimits,
  checkMountProgram,
  checkNode,
  checkStaleMounts,
} from '../doctor/systemChecks.js';
import type { Settings } from '../settings.js';
import { storeOptions } from '../storeOptions.js';

async function examine(context: CommandContext, settings: Settings): Promise<Finding[]> {
  const isRoot = context.userId === 0;
  const directory = await existingDirectory(settings.dataDir);
  return [
    checkNode(),
    checkKernel(),
    await checkFuseDevice(),
    await checkMountProgram(isRoot, context.environment['PATH'] ?? ''),
    await checkAllowOther(isRoot, settings.allowOther),
    ...(await checkLimits()),
    await checkClock(settings.dataDir, context.clock.now()),
    await checkFileSystem(directory),
    ...(await checkWriting(directory, context.clock)),
    await checkSpace(directory),
    await checkStaleMounts(),
    ...(await checkStores(context, settings)),
  ];
}

function printForPeople(context: CommandContext, findings: readonly Finding[]): void {
  for (const { level, message, advice } of findings) {
    context.print(`${level.padEnd(4)}  ${message}\n`);
    if (advice !== undefined) context.print(`      ${advice}\n`);
  }
}

/** Throws UNAVAILABLE when a check failed, after printing all of them. */
async function doctor(context: CommandContext, flags: Flags): Promise<void> {
  const settings = await readSettings(context, flags);
  const findings = await examine(context, settings);
  const failed = findings.filter((finding) => finding.level === 'fail').length;
  if (flags['json'] === true) printJson(context, { ok: failed === 0, findings });
  else printForPeople(context, findings);
  if (failed === 0) return;
  const checks = failed === 1 ? 'one check' : `${failed} checks`;
  throw new OpenduckError('UNAVAILABLE', `${checks} failed`, { hint: 'See the lines above.' });
}

export function doctorCommand(context: CommandContext): CommandModule {
  return {
    command: 'doctor',
    describe: 'Check whether this machine can mount, and what would make it better',
    builder: (yargs) =>
      storeOptions(yargs)
        .option('json', JSON_OPTION)
        .example('$0 doctor --data-dir /srv/duck', 'Measures the disk of that directory')
        .example('$0 doctor --objects s3://bucket/p', 'Tries what may be done there'),
    handler: (flags) => doctor(context, flags),
  };
}
