/** The retention port of both engines. */
import { after } from 'node:test';
import { startPostgres } from '../harness/postgres.js';
import { metadataEngines } from './gcFixture.js';
import { retentionConformance } from './retentionConformance.js';

const server = await startPostgres({ tcp: true, fsync: false });
after(() => server.dispose());

for (const [engine, open] of metadataEngines(server)) retentionConformance(engine, open);
