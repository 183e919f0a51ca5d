/** Metadata and objects where they are not in files of this host. */
import { describeError, OpenduckError } from '../../proto/errors.js';
import { silentLogger } from '../../proto/ports.js';
import type { CommandContext } from '../commandContext.js';
import type { Settings } from '../settings.js';
import { type StoreLocations, storeLocations, storeNotes } from '../stores.js';
import { type Finding, fail, warn } from './finding.js';

/** Findings for what the settings and the data directory name; none for local files. */
export async function checkStores(context: CommandContext, settings: Settings): Promise<Finding[]> {
  let locations: StoreLocations;
  try {
    locations = await storeLocations(settings);
  } catch (error) {
    const hint = error instanceof OpenduckError ? error.hint : undefined;
    return [fail('stores', describeError(error), hint ?? 'Check --metadata and --objects.')];
  }
  const { metadata, objects, s3 } = locations;
  const { clock, random } = context;
  const findings = storeNotes(locations).map((note) =>
    warn('stores', note, 'Use S3 objects, or a directory that all hosts have mounted.'),
  );
  if (metadata.kind === 'postgres') {
    const { checkPostgres } = await import('./postgresChecks.js');
    findings.push(...(await checkPostgres(metadata.url.reveal(), clock)));
  }
  if (objects.kind === 's3') {
    const { checkS3 } = await import('./s3Checks.js');
    findings.push(...(await checkS3(objects.url, s3, { clock, random, logger: silentLogger })));
  }
  return findings;
}
